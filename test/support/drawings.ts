import type { Colour, Drawing } from '../../src/drawing/canvas.js';

/** The colour of a pixel. */
export function colourAt({ pixels, width }: Drawing, x: number, y: number): number[] {
  return [...pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
}

/** How many pixels have a colour. */
export function countOf({ pixels }: Drawing, [red, green, blue]: Colour): number {
  let count = 0;
  for (let at = 0; at < pixels.length; at += 3) {
    if (pixels[at] === red && pixels[at + 1] === green && pixels[at + 2] === blue) count++;
  }
  return count;
}

/** Every place of a colour, as x and y. */
export function placesOf(drawing: Drawing, colour: Colour): [number, number][] {
  const places: [number, number][] = [];
  for (let y = 0; y < drawing.height; y++) {
    for (let x = 0; x < drawing.width; x++) {
      if (colourAt(drawing, x, y).every((channel, i) => channel === colour[i])) places.push([x, y]);
    }
  }
  return places;
}
