import type { Tensor } from '@tensorflow/tfjs-core';
import { Callback, type LayersModel, type Logs } from '@tensorflow/tfjs-layers';
import type { Split } from '../saturation/epoch.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import { writeEpochLogs } from './training-logs.js';

/** What the callback needs of its tracker. */
export interface CallbackTarget {
  isClosed(): boolean;
  logdirRun(split: Split): SummaryWriter | undefined;
  /** @param items training items per epoch; undefined for fitDataset, which cannot know */
  beginFit(model: LayersModel, items: number | undefined): void;
  beginEpoch(): void;
  endFit(): void;
  addSaturations(epoch: number): Promise<unknown>;
  settle(): Promise<void>;
  report(error: unknown, where: string): void;
}

/**
 * The tracker's callback for model.fit: it tells the tracker where fit stands and writes losses and metrics as
 * tf.node.tensorBoard does. Nothing in here stops a fit; an epoch's spectra are solved while the next one trains. Once the
 * tracker is closed it does nothing.
 */
export class TrackerCallback extends Callback {
  readonly #target: CallbackTarget;
  #solving: Promise<unknown> = Promise.resolve();
  readonly #turns = new EventLoopTurns();

  constructor(target: CallbackTarget) {
    super();
    this.#target = target;
  }

  override async onTrainBegin(): Promise<void> {
    if (this.#target.isClosed()) return;
    await this.#safely('onTrainBegin', () => this.#target.beginFit(this.model, trainingItems(this.params)));
  }

  override async onEpochBegin(): Promise<void> {
    this.#target.beginEpoch();
  }

  /** With callbacks like this one alone TensorFlow.js yields to nobody (it does for plain objects only). */
  override async onBatchEnd(): Promise<void> {
    await this.#turns.pass();
  }

  override async onEpochEnd(epoch: number, logs?: Logs): Promise<void> {
    if (this.#target.isClosed()) return;
    await this.#safely('onEpochEnd', async () => {
      // So that an epoch's values can be watched one epoch later at the latest, and no more than one epoch waits.
      await this.#solving;
      this.#solving = this.#target.addSaturations(epoch).catch((error) => this.#target.report(error, `epoch ${epoch}`));
      await writeEpochLogs(epoch, logs as Record<string, number | Tensor> | undefined, this.model, (split) =>
        this.#target.logdirRun(split),
      );
    });
  }

  override async onTrainEnd(): Promise<void> {
    this.#target.endFit();
    if (this.#target.isClosed()) return;
    await this.#safely('onTrainEnd', () => this.#target.settle());
  }

  async #safely(where: string, act: () => unknown): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#target.report(error, where);
    }
  }
}

/** fit says how many samples it trains on; fitDataset cannot. */
function trainingItems(params: unknown): number | undefined {
  return (params as { samples?: number | null } | undefined)?.samples ?? undefined;
}

/**
 * Often enough for a worker's answers. Every turn is a chance for V8 to begin marking the heap, which it takes while the
 * heap is small: at ten turns a second a training step of 11 ms takes 1 ms longer, hooked or not.
 */
const turnEveryMs = 500;

/**
 * Lets the event loop turn now and then. A loop that awaits nothing but TensorFlow.js' training functions never does (on
 * Node, their promises are settled already): workers could not answer, timers and signals would wait until the end.
 */
export class EventLoopTurns {
  #last = Number.NEGATIVE_INFINITY;

  /** Resolves at once, or after a turn where the last one is a while ago. */
  async pass(): Promise<void> {
    const now = performance.now();
    if (now - this.#last < turnEveryMs) return;
    this.#last = now;
    await turn();
  }
}

/** A timer of 0 ms takes Node 1 ms and a browser 4; Node has something shorter. */
function turn(): Promise<unknown> {
  const { setImmediate: soon = setTimeout } = globalThis as { setImmediate?: (then: () => void) => void };
  return new Promise<void>((resolve) => soon(resolve));
}
