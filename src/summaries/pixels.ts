import type { Pixels } from '../drawing/png.js';
import { describe } from '../errors.js';
import type { NumericArray } from './numbers.js';

/** Where the axes of one image are: height, width, channels. */
export type ImageLayout = 'HWC' | 'CHW' | 'HW';
/** Where the axes of a batch of images are. */
export type ImagesLayout = 'NHWC' | 'NCHW' | 'NHW';

/**
 * Numbers -> pixels of 8 bits. uint8 and int32 numbers are 0..255 and clamped to it, booleans are black and white, all others
 * are 0..1 and clamped to it; NaN becomes 0.
 *
 * @param layout default: HW for two axes, HWC for three
 */
export function toPixels(image: NumericArray, layout: ImageLayout | undefined, what: string): Pixels {
  const { shape } = image;
  const axes = layout ?? (shape.length === 2 ? 'HW' : 'HWC');
  return batchToPixels(
    { ...image, shape: [1, ...shape] },
    checkLayout(axes, ['HW', 'HWC', 'CHW'], shape, what),
    what,
  )[0];
}

/**
 * A batch of numbers -> its images, as `toPixels` reads each.
 *
 * @param layout default: NHW for three axes, NHWC for four
 */
export function toPixelsBatch(images: NumericArray, layout: ImagesLayout | undefined, what: string): Pixels[] {
  const { shape } = images;
  const axes = layout ?? (shape.length === 3 ? 'NHW' : 'NHWC');
  const known = checkLayout(axes, ['NHW', 'NHWC', 'NCHW'], shape, what);
  return batchToPixels(images, known.slice(1) as ImageLayout, what);
}

function checkLayout<L extends string>(layout: L, known: readonly L[], shape: readonly number[], what: string): L {
  if (!known.includes(layout))
    throw new RangeError(`${what}: expected layout ${known.join(', ')}, got ${describe(layout)}`);
  if (layout.length !== shape.length) {
    throw new RangeError(`${what}: layout ${layout} needs ${layout.length} axes, got the shape [${shape.join(', ')}]`);
  }
  return layout;
}

function batchToPixels(images: NumericArray, layout: string, what: string): Pixels[] {
  const [count, ...axes] = images.shape;
  const channelsFirst = layout === 'CHW';
  const height = axes[channelsFirst ? 1 : 0];
  const width = axes[channelsFirst ? 2 : 1];
  const channels = layout === 'HW' ? 1 : axes[channelsFirst ? 0 : 2];
  if (channels !== 1 && channels !== 2 && channels !== 3 && channels !== 4) {
    throw new RangeError(
      `${what}: expected 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels in layout ${layout}, got ${channels} in the shape [${axes.join(', ')}]`,
    );
  }
  if (height < 1 || width < 1)
    throw new RangeError(`${what}: expected at least one pixel, got the shape [${axes.join(', ')}]`);
  const size = height * width * channels;
  const bytes = toBytes(images);
  return Array.from({ length: count }, (_, index) => {
    const data = bytes.subarray(index * size, (index + 1) * size);
    return { width, height, channels, data: channelsFirst ? interleave(data, channels) : data };
  });
}

function toBytes({ values, dtype }: NumericArray): Uint8Array {
  if (values instanceof Uint8Array && dtype === 'uint8') return values;
  if (values instanceof Uint8ClampedArray && dtype === 'uint8')
    return new Uint8Array(values.buffer, values.byteOffset, values.length);
  const bytes = new Uint8ClampedArray(values.length); // clamps, rounds, and turns NaN into 0
  const scale = dtype === 'uint8' || dtype === 'int32' ? 1 : 255;
  for (let i = 0; i < bytes.length; i++) bytes[i] = values[i] * scale;
  return new Uint8Array(bytes.buffer);
}

function interleave(planes: Uint8Array, channels: number): Uint8Array {
  if (channels === 1) return planes;
  const pixels = new Uint8Array(planes.length);
  const size = planes.length / channels;
  for (let channel = 0, from = 0; channel < channels; channel++) {
    for (let to = channel; from < (channel + 1) * size; from++, to += channels) pixels[to] = planes[from];
  }
  return pixels;
}
