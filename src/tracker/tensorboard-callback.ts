import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel, Logs } from '@tensorflow/tfjs-layers';
import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import { DirectoryOutput, isLogdir, logdirPath } from '../output/directory-output.js';
import type { Output } from '../output/output.js';
import { FailureLog } from '../recording/failures.js';
import type { Split } from '../saturation/epoch.js';
import { checkLogdir, type SummaryFileWriter, summaryFileWriter } from '../writer/summary-file-writer.js';
import { acceptCallbacksEverywhere, FitCallback } from './callback.js';
import { FollowedFits } from './fits.js';
import { resolveOptions, type SaturationOptions } from './options.js';
import { SaturationTracker } from './saturation-tracker.js';
import { metricsOf, writeEpochLogs } from './training-logs.js';

/** Options of tensorBoard(): those of tf.node.tensorBoard, and `saturation` and `graph`. */
export interface TensorBoardCallbackArgs {
  /** 'epoch' (default) writes losses and metrics per epoch, 'batch' per batch as well. */
  updateFreq?: 'batch' | 'epoch';
  /** Number of epochs from one histogram of every weight to the next. Default 0: no histograms. */
  histogramFreq?: number;
  /** Whether to write the layers' saturation into the same runs; options imply true. Default false. */
  saturation?: boolean | SaturationOptions;
  /** Whether to write the model's graph into the run `train`. Default false. */
  graph?: boolean;
}

const optionNames: OptionNames<TensorBoardCallbackArgs> = {
  updateFreq: true,
  histogramFreq: true,
  saturation: true,
  graph: true,
};

/** Nothing says when a tensorBoard() is used for the last time: from the first one on, every fit of a model takes it. */
let isAccepted = false;

/**
 * The callback that tensorBoard() returns: it writes the same runs, tags and steps as tf.node.tensorBoard. It never stops
 * a fit: each failure is reported once on the warning channel.
 *
 * All fits of one callback are one training: epochs go on through them, unless a fit says by its `initialEpoch` at which
 * one it begins.
 */
export class TensorBoardCallback extends FitCallback {
  /** The path of the folder as it was given; '' for an Output. */
  readonly logdir: string;
  readonly #output: Output | undefined;
  readonly #args: Required<TensorBoardCallbackArgs>;
  readonly #writers = new Map<Split, SummaryFileWriter>();
  readonly #failures: FailureLog;
  readonly #fits: FollowedFits;
  /** The number of epochs that were written. */
  #epochs: number;
  #batchesSeen = 0;
  /** The logs of the last batch: every callback of a fit gets the same object. */
  #lastBatch: object | undefined;
  /** Undefined in a fit of which TensorFlow.js does not say the model. */
  #fitted: LayersModel | undefined;
  #tracker: SaturationTracker | undefined;
  #tracked: LayersModel | undefined;

  /**
   * Does what tensorBoard() does.
   *
   * @param logdir a folder, which is made if it is missing, or an Output whose runs are the splits; default './logs'
   */
  constructor(logdir: string | URL | Output = './logs', args: TensorBoardCallbackArgs = {}) {
    super();
    checkLogdir(logdir);
    checkOptionNames('tensorBoard', args ?? {}, optionNames);
    const { updateFreq = 'epoch', histogramFreq = 0, saturation = false, graph = false } = args ?? {};
    if (updateFreq !== 'batch' && updateFreq !== 'epoch') {
      throw new RangeError(`updateFreq: expected 'batch' or 'epoch', got ${describe(updateFreq)}`);
    }
    if (!Number.isInteger(histogramFreq) || histogramFreq < 0) {
      throw new RangeError(`histogramFreq: expected an integer >= 0, got ${describe(histogramFreq)}`);
    }
    if (typeof saturation === 'object') resolveOptions(saturation, 'tensorBoard, saturation');
    else if (typeof saturation !== 'boolean') {
      throw new TypeError(`saturation: expected true, false or options, got ${describe(saturation)}`);
    }
    this.logdir = isLogdir(logdir) ? logdirPath(logdir, 'tensorBoard') : '';
    // What is wrong with the folder is told here, and not in the middle of a training: it cannot be made, or a page has none by name.
    if (isLogdir(logdir)) new DirectoryOutput(logdir).makeFolder();
    this.#output = isLogdir(logdir) ? undefined : logdir;
    this.#args = { updateFreq, histogramFreq, saturation, graph };
    this.#failures = new FailureLog(`tensorBoard('${this.logdir}') `);
    this.#fits = new FollowedFits(this.#failures.warnOnce);
    this.#epochs = (typeof saturation === 'object' ? saturation.initialEpoch : undefined) ?? 0;
    if (!isAccepted) acceptCallbacksEverywhere();
    isAccepted = true;
  }

