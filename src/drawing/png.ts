/** PNG files from pixels, on any thread. */
import type { DeflateEffort, Zlib } from '../platform/platform.js';

/** An image of 8 bits per channel. */
export interface Pixels {
  /** Pixels per row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA. */
  readonly channels: 1 | 2 | 3 | 4;
  /** height x width x channels, row-major. */
  readonly data: Uint8Array;
}

/**
 * Encodes pixels as a PNG file, without loss. They are read during the call.
 *
 * @returns the file, or a promise of it where zlib is not immediate
 */
export function encodePng(pixels: Pixels, zlib: Zlib): Uint8Array | Promise<Uint8Array> {
  const effort = effortFor(pixels);
  const deflated = zlib.deflate(filterRows(pixels, effort !== 'none'), effort);
  const finish = (bytes: Uint8Array) => assemble(pixels, bytes, zlib.crc32);
  return deflated instanceof Promise ? deflated.then(finish) : finish(deflated);
}

/** https://www.w3.org/TR/png-3/#5PNG-file-signature */
const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
/** Color type by number of channels: https://www.w3.org/TR/png-3/#6Colour-values */
const colorTypes = { 1: 0, 2: 4, 3: 2, 4: 6 } as const;
/** A byte is stored as its difference to the same byte of the pixel to its left: https://www.w3.org/TR/png-3/#9Filter-types */
const subFilter = 1;
const noFilter = 0;

/**
 * Differences to the left neighbor deflate far better than pixels, and the filter costs one subtraction per byte. Rows that
 * repeat few values (drawings) stay unfiltered: differences would only break up their runs.
 */
function filterRows({ width, height, channels, data }: Pixels, isFiltered: boolean): Uint8Array {
  const stride = width * channels;
  const rows = new Uint8Array((stride + 1) * height);
  for (let y = 0, to = 0, from = 0; y < height; y++, from += stride) {
    const end = from + stride;
    if (!isFiltered || isFlat(data, from, end, channels)) {
      rows[to++] = noFilter;
      rows.set(data.subarray(from, end), to);
      to += stride;
      continue;
    }
    rows[to++] = subFilter;
    for (let i = from; i < from + channels; i++) rows[to++] = data[i];
    for (let i = from + channels; i < end; i++) rows[to++] = data[i] - data[i - channels];
  }
  return rows;
}

/** Whether most pixels of a row equal the one to their left. */
function isFlat(data: Uint8Array, from: number, end: number, channels: number): boolean {
  let equal = 0;
  let compared = 0;
  for (let i = from + channels; i < end; i += 7, compared++) if (data[i] === data[i - channels]) equal++;
  return equal * 4 > compared * 3;
}

/**
 * Estimates how well an image will deflate, because searching for repetitions costs most if there are none. The estimate is
 * the entropy of the differences between neighbors in bits, sampled at every 17th byte: low for drawings and gradients, 4
 * to 6 for photographs, and close to 8 for noise, which cannot be made smaller.
 */
function effortFor({ channels, data }: Pixels): DeflateEffort {
  const counts = new Uint32Array(256);
  let sampled = 0;
  for (let i = channels; i < data.length; i += 17, sampled++) counts[(data[i] - data[i - channels]) & 255]++;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= (count / sampled) * Math.log2(count / sampled);
  if (bits > 7.6) return 'none';
  return bits > 3 ? 'runs' : 'search';
}

function assemble(
  { width, height, channels }: Pixels,
  deflated: Uint8Array,
  crc32: (bytes: Uint8Array) => number,
): Uint8Array {
  const png = new Uint8Array(signature.length + 3 * 12 + 13 + deflated.length);
  const view = new DataView(png.buffer);
  png.set(signature);
  let at = signature.length;
  const chunk = (type: string, length: number, fill: (start: number) => void) => {
    view.setUint32(at, length);
    for (let i = 0; i < 4; i++) png[at + 4 + i] = type.charCodeAt(i);
    fill(at + 8);
    view.setUint32(at + 8 + length, crc32(png.subarray(at + 4, at + 8 + length)));
    at += 12 + length;
  };
  // https://www.w3.org/TR/png-3/#11IHDR: compression, filter and interlace methods have the value 0
  chunk('IHDR', 13, (start) => {
    view.setUint32(start, width);
    view.setUint32(start + 4, height);
    png[start + 8] = 8;
    png[start + 9] = colorTypes[channels];
  });
  chunk('IDAT', deflated.length, (start) => png.set(deflated, start));
  chunk('IEND', 0, () => {});
  return png;
}

/** Images of one size that a thread shall encode, as they travel. */
export interface PixelsJob {
  readonly id: number;
  /** A number that says whether somebody encodes them, then their pixels. It is shared with the thread, or copied where memory is not. */
  readonly memory: ArrayBufferLike;
  readonly width: number;
  readonly height: number;
  readonly channels: Pixels['channels'];
}

/** What a thread answers. */
export interface EncodedJob {
  readonly id: number;
  /** The files; undefined if it could not encode them. */
  readonly files: Uint8Array[] | undefined;
}

const jobHeaderBytes = 4;

/** Copies images of one size, one at least, into a job. */
export function jobOf(id: number, images: readonly Pixels[], isShared: boolean): PixelsJob {
  const { width, height, channels } = images[0];
  const size = width * height * channels;
  const bytes = jobHeaderBytes + images.length * size;
  const memory = isShared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
  const copy = new Uint8Array(memory, jobHeaderBytes);
  for (const [index, { data }] of images.entries()) copy.set(data, index * size);
  return { id, memory, width, height, channels };
}

/** The images of a job. */
export function pixelsOf({ memory, width, height, channels }: PixelsJob): Pixels[] {
  const size = width * height * channels;
  return Array.from({ length: (memory.byteLength - jobHeaderBytes) / size }, (_, index) => {
    return { width, height, channels, data: new Uint8Array(memory, jobHeaderBytes + index * size, size) };
  });
}

/** Takes a job upon oneself; returns false if another thread that shares its memory has done so. */
export function takeJob({ memory }: PixelsJob): boolean {
  return Atomics.compareExchange(new Int32Array(memory, 0, 1), 0, 0, 1) === 0;
}
