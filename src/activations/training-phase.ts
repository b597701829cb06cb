import type { Tensor } from '@tensorflow/tfjs-core';
import { engine } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Split } from '../saturation/epoch.js';
import { type Around, wrapMethod } from './wrap-method.js';

/*
 * Whether a pass of data is training or validation. TensorFlow.js does not say: it is inferred from how fit and
 * fitDataset run, by wrapping the methods that they and users call.
 */

type Method = (...args: unknown[]) => unknown;

interface RunningFit {
  model: { isTraining?: boolean; history?: object };
  /** Identifies the fit: every fit makes a new history before it begins. */
  history: object | undefined;
}

/**
 * Knows to which split a pass of data belongs.
 *
 * Training passes are those that TensorFlow.js runs with `training: true` under the gradient tape of a running fit.
 * Validation passes are those of fit's own validation: `testLoop` called by `fit`, `evaluate`/`evaluateDataset` called by
 * `fitDataset` on its validation data. A user's `predict`, `evaluate` or `apply`, also from a callback in the middle of
 * a fit, belongs to neither. An explicit `record(split, fn)` takes precedence over all of this.
 */
export class TrainingPhase {
  #explicit: { split: Split }[] = [];
  #fitting: RunningFit | undefined;
  #validating = 0;
  #byUser = 0;
  /** How many fits are running whose validation data is marked. */
  #marking = 0;
  #awaitsValidation = false;
  #duringFit: (() => void)[] = [];
  #always: (() => void)[] = [];

  /** The split of the pass that is running now; undefined for a pass that belongs to none. */
  current(training: boolean): Split | undefined {
    if (this.#explicit.length > 0) return this.#explicit[this.#explicit.length - 1].split;
    const fit = this.#fitting;
    // A fit that threw never said that it ended. The next fit, without our callback, must not count.
    if (fit === undefined || fit.model.isTraining !== true || fit.model.history !== fit.history) return undefined;
    if (this.#byUser > 0) return undefined;
    if (this.#validating > 0) return training ? undefined : 'val';
    return training && engine().state.gradientDepth > 0 ? 'train' : undefined;
  }

  /** Counts every pass that runs inside `fn` for one split; inside an async function, until its promise settles. */
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

  /** Watches, until unwatch(), the `fitDataset` of a model: it alone knows the data on which it validates. */
  watch(model: LayersModel): void {
    this.#always.push(
      wrapMethod(model, 'fitDataset', (original, _self, args) =>
        during(
          () => this.#marking++,
          () => this.#marking--,
          () => markedFitDataset(original, args),
        ),
      ),
    );
  }

  /**
   * Starts a fit.
   *
   * @param model the one that runs the fit (for a Sequential, the model inside it)
   * @param onDataset true for fitDataset, false for fit
   */
  beginFit(model: LayersModel, onDataset: boolean): void {
    this.endFit();
    const fitted = model as unknown as RunningFit['model'];
    this.#fitting = { model: fitted, history: fitted.history };
    const wrap = (name: string, around: Around) => this.#duringFit.push(wrapMethod(model, name, around));
    // fit validates by testLoop, fitDataset by evaluate and evaluateDataset; predictLoop is where every predict runs.
    wrap('testLoop', (original, _self, args) =>
      this.#byUser > 0 || this.#validating > 0 ? original(...args) : this.#asValidation(original, args),
    );
    for (const name of ['evaluate', 'evaluateDataset']) {
      wrap(name, (original, _self, args) =>
        isMarked(args[0]) || (onDataset && this.#isFirstLikeFitDatasets(args))
          ? this.#asValidation(original, args)
          : this.#asUser(original, args),
      );
    }
    wrap('predictLoop', (original, _self, args) => this.#asUser(original, args));
  }

  /** Starts an epoch of a fit. */
  beginEpoch(): void {
    this.#awaitsValidation = true;
  }

  /** Ends a fit. beginFit() does so as well, because a fit that throws never says that it ended. */
  endFit(): void {
    restoreAll(this.#duringFit);
    this.#fitting = undefined;
    this.#validating = 0;
    this.#byUser = 0;
  }

  /** Restores every model as it was. */
  unwatch(): void {
    this.endFit();
    restoreAll(this.#always);
  }

  /**
   * Whether a call is the first one of an epoch that passes exactly the options that fitDataset passes. If fitDataset began
   * before it was watched, this is all that can be known from inside.
   */
  #isFirstLikeFitDatasets(args: unknown[]): boolean {
    if (this.#marking > 0 || !this.#awaitsValidation) return false;
    const keys = Object.keys((args[args.length - 1] ?? {}) as object).join();
    const like = args.length === 3 ? keys === 'batchSize,verbose' : keys === 'batches';
    if (like) this.#awaitsValidation = false;
    return like;
  }

  #asValidation(original: Method, args: unknown[]): unknown {
    return during(
      () => this.#validating++,
      () => this.#validating--,
      () => original(...args),
    );
  }

  #asUser(original: Method, args: unknown[]): unknown {
    return during(
      () => this.#byUser++,
      () => this.#byUser--,
      () => original(...args),
    );
  }
}

/** The objects that stand in for the validation data of a fitDataset: it passes them to evaluate. */
const validationSources = new WeakSet<object>();

function isMarked(source: unknown): boolean {
  return typeof source === 'object' && source !== null && validationSources.has(source);
}

/**
 * Runs a fitDataset with stand-ins for its validation data. fitDataset validates through the public evaluate and
 * evaluateDataset, which a user's callback may call on the same data: the stand-ins tell its own calls apart.
 */
function markedFitDataset(original: Method, args: unknown[]): unknown {
  const [dataset, options] = args as [unknown, { validationData?: unknown } | undefined];
  const given = options?.validationData;
  const source = Array.isArray(given) ? given[0] : given;
  if (source === undefined || source === null || isMarked(source)) return original(...args);
  const clones: Tensor[] = [];
  const marked = standIn(given, clones);
  validationSources.add((Array.isArray(marked) ? marked[0] : marked) as object);
  return during(
    () => {},
    () => {
      for (const clone of clones) clone.dispose();
    },
    () => original(dataset, { ...options, validationData: marked }),
  );
}

function restoreAll(undo: (() => void)[]): void {
  for (const restore of undo.reverse()) restore();
  undo.length = 0;
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === 'function';
}

/** Runs `body` between `enter` and `leave`; if `body` returns a promise, `leave` runs when it settles. */
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

/** An equal object of another identity: of a data set by its iterator, of a tensor by a clone that shares the values. */
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
