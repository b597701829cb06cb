import { describe } from './numbers.js';

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
