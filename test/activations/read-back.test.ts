import * as tf from '@tensorflow/tfjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { withValues } from '../../src/activations/tensors.js';
import { SaturationTracker } from '../../src/tfjs.js';
import { backends, useBackend } from '../support/backends.js';
import { RecordingStore } from '../support/recording-store.js';

afterEach(() => void vi.restoreAllMocks());

/** What a hook would have kept against the rules. */
function valuesOf(tensor: tf.Tensor): Float32Array {
  return withValues(tensor, (values) => values);
}

describe.each(backends)('withValues on %s', (backend) => {
  it('hands over the values', async () => {
    await useBackend(backend);
    const product = tf.tensor1d([1, -2, 3]).mul(2);
    expect(withValues(product, (values) => [...values])).toEqual([2, -4, 6]);
    expect(withValues(tf.tensor1d([1, 2], 'int32').add(1), (values) => values)).toBeInstanceOf(Float32Array);
    expect([...product.dataSync()]).toEqual([2, -4, 6]);
  });

  it('leaves the array alone that a tensor was made of', async () => {
    await useBackend(backend);
    const own = Float32Array.of(1, 2, 3);
    const tensor = tf.tensor1d(own);
    valuesOf(tensor);
    valuesOf(tensor.reshape([3, 1]));
    expect([...own]).toEqual([1, 2, 3]);
    expect([...tensor.dataSync()]).toEqual([1, 2, 3]);
  });

  it('gives the memory of a large copy back, also when its user throws', async () => {
    await useBackend(backend);
    const tensor = tf.fill([20_000], 1).add(1);
    // What the cpu backend gives out is its own.
    const left = backend === 'cpu' ? 20_000 : 0;
    expect(valuesOf(tensor)).toHaveLength(left);
    let seen = new Float32Array();
    const throwing = () =>
      withValues(tensor, (values) => {
        seen = values as Float32Array<ArrayBuffer>;
        throw new Error('no');
      });
    expect(throwing).toThrow('no');
    expect(seen).toHaveLength(left);
    expect(tensor.dataSync().every((value) => value === 2)).toBe(true);
    expect(valuesOf(tf.fill([100], 1).add(1))).toHaveLength(100);
  });
});

const untouched = [
  ['cpu', 'dense'],
  ['tensorflow', 'convolutional'],
].filter(([backend]) => backends.includes(backend));

it.each(untouched)(
  'detaches nothing on %s where %s layers train: loops over typed arrays would become slower',
  async (backend, kind) => {
    await useBackend(backend);
    const detached = vi.fn();
    // All ways by which this project could: memory that grows, and arrays handed to a thread or a port.
    const { Worker, MessagePort } = await import('node:worker_threads');
    const { grow } = WebAssembly.Memory.prototype;
    vi.spyOn(WebAssembly.Memory.prototype, 'grow').mockImplementation(function (this: WebAssembly.Memory, pages) {
      detached('grow');
      return grow.call(this, pages);
    });
    for (const sender of [Worker.prototype, MessagePort.prototype]) {
      const post = sender.postMessage;
      vi.spyOn(sender, 'postMessage').mockImplementation(function (this: typeof sender, message, transfer) {
        if (Array.isArray(transfer) && transfer.some((part) => part instanceof ArrayBuffer)) detached('transfer');
        post.call(this, message, transfer as never);
      });
    }
    const model = tf.sequential({
      layers:
        kind === 'dense'
          ? [tf.layers.dense({ inputShape: [20], units: 100 }), tf.layers.dense({ units: 2 })]
          : [
              tf.layers.reshape({ inputShape: [20], targetShape: [5, 4, 1] }),
              tf.layers.conv2d({ filters: 64, kernelSize: 2, padding: 'same' }),
              tf.layers.flatten(),
              tf.layers.dense({ units: 2 }),
            ],
    });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store], stats: ['saturation', 'spectrum'] });
    await model.fit(tf.randomNormal([600, 20]), tf.randomNormal([600, 2]), {
      epochs: 2,
      batchSize: 100,
      verbose: 0,
      callbacks: [tracker.callback()],
    });
    await tracker.close();
    expect(store.epochs[1].layers.map(({ samples }) => samples)).toEqual([kind === 'dense' ? 600 : 12_000, 600]);
    expect(detached).not.toHaveBeenCalled();
  },
);
