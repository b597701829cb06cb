import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { MemoryOutput } from '../../src/output/output.js';
import type { SaturationOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { backends, useBackend } from '../support/backends.js';
import {
  bias,
  classes,
  classifier,
  d,
  expectReference,
  labels,
  n,
  oneHot,
  reference,
  weights,
  xs,
} from '../support/collapse-classifier.js';
import { RecordingStore } from '../support/recording-store.js';

// Neural collapse in a fit: the rows, the classifier and what they give are those of test/fixtures/health/reference.py.

function trackerOf(model: tf.LayersModel, options: SaturationOptions = {}) {
  const store = new RecordingStore();
  const tracker = new SaturationTracker(new SummaryWriter(new MemoryOutput()), model, {
    stats: 'health',
    saveTo: [store],
    ...options,
  });
  return { store, tracker };
}

const warnings = () => vi.mocked(process.emitWarning).mock.calls.map(([text]) => String(text));

describe.each(backends)('neural collapse in a fit, on %s', (backend) => {
  beforeAll(() => useBackend(backend));
  afterEach(() => void vi.restoreAllMocks());

  it.each([
    ['one-hot targets', 'categoricalCrossentropy', oneHot],
    ['integers N', 'sparseCategoricalCrossentropy', () => tf.tensor1d(labels)],
    ['integers N x 1', 'sparseCategoricalCrossentropy', () => tf.tensor2d(labels, [n, 1])],
    ['smoothed targets', 'categoricalCrossentropy', () => tf.tidy(() => oneHot().mul(0.9).add(0.02) as tf.Tensor2D)],
  ] as const)('equals the reference with %s, in both splits', async (_what, loss, targets) => {
    const model = classifier(loss);
    const { store, tracker } = trackerOf(model);
    const [x, y] = [xs(), targets()];
    await model.fit(x, y, { epochs: 2, batchSize: 64, verbose: 0, validationData: [x, y], callbacks: tracker });
    await tracker.close();
    for (const split of ['train', 'val'] as const) {
      for (const epoch of [0, 1]) expectReference(store.layer(split, 'features', epoch));
      const { values } = store.layer(split, 'digit', 0);
      expect(values).not.toHaveProperty('collapseNC3');
      expect(values.collapseNC1).toBeGreaterThan(0);
    }
    tf.dispose([x, y]);
    model.dispose();
  });

  it('equals the reference in fitDataset, and in a loop of trainOnBatch', async () => {
    const model = classifier();
    const { store, tracker } = trackerOf(model);
    const [x, y] = [xs(), oneHot()];
    const batches = tf.data.generator(function* () {
      for (let start = 0; start < n; start += 50) yield { xs: x.slice(start, 50), ys: y.slice(start, 50) };
    });
    await model.fitDataset(batches, { epochs: 1, verbose: 0, validationData: batches, callbacks: tracker });
    for (let start = 0; start < n; start += 100) {
      const [part, ofPart] = [x.slice(start, 100), y.slice(start, 100)];
      await tracker.record('train', () => model.trainOnBatch(part, ofPart));
      tf.dispose([part, ofPart]);
    }
    await tracker.addSaturations();
    await tracker.close();
    expectReference(store.layer('train', 'features', 0));
    expectReference(store.layer('val', 'features', 0));
    expectReference(store.layer('train', 'features', 1));
    tf.dispose([x, y]);
    model.dispose();
  });

  it('reads maps that are averaged before the classifier as that one does', async () => {
    // Two places of each map, whose mean is the reference's row.
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({
          name: 'conv',
          filters: d,
          kernelSize: 1,
          inputShape: [2, 1, d],
          weights: [tf.tidy(() => tf.eye(d).reshape([1, 1, d, d])), tf.zeros([d])],
        }),
        tf.layers.globalAveragePooling2d({}),
        tf.layers.dense({
          units: classes,
          weights: [tf.tidy(() => tf.tensor2d(weights.map((row) => [...row])).transpose()), tf.tensor1d([...bias])],
        }),
        tf.layers.softmax({}),
      ],
    });
    const { store, tracker } = trackerOf(model, { convMethod: 'mean' });
    model.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy' });
    const x = tf.tidy(() => {
      const row = xs();
      return tf.stack([row.add(1), row.sub(1)], 1).reshape([n, 2, 1, d]);
    });
    const y = oneHot();
    tf.dispose(await tracker.record('val', () => model.evaluate(x, y, { batchSize: 128 })));
    await tracker.addSaturations();
    await tracker.close();
    expectReference(store.layer('val', 'conv'));
    tf.dispose([x, y]);
    model.dispose();
  });

  it('goes on in another process', async () => {
    const model = classifier();
    const [x, y] = [xs(), oneHot()];
    const passes = async (tracker: SaturationTracker, start: number, size: number) => {
      const [part, ofPart] = [x.slice(start, size), y.slice(start, size)];
      await tracker.record('train', () => model.trainOnBatch(part, ofPart));
      tf.dispose([part, ofPart]);
    };
    const first = trackerOf(model, { resetCovariance: true });
    await passes(first.tracker, 0, 130);
    const bytes = first.tracker.toBytes();
    await first.tracker.addSaturations();
    await first.tracker.close();
    const second = trackerOf(model);
    second.tracker.restore(bytes);
    await passes(second.tracker, 130, 170);
    await second.tracker.addSaturations();
    await second.tracker.close();
    const { values } = second.store.layer('train', 'features', 0);
    expect(values.collapseNC1).toBeCloseTo(reference.nc1, 4);
    expect(values.collapseNC2Norms).toBeCloseTo(reference.nc2Norms, 4);
    expect(values.collapseNC2Angles).toBeCloseTo(reference.nc2Angles, 4);
    expect(values.collapseNC3).toBeCloseTo(reference.nc3, 4);
    tf.dispose([x, y]);
    model.dispose();
  });

  it('changes no weight and no loss, leaves no tensor, and takes its hand off the loss', async () => {
    const trained = async (isTracked: boolean) => {
      const model = classifier('categoricalCrossentropy', 0.1);
      const { lossFunctions } = model as unknown as { lossFunctions: unknown[] };
      const inner = (model as unknown as { model: { lossFunctions: unknown[] } }).model.lossFunctions;
      const before = [...(lossFunctions ?? []), ...inner];
      const [x, y] = [xs(), oneHot()];
      const tracker = isTracked ? trackerOf(model).tracker : undefined;
      const tensors: number[] = [];
      const count = { onEpochEnd: async () => void tensors.push(tf.memory().numTensors) };
      const { history } = await model.fit(x, y, {
        epochs: 3,
        batchSize: 50,
        shuffle: false,
        verbose: 0,
        validationData: [x, y],
        callbacks: (tracker ? [tracker, count] : count) as tf.CustomCallbackArgs,
      });
      await tracker?.close();
      expect([...(lossFunctions ?? []), ...inner]).toEqual(before);
      expect(Object.getOwnPropertyDescriptor(inner, '0')).toMatchObject({ enumerable: true });
      expect(tensors[2]).toBe(tensors[1]);
      const bits = model.getWeights().map((weight) => [...weight.dataSync()]);
      tf.dispose([x, y]);
      model.dispose();
      return { history, bits };
    };
    expect(await trained(true)).toEqual(await trained(false));
  });
});

