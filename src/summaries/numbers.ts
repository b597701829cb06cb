/**
 * Everything that stands for numbers in an addX call becomes a flat array with a shape and a type (`readNumbers`): plain
 * numbers, typed arrays, nested arrays, and tensors, recognized by their methods so that TensorFlow.js is not imported. A
 * tensor on WebGPU can be read only asynchronously; `Later`, `whenRead` and `whenAllRead` carry on with either kind.
 */
import { fromBfloat16, fromHalf } from '../encoding/half-precision.js';
import { checkAttached, describe, messageOf } from '../errors.js';
import { Soon } from '../platform/soon.js';

/** The typed arrays that numbers can come in. 64-bit integers are read as float64. */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/**
 * Anything that holds numbers as a TensorFlow.js tensor does: a `tf.Tensor` or `tf.Variable` is accepted without this
 * package importing TensorFlow.js. `dataSync` is preferred; if it is absent or throws (WebGPU), `data` is awaited.
 */
export interface TensorLike {
  /** The length of each axis; [] for a single number. */
  readonly shape: readonly number[];
  /** 'float32', 'int32', 'bool', 'uint8' ...; the type of the values decides if it is left out. */
  readonly dtype?: string;
  /** Whether the tensor's memory has been released; such a tensor is refused. */
  readonly isDisposed?: boolean;
  /** The values in row-major order. */
  dataSync?(): ArrayLike<number> | ArrayLike<bigint>;
  /** Resolves to the values in row-major order. */
  data(): Promise<ArrayLike<number> | ArrayLike<bigint>>;
}

/** A flat array with its shape beside it, as ndarray libraries hold it. */
export interface ShapedArray {
  /** The values in row-major order, as many as the product of `shape`. */
  readonly data: TypedArray | readonly number[];
  /** The length of each axis; [] for a single number. */
  readonly shape: readonly number[];
  /** What the values stand for where their array does not say it: 'float16' and 'bfloat16' come as their bits. */
  readonly dtype?: string;
}

/**
 * A tensor of onnxruntime or transformers.js: `dims` and `type` in place of `shape` and `dtype`. What `data` holds is read at
 * once; where that throws, because the tensor is on a GPU, `getData()` is awaited.
 */
export interface OnnxTensorLike {
  /** The length of each axis; [] for a single number. */
  readonly dims: readonly number[];
  /** 'float32', 'int64', 'float16' (its bits as a Uint16Array, or a Float16Array) ... */
  readonly type: string;
  /** The values in row-major order. */
  readonly data: unknown;
  /** Resolves to the values in row-major order. */
  getData?(): Promise<unknown>;
}

/** Arrays of arrays of numbers or booleans, in which all rows of an axis have the same length. Rows may be typed arrays. */
export type NestedArray = readonly (number | boolean | TypedArray | NestedArray)[];

/** Everything that can stand for numbers in an addX call. */
export type Numbers = number | boolean | TypedArray | NestedArray | TensorLike | ShapedArray | OnnxTensorLike;

/** The type of numbers before they were read: it decides whether pixels are 0..255 or 0..1. */
type NumericType = 'float64' | 'float32' | 'int32' | 'uint8' | 'bool';

/** Numbers that have been read: a flat array in row-major order, with shape and type. */
export interface NumericArray {
  /** As many values as the product of `shape`. May be the caller's own memory: read it at once, never write to it. */
  readonly values: Exclude<TypedArray, BigInt64Array | BigUint64Array>;
  /** The length of each axis; [] for a single number. */
  readonly shape: readonly number[];
  readonly dtype: NumericType;
}

/** A value, or a promise of it because a tensor cannot be read synchronously. */
export type Later<T> = T | Promise<T>;

/**
 * Reads numbers of any accepted kind. Everything is read during the call, except for a tensor that cannot be read
 * synchronously (WebGPU): then a promise is returned, which rejects if its values cannot be read.
 *
 * @param call names the values in errors, e.g. `histogram "weights"`
 * @throws TypeError if something is not a number, RangeError if rows differ in length or values do not fill the shape
 */
