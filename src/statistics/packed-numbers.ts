import { describe } from '../errors.js';

/*
 * Numbers as bytes and back, with a checksum: what the small formats of this room share.
 *
 * Little-endian: 8 bytes of ASCII that name the kind and its version, uint32 checksum of all other bytes (see `checksumOf`),
 * uint32 count of the single numbers, these as float64; then each array: its length as float64, its numbers, and zeros up to a
 * multiple of 8 bytes.
 */

type Packed = Uint8Array | Float32Array | Float64Array;

/** Where the checksum stands. */
const CHECKSUM_AT = 8;
const HEADER_BYTES = 16;

/** Whether this machine stores numbers as the formats have them. */
export const isLittleEndian: boolean = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Turns the bytes of each number around, in place, on machines that store numbers the other way. */
export function inLittleEndian(bytes: Uint8Array, width: number): void {
  if (isLittleEndian || width === 1) return;
  for (let at = 0; at < bytes.length; at += width) bytes.subarray(at, at + width).reverse();
}

/** Bytes whose words this machine reads as little-endian ones: the same bytes or, if need be, a copy. */
function asWords(bytes: Uint8Array): Uint32Array {
  const isUsable = isLittleEndian && bytes.byteOffset % 4 === 0;
  const words = isUsable ? bytes : bytes.slice();
  if (!isUsable) inLittleEndian(words, 4);
  return new Uint32Array(words.buffer, words.byteOffset, words.length >> 2);
}

/** Spreads each word over the sum, one to one. @param own the word that does not count */
function chained(start: number, words: Uint32Array, from: number, to: number, own = -1): number {
  let sum = start;
  for (let i = from; i < to; i++) {
    if (i === own) continue;
    sum = Math.imul(sum ^ words[i], 0x01000193);
    sum ^= sum >>> 15;
  }
  return sum;
}

/** Words at the front that hold the header. */
const HEADER_WORDS = 16;

/**
 * A number of 32 bits that changes with any one word, and but for one time in 2^32 with any other damage: each step maps the
 * sum one to one, and spreads its high bits to the low ones. It is for damage, not against forgery.
 *
 * A step waits for the one before. So the words after the header are summed in eight lanes, which wait for nothing of each other.
 *
 * @param bytes whole words of 4 bytes
 * @param at where the checksum's own word stands, which does not count, in the first 64 bytes
 */
export function checksumOf(bytes: Uint8Array, at: number): number {
  const words = asWords(bytes);
  const { length } = words;
  let sum = chained(0x811c9dc5, words, 0, Math.min(length, HEADER_WORDS), at / 4);
  let [a, b, c, d, e, f, g, h] = [1, 2, 3, 4, 5, 6, 7, 8];
  let i = HEADER_WORDS;
  for (; i + 8 <= length; i += 8) {
    a = Math.imul(a ^ words[i], 0x01000193);
    b = Math.imul(b ^ words[i + 1], 0x01000193);
    c = Math.imul(c ^ words[i + 2], 0x01000193);
    d = Math.imul(d ^ words[i + 3], 0x01000193);
    e = Math.imul(e ^ words[i + 4], 0x01000193);
    f = Math.imul(f ^ words[i + 5], 0x01000193);
    g = Math.imul(g ^ words[i + 6], 0x01000193);
    h = Math.imul(h ^ words[i + 7], 0x01000193);
    a ^= a >>> 15;
    b ^= b >>> 15;
    c ^= c >>> 15;
    d ^= d >>> 15;
    e ^= e >>> 15;
    f ^= f >>> 15;
    g ^= g >>> 15;
    h ^= h >>> 15;
  }
  sum = chained(sum, words, i, length);
  sum = chained(sum, Uint32Array.of(a, b, c, d, e, f, g, h), 0, 8);
  return sum >>> 0;
}

/** @param kind 8 ASCII characters: what it is, and the version of its format */
export function pack(kind: string, numbers: readonly number[], arrays: readonly Packed[]): Uint8Array {
  const length = arrays.reduce(
    (sum, { byteLength }) => sum + 8 + padded(byteLength),
    HEADER_BYTES + numbers.length * 8,
  );
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(kind));
  view.setUint32(12, numbers.length, true);
  for (const [i, number] of numbers.entries()) view.setFloat64(HEADER_BYTES + 8 * i, number, true);
  let at = HEADER_BYTES + 8 * numbers.length;
  for (const array of arrays) {
    view.setFloat64(at, array.length, true);
    const own = bytes.subarray(at + 8, at + 8 + array.byteLength);
    own.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    inLittleEndian(own, array.BYTES_PER_ELEMENT);
    at += 8 + padded(array.byteLength);
  }
  view.setUint32(CHECKSUM_AT, checksumOf(bytes, CHECKSUM_AT), true);
  return bytes;
}

/**
 * What `pack` made bytes of, in arrays of its own.
 *
 * @param count of the single numbers
 * @param types of the arrays
 * @throws RangeError if the bytes are of another kind, or damaged
 */
export function unpack<const T extends readonly (typeof Uint8Array | typeof Float32Array | typeof Float64Array)[]>(
  kind: string,
  bytes: Uint8Array,
  count: number,
  types: T,
): { numbers: number[]; arrays: { -readonly [i in keyof T]: InstanceType<T[i]> } } {
  const found = String.fromCharCode(...bytes.subarray(0, kind.length));
  if (found !== kind) {
    throw new RangeError(`fromBytes: expected bytes that start with "${kind}", got ${describe(found || bytes)}`);
  }
  const damage = () => new RangeError(`fromBytes: expected undamaged bytes of "${kind}", got others`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES || bytes.length % 8 !== 0) throw damage();
  if (view.getUint32(CHECKSUM_AT, true) !== checksumOf(bytes, CHECKSUM_AT)) throw damage();
  let at = HEADER_BYTES + 8 * count;
  if (view.getUint32(12, true) !== count || at > bytes.length) throw damage();
  const numbers = Array.from({ length: count }, (_, i) => view.getFloat64(HEADER_BYTES + 8 * i, true));
  const arrays = types.map((type) => {
    const length = at + 8 <= bytes.length ? view.getFloat64(at, true) : -1;
    const size = length * type.BYTES_PER_ELEMENT;
    if (!(Number.isSafeInteger(length) && length >= 0 && at + 8 + padded(size) <= bytes.length)) throw damage();
    const array = new type(length);
    const own = new Uint8Array(array.buffer);
    own.set(bytes.subarray(at + 8, at + 8 + size));
    inLittleEndian(own, type.BYTES_PER_ELEMENT);
    at += 8 + padded(size);
    return array;
  });
  if (at !== bytes.length) throw damage();
  return { numbers, arrays: arrays as { -readonly [i in keyof T]: InstanceType<T[i]> } };
}

function padded(length: number): number {
  return Math.ceil(length / 8) * 8;
}
