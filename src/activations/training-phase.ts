import type { Tensor } from '@tensorflow/tfjs-core';
import { engine } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type BatchPlace, newRun } from '../recording/row-selection.js';
import type { Split } from '../saturation/epoch.js';
import { type Around, wrapMethod } from './wrap-method.js';

/*
 * Whether a pass of data is training or validation, and to which batch it belongs. TensorFlow.js does not say: it is
 * inferred from how fit and fitDataset run, by wrapping the methods that they and users call.
 */

type Method = (...args: unknown[]) => unknown;

interface RunningFit {
  model: { isTraining?: boolean; history?: object };
  /** Identifies the fit: every fit makes a new history before it begins. */
  history: object | undefined;
  /** How many items an epoch trains on, and on how many it is validated; undefined if that is unknown. */
  items: Partial<Record<Split, number>>;
}

/** A call that cuts its data into batches and runs one after another. */
interface BatchLoop {
  /** How many of TensorFlow.js' scopes were open when the call began. */
  readonly depth: number;
  /** The scope or gradient tape of the batch that runs. */
  scope: object | undefined;
  /** Which batch that is, from 0. */
  index: number;
}

/** A call of record() that has not ended. */
interface RunningRecord {
  readonly split: Split;
  /** How many items the whole period will bring; undefined if that is unknown. */
  readonly items: number | undefined;
  readonly run: number;
  /** What runs inside it, outermost first. */
  readonly loops: BatchLoop[];
}

/** A validation that has not ended. */
interface RunningValidation {
  readonly run: number;
  readonly loop: BatchLoop;
}

/**
 * Knows to which split and batch a pass of data belongs.
 *
 * Training passes are those that TensorFlow.js runs with `training: true` under the gradient tape of a running fit.
 * Validation passes are those of fit's own validation: `testLoop` called by `fit`, `evaluate`/`evaluateDataset` called by
 * `fitDataset` on its validation data. A user's `predict`, `evaluate` or `apply`, also from a callback in the middle of
 * a fit, belongs to neither. An explicit `record(split, fn)` takes precedence over all of this.
 *
 * A batch is what a layer is called for, however often: one training step, one batch of a validation, or one call of
 * `record`. Inside `record`, the `predict`, `evaluate` and `fit` of a watched model run several batches.
 */
export class TrainingPhase {
  #records: RunningRecord[] = [];
  #fitting: RunningFit | undefined;
  #validations: RunningValidation[] = [];
  #byUser = 0;
  /** How many fits are running whose validation data is marked. */
  #marking = 0;
  #awaitsValidation = false;
  #duringFit: (() => void)[] = [];
  #always: (() => void)[] = [];
  readonly #watched = new Set<LayersModel>();
  /** Is called in the training passes of a watched model's fit that did not begin with beginFit(). */
  onUnknownFit: () => void = () => {};
  /** Is called with the model that runs a fit when it begins; what it returns is called when the fit ends. */
  onFit: ((model: LayersModel) => () => void) | undefined;

