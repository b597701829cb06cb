import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { readFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { type BoxesOptions, boxesSummary } from '../../src/summaries/boxes.js';
import { type Image, imageSummary, imagesSummary } from '../../src/summaries/image.js';
import { encodedSize } from '../../src/summaries/image-file.js';
import type { Numbers } from '../../src/summaries/numbers.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';
import { videoSummary } from '../../src/summaries/video.js';
import { framesOf } from '../support/gif.js';

const text = new TextDecoder();

function read(summary: PluginSummary) {
  const [width, height, ...files] = summary.tensor.stringVal as Uint8Array[];
  const images = files.map((file) => PNG.sync.read(Buffer.from(file)));
  return {
    shape: summary.tensor.tensorShape,
    size: [text.decode(width), text.decode(height)],
    sizes: images.map((image) => [image.width, image.height]),
    reds: images.map(({ data }) => Array.from(data.filter((_, i) => i % 4 === 0))),
    rgba: images.map(({ data }) => Array.from(data)),
  };
}
const one = (image: Image, options = {}) => read(imageSummary(image, options) as PluginSummary);
const many = (images: Image, options = {}) => read(imagesSummary(images, options) as PluginSummary);

describe('imageSummary', () => {
  it('is width, height and a PNG, for the images plugin', () => {
    const summary = imageSummary({ data: new Uint8Array(2 * 3 * 3), shape: [2, 3, 3] }) as PluginSummary;
    expect([summary.plugin, summary.dataClass, summary.content, summary.tensor.dtype]).toEqual([
      'images',
      3,
      undefined,
      7,
    ]);
    expect(read(summary)).toMatchObject({ size: ['3', '2'], shape: { dim: [{ size: 3 }] }, sizes: [[3, 2]] });
  });

  it('reads uint8 as 0..255 and floats and plain arrays as 0..1', () => {
    expect(one({ data: Uint8Array.of(0, 1, 128, 255), shape: [2, 2] }).reds).toEqual([[0, 1, 128, 255]]);
    expect(
      one([
        [0, 1 / 255],
        [128 / 255, 1],
      ]).reds,
    ).toEqual([[0, 1, 128, 255]]);
    expect(one({ data: Float32Array.of(0, 0.25, 0.75, 1), shape: [1, 4] }).reds).toEqual([[0, 64, 191, 255]]);
    expect(one([Uint8Array.of(3, 4)]).reds).toEqual([[3, 4]]);
  });

  it('reads int32 tensors as 0..255, bool tensors as black and white', () => {
    expect(
      one(
        tf.tensor2d(
          [
            [0, 77],
            [300, -5],
          ],
          [2, 2],
          'int32',
        ),
      ).reds,
    ).toEqual([[0, 77, 255, 0]]);
    expect(one(tf.tensor2d([[1, 0]], [1, 2], 'bool')).reds).toEqual([[255, 0]]);
    expect(one(tf.tensor3d([0.5, 0, 1], [1, 1, 3])).rgba).toEqual([[128, 0, 255, 255]]);
  });

  it('clamps what is outside, and paints NaN black', () => {
    expect(one([[-1, 2, Number.NaN, Infinity, -Infinity]]).reds).toEqual([[0, 255, 0, 255, 0]]);
  });

  it.each([1, 2, 3, 4])('accepts %i channels', (channels) => {
    const pixel = [10, 20, 30, 40].slice(0, channels);
    const rgba = { 1: [10, 10, 10, 255], 2: [10, 10, 10, 20], 3: [10, 20, 30, 255], 4: [10, 20, 30, 40] }[channels];
    expect(one({ data: Uint8Array.from([...pixel, ...pixel]), shape: [1, 2, channels] }).rgba).toEqual([
      [...(rgba ?? []), ...(rgba ?? [])],
    ]);
  });

  it('reads channels first if asked to', () => {
    const planes = Uint8Array.of(1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24);
    const rgba = [1, 11, 21, 255, 2, 12, 22, 255, 3, 13, 23, 255, 4, 14, 24, 255];
    expect(one({ data: planes, shape: [3, 2, 2] }, { layout: 'CHW' }).rgba).toEqual([rgba]);
    expect(one({ data: Uint8Array.of(5, 6), shape: [1, 1, 2] }, { layout: 'CHW' }).reds).toEqual([[5, 6]]);
  });

  it('accepts what a canvas gives', () => {
    expect(one({ data: Uint8ClampedArray.of(1, 2, 3, 4), width: 1, height: 1 }).rgba).toEqual([[1, 2, 3, 4]]);
  });

  it('passes an encoded file on as it is, and reads its size', () => {
    const encoded = new Uint8Array(readFileSync('test/fixtures/events/tbx/embedding/00001/emb/sprite.png'));
    const { width, height } = PNG.sync.read(Buffer.from(encoded));
    const summary = imageSummary({ encoded }) as PluginSummary;
    const file = summary.tensor.stringVal?.[2];
    expect(file).toEqual(encoded);
    expect(file?.buffer).not.toBe(encoded.buffer);
    expect(read(summary).size).toEqual([String(width), String(height)]);
  });

  it('waits for pixels that come later', async () => {
    const late = { shape: [1, 1], dtype: 'float32', data: async () => Float32Array.of(1) };
    expect(read(await imageSummary(late)).reds).toEqual([[255]]);
  });

  it.each([
    ['5 channels', { data: new Uint8Array(20), shape: [2, 2, 5] }, {}, 'got 5 in the shape [2, 2, 5]'],
    ['channels first untold', { data: new Uint8Array(3 * 8 * 8), shape: [3, 8, 8] }, {}, 'layout HWC, got 8'],
    [
      'a batch',
      { data: new Uint8Array(4), shape: [1, 2, 2, 1] },
      {},
      'expected 3 axes for layout HWC, got the shape [1, 2, 2, 1]',
    ],
    ['a flat array', new Uint8Array(4), {}, 'expected 3 axes for layout HWC'],
    ['no pixels', { data: [], shape: [0, 4] }, {}, 'at least one pixel'],
    ['an unknown layout', [[1]], { layout: 'WH' }, 'expected layout HW, HWC, CHW, got the string "WH"'],
  ])('refuses %s', (_, image, options, message) => {
    expect(() => imageSummary(image as Image, options as object, 'image "x"')).toThrow(RangeError);
    expect(() => imageSummary(image as Image, options as object, 'image "x"')).toThrow(message);
    expect(() => imageSummary(image as Image, options as object, 'image "x"')).toThrow(/^image "x"/);
  });
});

describe('imagesSummary', () => {
  const batch = { data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), shape: [2, 2, 2] };

  it('writes each image of a batch as a sample', () => {
    expect(many(batch)).toMatchObject({
      shape: { dim: [{ size: 4 }] },
      reds: [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
    });
    expect(many({ ...batch, shape: [2, 2, 2, 1] }).reds).toEqual([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ]);
    expect(many({ ...batch, shape: [2, 2, 2, 1] }, { layout: 'NCHW' }).rgba[0]).toEqual([1, 1, 1, 3, 2, 2, 2, 4]);
  });

  it('writes no more than maxOutputs', () => {
    expect(many(batch, { maxOutputs: 1 }).reds).toEqual([[1, 2, 3, 4]]);
    expect(many(batch, { maxOutputs: 9 }).reds.length).toBe(2);
    expect(() => imagesSummary(batch, { maxOutputs: 0 })).toThrow('expected maxOutputs to be at least 1');
  });

  it('given a file as if it were pixels says what to pass', () => {
    const png = new Uint8Array(Buffer.from('89504e470d0a1a0a0000000d', 'hex'));
    const hint = 'got the bytes of a PNG file: pass { encoded: bytes }';
    expect(() => imageSummary(png)).toThrow(hint);
    expect(() => imageSummary(Buffer.from(png))).toThrow(hint);
    expect(() => imageSummary(png.buffer as never)).toThrow('pass { encoded: new Uint8Array(bytes) }');
    expect(() => imageSummary(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0))).toThrow('of a JPEG file');
    expect(() => imageSummary(Buffer.from('GIF89a'))).toThrow('of a GIF file');
    expect(() => imageSummary('cat.png' as never)).toThrow('read the file, and pass { encoded: bytes }');
    const canvas = { width: 2, height: 2, getContext: () => null };
    expect(() => imageSummary(canvas as never)).toThrow('got a canvas: pass the ImageData of its context');
    expect(() => imageSummary('<svg xmlns="x"/>' as never)).toThrow('addFigure draws SVG');
    expect(() => imageSummary(Uint8Array.of(1, 2, 3))).toThrow('got the shape [3]');
  });

  it('is width and height alone for an empty batch, as TF writes it', () => {
    const summary = imagesSummary({ data: [], shape: [0, 5, 7, 3] }) as PluginSummary;
    expect(summary.tensor.tensorShape).toEqual({ dim: [{ size: 2 }] });
    expect(summary.tensor.stringVal?.map((text) => String(Buffer.from(text)))).toEqual(['7', '5']);
    expect(() => imagesSummary({ data: [], shape: [0, 0, 2] })).toThrow('expected at least one pixel');
    expect(() => imagesSummary([])).toThrow('got the shape [0]');
  });

  it('refuses an encoded image', () => {
    expect(() => imagesSummary({ encoded: new Uint8Array(4) })).toThrow('use addImage');
  });
});

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
// Written by Pillow 12.3: Image.new('RGB', (17, 9)).save(..., format).
const png = bytes('89504e470d0a1a0a0000000d49484452000000110000000908020000005b8a505b');
const gif = bytes('474946383761110009008100000000000000000000000000002c00000000110009');
const jpeg = bytes(
  'ffd8 ffe0 0010 4a46494600010100000100010000 ffdb 0043 00' +
    '08'.repeat(64) +
    'ffc0 0011 08 0009 0011 03 012200 021101 031101',
);

