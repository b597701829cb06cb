import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fitPcaLayers, insertPcaLayers, type PcaLayer, setPcaThresholds } from '../../src/pca/pca-model.js';
import { backends, useBackend } from '../support/backends.js';
import { freeWeights, normalTensor, seedWeights, trainsConvolutions } from '../support/models.js';
import { catchWarnings } from '../support/warnings.js';

/** Models of every kind, and the PCA layers that their copies must have. */
const kinds: Record<string, { make(): tf.LayersModel; inputs: number[][]; expected: string[] }> = {
  'a dense Sequential': {
    make: () =>
      tf.sequential({
        layers: [
          tf.layers.dense({ units: 8, activation: 'relu', inputShape: [5], name: 'a', kernelRegularizer: 'l1l2' }),
          tf.layers.dropout({ rate: 0.5 }),
          tf.layers.batchNormalization({ name: 'norm' }),
          tf.layers.dense({ units: 3, activation: 'softmax', name: 'b' }),
        ],
      }),
    inputs: [[5]],
    expected: ['a_pca', 'b_pca'],
  },
  'a convolutional Sequential': {
    make: () =>
      tf.sequential({
        layers: [
          tf.layers.conv2d({ filters: 6, kernelSize: 3, padding: 'same', inputShape: [8, 8, 2], name: 'conv' }),
          tf.layers.maxPooling2d({ poolSize: 2 }),
          tf.layers.depthwiseConv2d({ kernelSize: 3, name: 'deep' }),
          tf.layers.separableConv2d({ filters: 4, kernelSize: 2, name: 'apart' }),
          tf.layers.conv2dTranspose({ filters: 3, kernelSize: 2, name: 'back' }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 2, name: 'out' }),
        ],
      }),
    inputs: [[8, 8, 2]],
    expected: ['conv_pca', 'deep_pca', 'apart_pca', 'back_pca', 'out_pca'],
  },
  'a recurrent Sequential': {
    make: () =>
      tf.sequential({
        layers: [
          tf.layers.lstm({ units: 4, returnSequences: true, inputShape: [5, 3], name: 'lstm' }),
          tf.layers.bidirectional({
            layer: tf.layers.gru({ units: 3, returnSequences: true }) as tf.RNN,
            mergeMode: 'concat',
            name: 'both',
          }),
          tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 4 }), name: 'steps' }),
          tf.layers.simpleRNN({ units: 2, name: 'last' }),
        ],
      }),
    inputs: [[5, 3]],
    expected: ['lstm_pca', 'both_pca', 'steps_pca', 'last_pca'],
  },
  'an embedding with a mask': {
    make: () =>
      tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: 9, outputDim: 4, maskZero: true, inputLength: 5, name: 'words' }),
          tf.layers.lstm({ units: 3, name: 'lstm' }),
        ],
      }),
    inputs: [[5]],
    expected: ['words_pca', 'lstm_pca'],
  },
  'a functional model with a branch and two outputs': {
    make: () => {
      const input = tf.input({ shape: [6], name: 'in' });
      const trunk = tf.layers.dense({ units: 5, activation: 'tanh', name: 'trunk' }).apply(input) as tf.SymbolicTensor;
      const left = tf.layers.dense({ units: 4, name: 'left' }).apply(trunk) as tf.SymbolicTensor;
      const right = tf.layers.dense({ units: 4, name: 'right' }).apply(trunk) as tf.SymbolicTensor;
      const sum = tf.layers.add({ name: 'sum' }).apply([left, right]) as tf.SymbolicTensor;
      return tf.model({ inputs: input, outputs: [sum, trunk] });
    },
    inputs: [[6]],
    expected: ['trunk_pca', 'left_pca', 'right_pca'],
  },
  'two inputs through a shared layer': {
    make: () => {
      const [a, b] = [tf.input({ shape: [4], name: 'one' }), tf.input({ shape: [4], name: 'two' })];
      const shared = tf.layers.dense({ units: 5, name: 'shared' });
      const both = tf.layers
        .concatenate({ name: 'both' })
        .apply([shared.apply(a) as tf.SymbolicTensor, shared.apply(b) as tf.SymbolicTensor]) as tf.SymbolicTensor;
      const out = tf.layers.dense({ units: 2, name: 'out' }).apply(both) as tf.SymbolicTensor;
      return tf.model({ inputs: [a, b], outputs: out });
    },
    inputs: [[4], [4]],
    expected: ['shared_pca', 'out_pca'],
  },
  'nested models': {
    make: () => {
      const input = tf.input({ shape: [4], name: 'in' });
      const inner = tf.sequential({
        name: 'inner',
        layers: [tf.layers.dense({ units: 5, inputShape: [4], name: 'x' }), tf.layers.dense({ units: 4, name: 'y' })],
      });
      const h = inner.apply(inner.apply(input)) as tf.SymbolicTensor;
      const out = tf.layers.dense({ units: 2, name: 'x' }).apply(h) as tf.SymbolicTensor;
      return tf.model({ inputs: input, outputs: out });
    },
    inputs: [[4]],
    expected: ['x_pca', 'y_pca', 'x_pca'],
  },
  'an LSTM that returns its state to another': {
    make: () => {
      const input = tf.input({ shape: [4, 3], name: 'in' });
      const [out, h, c] = tf.layers
        .lstm({ units: 5, returnState: true, returnSequences: true, name: 'encoder' })
        .apply(input) as tf.SymbolicTensor[];
      const decoded = tf.layers
        .lstm({ units: 5, name: 'decoder' })
        .apply(out, { initialState: [h, c] }) as tf.SymbolicTensor;
      return tf.model({ inputs: input, outputs: decoded });
    },
    inputs: [[4, 3]],
    expected: ['encoder_pca', 'decoder_pca'],
  },
};

