import { backend, customGrad, engine, getBackend, scalar, type Tensor, zerosLike } from '@tensorflow/tfjs-core';

/**
 * Bytes from which a copy is worth giving back. It detaches an ArrayBuffer, after which V8 checks every access to typed
 * arrays on this thread: TensorFlow.js' own loops over large tensors take 1.7 times as long (8 of 165 ms of a
 * convolutional network's step).
 */
const leastReleased = 2 ** 16;

/**
 * Reads a tensor and hands its values to `use`, which must not keep them: where they are a large copy, made for this call,
 * its memory is given back right after. Left to the garbage collector, megabytes read in every short training step make it
 * mark the whole heap several times a second, on processors that the training needs. For what is little beside the step, as
 * products of convolutions are, `dataSync` does.
 */
export function withValues<T>(tensor: Tensor, use: (values: Float32Array) => T): T {
  const values = tensor.dataSync();
  try {
    return use(values instanceof Float32Array ? values : Float32Array.from(values));
  } finally {
    if (values.byteLength >= leastReleased && isCopy(tensor)) release(values);
  }
}

/** A port that nobody listens to. */
let nowhere: MessagePort | undefined;

/** Gives back an array's memory, which nobody may use afterwards: what is transferred to a closed port is freed at once. */
function release({ buffer }: { buffer: ArrayBufferLike }): void {
  if (nowhere === undefined && typeof MessageChannel !== 'undefined') {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    nowhere = port1;
  }
  nowhere?.postMessage(null, [buffer as ArrayBuffer]);
}

/** Whether reading this tensor copies it. In doubt it does not: a backend's own array or the program's must stay. */
function isCopy(tensor: Tensor): boolean {
  const name = getBackend();
  if (name === 'wasm') return true;
  if (name !== 'tensorflow') return false;
  // tfjs-node keeps the array that a tensor was made of until an operation needs the tensor, and gives that one out.
  const { tensorMap } = backend() as { tensorMap?: { get(dataId: object): { values?: unknown } | undefined } };
  return tensorMap?.get(tensor.dataId)?.values === null;
}

/** Runs tensor operations off the gradient tape: what a hook computes must not be kept for the backward pass. */
export function offTape(x: Tensor, fn: (x: Tensor) => void): void {
  if (engine().state.gradientDepth === 0) {
    fn(x);
    return;
  }
  // Inside a custom gradient's forward function TensorFlow.js records nothing: the public way off the tape.
  const detached = customGrad((...args) => {
    fn(args[0] as Tensor);
    return { value: scalar(0), gradFunc: () => zerosLike(x) };
  });
  detached(x).dispose();
}
