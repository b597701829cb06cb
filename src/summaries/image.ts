/**
 * Images as users have them: pixels are encoded as PNG, files that are encoded already are checked by their headers, and SVG
 * documents are drawn. As which summaries they are stored `image-file.ts` says.
 */
import { checkRenderer, drawSvg } from '#platform';
import { encodePngs } from '../drawing/png-threads.js';
import { describe, messageOf } from '../errors.js';
import { type EncodedImage, encodedSize, encodedSummary, isEncodedImage } from './image-file.js';
import { type Later, type Numbers, whenRead } from './numbers.js';
import {
  type CanvasPixels,
  type ImageLayout,
  type ImagesLayout,
  readPixelNumbers,
  toPixels,
  toPixelsBatch,
} from './pixels.js';
import type { PluginSummary } from './plugin-summary.js';

/**
 * An image: pixels as numbers (uint8 and int32: 0..255; float arrays and plain arrays: 0..1), a canvas's ImageData, or an
 * encoded file.
 */
export type ImageInput = Numbers | CanvasPixels | EncodedImage;

/** @deprecated Use ImageInput. */
export type Image = ImageInput;

/** Options of addImage. */
export interface ImageOptions {
  /** Order of the axes. Default: HW if there are two, else HWC. */
  layout?: ImageLayout;
}

/** Options of addImages. */
export interface ImagesOptions {
  /** Order of the axes. Default: NHW if there are three, else NHWC. */
  layout?: ImagesLayout;
  /** At most this many images are written, the first ones. Default: all. */
  maxOutputs?: number;
}

/** One image for TensorBoard's images dashboard, encoded as PNG unless it is encoded already. */
export function imageSummary(image: ImageInput, options: ImageOptions = {}, call = 'image'): Later<PluginSummary> {
  if (isEncodedImage(image)) {
    const { width, height } = encodedSize(image, call);
    // A copy: the summary may have to wait for earlier ones, and the caller may overwrite the file meanwhile.
    return encodedSummary(width, height, [new Uint8Array(image.encoded)]);
  }
  refuseFile(image, call);
  return whenRead(readPixelNumbers(image, call), (numbers) => {
    const { width, height, images, remark } = toPixels(numbers, options.layout, call);
    return whenRead(encodePngs(images), (files) => encodedSummary(width, height, files, remark));
  });
}

/** Several images of one size under one tag; TensorBoard shows them as samples beside each other. */
export function imagesSummary(batch: ImageInput, options: ImagesOptions = {}, call = 'images'): Later<PluginSummary> {
  const { maxOutputs = Number.POSITIVE_INFINITY } = options;
  if (!(maxOutputs >= 1))
    throw new RangeError(`${call}: expected maxOutputs to be at least 1, got ${describe(maxOutputs)}`);
  if (isEncodedImage(batch))
    throw new TypeError(`${call}: expected a batch of pixels, got an encoded image: use addImage`);
  return whenRead(readPixelNumbers(batch, call), (numbers) => {
    const { width, height, images, remark } = toPixelsBatch(numbers, options.layout, call);
    const encoded = encodePngs(images.slice(0, maxOutputs));
    return whenRead(encoded, (files) => encodedSummary(width, height, files, remark));
  });
}

/**
 * An SVG document drawn as PNG, in the size it states, with the fonts of the system. The promise rejects if the document
 * cannot be drawn.
 *
 * @throws TypeError if it is no SVG document, MissingRendererError if in Node the package that draws is not installed
 */
export function figureSummary(svg: string, call = 'figure'): Promise<PluginSummary> {
  if (typeof svg !== 'string' || !/<(?:\w+:)?svg[\s>/]/.test(svg)) {
    throw new TypeError(`${call}: expected an SVG document, got ${describe(svg)}`);
  }
  checkRenderer(call);
  return drawSvg(svg).then(
    ({ encoded, width, height }) => encodedSummary(width, height, [encoded]),
    (cause) => {
      throw new Error(`${call}: ${messageOf(cause)}`, { cause });
    },
  );
}

/** How files of images begin. */
const fileFormats = [
  { name: 'PNG', begin: [0x89, 0x50, 0x4e, 0x47] },
  { name: 'JPEG', begin: [0xff, 0xd8, 0xff] },
  { name: 'GIF', begin: [0x47, 0x49, 0x46, 0x38] },
];

/** @throws TypeError if an image is a file's bytes, its path or its text, which only look like numbers, or a canvas */
function refuseFile(image: unknown, call: string): void {
  if (typeof image === 'string') {
    const advice = /<(?:\w+:)?svg[\s>/]/.test(image)
      ? 'addFigure draws SVG'
      : 'read the file, and pass { encoded: bytes }';
    throw new TypeError(`${call}: expected pixels or an encoded image, got ${describe(image)}: ${advice}`);
  }
  if (typeof (image as { getContext?: unknown } | null)?.getContext === 'function') {
    throw new TypeError(`${call}: expected pixels, got a canvas: pass the ImageData of its context, by getImageData`);
  }
  const bytes = image instanceof ArrayBuffer ? new Uint8Array(image) : image;
  if (!(bytes instanceof Uint8Array)) return;
  const format = fileFormats.find(({ begin }) => begin.every((byte, i) => bytes[i] === byte))?.name;
  if (format === undefined) return;
  const given = bytes === image ? 'bytes' : 'new Uint8Array(bytes)';
  throw new TypeError(`${call}: expected pixels, got the bytes of a ${format} file: pass { encoded: ${given} }`);
}
