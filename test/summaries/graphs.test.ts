import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '../../src/encoding/message-codec.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { type GraphLike, graphDefOf } from '../../src/summaries/graph.js';
import { graphModelNodes, isGraphModel } from '../../src/summaries/graph-nodes.js';

const fixtures = JSON.parse(readFileSync(new URL('../fixtures/onnx/models.json', import.meta.url), 'utf8')) as Record<
  string,
  { model: string }
>;

const nodesOf = (model: GraphLike) => decodeMessage(tensorboard.GraphDef, graphDefOf(model)).node;
/** Edges as text: what TensorBoard draws. */
const edgesOf = (model: GraphLike) =>
  nodesOf(model)
    .flatMap(({ name, input }) => (input ?? []).map((from) => `${from} -> ${name}`))
    .sort();
const dense = (name: string, units = 2, more = {}) => tf.layers.dense({ units, name, ...more });

describe('graphDefOf a LayersModel', () => {
  it('draws a Sequential model as a chain from its input', () => {
    const model = tf.sequential({
      layers: [
        dense('a', 4, { inputShape: [3], activation: 'relu' }),
        tf.layers.dropout({ rate: 0.5, name: 'b' }),
        dense('c'),
      ],
    });
    expect(edgesOf(model)).toEqual(['a -> b', 'a_input -> a', 'b -> c']);
    expect(nodesOf(model).map(({ op }) => op)).toEqual(['InputLayer', 'Dense', 'Dropout', 'Dense']);
  });

  it('shows settings, output shapes and numbers of parameters', () => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ name: 'conv', filters: 8, kernelSize: 3, inputShape: [28, 28, 1], activation: 'relu' }),
      ],
    });
    const { attr } = nodesOf(model)[1];
    expect(Number(attr?.filters.i)).toBe(8);
    expect(attr?.kernel_size.list?.i?.map(Number)).toEqual([3, 3]);
    expect(Buffer.from(attr?.activation.s ?? []).toString()).toBe('relu');
    expect(Buffer.from(attr?.kernel_initializer.s ?? []).toString()).toBe('VarianceScaling');
    expect(attr?.use_bias.b).toBe(true);
    expect(Number(attr?.parameters.i)).toBe(80);
    expect(attr?._output_shapes.list?.shape?.[0].dim?.map(({ size }) => Number(size))).toEqual([-1, 26, 26, 8]);
  });

  it('draws every edge of a functional model, of a shared layer and of several inputs and outputs', () => {
    const left = tf.input({ shape: [3], name: 'left' });
    const right = tf.input({ shape: [3], name: 'right' });
    const shared = dense('shared');
    const merged = tf.layers
      .concatenate({ name: 'merged' })
      .apply([left, right].map((side) => shared.apply(side) as tf.SymbolicTensor)) as tf.SymbolicTensor;
    const outputs = ['one', 'two'].map((name) => dense(name).apply(merged) as tf.SymbolicTensor);
    expect(edgesOf(tf.model({ inputs: [left, right], outputs }))).toEqual([
      'left -> shared',
      'merged -> one',
      'merged -> two',
      'right -> shared',
      'shared -> merged',
      'shared -> merged',
    ]);
  });

  it('puts the layers of nested models into boxes of their name and joins the edges across', () => {
    const inner = tf.sequential({ name: 'inner', layers: [dense('i1', 4, { inputShape: [3] }), dense('i2', 3)] });
    const a = tf.input({ shape: [3], name: 'a' });
    const b = tf.input({ shape: [3], name: 'b' });
    const sum = tf.layers.add({ name: 'sum' }).apply([a, b]) as tf.SymbolicTensor;
    const pair = tf.model({ name: 'pair', inputs: [a, b], outputs: [sum, dense('p').apply(sum) as tf.SymbolicTensor] });
    const x = tf.input({ shape: [3], name: 'x' });
    const [first, second] = pair.apply([inner.apply(x) as tf.SymbolicTensor, x]) as tf.SymbolicTensor[];
    const joined = tf.layers.concatenate({ name: 'joined' }).apply([second, first]) as tf.SymbolicTensor;
    const model = tf.model({ inputs: x, outputs: dense('out').apply(joined) as tf.SymbolicTensor });
    expect(edgesOf(model)).toEqual([
      'inner/i1 -> inner/i2',
      'inner/i2 -> pair/a',
      'joined -> out',
      'pair/a -> pair/sum',
      'pair/b -> pair/sum',
      'pair/p -> joined',
      'pair/sum -> joined',
      'pair/sum -> pair/p',
      'x -> inner/i1',
      'x -> pair/b',
    ]);
    expect(nodesOf(model).find(({ name }) => name === 'inner/i1')?.attr?.parameters).toBeDefined();
  });

  it('draws recurrent layers and shows what a wrapper wraps', () => {
    const model = tf.sequential({
      layers: [
        tf.layers.bidirectional({
          name: 'bi',
          layer: tf.layers.lstm({ units: 4, returnSequences: true }) as tf.RNN,
          inputShape: [5, 2],
        }),
        tf.layers.timeDistributed({ name: 'td', layer: dense('each', 3) }),
        tf.layers.gru({ name: 'gru', units: 2 }),
      ],
    });
    expect(edgesOf(model)).toEqual(['bi -> td', 'bi_input -> bi', 'td -> gru']);
    const [, bi, td] = nodesOf(model);
    expect(Buffer.from(bi.attr?.layer.s ?? []).toString()).toBe('LSTM');
    expect(Number(td.attr?.['layer.units'].i)).toBe(3);
  });

  it('draws a stack whose first layer is a model', () => {
    const body = tf.sequential({ name: 'body', layers: [dense('b1', 4, { inputShape: [3] }), dense('b2')] });
    const model = tf.sequential({ layers: [body, dense('head')] });
    expect(edgesOf(model)).toEqual(['body/b1 -> body/b2', 'body/b2 -> head', 'body_input -> body/b1']);
  });

  it('reads the inbound nodes of Keras 3 too', () => {
    const history = (name: string) => ({
      class_name: '__keras_tensor__',
      config: { shape: [null, 3], keras_history: [name, 0, 0] },
    });
    const keras = {
      layers: [],
      toJSON: () => ({
        class_name: 'Functional',
        config: {
          layers: [
            { class_name: 'InputLayer', config: { name: 'in' }, inbound_nodes: [] },
            { class_name: 'Dense', config: { name: 'd' }, inbound_nodes: [{ args: [history('in')], kwargs: {} }] },
            {
              class_name: 'Add',
              config: { name: 'add' },
              inbound_nodes: [{ args: [[history('in'), history('d')]], kwargs: {} }],
            },
          ],
          input_layers: ['in', 0, 0],
          output_layers: ['add', 0, 0],
        },
      }),
    };
    expect(edgesOf(keras)).toEqual(['d -> add', 'in -> add', 'in -> d']);
  });
});

