import type { TensorValue } from '../event/event.js';

/** An array as a .npy file holds it. */
export interface NpyArray {
  /** Type of the numbers. Floats other than float32 are read as float64, and all integers as int64. */
  dtype: 'float64' | 'float32' | 'int64';
  /** Lengths of the axes; [] for a single number. */
  shape: number[];
  /** The numbers, row-major. */
  values: Float64Array;
}

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

/**
 * Encodes an array as a .npy file, version 1.0 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
 *
 * @throws RangeError if the shape does not hold that many values, or a value of an int64 array is not an integer
 */
export function encodeNpy({ dtype, shape, values }: NpyArray): Uint8Array {
  const size = shape.reduce((product, length) => product * length, 1);
  if (size !== values.length)
    throw new RangeError(`encodeNpy: expected ${size} values for the shape [${shape}], got ${values.length}`);
  const width = dtype === 'float32' ? 4 : 8;
  const { bytes, start } = npyFile({ float64: '<f8', float32: '<f4', int64: '<i8' }[dtype], shape, width * size);
  const view = new DataView(bytes.buffer);
  for (const [k, value] of values.entries()) {
    const at = start + width * k;
    if (dtype === 'float64') view.setFloat64(at, value, true);
    else if (dtype === 'float32') view.setFloat32(at, value, true);
    else view.setBigInt64(at, BigInt(value), true);
  }
  return bytes;
}

