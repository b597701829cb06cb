import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { extractSaturation, removeTail, resizeLayers, Spectrum } from '../../src/tfjs.js';
import { normals } from '../support/random.js';

/** A spectrum of `features` of which `directions` are used alike. */
const using = (directions: number, features: number) =>
  Spectrum.fromEigenvalues(Float64Array.from({ length: features }, (_, i) => (i < directions ? 1 : 0)));
const widthsOf = (model: LayersModel) => model.layers.map(({ outputShape }) => (outputShape as number[]).at(-1));
const perceptron = (...units: number[]) =>
  tf.sequential({
    layers: units.map((each, index) =>
      tf.layers.dense({ name: `d${index}`, units: each, ...(index === 0 && { inputShape: [6] }) }),
    ),
  });
const worst = (a: tf.Tensor, b: tf.Tensor) => a.sub(b).abs().max().dataSync()[0];

describe('resizeLayers', () => {
  it('makes layers as wide as the directions that they use ask for', () => {
    const model = perceptron(100, 40, 20, 3);
    const {
      layers,
      leftOut,
      parameters,
      multiplyAdds,
      model: resized,
    } = resizeLayers(
      model,
      new Map<string, Spectrum | number>([
        ['d0', using(12, 100)],
        ['d1', using(39, 40)],
        ['d2', 11],
        ['d3', using(3, 3)],
      ]),
      { saturation: 0.4, mostChange: 2 },
    );
    expect(layers).toEqual([
      // 12 / .4 would be less than half of the width; 39 / .4 more than twice.
      { name: 'd0', before: 100, after: 50 },
      { name: 'd1', before: 40, after: 80 },
      { name: 'd2', before: 20, after: 11 },
    ]);
    expect(leftOut).toEqual([{ name: 'd3', why: 'the model puts it out' }]);
    expect(widthsOf(resized)).toEqual([50, 80, 11, 3]);
    expect(widthsOf(model)).toEqual([100, 40, 20, 3]);
    expect(parameters).toEqual({ before: model.countParams(), after: resized.countParams() });
    expect(multiplyAdds).toEqual({
      before: 6 * 100 + 100 * 40 + 40 * 20 + 20 * 3,
      after: 6 * 50 + 50 * 80 + 80 * 11 + 11 * 3,
    });
    const [exact] = resizeLayers(model, new Map([['d0', using(12, 100)]]), { saturation: 0.4, multipleOf: 8 }).layers;
    expect(exact).toEqual({ name: 'd0', before: 100, after: 32 });
  });

  it('gives layers whose outputs are merged one width, and keeps what it cannot follow', () => {
    const conv = (name: string, filters: number, kernelSize = 3) =>
      tf.layers.conv2d({ name, filters, kernelSize, padding: 'same' });
    const input = tf.input({ shape: [8, 8, 3] });
    const stem = conv('stem', 16).apply(input) as SymbolicTensor;
    const normed = tf.layers.batchNormalization().apply(stem) as SymbolicTensor;
    const branch = conv('branch', 16).apply(
      tf.layers.depthwiseConv2d({ kernelSize: 3, padding: 'same' }).apply(normed),
    ) as SymbolicTensor;
    // Squeeze and excitation: pooled, reduced, expanded, reshaped to a place, multiplied.
    const pooled = tf.layers.globalAveragePooling2d({}).apply(branch) as SymbolicTensor;
    const squeezed = tf.layers.dense({ name: 'squeeze', units: 4, activation: 'relu' }).apply(pooled) as SymbolicTensor;
    const excited = tf.layers
      .dense({ name: 'excite', units: 16, activation: 'sigmoid' })
      .apply(squeezed) as SymbolicTensor;
    const placed = tf.layers.reshape({ targetShape: [1, 1, 16] }).apply(excited) as SymbolicTensor;
    const scaled = tf.layers.multiply({}).apply([branch, placed]) as SymbolicTensor;
    const sum = tf.layers.add({}).apply([normed, scaled]) as SymbolicTensor;
    const side = conv('side', 12, 1).apply(sum) as SymbolicTensor;
    const both = tf.layers.concatenate({}).apply([sum, side]) as SymbolicTensor;
    const flat = tf.layers.flatten({}).apply(both) as SymbolicTensor;
    const tokens = tf.layers.dense({ name: 'tokens', units: 32 }).apply(flat) as SymbolicTensor;
    const sequence = tf.layers.reshape({ targetShape: [4, 8] }).apply(tokens) as SymbolicTensor;
    const state = tf.layers.lstm({ name: 'lstm', units: 10 }).apply(sequence) as SymbolicTensor;
    const out = tf.layers.dense({ name: 'out', units: 2 }).apply(state) as SymbolicTensor;
    const model = tf.model({ inputs: input, outputs: out });
    const {
      layers,
      leftOut,
      model: resized,
    } = resizeLayers(
      model,
      new Map([
        ['stem', 6],
        ['branch', 9],
        ['squeeze', 3],
        ['side', 7],
        ['tokens', 20],
        ['lstm', 5],
      ]),
    );
    expect(layers.map(({ name, after }) => [name, after])).toEqual([
      ['stem', 9],
      ['branch', 9],
      ['squeeze', 3],
      ['excite', 9],
      ['side', 7],
      ['lstm', 5],
    ]);
    expect(leftOut).toEqual([
      { name: 'tokens', why: expect.stringMatching(/\(Reshape\) makes may depend on its width/) },
    ]);
    const x = tf.tensor4d(normals(2 * 8 * 8 * 3, 1), [2, 8, 8, 3]);
    expect((resized.predict(x) as tf.Tensor).shape).toEqual([2, 2]);
    // What is added to a concatenation, or to the input, keeps its width.
    const a = tf.layers.dense({ name: 'a', units: 4 });
    const b = tf.layers.dense({ name: 'b', units: 2 });
    const small = tf.input({ shape: [6] });
    const joined = tf.layers
      .concatenate({})
      .apply([a.apply(small), b.apply(small)] as SymbolicTensor[]) as SymbolicTensor;
    const kept = tf.layers.add({}).apply([joined, small]) as SymbolicTensor;
    const stuck = tf.model({ inputs: small, outputs: tf.layers.dense({ units: 1 }).apply(kept) as SymbolicTensor });
    expect(() => resizeLayers(stuck, new Map([['a', 3]]))).toThrow(/got none: 'a' \(it is an input\)/);
  });

  it('of what a model of random weights shows can be trained', async () => {
    const model = perceptron(64, 32, 1);
    const x = tf.tensor2d(normals(300 * 6, 1), [300, 6]);
    const spectra = await extractSaturation(model, [x], { progress: false });
    const { layers, model: resized } = resizeLayers(model, spectra, { keep: ['d1'] });
    // Linear layers of six inputs use six directions.
    expect(layers).toEqual([{ name: 'd0', before: 64, after: 20 }]);
    resized.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const { history } = await resized.fit(x, tf.zeros([300, 1]), { epochs: 3, verbose: 0 });
    expect(history.loss[2]).toBeLessThan(history.loss[0] as number);
  });

  it.each<[string, (model: LayersModel) => unknown, RegExp]>([
    ['no model', () => resizeLayers({} as never, new Map()), /expected a LayersModel/],
    ['no map', (model) => resizeLayers(model, { d0: 3 } as never), /wanted: expected a Map of spectra or widths/],
    [
      'a layer',
      (model) => resizeLayers(model, new Map([['d9', 3]])),
      /expected names of layers \('d0', 'd1'\), got 'd9'/,
    ],
    ['a width', (model) => resizeLayers(model, new Map([['d0', 2.5]])), /a width >= 1 for layer 'd0', got 2.5/],
    ['a kind', (model) => resizeLayers(model, new Map([['d0', 'x' as never]])), /a Spectrum or a width for layer 'd0'/],
    ['an option', (model) => resizeLayers(model, new Map(), { satuation: 1 } as never), /did you mean 'saturation'/],
    ['saturation', (model) => resizeLayers(model, new Map([['d0', 3]]), { saturation: 0 }), /saturation: expected/],
    ['nothing to do', (model) => resizeLayers(model, new Map([['d0', 5]])), /got none: all have theirs/],
  ])('bad input: %s', (_name, act, message) => {
    expect(() => act(perceptron(5, 2))).toThrow(message);
  });
});

