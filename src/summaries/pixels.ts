/**
 * Images as numbers become pixels of 8 bits: a canvas's ImageData or numbers of any accepted kind are read
 * (`readPixelNumbers`), and their axes, channels and range are turned into what the encoders of PNG and GIF take.
 */
import type { Pixels } from '../drawing/png.js';
import { describe } from '../errors.js';
import { isTypedArray, type Later, type Numbers, type NumericArray, outsideRange, readNumbers } from './numbers.js';

/** Order of the axes of one image: height, width, channels. */
export type ImageLayout = 'HWC' | 'CHW' | 'HW';
/** Order of the axes of a batch of images: N is the number of images. */
export type ImagesLayout = 'NHWC' | 'NCHW' | 'NHW';

/** Pixels as a canvas gives them (ImageData). */
export interface CanvasPixels {
  /** RGBA, 0..255: height x width x 4, row-major. */
  readonly data: Uint8ClampedArray | Uint8Array;
  /** Pixels per row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
}

/** Images of one size, as pixels of 8 bits. */
interface PixelBatch {
  readonly width: number;
  readonly height: number;
  /** May be empty. */
  readonly images: readonly Pixels[];
  /** What the user should know, if the numbers were clamped because they are in another range than expected. */
  readonly remark: string | undefined;
}

/** Reads an image, or a batch of images, that is not encoded yet. */
export function readPixelNumbers(image: Numbers | CanvasPixels, call: string): Later<NumericArray> {
  if (isCanvasPixels(image)) {
    return readNumbers({ data: image.data, shape: [image.height, image.width, 4] }, call);
  }
  return readNumbers(image, call);
}

function isCanvasPixels(image: unknown): image is CanvasPixels {
  if (typeof image !== 'object' || image === null || 'shape' in image) return false;
  const { data, width, height } = image as Partial<CanvasPixels>;
  return isTypedArray(data) && typeof width === 'number' && typeof height === 'number';
}

/**
 * Turns the numbers of one image into pixels of 8 bits, a batch of one. Numbers of type uint8 and int32 are 0..255 and clamped to that range,
 * booleans are black and white, all others are 0..1 and clamped to that range; NaN becomes 0.
 *
 * @param layout HW by default for two axes, HWC for three
 * @throws RangeError if the shape does not fit the layout or holds no pixel, or there are not 1 to 4 channels
 */
export function toPixels(image: NumericArray, layout: ImageLayout | undefined, call: string): PixelBatch {
  const { shape } = image;
  const known = checkLayout(layout ?? (shape.length === 2 ? 'HW' : 'HWC'), ['HW', 'HWC', 'CHW'], shape, call);
  return imagesOf({ ...image, shape: [1, ...shape] }, known, false, call);
}

/**
 * Turns the numbers of a batch into its images, each as `toPixels` does.
 *
 * @param layout NHW by default for three axes, NHWC for four
 * @throws RangeError as `toPixels` does
 */
export function toPixelsBatch(images: NumericArray, layout: ImagesLayout | undefined, call: string): PixelBatch {
  const { shape } = images;
  const known = checkLayout(layout ?? (shape.length === 3 ? 'NHW' : 'NHWC'), ['NHW', 'NHWC', 'NCHW'], shape, call);
  return imagesOf(images, known.slice(1) as ImageLayout, true, call);
}

/**
 * Turns the numbers of several videos into one video's frames, in each of which they stand side by side: in rows of as many
 * as the square root of their number, the rest black.
 *
 * @param videos their axes are those of `layout` with another in front; black fills the grid where there are fewer
 * @throws RangeError as `toPixels` does
 */
export function toPixelsGrid(videos: NumericArray, layout: ImagesLayout | undefined, call: string): PixelBatch {
  const [count, frames, ...axes] = videos.shape;
  const one = { ...videos, shape: [count * frames, ...axes] };
  const { images, remark, ...tile } = toPixelsBatch(one, layout, call);
  const columns = Math.ceil(Math.sqrt(count));
  const width = columns * tile.width;
  const height = Math.ceil(count / columns) * tile.height;
  const grids = Array.from({ length: frames }, (_, frame): Pixels => {
    const { channels } = images[frame];
    const data = new Uint8Array(width * height * channels);
    for (let video = 0; video < count; video++) {
      const left = (video % columns) * tile.width;
      const top = Math.floor(video / columns) * tile.height;
      for (let y = 0; y < tile.height; y++) {
        const row = images[video * frames + frame].data.subarray(y * tile.width * channels);
        data.set(row.subarray(0, tile.width * channels), ((top + y) * width + left) * channels);
      }
    }
    return { width, height, channels, data };
  });
  return { width, height, images: count > 0 ? grids : [], remark };
}

function checkLayout<L extends string>(layout: L, known: readonly L[], shape: readonly number[], call: string): L {
  if (!known.includes(layout)) {
    throw new RangeError(`${call}: expected layout ${known.join(', ')}, got ${describe(layout)}`);
  }
  if (layout.length !== shape.length) {
    throw new RangeError(
      `${call}: expected ${layout.length} axes for layout ${layout}, got the shape [${shape.join(', ')}]`,
    );
  }
  return layout;
}

function imagesOf(images: NumericArray, layout: ImageLayout, isBatch: boolean, call: string): PixelBatch {
  const [count, ...axes] = images.shape;
  const channelsFirst = layout === 'CHW';
  const height = axes[channelsFirst ? 1 : 0];
  const width = axes[channelsFirst ? 2 : 1];
  const channels = layout === 'HW' ? 1 : axes[channelsFirst ? 0 : 2];
  if (channels !== 1 && channels !== 2 && channels !== 3 && channels !== 4) {
    const other = layout === 'HWC' ? 'CHW' : 'HWC';
    const isOther = axes[layout === 'HWC' ? 0 : 2] <= 4;
    const advice = isOther ? `: give layout: '${isBatch ? `N${other}` : other}'` : '';
    throw new RangeError(
      `${call}: expected 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGBA) channels in layout ${layout}, got ${channels} in the shape [${axes.join(', ')}]${advice}`,
    );
  }
  if (height < 1 || width < 1)
    throw new RangeError(`${call}: expected at least one pixel, got the shape [${axes.join(', ')}]`);
  const size = height * width * channels;
  const bytes = toBytes(images);
  const pixels = Array.from({ length: count }, (_, index): Pixels => {
    const data = bytes.subarray(index * size, (index + 1) * size);
    return { width, height, channels, data: channelsFirst ? interleave(data, channels) : data };
  });
  return { width, height, images: pixels, remark: remarkOn(images) };
}

/** Whether the numbers of an image are 0..255, not 0..1. */
function isBytes({ dtype }: NumericArray): boolean {
  return dtype === 'uint8' || dtype === 'int32';
}

function remarkOn(images: NumericArray): string | undefined {
  if (images.dtype === 'uint8' || images.dtype === 'bool') return undefined;
  const outside = outsideRange(images.values, 0, isBytes(images) ? 255 : 1);
  if (outside === undefined) return undefined;
  return isBytes(images)
    ? `${outside} and were clamped: scale integer pixels to 0..255, or give floats of 0..1`
    : `${outside} and were clamped: give pixels of 0..255 as a Uint8Array or divide them by 255, and scale [-1, 1] by (x + 1) / 2`;
}

function toBytes(images: NumericArray): Uint8Array {
  const { values, dtype } = images;
  if (values instanceof Uint8Array && dtype === 'uint8') return values;
  if (values instanceof Uint8ClampedArray && dtype === 'uint8')
    return new Uint8Array(values.buffer, values.byteOffset, values.length);
  const bytes = new Uint8ClampedArray(values.length); // clamps, rounds, and turns NaN into 0
  const scale = isBytes(images) ? 1 : 255;
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
