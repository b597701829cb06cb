import {
  backend,
  customGrad,
  engine,
  getBackend,
  scalar,
  type Tensor,
  type TypedArray,
  zerosLike,
} from '@tensorflow/tfjs-core';

/*
 * What a hook may do with a live tensor: read its values without leaving garbage behind (withValues, keepFreedMemory), and
 * compute with it without leaving a trace on the gradient tape (offTape).
 */

/** Words what is wrong with a tensor that holds no real numbers (complex64, string); undefined if it holds some. */
export function notNumeric({ dtype }: { readonly dtype: string }): string | undefined {
  const isNumeric = dtype === 'float32' || dtype === 'int32' || dtype === 'bool';
  return isNumeric ? undefined : `expected a tensor of float32, int32 or bool, got ${dtype}`;
}

/**
 * The values that were read from a tensor, as floats; they are copied only if they are of another type. Integers become
 * float64, because float32 has only those below 2^24.
 *
 * @throws TypeError if the tensor holds no real numbers
 */
export function floatsOf(tensor: { readonly dtype: string }, values: TypedArray): Float32Array | Float64Array {
  const wrong = notNumeric(tensor);
  if (wrong !== undefined) throw new TypeError(`activations: ${wrong}`);
  if (values instanceof Float32Array || (values as unknown) instanceof Float64Array) return values as Float32Array;
  return tensor.dtype === 'bool' ? Float32Array.from(values) : Float64Array.from(values);
}

/**
 * Bytes from which it pays to release a copy. Releasing detaches an ArrayBuffer, after which V8 checks every access to
 * typed arrays on this thread: TensorFlow.js' own loops over large tensors take 1.7 times as long (8 of 165 ms of a
 * convolutional network's step).
 */
const leastReleased = 2 ** 16;

/**
 * Reads a tensor and passes its values to `use`, which must not keep them: a large copy that was made for this call is
 * released right after it. If the garbage collector had to release megabytes in every short training step, it would mark
 * the whole heap several times a second, on processors that the training needs. For values that are small beside the step,
 * such as products of convolutions or few of their rows, the collector may have the copy: pass `releases` as false.
 */
export function withValues<T>(tensor: Tensor, use: (values: Float32Array | Float64Array) => T, releases = true): T {
  const values = tensor.dataSync();
  try {
    return use(floatsOf(tensor, values));
  } finally {
    if (releases && values.byteLength >= leastReleased && isCopy(tensor)) release(values);
  }
}

/** A port that nobody listens to. */
let nowhere: MessagePort | undefined;

/** Frees an array's memory, which nobody may use afterwards: what is transferred to a closed port is freed at once. */
function release({ buffer }: { buffer: ArrayBufferLike }): void {
  if (nowhere === undefined && typeof MessageChannel !== 'undefined') {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    nowhere = port1;
  }
  nowhere?.postMessage(null, [buffer as ArrayBuffer]);
}

/** The largest block whose end changes what glibc keeps, on machines of 64 bits (DEFAULT_MMAP_THRESHOLD_MAX), less its header. */
const largestBlock = 2 ** 25 - 2 ** 16;
let keepsMemory = false;

/**
 * Has the C library keep freed memory for the next step, from the next turn of the event loop on. For the native backend.
 *
 * TensorFlow.js allocates the same arrays in every step, and a tracker reads others beside. As soon as more than twice the
 * largest block that glibc ever mapped and unmapped by itself lies free at the heap's end, it gives that memory back to the
 * system, which then finds and clears each page anew (mallopt(3), M_MMAP_THRESHOLD). Few networks have a block that large.
 * So one is taken, never touched, and freed. At most 64 MB stay with the process for it; other C libraries do not mind.
 */
export function keepFreedMemory(): void {
  if (keepsMemory) return;
  keepsMemory = true;
  release({ buffer: new ArrayBuffer(largestBlock) });
}

/** Whether reading this tensor copies it. If in doubt, it does not: arrays of the backend or the program must stay. */
function isCopy(tensor: Tensor): boolean {
  const name = getBackend();
  if (name === 'wasm') return true;
  if (name !== 'tensorflow') return false;
  // tfjs-node keeps the array from which a tensor was made until an operation needs the tensor, and returns that array.
  const { tensorMap } = backend() as { tensorMap?: { get(dataId: object): { values?: unknown } | undefined } };
  return tensorMap?.get(tensor.dataId)?.values === null;
}

/** Runs tensor operations off the gradient tape, so that nothing they compute is kept for the backward pass. */
export function offTape(x: Tensor, fn: (x: Tensor) => void): void {
  if (engine().state.gradientDepth === 0) {
    fn(x);
    return;
  }
  // TensorFlow.js records nothing inside a custom gradient's forward function: this is the public way off the tape.
  const detached = customGrad((...args) => {
    fn(args[0] as Tensor);
    return { value: scalar(0), gradFunc: () => zerosLike(x) };
  });
  detached(x).dispose();
}
