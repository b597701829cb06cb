/**
 * Images as they are stored: encoded files behind their width and height, in both directions, and the size that a file's header
 * says. Nothing here encodes pixels, so that readers load no encoder.
 */
import { decodeMessage } from '../encoding/message-codec.js';
import { checkAttached, describe } from '../errors.js';
import type { ImagesValue, TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { stringTensor, textOf } from './tensor.js';

/** An image that is already encoded. */
export interface EncodedImage {
  /** A PNG, JPEG or GIF file. */
  readonly encoded: Uint8Array;
  /** Pixels; read from the file by default, and checked against it if given. */
  readonly width?: number;
  /** Pixels; read from the file by default, and checked against it if given. */
  readonly height?: number;
}

/** Whether an image is encoded already. */
export function isEncodedImage(image: unknown): image is EncodedImage {
  return typeof image === 'object' && image !== null && 'encoded' in image;
}

/** A summary of image files: their width and height in pixels as decimal text, then each file. */
export function encodedSummary(
  width: number,
  height: number,
  files: readonly Uint8Array[],
  remark?: string,
): PluginSummary {
  return {
    plugin: 'images',
    remark,
    dataClass: DataClass.blobSequence,
    tensor: stringTensor([String(width), String(height), ...files], [2 + files.length]),
  };
}

interface Size {
  width: number;
  height: number;
}

/**
 * Width and height of a PNG, JPEG or GIF file, read from its header.
 *
 * @throws TypeError if the bytes are none of these, RangeError if a width or height is given that is not the file's
 */
export function encodedSize(image: EncodedImage, call: string): Size {
  const bytes: unknown = image.encoded;
  if (!(bytes instanceof Uint8Array))
    throw new TypeError(`${call}: expected encoded to be a Uint8Array, got ${describe(bytes)}`);
  checkAttached(bytes, call);
  const size = pngSize(bytes) ?? gifSize(bytes) ?? jpegSize(bytes);
  if (size === undefined)
    throw new TypeError(`${call}: expected encoded to be a PNG, JPEG or GIF file, got ${bytes.length} other bytes`);
  for (const side of ['width', 'height'] as const) {
    if (image[side] !== undefined && image[side] !== size[side]) {
      throw new RangeError(
        `${call}: expected ${side} to be the file's ${size[side]} pixels, got ${describe(image[side])}`,
      );
    }
  }
  return size;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Source: https://www.w3.org/TR/png-3/#11IHDR */
function pngSize(bytes: Uint8Array): Size | undefined {
  if (bytes.length < 24) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0) !== 0x89504e47 || view.getUint32(4) !== 0x0d0a1a0a) return undefined;
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** Source: https://www.w3.org/Graphics/GIF/spec-gif89a.txt, section 18 */
function gifSize(bytes: Uint8Array): Size | undefined {
  if (bytes.length < 13) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0) !== 0x47494638) return undefined; // "GIF8"
  return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
}

/** The start-of-frame marker holds the size. Source: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.2.2 */
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

/** The image files in a tensor that `encodedSummary` describes. */
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
