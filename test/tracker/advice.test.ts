import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, it } from 'vitest';
import type { TextValue } from '../../src/event/event.js';
import { adviseOn } from '../../src/insight/advice.js';
import type { LayerLike } from '../../src/insight/layer-graph.js';
import { readHistory } from '../../src/saturation/runs.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { temporaryFolder } from '../support/folders.js';
import { normalTensor } from '../support/models.js';
import { pointsOf, summariesOf } from '../support/read-run.js';
import { catchWarnings } from '../support/warnings.js';

const { layers } = tf;
const warnings = catchWarnings();

beforeAll(() => tf.setBackend('cpu'));

/** The advice that a tracker writes by itself after some passes. */
async function adviceOn(model: tf.LayersModel, x: tf.Tensor): Promise<string> {
  const logdir = temporaryFolder();
  const tracker = new SaturationTracker(logdir, model);
  tracker.record('train', () => tf.dispose(model.predict(x)));
  await tracker.addSaturations();
  await tracker.close();
  const [[, value]] = pointsOf(await summariesOf(`${logdir}/train`), 'saturation-summary') as [[number, TextValue]];
  return value.strings.join('\n');
}

const conv = (name: string, more: object = {}) =>
  layers.conv2d({ name, filters: 2, kernelSize: 3, padding: 'same', activation: 'relu', ...more });

it('holds the border of the receptive fields, with what saturation says to it', async () => {
  const model = tf.sequential({
    layers: [
      conv('a', { inputShape: [5, 5, 1] }),
      conv('b'),
      conv('c'),
      conv('d'),
      layers.flatten(),
      layers.dense({ name: 'out', units: 2 }),
    ],
  });
  const text = await adviceOn(model, normalTensor([400, 5, 5, 1], 1));
  // `b` has seen 5 pixels.
  expect(text).toMatch(/`c` and 1 more convolution get what has already seen the whole input \(the input is 5 x 5\)/);
  expect(text).toMatch(
    /Saturation (confirms it|does not confirm it \(yet\)): [\d.]+ on average behind this border, [\d.]+ be/,
  );
  expect(text).toContain('| receptive field |');
});

it('tells no output layer of several to widen', async () => {
  const input = tf.input({ shape: [12] });
  const trunk = layers.dense({ name: 'trunk', units: 24, activation: 'relu' }).apply(input);
  const heads = [3, 4].map((units) => layers.dense({ name: `head${units}`, units }).apply(trunk));
  const text = await adviceOn(
    tf.model({ inputs: input, outputs: heads as tf.SymbolicTensor[] }),
    normalTensor([3000, 12], 2),
  );
  expect(text).toMatch(/\| head3 \| 3 \| 3000 \| 1\.000/);
  expect(text).not.toMatch(/nearly every direction/);
});

it('is the same from the logdir alone: the run notes all outputs, and the layers that are narrow by design', async () => {
  const input = tf.input({ shape: [6, 6, 3] });
  const pixels = conv('pixels', { filters: 8 }).apply(input);
  const squeezed = conv('squeezed', { filters: 3, kernelSize: 1, activation: 'linear' }).apply(pixels);
  const pooled = layers.globalAveragePooling2d({}).apply(conv('wide', { filters: 12 }).apply(squeezed));
  const heads = [2, 4].map((units) => layers.dense({ name: `head${units}`, units }).apply(pooled));
  const model = tf.model({ inputs: input, outputs: heads as tf.SymbolicTensor[] });
  const logdir = temporaryFolder();
  const tracker = new SaturationTracker(logdir, model);
  tracker.record('train', () => tf.dispose(model.predict(normalTensor([3000, 6, 6, 3], 3))));
  await tracker.addSaturations();
  await tracker.close();
  const { last } = await readHistory(logdir);
  const roles = Object.fromEntries(last!.layers.map(({ layer, role }) => [layer, role]));
  expect(roles).toEqual({
    pixels: undefined,
    squeezed: 'projection',
    wide: undefined,
    head2: 'output',
    head4: 'output',
  });
  // Without what the note says of them, both would be called bottlenecks.
  const forgotten = { ...last!, layers: last!.layers.map((layer) => ({ ...layer, role: undefined })) };
  expect(adviseOn(forgotten).find(({ kind }) => kind === 'bottleneck')?.layers).toEqual(['squeezed', 'head2']);
  expect(adviseOn(last!)).toEqual(adviseOn(last!, { model, receptiveFields: [], finished: false }));
  expect(adviseOn(last!).filter(({ kind }) => kind === 'bottleneck')).toEqual([]);
});

it('is written without the structure of a model that cannot be read, and says so', async () => {
  class Private extends layers.Layer {
    static className = 'PrivateForAdvice';
    override getConfig(): tf.serialization.ConfigDict {
      throw new Error('this layer has no config');
    }
    override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
      return tf.relu(Array.isArray(inputs) ? inputs[0]! : inputs);
    }
  }
  const hidden: LayerLike = new Private({ name: 'hidden' });
  const model = tf.sequential({
    layers: [
      layers.dense({ name: 'a', units: 4, inputShape: [3] }),
      hidden as never,
      layers.dense({ name: 'b', units: 2 }),
    ],
  });
  const text = await adviceOn(model, normalTensor([400, 3], 3));
  expect(text).toContain('| a | 4 | 400 |');
  expect(warnings.join('\n')).toMatch(
    /advice and receptive fields lack the model's structure: this layer has no config/,
  );
});
