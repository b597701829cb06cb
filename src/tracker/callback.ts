import type { Tensor } from '@tensorflow/tfjs-core';
import { Callback, type Logs } from '@tensorflow/tfjs-layers';
import type { ActivationRecorder } from '../activations/recorder.js';
import type { EpochWriter } from './epoch-writer.js';
import type { FailureLog } from './failures.js';
import type { SaveTargets } from './save-targets.js';
import { writeEpochLogs } from './training-logs.js';

/**
 * The callback of a SaturationTracker for model.fit: it tells the tracker where the fit stands, and writes losses and
 * metrics as tf.node.tensorBoard does. It never stops a fit: failures are reported once. An epoch's spectra are solved
 * while the next epoch trains. Once the tracker is closed, the callback does nothing.
 */
export class TrackerCallback extends Callback {
  readonly #recorder: ActivationRecorder;
  readonly #epochs: EpochWriter;
  readonly #targets: SaveTargets;
  readonly #failures: FailureLog;
  readonly #turns = new EventLoopTurns();
  #lastEpoch: Promise<unknown> = Promise.resolve();

  /** @internal Use SaturationTracker.callback(). */
  constructor(recorder: ActivationRecorder, epochs: EpochWriter, targets: SaveTargets, failures: FailureLog) {
    super();
    this.#recorder = recorder;
    this.#epochs = epochs;
    this.#targets = targets;
    this.#failures = failures;
  }

  /** Starts to count the passes of this fit. */
  override async onTrainBegin(): Promise<void> {
    if (this.#epochs.isClosed) return;
    await this.#failures.guard('onTrainBegin', () => {
      this.#recorder.phase.beginFit(this.model, trainingItems(this.params));
    });
  }

  /** Makes the next validation of a fitDataset count. */
  override async onEpochBegin(): Promise<void> {
    this.#recorder.phase.beginEpoch();
  }

  /** Lets the event loop turn now and then, which TensorFlow.js does for callbacks that are plain objects only. */
  override async onBatchEnd(): Promise<void> {
    await this.#turns.pass();
  }

  /** Ends an epoch: its saturation is written while the next one trains, its losses and metrics at once. */
  override async onEpochEnd(epoch: number, logs?: Logs): Promise<void> {
    if (this.#epochs.isClosed) return;
    await this.#failures.guard('onEpochEnd', async () => {
      // At most one epoch waits to be written, and an epoch's values can be watched one epoch later at the latest.
      await this.#lastEpoch;
      this.#lastEpoch = this.#failures.guard(`epoch ${epoch}`, () => this.#epochs.endEpoch({ epoch }));
      const metrics = logs as Record<string, number | Tensor> | undefined;
      await writeEpochLogs(epoch, metrics, this.model, (split) => this.#targets.run(split));
    });
  }

  /** Ends the fit, and waits until everything is in the files. */
  override async onTrainEnd(): Promise<void> {
    this.#recorder.phase.endFit();
    if (this.#epochs.isClosed) return;
    await this.#failures.guard('onTrainEnd', () => this.#epochs.flush());
  }
}

/** The number of training samples of a fit; undefined for fitDataset, which does not know it. */
function trainingItems(params: unknown): number | undefined {
  return (params as { samples?: number | null } | undefined)?.samples ?? undefined;
}

/**
 * Milliseconds between turns: often enough for a worker's answers. Every turn is a chance for V8 to begin marking the
 * heap, which it takes while the heap is small: at ten turns a second, a training step of 11 ms takes 1 ms longer, with
 * or without hooks.
 */
const turnEveryMs = 500;

/**
 * Lets the event loop turn now and then. A loop that awaits nothing but TensorFlow.js' training functions never lets it
 * turn (on Node, their promises are settled already): workers could not answer, and timers and signals would wait until
 * the end.
 */
export class EventLoopTurns {
  #last = Number.NEGATIVE_INFINITY;

  /** Resolves at once, or after a turn of the event loop if the last one is a while ago. */
  async pass(): Promise<void> {
    const now = performance.now();
    if (now - this.#last < turnEveryMs) return;
    this.#last = now;
    await turn();
  }
}

/** Resolves after a turn. A timer of 0 ms takes 1 ms on Node and 4 ms in a browser; Node has something shorter. */
function turn(): Promise<unknown> {
  const { setImmediate: soon = setTimeout } = globalThis as { setImmediate?: (then: () => void) => void };
  return new Promise<void>((resolve) => soon(resolve));
}