describe('neural collapse that cannot be measured', () => {
  beforeAll(() => useBackend('cpu'));
  afterEach(() => void vi.restoreAllMocks());

  /** What a fit of a model says, and what is stored of a layer. */
  async function fitted(
    layers: tf.layers.Layer[],
    shapes: [number[], number[]],
    options: SaturationOptions,
    targets: (shape: number[]) => tf.Tensor = (shape) => tf.randomUniform(shape),
  ) {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const model = tf.sequential({ layers });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const { store, tracker } = trackerOf(model, options);
    const [x, y] = [tf.randomNormal(shapes[0]), targets(shapes[1])];
    await model.fit(x, y, { epochs: 2, batchSize: 10, verbose: 0, callbacks: tracker });
    await tracker.close();
    tf.dispose([x, y]);
    model.dispose();
    return { said: warnings().filter((text) => text.includes('eural collapse')), store };
  }
  const dense = (units: number, first: object = {}) => tf.layers.dense({ units, ...first });

  it('is left out without a word where health was asked for', async () => {
    const layers = [dense(4, { name: 'hidden', inputShape: [3] }), dense(2)];
    const { said, store } = await fitted(
      layers,
      [
        [40, 3],
        [40, 2],
      ],
      { stats: 'health' },
    );
    expect(said).toEqual([]);
    expect(store.layer('train', 'hidden').values).not.toHaveProperty('collapseNC1');
  });

  it.each([
    [
      'other numbers',
      [dense(2, { name: 'hidden', inputShape: [3] })],
      [
        [40, 3],
        [40, 2],
      ],
      /targets that are classes/,
    ],
    [
      'sequences',
      [tf.layers.dense({ name: 'hidden', units: 2, inputShape: [5, 3] })],
      [
        [40, 5, 3],
        [40, 5, 2],
      ],
      /expected one row per item, got 50 of 10/,
    ],
    [
      'targets that are sequences',
      [tf.layers.lstm({ name: 'hidden', units: 2, inputShape: [5, 3], returnSequences: true })],
      [
        [40, 5, 3],
        [40, 5, 2],
      ],
      /got targets of shape \[\d+,5,2\] .*sequences or maps, which are not supported/,
    ],
  ] as [string, tf.layers.Layer[], [number[], number[]], RegExp][])(
    'is told once of %s, where it was asked for by name',
    async (_what, layers, shapes, expected) => {
      const { said } = await fitted(layers, shapes, { stats: ['collapseNC1'] });
      expect(said.filter((text) => expected.test(text))).toHaveLength(1);
      expect(said.filter((text) => /expected the class of each item, got none/.test(text))).toHaveLength(1);
    },
  );

  it('has no NC3 where no layer before a dense classifier is tracked, and says so', async () => {
    const layers = [
      dense(4, { name: 'hidden', inputShape: [3] }),
      tf.layers.reLU({}),
      dense(2, { activation: 'softmax' }),
    ];
    const { said, store } = await fitted(
      layers,
      [
        [40, 3],
        [40, 2],
      ],
      { stats: ['collapseNC1', 'collapseNC3'] },
      (shape) =>
        tf.tidy(() =>
          tf.oneHot(tf.range(0, shape[0], 1, 'int32').mod(tf.scalar(2, 'int32')).cast('int32'), 2).cast('float32'),
        ),
    );
    expect(said.join()).toMatch(
      /collapseNC3: expected a dense layer at the end, and the layer before it among those tracked/,
    );
    const { values } = store.layer('train', 'hidden');
    expect(values.collapseNC1).toBeGreaterThan(0);
    expect(values).not.toHaveProperty('collapseNC3');
  });
});
