import fc from 'fast-check';
import { PNG } from 'pngjs';
import type { Pixels } from '../../src/drawing/png.js';

/** Small images of any form. */
export const anyPixels = fc
  .record({
    width: fc.integer({ min: 1, max: 40 }),
    height: fc.integer({ min: 1, max: 12 }),
    channels: fc.constantFrom(1, 2, 3, 4) as fc.Arbitrary<1 | 2 | 3 | 4>,
    isFlat: fc.boolean(),
  })
  .chain(({ isFlat, ...size }) => {
    const length = size.width * size.height * size.channels;
    const byte = isFlat ? fc.constantFrom(0, 255) : fc.integer({ min: 0, max: 255 });
    return fc
      .array(byte, { minLength: length, maxLength: length })
      .map((data): Pixels => ({ ...size, data: Uint8Array.from(data) }));
  });

/** A square image in RGB: a gradient with noise of up to `spread` on it, for the same seed the same. */
export function noisyPixels(side: number, spread: number, seed = 1): Pixels {
  let state = seed;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647; // Park and Miller
  const data = Uint8Array.from({ length: side * side * 3 }, (_, i) => (i / 400 + spread * random()) % 256);
  return { width: side, height: side, channels: 3, data };
}

/** A square image in RGB without noise. */
export function gradient(side: number): Pixels {
  const data = Uint8Array.from({ length: side * side * 3 }, (_, i) => Math.floor(i / 3) % side);
  return { width: side, height: side, channels: 3, data };
}

/** Decodes with another program's decoder, always to RGBA. */
export function decodedPng(bytes: Uint8Array) {
  const { width, height, data } = PNG.sync.read(Buffer.from(bytes));
  return { width, height, data: Array.from(data) };
}

/** An image as `decodedPng` has it. */
export function rgbaOf({ width, height, channels, data }: Pixels) {
  const rgba: number[] = [];
  for (let at = 0; at < data.length; at += channels) {
    const gray = channels < 3;
    rgba.push(data[at], data[at + (gray ? 0 : 1)], data[at + (gray ? 0 : 2)]);
    rgba.push(channels % 2 === 0 ? data[at + channels - 1] : 255);
  }
  return { width, height, data: rgba };
}
