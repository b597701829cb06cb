import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { graphNodes, isGraphModelNodes } from '../../src/activations/graph-model.js';
import { type LayerCall, type LayerHook, onLayerCall } from '../../src/activations/hooks.js';
import { adviseOn } from '../../src/insight/advice.js';
import type { AdviceOptions } from '../../src/insight/advice-case.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { extractSaturation } from '../../src/tracker/extract-saturation.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { backends, useBackend } from '../support/backends.js';
import { freeWeights, normalTensor } from '../support/models.js';
import { normals } from '../support/random.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

describe.each(backends)('onLayerCall on %s', (backend) => {
  beforeAll(() => useBackend(backend));
  const hooks: LayerHook[] = [];
  afterEach(() => {
    for (const hook of hooks.splice(0)) hook.remove();
  });

  /** The shapes of a layer's outputs, pass by pass. */
  function shapesOf(layer: tf.layers.Layer): number[][] {
    const shapes: number[][] = [];
    hooks.push(onLayerCall(layer, ({ output }) => void shapes.push(output.shape)));
    return shapes;
  }

  it('reports the inputs and outputs of a layer, and changes nothing', () => {
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

  it('reports layers inside wrappers and cells, and in nested models that come first, which TensorFlow.js flattens', () => {
    const inner = tf.layers.dense({ units: 3, inputShape: [2] });
    const block = tf.sequential({ layers: [inner] });
    const model = tf.sequential({ layers: [block, tf.layers.dense({ units: 1 })] });
    const shapes = shapesOf(inner);
    const wrapped = tf.layers.dense({ units: 2 });
    const each = tf.sequential({ layers: [tf.layers.timeDistributed({ layer: wrapped, inputShape: [4, 2] })] });
    const steps = shapesOf(wrapped);
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

  it.each([undefined, true])('reports a layer whose outputs are all used once per pass (training: %s)', (training) => {
    const input = tf.input({ shape: [4, 2] });
    const encoder = tf.layers.lstm({ units: 3, returnState: true });
    const outputs = encoder.apply(input) as tf.SymbolicTensor[];
    const model = tf.model({ inputs: input, outputs });
    const shapes = shapesOf(encoder);
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

  it('reports a layer of several outputs that is used in two places once for each', () => {
    const [a, b] = [tf.input({ shape: [4, 2] }), tf.input({ shape: [4, 2] })];
    const encoder = tf.layers.lstm({ units: 3, returnState: true });
    const [, hiddenA, cellA] = encoder.apply(a) as tf.SymbolicTensor[];
    const [, hiddenB, cellB] = encoder.apply(b) as tf.SymbolicTensor[];
    // With this order TensorFlow.js alternates between the two places.
    const sum = tf.layers.add().apply([hiddenA, hiddenB, cellA, cellB]) as tf.SymbolicTensor;
    const model = tf.model({ inputs: [a, b], outputs: sum });
    const shapes = shapesOf(encoder);
    const [x, y] = [normalTensor([6, 4, 2], 1), normalTensor([6, 4, 2], 2)];
    for (let pass = 0; pass < 3; pass++) tf.tidy(() => void model.apply([x, y], { training: true }));
    expect(shapes).toHaveLength(6);
    tf.tidy(() => void model.predict([x, y]));
    expect(shapes).toHaveLength(8);
    tf.dispose([x, y]);
    freeWeights(model);
  });

  it('keeps two listeners of one layer apart: a new pass of one is not a new pass of the other', () => {
    const layer = tf.layers.lstm({ units: 2, returnState: true, inputShape: [3, 2] });
    const input = tf.input({ shape: [3, 2] });
    const model = tf.model({ inputs: input, outputs: layer.apply(input) as tf.SymbolicTensor[] });
    const [first, second] = [shapesOf(layer), shapesOf(layer)];
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

const float = { type: 'DT_FLOAT' };
const shapeOf = (...sizes: number[]) => ({ dim: sizes.map((size) => ({ size: String(size) })) });
const node = (name: string, op: string, input: string[] = [], attr: object = {}) => ({
  name,
  op,
  input,
  attr: { T: float, ...attr },
});

/** x (? x 4) -> MatMul w (4 x 6) -> Relu -> two heads, as tensorflowjs_converter writes it. */
const topology = {
  node: [
    node('x', 'Placeholder', [], { dtype: float, shape: { shape: shapeOf(-1, 4) } }),
    ...(
      [
        ['w', 4, 6],
        ['left/w', 6, 2],
        ['right/w', 6, 3],
      ] as const
    ).map(([name, rows, columns]) =>
      node(name, 'Const', [], {
        dtype: float,
        value: { tensor: { dtype: 'DT_FLOAT', tensorShape: shapeOf(rows, columns) } },
      }),
    ),
    node('hidden/MatMul', 'MatMul', ['x', 'w'], { transpose_a: { b: false }, transpose_b: { b: false } }),
    node('hidden/Relu', 'Relu', ['hidden/MatMul']),
    node('left', 'MatMul', ['hidden/Relu', 'left/w'], { transpose_a: { b: false }, transpose_b: { b: false } }),
    node('right', 'MatMul', ['hidden/Relu', 'right/w'], { transpose_a: { b: false }, transpose_b: { b: false } }),
  ],
  versions: { producer: 1 },
};

/** @param heads which of 'left' and 'right' are outputs: the nodes that nothing consumes */
async function load(heads: readonly string[]): Promise<tf.GraphModel> {
  const nodes = topology.node.filter(
    ({ name }) => !/^(left|right)/.test(name) || heads.some((head) => name.startsWith(head)),
  );
  const weightSpecs = nodes
    .filter(({ op }) => op === 'Const')
    .map(({ name, attr }) => ({
      name,
      shape: (
        attr as unknown as { value: { tensor: { tensorShape: ReturnType<typeof shapeOf> } } }
      ).value.tensor.tensorShape.dim.map(({ size }) => Number(size)),
      dtype: 'float32' as const,
    }));
  const size = weightSpecs.reduce((sum, { shape }) => sum + shape[0] * shape[1], 0);
  return tf.loadGraphModel(
    tf.io.fromMemory({
      modelTopology: { ...topology, node: nodes },
      weightSpecs,
      weightData: normals(size, 3).buffer as ArrayBuffer,
    }),
  );
}

describe.each(backends)('hooks of a GraphModel on %s', (backend) => {
  let one: tf.GraphModel;
  let two: tf.GraphModel;
  let x: tf.Tensor;
  beforeAll(async () => {
    await useBackend(backend);
  });
  catchWarnings();
  beforeEach(async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    one = await load(['left']);
    two = await load(['left', 'right']);
    x = normalTensor([20, 4], 1);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    one.dispose();
    two.dispose();
    x.dispose();
  });

  it('track intermediate nodes by name, inside record only', async () => {
    const store = new RecordingStore();
    const tracker = new SaturationTracker(
      'unused',
      { model: one, nodes: ['hidden/Relu', 'hidden/MatMul', 'hidden/Relu'] },
      { saveTo: [store], stats: ['covariance', 'saturation'] },
    );
    expect(tracker.layerNames).toEqual(['hidden/Relu', 'hidden/MatMul']);
    expect(tracker.isRecording).toBe(true);
    tf.tidy(() => void one.predict(x));
    tracker.record('val', () => tf.tidy(() => void one.predict(x)));
    tracker.record('train', () => tf.tidy(() => void one.execute(x, 'left')));
    await tracker.addSaturations();
    await tracker.close();
    expect(store.samples()).toEqual({
      'val/hidden/Relu': 20,
      'val/hidden/MatMul': 20,
      'train/hidden/Relu': 20,
      'train/hidden/MatMul': 20,
    });
    const expected = new CovarianceAccumulator(6);
    tf.tidy(() => expected.update(x.matMul(one.weights.w[0]).relu().dataSync()));
    const found = store.layer('val', 'hidden/Relu').covariance!;
    for (let i = 0; i < 36; i++) expect(found[i]).toBeCloseTo(expected.covariance()[i], 5);
  });

  it('return what each call would have returned: a tensor, a list, the order asked for', async () => {
    const calls: [string, () => unknown][] = [
      ['predict, one output', () => one.predict(x)],
      ['predict, two outputs', () => two.predict(x)],
      ['predict with inputs by name', () => two.predict({ x })],
      ['predict with a list of inputs', () => one.predict([x])],
      ['execute', () => one.execute(x)],
      ['execute, a name', () => two.execute(x, 'right')],
      ['execute, a list of one name', () => two.execute(x, ['right'])],
      ['execute, names in another order', () => two.execute(x, ['right', 'left'])],
      ['execute, a name that is tracked as well', () => two.execute(x, ['hidden/Relu'])],
      ['execute, twice the same name', () => two.execute(x, ['left', 'left'])],
    ];
    for (const [name, call] of calls) {
      const plain = valuesOf(call());
      const tracker = new SaturationTracker(
        'unused',
        {
          model: name.includes('one output') || name === 'execute' || name.includes('list of inputs') ? one : two,
          nodes: ['hidden/Relu'],
        },
        { saveTo: [new RecordingStore()] },
      );
      tracker.record('val', () => expect(valuesOf(call()), name).toEqual(plain));
      expect(valuesOf(call()), name).toEqual(plain);
      expect((await tracker.addSaturations()).map(({ samples }) => samples)).toEqual([20]);
      await tracker.close();
    }
  });

  it('work through executeAsync as well', async () => {
    const plain = valuesOf(await two.executeAsync(x, ['left', 'right']));
    const tracker = new SaturationTracker(
      'unused',
      { model: two, nodes: ['hidden/Relu'] },
      { saveTo: [new RecordingStore()] },
    );
    const found = await tracker.record('val', () => two.executeAsync(x, ['left', 'right']));
    expect(valuesOf(found)).toEqual(plain);
    expect((await tracker.addSaturations()).map(({ samples }) => samples)).toEqual([20]);
    await tracker.close();
  });

  it('leave no tensor behind, and dispose of none of the caller or the model', async () => {
    const nodes = ['x', 'w', 'hidden/Relu', 'left'];
    const tracker = new SaturationTracker('unused', { model: one, nodes }, { saveTo: [new RecordingStore()] });
    const run = () => tracker.record('val', () => tf.dispose(one.predict(x)));
    run();
    await tracker.addSaturations();
    const before = tf.memory().numTensors;
    for (let i = 0; i < 5; i++) run();
    tracker.record('val', () => tf.dispose(one.execute({ x }, ['hidden/Relu', 'left'])));
    expect(tf.memory().numTensors).toBe(before);
    expect([x.isDisposed, one.weights.w[0].isDisposed]).toEqual([false, false]);
    expect((await tracker.addSaturations()).map(({ layer, samples }) => [layer, samples])).toEqual([
      ['x', 120],
      ['w', 24],
      ['hidden/Relu', 120],
      ['left', 120],
    ]);
    await tracker.close();
  });

  it('leave the model as it was after close and after an abort', async () => {
    const controller = new AbortController();
    const keys = Reflect.ownKeys(one);
    const nodes = ['hidden/Relu'];
    const first = new SaturationTracker('unused', { model: one, nodes }, { saveTo: [new RecordingStore()] });
    const second = new SaturationTracker(
      'unused',
      { model: one, nodes },
      { saveTo: [new RecordingStore()], signal: controller.signal },
    );
    await first.close();
    expect(first.isRecording).toBe(false);
    controller.abort();
    expect(Reflect.ownKeys(one)).toEqual(keys);
    await second.close();
  });

  it('stop and resume', async () => {
    const tracker = new SaturationTracker(
      'unused',
      { model: one, nodes: ['hidden/Relu'] },
      { saveTo: [new RecordingStore()] },
    );
    const run = () => tracker.record('val', () => tf.tidy(() => void one.predict(x)));
    tracker.stop();
    run();
    expect(await tracker.addSaturations()).toEqual([]);
    tracker.resume();
    run();
    expect((await tracker.addSaturations())[0].samples).toBe(20);
    await tracker.close();
  });

  it('give extractSaturation the spectra of the nodes', async () => {
    const spectra = await extractSaturation({ model: one, nodes: ['hidden/Relu', 'left'] }, [x, { xs: { x } }], {
      progress: false,
    });
    expect([...spectra].map(([name, { samples, features }]) => [name, samples, features])).toEqual([
      ['hidden/Relu', 40, 6],
      ['left', 40, 2],
    ]);
  });

  it('never let an error inside the hook reach the model; close throws it', async () => {
    const plain = valuesOf(one.predict(x));
    const tracker = new SaturationTracker(
      'unused',
      { model: one, nodes: ['hidden/Relu'] },
      { saveTo: [new RecordingStore()] },
    );
    tf.tidy(() => tracker.observe('hidden/Relu', tf.zeros([3, 5]), 'val'));
    const before = tf.memory().numTensors;
    expect(tracker.record('val', () => valuesOf(one.predict(x)))).toEqual(plain);
    expect(tf.memory().numTensors).toBe(before);
    await expect(tracker.close()).rejects.toThrow(/layer 'hidden\/Relu' \(val\): output: expected 5 features.*got 6/);
  });

  it('reject an empty list of nodes and nodes that the model does not have', async () => {
    expect(
      () => new SaturationTracker('unused', { model: one, nodes: [] }, { saveTo: [new RecordingStore()] }),
    ).toThrow(/nodes: expected at least one/);
    expect(isGraphModelNodes({ model: one })).toBe(false);
    expect(isGraphModelNodes(null)).toBe(false);
    expect(() => new SaturationTracker('unused', { model: one, nodes: ['nowhere'] })).toThrow(
      'nodes: expected names that graphNodes(model) lists, got the string "nowhere"',
    );
    tf.dispose(one.predict(x));
  });
});

function valuesOf(result: unknown): unknown {
  const read = (tensor: tf.Tensor) => [tensor.shape, [...tensor.dataSync()]];
  const values = Array.isArray(result) ? result.map(read) : read(result as tf.Tensor);
  tf.dispose(result as tf.Tensor);
  return values;
}

describe.each(backends)('GraphModels with dynamic ops and control flow on %s', (backend) => {
  beforeAll(() => useBackend(backend));
  const warnings = catchWarnings();
  beforeEach(() => {
    vi.spyOn(console, 'warn').mockImplementation(() => {});
  });
  afterEach(() => void vi.restoreAllMocks());

  const bool = { type: 'DT_BOOL' };
  /**
   * x (? x 4) -> MatMul w -> Relu -> left. Beside it, Where finds the places of what Relu let through (a dynamic op), and a
   * Switch sends Relu's output one of two ways, by `flag`.
   *
   * @param output which node the model puts out
   */
  async function dynamicModel(output: string): Promise<tf.GraphModel> {
    const nodes = [
      ...topology.node.filter(({ name }) => !name.startsWith('right')),
      node('flag', 'Placeholder', [], { dtype: bool, shape: { shape: shapeOf() } }),
      node('zero', 'Const', [], { dtype: float, value: { tensor: { dtype: 'DT_FLOAT', tensorShape: shapeOf() } } }),
      node('found/Greater', 'Greater', ['hidden/Relu', 'zero']),
      node('found/Where', 'Where', ['found/Greater'], { T: bool }),
      node('found/Float', 'Cast', ['found/Where'], { SrcT: { type: 'DT_INT32' }, DstT: float }),
      node('switch', 'Switch', ['hidden/Relu', 'flag']),
      node('off/Neg', 'Neg', ['switch:0']),
      node('on/Square', 'Square', ['switch:1']),
      node('merge', 'Merge', ['off/Neg', 'on/Square']),
    ];
    const weightSpecs = [
      { name: 'w', shape: [4, 6], dtype: 'float32' as const },
      { name: 'left/w', shape: [6, 2], dtype: 'float32' as const },
      { name: 'zero', shape: [], dtype: 'float32' as const },
    ];
    const weightData = Float32Array.of(...normals(36, 3), 0).buffer;
    const signature = { outputs: { out: { name: `${output}:0` } } };
    const modelTopology = { node: nodes, versions: { producer: 1 } };
    return tf.loadGraphModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData, signature } as never));
  }

  const inputs = () => ({ x: normalTensor([20, 4], 1), flag: tf.scalar(true) });

  it('extractSaturation runs them by executeAsync, and leaves no tensor behind', async () => {
    for (const [output, nodes] of [
      ['found/Float', ['hidden/Relu', 'found/Float']],
      ['left', ['hidden/Relu', 'found/Float']],
      ['merge', ['hidden/Relu', 'on/Square']],
    ] as const) {
      const model = await dynamicModel(output);
      const batches = [inputs(), inputs()];
      const before = tf.memory().numTensors;
      const spectra = await extractSaturation({ model, nodes }, batches, { progress: false });
      expect(tf.memory().numTensors).toBe(before);
      const places = tf.tidy(() => batches[0].x.matMul(model.weights.w[0]).relu().greater(0).sum().dataSync()[0]);
      expect([...spectra].map(([name, { samples, features }]) => [name, samples, features])).toEqual([
        ['hidden/Relu', 40, 6],
        nodes[1] === 'on/Square' ? ['on/Square', 40, 6] : ['found/Float', 2 * places, 2],
      ]);
      tf.dispose(batches);
      model.dispose();
    }
    expect(warnings.join()).not.toContain('node');
  });

  it('a node that a run cannot compute is named once and left out; the run gives what it gives alone', async () => {
    const model = await dynamicModel('left');
    const { x, flag } = inputs();
    const plain = valuesOf(model.execute({ x, flag }));
    const store = new RecordingStore();
    const nodes = ['hidden/Relu', 'found/Float', 'off/Neg'];
    const tracker = new SaturationTracker('unused', { model, nodes }, { saveTo: [store] });
    for (let pass = 0; pass < 3; pass++) {
      expect(tracker.record('train', () => valuesOf(model.execute({ x, flag })))).toEqual(plain);
    }
    const runAsync = async () => valuesOf(await model.executeAsync({ x, flag }));
    for (let pass = 0; pass < 2; pass++) expect(await tracker.record('val', runAsync)).toEqual(plain);
    await tracker.addSaturations();
    const { 'val/found/Float': found, ...samples } = store.samples();
    expect(samples).toEqual({ 'train/hidden/Relu': 60, 'val/hidden/Relu': 40 });
    expect(found).toBeGreaterThan(40);
    await expect(tracker.close()).rejects.toThrow(
      /3 errors.*node 'found\/Float': .*executeAsync.*node 'off\/Neg': .*executeAsync.*node 'off\/Neg': .*Cannot compute/s,
    );
    expect(warnings.filter((warning) => /node '/.test(warning))).toHaveLength(3);
    tf.dispose([x, flag]);
    model.dispose();
  });

  it('an error of the run itself stays an error of the run', async () => {
    const model = await dynamicModel('found/Float');
    const { x, flag } = inputs();
    const tracker = new SaturationTracker(
      'unused',
      { model, nodes: ['hidden/Relu'] },
      { saveTo: [new RecordingStore()] },
    );
    expect(() => tracker.record('val', () => model.execute({ x, flag }))).toThrow(/executeAsync/);
    await expect(tracker.record('val', () => model.executeAsync({ flag }))).rejects.toThrow();
    await tracker.close();
    tf.dispose([x, flag]);
    model.dispose();
  });
});

describe('graphNodes', () => {
  it('lists the last node of each layer with its operation and width', async () => {
    const model = await load(['left', 'right']);
    expect(graphNodes(model)).toEqual([
      { name: 'hidden/Relu', op: 'MatMul', width: 6 },
      { name: 'left', op: 'MatMul', width: 2, role: 'output' },
      { name: 'right', op: 'MatMul', width: 3, role: 'output' },
    ]);
    const x = normalTensor([9, 4], 1);
    const nodes = graphNodes(model).map(({ name }) => name);
    const spectra = await extractSaturation({ model, nodes }, x, { progress: false });
    expect([...spectra].map(([name, { features }]) => [name, features])).toEqual([
      ['hidden/Relu', 6],
      ['left', 2],
      ['right', 3],
    ]);
    x.dispose();
    model.dispose();
  });

  it('knows the widths of every operation with weights, as running the model shows them', async () => {
    const weights: Record<string, number[]> = {
      'conv/w': [3, 3, 2, 5],
      'conv/b': [5],
      'bn/scale': [5],
      'bn/offset': [5],
      'bn/mean': [5],
      'bn/variance': [5],
      'depth/w': [3, 3, 5, 2],
      'up/w': [3, 3, 7, 10],
      'up/size': [4],
      'skip/w': [1, 1, 7, 7],
      'dense/w': [4, 7],
      axes: [2],
    };
    const strides = { list: { i: ['1', '1', '1', '1'] } };
    const window = { strides, dilations: strides, padding: { s: 'U0FNRQ==' }, data_format: { s: 'TkhXQw==' } };
    const nodes = [
      node('x', 'Placeholder', [], { dtype: float, shape: { shape: shapeOf(-1, 6, 6, 2) } }),
      ...Object.entries(weights).map(([name, shape]) => {
        const dtype = name === 'up/size' || name === 'axes' ? 'DT_INT32' : 'DT_FLOAT';
        return node(name, 'Const', [], {
          dtype: { type: dtype },
          value: { tensor: { dtype, tensorShape: shapeOf(...shape) } },
        });
      }),
      node('conv/Conv2D', 'Conv2D', ['x', 'conv/w'], window),
      node('conv/BiasAdd', 'BiasAdd', ['conv/Conv2D', 'conv/b']),
      node('bn/Norm', 'FusedBatchNormV3', ['conv/BiasAdd', 'bn/scale', 'bn/offset', 'bn/mean', 'bn/variance'], {
        epsilon: { f: 0.001 },
      }),
      node('conv/Relu6', 'Relu6', ['bn/Norm']),
      node('depth/Conv', 'DepthwiseConv2dNative', ['conv/Relu6', 'depth/w'], window),
      node('depth/Tanh', 'Tanh', ['depth/Conv', '^conv/Relu6']),
      node('up/Conv', 'Conv2DBackpropInput', ['up/size', 'up/w', 'depth/Tanh'], window),
      // The sum of a residual block belongs to two layers.
      node('skip/Conv', 'Conv2D', ['up/Conv', 'skip/w'], window),
      node('sum', 'AddV2', ['up/Conv', 'skip/Conv']),
      node('mean', 'Mean', ['sum', 'axes'], { keep_dims: { b: false } }),
      node('dense/w/read', 'Identity', ['dense/w']),
      node('dense/MatMul', 'MatMul', ['mean', 'dense/w/read'], { transpose_a: { b: false }, transpose_b: { b: true } }),
      node('dense/Softmax', 'Softmax', ['dense/MatMul']),
    ];
    const weightSpecs = Object.entries(weights).map(([name, shape]) => ({
      name,
      shape,
      dtype: name === 'up/size' || name === 'axes' ? ('int32' as const) : ('float32' as const),
    }));
    const parts = weightSpecs.map(({ name, shape, dtype }) => {
      if (name === 'up/size') return Int32Array.of(5, 6, 6, 7);
      if (dtype === 'int32') return Int32Array.of(1, 2);
      return normals(
        shape.reduce((a, b) => a * b),
        5,
      ).map(Math.abs);
    });
    const weightData = new Uint8Array(parts.flatMap((part) => [...new Uint8Array(part.buffer)])).buffer;
    const modelTopology = { node: nodes, versions: { producer: 1 } };
    await useBackend('cpu');
    const model = await tf.loadGraphModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
    const listed = graphNodes(model);
    expect(listed).toEqual([
      { name: 'conv/Relu6', op: expect.stringMatching(/Conv2D$/), width: 5 },
      { name: 'depth/Tanh', op: 'DepthwiseConv2dNative', width: 10, role: 'depthwise' },
      { name: 'up/Conv', op: 'Conv2DBackpropInput', width: 7, role: 'projection' },
      { name: 'skip/Conv', op: 'Conv2D', width: 7, role: 'projection' },
      { name: 'dense/Softmax', op: expect.stringMatching(/MatMul$/), width: 4, role: 'output' },
    ]);
    const x = normalTensor([5, 6, 6, 2], 1);
    const nodesToTrack = listed.map(({ name }) => name);
    const spectra = await extractSaturation({ model, nodes: nodesToTrack }, x, { progress: false });
    expect([...spectra].map(([, { features }]) => features)).toEqual(listed.map(({ width }) => width));
    x.dispose();
    model.dispose();
  });

  it('says what layers are for, in advice and in what a tracker stores', async () => {
    const model = await load(['left', 'right']);
    const nodes = graphNodes(model).map(({ name }) => name);
    const recorded = new RecordingStore();
    const tracker = new SaturationTracker('unused', { model, nodes }, { saveTo: [recorded] });
    tracker.record('val', () => tf.dispose(tf.tidy(() => model.execute(normalTensor([900, 4], 1)) as tf.Tensor[])));
    await tracker.addSaturations();
    await tracker.close();
    expect(nodes.map((name) => recorded.layer('val', name).role)).toEqual([undefined, 'output', 'output']);
    const spectra = await extractSaturation({ model, nodes }, normalTensor([900, 4], 1), { progress: false });
    const bottlenecks = (options: AdviceOptions) =>
      adviseOn(spectra, options).flatMap(({ kind, layers }) => (kind === 'bottleneck' ? layers : []));
    // Two of two directions: the first output would be called a bottleneck.
    expect(bottlenecks({})).toEqual(['left']);
    expect(bottlenecks({ roles: new Map(graphNodes(model).map(({ name, role }) => [name, role])) })).toEqual([]);
    model.dispose();
  });

  it('asks for a loaded GraphModel', () => {
    expect(() => graphNodes(tf.sequential() as never)).toThrow(
      'graphNodes: expected a GraphModel, as tf.loadGraphModel returns it, got an object of class Sequential',
    );
  });
});