describe('encodedSize', () => {
  it.each([
    ['PNG', png],
    ['GIF', gif],
    ['JPEG', jpeg],
  ])('reads the size of a %s', (_, encoded) => {
    expect(encodedSize({ encoded }, 'image')).toEqual({ width: 17, height: 9 });
    expect(encodedSize({ encoded, width: 17, height: 9 }, 'image')).toEqual({ width: 17, height: 9 });
  });

  it('refuses another size than the file has', () => {
    expect(() => encodedSize({ encoded: png, width: 16 }, 'image "x"')).toThrow(
      `image "x": expected width to be the file's 17 pixels, got number 16`,
    );
  });

  it('refuses other files, torn ones and no bytes', () => {
    expect(() =>
      encodedSize({ encoded: new TextEncoder().encode('<svg width="3" height="4"></svg>') }, 'image'),
    ).toThrow(TypeError);
    expect(() => encodedSize({ encoded: jpeg.subarray(0, 30) }, 'image')).toThrow(TypeError);
    expect(() => encodedSize({ encoded: new Uint8Array(0) }, 'image')).toThrow(TypeError);
    expect(() => encodedSize({ encoded: 'abc' as never }, 'image "x"')).toThrow(
      'image "x": expected encoded to be a Uint8Array, got the string "abc"',
    );
  });
});

