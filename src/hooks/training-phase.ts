import type { Tensor } from '@tensorflow/tfjs-core';
import { engine } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Split } from '../statistics/layer-statistics.js';

type Method = (...args: unknown[]) => unknown;

/** The parts of a LayersModel that are watched; testLoop and predictLoop are where fit and predict really run. */
interface WatchedModel {
  isTraining?: boolean;
  model?: WatchedModel;
  [method: string]: unknown;
}

/**
 * Knows to which split a pass of data belongs.
 *
 * Training passes are those that TensorFlow.js runs with `training: true` under the gradient tape of a running fit.
 * Validation passes are those of fit's own validation: `testLoop` called by `fit`, `evaluate`/`evaluateDataset` called by
 * `fitDataset` on its validation data. A user's `predict`, `evaluate` or `apply`, also from a callback in the middle of
 * a fit, belongs to neither. An explicit `record(split, fn)` goes before all of this.
 */
export class TrainingPhase {
  #explicit: { split: Split }[] = [];
  #fitting: WatchedModel | undefined;
  #validating = 0;
  #byUser = 0;
  #duringFit: (() => void)[] = [];
  #always: (() => void)[] = [];
  /** What fitDataset was given to validate on, as the objects it will hand to evaluate. */
  #validationSources = new Set<unknown>();

  /** The split of the pass that is running now; undefined for passes that count for none. */
  current(training: boolean): Split | undefined {
    if (this.#explicit.length > 0) return this.#explicit[this.#explicit.length - 1].split;
    if (this.#fitting?.isTraining !== true || this.#byUser > 0) return undefined;
    if (this.#validating > 0) return training ? undefined : 'val';
    return training && engine().state.gradientDepth > 0 ? 'train' : undefined;
  }

  /** Counts every pass that runs inside `fn` for one split; for async functions until their promise settles. */
  record<T>(split: Split, fn: () => T): T {
    const entry = { split };
    const leave = () => {
      const at = this.#explicit.indexOf(entry);
      if (at >= 0) this.#explicit.splice(at, 1);
    };
    this.#explicit.push(entry);
    let result: T;
    try {
      result = fn();
    } catch (error) {
      leave();
      throw error;
    }
    if (isPromiseLike(result)) return Promise.resolve(result).finally(leave) as T;
    leave();
    return result;
  }

  /** Watches the `fitDataset` of a model, which alone knows what it validates on. Until `unwatch`. */
  watch(model: LayersModel): void {
    this.#replace(this.#always, model as unknown as WatchedModel, 'fitDataset', (original, self, args) =>
      this.#markedFitDataset(original, self, args),
    );
  }

  /** Called when a fit begins, with the model that runs it (of a Sequential: the model inside it). */
  beginFit(model: LayersModel): void {
    this.endFit();
    const inner = model as unknown as WatchedModel;
    this.#fitting = inner;
    this.#replace(this.#duringFit, inner, 'testLoop', (original, self, args) =>
      this.#byUser > 0 || this.#validating > 0 ? original.apply(self, args) : this.#asValidation(original, self, args),
    );
    for (const name of ['evaluate', 'evaluateDataset']) {
      this.#replace(this.#duringFit, inner, name, (original, self, args) =>
        this.#validationSources.has(args[0])
          ? this.#asValidation(original, self, args)
          : this.#asUser(original, self, args),
      );
    }
    this.#replace(this.#duringFit, inner, 'predictLoop', (original, self, args) => this.#asUser(original, self, args));
  }

  /** Called when a fit has ended; also before the next one, since a fit that throws never says that it ended. */
  endFit(): void {
    restoreAll(this.#duringFit);
    this.#fitting = undefined;
    this.#validating = 0;
    this.#byUser = 0;
  }

  /** Leaves every model as it was. */
  unwatch(): void {
    this.endFit();
    restoreAll(this.#always);
  }

  #asValidation(original: Method, self: unknown, args: unknown[]): unknown {
    return during(
      () => this.#validating++,
      () => this.#validating--,
      () => original.apply(self, args),
    );
  }

  #asUser(original: Method, self: unknown, args: unknown[]): unknown {
    return during(
      () => this.#byUser++,
      () => this.#byUser--,
      () => original.apply(self, args),
    );
  }

  /**
   * fitDataset validates through the public evaluate and evaluateDataset, as a user's callback may on the same data.
   * So it is given stand-ins of its own for the validation data, by which its calls are told apart.
   */
  #markedFitDataset(original: Method, self: unknown, args: unknown[]): unknown {
    const [dataset, options] = args as [unknown, { validationData?: unknown } | undefined];
    const given = options?.validationData;
    if (given === undefined || given === null) return original.apply(self, args);
    const clones: Tensor[] = [];
    const marked = standIn(given, clones);
    const source = Array.isArray(marked) ? marked[0] : marked;
    this.#validationSources.add(source);
    const done = () => {
      this.#validationSources.delete(source);
      for (const clone of clones) clone.dispose();
    };
    return during(
      () => {},
      done,
      () => original.call(self, dataset, { ...options, validationData: marked }),
    );
  }

  #replace(
    undo: (() => void)[],
    model: WatchedModel,
    name: string,
    around: (original: Method, self: unknown, args: unknown[]) => unknown,
  ): void {
    const original = model[name];
    if (typeof original !== 'function') return;
    const before = Object.getOwnPropertyDescriptor(model, name);
    const replacement = function (this: unknown, ...args: unknown[]) {
      return around(original as Method, this, args);
    };
    Object.defineProperty(model, name, { value: replacement, configurable: true, writable: true, enumerable: false });
    undo.push(() => {
      if (Object.getOwnPropertyDescriptor(model, name)?.value !== replacement) return;
      if (before === undefined) delete model[name];
      else Object.defineProperty(model, name, before);
    });
  }
}

function restoreAll(undo: (() => void)[]): void {
  for (const restore of undo.reverse()) restore();
  undo.length = 0;
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === 'function';
}

/** Runs `body` between `enter` and `leave`; for a promise, `leave` waits until it settles. */
function during(enter: () => void, leave: () => void, body: () => unknown): unknown {
  enter();
  let result: unknown;
  try {
    result = body();
  } catch (error) {
    leave();
    throw error;
  }
  if (isPromiseLike(result)) return Promise.resolve(result).finally(leave);
  leave();
  return result;
}

/** An equal object of another identity: a dataset by its iterator, tensors by a clone (which shares the values). */
function standIn(validationData: unknown, clones: Tensor[]): unknown {
  if (Array.isArray(validationData)) return [cloned(validationData[0], clones), ...validationData.slice(1)];
  const dataset = validationData as { iterator?: () => unknown; size?: unknown };
  if (typeof dataset.iterator !== 'function') return validationData;
  return { iterator: () => dataset.iterator?.(), size: dataset.size };
}

function cloned(xs: unknown, clones: Tensor[]): unknown {
  if (Array.isArray(xs)) return [...xs];
  const tensor = xs as Tensor;
  if (typeof tensor?.clone === 'function' && typeof tensor.dispose === 'function') {
    const clone = tensor.clone();
    clones.push(clone);
    return clone;
  }
  return { ...(xs as object) };
}
