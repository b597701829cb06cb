import { dotsOf } from './pixel-font.js';

/** RGB pixels, height x width x 3. */
export interface Drawing {
  pixels: Uint8Array;
  height: number;
  width: number;
}

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [number, number, number];

const ink: Colour = [40, 40, 40];

/** White paper to draw on; what lies beyond its edges is not drawn. */
export class Canvas implements Drawing {
  readonly pixels: Uint8Array;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.pixels = new Uint8Array(width * height * 3).fill(255);
  }

  fill(x: number, y: number, width: number, height: number, colour: Colour): void {
    const [left, right] = [Math.max(0, x), Math.min(this.width, x + width)];
    for (let row = Math.max(0, y); row < Math.min(this.height, y + height); row++) {
      for (let column = left; column < right; column++) this.pixels.set(colour, (row * this.width + column) * 3);
    }
  }

  text(text: string, x: number, y: number): void {
    for (const dot of dotsOf(text)) this.fill(x + dot.x, y + dot.y, 1, 1, ink);
  }
}
