import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { graphModelNodes, isGraphModel } from '../../src/summaries/graph-nodes.js';

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

/** As the wire has it: what TensorBoard will read. */
const onWire = (nodes: tensorboard.INodeDef[]) =>
  tensorboard.GraphDef.decode(tensorboard.GraphDef.encode({ node: nodes }).finish()).node;

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

  it('falls back on the graph that runs where the stored one is gone', async () => {
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
