import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { type LayerFilter, type LayerPatterns, trackedLayers } from '../../src/activations/layers.js';
import { wrapMethod } from '../../src/activations/wrap-method.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

const names = (model: tf.LayersModel | tf.layers.Layer[], filter?: (layer: tf.layers.Layer) => boolean | string) =>
  trackedLayers(model, filter).map((layer) => layer.name);

describe('trackedLayers', () => {
  it('tracks every kind of layer that has directions of its own, and none that only passes values on', () => {
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

  describe('by names and regular expressions', () => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [8, 8, 3], filters: 4, kernelSize: 3, name: 'conv1' }),
        tf.layers.batchNormalization({ name: 'norm1' }),
        tf.layers.conv2d({ filters: 4, kernelSize: 3, name: 'conv2' }),
        tf.sequential({
          name: 'head',
          layers: [
            tf.layers.flatten({ inputShape: [4, 4, 4], name: 'flatten' }),
            tf.layers.dense({ units: 3, name: 'dense' }),
            tf.layers.dense({ units: 2, name: 'answer' }),
          ],
        }),
      ],
    });

    it.each<[string, LayerFilter | undefined, LayerPatterns | undefined, string[]]>([
      ['a name', ['conv2'], undefined, ['conv2']],
      ['a name of any layer', ['norm1', 'conv1'], undefined, ['conv1', 'norm1']],
      ['a path and a name within a model', ['head/dense', 'answer'], undefined, ['head/dense', 'head/answer']],
      ['a pattern keeps what is tracked by default', [/1$/], undefined, ['conv1']],
      ['a pattern of paths', [/^head\//], undefined, ['head/dense', 'head/answer']],
      ['a pattern that remembers where it was', [/c/g], undefined, ['conv1', 'conv2']],
      ['both', ['norm1', /head/], undefined, ['norm1', 'head/dense', 'head/answer']],
      ['exclude alone', undefined, ['conv1', /dense/], ['conv2', 'head/answer']],
      ['exclude from a list', [/conv|head/], [/head/], ['conv1', 'conv2']],
      ['exclude from a function', () => true, ['conv1', 'conv2'], ['head/dense', 'head/answer']],
    ])('%s', (_, filter, exclude, expected) => {
      expect(trackedLayers(model, filter, exclude).map(({ name }) => name)).toEqual(expected);
    });

    it.each<[LayerFilter | undefined, LayerPatterns | undefined, string]>([
      [
        ['conv3'],
        undefined,
        'layers: expected names of layers or patterns that match one, got the string "conv3"; did you mean \'conv1\'?',
      ],
      [[/block/], undefined, "got /block/; the layers are 'conv1', 'norm1', 'conv2'"],
      [undefined, ['Dense1'], 'exclude: expected names of layers or patterns that match one, got the string "Dense1"'],
      [[/norm/], undefined, 'expected the filter to keep at least one layer'],
    ])('%s, %s is refused with what was meant', (filter, exclude, message) => {
      expect(() => trackedLayers(model, filter, exclude)).toThrow(RangeError);
      expect(() => trackedLayers(model, filter, exclude)).toThrow(message);
    });
  });

  it('tracks both of two layers with one name (Delve B13 drops one silently)', () => {
    const a = tf.layers.dense({ units: 2, inputShape: [2], name: 'same' });
    const b = tf.layers.dense({ units: 2, inputShape: [2], name: 'same' });
    expect(names([a, b])).toEqual(['same', 'same_2']);
  });

  it('lets a filter drop, keep and rename layers, and add layers that are not tracked by default', () => {
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

class Counter {
  count = 0;
  add(by = 1): number {
    this.count += by;
    return this.count;
  }
}

describe('wrapMethod', () => {
  it('runs around the method, which keeps its this, its arguments and its result', () => {
    const counter = new Counter();
    const seen: unknown[] = [];
    const undo = wrapMethod(counter, 'add', (original, self, args) => {
      const result = original(...args);
      seen.push(self, args, result);
      return result;
    });
    expect(counter.add(3)).toBe(3);
    expect(seen).toEqual([counter, [3], 3]);
    undo();
    expect(counter.add()).toBe(4);
    expect(seen).toHaveLength(3);
  });

  it('does not appear in keys, JSON or spreads, and leaves no property behind', () => {
    const counter = new Counter();
    const undo = wrapMethod(counter, 'add', (original, _self, args) => original(...args));
    expect(Object.keys(counter)).toEqual(['count']);
    expect(JSON.stringify(counter)).toBe('{"count":0}');
    expect({ ...counter }).toEqual({ count: 0 });
    undo();
    expect(Reflect.ownKeys(counter)).toEqual(['count']);
  });

  it('calls each wrap once, and the method, also if one removes others while it runs', () => {
    const counter = new Counter();
    const order: string[] = [];
    const wrap = (name: string, act = () => {}) =>
      wrapMethod(counter, 'add', (original, _self, args) => {
        order.push(name);
        act();
        return original(...args);
      });
    const undoLowest = wrap('lowest');
    const undoMiddle = wrap('middle', () => undoLowest());
    const undoUpper = wrap('upper', () => undoUpper());
    wrap('uppermost', () => undoMiddle());
    expect(counter.add()).toBe(1);
    expect(order).toEqual(['uppermost', 'upper', 'lowest']);
    order.length = 0;
    expect(counter.add()).toBe(2);
    expect(order).toEqual(['uppermost', 'lowest']);
  });

  it('changes one object only, not its class', () => {
    const [one, other] = [new Counter(), new Counter()];
    wrapMethod(one, 'add', () => -1);
    expect([one.add(), other.add()]).toEqual([-1, 1]);
  });

  it.each([
    [0, 1],
    [1, 0],
  ])('wraps twice, the later one outside, and unwraps in the order %d, %d', (first, second) => {
    const counter = new Counter();
    const order: string[] = [];
    const undo = ['inner', 'outer'].map((name) =>
      wrapMethod(counter, 'add', (original, _self, args) => {
        order.push(name);
        return original(...args);
      }),
    );
    counter.add();
    expect(order).toEqual(['outer', 'inner']);
    undo[first]();
    order.length = 0;
    counter.add();
    expect(order).toEqual([first === 0 ? 'outer' : 'inner']);
    undo[second]();
    expect(Reflect.ownKeys(counter)).toEqual(['count']);
    expect(counter.add()).toBe(3);
  });

  it('can be undone more than once, and from within a call', () => {
    const counter = new Counter();
    let calls = 0;
    const undo = wrapMethod(counter, 'add', (original, _self, args) => {
      calls++;
      undo();
      return original(...args);
    });
    expect([counter.add(), counter.add()]).toEqual([1, 2]);
    undo();
    expect(calls).toBe(1);
  });

  it('restores an own method of the object as it was', () => {
    const counter = new Counter();
    const own = () => 42;
    Object.defineProperty(counter, 'add', { value: own, configurable: true, enumerable: true, writable: false });
    const before = Object.getOwnPropertyDescriptor(counter, 'add');
    const undo = wrapMethod(counter, 'add', (original) => (original() as number) + 1);
    expect(counter.add()).toBe(43);
    undo();
    expect(Object.getOwnPropertyDescriptor(counter, 'add')).toEqual(before);
  });

  it("leaves somebody else's wrapper around ours in place, and passes calls on below it", () => {
    const counter = new Counter();
    let calls = 0;
    const around = (original: (...args: unknown[]) => unknown, _self: unknown, args: unknown[]) => {
      calls++;
      return original(...args);
    };
    const undo = wrapMethod(counter, 'add', around);
    const ours = counter.add;
    const theirs = function (this: Counter, by?: number) {
      return ours.call(this, by) * 10;
    };
    counter.add = theirs;
    undo();
    expect(counter.add).toBe(theirs);
    expect(counter.add()).toBe(10);
    expect(calls).toBe(0);
    const again = wrapMethod(counter, 'add', around);
    expect(counter.add()).toBe(20);
    expect(calls).toBe(1);
    again();
    expect(counter.add).toBe(theirs);
  });

  it('wraps again if somebody replaced the method by one that does not call ours', () => {
    const counter = new Counter();
    let [first, second] = [0, 0];
    const undoFirst = wrapMethod(counter, 'add', (original, _self, args) => {
      first++;
      return original(...args);
    });
    const theirs = () => 7;
    counter.add = theirs;
    const undoSecond = wrapMethod(counter, 'add', (original, _self, args) => {
      second++;
      return original(...args);
    });
    expect(counter.add()).toBe(7);
    expect([first, second]).toEqual([0, 1]);
    undoFirst();
    expect(counter.add()).toBe(7);
    undoSecond();
    expect(counter.add).toBe(theirs);
  });

  it('passes errors and rejections through', async () => {
    const broken = {
      now() {
        throw new Error('now');
      },
      async later() {
        throw new Error('later');
      },
    };
    for (const name of ['now', 'later']) wrapMethod(broken, name, (original, _self, args) => original(...args));
    expect(() => broken.now()).toThrow('now');
    await expect(broken.later()).rejects.toThrow('later');
  });

  it('does nothing if there is no such method', () => {
    const counter = new Counter();
    const undo = wrapMethod(counter, 'missing', () => 1);
    const undoValue = wrapMethod(counter, 'count', () => 1);
    undo();
    undoValue();
    expect(Reflect.ownKeys(counter)).toEqual(['count']);
    expect(counter.count).toBe(0);
  });
});

describe('layers inside custom layers', () => {
  const warnings = catchWarnings();

  /** A residual block that makes its layers itself, as in Keras. */
  class Block extends tf.layers.Layer {
    readonly dense = tf.layers.dense({ units: 3, activation: 'tanh', name: 'dense' });
    readonly more = [tf.layers.dense({ units: 3 }), tf.layers.dropout({ rate: 0.5 })];
    readonly inner: tf.layers.Layer | undefined;
    constructor(name: string, inner?: tf.layers.Layer) {
      super({ name });
      this.inner = inner;
    }
    override call(inputs: tf.Tensor | tf.Tensor[], kwargs: Record<string, unknown>) {
      const x = Array.isArray(inputs) ? inputs[0] : inputs;
      return tf.tidy(() => x.add(this.more[0].apply(this.dense.apply(x, kwargs), kwargs) as tf.Tensor));
    }
    static className = 'Block';
  }

  function modelOf(block: tf.layers.Layer): tf.Sequential {
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ units: 3, inputShape: [4], name: 'first' }),
        block,
        tf.layers.dense({ units: 1, name: 'output' }),
      ],
    });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    return model;
  }

  it('are named once, with the block and with what to do', async () => {
    const shared = tf.layers.dense({ units: 2 });
    const block = new Block('block', new Block('inner', shared));
    const model = modelOf(
      tf.sequential({ name: 'stage', layers: [tf.layers.dense({ units: 3, inputShape: [3] }), block] }),
    );
    const tracker = new SaturationTracker('unused', model, { saveTo: [new RecordingStore()] });
    await tracker.close();
    expect(warnings.filter((warning) => warning.includes('Custom layers'))).toEqual([
      'Custom layers hold layers that their model does not list, and that are not tracked: ' +
        'stage/block.dense, stage/block.more[0], stage/block.inner.dense, ' +
        'stage/block.inner.more[0], stage/block.inner.inner. To track them, give a tracker a list of them instead of the ' +
        "model, and pass `kwargs` on in the custom layer's call (`this.dense.apply(x, kwargs)`): they say whether a pass " +
        'is training',
    ]);
  });

  it('are tracked as the warning says: in a list, by split', async () => {
    const block = new Block('block');
    const model = modelOf(block);
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', [block.dense], { saveTo: [store], stats: ['trace'] });
    const [x, y] = [tf.randomNormal([20, 4]), tf.zeros([20, 1])];
    await model.fit(x, y, {
      epochs: 1,
      verbose: 0,
      validationData: [x.slice(0, 8), y.slice(0, 8)],
      callbacks: [tracker.callback()],
    });
    await tracker.close();
    expect(store.samples()).toEqual({ 'train/dense': 20, 'val/dense': 8 });
    expect(warnings.filter((warning) => warning.includes('Custom layers'))).toEqual([]);
  });

  it('are not those of wrappers, of recurrent layers, or of the model itself', async () => {
    const listed = tf.layers.dense({ units: 3, name: 'listed' });
    class Tied extends tf.layers.Layer {
      readonly other = listed;
      override call(inputs: tf.Tensor | tf.Tensor[]) {
        return Array.isArray(inputs) ? inputs[0] : inputs;
      }
      static className = 'Tied';
    }
    const model = tf.sequential({
      layers: [
        tf.layers.bidirectional({
          layer: tf.layers.gru({ units: 3, returnSequences: true }),
          inputShape: [5, 2],
        } as never),
        tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 3 }) }),
        tf.layers.lstm({ units: 3 }),
        listed,
        new Tied({}),
      ],
    });
    const tracker = new SaturationTracker('unused', model, { saveTo: [new RecordingStore()] });
    await tracker.close();
    expect(warnings.filter((warning) => warning.includes('Custom layers'))).toEqual([]);
  });
});
