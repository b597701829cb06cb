import { Callback, CustomCallback, LayersModel } from '@tensorflow/tfjs-layers';
import { warn } from '#platform';
import { wrapMethod } from '../activations/wrap-method.js';

/*
 * How callbacks of this package stand in model.fit. TensorFlow.js looks at the first callback of a list only: if it extends
 * the class of that copy of TensorFlow.js, all are taken as they are, and a plain object among them ends the fit; otherwise
 * the functions of all are called without their objects, and nobody learns which model is fitted.
 */

/** The methods that TensorFlow.js calls. */
const methodNames = [
  'setParams',
  'setModel',
  'onTrainBegin',
  'onTrainEnd',
  'onEpochBegin',
  'onEpochEnd',
  'onBatchBegin',
  'onBatchEnd',
] as const;

/** The onTrainBegin of each callback of this package, which identifies it: also in a copy of its properties. */
const boundMethods = new WeakSet<object>();

/**
 * A callback whose methods are its own properties and need no `this`. So it works in any copy of TensorFlow.js, which takes
 * a callback of another copy for a plain object, and when its methods are handed on: `{ ...callback }`.
 */
export abstract class FitCallback extends Callback {
  #fit: { model: LayersModel; items: number | undefined } | undefined;

  /** Binds the methods. */
  constructor() {
    super();
    for (const name of methodNames) {
      const method = this[name] as (...args: unknown[]) => unknown;
      Object.defineProperty(this, name, {
        value: method.bind(this),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    boundMethods.add(this.onTrainBegin);
  }

  /** Receives the model that is fitted, of whatever copy of TensorFlow.js. */
  override setModel(model: LayersModel): void {
    this.model = model;
    this.#fit = { model, items: (this.params as { samples?: number | null } | undefined)?.samples ?? undefined };
  }

  /**
   * The model of the fit that begins, and how many samples it trains on (undefined for fitDataset, which does not know).
   * Undefined if TensorFlow.js did not say.
   *
   * @internal
   */
  protected takeFit(): { model: LayersModel; items: number | undefined } | undefined {
    const fit = this.#fit;
    this.#fit = undefined;
    return fit;
  }
}

/**
 * Makes the fit and fitDataset of an object take lists in which callbacks of this package and plain objects stand in any
 * order. Lists without a callback of this package are passed on as they are.
 *
 * @param target a model, or the prototype of models
 * @returns restores the object as it was
 */
export function acceptCallbacks(target: object): () => void {
  const undo = (['fit', 'fitDataset'] as const).map((name) =>
    wrapMethod(target, name, (original, self, args) => {
      const options = args.at(-1) as FitArguments | null | undefined;
      warnOfFunctions(options?.callbacks);
      const callbacks = completeCallbacks(options?.callbacks, options?.yieldEvery, self);
      if (callbacks === undefined) return original(...args);
      return original(...args.slice(0, -1), { ...options, callbacks });
    }),
  );
  return () => {
    for (const restore of undo) restore();
  };
}

/** As `acceptCallbacks`, for every model of this copy of TensorFlow.js. */
export function acceptCallbacksEverywhere(): () => void {
  return acceptCallbacks(LayersModel.prototype);
}

/** The functions that were warned of. */
const warned = new WeakSet<object>();

/** TensorFlow.js takes a function for a callback that has no methods: `tracker.callback` in the place of `tracker.callback()`. */
function warnOfFunctions(callbacks: unknown): void {
  for (const each of Array.isArray(callbacks) ? callbacks : [callbacks]) {
    if (typeof each !== 'function' || warned.has(each)) continue;
    warned.add(each);
    const name = each.name === '' ? 'a function' : `the function ${each.name}`;
    warn(
      `model.fit: expected callbacks that are objects, got ${name}, of which TensorFlow.js calls nothing: call it, as in callbacks: tracker.callback(), or pass the tracker itself`,
    );
  }
}

/** The last argument of fit and of fitDataset. */
interface FitArguments {
  callbacks?: unknown;
  yieldEvery?: ConstructorParameters<typeof CustomCallback>[1];
}

/** The callbacks as a list that TensorFlow.js takes as it is; undefined if it takes them well already. */
function completeCallbacks(
  callbacks: unknown,
  yieldEvery: FitArguments['yieldEvery'],
  model: unknown,
): readonly unknown[] | undefined {
  const list: unknown[] = Array.isArray(callbacks) ? callbacks : [callbacks];
  if (!list.some(isOurs)) return undefined;
  const leading = leadingCallback(list, model instanceof LayersModel);
  if (leading === undefined) return undefined;
  const complete = list.map((each) =>
    isComplete(each)
      ? each
      : new CustomCallback((each ?? {}) as ConstructorParameters<typeof CustomCallback>[0], yieldEvery),
  );
  return [leading, ...complete];
}

/**
 * A callback that does nothing and by whose class TensorFlow.js takes a list as it is. Undefined if that class cannot be
 * known, because the model is of another copy and so is no callback; all are called as plain objects then.
 */
function leadingCallback(list: readonly unknown[], isOwnCopy: boolean): object | undefined {
  const first = isOwnCopy ? CustomCallback.prototype : list.find((each) => isComplete(each) && !isOurs(each));
  let base: object | undefined;
  for (let at = first as object | null | undefined; at; at = Object.getPrototypeOf(at)) {
    if (Object.hasOwn(at, 'setParams')) base = at;
  }
  return base && Object.create(base);
}

function isOurs(callback: unknown): boolean {
  const begin = (callback as Partial<FitCallback> | null | undefined)?.onTrainBegin;
  return begin !== undefined && boundMethods.has(begin);
}

/** Whether TensorFlow.js can call a callback as one of its own class. */
function isComplete(callback: unknown): boolean {
  return methodNames.every((name) => typeof (callback as Record<string, unknown> | null)?.[name] === 'function');
}

/**
 * Milliseconds between turns: often enough for a worker's answers. Every turn is a chance for V8 to begin marking the
 * heap, which it takes while the heap is small: at ten turns a second, a training step of 11 ms takes 1 ms longer, with
 * or without hooks.
 */
const turnEveryMs = 500;

/**
 * Lets the event loop turn now and then. A loop that awaits nothing but TensorFlow.js' training functions never lets it
 * turn (on Node, their promises are settled already): workers could not answer, and timers and signals would wait until
 * the end.
 */
export class EventLoopTurns {
  #last = Number.NEGATIVE_INFINITY;

  /** Resolves at once, or after a turn of the event loop if the last one is a while ago. */
  async pass(): Promise<void> {
    const now = performance.now();
    if (now - this.#last < turnEveryMs) return;
    this.#last = now;
    await turn();
  }
}

/** Resolves after a turn. A timer of 0 ms takes 1 ms on Node and 4 ms in a browser; Node has something shorter. */
function turn(): Promise<unknown> {
  const { setImmediate: soon = setTimeout } = globalThis as { setImmediate?: (then: () => void) => void };
  return new Promise<void>((resolve) => soon(resolve));
}
