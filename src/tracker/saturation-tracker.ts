import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { warn } from '#platform';
import { type GraphModelNodes, isGraphModelNodes, nodeNames, onGraphModelRun } from '../activations/hooks.js';
import { type Layer, trackedLayers } from '../activations/layers.js';
import { ActivationRecorder, type RecordedLayer } from '../activations/recorder.js';
import { decodeState, encodeState } from '../activations/recorder-state.js';
import { TrainingPhase } from '../activations/training-phase.js';
import { ClosedWriterError, messageOf } from '../errors.js';
import type { EpochStatistics, LayerSaturation, Split } from '../saturation/epoch.js';
import { wishesFor } from '../saturation/measure-layer.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import { EventLoopTurns, TrackerCallback } from './callback.js';
import { EpochMemory, measureEpoch } from './measure-epoch.js';
import { type ResolvedOptions, resolveOptions, type SaturationOptions } from './options.js';
import { TrackerOutlets } from './results.js';

/**
 * Hooks a model's layers (or a list of layers, or a GraphModel's nodes) and writes their saturation to the runs `train`
 * and `val` below a logdir or writer.
 *
 * Within `model.fit` with `callback()` the split is known. Outside it, passes are recorded only inside
 * `record(split, fn)`, so a user's own `predict()` never pollutes a split. Epoch values stand at step epoch + 1, as
 * tf.node.tensorBoard's epoch_loss does.
 *
 * Training is not changed: weights and histories are bit-identical with and without a tracker. Whatever goes wrong
 * inside the tracker while a model trains is caught, reported once, and thrown by `close()`.
 *
 * Layer saturation: Shenk et al. 2019, https://arxiv.org/abs/1907.08589; Richter et al. 2020,
 * https://arxiv.org/abs/2006.08679.
 */
