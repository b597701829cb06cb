import type { ActivationRecorder, RecordedLayer } from '../activations/recorder.js';
import type { EpochScalar, EpochStatistics, LayerSaturation } from '../saturation/epoch.js';
import { solveOptionsFor } from '../saturation/measure-layer.js';
import { EpochMemory, measureEpoch } from './measure-epoch.js';
import type { ResolvedOptions } from './options.js';
import type { SaveTargets } from './save-targets.js';

/**
 * Ends a tracker's epochs: it solves what was recorded, measures the spectra, and writes the statistics to all targets.
 * Solving begins at once, so that recording can go on; epochs are measured and written one after another.
 */
export class EpochWriter {
  /** The epoch that is being recorded, from 0. */
  epoch: number;
  readonly #recorder: ActivationRecorder;
  readonly #targets: SaveTargets;
  readonly #options: ResolvedOptions;
  readonly #report: (error: unknown, where: string) => void;
  readonly #memory = new EpochMemory();
  #scalars: EpochScalar[] = [];
  #lastEpoch: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /** @param report receives errors of single layers and targets; the others go on */
  constructor(
    recorder: ActivationRecorder,
    targets: SaveTargets,
    options: ResolvedOptions,
    report: (error: unknown, where: string) => void,
  ) {
    this.epoch = options.initialEpoch;
    this.#recorder = recorder;
    this.#targets = targets;
    this.#options = options;
    this.#report = report;
  }

  /** Whether close() was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Writes a scalar of the user's own, now to TensorBoard and with the epoch to the stores. */
  addScalar(tag: string, value: number, step: number = this.epoch + 1): void {
    this.#targets.addScalar(tag, value, step);
    this.#scalars.push({ tag, value });
  }

  /** Ends the epoch that is being recorded. Resolves to what was written, once it is written. */
  endEpoch({
    epoch = this.epoch,
    step = epoch + 1,
  }: {
    epoch?: number;
    step?: number;
  } = {}): Promise<LayerSaturation[]> {
    this.epoch = epoch + 1;
    const recorded = this.#recorder.solve(solveOptionsFor(this.#options), this.#options.resetCovariance);
    const scalars = this.#scalars;
    this.#scalars = [];
    const written = this.#lastEpoch.then(() => this.#write(recorded, { epoch, step, scalars }));
    this.#lastEpoch = written.catch(() => {});
    return written;
  }

  /** Waits until every epoch that was ended is in the files. */
  async flush(): Promise<void> {
    await this.#lastEpoch;
    await this.#targets.flush();
  }

  /** Waits for the last epoch, then releases the recorder and closes the targets. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#lastEpoch;
    this.#recorder.dispose();
    await this.#targets.close();
  }

  async #write(
    recorded: readonly RecordedLayer[],
    at: Pick<EpochStatistics, 'epoch' | 'step' | 'scalars'>,
  ): Promise<LayerSaturation[]> {
    const { epoch, spectra, results } = await measureEpoch(recorded, at, this.#options, this.#memory, this.#report);
    for (const { split, layer } of results) {
      const spectrum = spectra.get(`${split}/${layer}`);
      if (spectrum !== undefined) this.#recorder.adaptBudget(split, layer, spectrum);
    }
    await this.#targets.write(epoch);
    return results;
  }
}
