import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import type { Finding } from '../insight/findings.js';
import { insteadOfOutput, isLogdir, logdirPath } from '../output/directory-output.js';
import { checkSplit, type EpochStatistics, type LayerSaturation, type Split } from '../saturation/epoch.js';
import type { BytesOptions } from '../statistics/accumulator-state.js';
import type { Store } from '../stores/store.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import {
  type Activations,
  ArrayAccumulators,
  type ArrayOutput,
  arrayOutput,
  checkedClasses,
  checkObserveOptions,
  type ObserveOptions,
} from './array-output.js';
import { EpochWriter } from './epoch-writer.js';
import { FailureLog, nothingMerged } from './failures.js';
import { type RecorderOptions, type ResolvedOptions, resolveRecorderOptions } from './options.js';
import { decodeState, encodeState } from './recorder-state.js';
import { newRun } from './row-selection.js';
import { SampleRecorder } from './sample-recorder.js';
import { SaveTargets } from './save-targets.js';

const observeOptionNames: OptionNames<ObserveOptions> = {
  layout: true,
  mask: true,
  kind: true,
  recurrent: true,
  labels: true,
  predictions: true,
  classifier: true,
};

/**
 * Measures the saturation of layers whose outputs you have at hand, whatever runs them: jax-js, brain.js, onnxruntime,
 * transformers.js, or a network of your own. It writes what a SaturationTracker of TensorFlow.js writes, to the runs `train` and
 * `val` below a logdir or writer.
 *
 * A program may end without close(): epochs that have been ended are in TensorBoard's files all the same, if their spectra can
 * be solved within a second.
 *
 * Layer saturation: Shenk et al. 2019, https://arxiv.org/abs/1907.08589.
 *
 * @example
 * ```js
 * import { SaturationRecorder } from 'delve-tensorboard';
 *
 * const recorder = new SaturationRecorder('runs/mine');
 * for (let epoch = 0; epoch < 10; epoch++) {
 *   for (const batch of batches) recorder.observe('hidden', { data: hiddenOf(batch), shape: [64, 128] }, 'train');
 *   await recorder.addSaturations();
 * }
 * await recorder.close();
 * ```
 */
export class SaturationRecorder implements AsyncDisposable {
  readonly #options: ResolvedOptions;
  readonly #samples: SampleRecorder<ArrayOutput>;
  readonly #epochs: EpochWriter;
  readonly #failures = new FailureLog('SaturationRecorder: ');
  readonly #names: string[] = [];
  /** The weights of the classifier that a layer feeds, by its name. */
  readonly #classifiers = new Map<string, Float64Array>();
  #isStopped = false;
  #closing: Promise<void> | undefined;

