import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { GraphModelNodes } from '../activations/graph-model.js';
import type { Layer } from '../activations/layers.js';
import { ActivationRecorder } from '../activations/recorder.js';
import { decodeState, encodeState } from '../activations/recorder-state.js';
import { ClosedWriterError, describe } from '../errors.js';
import type { LayerSaturation, Split } from '../saturation/epoch.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import { EventLoopTurns, TrackerCallback } from './callback.js';
import { EpochWriter } from './epoch-writer.js';
import { FailureLog } from './failures.js';
import { resolveOptions, type SaturationOptions } from './options.js';
import { SaveTargets } from './save-targets.js';

/**
 * Hooks a model's layers (or a list of layers, or a GraphModel's nodes) and writes their saturation to the runs `train`
 * and `val` below a logdir or writer.
 *
 * Within `model.fit` with `callback()` the split is known. Outside it, passes are recorded only inside
 * `record(split, fn)`, so a user's own `predict()` never pollutes a split. Epoch values stand at step epoch + 1, as
 * tf.node.tensorBoard's epoch_loss does.
 *
 * A program may end without close(): epochs that have been ended are in TensorBoard's files all the same, if their spectra
 * can be solved within a second. A warning names the spectra, and the stores, for which that was not enough.
 *
 * Training is not changed: weights and histories are bit-identical with and without a tracker. Errors inside the tracker
 * while a model trains are caught, reported once, and thrown by `close()`.
 *
 * Layer saturation: Shenk et al. 2019, https://arxiv.org/abs/1907.08589; Richter et al. 2020,
 * https://arxiv.org/abs/2006.08679.
 */
export class SaturationTracker implements AsyncDisposable {
  // A layer's output goes to the recorder; at the end of an epoch, the epoch writer takes it from there to the targets.
  readonly #recorder: ActivationRecorder;
  readonly #epochs: EpochWriter;
  readonly #targets: SaveTargets;
  readonly #failures = new FailureLog('SaturationTracker: ');
  readonly #turns = new EventLoopTurns();
  readonly #logdir: string;
  readonly #signal: AbortSignal | undefined;
  #closing: Promise<void> | undefined;

  /**
   * @param logdir a folder, or a SummaryWriter (which stays open when the tracker closes)
   * @param model a LayersModel, a list of layers, or `{ model: graphModel, nodes: ['block/Relu', ...] }`
   * @param options see SaturationOptions for the defaults
   * @throws TypeError or RangeError if an option is out of its range, the filter keeps no layer, or the logdir is empty
   */
  constructor(
    logdir: string | SummaryWriter,
    model: LayersModel | readonly Layer[] | GraphModelNodes,
    options: SaturationOptions = {},
  ) {
    const resolved = resolveOptions(options);
    this.#logdir = typeof logdir === 'string' ? logdir : (logdir?.logdir ?? '');
    this.#recorder = new ActivationRecorder(model, resolved, this.#failures.add);
    this.#targets = new SaveTargets(logdir, resolved, this.#failures.add);
    this.#epochs = new EpochWriter(this.#recorder, this.#targets, resolved, this.#failures.add);
    this.#signal = resolved.signal;
    if (this.#signal?.aborted) return;
    this.#recorder.hook();
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
    return this.#recorder.strategies();
  }

  /** Returns a callback for model.fit and fitDataset. Other callbacks may stand beside it in any order. */
  callback(): TrackerCallback {
    return new TrackerCallback(this.#recorder, this.#epochs, this.#targets, this.#failures);
  }

  /**
   * Counts every pass through the model inside `fn` for a split. Returns what `fn` returns. If that is a promise, the
   * event loop turns every half second, so that a loop of `await tracker.record('train', () => model.trainOnBatch(x, y))`
   * can be watched.
   *
   * @param split 'train' or 'val'
   * @param fn may be async; if two overlap, passes belong to the one that began last and still runs
   * @throws RangeError if the split is neither
   */
  record<T>(split: Split, fn: () => T): T {
    checkSplit(split);
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
    this.#recorder.observe(name, activations, split);
  }

  /**
   * Writes a scalar of your own, to the root run of TensorBoard and to every store.
   *
   * @param step default: the next epoch's
   * @throws ClosedWriterError after close()
   */
  addScalar(tag: string, value: number, step?: number): void {
    if (this.#epochs.isClosed) throw new ClosedWriterError(`addScalar "${tag}"`, this.#logdir);
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
    if (step !== undefined && typeof step !== 'bigint' && !Number.isSafeInteger(step)) {
      throw new RangeError(`step: expected an integer, got ${describe(step)}`);
    }
    if (this.#epochs.isClosed) return Promise.reject(new ClosedWriterError('addSaturations', this.#logdir));
    return this.#epochs.endEpoch(step === undefined ? {} : { step: Number(step) });
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
    return encodeState({ epoch: this.#epochs.epoch, layers: this.#recorder.snapshot() });
  }

  /**
   * Goes on from toBytes() of a tracker of the same layers.
   *
   * @throws RangeError if the bytes are not a whole state
   */
  restore(bytes: Uint8Array): void {
    const state = decodeState(bytes);
    for (const saved of state.layers) this.#recorder.restore(saved);
    this.#epochs.epoch = state.epoch;
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

  async #close(): Promise<void> {
    this.#unhook();
    await this.#epochs.close();
    this.#failures.throwAll();
  }

  readonly #unhook = (): void => {
    this.#signal?.removeEventListener('abort', this.#unhook);
    this.#recorder.unhook();
  };
}

function checkSplit(split: Split): void {
  if (split !== 'train' && split !== 'val') {
    throw new RangeError(`split: expected 'train' or 'val', got ${describe(split)}`);
  }
}