describe.each(backends)('insertPcaLayers on %s', (backend) => {
  let tensorsBefore = 0;
  beforeAll(() => useBackend(backend));
  catchWarnings();
  beforeEach(() => {
    tensorsBefore = tf.memory().numTensors;
  });
  afterEach(() => {
    expect(tf.memory().numTensors).toBe(tensorsBefore);
  });

  const outputs = (model: tf.LayersModel, inputs: tf.Tensor[]) =>
    tf.tidy(() =>
      [model.predict(inputs.length === 1 ? inputs[0] : inputs)].flat().map((y) => (y as tf.Tensor).arraySync()),
    );
  const pcaNames = (model: tf.LayersModel): string[] =>
    model.layers.flatMap((layer) => {
      if (Array.isArray((layer as unknown as tf.LayersModel).layers))
        return pcaNames(layer as unknown as tf.LayersModel);
      return layer.getClassName() === 'PcaLayer' ? [layer.name] : [];
    });

  it.each(Object.entries(kinds))(
    'copies %s: same predictions, a PCA layer behind each tracked layer',
    async (_, kind) => {
      const model = kind.make();
      // An embedding looks up its nine rows by integers.
      const isEmbedding = model.layers.some((layer) => layer.getClassName() === 'Embedding');
      const inputs = kind.inputs.map((shape, k) =>
        tf.tidy(() => {
          const x = normalTensor([30, ...shape], 50 + k);
          return isEmbedding ? x.abs().mul(3).floor().minimum(8) : x;
        }),
      );
      const before = outputs(model, inputs);
      const config = JSON.stringify(model.getConfig());
      const copy = insertPcaLayers(model, { threshold: 0.9 });

      expect(copy).toBeInstanceOf(model.constructor);
      expect(pcaNames(copy)).toEqual(kind.expected);
      expect(outputs(copy, inputs)).toEqual(before);
      expect(JSON.stringify(model.getConfig())).toBe(config);

      const batch = inputs.length === 1 ? inputs[0] : inputs;
      const report = await fitPcaLayers(copy, [batch]);
      for (const { dimensions, width } of report) expect(dimensions).toBeLessThanOrEqual(width);
      expect(report.some(({ dimensions, width }) => dimensions < width)).toBe(true);
      expect(outputs(copy, inputs)).not.toEqual(before);

      // The model survives the disposal of its copy.
      freeWeights(copy);
      expect(outputs(model, inputs)).toEqual(before);
      freeWeights(model);
      tf.dispose(inputs);
    },
  );

  it('leaves a copy that the original can be disposed of without', () => {
    const model = kinds['a dense Sequential'].make();
    const x = normalTensor([4, 5], 1);
    const before = outputs(model, [x]);
    const copy = insertPcaLayers(model);
    model.dispose();
    expect(outputs(copy, [x])).toEqual(before);
    copy.dispose();
    x.dispose();
  });

  it.skipIf(!trainsConvolutions(backend))('leaves the original as it is when its copy is trained', async () => {
    const model = kinds['a convolutional Sequential'].make();
    const x = normalTensor([16, 8, 8, 2], 1);
    const y = normalTensor([16, 2], 2);
    const before = outputs(model, [x]);
    const copy = insertPcaLayers(model);
    copy.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    await copy.fit(x, y, { epochs: 1, verbose: 0, validationData: [x, y] });
    expect(outputs(model, [x])).toEqual(before);
    expect(setPcaThresholds(copy, 0.9).every(({ dimensions }) => dimensions > 0)).toBe(true);
    copy.optimizer.dispose();
    copy.dispose();
    model.dispose();
    tf.dispose([x, y]);
  });

  it('accepts a filter, names and the options of the PCA layers', () => {
    const model = kinds['a dense Sequential'].make();
    const copy = insertPcaLayers(model, {
      layers: (layer) => (layer.name === 'a' ? 'first' : layer.name === 'norm' ? 'after_norm' : false),
      threshold: 0.5,
      rule: 'delve',
      centering: false,
      downsample: 4,
    });
    expect(pcaNames(copy)).toEqual(['first', 'after_norm']);
    expect((copy.getLayer('first') as PcaLayer).getConfig()).toMatchObject({
      threshold: 0.5,
      rule: 'delve',
      centering: false,
      downsample: 4,
    });
    copy.dispose();
    model.dispose();
  });

  it('does not take a name that is taken, nor put a PCA layer behind a PCA layer', () => {
    const model = tf.sequential({
      layers: [tf.layers.dense({ units: 3, inputShape: [2], name: 'a' }), tf.layers.dense({ units: 3, name: 'a_pca' })],
    });
    seedWeights(model, 3);
    const copy = insertPcaLayers(model);
    expect(copy.layers.map((layer) => layer.name)).toEqual(['a', 'a_pca_2', 'a_pca', 'a_pca_pca']);
    const twice = insertPcaLayers(copy);
    expect(pcaNames(twice)).toHaveLength(4);
    twice.dispose();
    copy.dispose();
    model.dispose();
  });

  it('refuses channels first, bad options and a filter that keeps nothing', () => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ filters: 2, kernelSize: 1, dataFormat: 'channelsFirst', inputShape: [3, 4, 4], name: 'cf' }),
      ],
    });
    expect(() => insertPcaLayers(model)).toThrow(/got layer 'cf', which has its channels first/);
    expect(() => insertPcaLayers(model, { threshold: 2 })).toThrow('threshold');
    expect(() => insertPcaLayers(model, { layers: () => false })).toThrow(RangeError);
    model.dispose();
  });
});
