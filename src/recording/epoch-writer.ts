import { onExit, warn } from '#platform';
import { ClosedWriterError, checkOptionNames, describe } from '../errors.js';
import { type Finding, FindingRules } from '../insight/findings.js';
import type { EpochScalar, EpochStatistics, LayerSaturation } from '../saturation/epoch.js';
import { solveOptionsFor } from '../saturation/measure-layer.js';
import type { BytesOptions } from '../statistics/accumulator-state.js';
import type { Store } from '../stores/store.js';
import { EpochMeasurement, EpochMemory } from './measure-epoch.js';
import type { ResolvedOptions } from './options.js';
import { encodeState } from './recorder-state.js';
import type { SampleRecorder } from './sample-recorder.js';
import type { SaveTargets } from './save-targets.js';

/** How long the end of a program may be delayed to solve what is being solved, in milliseconds. */
const exitMillis = 1000;

/** Most numbers that the epochs hold together which are kept for a view that is opened later: 8 MiB. */
const mostPastNumbers = 2 ** 20;

/** The writers that have epochs to write, or rows in no epoch yet. What they can write when the program exits, they write then. */
const busy = new Set<EpochWriter>();
let watchesExit = false;

function finishAtExit(final: boolean): void {
  if (!final) return;
  const deadline = performance.now() + exitMillis;
  for (const writer of busy) writer.finishNow(deadline);
}

function watch(writer: EpochWriter): void {
  if (!watchesExit) onExit(finishAtExit);
  watchesExit = true;
  busy.add(writer);
}

/** The part of a SampleRecorder that an EpochWriter calls. */
type RecordedSamples = Pick<
  SampleRecorder<never>,
  'hasRows' | 'solve' | 'take' | 'checkWithoutRows' | 'adaptBudget' | 'dispose' | 'release' | 'onUnits'
>;

/**
 * Ends the epochs of a tracker or recorder: it solves what was recorded, measures the spectra, and writes the statistics to all targets.
 * Solving begins at once, so that recording can go on; epochs are measured and written one after another.
 */
export class EpochWriter {
  /** The epoch that is being recorded, from 0. */
  epoch: number;
  readonly #recorder: RecordedSamples;
  readonly #targets: SaveTargets;
  readonly #options: ResolvedOptions;
  readonly #report: (error: unknown, where: string) => void;
  readonly #memory = new EpochMemory();
  readonly #rules = new FindingRules();
  readonly #listeners = new Set<(finding: Finding) => void>();
  readonly #warnOnce: (message: string) => void;
  readonly #logdir: string;
  #scalars: EpochScalar[] = [];
  /** The tag of the last of these that the caller left to stand at the next epoch's end. */
  #awaitingTag: string | undefined;
  /** Whether rows were recorded, or an epoch was ended. */
  #hasBegun = false;
  /** The step of the epoch that was ended last. */
  #lastStep = Number.NEGATIVE_INFINITY;
  #lastEpoch: Promise<unknown> = Promise.resolve();
  /** The epochs that have been ended and are not in TensorBoard's files yet, oldest first. */
  readonly #unwritten = new Set<EpochMeasurement>();
  /** The epochs that have ended: the last ones, without what is large. */
  readonly #past: EpochStatistics[] = [];
  #pastNumbers = 0;
  #isClosed = false;
  /** Whether the caller recorded something since the last epoch, which nothing but the caller will end. */
  #awaitsEnd = false;

