import { dispose, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { describe } from '../errors.js';

/*
 * Batches that pass through a trained model: what extractSaturation, fitPcaLayers and probeLayers take, and how the model
 * runs on it.
 */

/** The inputs of a model: a tensor, a list of tensors, or tensors by the names of the inputs. */
export type Inputs = Tensor | Tensor[] | Record<string, Tensor>;

/**
 * A batch: the inputs of a model, or an element of a data set, of which `xs` is used. A model with several inputs takes a
 * list of tensors, or tensors by the names of its inputs.
 */
export type Batch =
  | Inputs
  | {
      /** The inputs. */
      xs: Inputs;
    };

/** What this package needs of a data set; a tf.data.Dataset is one. It must give batches: see `dataset.batch(size)`. */
export interface BatchDataset {
  /** Starts from the front. */
  iterator(): Promise<BatchIterator>;
  /** How many batches there are; null, -1 or Infinity if that is unknown. */
  readonly size?: number | null;
}

/** What gives the batches of a data set; the iterator of a tf.data.Dataset is one. */
export interface BatchIterator {
  /** The next batch. */
  next(): Promise<{
    /** Whether there is none left. */
    done?: boolean;
    /** The batch. */
    value: unknown;
  }>;
}

/**
 * Where batches come from: a tf.data.Dataset of batches or its iterator, an iterable or async iterable (a list, a generator),
 * a function that returns one (a generator function), or a single tensor or `{ xs }`, which is one batch. The tensors stay
 * yours, except those of a data set, which are disposed of as `fitDataset` does. When it ends early, by an error or an
 * abort, a generator's `return` is called, so that its `finally` can dispose of what it holds.
 */
export type Batches =
  | BatchDataset
  | BatchIterator
  | Iterable<Batch | PromiseLike<Batch>>
  | AsyncIterable<Batch>
  | (() => Iterable<Batch | PromiseLike<Batch>> | AsyncIterable<Batch>)
  | Tensor
  | {
      /** The inputs of the only batch. */
      xs: Inputs;
    };

/**
 * The batches of a source, one after another. Those of a data set are disposed of when the next one is asked for.
 *
 * @param call for errors: the function that was given the source
 * @throws TypeError if it is no source of batches, or one gives something else than tensors
 */
export async function* eachBatch(source: Batches, call: string): AsyncGenerator<Batch> {
  const given = typeof source === 'function' ? source() : source;
  if (isTensor(given) || (isObject(given) && 'xs' in given)) {
    yield checkedBatch(given, call);
    return;
  }
  if (isObject(given) && (Symbol.asyncIterator in given || Symbol.iterator in given)) {
    for await (const batch of given as AsyncIterable<unknown>) yield checkedBatch(batch, call);
    return;
  }
  const dataset = given as Partial<BatchDataset & BatchIterator> | null | undefined;
  const batches = typeof dataset?.iterator === 'function' ? await dataset.iterator() : dataset;
  if (typeof batches?.next !== 'function') {
    throw new TypeError(
      `${call}: expected batches: a tf.data.Dataset, an iterable or async iterable of tensors, or a tensor, got ${describe(source)}`,
    );
  }
  for (let { done, value } = await batches.next(); done !== true; { done, value } = await batches.next()) {
    try {
      yield checkedBatch(value, call);
    } finally {
      dispose(value as Tensor);
    }
  }
}

/** How many items (images, sequences) all batches hold, as far as that is known before they pass; undefined if not. */
export function itemsIn(source: Batches, first: Batch): number | undefined {
  const size = itemsOf(first);
  if (Array.isArray(source)) {
    const all = source.reduce((sum: number, batch: Batch) => sum + itemsOf(batch), 0);
    return Number.isNaN(all) ? undefined : all;
  }
  if (isTensor(source) || (isObject(source) && 'xs' in source)) return size;
  const batches = isObject(source) && 'iterator' in source ? (source as BatchDataset).size : undefined;
  return typeof batches === 'number' && batches > 0 && Number.isFinite(batches) ? batches * size : undefined;
}

/** NaN for what is no batch of tensors, such as a promise. */
function itemsOf(batch: Batch): number {
  return isBatch(batch) ? (tensorsIn(inputsOf(batch))[0].shape[0] ?? 1) : Number.NaN;
}

/** The inputs in a batch. */
export function inputsOf(batch: Batch): Inputs {
  return 'xs' in batch && !isTensor(batch) ? (batch.xs as Inputs) : (batch as Inputs);
}

/**
 * Runs a model on a batch as predict does (no dropout, no change of any weight) and disposes of the outputs.
 *
 * @throws RangeError if the batch has no tensor for one of the model's inputs
 */
export function runOnBatch(model: LayersModel, batch: Batch): void {
  const inputs = inputsOf(batch);
  const isNamed = !Array.isArray(inputs) && !isTensor(inputs);
  const listed = isNamed ? model.inputNames.map((name) => inputOf(inputs, name)) : inputs;
  const count = Array.isArray(listed) ? listed.length : 1;
  if (count !== model.inputs.length) {
    throw new RangeError(
      `batches: expected ${model.inputs.length} tensors, one for each input of the model, got ${count}. ` +
        'If a batch is [xs, ys], make it { xs, ys }',
    );
  }
  tidy(() => void model.predictOnBatch(listed as Tensor | Tensor[]));
}

/** Whether a value is a tensor, of whichever copy of TensorFlow.js. */
export function isTensor(value: unknown): value is Tensor {
  return isObject(value) && typeof (value as Partial<Tensor>).dataSync === 'function';
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function inputOf(inputs: Record<string, Tensor>, name: string): Tensor {
  if (inputs[name] !== undefined) return inputs[name];
  throw new RangeError(
    `batches: expected a tensor for the model's input '${name}', got tensors for ${Object.keys(inputs).join(', ')}`,
  );
}

function tensorsIn(inputs: Inputs): Tensor[] {
  return isTensor(inputs) ? [inputs] : Object.values(inputs);
}

function isBatch(value: unknown): value is Batch {
  if (!isObject(value)) return false;
  const inputs: unknown = inputsOf(value as Batch);
  if (!isObject(inputs)) return false;
  const tensors = tensorsIn(inputs as Inputs);
  return tensors.length > 0 && tensors.every(isTensor);
}

function checkedBatch(value: unknown, call: string): Batch {
  if (isBatch(value)) return value;
  throw new TypeError(
    `${call}: expected batches of tensors, got ${describe(value)}. The elements of a data set become batches by dataset.batch(size)`,
  );
}
