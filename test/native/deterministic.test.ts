import { Worker } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { extractMoments } from '../../src/tracker/extract-saturation.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { useBackend } from '../support/backends.js';
import { normalTensor, seedWeights } from '../support/models.js';

/** Threads that keep the processors busy until the test ends, by fits and starts, so that no other thread is timed alike. */
function load(threads: number): void {
  const script = `
    const idle = new Int32Array(new SharedArrayBuffer(4));
    for (;;) {
      const end = performance.now() + 30 * Math.random();
      while (performance.now() < end);
      Atomics.wait(idle, 0, 0, 10 * Math.random());
    }`;
  const burners = Array.from({ length: threads }, () => new Worker(script, { eval: true }));
  onTestFinished(async () => void (await Promise.all(burners.map((burner) => burner.terminate()))));
}

describe('sums on the native backend', () => {
  beforeAll(() => useBackend('tensorflow'));

  /** A layer of many features, whose rows go to a thread otherwise, and one of many rows, which is reduced on the device. */
  function modelOf(): tf.LayersModel {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [12, 12, 2], filters: 4, kernelSize: 3, activation: 'relu', name: 'conv' }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 300, activation: 'tanh', name: 'wide' }),
        tf.layers.dense({ units: 3, name: 'output' }),
      ],
    });
    seedWeights(model, 3);
    return model;
  }

  it('have the same bits each time with deterministic: true, however busy the machine is', async () => {
    const model = modelOf();
    const batches = Array.from({ length: 40 }, (_, i) => normalTensor([16 + (i % 5) * 13, 12, 12, 2], i));
    onTestFinished(() => tf.dispose([...batches, ...model.getWeights()]));
    const measured = async (): Promise<Uint8Array> => {
      const tracker = new SaturationTracker('', model, { role: 'worker', deterministic: true });
      for (const batch of batches) tracker.record('train', () => tf.tidy(() => void model.predict(batch)));
      const bytes = await tracker.take();
      expect([...tracker.strategies.values()]).toEqual(Array(3).fill('float64 on the host'));
      await tracker.close();
      return bytes;
    };
    const first = await measured();
    load(4);
    for (let run = 0; run < 5; run++) expect(Buffer.compare(await measured(), first)).toBe(0);
  });

  it('have the same bits when a shard is measured again', async () => {
    const model = modelOf();
    const shard = Array.from({ length: 10 }, (_, i) => normalTensor([64, 12, 12, 2], i));
    onTestFinished(() => tf.dispose([...shard, ...model.getWeights()]));
    const measured = async () =>
      [...(await extractMoments(model, shard, { progress: false }))].map(([, sums]) => Buffer.from(sums.toBytes()));
    const first = await measured();
    load(4);
    for (let run = 0; run < 3; run++)
      expect(Buffer.compare(Buffer.concat(await measured()), Buffer.concat(first))).toBe(0);
  });
});