describe('graphDefOf anything else', () => {
  it('accepts the bytes of a GraphDef as they are', () => {
    const bytes = encodeMessage(tensorboard.GraphDef, { node: [{ name: 'a', op: 'Const' }] });
    expect(graphDefOf(bytes)).toBe(bytes);
  });

  it.each([
    ['bytes of something else', Uint8Array.of(255, 255, 1), 'bytes that are none'],
    ['no bytes', new Uint8Array(0), 'at least one node'],
    ['an object', {}, 'got an object of class Object'],
    ['null', null, 'got null'],
    [
      'a model that states no layers',
      { layers: [], toJSON: () => ({}) },
      'expected a model whose toJSON() lists its layers',
    ],
  ])('refuses %s', (_, model, message) => {
    expect(() => graphDefOf(model as GraphLike, 'addGraph')).toThrow(TypeError);
    expect(() => graphDefOf(model as GraphLike, 'addGraph')).toThrow(message);
  });
});

/** As tensorflowjs_converter writes model.json: x (float32, ? x 2) -> MatMul with w -> Relu. */
const topology = {
  node: [
    {
      name: 'x',
      op: 'Placeholder',
      attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape: { dim: [{ size: '-1' }, { size: '2' }] } } },
    },
    {
      name: 'w',
      op: 'Const',
      attr: {
        dtype: { type: 'DT_FLOAT' },
        value: { tensor: { dtype: 'DT_FLOAT', tensorShape: { dim: [{ size: '2' }, { size: '3' }] } } },
      },
    },
    {
      name: 'h/MatMul',
      op: 'MatMul',
      input: ['x', 'w'],
      device: '/device:CPU:0',
      attr: { transpose_a: { b: false }, T: { type: 1 } },
    },
    {
      name: 'h/Relu',
      op: 'Relu',
      input: ['h/MatMul'],
      attr: {
        T: { type: 'DT_FLOAT' },
        data_format: { s: 'TkhXQw==' },
        codes: { s: [78, 72] },
        axis: { i: '-1' },
        rate: { f: 0.5 },
        strides: { list: { i: ['1', '2'] } },
        _output_shapes: { list: { shape: [{ dim: [{ size: '-1' }, { size: '3' }] }] } },
      },
    },
  ],
  versions: { producer: 1 },
};
const artifacts = {
  modelTopology: topology,
  weightSpecs: [{ name: 'w', shape: [2, 3], dtype: 'float32' as const }],
  weightData: new Float32Array([1, 2, 3, 4, 5, 6]).buffer,
};

async function loaded() {
  return tf.loadGraphModel(tf.io.fromMemory(artifacts));
}

