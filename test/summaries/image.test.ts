import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { readFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { type Image, imageSummary, imagesSummary } from '../../src/summaries/image.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';

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

  it('takes uint8 as 0..255 and floats and plain arrays as 0..1', () => {
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

  it('takes int32 tensors as 0..255, bool tensors as black and white', () => {
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

  it.each([1, 2, 3, 4])('takes %i channels', (channels) => {
    const pixel = [10, 20, 30, 40].slice(0, channels);
    const rgba = { 1: [10, 10, 10, 255], 2: [10, 10, 10, 20], 3: [10, 20, 30, 255], 4: [10, 20, 30, 40] }[channels];
    expect(one({ data: Uint8Array.from([...pixel, ...pixel]), shape: [1, 2, channels] }).rgba).toEqual([
      [...(rgba ?? []), ...(rgba ?? [])],
    ]);
  });

  it('takes channels first where it is told so', () => {
    const planes = Uint8Array.of(1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24);
    const rgba = [1, 11, 21, 255, 2, 12, 22, 255, 3, 13, 23, 255, 4, 14, 24, 255];
    expect(one({ data: planes, shape: [3, 2, 2] }, { layout: 'CHW' }).rgba).toEqual([rgba]);
    expect(one({ data: Uint8Array.of(5, 6), shape: [1, 1, 2] }, { layout: 'CHW' }).reds).toEqual([[5, 6]]);
  });

  it('takes what a canvas gives', () => {
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

  it('refuses an empty batch and an encoded image', () => {
    expect(() => imagesSummary({ data: [], shape: [0, 2, 2] })).toThrow('at least one image');
    expect(() => imagesSummary({ encoded: new Uint8Array(4) })).toThrow('use addImage');
  });
});