/** A file with its header, whose values are to be set from `start` on. */
function npyFile(descr: string, shape: readonly number[], size: number): { bytes: Uint8Array; start: number } {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`;
  // The header is padded so that the values begin at a multiple of 64 bytes.
  const header = `${dict.padEnd(Math.ceil((10 + dict.length + 1) / 64) * 64 - 11)}\n`;
  const start = 10 + header.length;
  const bytes = new Uint8Array(start + size);
  bytes.set(magic);
  bytes[6] = 1;
  new DataView(bytes.buffer).setUint16(8, header.length, true);
  bytes.set(new TextEncoder().encode(header), 10);
  return { bytes, start };
}

const hostOrder = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? '<' : '>';

/**
 * Encodes a tensor of any type as a .npy file. Strings become an array of bytes, whose elements numpy reads without NULs at their
 * end; numbers that JavaScript has as other types (half precision, quantized) have these types in the file, too.
 */
export function encodeTensorNpy({ data, dtype, shape }: TensorValue): Uint8Array {
  if (Array.isArray(data)) {
    const width = data.reduce((most, { length }) => Math.max(most, length), 1);
    const { bytes, start } = npyFile(`|S${width}`, shape, width * data.length);
    for (const [i, text] of data.entries()) bytes.set(text, start + width * i);
    return bytes;
  }
  const isComplex = dtype.startsWith('complex');
  const width = data.BYTES_PER_ELEMENT * (isComplex ? 2 : 1);
  const letter = dtype === 'bool' ? 'b' : isComplex ? 'c' : typeLetterOf(data);
  const { bytes, start } = npyFile(`${width === 1 ? '|' : hostOrder}${letter}${width}`, shape, data.byteLength);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
  return bytes;
}

function typeLetterOf(data: Exclude<TensorValue['data'], Uint8Array[]>): 'f' | 'u' | 'i' {
  if (data instanceof Float32Array || data instanceof Float64Array) return 'f';
  return /U/.test(data.constructor.name) ? 'u' : 'i';
}

const readers: Record<string, (view: DataView, at: number, little: boolean) => number> = {
  f8: (view, at, little) => view.getFloat64(at, little),
  f4: (view, at, little) => view.getFloat32(at, little),
  i8: (view, at, little) => Number(view.getBigInt64(at, little)),
  i4: (view, at, little) => view.getInt32(at, little),
  i2: (view, at, little) => view.getInt16(at, little),
  i1: (view, at) => view.getInt8(at),
  u8: (view, at, little) => Number(view.getBigUint64(at, little)),
  u4: (view, at, little) => view.getUint32(at, little),
  u2: (view, at, little) => view.getUint16(at, little),
  u1: (view, at) => view.getUint8(at),
  b1: (view, at) => view.getUint8(at),
};

/** As many as numpy's arrays have. */
const maxAxes = 64;

/**
 * Reads a .npy file of any real number type, either byte order, row- or column-major.
 *
 * @param source name of the file in errors
 * @throws RangeError if it is not such a file, is cut short or goes on behind its values
 */
export function decodeNpy(bytes: Uint8Array, source = 'the bytes'): NpyArray {
  const refuse = (why: string): never => {
    throw new RangeError(`${source}: expected a .npy file of real numbers, got ${why}`);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || magic.some((byte, k) => bytes[k] !== byte))
    refuse('one that does not begin with \\x93NUMPY');
  if (bytes[6] < 1 || bytes[6] > 3) refuse(`version ${bytes[6]}`);
  const lengthBytes = bytes[6] === 1 ? 2 : 4;
  const start = 8 + lengthBytes + (lengthBytes === 2 ? view.getUint16(8, true) : view.getUint32(8, true));
  if (start > bytes.length) refuse('a header that is cut short');
  const header = new TextDecoder().decode(bytes.subarray(8 + lengthBytes, start));
  const descr = /'descr':\s*'([<>|=])([a-z]\d)'/.exec(header);
  const dims = /'shape':\s*\(([\d\s,]*)\)/.exec(header);
  if (!descr || !dims || !readers[descr[2]]) return refuse(`the header ${header.trim()}`);
  const shape = dims[1]
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);
  const size = shape.reduce((product, length) => product * length, 1);
  if (shape.length > maxAxes || ![...shape, size].every(Number.isSafeInteger)) {
    return refuse(`a shape that no array has: (${dims[1].slice(0, 80)})`);
  }
  const width = Number(descr[2][1]);
  if (bytes.length !== start + size * width) refuse(`${bytes.length - start} of ${size * width} bytes`);
  const values = new Float64Array(size);
  const columnMajor = /'fortran_order':\s*True/.test(header);
  for (let k = 0; k < size; k++) {
    values[columnMajor ? rowMajorIndex(k, shape) : k] = readers[descr[2]](view, start + k * width, descr[1] !== '>');
  }
  const dtype = descr[2] === 'f4' ? 'float32' : descr[2] === 'f8' ? 'float64' : 'int64';
  return { dtype, shape, values };
}

/** Index in row-major order of the k-th value in column-major order. */
function rowMajorIndex(k: number, shape: number[]): number {
  let index = 0;
  let stride = shape.reduce((product, length) => product * length, 1);
  for (const length of shape) {
    stride /= length;
    index += (k % length) * stride;
    k = Math.floor(k / length);
  }
  return index;
}

/**
 * What the file epoch_counter.pkl of Delve's npy writer holds: the last epoch saved in each folder, as a pickled
 * dictionary in the order in which the folders were first written. Delve needs it to resume; this package only takes the
 * order from it.
 *
 * Opcodes: https://github.com/python/cpython/blob/main/Lib/pickletools.py
 */
export type EpochCounter = Map<string, number>;

/** Encodes the counter as a pickle (protocol 2), which Python's pickle.load reads as a dict of str to int. */
export function encodeEpochCounter(counter: EpochCounter): Uint8Array {
  const parts: number[] = [0x80, 2, 0x7d, 0x28]; // PROTO 2, EMPTY_DICT, MARK
  const integer = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255];
  for (const [name, epoch] of counter) {
    const text = new TextEncoder().encode(name);
    parts.push(0x58, ...integer(text.length), ...text); // BINUNICODE
    parts.push(0x4a, ...integer(epoch)); // BININT
  }
  parts.push(0x75, 0x2e); // SETITEMS, STOP
  return Uint8Array.from(parts);
}

/**
 * Decodes the counter from a pickle of a plain dictionary of strings and integers. Returns undefined for any other
 * pickle: nothing is executed, and the file names hold the epochs as well.
 */
export function decodeEpochCounter(bytes: Uint8Array): EpochCounter | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const counter: EpochCounter = new Map();
  let name: string | undefined;
  const addItem = (value: string | number) => {
    if (typeof value === 'string') name = value;
    else if (name !== undefined) counter.set(name, value);
  };
  const text = (from: number, length: number) => {
    addItem(new TextDecoder().decode(bytes.subarray(from, from + length)));
    return from + length;
  };
  let at = 0;
  try {
    while (at < bytes.length) {
      const opcode = bytes[at++];
      if (opcode === 0x2e)
        return counter; // STOP
      else if (opcode === 0x80)
        at += 1; // PROTO
      else if (opcode === 0x95)
        at += 8; // FRAME
      else if (opcode === 0x71)
        at += 1; // BINPUT
      else if (opcode === 0x72)
        at += 4; // LONG_BINPUT
      else if (opcode === 0x8c)
        at = text(at + 1, bytes[at]); // SHORT_BINUNICODE
      else if (opcode === 0x58)
        at = text(at + 4, view.getUint32(at, true)); // BINUNICODE
      else if (opcode === 0x4b)
        addItem(bytes[at++]); // BININT1
      else if (opcode === 0x4d)
        addItem(view.getUint16((at += 2) - 2, true)); // BININT2
      else if (opcode === 0x4a)
        addItem(view.getInt32((at += 4) - 4, true)); // BININT
      // EMPTY_DICT, MEMOIZE, MARK, SETITEM and SETITEMS change nothing here; no other opcode is in a plain dictionary.
      else if (![0x7d, 0x94, 0x28, 0x73, 0x75].includes(opcode)) return undefined;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return undefined;
}
