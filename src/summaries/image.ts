import { drawSvg } from '#platform';
import { encodePng, type Pixels } from '../drawing/png.js';
import { decodeMessage } from '../encoding/protobuf.js';
import { describe } from '../errors.js';
import type { ImagesValue, TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { isTypedArray, type Later, type Numbers, type NumericArray, readNumbers, whenRead } from './numbers.js';
import { type ImageLayout, type ImagesLayout, toPixels, toPixelsBatch } from './pixels.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { stringTensor, textOf } from './tensor.js';

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

/** The image files in an images tensor: width and height as decimal text, then the files. */
export function decodeImages({ data, dtype, shape }: TensorValue): ImagesValue | undefined {
  if (dtype !== 'string' || shape.length !== 1 || data.length < 2) return undefined;
  const [width, height, ...encoded] = data as Uint8Array[];
  const size = [width, height].map(readDecimal);
  if (size.some(Number.isNaN)) return undefined;
  return { width: size[0], height: size[1], encoded };
}

/** Returns NaN unless the bytes are ASCII digits. */
function readDecimal(bytes: Uint8Array): number {
  const text = bytes.length > 0 && bytes.length <= 10 ? textOf(bytes) : '';
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

/** The image file in a Summary.Image message, in which TF1 stores it. */
export function decodeImageProto(bytes: Uint8Array): ImagesValue {
  const { width, height, encodedImageString } = decodeMessage(tensorboard.Summary.Image, bytes);
  return { width: width ?? 0, height: height ?? 0, encoded: [encodedImageString ?? new Uint8Array(0)] };
}

/**
 * Width and height of a PNG, JPEG or GIF file, read from its header.
 *
 * @throws TypeError where the bytes are none of these, RangeError where a size that is given is not the file's
 */
export function encodedSize(
  image: { readonly encoded: Uint8Array; readonly width?: number; readonly height?: number },
  what: string,
): { width: number; height: number } {
  const bytes: unknown = image.encoded;
  if (!(bytes instanceof Uint8Array))
    throw new TypeError(`${what}: expected encoded to be a Uint8Array, got ${describe(bytes)}`);
  const size = pngSize(bytes) ?? gifSize(bytes) ?? jpegSize(bytes);
  if (size === undefined)
    throw new TypeError(`${what}: expected encoded to be a PNG, JPEG or GIF file, got ${bytes.length} other bytes`);
  for (const side of ['width', 'height'] as const) {
    if (image[side] !== undefined && image[side] !== size[side]) {
      throw new RangeError(`${what}: the file's ${side} is ${size[side]} pixels, got ${describe(image[side])}`);
    }
  }
  return size;
}

type Size = { width: number; height: number };

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** https://www.w3.org/TR/png-3/#11IHDR */
function pngSize(bytes: Uint8Array): Size | undefined {
  if (bytes.length < 24) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0) !== 0x89504e47 || view.getUint32(4) !== 0x0d0a1a0a) return undefined;
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** https://www.w3.org/Graphics/GIF/spec-gif89a.txt, section 18 */
function gifSize(bytes: Uint8Array): Size | undefined {
  if (bytes.length < 13) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0) !== 0x47494638) return undefined; // "GIF8"
  return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
}

/** The start-of-frame marker holds the size: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.2.2 */
function jpegSize(bytes: Uint8Array): Size | undefined {
  if (bytes.length < 4 || bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  const view = viewOf(bytes);
  for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++; // fill bytes may precede a marker
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    at += 2 + view.getUint16(at + 2);
  }
  return undefined;
}

/**
 * Draws an SVG document as PNG, in the size it states, with the fonts of the system.
 *
 * @throws Error where it cannot be drawn; in Node also, naming the command that installs it, where the renderer is absent
 */
export async function renderFigure(svg: string, what = 'figure'): Promise<Required<EncodedImage>> {
  try {
    return await drawSvg(svg);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Refuses at once what can be no SVG document, so that the caller of addFigure sees the error.
 *
 * @throws TypeError
 */
export function checkSvg(svg: unknown, what = 'figure'): asserts svg is string {
  if (typeof svg !== 'string' || !/<(?:\w+:)?svg[\s>/]/.test(svg)) {
    throw new TypeError(`${what}: expected an SVG document, got ${describe(svg)}`);
  }
}
