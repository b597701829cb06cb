import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { MemoryOutput, readEvents, SummaryWriter } from '../../src/index.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { convolutional, dense, recurrent, type Trainable } from '../support/models.js';
import { distance } from '../support/random.js';
import { RecordingStore } from '../support/recording-store.js';
import { describeOn, useBackend } from './backends.js';
import { allowWarnings } from './console.js';
import { covarianceEigenvalues } from './reference.js';

const toDispose: (tf.Tensor | tf.LayersModel)[] = [];
afterEach(() => {
  for (const each of toDispose.splice(0)) each.dispose();
});

function held<T extends tf.Tensor | tf.Tensor[]>(tensors: T): T {
  toDispose.push(...(Array.isArray(tensors) ? tensors : [tensors]));
  return tensors;
}

function model(trainable: Trainable): tf.LayersModel {
  const built = trainable.build();
  toDispose.push(built);
  return built;
}

describeOn(['cpu', 'webgl', 'webgpu'], 'SaturationTracker in a page', (backend) => {
  beforeAll(() => useBackend(backend));

  const options = (trainable: Trainable, callbacks: unknown[] = []): tf.ModelFitArgs => ({
    epochs: 2,
    batchSize: 8,
    shuffle: false,
    verbose: 0,
    validationData: [held(trainable.inputs(12, 5)), held(trainable.targets(12, 6))] as never,
    callbacks: callbacks as tf.Callback[],
  });

  // Recurrent layers are hundreds of shaders, which a GPU in software takes half a minute to compile.
  const networks = backend === 'cpu' ? [dense, convolutional, recurrent] : [dense, convolutional];
  it.each(networks.map((each) => [each.name, each] as const))(
    '%s: trains to the same bits, counts every sample once and leaks nothing',
    async (_name, trainable) => {
      allowWarnings(/rows are few for/);
      const inputs = held(trainable.inputs(24, 1));
      const targets = held(trainable.targets(24, 2));
      const plain = model(trainable);
      const plainHistory = await plain.fit(inputs, targets, options(trainable));
      const hooked = model(trainable);
      const args = options(trainable);
      const before = tf.memory().numTensors;
      const store = new RecordingStore();
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      const tracker = new SaturationTracker(writer, hooked, { saveTo: ['tensorboard', store] });
      const history = await hooked.fit(inputs, targets, { ...args, callbacks: [tracker.callback() as never] });
      await tracker.close();
      await writer.close();
      // The optimizer's momenta are made on the first step of the first fit and are the model's own.
      expect(tf.memory().numTensors - before - hooked.trainableWeights.length).toBe(0);
      expect(history.history).toEqual(plainHistory.history);
      const [a, b] = [plain.getWeights(), hooked.getWeights()];
      for (let i = 0; i < a.length; i++) expect(await b[i].data()).toEqual(await a[i].data());

      for (const { split, layer, samples, rejected } of store.epochs.flatMap(({ layers }) => layers)) {
        const items = split === 'train' ? 24 : 12;
        expect([split, layer, samples, rejected]).toEqual([split, layer, items * samplesPerItem(hooked, layer), 0]);
      }
      expect(new Set(store.epochs[0].layers.map(({ layer }) => layer))).toEqual(new Set(tracker.layerNames));
      const written = new Map<string, number>();
      for await (const { step, summary } of readEvents(output.runs.get('train')!.bytes)) {
        for (const { tag, value } of summary ?? []) if (typeof value === 'number') written.set(`${tag} ${step}`, value);
      }
      for (const layer of tracker.layerNames) {
        const { saturation } = store.layer('train', layer, 1).values;
        expect(written.get(`saturation/${layer} 2`)).toBe(Math.fround(saturation!));
      }
    },
  );

  it('has the eigenvalues of what predict says about the same rows', async () => {
    const net = model(convolutional);
    const inputs = held(convolutional.inputs(40, 1)) as tf.Tensor;
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', net, { stats: ['saturation', 'spectrum'], saveTo: [store] });
    await tracker.record('val', async () => {
      for (let from = 0; from < 40; from += 8) {
        tf.tidy(() => void net.apply(inputs.slice(from, 8)));
      }
    });
    await tracker.addSaturations();
    await tracker.close();
    for (const name of ['conv', 'depthwise', 'output']) {
      const layer = net.getLayer(name);
      const activations = held(tf.model({ inputs: net.inputs, outputs: layer.output }).predict(inputs) as tf.Tensor);
      const features = activations.shape.at(-1)!;
      const expected = covarianceEigenvalues(await activations.data(), features);
      const found = store.layer('val', name).spectrum!.eigenvalues;
      expect(distance(found, expected)).toBeLessThan(2e-7 * expected[0]);
    }
  });
});

/** One sample for each place of a convolution's output and each step of a TimeDistributed, the last step of other sequences. */
function samplesPerItem(net: tf.LayersModel, name: string): number {
  const shape = net.getLayer(name).outputShape as number[];
  if (shape.length === 4) return shape[1] * shape[2];
  return name === 'each' ? shape[1] : 1;
}