const black = (height: number, width: number) => ({ data: new Uint8Array(height * width), shape: [height, width] });

function draw(image: Numbers, boxes: Numbers, options?: BoxesOptions) {
  const png = PNG.sync.read(
    Buffer.from((boxesSummary(image, boxes, options) as PluginSummary).tensor.stringVal?.[2] as Uint8Array),
  );
  const at = (x: number, y: number) =>
    Array.from(png.data.subarray(4 * (y * png.width + x), 4 * (y * png.width + x) + 4));
  const lit = (x: number, y: number) =>
    at(x, y)
      .slice(0, 3)
      .some((value) => value > 0);
  return { png, at, lit };
}

describe('boxesSummary', () => {
  it('draws a frame whose outermost pixels are the corners it was given', () => {
    const { png, lit } = draw(black(20, 30), [[5, 6, 24, 15]]);
    const drawn: [number, number][] = [];
    for (let y = 0; y < png.height; y++) for (let x = 0; x < png.width; x++) if (lit(x, y)) drawn.push([x, y]);
    const xs = drawn.map(([x]) => x);
    const ys = drawn.map(([, y]) => y);
    expect([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]).toEqual([5, 6, 24, 15]);
    expect(lit(14, 10)).toBe(false);
  });

  it("leaves pixels outside the frame and the caller's image as they were", () => {
    const data = Uint8Array.from({ length: 20 * 20 * 3 }, (_, i) => i % 256);
    const before = data.slice();
    const { at } = draw({ data, shape: [20, 20, 3] }, [[8, 8, 19, 19]]);
    expect(data).toEqual(before);
    expect(at(3, 2)).toEqual([...data.subarray(3 * (2 * 20 + 3), 3 * (2 * 20 + 3) + 3), 255]);
  });

  it('clips boxes at the border', () => {
    expect(() =>
      draw(black(10, 10), [
        [-5, -5, 40, 40],
        [100, 100, 200, 200],
        [-1e9, 3, 1e9, 5],
      ]),
    ).not.toThrow();
  });

  it('writes labels in dark ink above their boxes, and gives equal labels one color', () => {
    const { at, lit } = draw(
      black(60, 80),
      [
        [10, 30, 40, 50],
        [50, 30, 70, 50],
        [10, 52, 20, 58],
      ],
      { labels: ['cat', 'dog', 'cat'] },
    );
    expect(lit(11, 20)).toBe(true);
    expect(at(10, 40)).toEqual([230, 159, 0, 255]);
    expect(at(50, 40)).toEqual([86, 180, 233, 255]);
    expect(at(10, 55)).toEqual([230, 159, 0, 255]);
    expect(at(13, 21)).toEqual(expect.arrayContaining([255]));
  });

  it('keeps labels inside the image', () => {
    const { at } = draw(black(30, 60), [[50, 0, 59, 20]], { labels: ['right'] });
    expect([at(26, 5), at(27, 5)]).toEqual([
      [0, 0, 0, 255],
      [230, 159, 0, 255],
    ]);
  });

  it('takes four numbers for one box', () => {
    expect(draw(black(9, 9), [1, 1, 5, 5]).png.data).toEqual(draw(black(9, 9), [[1, 1, 5, 5]]).png.data);
  });

  it('accepts no boxes, and gray images with and without alpha', () => {
    expect(draw(black(3, 3), []).png.width).toBe(3);
    expect(draw({ data: Uint8Array.of(9, 100), shape: [1, 1, 2] }, []).at(0, 0)).toEqual([9, 9, 9, 100]);
  });

  it.each([
    ['corners the wrong way round', [[5, 5, 1, 9]], {}, 'box 0: expected xMin <= xMax'],
    ['NaN', [[Number.NaN, 0, 1, 1]], {}, 'box 0'],
    ['three numbers', [[1, 2, 3]], {}, 'expected boxes of shape [n, 4], got [1, 3]'],
    ['fewer labels', [[0, 0, 1, 1]], { labels: [] }, 'expected 1 labels, got 0'],
    ['a label that is no text', [[0, 0, 1, 1]], { labels: [3] }, 'label 0: expected a string, got number 3'],
  ])('refuses %s', (_, boxes, options, message) => {
    expect(() => boxesSummary(black(9, 9), boxes, options as BoxesOptions, 'boxes "b"')).toThrow(message);
    expect(() => boxesSummary(black(9, 9), boxes, options as BoxesOptions, 'boxes "b"')).toThrow(/^boxes "b"/);
  });

  it('refuses an encoded image', () => {
    expect(() => boxesSummary({ encoded: new Uint8Array(4) } as never, [])).toThrow(TypeError);
  });
});