export function readNumbers(value: Numbers, call: string): Later<NumericArray> {
  if (typeof value === 'number') return { values: Float64Array.of(value), shape: [], dtype: 'float64' };
  if (typeof value === 'boolean') return { values: Uint8Array.of(value ? 1 : 0), shape: [], dtype: 'bool' };
  if (isTypedArray(value)) return shaped(value, [value.length], call);
  if (Array.isArray(value)) return readNested(value as NestedArray, call);
  if (isTensorLike(value)) return readTensor(value, call);
  if (isShapedArray(value)) return shaped(value.data, value.shape, call, value.dtype);
  if (isOnnxTensor(value)) return readOnnxTensor(value, call);
  throw new TypeError(
    `${call}: expected a number, a typed array, an array of numbers or a tensor, got ${describe(value)}`,
  );
}

/** Whether a value is a typed array, of this realm or another; a DataView is not. */
export function isTypedArray(value: unknown): value is TypedArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** Whether a value has a shape and a `data()` or `dataSync()` method, as tensors have. */
export function isTensorLike(value: unknown): value is TensorLike {
  if (typeof value !== 'object' || value === null) return false;
  const tensor = value as Partial<TensorLike>;
  return Array.isArray(tensor.shape) && (typeof tensor.data === 'function' || typeof tensor.dataSync === 'function');
}

/** Whether a value is a flat array with its shape beside it. */
export function isShapedArray(value: unknown): value is ShapedArray {
  if (typeof value !== 'object' || value === null) return false;
  const array = value as Partial<ShapedArray>;
  return Array.isArray(array.shape) && (isTypedArray(array.data) || Array.isArray(array.data));
}

/** Whether a value is a tensor as onnxruntime has them. */
function isOnnxTensor(value: unknown): value is OnnxTensorLike {
  if (typeof value !== 'object' || value === null) return false;
  const tensor = value as Partial<OnnxTensorLike>;
  return Array.isArray(tensor.dims) && typeof tensor.type === 'string';
}

/** How many numbers a shape holds: 1 for []. */
function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

function shaped(
  data: TypedArray | readonly number[],
  shape: readonly number[],
  call: string,
  dtype?: string,
): NumericArray {
  if (!shape.every((length) => Number.isSafeInteger(length) && length >= 0)) {
    throw new RangeError(`${call}: expected a shape of whole numbers, got [${shape.join(', ')}]`);
  }
  checkAttached(data, call);
  const size = sizeOf(shape);
  if (size !== data.length) {
    throw new RangeError(`${call}: expected ${size} values for the shape [${shape.join(', ')}], got ${data.length}`);
  }
  if (!isTypedArray(data))
    return { values: flatten(data, data.length, call), shape, dtype: numericType(dtype, undefined, call) };
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return { values: Float64Array.from(data, Number), shape, dtype: 'float64' };
  }
  const floats = fromSixteenBits(data, dtype);
  if (floats !== undefined) return { values: floats, shape, dtype: 'float32' };
  return { values: data, shape, dtype: numericType(dtype, data, call) };
}

/** The values of 16-bit floats, which come as their bits or in a Float16Array; undefined for all others. */
function fromSixteenBits(data: TypedArray, dtype: string | undefined): Float32Array | undefined {
  if ((data[Symbol.toStringTag] as string) === 'Float16Array') return Float32Array.from(data as Float32Array);
  if (!(data instanceof Uint16Array)) return undefined;
  if (dtype === 'float16') return Float32Array.from(data, fromHalf);
  if (dtype === 'bfloat16') return Float32Array.from(data, fromBfloat16);
  return undefined;
}

function numericType(dtype: string | undefined, values: TypedArray | undefined, call: string): NumericType {
  switch (dtype) {
    case 'bool':
    case 'uint8':
    case 'int32':
    case 'float32':
    case 'float64':
      return dtype;
    case undefined:
      break;
    case 'string':
    case 'complex64':
    case 'complex128':
      throw new TypeError(`${call}: expected a tensor of real numbers, got one of dtype ${dtype}`);
    case 'int4':
    case 'uint4':
      throw new TypeError(
        `${call}: expected a tensor with a number per element, got one of dtype ${dtype}, which packs two`,
      );
    default:
      if (/^u?int/.test(dtype)) return 'int32';
  }
  if (values instanceof Uint8Array || values instanceof Uint8ClampedArray) return 'uint8';
  if (values instanceof Float32Array) return 'float32';
  if (values === undefined || values instanceof Float64Array) return 'float64';
  return 'int32';
}

