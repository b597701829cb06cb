import type { Tensor } from '@tensorflow/tfjs-core';
import { LayersModel, type Logs } from '@tensorflow/tfjs-layers';
import { hostAccumulators } from '../activations/accumulate/on-host.js';
import { type GraphModelNodes, isGraphModelNodes } from '../activations/graph-model.js';
import type { Layer } from '../activations/layers.js';
import { ActivationRecorder } from '../activations/recorder.js';
import { innerModel } from '../activations/training-phase.js';
import { describe } from '../errors.js';
import type { Finding, FindingKind } from '../insight/findings.js';
import { isModelLike } from '../insight/layer-graph.js';
import { insteadOfOutput, isLogdir, logdirPath } from '../output/directory-output.js';
import { EpochWriter } from '../recording/epoch-writer.js';
import { FailureLog, nothingMerged } from '../recording/failures.js';
import type { Role } from '../recording/options.js';
import { decodeState, encodeState } from '../recording/recorder-state.js';
import { SaveTargets } from '../recording/save-targets.js';
import { checkSplit, type EpochStatistics, type LayerSaturation, type Split } from '../saturation/epoch.js';
import type { BytesOptions } from '../statistics/accumulator-state.js';
import type { Store } from '../stores/store.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import { acceptCallbacks, acceptCallbacksEverywhere, EventLoopTurns, FitCallback } from './callback.js';
import { FollowedFits } from './fits.js';
import { structureOf } from './model-structure.js';
import { resolveOptions, type SaturationOptions } from './options.js';
import { writeEpochLogs } from './training-logs.js';

/** @deprecated A tracker is a callback itself; this is the type of what SaturationTracker.callback() returns. */
export type TrackerCallback = SaturationTracker;

/**
 * Hooks a model's layers (or a list of layers, or a GraphModel's nodes) and writes their saturation to the runs `train`
 * and `val` below a logdir or writer.
 *
 * Within `model.fit` with the tracker among its `callbacks` the split is known. Outside it, passes are recorded only inside
 * `record(split, fn)`, so a user's own `predict()` never pollutes a split. Epoch values stand at step epoch + 1, as
 * tf.node.tensorBoard's epoch_loss does.
 *
 * One tracker is one training: a second fit, and `addSaturations()` between fits, go on at the next epoch. Only a fit with
 * an `initialEpoch` says itself at which one it begins.
 *
 * A program may end without close(): epochs that have been ended are in TensorBoard's files all the same, if their spectra
 * can be solved within a second. A warning names the spectra, and the stores, for which that was not enough.
 *
 * Training is not changed: weights and histories are bit-identical with and without a tracker. Errors inside the tracker
 * while a model trains are caught, reported once, and thrown by `close()`.
 *
 * Layer saturation: Shenk et al. 2019, https://arxiv.org/abs/1907.08589; Richter et al. 2020,
 * https://arxiv.org/abs/2006.08679.
 *
 * @example
 * ```js
 * import { SaturationTracker } from 'delve-tensorboard/tfjs';
 *
 * const tracker = new SaturationTracker('runs/first', model, { threshold: 0.99 });
 * await model.fit(xs, ys, { epochs: 10, validationSplit: 0.15, callbacks: [tracker.callback()] });
 * await tracker.close();
 * ```
 */
export class SaturationTracker extends FitCallback implements AsyncDisposable {
  // A layer's output goes to the recorder; at the end of an epoch, the epoch writer takes it from there to the targets.
  readonly #recorder: ActivationRecorder;
  readonly #epochs: EpochWriter;
  readonly #targets: SaveTargets;
  readonly #failures = new FailureLog('SaturationTracker: ');
  readonly #turns = new EventLoopTurns();
  readonly #fits = new FollowedFits(this.#failures.warnOnce);
  readonly #logdir: string;
  readonly #signal: AbortSignal | undefined;
  readonly #resetsCovariance: boolean;
  readonly #role: Role;
  /** The model whose fits are followed; undefined for a list of layers, which any model may have. */
  readonly #ownModel: LayersModel | undefined;
  readonly #restoreModels: (() => void)[] = [];
  /** Whether what is recorded came from another process. */
  #isRestored = false;
  /** The end of the last epoch of a fit. */
  #lastEpoch: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  /** The model of the fit that is running. */
  #fitted: LayersModel | undefined;