  /** Writes the graph and hooks the model, if asked to. */
  override async onTrainBegin(): Promise<void> {
    await this.#failures.guard('onTrainBegin', async () => {
      const fit = this.takeFit();
      if (!this.#fits.begin(fit?.model)) return;
      this.#fitted = fit?.model;
      const { graph, saturation, histogramFreq } = this.#args;
      if (fit === undefined) {
        if (!graph && saturation === false && histogramFreq === 0) return;
        this.#failures.warnOnce(
          'model.fit: expected the copy of TensorFlow.js that this package imports, got another one, which does not say which model it fits: only losses and metrics are written. A SaturationTracker is given its model',
        );
        return;
      }
      if (graph) this.#writer('train').addGraph(fit.model);
      if (saturation === false) return;
      const tracker = await this.#trackerOf(fit.model, saturation === true ? {} : saturation);
      tracker.setParams(this.params);
      tracker.setModel(fit.model);
      await tracker.onTrainBegin();
    });
  }

  /** Tells the tracker, if there is one, that an epoch begins. */
  override async onEpochBegin(epoch: number): Promise<void> {
    const number = this.#fits.beginEpoch(epoch, this.#epochs);
    if (number !== undefined) await this.#followingTracker?.onEpochBegin(number);
  }

  /** Counts the batch and, with updateFreq 'batch', writes its metrics. */
  override async onBatchEnd(_batch: number, logs?: Logs): Promise<void> {
    if (!this.#fits.isFollowing || (logs !== undefined && logs === this.#lastBatch)) return;
    this.#lastBatch = logs;
    this.#batchesSeen++;
    if (this.#args.updateFreq === 'epoch') return;
    // Reading the metrics may take until the next batch, so the step is taken now.
    const step = this.#batchesSeen;
    await this.#failures.guard('onBatchEnd', async () => {
      for (const { split, name, value } of await metricsOf(logs as Record<string, number | Tensor>)) {
        this.#writer(split).scalar(`batch_${name}`, value, step);
      }
    });
  }

  /** Writes the epoch's metrics, histograms and saturation. */
  override async onEpochEnd(epoch: number, logs?: Logs): Promise<void> {
    const number = this.#fits.endEpoch(epoch, logs, this.#epochs);
    if (number === undefined) return;
    const tracker = this.#followingTracker;
    if (number < this.#epochs && tracker === undefined) {
      this.#failures.warnOnce(`step ${number + 1} comes after step ${this.#epochs}: charts go back`);
    }
    this.#epochs = number + 1;
    await this.#failures.guard('onEpochEnd', async () => {
      const metrics = logs as Record<string, number | Tensor> | undefined;
      await writeEpochLogs(number, metrics, (split) => this.#writer(split));
      const { histogramFreq } = this.#args;
      if (histogramFreq > 0 && number % histogramFreq === 0) this.#writeWeights(number);
    });
    await tracker?.onEpochEnd(number, logs);
  }

  /** Takes the tracker off the model and waits until everything is in the files. */
  override async onTrainEnd(): Promise<void> {
    if (!this.#fits.end()) return;
    const tracker = this.#followingTracker;
    await tracker?.onTrainEnd();
    await this.#failures.guard('onTrainEnd', async () => {
      await tracker?.suspend();
      await Promise.all([...this.#writers.values()].map((writer) => writer.flush()));
    });
  }

  /** The tracker of the model that is fitted. */
  get #followingTracker(): SaturationTracker | undefined {
    return this.#tracked === this.#fitted ? this.#tracker : undefined;
  }

  /** The tracker of a model, attached to it: one for all its fits. */
  async #trackerOf(model: LayersModel, options: SaturationOptions): Promise<SaturationTracker> {
    if (this.#tracker !== undefined && this.#tracked === model) {
      this.#tracker.hook();
      return this.#tracker;
    }
    const isSecond = this.#tracker !== undefined;
    if (isSecond) {
      this.#failures.warnOnce(
        `model.fit: expected the model of the fits before, got '${model.name}': its epochs go on after theirs in the same runs. Give each model a tensorBoard() with a logdir of its own`,
      );
      // The tracker has already reported its errors.
      await this.#tracker?.close().catch(() => {});
      this.#tracker = undefined;
    }
    // What this callback has written must not be purged, and a writer of ours is not.
    const destination = this.#root ?? (isSecond ? summaryFileWriter(this.logdir) : this.logdir);
    const initialEpoch = isSecond ? { initialEpoch: this.#epochs } : {};
    this.#tracker = new SaturationTracker(destination, model, { ...options, ...initialEpoch });
    this.#tracked = model;
    return this.#tracker;
  }

  /** Weights stand at step epoch and metrics at step epoch + 1, as in tfjs-node, with whose charts people compare. */
  #writeWeights(epoch: number): void {
    for (const weight of this.#fitted?.weights ?? []) {
      this.#writer('train').histogram(weight.name, weight.read(), epoch);
    }
  }

  /** The writer whose runs are the splits, which the tracker shares; undefined for a folder. */
  get #root(): SummaryFileWriter | undefined {
    return this.#output && summaryFileWriter(this.#output);
  }

  #writer(split: Split): SummaryFileWriter {
    let writer = this.#writers.get(split);
    if (writer === undefined || writer.isClosed) {
      writer = this.#root?.run(split) ?? summaryFileWriter(`${this.logdir.replace(/[/\\]+$/, '')}/${split}`);
      this.#writers.set(split, writer);
    }
    return writer;
  }
}

/**
 * Replaces `tf.node.tensorBoard`: losses and metrics per epoch (`epoch_<metric>` at step epoch + 1) or batch
 * (`batch_<metric>` at 1, 2, ... across epochs) in the runs `<logdir>/train` and `<logdir>/val`, histograms of the
 * weights under their names; and, if asked for, the layers' saturation and the model's graph.
 *
 * @param logdir a folder, which is made if it is missing, or an Output whose runs are the splits; default './logs'
 * @throws TypeError or RangeError if the logdir or an option is out of its range, Error if the folder cannot be made
 *
 * @example
 * ```js
 * import { tensorBoard } from 'delve-tensorboard/tfjs';
 *
 * await model.fit(xs, ys, { callbacks: tensorBoard('logs', { histogramFreq: 1, saturation: true }) });
 * ```
 */
export function tensorBoard(logdir?: string | URL | Output, args?: TensorBoardCallbackArgs): TensorBoardCallback {
  return new TensorBoardCallback(logdir, args);
}
