import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type LayerCall, type LayerHook, onLayerCall } from '../../src/activations/hooks.js';
import { backends, freeWeights, normalTensor, useBackend } from '../support/backends.js';

describe.each(backends)('onLayerCall on %s', (backend) => {
  beforeAll(() => useBackend(backend));
  const hooks: LayerHook[] = [];
  afterEach(() => {
    for (const hook of hooks.splice(0)) hook.remove();
  });

  /** The shapes of a layer's outputs, pass by pass. */
  function heard(layer: tf.layers.Layer): number[][] {
    const shapes: number[][] = [];
    hooks.push(onLayerCall(layer, ({ output }) => void shapes.push(output.shape)));
    return shapes;
  }

  it('hears a layer with what it was given and what it put out, and changes nothing', () => {
    const layer = tf.layers.dense({ units: 3, inputShape: [2] });
    const model = tf.sequential({ layers: [layer, tf.layers.dropout({ rate: 0.5, seed: 1 })] });
    const x = normalTensor([4, 2], 1);
    const plain = tf.tidy(() => (model.predict(x) as tf.Tensor).dataSync());
    const calls: (LayerCall & { values: ArrayLike<number> })[] = [];
    hooks.push(onLayerCall(layer, (call) => void calls.push({ ...call, values: call.output.dataSync() })));
    const hooked = tf.tidy(() => (model.predict(x) as tf.Tensor).dataSync());
    tf.tidy(() => void model.apply(x, { training: true }));
    expect(hooked).toEqual(plain);
    expect(calls.map(({ layer: of, kwargs, values }) => [of.name, kwargs.training, Array.from(values)])).toEqual([
      [layer.name, undefined, [...plain]],
      [layer.name, true, [...plain]],
    ]);
    x.dispose();
    model.dispose();
  });

  it('hears layers inside wrappers and cells, and nested models in first place, which TensorFlow.js flattens', () => {
    const inner = tf.layers.dense({ units: 3, inputShape: [2] });
    const block = tf.sequential({ layers: [inner] });
    const model = tf.sequential({ layers: [block, tf.layers.dense({ units: 1 })] });
    const shapes = heard(inner);
    const wrapped = tf.layers.dense({ units: 2 });
    const each = tf.sequential({ layers: [tf.layers.timeDistributed({ layer: wrapped, inputShape: [4, 2] })] });
    const steps = heard(wrapped);
    const x = normalTensor([5, 2], 1);
    const sequence = normalTensor([5, 4, 2], 1);
    tf.tidy(() => {
      model.predict(x);
      each.predict(sequence);
    });
    expect(shapes).toEqual([[5, 3]]);
    expect(steps.every(([items, units]) => items === 5 && units === 2)).toBe(true);
    expect(steps.length).toBeGreaterThan(0);
    tf.dispose([x, sequence]);
    freeWeights(model);
    freeWeights(each);
  });

  it.each([undefined, true])('hears a layer whose outputs are all used once per pass (training: %s)', (training) => {
    const input = tf.input({ shape: [4, 2] });
    const encoder = tf.layers.lstm({ units: 3, returnState: true });
    const outputs = encoder.apply(input) as tf.SymbolicTensor[];
    const model = tf.model({ inputs: input, outputs });
    const shapes = heard(encoder);
    const x = normalTensor([6, 4, 2], 1);
    for (let pass = 0; pass < 2; pass++) {
      for (const hook of hooks) hook.startNewPass();
      tf.tidy(() => void model.apply(x, training ? { training } : undefined));
    }
    expect(shapes).toEqual([
      [6, 3],
      [6, 3],
    ]);
    x.dispose();
    freeWeights(model);
  });

  it('hears a layer of several outputs that stands in two places once for each', () => {
    const [a, b] = [tf.input({ shape: [4, 2] }), tf.input({ shape: [4, 2] })];
    const encoder = tf.layers.lstm({ units: 3, returnState: true });
    const [, hiddenA, cellA] = encoder.apply(a) as tf.SymbolicTensor[];
    const [, hiddenB, cellB] = encoder.apply(b) as tf.SymbolicTensor[];
    // In this order TensorFlow.js goes back and forth between the two places.
    const sum = tf.layers.add().apply([hiddenA, hiddenB, cellA, cellB]) as tf.SymbolicTensor;
    const model = tf.model({ inputs: [a, b], outputs: sum });
    const shapes = heard(encoder);
    const [x, y] = [normalTensor([6, 4, 2], 1), normalTensor([6, 4, 2], 2)];
    for (let pass = 0; pass < 3; pass++) tf.tidy(() => void model.apply([x, y], { training: true }));
    expect(shapes).toHaveLength(6);
    tf.tidy(() => void model.predict([x, y]));
    expect(shapes).toHaveLength(8);
    tf.dispose([x, y]);
    freeWeights(model);
  });

  it('tells two listeners of one layer apart: a new pass of one is none of the other', () => {
    const layer = tf.layers.lstm({ units: 2, returnState: true, inputShape: [3, 2] });
    const input = tf.input({ shape: [3, 2] });
    const model = tf.model({ inputs: input, outputs: layer.apply(input) as tf.SymbolicTensor[] });
    const [first, second] = [heard(layer), heard(layer)];
    const x = normalTensor([4, 3, 2], 1);
    tf.tidy(() => void model.apply(x));
    expect([first.length, second.length]).toEqual([1, 1]);
    hooks[0].startNewPass();
    tf.tidy(() => void model.apply(x));
    expect([first.length, second.length]).toEqual([2, 1]);
    x.dispose();
    freeWeights(model);
  });
});