export class SaturationTracker implements AsyncDisposable {
  readonly #options: ResolvedOptions;
  readonly #phase = new TrainingPhase();
  readonly #recorder: ActivationRecorder;
  readonly #memory = new EpochMemory();
  readonly #outlets: TrackerOutlets;
  readonly #names: string[];
  readonly #logdir: string;
  readonly #errors: Error[] = [];
  readonly #reported = new Set<string>();
  readonly #turns = new EventLoopTurns();
  #scalars: EpochStatistics['scalars'] = [];
  #unhookGraph: (() => void) | undefined;
  #epoch: number;
  #jobs: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  /**
   * @param logdir a folder, or a SummaryWriter (which stays open when the tracker closes)
   * @param model a LayersModel, a list of layers, or `{ model: graphModel, nodes: ['block/Relu', ...] }`
   * @throws TypeError, RangeError for options that make no sense, a filter that keeps no layer, a logdir that cannot be made
   */
  constructor(
    logdir: string | SummaryWriter,
    model: LayersModel | readonly Layer[] | GraphModelNodes,
    options: SaturationOptions = {},
  ) {
    this.#options = resolveOptions(options);
    this.#logdir = typeof logdir === 'string' ? logdir : (logdir?.logdir ?? '');
    this.#epoch = this.#options.initialEpoch;
    const ofGraph = isGraphModelNodes(model);
    const tracked = ofGraph ? [] : trackedLayers(model as Layer | readonly Layer[], this.#options.layers);
    this.#names = ofGraph ? nodeNames(model) : tracked.map((target) => target.name);
    this.#outlets = new TrackerOutlets(logdir, this.#options, (error, where) => this.#report(error, where));
    this.#recorder = new ActivationRecorder(tracked, this.#options, this.#phase, (error, layer) =>
      this.#report(error, `layer '${layer}'`),
    );
    if (ofGraph) this.#hookGraph(model);
    else if (!Array.isArray(model)) this.#phase.watch(model as LayersModel);
    const { signal } = this.#options;
    if (signal?.aborted) this.#release();
    else signal?.addEventListener('abort', this.#release, { once: true });
  }

  /** The names of the tracked layers, in order of depth. */
  get layerNames(): readonly string[] {
    return this.#names;
  }

  /** False after stop(), close() or an abort. */
  get isRecording(): boolean {
    return this.#recorder.isRecording;
  }

  /** How each layer's moments are accumulated (where, in which precision), as far as layers have run. */
  get strategies(): ReadonlyMap<string, string> {
    return this.#recorder.strategies();
  }

  /** The callback for model.fit and fitDataset; other callbacks may stand beside it in any order. */
  callback(): TrackerCallback {
    return new TrackerCallback({
      logdirRun: (split) => this.#outlets.run(split),
      beginFit: (model, items) => {
        this.#phase.beginFit(model, items === undefined);
        this.#recorder.expect('train', items);
      },
      beginEpoch: () => this.#phase.beginEpoch(),
      endFit: () => this.#phase.endFit(),
      isClosed: () => this.#closing !== undefined,
      addSaturations: (epoch) => this.#addSaturations(epoch + 1, epoch),
      settle: () => this.#settle(),
      report: (error, where) => this.#report(error, where),
    });
  }

  /**
   * Counts every pass through the model inside `fn` for a split. Returns what `fn` returns; a promise lets the event loop
   * turn every half second, so that a loop of `await tracker.record('train', () => model.trainOnBatch(x, y))` can be watched.
   *
   * @param fn may be async; of two that overlap, passes belong to the one that began last and still runs
   */
  record<T>(split: Split, fn: () => T): T {
    checkSplit(split);
    const result = this.#recorder.record(split, fn);
    if (!(result instanceof Promise)) return result;
    return result.then((value) => this.#turns.pass().then(() => value)) as T;
  }

  /**
   * Adds activations at hand: n x features, a sequence n x steps x features or a map n x ...space x channels. The tensor
   * stays the caller's.
   */
  observe(name: string, activations: Tensor, split: Split): void {
    if (typeof name !== 'string' || name === '') throw new TypeError(`name: expected a non-empty string, got ${name}`);
    if (typeof activations?.dataSync !== 'function') {
      throw new TypeError(`observe '${name}': expected a tensor, got ${typeof activations}`);
    }
    checkSplit(split);
    if (!this.#names.includes(name)) this.#names.push(name);
    this.#recorder.observe(name, activations, split);
  }

  /**
   * A scalar of your own, in the root run of TensorBoard and in every store.
   *
   * @param step default: the next epoch's
   * @throws ClosedWriterError after close()
   */
  addScalar(tag: string, value: number, step: number = this.#epoch + 1): void {
    if (this.#closing !== undefined) throw this.#closedError(`addScalar "${tag}"`);
    this.#outlets.addScalar(tag, value, step);
    this.#scalars.push({ tag, value });
  }

  /**
   * Solves every layer's spectrum (off this thread where there is a worker), writes all stats to all stores, and starts
   * the next period. Recording may go on meanwhile.
   *
   * @param step default: one more than the epochs added so far
   * @returns what was written, once it is; rejects with a ClosedWriterError after close()
   */
  addSaturations(step?: number | bigint): Promise<LayerSaturation[]> {
    if (step !== undefined && typeof step !== 'bigint' && !Number.isSafeInteger(step)) {
      throw new RangeError(`step: expected an integer, got ${step}`);
    }
    if (this.#closing !== undefined) return Promise.reject(this.#closedError('addSaturations'));
    return this.#addSaturations(step === undefined ? undefined : Number(step), undefined);
  }

  /** Stops recording until resume(); what was recorded stays. */
  stop(): void {
    this.#recorder.stop();
  }

  resume(): void {
    this.#recorder.resume();
  }

  /** What was recorded since the last addSaturations, to go on in another process with restore(). */
  toBytes(): Uint8Array {
    return encodeState({ epoch: this.#epoch, layers: this.#recorder.snapshot() });
  }

  /** Goes on from toBytes() of a tracker of the same layers. @throws RangeError when the bytes are not a whole state */
  restore(bytes: Uint8Array): void {
    const state = decodeState(bytes);
    for (const saved of state.layers) this.#recorder.restore(saved);
    this.#epoch = state.epoch;
  }

  /**
   * Takes the hooks off the model, waits for what is being solved and written, and closes the stores and the writer.
   * Rejects with what went wrong while the model trained, if anything did.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#release();
    await this.#jobs.catch(() => {});
    this.#recorder.dispose();
    await this.#outlets.close();
    if (this.#errors.length === 1) throw this.#errors[0];
    if (this.#errors.length > 1) {
      const messages = this.#errors.map((error) => error.message).join('; ');
      throw new AggregateError(this.#errors, `${this.#errors.length} errors while tracking: ${messages}`);
    }
  }

  readonly #release = (): void => {
    this.#options.signal?.removeEventListener('abort', this.#release);
    this.#recorder.unhook();
    this.#phase.unwatch();
    this.#unhookGraph?.();
    this.#unhookGraph = undefined;
  };

  #hookGraph(model: GraphModelNodes): void {
    const split = () => (this.isRecording ? this.#phase.current(false) : undefined);
    this.#unhookGraph = onGraphModelRun(
      model,
      () => split() !== undefined,
      (node, activations) => {
        const current = split();
        if (current !== undefined) this.#recorder.observe(node, activations, current);
      },
    );
  }

  #addSaturations(step: number | undefined, epoch: number | undefined): Promise<LayerSaturation[]> {
    const at = epoch ?? this.#epoch;
    this.#epoch = at + 1;
    const recorded = this.#recorder.solve(wishesFor(this.#options), this.#options.resetCovariance);
    const scalars = this.#scalars;
    this.#scalars = [];
    const job = this.#jobs.then(() => this.#write(recorded, { epoch: at, step: step ?? at + 1, scalars }));
    this.#jobs = job.catch(() => {});
    return job;
  }

  async #write(
    recorded: readonly RecordedLayer[],
    at: Pick<EpochStatistics, 'epoch' | 'step' | 'scalars'>,
  ): Promise<LayerSaturation[]> {
    const report = (error: unknown, where: string) => this.#report(error, where);
    const { epoch, spectra, results } = await measureEpoch(recorded, at, this.#options, this.#memory, report);
    for (const { split, layer } of results) {
      const spectrum = spectra.get(`${split}/${layer}`);
      if (spectrum !== undefined) this.#recorder.review(split, layer, spectrum);
    }
    await this.#outlets.write(epoch);
    return results;
  }

  async #settle(): Promise<void> {
    await this.#jobs;
    await this.#outlets.flush();
  }

  #closedError(what: string): ClosedWriterError {
    return new ClosedWriterError(what, this.#logdir);
  }

  /** Warns once per place and kind of error; close() throws the first of each. */
  #report(error: unknown, where: string): void {
    const message = `${where}: ${messageOf(error)}`;
    if (this.#reported.has(message)) return;
    this.#reported.add(message);
    this.#errors.push(new Error(message, { cause: error }));
    warn(`SaturationTracker: ${message}`);
  }
}

function checkSplit(split: Split): void {
  if (split !== 'train' && split !== 'val') throw new RangeError(`split: expected 'train' or 'val', got '${split}'`);
}
