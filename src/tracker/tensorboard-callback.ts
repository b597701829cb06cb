import type { Tensor } from '@tensorflow/tfjs-core';
import { Callback, type LayersModel, type Logs } from '@tensorflow/tfjs-layers';
import { warn } from '#platform';
import { messageOf } from '../errors.js';
import type { Output } from '../output/output.js';
import type { Split } from '../saturation/epoch.js';
import { checkLogdir, type SummaryFileWriter, summaryFileWriter } from '../writer/summary-file-writer.js';
import type { TrackerCallback } from './callback.js';
import { resolveOptions, type SaturationOptions } from './options.js';
import { SaturationTracker } from './saturation-tracker.js';
import { metricsOf, writeEpochLogs } from './training-logs.js';

/** Options of tensorBoard: tf.node.tensorBoard's, and `saturation` and `graph`. */
export interface TensorBoardCallbackArgs {
  /** 'epoch' (default): losses and metrics per epoch. 'batch': per batch as well. */
  updateFreq?: 'batch' | 'epoch';
  /** Writes a histogram of every weight each so many epochs; 0 (default): never. */
  histogramFreq?: number;
  /** True, or options: also writes the layers' saturation, into the same runs. Default false. */
  saturation?: boolean | SaturationOptions;
  /** True: also writes the model's graph, into the run `train`. Default false. */
  graph?: boolean;
}

/**
 * The callback of tensorBoard(): the same runs, tags and steps as tf.node.tensorBoard. What goes wrong in here never
 * stops a fit: it is reported once on the warning channel.
 */
export class TensorBoardCallback extends Callback {
  /** The folder, as it was given; '' for an Output. */
  readonly logdir: string;
  readonly #output: Output | undefined;
  readonly #args: Required<TensorBoardCallbackArgs>;
  readonly #writers = new Map<Split, SummaryFileWriter>();
  readonly #reported = new Set<string>();
  #batchesSeen = 0;
  #tracker: SaturationTracker | undefined;
  #trackerCallback: TrackerCallback | undefined;

  constructor(logdir: string | Output = './logs', args: TensorBoardCallbackArgs = {}) {
    super();
    checkLogdir(logdir);
    const { updateFreq = 'epoch', histogramFreq = 0, saturation = false, graph = false } = args ?? {};
    if (updateFreq !== 'batch' && updateFreq !== 'epoch') {
      throw new RangeError(`Expected updateFreq to be 'batch' or 'epoch', but got ${String(updateFreq)}`);
    }
    if (!Number.isInteger(histogramFreq) || histogramFreq < 0) {
      throw new RangeError(`Expected histogramFreq to be a positive integer, but got ${String(histogramFreq)}`);
    }
    if (typeof saturation === 'object') resolveOptions(saturation);
    else if (typeof saturation !== 'boolean') {
      throw new TypeError(`Expected saturation to be true, false or options, but got ${String(saturation)}`);
    }
    this.logdir = typeof logdir === 'string' ? logdir : '';
    this.#output = typeof logdir === 'string' ? undefined : logdir;
    this.#args = { updateFreq, histogramFreq, saturation, graph };
  }

  override async onTrainBegin(): Promise<void> {
    await this.#safely('onTrainBegin', async () => {
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

  override async onEpochBegin(): Promise<void> {
    await this.#trackerCallback?.onEpochBegin();
  }

  override async onBatchEnd(_batch: number, logs?: Logs): Promise<void> {
    this.#batchesSeen++;
    if (this.#args.updateFreq === 'epoch') return;
    // The step as it is now: reading the metrics may take until the next batch.
    const step = this.#batchesSeen;
    await this.#safely('onBatchEnd', async () => {
      for (const { split, name, value } of await metricsOf(logs as Record<string, number | Tensor>)) {
        this.#writer(split).scalar(`batch_${name}`, value, step);
      }
    });
  }

  override async onEpochEnd(epoch: number, logs?: Logs): Promise<void> {
    await this.#safely('onEpochEnd', async () => {
      const metrics = logs as Record<string, number | Tensor> | undefined;
      await writeEpochLogs(epoch, metrics, this.model, (split) => this.#writer(split));
      const { histogramFreq } = this.#args;
      if (histogramFreq > 0 && epoch % histogramFreq === 0) this.#writeWeights(epoch);
    });
    await this.#trackerCallback?.onEpochEnd(epoch, logs);
  }

  override async onTrainEnd(): Promise<void> {
    await this.#trackerCallback?.onTrainEnd();
    // The tracker has reported its errors itself, once each.
    await this.#tracker?.close().catch(() => {});
    this.#tracker = undefined;
    this.#trackerCallback = undefined;
    await this.#safely('onTrainEnd', () => Promise.all([...this.#writers.values()].map((writer) => writer.flush())));
  }

  /** Weights stand at step epoch, metrics at epoch + 1: as in tfjs-node, whose charts people compare with. */
  #writeWeights(epoch: number): void {
    for (const weight of (this.model as LayersModel).weights) {
      this.#writer('train').histogram(weight.name, weight.read(), epoch);
    }
  }

  /** The writer whose runs are the splits, where there is an Output: the tracker shares them. */
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

  async #safely(where: string, act: () => unknown): Promise<void> {
    try {
      await act();
    } catch (error) {
      const message = `tensorBoard('${this.logdir}') ${where}: ${messageOf(error)}`;
      if (this.#reported.has(message)) return;
      this.#reported.add(message);
      warn(message);
    }
  }
}

/**
 * Replaces `tf.node.tensorBoard`: losses and metrics per epoch (`epoch_<metric>` at step epoch + 1) or batch
 * (`batch_<metric>` at 1, 2, ... across epochs) in the runs `<logdir>/train` and `<logdir>/val`, histograms of the
 * weights under their names; and, where asked for, the layers' saturation and the model's graph.
 *
 * ```ts
 * await model.fit(xs, ys, { callbacks: tensorBoard('logs', { histogramFreq: 1, saturation: true }) });
 * ```
 *
 * @throws TypeError, RangeError for a logdir, updateFreq, histogramFreq or saturation that makes no sense
 */
export function tensorBoard(logdir?: string | Output, args?: TensorBoardCallbackArgs): TensorBoardCallback {
  return new TensorBoardCallback(logdir, args);
}
