import type { Tensor } from '@tensorflow/tfjs-core';
import { CovarianceAccumulator } from '../statistics/covariance.js';
import type { LayerKernel } from '../statistics/threads/solve.js';
import { solveInBackground } from '../statistics/threads/solver.js';
import type { Layer } from './layers.js';
import { floatsOf } from './tensors.js';

/** A weight as a layer has it. */
interface Variable {
  readonly shape: readonly (number | null)[];
  readonly trainable?: boolean;
  read(): Tensor;
}

/**
 * A layer's kernel with its singular values, as WeightWatcher takes them: of a matrix, min(inputs, outputs) of them; of the kernel of
 * a convolution, those of the inputs x outputs matrices of all its places together. The kernel is read when this is called.
 *
 * @returns undefined if the layer has no kernel
 */
export async function kernelOf(layer: Layer): Promise<LayerKernel | undefined> {
  const { weights, trainable = true } = layer as { weights?: readonly Variable[]; trainable?: boolean };
  const variable = weights?.find(({ shape }) => shape.length >= 2);
  const [inputs, outputs] = (variable?.shape ?? []).slice(-2);
  if (variable === undefined || !inputs || !outputs) return undefined;
  const tensor = variable.read();
  const values = floatsOf(tensor, await tensor.data());
  const size = inputs * outputs;
  const parts: Float64Array[] = [];
  for (let at = 0; at < values.length; at += size) {
    const matrix = new CovarianceAccumulator(outputs);
    matrix.update(values.subarray(at, at + size));
    const { singularValues } = await solveInBackground(matrix, { singularValues: true }, true).result;
    if (singularValues !== undefined) parts.push(singularValues);
  }
  return {
    singularValues: Float64Array.from(parts.flatMap((part) => [...part])),
    // A model that is frozen as a whole freezes the variables of its layers only.
    isTrainable: trainable && variable.trainable !== false,
  };
}