/** The nodes after a round trip through bytes: what TensorBoard will read. */
const onWire = (nodes: tensorboard.INodeDef[]) =>
  decodeMessage(tensorboard.GraphDef, encodeMessage(tensorboard.GraphDef, { node: nodes })).node;

describe('graphModelNodes', () => {
  it('gives the operations of a loaded GraphModel with their edges and attributes', async () => {
    const model = await loaded();
    expect(isGraphModel(model)).toBe(true);
    const nodes = onWire(graphModelNodes(model));
    expect(nodes.map(({ name, op, input }) => [name, op, input])).toEqual([
      ['x', 'Placeholder', []],
      ['w', 'Const', []],
      ['h/MatMul', 'MatMul', ['x', 'w']],
      ['h/Relu', 'Relu', ['h/MatMul']],
    ]);
    const [x, w, , relu] = nodes;
    expect(x.attr?.dtype.type).toBe(tensorboard.DataType.DT_FLOAT);
    expect(x.attr?.shape.shape?.dim?.map(({ size }) => Number(size))).toEqual([-1, 2]);
    expect(w.attr?.value.tensor?.tensorShape?.dim?.map(({ size }) => Number(size))).toEqual([2, 3]);
    expect(Buffer.from(relu.attr?.data_format.s ?? []).toString()).toBe('NHWC');
    expect(Buffer.from(relu.attr?.codes.s ?? []).toString()).toBe('NH');
    expect(Number(relu.attr?.axis.i)).toBe(-1);
    expect(relu.attr?.rate.f).toBe(0.5);
    expect(relu.attr?.strides.list?.i?.map(Number)).toEqual([1, 2]);
    expect(relu.attr?._output_shapes.list?.shape?.[0].dim?.map(({ size }) => Number(size))).toEqual([-1, 3]);
  });

  it('falls back on the graph that runs if the stored one is gone', async () => {
    const model = await loaded();
    Object.assign(model, { artifacts: undefined });
    expect(isGraphModel(model)).toBe(true);
    const nodes = onWire(graphModelNodes(model));
    expect(nodes.find(({ name }) => name === 'h/MatMul')).toMatchObject({ op: 'MatMul', input: ['x', 'w'] });
    expect(nodes.length).toBe(4);
  });

  it('is not offered for anything else', () => {
    for (const value of [null, 3, {}, { artifacts: {} }, { executor: {} }]) expect(isGraphModel(value)).toBe(false);
  });
});

describe('graphDefOf an ONNX model', () => {
  const { model: mlp } = fixtures.mlp;
  const onnx = (name: string) => Uint8Array.from(Buffer.from(fixtures[name].model, 'base64'));
  const textOf = (value: tensorboard.IAttrValue | undefined) => Buffer.from(value?.s ?? []).toString();

  it('draws its operations as they follow on each other, with inputs and outputs', () => {
    expect(edgesOf(onnx('mlp'))).toEqual([
      'act/Relu -> fc2/Gemm',
      'fc1/Add -> act/Relu',
      'fc1/MatMul -> fc1/Add',
      'fc2/Gemm -> outputs/y',
      'inputs/x -> fc1/MatMul',
    ]);
    const nodes = nodesOf(onnx('mlp'));
    expect(nodes.map(({ op }) => op)).toEqual(['Placeholder', 'MatMul', 'Add', 'Relu', 'Gemm', 'Output']);
    const gemm = nodes.find(({ op }) => op === 'Gemm')!;
    expect(Number(gemm.attr?.transB.i)).toBe(1);
    expect(textOf(gemm.attr?.['constant w2'])).toBe('[5, 12]');
    expect(gemm.attr?._output_shapes.list?.shape?.[0].dim?.map(({ size }) => Number(size))).toEqual([-1, 5]);
  });

  it('draws what is in branches and loops below their node', () => {
    const edges = edgesOf(onnx('branches'));
    expect(edges).toEqual(
      expect.arrayContaining([
        'inputs/x -> if/then_branch/a/MatMul',
        'if/then_branch/nested/then_branch/deep/MatMul -> if/then_branch/nested',
        'if/then_branch/nested -> if/then_branch/t4',
        'if/then_branch/t4 -> if',
        'if/else_branch/b/MatMul -> if',
        'if -> loop/Loop',
        'loop/Loop/body/v -> loop/Loop/body/step/MatMul',
        'loop/Loop -> outputs/y',
      ]),
    );
    const names = nodesOf(onnx('branches')).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('names the second output of a node', () => {
    expect(edgesOf(onnx('rnn'))).toContain('dec/GRU:1 -> y');
  });

  it('refuses a part of one', () => {
    const bytes = Buffer.from(mlp, 'base64');
    expect(() => graphDefOf(bytes.subarray(0, 200), 'addGraph')).toThrow(
      /addGraph: expected an ONNX model, got .*cut off/,
    );
  });
});