  /**
   * @param logdir a folder, or a SummaryWriter (which stays open when the tracker closes)
   * @param model a LayersModel, a list of layers, or `{ model: graphModel, nodes: ['block/Relu', ...] }`
   * @param options see SaturationOptions for the defaults
   * @throws TypeError or RangeError if an option is out of its range, the filter keeps no layer, or the logdir is empty
   */
  constructor(
    logdir: string | URL | SummaryWriter,
    model: LayersModel | readonly Layer[] | GraphModelNodes,
    options: SaturationOptions = {},
  ) {
    super();
    checkArguments(logdir, model);
    const resolved = resolveOptions(options);
    const destination = isLogdir(logdir) ? logdirPath(logdir, 'SaturationTracker') : logdir;
    this.#logdir = typeof destination === 'string' ? destination : destination.logdir;
    const accumulators = resolved.deterministic ? hostAccumulators : undefined;
    this.#recorder = new ActivationRecorder(model, resolved, this.#failures.add, accumulators);
    const { add, warnOnce } = this.#failures;
    this.#targets = new SaveTargets(destination, resolved, add, structureOf(model, add));
    this.#epochs = new EpochWriter(this.#recorder.samples, this.#targets, resolved, add, warnOnce, this.#logdir);
    this.#signal = resolved.signal;
    this.#resetsCovariance = resolved.resetCovariance;
    this.#role = resolved.role;
    if (resolved.stopOn.length > 0) this.on('finding', (finding) => this.#stopOn(finding, resolved.stopOn));
    if (!Array.isArray(model) && !isGraphModelNodes(model)) this.#ownModel = model as LayersModel;
    if (this.#signal?.aborted || this.#role === 'writer') return;
    this.#recorder.phase.onUnknownFit = () =>
      this.#failures.warnOnce(
        `model.fit: expected the tracker of '${this.#logdir}' among the callbacks, got none: this fit is not recorded there`,
      );
    this.hook();
    this.#signal?.addEventListener('abort', this.#unhook, { once: true });
  }

  /** The names of the tracked layers, in order of depth, then the names given to observe(). */
  get layerNames(): readonly string[] {
    return this.#recorder.names;
  }

  /** Whether passes are recorded: false after stop(), close() or an abort. */
  get isRecording(): boolean {
    return this.#recorder.isRecording;
  }

  /** Where and in which precision each layer is accumulated, by name, for the layers that have run so far. */
  get strategies(): ReadonlyMap<string, string> {
    return this.#recorder.samples.strategies();
  }

  /**
   * Returns the callback for model.fit and fitDataset, which is the tracker itself. Other callbacks, plain objects too, may
   * stand beside it in any order.
   */
  callback(): this {
    return this;
  }

  /**
   * Counts every pass through the model inside `fn` for a split. Returns what `fn` returns. If that is a promise, the
   * event loop turns every half second, so that a loop of `await tracker.record('train', () => model.trainOnBatch(x, y))`
   * can be watched.
   *
   * One call is one batch for the options logInterval and maxSamples, apart from the model's `predict`, `evaluate` and `fit`
   * in it: call it once per step, not around a loop of steps.
   *
   * @param split 'train' or 'val'
   * @param fn may be async; if two overlap, passes belong to the one that began last and still runs
   * @throws RangeError if the split is neither, TypeError if `fn` is no function
   */
  record<T>(split: Split, fn: () => T): T {
    checkSplit(split);
    if (typeof fn !== 'function') {
      throw new TypeError(
        `record('${split}'): expected a function that runs the model, such as () => model.trainOnBatch(xs, ys), got ${describe(fn)}`,
      );
    }
    if (this.#epochs.isClosed) {
      this.#failures.warnOnce(
        `record('${split}'): expected an open tracker, got the one of '${this.#logdir}' after its close(): nothing is recorded`,
      );
    }
    this.#epochs.noteRows();
    const result = this.#recorder.record(split, fn);
    if (!(result instanceof Promise)) return result;
    return result.then((value) => this.#turns.pass().then(() => value)) as T;
  }

  /**
   * Adds activations that you have at hand: n x features, a sequence n x steps x features or a map n x ...space x
   * channels. The tensor stays yours.
   *
   * @param name in tags, tables and files
   * @throws TypeError or RangeError if an argument is of another kind
   */
  observe(name: string, activations: Tensor, split: Split): void {
    if (typeof name !== 'string' || name === '') {
      throw new TypeError(`name: expected a non-empty string, got ${describe(name)}`);
    }
    if (typeof activations?.dataSync !== 'function') {
      throw new TypeError(`observe '${name}': expected a tensor, got ${describe(activations)}`);
    }
    checkSplit(split);
    this.#epochs.noteRows();
    this.#recorder.observe(name, activations, split);
  }

  /**
   * The epochs that have ended, oldest first: the last ones that hold a million numbers (8 MiB) together, without covariances and
   * embeddings. A saturation view that is mounted later begins with them.
   */
  get pastEpochs(): readonly EpochStatistics[] {
    return this.#epochs.pastEpochs;
  }

  /**
   * Adds a store: it is given every epoch from now on, as those of the option `saveTo` are, and is closed with the tracker.
   * The saturation view is one.
   *
   * @throws TypeError if it is no store, ClosedWriterError after close()
   */
  addStore(store: Store): void {
    this.#epochs.addStore(store);
  }

  /**
   * Calls a function for whatever is found wrong with a layer at the end of an epoch: dead layers, collapse, NaN. Each is told when
   * it begins. An error of the function is reported as those of the tracker are.
   *
   * @returns a function after which it is called no more
   * @throws TypeError if the event is none or the listener no function
   */
  on(event: 'finding', listener: (finding: Finding) => void): () => void {
    return this.#epochs.on(event, listener);
  }

  /**
   * Writes a scalar of your own, to the root run of TensorBoard and to every store.
   *
   * @param step default: the next epoch's
   * @throws ClosedWriterError after close()
   */
  addScalar(tag: string, value: number, step?: number): void {
    this.#epochs.addScalar(tag, value, step);
  }

  /**
   * Solves every layer's spectrum (off this thread if there is a worker), writes all stats to all stores, and starts the
   * next period. Recording may go on meanwhile.
   *
   * @param step default: the number of epochs that were added before, plus one
   * @returns what was written, once it is written; rejects with a ClosedWriterError after close()
   * @throws RangeError if the step is not an integer
   */
  addSaturations(step?: number | bigint): Promise<LayerSaturation[]> {
    return this.#epochs.addSaturations(step, () =>
      this.#warnOfEmpty(
        'addSaturations',
        "run the model inside record('train', fn), or fit it with callbacks: tracker",
      ),
    );
  }

  /** Called by model.fit: starts to count the passes of this fit. */
  override async onTrainBegin(): Promise<void> {
    await this.#failures.guard('onTrainBegin', () => this.#beginFit());
  }

  /** Called by model.fit. Makes the next validation of a fitDataset count. */
  override async onEpochBegin(epoch: number): Promise<void> {
    this.#fits.beginEpoch(epoch, this.#epochs.epoch);
    this.#recorder.phase.beginEpoch();
  }

  /** Called by model.fit. Lets the event loop turn now and then, which TensorFlow.js does for plain objects only. */
  override async onBatchEnd(): Promise<void> {
    await this.#turns.pass();
  }

  /** Called by model.fit: an epoch's saturation is written while the next one trains, its losses and metrics at once. A worker writes nothing. */
  override async onEpochEnd(epoch: number, logs?: Logs): Promise<void> {
    const number = this.#fits.endEpoch(epoch, logs, this.#epochs.epoch);
    if (this.#epochs.isClosed || number === undefined || this.#role === 'worker') return;
    await this.#failures.guard('onEpochEnd', async () => {
      // At most one epoch waits to be written, and an epoch's values can be watched one epoch later at the latest.
      await this.#lastEpoch;
      this.#warnOfEmpty(`epoch ${number + 1}`, 'the model that is fitted has none of them');
      this.#lastEpoch = this.#failures.guard(`epoch ${number + 1}`, () => this.#epochs.endEpoch({ epoch: number }));
      const metrics = logs as Record<string, number | Tensor> | undefined;
      await writeEpochLogs(number, metrics, (split) => this.#targets.run(split));
    });
  }

  /** Called by model.fit: ends the fit, and waits until everything is in the files. */
  override async onTrainEnd(): Promise<void> {
    if (!this.#fits.end()) return;
    this.#fitted = undefined;
    this.#recorder.phase.endFit();
    if (this.#epochs.isClosed) return;
    await this.#failures.guard('onTrainEnd', () => this.#epochs.flush());
  }

  /** Stops recording until resume(). What was recorded stays. */
  stop(): void {
    this.#recorder.stop();
  }

  /** Goes on recording after stop(). */
  resume(): void {
    this.#recorder.resume();
  }

  /** What was recorded since the last addSaturations, as bytes from which another process can go on with restore(). */
  toBytes(): Uint8Array {
    return encodeState({ epoch: this.#epochs.epoch, layers: this.#recorder.samples.snapshot() });
  }

  /**
   * Goes on from toBytes() of a tracker of the same layers.
   *
   * @throws RangeError if the bytes are not a whole state, or are that of other layers
   */
  restore(bytes: Uint8Array): void {
    const state = decodeState(bytes);
    this.#recorder.samples.restore(state.layers);
    this.#epochs.epoch = state.epoch;
    this.#isRestored = true;
  }

  /**
   * Ends the period and resolves to what was recorded in it, as bytes for `merge` of another process, `mergeStates` or `restore`:
   * nothing is solved or written. What is still being read from a device is waited for; recording may go on meanwhile, in the next
   * period. Rows kept for embeddings and TwoNN, and sums by class, are in the bytes, too.
   *
   * The bytes hold single rows of activations (see BytesOptions), unless `withoutRows` is set: then rows kept for embeddings and
   * TwoNN stay here, too.
   *
   * A layer whose sums are lost (its thread died) is reported, and is not in the bytes.
   *
   * @throws a ClosedWriterError after close(), RangeError that names a layer of which there can be no bytes without rows (a sketch)
   */
  take(options: BytesOptions = {}): Promise<Uint8Array> {
    return this.#epochs.take(options);
  }

  /**
   * Adds what another process took (`take`, `toBytes` or `mergeStates`) to this period. It comes after the rows that are recorded
   * here, in the order of the calls: that order decides the last bits. The epoch of the bytes does not matter.
   *
   * Of layers wider than `maxWidth` sketches are kept, which do not merge once they follow different rows.
   *
   * @throws TypeError if these are no bytes, RangeError if they are damaged, or a layer is another model's, has another width or
   *   cannot be merged, which names the layer; nothing was added then
   */
  merge(bytes: Uint8Array): void {
    const { layers } = decodeState(bytes, 'merge');
    this.#recorder.samples.merge(layers);
    this.#epochs.noteRows();
  }

  /**
   * Takes the hooks off the model, waits for what is being solved and written, and closes the stores and the tracker's own
   * writers. Rejects with what went wrong while the model trained, if anything did.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The same as close(), for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Attaches the tracker to the model again after suspend().
   *
   * @internal
   */
  hook(): void {
    if (this.#epochs.isClosed || this.#recorder.isHooked || this.#role === 'writer') return;
    // The recorder wraps the same methods of the model itself: what is wrapped first is called last.
    this.#restoreModels.push(acceptCallbacksEverywhere());
    const model = this.#ownModel;
    if (model !== undefined && !(model instanceof LayersModel)) this.#restoreModels.push(acceptCallbacks(model));
    this.#recorder.hook();
  }

  /**
   * Does what close() does, but the training may go on after hook().
   *
   * @internal
   */
  async suspend(): Promise<void> {
    this.#unhook();
    await this.#epochs.suspend(this.#resetsCovariance);
  }

  async #close(): Promise<void> {
    this.#unhook();
    await this.#epochs.close("record('train', fn)");
    this.#failures.throwAll();
  }

  #beginFit(): void {
    if (this.#epochs.isClosed) {
      this.#failures.warnOnce(
        `model.fit: expected an open tracker, got the one of '${this.#logdir}' after its close(): nothing is recorded`,
      );
      return;
    }
    const given = this.takeFit();
    const model = given?.model ?? (this.#ownModel && innerModel(this.#ownModel));
    const wasInEpoch = this.#fits.isInEpoch;
    if (!this.#fits.begin(model)) return;
    if (model === undefined) {
      this.#failures.warnOnce(
        'model.fit: expected a tracker of the model, got one of a list of layers: this copy of TensorFlow.js does not say which model it fits, and nothing is recorded',
      );
      return;
    }
    this.#fitted = model;
    this.#checkNothingIsLeft(wasInEpoch);
    this.#recorder.phase.beginFit(model, given?.items);
  }

  /** Rows that were recorded before a fit would count with its first epoch. */
  #checkNothingIsLeft(isEpochUnfinished: boolean): void {
    // A worker's rows wait for take(), which may come after several fits.
    const isExpected = this.#isRestored || !this.#resetsCovariance || (this.#role === 'worker' && !isEpochUnfinished);
    this.#isRestored = false;
    if (!this.#recorder.samples.hasRows || isExpected) return;
    if (isEpochUnfinished) {
      this.#recorder.samples.solve({}, true);
      this.#failures.warnOnce(
        `model.fit: the fit before ended within epoch ${this.#epochs.epoch + 1}, whose rows are left out`,
      );
    } else {
      this.#failures.warnOnce(
        'model.fit: expected addSaturations() first, got rows that are in no epoch yet: they count with the first one of this fit',
      );
    }
  }

  #stopOn({ kind, text }: Finding, kinds: readonly FindingKind[]): void {
    if (this.#fitted === undefined || !kinds.includes(kind)) return;
    this.#failures.warnOnce(`the training is stopped, as stopOn says. ${text}`);
    this.#fitted.stopTraining = true;
  }

  #warnOfEmpty(where: string, why: string): void {
    if (this.#role === 'writer' && !this.#recorder.samples.hasRows) this.#failures.warnOnce(nothingMerged);
    if (this.#recorder.isRecording && !this.#recorder.samples.hasRows) {
      this.#failures.warnOnce(`${where}: expected passes through the tracked layers, got none: ${why}`);
    }
  }

  readonly #unhook = (): void => {
    this.#signal?.removeEventListener('abort', this.#unhook);
    this.#recorder.unhook();
    for (const restore of this.#restoreModels.splice(0)) restore();
  };
}

/** What is easily given wrong is said in the words of the call. @throws TypeError */
function checkArguments(logdir: unknown, model: unknown): void {
  const call = 'SaturationTracker(logdir, model)';
  const isPromise = (value: unknown) => typeof (value as PromiseLike<unknown> | null)?.then === 'function';
  if (isPromise(model)) {
    throw new TypeError(`${call}: expected a model, got a promise: await it, as in await tf.loadLayersModel(path)`);
  }
  if (Array.isArray(logdir) || isModelLike(logdir) || isGraphModelNodes(logdir)) {
    throw new TypeError(`${call}: expected the logdir first, got ${describe(logdir)}`);
  }
  const writer = logdir as Partial<SummaryWriter> | null | undefined;
  const isWriter = typeof writer?.addScalar === 'function' && typeof writer.run === 'function';
  if (!isWriter && !isLogdir(logdir) && logdir !== '') {
    throw new TypeError(
      `${call}: expected a folder or a SummaryWriter as logdir, got ${describe(logdir)}${insteadOfOutput(logdir)}`,
    );
  }
  if (model === undefined || model === null) {
    throw new TypeError(
      `${call}: expected a LayersModel, a list of layers or { model, nodes }, got ${describe(model)}`,
    );
  }
}
