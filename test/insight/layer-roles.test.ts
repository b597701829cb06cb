import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { layerRoles } from '../../src/insight/layer-roles.js';

const { layers } = tf;
type Tensor = tf.SymbolicTensor;
const then = (layer: { apply(x: Tensor | Tensor[]): unknown }, x: Tensor | Tensor[]) => layer.apply(x) as Tensor;
const named = (model: tf.LayersModel, role: string) =>
  [...layerRoles(model)].filter(([, one]) => one === role).map(([layer]) => layer);
const conv = (name: string, filters: number, kernelSize: number, activation?: 'relu' | 'relu6') =>
  layers.conv2d({ name, filters, kernelSize, padding: 'same', ...(activation && { activation }) });

describe('every output layer of a model', () => {
  it('several outputs, behind activations too', () => {
    const input = tf.input({ shape: [8] });
    const trunk = then(layers.dense({ name: 'trunk', units: 16, activation: 'relu' }), input);
    const real = then(layers.dense({ name: 'real', units: 1, activation: 'sigmoid' }), trunk);
    const digit = then(layers.dense({ name: 'digit', units: 10 }), trunk);
    const softmax = then(layers.softmax(), then(layers.dropout({ rate: 0.1 }), digit));
    expect(named(tf.model({ inputs: input, outputs: [real, softmax] }), 'output').sort()).toEqual(['digit', 'real']);
  });

  it('heads that are concatenated, and one in a nested model', () => {
    const input = tf.input({ shape: [8] });
    const left = then(layers.dense({ name: 'left', units: 2 }), input);
    const head = tf.sequential({
      name: 'head',
      layers: [layers.dense({ name: 'hidden', units: 9, inputShape: [8] }), layers.dense({ name: 'last', units: 3 })],
    });
    const right = head.apply(input) as Tensor;
    const model = tf.model({ inputs: input, outputs: then(layers.concatenate(), [left, right]) });
    expect(named(model, 'output').sort()).toEqual(['head/last', 'left']);
  });

  it('a convolution whose maps are averaged is one; a sum has no single layer', () => {
    const classes = tf.sequential({
      layers: [
        layers.conv2d({ name: 'a', filters: 4, kernelSize: 3, activation: 'relu', inputShape: [8, 8, 1] }),
        layers.conv2d({ name: 'classes', filters: 10, kernelSize: 1 }),
        layers.globalAveragePooling2d({}),
        layers.softmax(),
      ],
    });
    expect(named(classes, 'output')).toEqual(['classes']);
    const input = tf.input({ shape: [8] });
    const one = then(layers.dense({ name: 'one', units: 8, activation: 'relu' }), input);
    expect(named(tf.model({ inputs: input, outputs: then(layers.add(), [input, one]) }), 'output')).toEqual([]);
  });

  it('a sequence that is answered step by step', () => {
    const model = tf.sequential({
      layers: [
        layers.lstm({ name: 'memory', units: 8, returnSequences: true, inputShape: [5, 3] }),
        layers.timeDistributed({ name: 'steps', layer: layers.dense({ units: 2 }) }),
      ],
    });
    expect(named(model, 'output')).toEqual(['steps']);
  });
});

describe('layers that are narrow by design', () => {
  it('an inverted residual: depthwise, and a linear projection that no activation follows', () => {
    const input = tf.input({ shape: [8, 8, 8] });
    let x = then(conv('expand', 48, 1, 'relu6'), input);
    x = then(layers.depthwiseConv2d({ name: 'depthwise', kernelSize: 3, padding: 'same' }), x);
    x = then(layers.reLU({ maxValue: 6 }), then(layers.batchNormalization(), x));
    x = then(layers.batchNormalization(), then(conv('project', 8, 1), x));
    x = then(conv('next', 48, 1, 'relu6'), then(layers.add(), [input, x]));
    const model = tf.model({ inputs: input, outputs: then(layers.dense({ units: 2 }), then(layers.flatten(), x)) });
    expect(named(model, 'depthwise')).toEqual(['depthwise']);
    expect(named(model, 'projection')).toEqual(['project']);
  });

  it('a residual block whose sum is rectified ends in no projection', () => {
    const input = tf.input({ shape: [8, 8, 8] });
    const long = then(conv('b', 8, 3), then(conv('a', 8, 3, 'relu'), input));
    const x = then(layers.reLU(), then(layers.add(), [input, long]));
    const model = tf.model({ inputs: input, outputs: then(conv('out', 2, 1), x) });
    expect(named(model, 'projection')).toEqual([]);
  });

  it('1 x 1 convolutions to fewer channels, not to more', () => {
    const model = tf.sequential({
      layers: [
        layers.conv2d({ name: 'a', filters: 32, kernelSize: 3, activation: 'relu', inputShape: [8, 8, 1] }),
        layers.conv2d({ name: 'squeeze', filters: 8, kernelSize: 1, activation: 'relu' }),
        layers.conv2d({ name: 'expand', filters: 32, kernelSize: 1, activation: 'relu' }),
        layers.conv2d({ name: 'narrow', filters: 8, kernelSize: 3, activation: 'relu' }),
        layers.flatten(),
        layers.dense({ name: 'out', units: 2 }),
      ],
    });
    expect(named(model, 'squeeze')).toEqual(['squeeze']);
  });

  it('the narrow layer of squeeze-and-excitation, not a hidden layer behind a global pooling', () => {
    const input = tf.input({ shape: [8, 8, 16] });
    const pooled = then(layers.globalAveragePooling2d({}), input);
    const reduced = then(layers.dense({ name: 'reduce', units: 4, activation: 'relu' }), pooled);
    const gate = then(layers.dense({ name: 'gate', units: 16, activation: 'sigmoid' }), reduced);
    const scaled = then(layers.multiply(), [input, then(layers.reshape({ targetShape: [1, 1, 16] }), gate)]);
    const again = then(layers.globalAveragePooling2d({}), scaled);
    const hidden = then(layers.dense({ name: 'hidden', units: 4, activation: 'relu' }), again);
    const model = tf.model({ inputs: input, outputs: then(layers.dense({ name: 'out', units: 2 }), hidden) });
    expect(named(model, 'squeeze')).toEqual(['reduce']);
  });
});
