import type * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { SaturationTracker } from '../../src/tfjs.js';
import { useBackend } from '../support/backends.js';
import { RecordingStore } from '../support/recording-store.js';

interface Digits {
  train: { xs: tf.Tensor4D; ys: tf.Tensor2D };
  validation: { xs: tf.Tensor4D; ys: tf.Tensor2D };
}

const demo = (file: string) => import(new URL(`../../examples/demo/${file}`, import.meta.url).href);
let digits: Digits;
let networks: Record<string, (seed: number) => tf.Sequential>;

beforeAll(async () => {
  await useBackend('tensorflow');
  digits = (await demo('digits.js')).loadDigits({ seed: 1, validationShare: 0.15 });
  networks = (await demo('networks.js')).NETWORKS;
});

describe("sampling 'auto' on the demo's networks and digits", () => {
  it.each(['dense', 'conv'])('shows the saturation of all rows within 0.01: %s', async (name) => {
    const model = networks[name](7);
    model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy' });
    const stores = { all: new RecordingStore(), auto: new RecordingStore() };
    const trackers = (['all', 'auto'] as const).map(
      (sampling) => new SaturationTracker('unused', model, { sampling, saveTo: [stores[sampling]] }),
    );
    const { xs, ys } = digits.train;
    await model.fit(xs, ys, {
      epochs: 3,
      batchSize: 64,
      verbose: 0,
      callbacks: trackers.map((each) => each.callback()),
    });
    for (const tracker of trackers) await tracker.close();
    for (const epoch of [0, 1, 2]) {
      for (const { layer, samples, values, spectrum } of stores.all.epochs[epoch].layers) {
        const auto = stores.auto.layer('train', layer, epoch);
        const where = `${layer}, epoch ${epoch}`;
        expect(auto.samples).toBeLessThanOrEqual(samples);
        if (Math.abs(auto.values.saturation! - values.saturation!) <= 0.01) continue;
        // Training on several threads is never twice the same: now and then a narrow layer's edge lies on the threshold,
        // and then it may be off by one direction.
        const [dimensions, other] = [values, auto.values].map((each) => each.intrinsicDimensionality!);
        expect(Math.abs(dimensions - other), where).toBe(1);
        const explained = spectrum!.explainedVariance()[Math.min(dimensions, other) - 1];
        expect(Math.abs(explained - 0.99), where).toBeLessThan(5e-4);
      }
    }
    model.dispose();
  });
});
