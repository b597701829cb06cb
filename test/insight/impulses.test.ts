import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { inputSizeRange, unproductiveLayers } from '../../src/insight/border.js';
import { type ReceptiveFieldAxis, receptiveFields } from '../../src/insight/receptive-fields.js';
import { uniform } from '../support/random.js';

/*
 * Receptive fields, measured: what an output place sees is what changes it. All weights are 1 or positive, so that nothing
 * cancels, and an input in which one slab of places differs shows which output places see the slab.
 */

const { layers } = tf;

beforeAll(() => tf.setBackend('cpu'));

type Apply = (x: tf.SymbolicTensor) => tf.SymbolicTensor;
const via =
  (layer: { apply(x: tf.SymbolicTensor): unknown }): Apply =>
  (x) =>
    layer.apply(x) as tf.SymbolicTensor;

/** The most places of the input, along an axis, that any place of the output sees. */
function measured(model: tf.LayersModel, axis: number): number {
  return measuredIn(model.inputs[0]!.shape.slice(1) as number[], axis, (x) => model.predict(x) as tf.Tensor);
}

function measuredIn(shape: readonly number[], axis: number, run: (batch: tf.Tensor) => tf.Tensor): number {
  return tf.tidy(() => {
    const side = shape[axis]!;
    const count = shape.reduce((product, size) => product * size, 1);
    const behind = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
    const random = uniform(9);
    const quiet = Float32Array.from({ length: count }, () => 0.5 + random());
    const batch = new Float32Array((side + 1) * count);
    for (let slab = 0; slab <= side; slab++) {
      batch.set(quiet, slab * count);
      for (let i = 0; i < count; i++) if (Math.floor(i / behind) % side === slab) batch[slab * count + i]! += 4;
    }
    const output = run(tf.tensor(batch, [side + 1, ...shape]));
    const values = output.dataSync();
    const size = output.size / (side + 1);
    const sees = (place: number) =>
      [...Array(side).keys()].filter((slab) => values[slab * size + place] !== values[side * size + place]);
    const seen = [...Array(size).keys()].map(sees);
    // The numbers of a vector are one place.
    const places = output.rank > 2 ? seen : [seen.flat().sort((a, b) => a - b)];
    return Math.max(0, ...places.filter(({ length }) => length > 0).map((slabs) => slabs.at(-1)! - slabs[0]! + 1));
  });
}

/** What is computed for a model's output: the axes of its last layer. */
const computed = (model: tf.LayersModel): readonly ReceptiveFieldAxis[] => receptiveFields(model).at(-1)!.axes;

function modelOf(inputShape: readonly number[], ...steps: Apply[]): tf.LayersModel {
  const input = tf.input({ shape: [...inputShape] });
  return tf.model({ inputs: input, outputs: steps.reduce((x, step) => step(x), input) });
}

