import type { Tensor } from '@tensorflow/tfjs-core';
import { Callback, type LayersModel, type Logs } from '@tensorflow/tfjs-layers';
import { describe } from '../errors.js';
import { isLogdir, logdirPath } from '../output/directory-output.js';
import type { Output } from '../output/output.js';
import type { Split } from '../saturation/epoch.js';
import { checkLogdir, type SummaryFileWriter, summaryFileWriter } from '../writer/summary-file-writer.js';
import type { TrackerCallback } from './callback.js';
import { FailureLog } from './failures.js';
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

/**
 * The callback that tensorBoard() returns: it writes the same runs, tags and steps as tf.node.tensorBoard. It never stops
 * a fit: each failure is reported once on the warning channel.
 */
export class TensorBoardCallback extends Callback {
  /** The path of the folder as it was given; '' for an Output. */
  readonly logdir: string;
  readonly #output: Output | undefined;
  readonly #args: Required<TensorBoardCallbackArgs>;
  readonly #writers = new Map<Split, SummaryFileWriter>();
  readonly #failures: FailureLog;
  #batchesSeen = 0;
  #tracker: SaturationTracker | undefined;
  #trackerCallback: TrackerCallback | undefined;

  /**
   * Does what tensorBoard() does.
   *
   * @param logdir a folder, or an Output whose runs are the splits; default './logs'
   */
  constructor(logdir: string | URL | Output = './logs', args: TensorBoardCallbackArgs = {}) {
    super();
    checkLogdir(logdir);
    const { updateFreq = 'epoch', histogramFreq = 0, saturation = false, graph = false } = args ?? {};
    if (updateFreq !== 'batch' && updateFreq !== 'epoch') {
      throw new RangeError(`updateFreq: expected 'batch' or 'epoch', got ${describe(updateFreq)}`);
    }
    if (!Number.isInteger(histogramFreq) || histogramFreq < 0) {
      throw new RangeError(`histogramFreq: expected an integer >= 0, got ${describe(histogramFreq)}`);
    }
    if (typeof saturation === 'object') resolveOptions(saturation);
    else if (typeof saturation !== 'boolean') {
      throw new TypeError(`saturation: expected true, false or options, got ${describe(saturation)}`);
    }
    this.logdir = isLogdir(logdir) ? logdirPath(logdir, 'tensorBoard') : '';
    this.#output = isLogdir(logdir) ? undefined : logdir;
    this.#args = { updateFreq, histogramFreq, saturation, graph };
    this.#failures = new FailureLog(`tensorBoard('${this.logdir}') `);
  }

  /** Writes the graph and hooks the model, if asked to. */
  override async onTrainBegin(): Promise<void> {
    await this.#failures.guard('onTrainBegin', async () => {
      if (this.#args.graph) this.#writer('train').addGraph(this.model);
      if (this.#args.saturation === false) return;
      const options = this.#args.saturation === true ? {} : this.#args.saturation;
      this.#tracker = new SaturationTracker(this.#root ?? this.logdir, this.model, options);
      this.#trackerCallback = this.#tracker.callback();
      this.#trackerCallback.setParams(this.params);
      this.#trackerCallback.setModel(this.model);
      await this.#trackerCallback.onTrainBegin();
    });
  }

  /** Tells the tracker, if there is one, that an epoch begins. */
  override async onEpochBegin(): Promise<void> {
    await this.#trackerCallback?.onEpochBegin();
  }

  /** Counts the batch and, with updateFreq 'batch', writes its metrics. */
  override async onBatchEnd(_batch: number, logs?: Logs): Promise<void> {
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
    await this.#failures.guard('onEpochEnd', async () => {
      const metrics = logs as Record<string, number | Tensor> | undefined;
      await writeEpochLogs(epoch, metrics, this.model, (split) => this.#writer(split));
      const { histogramFreq } = this.#args;
      if (histogramFreq > 0 && epoch % histogramFreq === 0) this.#writeWeights(epoch);
    });
    await this.#trackerCallback?.onEpochEnd(epoch, logs);
  }

  /** Closes the tracker and waits until everything is in the files. */
  override async onTrainEnd(): Promise<void> {
    await this.#trackerCallback?.onTrainEnd();
    // The tracker has already reported its errors.
    await this.#tracker?.close().catch(() => {});
    this.#tracker = undefined;
    this.#trackerCallback = undefined;
    await this.#failures.guard('onTrainEnd', () =>
      Promise.all([...this.#writers.values()].map((writer) => writer.flush())),
    );
  }

  /** Weights stand at step epoch and metrics at step epoch + 1, as in tfjs-node, with whose charts people compare. */
  #writeWeights(epoch: number): void {
    for (const weight of (this.model as LayersModel).weights) {
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
 * ```ts
 * await model.fit(xs, ys, { callbacks: tensorBoard('logs', { histogramFreq: 1, saturation: true }) });
 * ```
 *
 * @param logdir a folder, or an Output whose runs are the splits; default './logs'
 * @throws TypeError or RangeError if the logdir or an option is out of its range
 */
export function tensorBoard(logdir?: string | URL | Output, args?: TensorBoardCallbackArgs): TensorBoardCallback {
  return new TensorBoardCallback(logdir, args);
}