  /**
   * @param report receives errors of single layers and targets; the others go on
   * @param warnOnce receives what the user should change, in a sentence
   * @param logdir in words
   */
  constructor(
    recorder: RecordedSamples,
    targets: SaveTargets,
    options: ResolvedOptions,
    report: (error: unknown, where: string) => void,
    warnOnce: (message: string) => void,
    logdir: string,
  ) {
    this.#warnOnce = warnOnce;
    this.#logdir = logdir;
    this.epoch = options.initialEpoch;
    this.#recorder = recorder;
    this.#targets = targets;
    this.#options = options;
    this.#report = report;
    recorder.onUnits = (split, layer, seen, batch) => {
      const { epoch } = this;
      const found = this.#rules.checkUnits({ split, layer, epoch, step: epoch + 1, batch }, seen);
      // Not within a layer's call: a listener may run the model.
      if (found.length > 0) queueMicrotask(() => found.forEach((finding) => void this.#tell(finding)));
    };
  }

  /** Whether close() was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The epochs that have ended, oldest first, without covariances and embeddings: the last ones that hold a million numbers together. */
  get pastEpochs(): readonly EpochStatistics[] {
    return [...this.#past];
  }

  /** Notes that the caller has recorded rows itself: if the program exits before their epoch has been ended, that is told. */
  noteRows(): void {
    this.#hasBegun = true;
    if (this.#awaitsEnd) return;
    this.#awaitsEnd = true;
    watch(this);
  }

  /**
   * Adds a store: it is given every epoch from now on, and is closed with the others.
   *
   * @throws TypeError if it is no store, ClosedWriterError after close()
   */
  addStore(store: Store): void {
    if (typeof store?.add !== 'function') {
      throw new TypeError(`addStore: expected an object with a method add, got ${describe(store)}`);
    }
    if (this.#isClosed) throw new ClosedWriterError('addStore', this.#logdir);
    const refusal = this.#refusal('addStore');
    if (refusal) throw refusal;
    this.#targets.addStore(store);
  }

  /**
   * Calls a function for whatever is found wrong at the end of an epoch, or within it (`findEvery`).
   *
   * @returns a function after which it is called no more
   * @throws TypeError if the event is none or the listener no function
   */
  on(event: 'finding', listener: (finding: Finding) => void): () => void {
    if (event !== 'finding') throw new TypeError(`on: expected the event 'finding', got ${describe(event)}`);
    if (typeof listener !== 'function') throw new TypeError(`on: expected a function, got ${describe(listener)}`);
    const each = (finding: Finding) => listener(finding);
    this.#listeners.add(each);
    return () => void this.#listeners.delete(each);
  }

  /**
   * Writes a scalar of the user's own, now to TensorBoard and with the epoch to the stores.
   *
   * @throws ClosedWriterError after close()
   */
  addScalar(tag: string, value: number, step?: number): void {
    if (this.#isClosed) throw new ClosedWriterError(`addScalar "${tag}"`, this.#logdir);
    this.#targets.addScalar(tag, value, step ?? this.epoch + 1);
    this.#scalars.push({ tag, value });
    if (step === undefined) this.#awaitingTag = tag;
  }

  /**
   * Ends the epoch at the caller's wish.
   *
   * @param step default: the number of epochs that were added before, plus one
   * @param warnOfEmpty is called before, to say that nothing was recorded if so
   * @returns as endEpoch; rejects with a ClosedWriterError after close()
   * @throws RangeError if the step is not an integer
   */
  addSaturations(step: number | bigint | undefined, warnOfEmpty: () => void): Promise<LayerSaturation[]> {
    if (step !== undefined && typeof step !== 'bigint' && !Number.isSafeInteger(step)) {
      throw new RangeError(`step: expected an integer, got ${describe(step)}`);
    }
    if (this.#isClosed) return Promise.reject(new ClosedWriterError('addSaturations', this.#logdir));
    const refusal = this.#refusal('addSaturations');
    if (refusal) return Promise.reject(refusal);
    warnOfEmpty();
    return this.endEpoch(step === undefined ? {} : { step: Number(step) });
  }

  /**
   * Takes what was recorded in the epoch, unsolved, for another process: the next epoch begins.
   *
   * @param options see BytesOptions
   * @throws a ClosedWriterError after close(), RangeError that names a layer of which there can be no such bytes: then the
   *   epoch goes on
   */
  async take(options: BytesOptions = {}): Promise<Uint8Array> {
    checkOptionNames('take', options, { withoutRows: true });
    if (this.#isClosed) throw new ClosedWriterError('take', this.#logdir);
    if (options.withoutRows) this.#recorder.checkWithoutRows();
    const { epoch } = this;
    this.epoch++;
    this.#awaitsEnd = false;
    this.#hasBegun = true;
    this.#scalars = [];
    this.#awaitingTag = undefined;
    if (this.#unwritten.size === 0) busy.delete(this);
    const layers = await this.#recorder.take(this.#options.resetCovariance);
    return encodeState({ epoch, layers }, options);
  }

  /** Why a worker has no outlets to call. */
  #refusal(call: string): Error | undefined {
    if (this.#options.role !== 'worker') return undefined;
    return new RangeError(`${call}: expected role 'alone' or 'writer', got 'worker': take() ends its periods`);
  }

  /** Ends the epoch that is being recorded. Resolves to what was written, once it is written. */
  endEpoch({
    epoch = this.epoch,
    step = epoch + 1,
  }: {
    epoch?: number;
    step?: number;
  } = {}): Promise<LayerSaturation[]> {
    if (epoch < this.epoch || step < this.#lastStep) {
      this.#warnOnce(
        `step ${step} comes after step ${Math.max(this.epoch, this.#lastStep)}: charts go back, and tables keep the last value of an epoch`,
      );
    }
    this.epoch = epoch + 1;
    this.#lastStep = step;
    this.#awaitsEnd = false;
    const recorded = this.#recorder.solve(solveOptionsFor(this.#options), this.#options.resetCovariance);
    const scalars = this.#scalars;
    this.#scalars = [];
    this.#awaitingTag = undefined;
    this.#hasBegun = true;
    const measurement = new EpochMeasurement(
      recorded,
      { epoch, step, scalars },
      this.#options,
      this.#memory,
      this.#report,
    );
    watch(this);
    this.#unwritten.add(measurement);
    const written = this.#lastEpoch.then(() => this.#write(measurement));
    this.#lastEpoch = written.catch(() => {});
    return written;
  }

  /** Waits until every epoch that was ended is in the files. */
  async flush(): Promise<void> {
    await this.#lastEpoch;
    await this.#targets.flush();
  }

  /**
   * Waits for the last epoch, then closes the targets until the next one.
   *
   * @param releases whether what the recorder has accumulated is released too
   */
  async suspend(releases: boolean): Promise<void> {
    await this.#lastEpoch;
    if (releases) this.#recorder.release();
    await this.#targets.suspend();
  }

  /**
   * Waits for the last epoch, then releases the recorder and closes the targets.
   *
   * @param recording the call that records, in words
   */
  async close(recording: string): Promise<void> {
    const { resetCovariance, signal } = this.#options;
    if (this.#recorder.hasRows && resetCovariance && signal?.aborted !== true) {
      const end = this.#options.role === 'worker' ? 'take()' : 'addSaturations()';
      this.#warnOnce(`close: expected ${end} first, got rows that are in no epoch yet: they are left out`);
    }
    if (signal?.aborted !== true) this.#warnOfScalars(recording);
    this.#isClosed = true;
    this.#awaitsEnd = false;
    await this.#lastEpoch;
    busy.delete(this);
    this.#recorder.dispose();
    await this.#targets.close();
  }

  /**
   * At exit, when nothing can be awaited: writes the epochs that have been ended to TensorBoard and to the stores that need
   * not be awaited, and warns of what is missing.
   *
   * @param deadline until when spectra may be solved, in milliseconds of `performance.now`
   */
  finishNow(deadline: number): void {
    const epochs: EpochStatistics[] = [];
    for (const measurement of this.#unwritten) {
      const { measured, unsolved } = measurement.finishNow(deadline);
      const epoch = this.#targets.withRoles(measured.epoch);
      epochs.push(epoch);
      this.#targets.writeRuns(epoch);
      if (unsolved.length === 0) continue;
      const names = unsolved.map(({ split, layer }) => `'${layer}' (${split})`).join(', ');
      const { length } = unsolved;
      warn(
        `At exit ${length} ${length === 1 ? 'spectrum' : 'spectra'} of epoch ${measurement.at.epoch + 1} would have taken more than a second to solve, and there is no saturation of ${names}; await close() to have all`,
      );
    }
    this.#unwritten.clear();
    this.#targets.writeStoresNow(epochs);
    if (this.#awaitsEnd && this.#recorder.hasRows && this.#options.signal?.aborted !== true) {
      const advice =
        this.#options.role === 'worker'
          ? 'were not taken: take() ends a period'
          : 'are in no file: addSaturations() ends an epoch, and close() a training';
      warn(`At exit the rows that were recorded for epoch ${this.epoch + 1} ${advice}`);
    }
  }

  /** Says so if scalars of the caller's stand at the end of an epoch that there is not. */
  #warnOfScalars(recording: string): void {
    const tag = this.#awaitingTag;
    const { role, saveTo } = this.#options;
    if (tag === undefined || role !== 'alone') return;
    if (!this.#hasBegun) {
      this.#warnOnce(
        `close: expected ${recording} in each step and addSaturations() at the end of each epoch, got neither: nothing is recorded, and the points of addScalar stand at step ${this.epoch + 1}`,
      );
      return;
    }
    const others = saveTo.some((target) => target !== 'tensorboard');
    const place = !saveTo.includes('tensorboard')
      ? 'is in no file'
      : `stands at step ${this.epoch + 1}${others ? ', in TensorBoard only' : ''}`;
    this.#warnOnce(
      `close: expected addScalar before the end of its epoch, got "${tag}" after that of the last one: it ${place}. In a loop addScalar comes before addSaturations()`,
    );
  }

  #tell(finding: Finding): void {
    for (const listener of this.#listeners) {
      try {
        listener(finding);
      } catch (error) {
        this.#report(error, "on('finding')");
      }
    }
  }

  async #write(measurement: EpochMeasurement): Promise<LayerSaturation[]> {
    const { epoch: measured, spectra, results } = await measurement.finish();
    const epoch = this.#targets.withRoles(measured);
    for (const { split, layer } of results) {
      const spectrum = spectra.get(`${split}/${layer}`);
      if (spectrum !== undefined) this.#recorder.adaptBudget(split, layer, spectrum);
    }
    this.#targets.writeRuns(epoch);
    this.#unwritten.delete(measurement);
    this.#keep(epoch);
    for (const finding of this.#rules.check(epoch, spectra)) this.#tell(finding);
    await this.#targets.writeStores(epoch);
    if (this.#unwritten.size === 0 && !this.#awaitsEnd) busy.delete(this);
    return results;
  }

  #keep(epoch: EpochStatistics): void {
    const layers = epoch.layers.map(({ covariance, embedding, ...rest }) => rest);
    this.#past.push({ ...epoch, layers });
    this.#pastNumbers += numbersIn(epoch);
    while (this.#pastNumbers > mostPastNumbers && this.#past.length > 1) {
      this.#pastNumbers -= numbersIn(this.#past.shift()!);
    }
  }
}

function numbersIn({ layers, scalars }: EpochStatistics): number {
  const ofLayers = layers.map(({ spectrum, values }) => (spectrum?.features ?? 0) + Object.keys(values).length);
  return ofLayers.reduce((sum, count) => sum + count, scalars.length);
}
