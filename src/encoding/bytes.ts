/**
 * Operations on plain bytes that every binary format here needs: joining, comparing and hashing them, and numbers in
 * little-endian order, which TFRecord, TensorProto and .npy files all use.
 */

/** Joins all parts into one array. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Whether `bytes[start, end)` holds exactly `expected`. */
export function equalBytes(expected: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (expected.length !== end - start) return false;
  for (let at = 0; at < expected.length; at++) if (expected[at] !== bytes[start + at]) return false;
  return true;
}

/**
 * 32-bit FNV-1a hash of `bytes[start, end)`, as a signed integer.
 *
 * @param seed where it begins; FNV-1a's own beginning by default
 *
 * Source: http://www.isthe.com/chongo/tech/comp/fnv/
 */
export function fnv1a(bytes: Uint8Array, start = 0, end: number = bytes.length, seed = 0x811c9dc5): number {
  let hash = seed;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193);
  return hash;
}

/**
 * Makes something when it is first asked for, and the same one from then on. Coders of UTF-8 are made so: an environment may lack them
 * (jsdom does) in which a module is imported and nothing is encoded.
 */
export function lazy<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** Encodes UTF-8. */
export const utf8Encoder: () => TextEncoder = /* @__PURE__ */ lazy(() => new TextEncoder());

/** The FNV-1a hash of a text's UTF-8 bytes as eight hexadecimal digits: it distinguishes names that had to be shortened. */
export function fnv1aHex(text: string): string {
  return (fnv1a(new TextEncoder().encode(text)) >>> 0).toString(16).padStart(8, '0');
}

/** Reads the little-endian uint32 at `position`. */
export function readUint32(bytes: Uint8Array, position: number): number {
  return (
    (bytes[position] | (bytes[position + 1] << 8) | (bytes[position + 2] << 16) | (bytes[position + 3] << 24)) >>> 0
  );
}

const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The bytes of numbers in little-endian order: a view of the same memory, or a copy if the host is big-endian. */
export function toLittleEndian(values: Float32Array | Float64Array | Int32Array): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return hostIsLittleEndian ? bytes : reverseEach(bytes.slice(), values.BYTES_PER_ELEMENT);
}

/** Copies little-endian numbers of `width` bytes each into memory that is aligned and in the host's order. */
export function fromLittleEndian(bytes: Uint8Array, width: number): ArrayBuffer {
  const copy = new Uint8Array(bytes);
  return (hostIsLittleEndian ? copy : reverseEach(copy, width)).buffer;
}

function reverseEach(bytes: Uint8Array<ArrayBuffer>, width: number): Uint8Array<ArrayBuffer> {
  for (let start = 0; start < bytes.length; start += width) bytes.subarray(start, start + width).reverse();
  return bytes;
}
