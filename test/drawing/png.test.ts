import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodePng } from '../../src/drawing/png.js';
import { zlib } from '../../src/platform/node.js';
import type { Zlib } from '../../src/platform/platform.js';
import { zlibOfPage, zlibOfThread } from '../../src/platform/zlib.js';
import { anyPixels, decodedPng, gradient, noisyPixels, rgbaOf } from '../support/pixels.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

const withoutStream = (): Zlib => {
  vi.stubGlobal('CompressionStream', undefined);
  return zlibOfPage;
};

describe.each([
  ['Node', () => zlib],
  ['a thread of Node', zlibOfThread],
  ['a page', () => zlibOfPage],
  ['a page without CompressionStream', withoutStream],
])('encodePng with the zlib of %s', (_, zlibOf) => {
  it('is read back exactly by another decoder, whatever the pixels', async () => {
    const own = zlibOf();
    await fc.assert(
      fc.asyncProperty(anyPixels, async (pixels) => {
        expect(decodedPng(await encodePng(pixels, own))).toEqual(rgbaOf(pixels));
      }),
    );
  });

  it.each([
    ['noise, which is stored', 256],
    ['a noisy gradient, in which only runs are searched', 12],
    ['a gradient', 1],
  ])('is read back exactly: %s', async (_, spread) => {
    const pixels = noisyPixels(128, spread);
    expect(decodedPng(await encodePng(pixels, zlibOf()))).toEqual(rgbaOf(pixels));
  });
});

it.each([
  ['Node', zlib],
  ['a page', zlibOfPage],
])('gradients and drawings take fewer bytes than pixels: %s', async (_, own) => {
  const drawing = Uint8Array.from({ length: 128 * 128 * 3 }, (_, i) => (Math.floor(i / 3 / 1000) % 2) * 255);
  for (const data of [gradient(128).data, drawing]) {
    const png = await encodePng({ ...gradient(128), data }, own);
    expect(png.length * 50).toBeLessThan(data.length);
  }
});

it('pixels that are changed after the call do not change the picture, even if it comes later', async () => {
  const pixels = { ...gradient(64), data: gradient(64).data.slice() };
  const later = encodePng(pixels, zlibOfPage);
  pixels.data.fill(0);
  expect(decodedPng(await later)).toEqual(rgbaOf(gradient(64)));
});

it.each([0, 1, 65_534, 65_535, 65_536, 200_000])(
  '%i bytes that are stored are unpacked to the same',
  async (length) => {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * i) % 255);
    const packed = await zlibOfPage.deflate(bytes, 'none');
    expect(Buffer.compare(inflateSync(packed), bytes)).toBe(0);
  },
);

it('CRC-32 in a page is that of Node', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => zlibOfPage.crc32(bytes) === zlib.crc32(bytes)));
});

it('both zlibs say whether they are immediate', () => {
  expect([zlib.isImmediate, zlib.deflate(new Uint8Array(9), 'runs') instanceof Promise]).toEqual([true, false]);
  expect([zlibOfPage.isImmediate, zlibOfPage.deflate(new Uint8Array(9), 'runs') instanceof Promise]).toEqual([
    false,
    true,
  ]);
});