  /** The split of the pass that is running now; undefined for a pass that belongs to none. */
  current(training: boolean): Split | undefined {
    const record = this.#records.at(-1);
    if (record !== undefined) return record.split;
    const fit = this.#fitting;
    // A fit that threw never said that it ended. The next fit, without our callback, must not count.
    if (fit === undefined || fit.model.isTraining !== true || fit.model.history !== fit.history) {
      if (training) this.#lookForUnknownFit();
      return undefined;
    }
    if (this.#byUser > 0) return undefined;
    if (this.#validations.length > 0) return training ? undefined : 'val';
    return training && engine().state.gradientDepth > 0 ? 'train' : undefined;
  }

  /** The batch of the pass that is running now. A pass outside of everything is a batch by itself. */
  batch(): BatchPlace {
    const record = this.#records.at(-1);
    const validation = record === undefined ? this.#validations[0] : undefined;
    const loop = validation?.loop ?? record?.loops[0];
    const run = record?.run ?? validation?.run ?? runOfTape() ?? newRun();
    return { run, index: loop === undefined ? 0 : indexIn(loop) };
  }

  /** How many items the running epoch of a fit, or the running record(), brings in a split; undefined if unknown. */
  expectedItems(split: Split): number | undefined {
    const record = this.#records.at(-1);
    return record === undefined ? this.#fitting?.items[split] : record.items;
  }

  /**
   * Counts every pass that runs inside `fn` for one split; inside an async function, until its promise settles.
   *
   * @param items how many items the whole period will bring; undefined if that is unknown
   */
  record<T>(split: Split, fn: () => T, items?: number): T {
    return inside(this.#records, { split, items, run: newRun(), loops: [] }, fn);
  }

  /**
   * Watches the methods of a model until unwatch(): its `fitDataset`, which alone knows the data on which it validates,
   * and those that run several batches.
   */
  watch(model: LayersModel): void {
    this.#watched.add(model);
    this.#always.push(
      wrapMethod(model, 'fitDataset', (original, _self, args) =>
        during(
          () => this.#marking++,
          () => this.#marking--,
          () => markedFitDataset(original, args),
        ),
      ),
    );
    for (const name of ['predict', 'evaluate', 'evaluateDataset', 'fit', 'fitDataset']) {
      this.#always.push(
        wrapMethod(model, name, (original, _self, args) => {
          const record = this.#records.at(-1);
          return record === undefined ? original(...args) : inside(record.loops, newLoop(), () => original(...args));
        }),
      );
    }
  }

  /**
   * Starts a fit.
   *
   * @param model the one that runs the fit (for a Sequential, the model inside it)
   * @param items how many items an epoch trains on; undefined for fitDataset, which does not know
   */
  beginFit(model: LayersModel, items: number | undefined): void {
    this.endFit();
    const fitted = model as unknown as RunningFit['model'];
    const fit: RunningFit = { model: fitted, history: fitted.history, items: { train: items } };
    this.#fitting = fit;
    const wrap = (name: string, around: Around) => this.#duringFit.push(wrapMethod(model, name, around));
    // fit validates by testLoop, fitDataset by evaluate and evaluateDataset; predictLoop is where every predict runs.
    wrap('testLoop', (original, _self, args) => {
      if (this.#byUser > 0) return original(...args);
      fit.items.val = (args[1] as Tensor[])[0].shape[0];
      return this.#validations.length > 0 ? original(...args) : this.#asValidation(original, args);
    });
    for (const name of ['evaluate', 'evaluateDataset']) {
      wrap(name, (original, _self, args) => {
        const isValidation = isMarked(args[0]) || (items === undefined && this.#isFirstLikeFitDatasets(args));
        return isValidation ? this.#asValidation(original, args) : this.#asUser(original, args);
      });
    }
    wrap('predictLoop', (original, _self, args) => this.#asUser(original, args));
    if (this.onFit !== undefined) this.#duringFit.push(this.onFit(model));
  }

  /** Starts an epoch of a fit. */
  beginEpoch(): void {
    this.#awaitsValidation = true;
  }

  /** Ends a fit. beginFit() does so as well, because a fit that throws never says that it ended. */
  endFit(): void {
    restoreAll(this.#duringFit);
    this.#fitting = undefined;
    this.#validations = [];
    this.#byUser = 0;
  }

  /** Restores every model as it was. */
  unwatch(): void {
    this.endFit();
    this.#watched.clear();
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

  #lookForUnknownFit(): void {
    for (const model of this.#watched) {
      if ((innerModel(model) as unknown as RunningFit['model']).isTraining === true) this.onUnknownFit();
    }
  }

  #asValidation(original: Method, args: unknown[]): unknown {
    return inside(this.#validations, { run: newRun(), loop: newLoop() }, () => original(...args));
  }

  #asUser(original: Method, args: unknown[]): unknown {
    return during(
      () => this.#byUser++,
      () => this.#byUser--,
      () => original(...args),
    );
  }
}

/** The model that runs a fit: a Sequential has another model inside it, which does. */
export function innerModel(model: LayersModel): LayersModel {
  return (model as { model?: LayersModel }).model ?? model;
}

/** The number of each gradient tape, so that nobody needs to hold on to one. */
const runsOfTapes = new WeakMap<object, number>();

/** The number of the training step that is running: what is on one gradient tape. Undefined outside of one. */
function runOfTape(): number | undefined {
  const tape = activeTape();
  if (tape === undefined) return undefined;
  let run = runsOfTapes.get(tape);
  if (run === undefined) {
    run = newRun();
    runsOfTapes.set(tape, run);
  }
  return run;
}

/** TensorFlow.js makes a new tape for each outermost gradient. */
function activeTape(): object | undefined {
  const { gradientDepth, activeTape: tape } = engine().state;
  return gradientDepth > 0 ? tape : undefined;
}

function newLoop(): BatchLoop {
  return { depth: engine().state.scopeStack.length, scope: undefined, index: 0 };
}

/**
 * Which of a loop's batches is running. A training step has a gradient tape of its own. The loops of predict and evaluate
 * open one scope around all batches and one around each.
 */
function indexIn(loop: BatchLoop): number {
  const scope = activeTape() ?? engine().state.scopeStack[loop.depth + 1];
  if (scope !== loop.scope) {
    if (loop.scope !== undefined) loop.index++;
    loop.scope = scope;
  }
  return loop.index;
}

/** Runs `body` while `entry` is in the list; if `body` returns a promise, until it settles. */
function inside<T, R>(list: T[], entry: T, body: () => R): R {
  return during(
    () => list.push(entry),
    () => {
      const at = list.indexOf(entry);
      if (at >= 0) list.splice(at, 1);
    },
    body,
  ) as R;
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
export function during(enter: () => void, leave: () => void, body: () => unknown): unknown {
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
