import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { describe } from '../errors.js';
import type { LayerKernel } from '../statistics/threads/solve.js';
import { kernelSingularValuesOf, type WeightMeasures, weightMeasuresOf } from '../statistics/weights.js';
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
export async function layerKernel(layer: Layer): Promise<LayerKernel | undefined> {
  const kernel = kernelOf(layer);
  if (kernel === undefined) return undefined;
  const { trainable = true } = layer as { trainable?: boolean };
  // A model that is frozen as a whole freezes the variables of its layers only.
  const isTrainable = trainable && kernel.variable.trainable !== false;
  return { singularValues: await singularValuesOf(kernel), isTrainable };
}

/**
 * What the weights of a model's layers say by themselves, without data: WeightWatcher's alpha and norms. Of a recurrent layer, of the
 * kernel for its inputs.
 *
 * @returns by the layer's name, in order of depth; in nested models as `model/layer`
 * @throws TypeError if it is no model
 */
export async function measureWeights(model: LayersModel): Promise<Map<string, WeightMeasures>> {
  if (!Array.isArray((model as Partial<LayersModel> | null)?.layers)) {
    throw new TypeError(`measureWeights: expected a LayersModel, got ${describe(model)}`);
  }
  const found = new Map<string, WeightMeasures>();
  for (const layer of model.layers) {
    if (Array.isArray((layer as { layers?: unknown }).layers)) {
      for (const [name, measures] of await measureWeights(layer as unknown as LayersModel)) {
        found.set(`${layer.name}/${name}`, measures);
      }
      continue;
    }
    const kernel = kernelOf(layer as unknown as Layer);
    if (kernel === undefined) continue;
    const singularValues = await singularValuesOf(kernel);
    found.set(layer.name, weightMeasuresOf(singularValues, [kernel.inputs, kernel.outputs], kernel.matrices));
  }
  return found;
}

/** The kernel of a dense layer as a classifier's weights, units x inputs, row-major; undefined if it has no such kernel. Read when this is called. */
export async function classifierWeights(layer: Layer): Promise<Float64Array | undefined> {
  const kernel = kernelOf(layer);
  if (kernel === undefined || kernel.matrices !== 1) return undefined;
  const { variable, inputs, outputs } = kernel;
  const tensor = variable.read();
  const values = floatsOf(tensor, await tensor.data());
  return Float64Array.from({ length: inputs * outputs }, (_, at) => {
    return values[(at % inputs) * outputs + Math.floor(at / inputs)];
  });
}

interface Kernel {
  readonly variable: Variable;
  readonly inputs: number;
  readonly outputs: number;
  readonly matrices: number;
}

function kernelOf(layer: Layer): Kernel | undefined {
  const variable = (layer as { weights?: readonly Variable[] }).weights?.find(({ shape }) => shape.length >= 2);
  if (variable === undefined) return undefined;
  const shape = variable.shape.map((size) => size ?? 0);
  const [inputs, outputs] = shape.slice(-2);
  if (!inputs || !outputs) return undefined;
  return { variable, inputs, outputs, matrices: shape.slice(0, -2).reduce((product, size) => product * size, 1) };
}

async function singularValuesOf({ variable, inputs, outputs }: Kernel): Promise<Float64Array> {
  const tensor = variable.read();
  const values = floatsOf(tensor, await tensor.data());
  return kernelSingularValuesOf(values, outputs, inputs * outputs);
}
