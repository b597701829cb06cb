import { getBackend, keep, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { warn } from '#platform';
import { messageOf } from '../errors.js';
import type { BatchClasses, ItemClasses } from '../recording/accumulator.js';
import type { BatchPlace } from '../recording/row-selection.js';
import { mostClasses } from '../statistics/class-sums.js';
import type { Later } from '../summaries/numbers.js';
import { floatsOf, offTape, withValues } from './tensors.js';
import { wrapMethod } from './wrap-method.js';

/*
 * Which class each item of a batch has, and which one the network predicts. TensorFlow.js hands both to the loss: behind the passes
 * of a batch through the layers, whose rows wait for it.
 */

type Use = (classes: Later<ItemClasses | undefined>) => void;

/** Learns the classes of batches from a model's loss, which computes the same as without. */
export class LossClasses {
  readonly #place: () => BatchPlace;
  readonly #warns: boolean;
  /** What has been told. */
  readonly #told = new Set<string>();
  /** The batch that runs, and who waits for its classes. */
  #running: { readonly batch: BatchPlace; readonly waiting: Use[] } | undefined;

  /**
   * @param place says which batch is running
   * @param warns whether it is told why there are no classes
   */
  constructor(place: () => BatchPlace, warns: boolean) {
    this.#place = place;
    this.#warns = warns;
  }

  /** The classes of the items of the batch that runs. */
  of(batch: BatchPlace): BatchClasses {
    return {
      whenKnown: (use) => {
        if (this.#running === undefined || !isSame(this.#running.batch, batch)) this.#running = { batch, waiting: [] };
        this.#running.waiting.push(use);
      },
    };
  }

  /**
   * Learns from the loss of a model.
   *
   * @param model the one that computes the loss: of a Sequential, the model inside it
   * @returns restores the model as it was
   */
  watch(model: LayersModel): () => void {
    const { lossFunctions } = model as unknown as { lossFunctions?: object[] };
    if (!Array.isArray(lossFunctions)) return () => {};
    if (lossFunctions.length !== 1) {
      this.warnOnce(`expected a model of one output, got one of ${lossFunctions.length}`);
      return () => {};
    }
    return wrapMethod(lossFunctions, '0', (original, _self, args) => {
      const loss = original(...args);
      try {
        this.#learn(args[0] as Tensor, args[1] as Tensor);
      } catch (error) {
        this.warnOnce(messageOf(error));
      }
      return loss;
    });
  }

  /** Warns once of why there is no neural collapse, if it was asked for by name. @param key of what is told once */
  warnOnce(why: string, key = why): void {
    if (!this.#warns || this.#told.has(key)) return;
    this.#told.add(key);
    warn(`SaturationTracker: neural collapse: ${why}. It is left out where that holds`);
  }

  #learn(targets: Tensor, outputs: Tensor): void {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined || !isSame(running.batch, this.#place())) return;
    const wrong = wrongShape(targets.shape, outputs.shape);
    if (wrong !== undefined) {
      this.warnOnce(wrong, 'shape');
      return;
    }
    const classes = whenBothRead(targets, outputs, (values, predicted) => {
      const labels = labelsOf(values, targets.shape, outputs.shape);
      if (labels === undefined) {
        this.warnOnce('expected targets that are classes (one-hot or integers), got other numbers');
        return undefined;
      }
      return { labels, predictions: predictionsOf(predicted, outputs.shape) };
    });
    for (const use of running.waiting) use(classes);
  }
}

function isSame(one: BatchPlace, other: BatchPlace): boolean {
  return one.run === other.run && one.index === other.index;
}

/** Words why targets of this shape tell no classes; undefined if they may. */
function wrongShape(targets: readonly number[], outputs: readonly number[]): string | undefined {
  const isOfItems = targets.length === 1 || targets.length === 2;
  if (isOfItems && outputs.length === 2 && targets[0] === outputs[0]) return undefined;
  const what = targets.length > 2 ? 'sequences or maps, which are not supported' : 'others';
  return `expected one class per item, as targets N x classes or N integers, got targets of shape [${targets}] for outputs of shape [${outputs}]: ${what}`;
}

/** The class of each item; undefined if the targets are no classes. */
function labelsOf(
  targets: ArrayLike<number>,
  shape: readonly number[],
  [items, units]: readonly number[],
): Int32Array | undefined {
  const width = shape[1] ?? 1;
  const labels = new Int32Array(items);
  if (width === 1) {
    const classes = Math.min(Math.max(2, units), mostClasses);
    for (let i = 0; i < items; i++) {
      if (!Number.isInteger(targets[i]) || targets[i] < 0 || targets[i] >= classes) return undefined;
      labels[i] = targets[i];
    }
    return labels;
  }
  for (let i = 0; i < items; i++) {
    let sum = 0;
    let largest = 0;
    for (let c = 0; c < width; c++) {
      const share = targets[i * width + c];
      if (!(share >= 0)) return undefined;
      sum += share;
      if (share > largest) [largest, labels[i]] = [share, c];
    }
    // Smoothed labels have one class that outweighs all others.
    if (Math.abs(sum - 1) > 1e-3 || largest <= 0.5) return undefined;
  }
  return labels;
}

/** The class of the largest output; of a single unit, whether it is above one half. */
function predictionsOf(outputs: ArrayLike<number>, [items, units]: readonly number[]): Int32Array {
  const found = new Int32Array(items);
  for (let i = 0; i < items; i++) {
    let best = units === 1 && outputs[i] > 0.5 ? 1 : 0;
    for (let c = 1; c < units; c++) if (outputs[i * units + c] > outputs[i * units + best]) best = c;
    found[i] = best;
  }
  return found;
}

/** Reads two tensors and uses their values, which are not kept: at once, or later where a synchronous read would stall the device. */
function whenBothRead<T>(
  one: Tensor,
  other: Tensor,
  use: (one: ArrayLike<number>, other: ArrayLike<number>) => T,
): Later<T> {
  const backend = getBackend();
  if (backend !== 'webgl' && backend !== 'webgpu') {
    return withValues(one, (first) => withValues(other, (second) => use(first, second)));
  }
  return Promise.all([readLater(one), readLater(other)]).then(([first, second]) => use(first, second));
}

async function readLater(tensor: Tensor): Promise<ArrayLike<number>> {
  let copy = tensor;
  offTape(tensor, () =>
    tidy(() => {
      copy = keep(tensor.clone());
    }),
  );
  try {
    return floatsOf(copy, await copy.data());
  } finally {
    copy.dispose();
  }
}
