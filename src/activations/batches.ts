import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/*
 * Batches that pass through a trained model: what extractSaturation and fitPcaLayers take, and how the model runs on it.
 */

/**
 * A batch: the inputs of a model, or an element of a data set, of which `xs` is used. A model with several inputs takes a
 * list of tensors or, in `xs`, tensors by the names of its inputs. The tensors stay the caller's.
 */
export type Batch =
  | Tensor
  | Tensor[]
  | {
      /** The inputs. */
      xs: Tensor | Tensor[] | Record<string, Tensor>;
    };

/** The inputs in a batch. */
export function inputsOf(batch: Batch): Tensor | Tensor[] | Record<string, Tensor> {
  return 'xs' in batch ? batch.xs : batch;
}

/**
 * Runs a model on a batch as predict does (no dropout, no change of any weight) and disposes of the outputs.
 *
 * @throws RangeError if the batch has no tensor for one of the model's inputs
 */
export function runOnBatch(model: LayersModel, batch: Batch): void {
  const inputs = inputsOf(batch);
  const isNamed = !Array.isArray(inputs) && typeof inputs.dataSync !== 'function';
  const listed = isNamed ? model.inputNames.map((name) => inputOf(inputs as Record<string, Tensor>, name)) : inputs;
  tidy(() => void model.predictOnBatch(listed as Tensor | Tensor[]));
}

function inputOf(inputs: Record<string, Tensor>, name: string): Tensor {
  if (inputs[name] !== undefined) return inputs[name];
  throw new RangeError(
    `batches: expected a tensor for the model's input '${name}', got tensors for ${Object.keys(inputs).join(', ')}`,
  );
}
