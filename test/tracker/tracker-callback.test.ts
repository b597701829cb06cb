import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { backends, normalTensor, useBackend } from '../support/backends.js';

/** Says how many epochs a store has been given when an epoch begins. */
class Watcher extends tf.Callback {
  readonly seen: number[] = [];
  readonly #stored: () => number;
  constructor(stored: () => number) {
    super();
    this.#stored = stored;
  }
  override async onEpochBegin(): Promise<void> {
    this.seen.push(this.#stored());
  }
}

describe.each(backends)('a fit on %s with the callback of a tracker', (backend) => {
  beforeAll(() => useBackend(backend));

  it('hands an epoch to the stores before the next one but one begins, even where TensorFlow.js never yields', async () => {
    // Wide enough to be solved by a worker, whose answer only a turn of the event loop brings.
    const model = tf.sequential({
      layers: [tf.layers.dense({ units: 300, inputShape: [20] }), tf.layers.dense({ units: 1 })],
    });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    let stored = 0;
    const store = {
      add: () => {
        stored++;
      },
    };
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    const watcher = new Watcher(() => stored);
    const xs = normalTensor([64, 20], 1);
    const ys = normalTensor([64, 1], 2);
    const batches = tf.data.generator(function* () {
      for (let i = 0; i < 4; i++) yield { xs: xs.slice([i * 16], [16]), ys: ys.slice([i * 16], [16]) };
    } as () => Iterator<tf.TensorContainer>);
    await model.fitDataset(batches as never, { epochs: 5, verbose: 0, callbacks: [tracker.callback(), watcher] });
    await tracker.close();
    for (const [epoch, count] of watcher.seen.entries()) expect(count).toBeGreaterThanOrEqual(epoch - 1);
    expect(watcher.seen).toHaveLength(5);
    expect(stored).toBe(5);
    tf.dispose([xs, ys]);
    model.dispose();
  });

  it('lets the event loop turn while it trains', async () => {
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 4, inputShape: [4] })] });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const tracker = new SaturationTracker('unused', model, { saveTo: [{ add: () => {} }] });
    const xs = normalTensor([8, 4], 1);
    let turned = false;
    setTimeout(() => {
      turned = true;
    }, 0);
    let duringFit: boolean | undefined;
    class Last extends tf.Callback {
      override async onTrainEnd(): Promise<void> {
        duringFit = turned;
      }
    }
    const batches = tf.data.generator(function* () {
      yield { xs: xs.clone(), ys: xs.clone() };
    } as () => Iterator<tf.TensorContainer>);
    await model.fitDataset(batches as never, { epochs: 2, verbose: 0, callbacks: [new Last(), tracker.callback()] });
    await tracker.close();
    expect(duringFit).toBe(true);
    xs.dispose();
    model.dispose();
  });
});
