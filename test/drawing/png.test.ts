import fc from 'fast-check';
import { PNG } from 'pngjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodePng, type Pixels } from '../../src/drawing/png.js';

const anyPixels = fc
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

/** Decodes with another program's decoder, always to RGBA. */
function decode(bytes: Uint8Array) {
  const { width, height, data } = PNG.sync.read(Buffer.from(bytes));
  return { width, height, data: Array.from(data) };
}

function rgbaOf({ width, height, channels, data }: Pixels) {
  const rgba: number[] = [];
  for (let at = 0; at < data.length; at += channels) {
    const gray = channels < 3;
    rgba.push(data[at], data[at + (gray ? 0 : 1)], data[at + (gray ? 0 : 2)]);
    rgba.push(channels % 2 === 0 ? data[at + channels - 1] : 255);
  }
  return { width, height, data: rgba };
}

afterEach(() => {
  vi.doUnmock('#platform');
  vi.resetModules();
});

describe('encodePng', () => {
  it('is read back exactly by another decoder, whatever the pixels', () => {
    fc.assert(
      fc.property(anyPixels, (pixels) => {
        expect(decode(encodePng(pixels))).toEqual(rgbaOf(pixels));
      }),
    );
  });

  it('is read back exactly if there is no native zlib, as in browsers', async () => {
    vi.doMock('#platform', () => ({ nativeZlib: undefined }));
    vi.resetModules();
    const browser = await import('../../src/drawing/png.js');
    expect(browser.encodePng).not.toBe(encodePng);
    fc.assert(
      fc.property(anyPixels, (pixels) => {
        expect(decode(browser.encodePng(pixels))).toEqual(rgbaOf(pixels));
      }),
    );
  });

  it.each([
    ['noise, which is stored', 256],
    ['a noisy gradient, in which only runs are searched', 12],
    ['a gradient', 1],
  ])('is read back exactly: %s', (_, spread) => {
    let state = 1;
    const random = () => (state = (state * 48271) % 2147483647) / 2147483647; // Park and Miller
    const data = Uint8Array.from({ length: 128 * 128 * 3 }, (_, i) => (i / 400 + spread * random()) % 256);
    const pixels = { width: 128, height: 128, channels: 3, data } as const;
    expect(decode(encodePng(pixels))).toEqual(rgbaOf(pixels));
  });

  it('takes fewer bytes than pixels for gradients and for drawings', () => {
    const size = { width: 128, height: 128, channels: 3 } as const;
    const gradient = Uint8Array.from({ length: 128 * 128 * 3 }, (_, i) => Math.floor(i / 3) % 128);
    const drawing = Uint8Array.from({ length: 128 * 128 * 3 }, (_, i) => (Math.floor(i / 3 / 1000) % 2) * 255);
    for (const data of [gradient, drawing]) expect(encodePng({ ...size, data }).length * 50).toBeLessThan(data.length);
  });
});
