import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { trackedLayers } from '../../src/activations/layers.js';

const names = (model: tf.LayersModel | tf.layers.Layer[], filter?: (layer: tf.layers.Layer) => boolean | string) =>
  trackedLayers(model, filter).map((layer) => layer.name);

describe('trackedLayers', () => {
  it('tracks every kind of layer that has directions of its own, and none that only pass on', () => {
    const image = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [16, 16, 3], filters: 4, kernelSize: 3, name: 'conv2d' }),
        tf.layers.batchNormalization({ name: 'norm' }),
        tf.layers.activation({ activation: 'relu', name: 'act' }),
        tf.layers.depthwiseConv2d({ kernelSize: 3, name: 'depthwise' }),
        tf.layers.separableConv2d({ filters: 4, kernelSize: 3, name: 'separable' }),
        tf.layers.conv2dTranspose({ filters: 4, kernelSize: 3, name: 'transpose' }),
        tf.layers.maxPooling2d({ poolSize: 2, name: 'pool' }),
        tf.layers.dropout({ rate: 0.1, name: 'dropout' }),
        tf.layers.flatten({ name: 'flatten' }),
        tf.layers.dense({ units: 2, name: 'dense' }),
      ],
    });
    expect(names(image)).toEqual(['conv2d', 'depthwise', 'separable', 'transpose', 'dense']);
    const text = tf.sequential({
      layers: [
        tf.layers.embedding({ inputDim: 10, outputDim: 4, inputLength: 5, name: 'embedding' }),
        tf.layers.bidirectional({ layer: tf.layers.gru({ units: 3, returnSequences: true }), name: 'both' }),
        tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 3 }), name: 'each' }),
        tf.layers.conv1d({ filters: 2, kernelSize: 2, name: 'conv1d' }),
        tf.layers.lstm({ units: 3, returnSequences: true, name: 'lstm' }),
        tf.layers.simpleRNN({ units: 3, name: 'rnn' }),
      ],
    });
    expect(names(text)).toEqual(['embedding', 'both', 'each', 'conv1d', 'lstm', 'rnn']);
    const volume = tf.sequential({
      layers: [
        tf.layers.conv3d({ inputShape: [4, 8, 8, 1], filters: 2, kernelSize: 2, name: 'conv3d' }),
        tf.layers.conv3dTranspose({ filters: 2, kernelSize: 2, name: 'transpose3d' }),
      ],
    });
    expect(names(volume)).toEqual(['conv3d', 'transpose3d']);
  });

  it('goes into nested models, names their layers by their path, and takes a shared layer once', () => {
    const block = tf.sequential({
      name: 'block',
      layers: [tf.layers.dense({ inputShape: [4], units: 4, name: 'inner' })],
    });
    const input = tf.input({ shape: [4] });
    const shared = tf.layers.dense({ units: 4, name: 'shared' });
    const output = shared.apply(block.apply(shared.apply(input))) as tf.SymbolicTensor;
    expect(names(tf.model({ inputs: input, outputs: output }))).toEqual(['shared', 'block/inner']);
  });

  it('tracks both of two layers with one name (Delve B13 drops one silently)', () => {
    const a = tf.layers.dense({ units: 2, inputShape: [2], name: 'same' });
    const b = tf.layers.dense({ units: 2, inputShape: [2], name: 'same' });
    expect(names([a, b])).toEqual(['same', 'same_2']);
  });

  it('lets a filter drop, keep and rename, and take in layers that are not tracked by default', () => {
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ inputShape: [3], units: 3, name: 'first' }),
        tf.layers.activation({ activation: 'relu', name: 'relu' }),
        tf.layers.dense({ units: 3, name: 'second' }),
        tf.layers.dense({ units: 3, name: 'third' }),
      ],
    });
    const filter = (layer: tf.layers.Layer) =>
      ({ first: true, relu: 'after relu', second: false, third: 'last' })[layer.name] ?? false;
    expect(names(model, filter)).toEqual(['first', 'after relu', 'last']);
    expect(names(model, () => true)).toEqual(['first', 'second', 'third']);
  });

  it('tracks custom layers with weights, and subclasses as what they extend', () => {
    class Attention extends tf.layers.Layer {
      static className = 'Attention';
      override build(): void {
        this.addWeight('w', [2, 2], 'float32', tf.initializers.ones());
      }
      override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
        return Array.isArray(inputs) ? inputs[0] : inputs;
      }
      override computeOutputShape(shape: tf.Shape): tf.Shape {
        return shape;
      }
    }
    const attention = new Attention({ name: 'attention', inputShape: [5, 2] } as never);
    const model = tf.sequential({ layers: [attention, tf.layers.flatten()] });
    expect(names(model)).toEqual(['attention']);
  });

  it('says what it expected when nothing is left to track', () => {
    const model = tf.sequential({ layers: [tf.layers.flatten({ inputShape: [2, 2], name: 'flat' })] });
    expect(() => names(model)).toThrow(/model: expected a layer with a width to track.*got .*flat/);
    const dense = tf.sequential({ layers: [tf.layers.dense({ inputShape: [2], units: 2, name: 'one' })] });
    expect(() => names(dense, () => false)).toThrow(/layers: expected the filter to keep at least one layer.*one/);
    expect(() => names(dense, (() => 3) as never)).toThrow(
      /layers: expected the filter to return a boolean or a string for layer 'one', got number 3/,
    );
    expect(() => names(dense.layers[0] as never)).toThrow(/A single layer goes in a list/);
    expect(() => names([3] as never)).toThrow(/expected a list of TensorFlow.js layers, got a list with number 3/);
  });
});