describe('removeTail', () => {
  const conv = (name: string, filters: number, rest = {}) =>
    tf.layers.conv2d({ name, filters, kernelSize: 3, padding: 'same', ...rest });

  it('takes the layers between one and the head out of a Sequential model', () => {
    const model = tf.sequential({
      layers: [
        conv('c1', 4, { inputShape: [8, 8, 1] }),
        tf.layers.batchNormalization({ name: 'n1' }),
        tf.layers.reLU({ name: 'r1' }),
        conv('c2', 6),
        conv('c3', 6),
        tf.layers.globalAveragePooling2d({ name: 'pool' }),
        tf.layers.dense({ name: 'out', units: 2 }),
      ],
    });
    const short = removeTail(model, 'c1');
    expect(short.removed).toEqual(['c2', 'c3']);
    expect(short.fresh).toEqual(['out']);
    expect(short.model.layers.map(({ name }) => name)).toEqual(['c1', 'n1', 'r1', 'pool', 'out']);
    expect(short.parameters).toEqual({ before: model.countParams(), after: short.model.countParams() });
    const x = tf.tensor4d(normals(3 * 64, 1), [3, 8, 8, 1]);
    // What is kept puts out what it did.
    const upTo = (each: LayersModel) => tf.model({ inputs: each.inputs, outputs: each.getLayer('r1').output });
    expect(worst(upTo(short.model).predict(x) as tf.Tensor, upTo(model).predict(x) as tf.Tensor)).toBe(0);
    const same = removeTail(model, 'c2');
    expect([same.removed, same.fresh]).toEqual([['c3'], []]);
  });

  it('takes blocks with shortcuts out of a functional model', () => {
    const input = tf.input({ shape: [8, 8, 1] });
    const block = (name: string, x: SymbolicTensor) =>
      tf.layers.add({ name }).apply([x, conv(`${name}_conv`, 4).apply(x) as SymbolicTensor]) as SymbolicTensor;
    const first = block('b1', conv('stem', 4).apply(input) as SymbolicTensor);
    const pooled = tf.layers.flatten({ name: 'flat' }).apply(block('b3', block('b2', first)));
    const hidden = tf.layers.dense({ name: 'h', units: 5 }).apply(pooled) as SymbolicTensor;
    const outputs = [1, 2].map(
      (units) => tf.layers.dense({ name: `out${units}`, units }).apply(hidden) as SymbolicTensor,
    );
    const model = tf.model({ inputs: input, outputs });
    const { removed, fresh, model: short } = removeTail(model, 'b1');
    expect([...removed].sort()).toEqual(['b2', 'b2_conv', 'b3', 'b3_conv']);
    expect(fresh).toEqual([]);
    // Wired by hand, with the same layers.
    const x = tf.tensor4d(normals(2 * 64, 1), [2, 8, 8, 1]);
    const head = model.getLayer('h').apply(tf.layers.flatten({}).apply(first)) as SymbolicTensor;
    const expected = tf.model({ inputs: input, outputs: model.getLayer('out2').apply(head) as SymbolicTensor });
    const [, found] = short.predict(x) as tf.Tensor[];
    expect(worst(found, expected.predict(x) as tf.Tensor)).toBeLessThan(1e-6);
    expect([...removeTail(model, 'b2', 'h').removed].sort()).toEqual(['b3', 'b3_conv', 'flat']);
  });

  it.each<[string, (model: LayersModel) => unknown, RegExp]>([
    ['no model', () => removeTail({} as never, 'a'), /expected a LayersModel/],
    ['a layer', (model) => removeTail(model, 'd7'), /lastLayer: expected the name of a layer of the model, got .*d7/],
    ['no head', (model) => removeTail(model, 'd0'), /expected a global pooling or Flatten behind 'd0', got none/],
    ['nothing between', (model) => removeTail(model, 'd0', 'd1'), /expected layers between 'd0' and 'd1', got none/],
  ])('bad input: %s', (_name, act, message) => {
    expect(() => act(perceptron(5, 4, 2))).toThrow(message);
  });

  it('bad input: a head that looks at the tail, too', () => {
    const input = tf.input({ shape: [4] });
    const layer = (name: string, x: SymbolicTensor) => tf.layers.dense({ name, units: 4 }).apply(x) as SymbolicTensor;
    const tail = layer('b', layer('a', input));
    const head = layer('head', tail);
    const out = tf.layers.add({ name: 'out' }).apply([head, tail]) as SymbolicTensor;
    expect(() => removeTail(tf.model({ inputs: input, outputs: out }), 'a', 'head')).toThrow(
      /expected a head that takes one tensor, got 'out', which takes 'head' and 'b'/,
    );
  });
});