/** Draws from a seed. */
class Draw {
  readonly #next: () => number;
  constructor(seed: number) {
    this.#next = uniform(seed);
  }
  /** A whole number from `low` to `high`. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.#next() * (high - low + 1));
  }
  of<T>(choices: readonly T[]): T {
    return choices[this.whole(0, choices.length - 1)]!;
  }
}

/** Draws the settings of a layer for so many axes of space. */
type Maker = (draw: Draw, rank: number) => () => Apply;

const ones = { kernelInitializer: 'ones', useBias: false } as const;
const size = (draw: Draw, rank: number, low: number, high: number) =>
  Array.from({ length: rank }, () => draw.whole(low, high)) as [number, number];
const padding = (draw: Draw) => draw.of(['same', 'valid'] as const);

/** A convolution is strided or dilated, not both: TensorFlow.js computes no other. */
const convolution = (draw: Draw, rank: number) => {
  const dilated = draw.whole(0, 2) === 0;
  const one = dilated ? size(draw, rank, 1, 1) : size(draw, rank, 1, 2);
  const dilation = dilated ? size(draw, rank, 1, 3) : size(draw, rank, 1, 1);
  return { ...ones, kernelSize: size(draw, rank, 1, 4), strides: one, dilationRate: dilation, padding: padding(draw) };
};
const pool = (draw: Draw, rank: number) => ({
  poolSize: size(draw, rank, 1, 3),
  strides: size(draw, rank, 1, 2),
  padding: padding(draw),
});
// Depthwise kernels must be square in their strides.
const square = <T extends { strides: number[]; dilationRate?: number[] }>(settings: T): T => ({
  ...settings,
  strides: settings.strides.map(() => settings.strides[0]!),
  ...(settings.dilationRate && { dilationRate: settings.dilationRate.map(() => settings.dilationRate![0]!) }),
});
const fixed =
  (make: () => { apply(x: tf.SymbolicTensor): unknown }): Maker =>
  () =>
  () =>
    via(make());

/** Layers of which any number may follow one another, by class, and in how many axes of space they work. */
const chained: Record<string, [ranks: number[], Maker]> = {
  Conv1D: [
    [1],
    (draw) => {
      const { kernelSize, strides, dilationRate } = convolution(draw, 1);
      const how = { ...ones, kernelSize, strides, dilationRate, padding: padding(draw) };
      return () => via(layers.conv1d({ filters: 1, ...how } as never));
    },
  ],
  Conv2D: [
    [2],
    (draw) => {
      const how = convolution(draw, 2);
      return () => via(layers.conv2d({ filters: 1, ...how } as never));
    },
  ],
  Conv3D: [
    [3],
    (draw) => {
      // The window of a strided convolution must be at least as long as its stride, or TensorFlow.js pads by -1.
      const how = { ...ones, kernelSize: size(draw, 3, 2, 3), strides: size(draw, 3, 1, 2), padding: padding(draw) };
      return () => via(layers.conv3d({ filters: 1, ...how } as never));
    },
  ],
  DepthwiseConv2D: [
    [2],
    (draw) => {
      const how = { ...square(convolution(draw, 2)), depthwiseInitializer: 'ones' };
      return () => via(layers.depthwiseConv2d(how as never));
    },
  ],
  SeparableConv2D: [
    [2],
    (draw) => {
      const { kernelSize, strides, dilationRate, padding } = square(convolution(draw, 2));
      const initializers = { depthwiseInitializer: 'ones', pointwiseInitializer: 'ones', useBias: false };
      const how = { ...initializers, kernelSize, strides, dilationRate, padding };
      return () => via(layers.separableConv2d({ filters: 1, ...how } as never));
    },
  ],
  Conv2DTranspose: [
    [2],
    (draw) => {
      const how = { ...ones, kernelSize: size(draw, 2, 1, 4), strides: size(draw, 2, 1, 3), padding: padding(draw) };
      return () => via(layers.conv2dTranspose({ filters: 1, ...how } as never));
    },
  ],
  Conv3DTranspose: [
    [3],
    (draw) => {
      const how = { ...ones, kernelSize: size(draw, 3, 2, 3), strides: size(draw, 3, 1, 2), padding: 'valid' };
      return () => via(layers.conv3dTranspose({ filters: 1, ...how } as never));
    },
  ],
  MaxPooling1D: [
    [1],
    (draw) => {
      const how = pool(draw, 1);
      return () => via(layers.maxPooling1d(how as never));
    },
  ],
  AveragePooling1D: [
    [1],
    (draw) => {
      const how = pool(draw, 1);
      return () => via(layers.averagePooling1d(how as never));
    },
  ],
  MaxPooling2D: [
    [2],
    (draw) => {
      const how = pool(draw, 2);
      return () => via(layers.maxPooling2d(how as never));
    },
  ],
  AveragePooling2D: [
    [2],
    (draw) => {
      const how = pool(draw, 2);
      return () => via(layers.averagePooling2d(how as never));
    },
  ],
  MaxPooling3D: [
    [3],
    (draw) => {
      const poolSize = size(draw, 3, 2, 3);
      return () => via(layers.maxPooling3d({ poolSize, strides: [2, 2, 2], padding: 'valid' } as never));
    },
  ],
  AveragePooling3D: [
    [3],
    (draw) => {
      const poolSize = size(draw, 3, 2, 3);
      return () => via(layers.averagePooling3d({ poolSize, strides: [2, 2, 2], padding: 'valid' } as never));
    },
  ],
  UpSampling2D: [
    [2],
    (draw) => {
      const how = { size: size(draw, 2, 1, 3), interpolation: draw.of(['nearest', 'bilinear'] as const) };
      return () => via(layers.upSampling2d(how));
    },
  ],
  ZeroPadding2D: [
    [2],
    (draw) => {
      const [rows, columns] = [size(draw, 2, 0, 3), size(draw, 2, 0, 3)];
      return () => via(layers.zeroPadding2d({ padding: [rows, columns] }));
    },
  ],
  Cropping2D: [
    [2],
    (draw) => {
      const [rows, columns] = [size(draw, 2, 0, 2), size(draw, 2, 0, 2)];
      return () => via(layers.cropping2D({ cropping: [rows, columns] }));
    },
  ],
  TimeDistributed: [
    [3],
    (draw) => {
      const how = convolution(draw, 2);
      return () => via(layers.timeDistributed({ layer: layers.conv2d({ filters: 1, ...how } as never) }));
    },
  ],
  Dense: [[1, 2, 3], fixed(() => layers.dense({ units: 1, ...ones }))],
  BatchNormalization: [[1, 2], fixed(() => layers.batchNormalization())],
  Activation: [[1, 2, 3], fixed(() => layers.activation({ activation: 'relu' }))],
  ReLU: [[1, 2, 3], fixed(() => layers.reLU())],
  LeakyReLU: [[1, 2, 3], fixed(() => layers.leakyReLU())],
  PReLU: [[1, 2, 3], fixed(() => layers.prelu())],
  ELU: [[1, 2, 3], fixed(() => layers.elu())],
  ThresholdedReLU: [[1, 2, 3], fixed(() => layers.thresholdedReLU({ theta: 0 }))],
  Dropout: [[1, 2, 3], fixed(() => layers.dropout({ rate: 0.5 }))],
  SpatialDropout1D: [[1], fixed(() => layers.spatialDropout1d({ rate: 0.5 }))],
  GaussianNoise: [[1, 2, 3], fixed(() => layers.gaussianNoise({ stddev: 1 }))],
  GaussianDropout: [[1, 2, 3], fixed(() => layers.gaussianDropout({ rate: 0.5 }))],
  AlphaDropout: [[1, 2, 3], fixed(() => layers.alphaDropout({ rate: 0.5 }))],
  Masking: [[1], fixed(() => layers.masking())],
  Rescaling: [[2], fixed(() => layers.rescaling({ scale: 2 }))],
};

const mergers: Record<string, () => { apply(x: tf.SymbolicTensor[]): unknown }> = {
  Add: () => layers.add(),
  Average: () => layers.average(),
  Concatenate: () => layers.concatenate(),
  Maximum: () => layers.maximum(),
  Minimum: () => layers.minimum(),
  Multiply: () => layers.multiply(),
};

/** Whether the field, and a period of an enlarged map, lie within a side, so that a place is found that sees all of its field. */
const fits = (axes: readonly ReceptiveFieldAxis[], sides: readonly number[]) =>
  axes.every(({ max, stride }, axis) => 1.5 * max + 6 * stride + 6 <= sides[axis]!);

const sidesByRank: Record<number, number[]> = { 1: [120], 2: [56, 48], 3: [24, 22, 20] };

describe('the field that impulses find equals the computed one', () => {
  for (const rank of [1, 2, 3]) {
    it(`random networks of ${rank} axes`, () => {
      const sides = sidesByRank[rank]!;
      const names = Object.keys(chained).filter((name) => chained[name]![0].includes(rank));
      const used = new Set<string>();
      let compared = 0;
      for (let seed = 1; compared < 2 * names.length && seed < 1000; seed++) {
        const draw = new Draw(1000 * rank + seed);
        // Every class comes in turn, among others.
        const drawn = Array.from({ length: draw.whole(1, 4) }, (_, index) => {
          const name = index === 0 ? names[compared % names.length]! : draw.of(names);
          return [name, chained[name]![1](draw, rank)] as const;
        });
        if (draw.whole(0, 1) === 0) drawn.reverse();
        let model: tf.LayersModel;
        try {
          model = modelOf([...sides, 1], ...drawn.map(([, make]) => make()));
        } catch {
          continue; // a window larger than the map that is left
        }
        if (model.outputs[0]!.shape.slice(1, -1).some((side) => side! < 1)) continue;
        const axes = computed(model);
        if (!fits(axes, sides)) continue;
        const what = drawn.map(([name]) => name).join(' ');
        axes.forEach(({ min, max }, axis) => {
          expect([min, max], `seed ${seed}, axis ${axis}: ${what}`).toEqual([max, measured(model, axis)]);
        });
        compared++;
        for (const [name] of drawn) used.add(name);
      }
      expect(names.filter((name) => !used.has(name))).toEqual([]);
      expect(compared).toBe(2 * names.length);
    });
  }

  it('random networks with branches: the smallest and the largest field are those of single paths', () => {
    const used = new Set<string>();
    for (let seed = 1; seed <= 12; seed++) {
      const draw = new Draw(seed);
      const branch = () =>
        Array.from({ length: draw.whole(0, 2) }, () => {
          const kernelSize = draw.of([1, 2, 3, 5]);
          return () => via(layers.conv1d({ filters: 1, kernelSize, padding: 'same', ...ones }));
        });
      const blocks = Array.from({ length: 3 }, (_, block) => ({
        merge: Object.keys(mergers)[(seed + block) % Object.keys(mergers).length]!,
        branches: [branch(), branch()],
        down: block === 0 ? draw.whole(1, 2) : 1,
        up: block === 1 && draw.whole(0, 1) === 0,
      }));
      // A choice of one branch per block is a path; without a choice the branches meet.
      const build = (choice?: number) =>
        modelOf(
          [90, 1],
          ...blocks.map(({ merge, branches, down, up }, block): Apply => {
            return (x) => {
              let y = via(layers.conv1d({ filters: 1, kernelSize: 3, strides: down, padding: 'same', ...ones }))(x);
              const ends = branches.map((steps) => steps.reduce((z, step) => step()(z), y));
              y = choice === undefined ? mergedBy(merge, ends) : ends[(choice >> block) & 1]!;
              used.add(merge);
              return up ? enlarged(y) : y;
            };
          }),
        );
      const paths = Array.from({ length: 8 }, (_, choice) => measured(build(choice), 0));
      const [axis] = computed(build());
      expect([axis!.min, axis!.max], `seed ${seed}`).toEqual([Math.min(...paths), Math.max(...paths)]);
    }
    expect([...used].sort()).toEqual(Object.keys(mergers).sort());
  });

  it('two transposed convolutions in a row: 5, then 5 more places between those of the first', () => {
    const up = () => via(layers.conv2dTranspose({ filters: 1, kernelSize: 5, strides: 2, padding: 'same', ...ones }));
    const conv = () => via(layers.conv2d({ filters: 1, kernelSize: 3, strides: 2, padding: 'same', ...ones }));
    const model = modelOf([48, 48, 1], conv(), conv(), up(), up());
    expect(computed(model).map(({ max }) => max)).toEqual([measured(model, 0), measured(model, 1)]);
  });
});

/** Layers whose field is not that of a window: a model of each, and what it sees. */
const others: Record<string, () => { model: tf.LayersModel; sees: 'measured' | 'everything' }> = {
  CenterCrop: () => ({
    model: modelOf([32, 32, 1], via(layers.centerCrop({ height: 20, width: 20 }))),
    sees: 'measured',
  }),
  LayerNormalization: () => ({
    model: modelOf([12, 3], mix(), via(layers.layerNormalization()), mix()),
    sees: 'measured',
  }),
  Softmax: () => ({ model: modelOf([12, 3], mix(), via(layers.softmax({ axis: -1 })), mix()), sees: 'measured' }),
  Permute: () => ({
    model: modelOf(
      [20, 30, 1],
      via(layers.conv2d({ filters: 1, kernelSize: [3, 7], ...ones })),
      via(layers.permute({ dims: [2, 1, 3] })),
    ),
    sees: 'measured',
  }),
  Reshape: () => ({
    model: modelOf(
      [36],
      via(layers.reshape({ targetShape: [36, 1] })),
      via(layers.conv1d({ filters: 1, kernelSize: 5, ...ones })),
    ),
    sees: 'measured',
  }),
  RepeatVector: () => ({
    model: modelOf([4], via(layers.dense({ units: 3, ...ones })), via(layers.repeatVector({ n: 5 }))),
    sees: 'everything',
  }),
  Flatten: () => ({ model: modelOf([6, 1], via(layers.flatten())), sees: 'everything' }),
  GlobalAveragePooling1D: () => ({ model: modelOf([6, 1], via(layers.globalAveragePooling1d())), sees: 'everything' }),
  GlobalMaxPooling1D: () => ({ model: modelOf([6, 1], via(layers.globalMaxPooling1d())), sees: 'everything' }),
  GlobalAveragePooling2D: () => ({
    model: modelOf([6, 6, 1], via(layers.globalAveragePooling2d({}))),
    sees: 'everything',
  }),
  GlobalMaxPooling2D: () => ({ model: modelOf([6, 6, 1], via(layers.globalMaxPooling2d({}))), sees: 'everything' }),
  SimpleRNN: () => ({ model: modelOf([6, 1], via(layers.simpleRNN({ units: 2 }))), sees: 'everything' }),
  GRU: () => ({ model: modelOf([6, 1], via(layers.gru({ units: 2, returnSequences: true }))), sees: 'everything' }),
  LSTM: () => ({ model: modelOf([6, 1], via(layers.lstm({ units: 2, returnSequences: true }))), sees: 'everything' }),
  RNN: () => ({
    model: modelOf([6, 1], via(layers.rnn({ cell: layers.simpleRNNCell({ units: 2 }), returnSequences: true }))),
    sees: 'everything',
  }),
  Bidirectional: () => ({
    model: modelOf(
      [6, 1],
      via(layers.bidirectional({ layer: layers.gru({ units: 2, returnSequences: true }) as tf.RNN, mergeMode: 'sum' })),
    ),
    sees: 'everything',
  }),
  ConvLSTM2D: () => ({
    model: modelOf(
      [3, 16, 18, 1],
      via(
        layers.convLstm2d({
          filters: 1,
          kernelSize: [3, 2],
          padding: 'same',
          returnSequences: true,
          kernelInitializer: small,
          recurrentInitializer: small,
        }),
      ),
    ),
    sees: 'measured',
  }),
  Embedding: () => ({
    model: modelOf([12], via(layers.embedding({ inputDim: 10, outputDim: 3 })), mix()),
    sees: 'measured',
  }),
  CategoryEncoding: () => ({
    model: modelOf([6], via(layers.categoryEncoding({ numTokens: 10, outputMode: 'multiHot' }))),
    sees: 'everything',
  }),
  Dot: () => {
    const input = tf.input({ shape: [6, 1] });
    const product = layers.dot({ axes: 2 }).apply([input, input]) as tf.SymbolicTensor;
    return { model: tf.model({ inputs: input, outputs: product }), sees: 'everything' };
  },
};

const small = tf.initializers.constant({ value: 0.02 });

const mix = () =>
  via(
    layers.conv1d({ filters: 3, kernelSize: 3, padding: 'same', kernelInitializer: 'randomUniform', useBias: false }),
  );

function mergedBy(name: string, ends: tf.SymbolicTensor[]): tf.SymbolicTensor {
  return mergers[name]!().apply(ends) as tf.SymbolicTensor;
}

/** A sequence of twice as many steps. */
function enlarged(x: tf.SymbolicTensor): tf.SymbolicTensor {
  const map = layers.reshape({ targetShape: [x.shape[1]!, 1, x.shape[2]!] }).apply(x) as tf.SymbolicTensor;
  const up = layers.upSampling2d({ size: [2, 1] }).apply(map) as tf.SymbolicTensor;
  return layers.reshape({ targetShape: [up.shape[1]!, up.shape[3]!] }).apply(up) as tf.SymbolicTensor;
}

it.each(Object.entries(others))('%s sees what impulses find, or everything', (_, make) => {
  const { model, sees } = make();
  const sides = model.inputs[0]!.shape.slice(1) as number[];
  const field = receptiveFields(model).at(-1)!;
  if (sees === 'everything') {
    expect([field.min, field.max]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
    expect(measured(model, 0)).toBe(sides[0]);
  } else {
    // An axis that is seen whole is measured as its side.
    const found = field.axes.map((_, axis) => measured(model, axis));
    if (field.className === 'Permute') found.reverse();
    expect(field.axes.map(({ max }, axis) => Math.min(max, sides[axis]!))).toEqual(found);
  }
});

// Resizing does not run inside a model: it hands the list of its inputs to an operation that takes one tensor.
it.each([
  { interpolation: 'nearest' },
  { interpolation: 'nearest', height: 50 },
  { interpolation: 'nearest', cropToAspectRatio: true },
  { interpolation: 'bilinear', height: 63 },
  { interpolation: 'bilinear', height: 11, width: 15 },
  { interpolation: 'bilinear', cropToAspectRatio: true, width: 33 },
] as const)('Resizing sees what impulses find: %o', (how) => {
  const blur = layers.conv2d({ filters: 1, kernelSize: 3, padding: 'same', ...ones });
  const resizing = layers.resizing({ height: 20, width: 45, ...how } as never);
  const axes = computed(modelOf([32, 30, 1], via(blur), via(resizing)));
  const run = (x: tf.Tensor) => resizing.call(blur.apply(x) as tf.Tensor4D, {}) as tf.Tensor;
  expect(axes.map(({ max }) => max)).toEqual([0, 1].map((axis) => measuredIn([32, 30, 1], axis, run)));
});

it('every layer of TensorFlow.js is measured here, or stated not to be', () => {
  const registered = Object.entries(tf.serialization.SerializationMap.getMap().classNameMap)
    .filter(([, [registeredClass]]) => registeredClass.prototype instanceof layers.Layer)
    .map(([name]) => name);
  const models = ['InputLayer', 'Model', 'Functional', 'Sequential'];
  const cells = ['SimpleRNNCell', 'GRUCell', 'LSTMCell', 'StackedRNNCells', 'ConvLSTM2DCell'];
  // It draws another width for every batch, and is taken to leave the image as it is.
  const random = ['RandomWidth'];
  const measuredHere = [...[chained, mergers, others].flatMap(Object.keys), 'Resizing'];
  expect(registered.filter((name) => ![...measuredHere, ...models, ...cells, ...random].includes(name))).toEqual([]);
});

it('the least input size is the one from which on no convolution is idle', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const draw = new Draw(seed);
    const steps = Array.from({ length: draw.whole(1, 7) }, (): Apply => {
      const [kernelSize, strides] = [draw.whole(1, 5), draw.whole(1, 2)];
      return draw.whole(0, 3) > 0
        ? via(layers.conv2d({ filters: 1, kernelSize, strides, padding: 'same' }))
        : via(layers.maxPooling2d({ poolSize: kernelSize, strides, padding: 'same' }));
    });
    const model = modelOf([400, 400, 1], via(layers.conv2d({ filters: 1, kernelSize: 3, padding: 'same' })), ...steps);
    const [min] = inputSizeRange(model).min;
    const idle = Array.from({ length: min! + 40 }, (_, index) => unproductiveLayers(model, index + 1).length);
    const all = idle.map((count, index) => (count === 0 ? 0 : index + 1));
    expect(Math.max(...all) + 1, `seed ${seed}`).toBe(min);
  }
});
