import type { Color } from '../../src/drawing/canvas.js';
import type { Pixels } from '../../src/drawing/png.js';

/** The color of a pixel. */
export function colorAt({ data, width }: Pixels, x: number, y: number): number[] {
  return [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
}

/** How many pixels have a color. */
export function countOf({ data }: Pixels, [red, green, blue]: Color): number {
  let count = 0;
  for (let at = 0; at < data.length; at += 3) {
    if (data[at] === red && data[at + 1] === green && data[at + 2] === blue) count++;
  }
  return count;
}

/** Every place of a color, as x and y. */
export function placesOf(drawing: Pixels, color: Color): [number, number][] {
  const places: [number, number][] = [];
  for (let y = 0; y < drawing.height; y++) {
    for (let x = 0; x < drawing.width; x++) {
      if (colorAt(drawing, x, y).every((channel, i) => channel === color[i])) places.push([x, y]);
    }
  }
  return places;
}
