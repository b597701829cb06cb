import { encodePng, type Pixels } from '../drawing/png.js';
import { encodedSize } from './encoded-image.js';
import { type Later, whenRead } from './later.js';
import { describe, isTypedArray, type Numbers, type NumericArray, readNumbers } from './numbers.js';
import { type ImageLayout, type ImagesLayout, toPixels, toPixelsBatch } from './pixels.js';
import type { PluginSummary } from './plugin-summary.js';
import { DataClass } from './plugin-summary.js';
import { stringTensor } from './tensors.js';

/** An image that is already a PNG, JPEG or GIF file; width and height in pixels are read from it where they are left out. */
export interface EncodedImage {
  readonly encoded: Uint8Array;
  readonly width?: number;
  readonly height?: number;
}

/** What a canvas gives: RGBA, 0..255. */
export interface CanvasPixels {
  readonly data: Uint8ClampedArray | Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Pixels as numbers (uint8 and int32: 0..255; float arrays and plain arrays: 0..1), a canvas's ImageData, or an encoded file. */
export type Image = Numbers | CanvasPixels | EncodedImage;

/** Options of a single image. */
export interface ImageOptions {
  /** Default: HW where there are two axes, else HWC. */
  layout?: ImageLayout;
}

/** Options of a batch of images. */
export interface ImagesOptions {
  /** Default: NHW where there are three axes, else NHWC. */
  layout?: ImagesLayout;
  /** Images beyond this many are not written. Default: all are. */
  maxOutputs?: number;
}

/** True for an image that is already encoded. */
export function isEncodedImage(image: unknown): image is EncodedImage {
  return typeof image === 'object' && image !== null && 'encoded' in image;
}

/** One image for TensorBoard's images dashboard, encoded as PNG unless it is encoded already. */
export function imageSummary(image: Image, options: ImageOptions = {}, what = 'image'): Later<PluginSummary> {
  if (isEncodedImage(image)) {
    const { width, height } = encodedSize(image, what);
    // A copy: the event may have to wait for others, and the caller need not.
    return encodedSummary(width, height, [new Uint8Array(image.encoded)]);
  }
  return whenRead(readImage(image, what), (numbers) => pixelSummary([toPixels(numbers, options.layout, what)]));
}

/** Several images of one size under one tag; TensorBoard shows them as samples side by side. */
export function imagesSummary(images: Image, options: ImagesOptions = {}, what = 'images'): Later<PluginSummary> {
  const { maxOutputs = Number.POSITIVE_INFINITY } = options;
  if (!(maxOutputs >= 1))
    throw new RangeError(`${what}: expected maxOutputs to be at least 1, got ${describe(maxOutputs)}`);
  if (isEncodedImage(images))
    throw new TypeError(`${what}: expected a batch of pixels, got an encoded image: use addImage`);
  return whenRead(readImage(images, what), (numbers) => {
    if (numbers.shape[0] === 0)
      throw new RangeError(`${what}: expected at least one image, got the shape [${numbers.shape.join(', ')}]`);
    return pixelSummary(toPixelsBatch(numbers, options.layout, what).slice(0, maxOutputs));
  });
}

/** Reads pixels of every accepted kind except encoded files. */
export function readImage(image: Exclude<Image, EncodedImage>, what: string): Later<NumericArray> {
  if (isCanvasPixels(image)) {
    return readNumbers({ data: image.data, shape: [image.height, image.width, 4] }, what);
  }
  return readNumbers(image as Numbers, what);
}

function isCanvasPixels(image: unknown): image is CanvasPixels {
  if (typeof image !== 'object' || image === null || 'shape' in image) return false;
  const { data, width, height } = image as Partial<CanvasPixels>;
  return isTypedArray(data) && typeof width === 'number' && typeof height === 'number';
}

function pixelSummary(images: readonly Pixels[]): PluginSummary {
  return encodedSummary(images[0].width, images[0].height, images.map(encodePng));
}

/** An images summary of files that are encoded already: their width, their height, then each file. */
export function encodedSummary(width: number, height: number, files: readonly Uint8Array[]): PluginSummary {
  return {
    plugin: 'images',
    dataClass: DataClass.blobSequence,
    tensor: stringTensor([String(width), String(height), ...files], [2 + files.length]),
  };
}