function readTensor(tensor: TensorLike, call: string): Later<NumericArray> {
  numericType(tensor.dtype, undefined, call); // refuses strings and complex numbers before reading them
  return whenRead(readElements(tensor, call), (data) => shapedTensor(tensor, data, call));
}

/**
 * Reads the elements of a tensor of any type, at once if that is possible.
 *
 * @throws TypeError if the tensor is disposed or cannot be read; a promise rejects instead
 */
export function readElements(tensor: TensorLike, call: string): Later<ArrayLike<unknown>> {
  if (tensor.isDisposed === true)
    throw new TypeError(`${call}: expected a tensor that is not disposed, got a disposed one`);
  let cause: unknown;
  if (typeof tensor.dataSync === 'function') {
    try {
      const data = tensor.dataSync();
      if (data !== undefined) return data;
    } catch (error) {
      cause = error; // WebGPU cannot read synchronously: data() is awaited instead
    }
  }
  if (typeof tensor.data !== 'function') {
    throw new TypeError(`${call}: the tensor could not be read: ${messageOf(cause)}`, { cause });
  }
  return readLater(tensor).catch((error) => {
    throw new Error(`${call}: the tensor could not be read: ${messageOf(error)}`, { cause: error });
  });
}

/** Reads from a clone, which tfjs makes without copying: the caller may dispose the tensor before its values arrive. */
async function readLater(
  tensor: TensorLike & { clone?(): TensorLike & { dispose?(): void } },
): Promise<ArrayLike<number> | ArrayLike<bigint>> {
  const clone = tensor.clone?.();
  try {
    return await (clone ?? tensor).data();
  } finally {
    clone?.dispose?.();
  }
}

function readOnnxTensor(tensor: OnnxTensorLike, call: string): Later<NumericArray> {
  const { type, dims } = tensor;
  numericType(type, undefined, call);
  let data: unknown;
  try {
    data = tensor.data;
  } catch (cause) {
    if (typeof tensor.getData !== 'function') {
      throw new TypeError(`${call}: the tensor could not be read: ${messageOf(cause)}`, { cause });
    }
  }
  if (data !== undefined || typeof tensor.getData !== 'function') return onnxValues(data, dims, type, call);
  return tensor.getData().then(
    (read) => onnxValues(read, dims, type, call),
    (cause) => {
      throw new Error(`${call}: the tensor could not be read: ${messageOf(cause)}`, { cause });
    },
  );
}

function onnxValues(data: unknown, dims: readonly number[], type: string, call: string): NumericArray {
  if (!isTypedArray(data)) {
    throw new TypeError(
      `${call}: expected the values of a tensor of type ${type} in a typed array, got ${describe(data)}`,
    );
  }
  return shaped(data, dims, call, type);
}

function shapedTensor(tensor: TensorLike, data: ArrayLike<unknown>, call: string): NumericArray {
  const values = isTypedArray(data) ? data : Float64Array.from(data as ArrayLike<number>);
  return shaped(values, tensor.shape, call, tensor.dtype);
}

function readNested(rows: NestedArray, call: string): NumericArray {
  const shape: number[] = [];
  let inner: unknown = rows;
  while (Array.isArray(inner)) {
    shape.push(inner.length);
    inner = inner[0];
  }
  if (isTypedArray(inner)) shape.push(inner.length);
  if (shape.length === 1) {
    const dtype = rows.length > 0 && rows.every((value) => typeof value === 'boolean') ? 'bool' : 'float64';
    return { values: flatten(rows as readonly number[], rows.length, call), shape, dtype };
  }
  const values = new Float64Array(sizeOf(shape));
  const end = copyRows(rows, shape, 0, values, 0, call);
  const dtype = end > 0 && isNestedBoolean(rows) ? 'bool' : isUint8(inner) ? 'uint8' : 'float64';
  return { values, shape, dtype };
}

function isUint8(row: unknown): boolean {
  return row instanceof Uint8Array || row instanceof Uint8ClampedArray;
}

function isNestedBoolean(value: unknown): boolean {
  return Array.isArray(value) ? value.every(isNestedBoolean) : typeof value === 'boolean';
}

function flatten(row: readonly unknown[], length: number, call: string): Float64Array {
  const values = new Float64Array(length);
  copyNumbers(row, values, 0, call);
  return values;
}