const gifOf = (frames: Image, options = {}) =>
  (videoSummary(frames, options) as PluginSummary).tensor.stringVal?.[2] as Uint8Array;

describe('videoSummary', () => {
  it('is width, height and an animated GIF, for the images plugin', () => {
    const summary = videoSummary({ data: new Uint8Array(3 * 4 * 5 * 3), shape: [3, 4, 5, 3] }) as PluginSummary;
    const [width, height, gif] = summary.tensor.stringVal as Uint8Array[];
    expect([summary.plugin, summary.dataClass]).toEqual(['images', 3]);
    expect([Buffer.from(width).toString(), Buffer.from(height).toString()]).toEqual(['5', '4']);
    const decoded = framesOf(gif);
    expect(decoded).toMatchObject({ width: 5, height: 4, repeats: 0 });
    expect(decoded.frames.length).toBe(3);
  });

  it.each([
    ['NHWC', [3, 2, 2, 2, 1]],
    ['NCHW', [3, 2, 1, 2, 2]],
  ])('plays several videos side by side, in a grid: %s', (layout, shape) => {
    // Three videos of two frames of 2 x 2: every pixel has the number of its video and frame.
    const data = Uint8Array.from({ length: 24 }, (_, i) => 10 * (1 + Math.floor(i / 8)) + (Math.floor(i / 4) % 2));
    const decoded = framesOf(gifOf({ data, shape }, { layout }));
    expect(decoded).toMatchObject({ width: 4, height: 4 });
    for (const frame of [0, 1]) {
      const gray = Array.from(decoded.frames[frame].rgb).filter((_, i) => i % 3 === 0);
      const [one, two, three] = [10, 20, 30].map((video) => video + frame);
      const rows = [
        [one, one, two, two],
        [three, three, 0, 0],
      ];
      expect(gray).toEqual([...rows[0], ...rows[0], ...rows[1], ...rows[1]]);
    }
  });

  it('keeps frames of few colors exactly', () => {
    const data = Uint8Array.from(
      { length: 2 * 16 * 16 * 3 },
      (_, i) => [0, 100, 200, 255][(i * 7 + Math.floor(i / 91)) % 4],
    );
    const { frames } = framesOf(gifOf({ data, shape: [2, 16, 16, 3] }));
    expect(frames.flatMap(({ rgb }) => Array.from(rgb))).toEqual(Array.from(data));
  });

  it('keeps all 256 grays', () => {
    const data = Uint8Array.from({ length: 256 }, (_, i) => i);
    const { frames } = framesOf(gifOf({ data, shape: [1, 16, 16] }));
    expect(Array.from(frames[0].rgb.filter((_, i) => i % 3 === 0))).toEqual(Array.from(data));
  });

  it('approximates frames of many colors', () => {
    const data = Uint8Array.from(
      { length: 64 * 64 * 3 },
      (_, i) => (i % 3 === 0 ? Math.floor(i / 3) % 64 : Math.floor(i / 192)) * 4,
    );
    const { frames } = framesOf(gifOf({ data, shape: [1, 64, 64, 3] }));
    const error = frames[0].rgb.reduce((sum, value, i) => sum + Math.abs(value - data[i]), 0) / data.length;
    expect(error).toBeLessThan(8);
  });

  it('shows frames for the time that fps says, 4 by default', () => {
    const frames = { data: new Uint8Array(8), shape: [2, 2, 2] };
    expect(framesOf(gifOf(frames)).frames.map(({ delay }) => delay)).toEqual([25, 25]);
    expect(framesOf(gifOf(frames, { fps: 10 })).frames.map(({ delay }) => delay)).toEqual([10, 10]);
  });

  it('draws transparency over black', () => {
    const { frames } = framesOf(
      gifOf({ data: Uint8Array.of(200, 100, 0, 128, 200, 100, 0, 255), shape: [1, 1, 2, 4] }),
    );
    expect(Array.from(frames[0].rgb)).toEqual([100, 50, 0, 200, 100, 0]);
  });

  it('refuses no frames, a single image and odd speeds', () => {
    expect(() => gifOf({ data: [], shape: [0, 2, 2] })).toThrow('at least one frame');
    expect(() => gifOf({ data: new Uint8Array(4), shape: [2, 2] })).toThrow('expected 4 axes for layout NHWC');
    for (const fps of [0, -1, 101, Number.NaN])
      expect(() => gifOf({ data: [0], shape: [1, 1, 1] }, { fps })).toThrow('expected fps');
    expect(() => videoSummary({ encoded: new Uint8Array(4) })).toThrow('use addImage');
  });
});
