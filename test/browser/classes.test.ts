import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, it } from 'vitest';
import { MemoryOutput, SummaryWriter } from '../../src/index.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { classifier, expectReference, labels, oneHot, xs } from '../support/collapse-classifier.js';
import { RecordingStore } from '../support/recording-store.js';
import { describeOn, useBackend } from './backends.js';

describeOn(['cpu', 'webgl', 'webgpu'], 'neural collapse in a fit in a page,', (backend) => {
  beforeAll(() => useBackend(backend));

  it.each([
    ['one-hot targets', 'categoricalCrossentropy', oneHot],
    ['integers', 'sparseCategoricalCrossentropy', () => tf.tensor1d(labels)],
  ] as const)('equals the reference with %s, whose classes are read later on a GPU', async (_what, loss, targets) => {
    const model = classifier(loss);
    const store = new RecordingStore();
    const writer = new SummaryWriter(new MemoryOutput());
    const tracker = new SaturationTracker(writer, model, { stats: 'health', saveTo: [store] });
    const [x, y] = [xs(), targets()];
    const before = tf.memory().numTensors;
    await model.fit(x, y, {
      epochs: 2,
      batchSize: 64,
      verbose: 0,
      validationData: [x, y],
      callbacks: tracker.callback() as never,
    });
    await tracker.close();
    await writer.close();
    expect(tf.memory().numTensors).toBe(before);
    for (const split of ['train', 'val']) {
      for (const epoch of [0, 1]) expectReference(store.layer(split, 'features', epoch), 3);
    }
    tf.dispose([x, y]);
    model.dispose();
  });
});
