import { customGrad, engine, scalar, type Tensor, zerosLike } from '@tensorflow/tfjs-core';

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