  /**
   * @param logdir a folder, or a SummaryWriter (which stays open when the recorder closes)
   * @param options see RecorderOptions for the defaults
   * @throws TypeError or RangeError if an option is out of its range, or the logdir is empty
   */
  constructor(logdir: string | URL | SummaryWriter, options: RecorderOptions = {}) {
    const writer = logdir as Partial<SummaryWriter> | '' | null | undefined;
    const isWriter =
      typeof writer === 'object' && typeof writer?.addScalar === 'function' && typeof writer.run === 'function';
    if (!isWriter && !isLogdir(logdir) && writer !== '') {
      throw new TypeError(
        `SaturationRecorder(logdir): expected a folder or a SummaryWriter as logdir, got ${describe(logdir)}${insteadOfOutput(logdir)}`,
      );
    }
    this.#options = resolveRecorderOptions(options, 'SaturationRecorder');
    const destination = isLogdir(logdir) ? logdirPath(logdir, 'SaturationRecorder') : (logdir as SummaryWriter);
    const { add, warnOnce } = this.#failures;
    this.#samples = new SampleRecorder(this.#options, new ArrayAccumulators(), add);
    this.#samples.classifierOf = async (layer) => this.#classifiers.get(layer);
    const targets = new SaveTargets(destination, this.#options, add);
    const where = typeof destination === 'string' ? destination : destination.logdir;
    this.#epochs = new EpochWriter(this.#samples, targets, this.#options, add, warnOnce, where);
  }

  /** The names given to observe(), in order of their first call. */
  get layerNames(): readonly string[] {
    return this.#names;
  }

  /** Whether observe() records: false after stop(), close() or an abort of the option `signal`, and with role 'writer'. */
  get isRecording(): boolean {
    return (
      this.#options.role !== 'writer' &&
      !this.#isStopped &&
      !this.#epochs.isClosed &&
      this.#options.signal?.aborted !== true
    );
  }

  /** Where and in which precision each layer is accumulated, by name, for the layers observed so far. */
  get strategies(): ReadonlyMap<string, string> {
    return this.#samples.strategies();
  }

  /**
   * Adds a layer's output for one batch: n x features, a sequence n x steps x features, or a map n x ...space x channels.
   * Nested arrays, `{ data, shape }`, and tensors of TensorFlow.js, onnxruntime, transformers.js and jax-js are taken. One call is
   * one batch of the layer for the options logInterval and maxSamples.
   *
   * Values in memory are read during the call. If they must be read from a device, the promise says when the activations may be
   * disposed of; it never rejects, because training is not to be ended by a layer that cannot be read: close() does.
   *
   * @param name in tags, tables and files
   * @param activations stay yours
   * @throws TypeError or RangeError if an argument is of another kind
   */
  observe(name: string, activations: Activations, split: Split, options: ObserveOptions = {}): void | Promise<void> {
    if (typeof name !== 'string' || name === '') {
      throw new TypeError(`name: expected a non-empty string, got ${describe(name)}`);
    }
    checkSplit(split);
    const call = `observe '${name}'`;
    checkOptionNames(call, options, observeOptionNames);
    const output = arrayOutput(activations, call);
    const { view, mask } = checkObserveOptions(output.shape, options, this.#options, call);
    const classes = checkedClasses(options, output.shape[0], call);
    if (!this.#names.includes(name)) this.#names.push(name);
    if (this.#epochs.isClosed) {
      this.#failures.warnOnce(`${call}: expected an open recorder, got one after its close(): nothing is recorded`);
    }
    if (!this.isRecording) return undefined;
    this.#epochs.noteRows();
    if (options.classifier !== undefined) this.#classifiers.set(name, Float64Array.from(options.classifier));
    let reading: Promise<unknown> | undefined;
    const read = () => {
      const values = output.read();
      if (values instanceof Promise) reading = values;
      return values;
    };
    const batch = { run: newRun(), index: 0 };
    this.#samples.add(split, name, {
      output: { ...output, read },
      view,
      mask,
      batch,
      classes: classes && { whenKnown: (use) => use(classes) },
      expectedItems: undefined,
    });
    return reading?.then(
      () => {},
      () => {},
    );
  }

  /**
   * The epochs that have ended, oldest first: the last ones that hold a million numbers (8 MiB) together, without covariances and
   * embeddings. A saturation view that is mounted later begins with them.
   */
  get pastEpochs(): readonly EpochStatistics[] {
    return this.#epochs.pastEpochs;
  }

  /**
   * Adds a store: it is given every epoch from now on, as those of the option `saveTo` are, and is closed with the recorder.
   * The saturation view is one.
   *
   * @throws TypeError if it is no store, ClosedWriterError after close()
   */
  addStore(store: Store): void {
    this.#epochs.addStore(store);
  }

  /**
   * Calls a function for whatever is found wrong with a layer at the end of an epoch: dead layers, collapse, NaN. Each is told when
   * it begins. An error of the function is reported as those of the recorder are.
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
   * Solves every layer's spectrum (off this thread if there is a worker), writes all stats to all stores, and starts the next
   * period. observe() may go on meanwhile.
   *
   * @param step default: the number of epochs that were added before, plus one
   * @returns what was written, once it is written; rejects with a ClosedWriterError after close()
   * @throws RangeError if the step is not an integer
   */
  addSaturations(step?: number | bigint): Promise<LayerSaturation[]> {
    const written = this.#epochs.addSaturations(step, () => {
      if (this.#samples.hasRows) return;
      if (this.#options.role === 'writer') this.#failures.warnOnce(nothingMerged);
      else if (this.isRecording)
        this.#failures.warnOnce('addSaturations: expected activations, got none: call observe() before');
    });
    this.#classifiers.clear(); // they have been read: those of the next epoch are others
    return written;
  }

  /** Stops recording until resume(). What was recorded stays. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Goes on recording after stop(). */
  resume(): void {
    this.#isStopped = false;
  }

  /** What was recorded since the last addSaturations, as bytes from which another process can go on with restore(). */
  toBytes(): Uint8Array {
    return encodeState({ epoch: this.#epochs.epoch, layers: this.#samples.snapshot() });
  }

  /**
   * Goes on from toBytes() of a recorder of the same layers.
   *
   * @throws RangeError if the bytes are not a whole state
   */
  restore(bytes: Uint8Array): void {
    const state = decodeState(bytes);
    this.#samples.restore(state.layers);
    this.#epochs.epoch = state.epoch;
    for (const { layer } of state.layers) if (!this.#names.includes(layer)) this.#names.push(layer);
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
   * @throws a ClosedWriterError after close(), RangeError that names a layer of which there can be no bytes without rows (a sketch): then
   *   the period goes on
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
    this.#samples.merge(layers);
    this.#epochs.noteRows();
    for (const { layer } of layers) if (!this.#names.includes(layer)) this.#names.push(layer);
  }

  /**
   * Waits for what is being solved and written, and closes the stores and the recorder's own writers. Rejects with what went
   * wrong meanwhile, if anything did.
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
    await this.#epochs.close("observe(name, activations, 'train')");
    this.#failures.throwAll();
  }
}