/** Copies the rows of one axis to `offset`; returns where they end. */
function copyRows(
  rows: NestedArray,
  shape: number[],
  axis: number,
  values: Float64Array,
  offset: number,
  call: string,
): number {
  if (axis === shape.length - 1) return copyNumbers(rows, values, offset, call);
  for (const row of rows) {
    checkAttached(row, call);
    const length = Array.isArray(row) || isTypedArray(row) ? row.length : undefined;
    if (length !== shape[axis + 1]) {
      const found = length === undefined ? describe(row) : `a row of ${length}`;
      throw new RangeError(
        `${call}: expected every row on axis ${axis} to hold ${shape[axis + 1]} values, got ${found}`,
      );
    }
    if (!isTypedArray(row)) offset = copyRows(row as NestedArray, shape, axis + 1, values, offset, call);
    else if (axis + 1 !== shape.length - 1) {
      throw new RangeError(`${call}: expected arrays of one depth, got ${describe(row)} on axis ${axis}`);
    } else {
      for (let i = 0; i < row.length; i++) values[offset + i] = Number(row[i]);
      offset += row.length;
    }
  }
  return offset;
}

function copyNumbers(row: readonly unknown[], values: Float64Array, offset: number, call: string): number {
  for (let i = 0; i < row.length; i++) {
    const value = row[i];
    if (typeof value !== 'number' && typeof value !== 'boolean') {
      const ErrorType = Array.isArray(value) || isTypedArray(value) ? RangeError : TypeError;
      throw new ErrorType(`${call}: expected a number at position ${offset + i}, got ${describe(value)}`);
    }
    values[offset + i] = Number(value);
  }
  return offset + row.length;
}

/** About this many numbers are looked at to tell whether they are in the range that is expected of them. */
const rangeSamples = 256;

/**
 * Says how many numbers lie outside the range to which they will be clamped, if they are so many that they were probably
 * meant for another range: a quarter of those that are not zero. What lies outside by less than a step of 8 bits does not count.
 *
 * @returns such as `about 97% of the values that are not 0 lie outside 0..1 (they reach from 3 to 254)`; undefined if the
 * numbers are in the range
 */
export function outsideRange(values: NumericArray['values'], min: number, max: number): string | undefined {
  // An odd stride that is no multiple of 3 passes through all channels and columns.
  let stride = Math.floor(values.length / rangeSamples) | 1;
  if (stride > 1 && stride % 3 === 0) stride += 2;
  const tolerance = (max - min) / 510;
  const low = min - tolerance;
  const high = max + tolerance;
  let zeros = 0;
  let outside = 0;
  for (let i = 0; i < values.length; i += stride) {
    const value = values[i];
    if (value === 0) zeros++;
    else if (value < low || value > high) outside++;
  }
  const others = Math.ceil(values.length / stride) - zeros;
  if (outside === 0 || outside < others / 4) return undefined;
  let [least, greatest] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  const range = [least, greatest].map((value) => Number(value.toPrecision(3))).join(' to ');
  const percent = Math.round((100 * outside) / others);
  return `about ${percent}% of the values that are not 0 lie outside ${min}..${max} (they reach from ${range})`;
}

/** Calls `next` with a value: at once, or when its promise resolves. What comes soon stays what comes soon. */
export function whenRead<T, R>(value: Later<T>, next: (value: T) => Later<R>): Later<R> {
  // Nothing that changes files of images returns a promise.
  if (value instanceof Soon) return (value as Soon<T>).map(next as (value: T) => R);
  return value instanceof Promise ? value.then(next) : next(value);
}

/**
 * Calls `next` with several values: at once, or when all promises have resolved. In the latter case numbers that were read
 * at once are copied, because the caller may overwrite their memory before the others arrive.
 */
export function whenAllRead<T extends readonly unknown[], R>(
  values: { readonly [K in keyof T]: Later<T[K]> },
  next: (values: T) => Later<R>,
): Later<R> {
  if (!values.some((value) => value instanceof Promise)) return next(values as unknown as T);
  return Promise.all(values.map(copyNumericArray)).then((read) => next(read as unknown as T));
}

function copyNumericArray(value: unknown): unknown {
  const numbers = value as Partial<NumericArray> | undefined;
  return !isTypedArray(numbers?.values) ? value : { ...numbers, values: numbers.values.slice() };
}
