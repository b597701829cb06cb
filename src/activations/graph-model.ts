import { dispose, slice, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { describe, messageOf } from '../errors.js';
import type { LayerRole } from '../saturation/epoch.js';
import { type ExecutedNode, executedNodes, type GraphModelLike } from '../summaries/graph-nodes.js';
import { type Inputs, isTensor } from './batches.js';
import { wrapMethod } from './wrap-method.js';

/*
 * A GraphModel has no layers: its nodes are tracked by name. graphNodes() lists those that are worth it, and a hook hands
 * what they compute to a listener whenever the model runs.
 */

/** A GraphModel has no layers; its intermediate nodes are tracked by name. */
export interface GraphModelNodes {
  /** The converted model, as `tf.loadGraphModel` returns it. */
  model: GraphModelLike;
  /** The names of the nodes to track, e.g. 'block1/Relu'. `graphNodes(model)` lists them. */
  nodes: readonly string[];
}

/** Whether a value is a GraphModel with the names of its nodes, and not a LayersModel or a list of layers. */
export function isGraphModelNodes(model: unknown): model is GraphModelNodes {
  const candidate = model as Partial<GraphModelNodes> | null;
  return typeof candidate?.model?.execute === 'function' && Array.isArray(candidate.nodes);
}

/** The nodes to track, each once. @throws RangeError if there are none, or the model has no node of such a name */
export function nodeNames({ model, nodes }: GraphModelNodes): string[] {
  const names = [...new Set(nodes)];
  if (names.length === 0) throw new RangeError('nodes: expected at least one node name of the GraphModel, got none');
  const known = new Set(executedNodes(model)?.map(({ name }) => name));
  const wrong = names.find((name) => known.size > 0 && !known.has(name.split(':')[0]));
  if (wrong !== undefined) {
    throw new RangeError(`nodes: expected names that graphNodes(model) lists, got ${describe(wrong)}`);
  }
  return names;
}

/** Is told of the nodes of a GraphModel whenever it runs. */
export interface NodeListener {
  /** Is asked before each run; if it returns false, the run is left as it is and costs nothing more. */
  isWanted(): boolean;
  /** Gets what a node computed. The tensor is valid only until this returns. */
  record(node: string, activations: Tensor): void;
  /** Is told once of each node that a run cannot compute beside its own outputs. */
  fail(node: string, error: unknown): void;
}

/**
 * Makes a GraphModel compute further nodes whenever it runs (predict calls execute), and passes them to `listener`. The
 * caller of the model gets what it asked for. A node that cannot be computed beside that, because it stands behind a
 * dynamic op, which execute does not run, or inside control flow, is left out of this way to run from then on. Returns a
 * function that takes the hook off the model.
 */
export function onGraphModelRun(graph: GraphModelNodes, listener: NodeListener): () => void {
  const names = nodeNames(graph);
  const undo = (['execute', 'executeAsync'] as const).map((method) => {
    let left: readonly string[] = names;
    return wrapMethod(graph.model, method, (original, self, args) => {
      if (left.length === 0 || !listener.isWanted()) return original(...args);
      const [inputs, outputs] = args as [unknown, string | string[] | undefined];
      const { outputNodes, outputs: outputInfo = [], weights = {} } = self as GraphModelLike;
      const asked = outputs ?? outputNodes ?? outputInfo.map((output) => output.name);
      const list = Array.isArray(asked) ? asked : [asked];
      const wanted = left;
      const handOver = (nodes: readonly string[], extra: readonly Tensor[], own: readonly unknown[]) => {
        for (const [index, name] of nodes.entries()) listener.record(name, extra[index]);
        // Some nodes are tensors that must stay alive: inputs, weights, and nodes that the caller asked for as well.
        const others = new Set<unknown>([...own, ...tensorsOf(inputs), ...Object.values(weights).flat()]);
        for (const tensor of new Set(extra)) if (!others.has(tensor)) tensor.dispose();
      };
      const split = (all: Tensor[]) => {
        const own = all.slice(0, list.length);
        handOver(wanted, all.slice(list.length), own);
        return own.length > 1 ? own : own[0];
      };
      const runOne = (name: string) => original(inputs, [name]);
      const addOne = (name: string, result: unknown, own: unknown) =>
        handOver([name], tensorsOf(result) as Tensor[], tensorsOf(own));
      const fail = (name: string, error: unknown) => {
        left = left.filter((each) => each !== name);
        listener.fail(name, error);
      };
      // A run with all nodes that fails is repeated without them. It is their fault only if it succeeds then, and each is
      // tried alone.
      if (method === 'executeAsync') {
        const apart = async () => {
          const own = await original(...args);
          for (const name of wanted) {
            await Promise.resolve(runOne(name)).then(
              (result) => addOne(name, result, own),
              (error) => fail(name, error),
            );
          }
          return own;
        };
        return (original(inputs, [...list, ...wanted]) as Promise<Tensor[]>).then(split, apart);
      }
      const all = unless(() => original(inputs, [...list, ...wanted]) as Tensor[]);
      if (all !== undefined) return split(all);
      const own = original(...args);
      for (const name of wanted) {
        const result = unless(
          () => runOne(name),
          (error) => fail(name, error),
        );
        if (result !== undefined) addOne(name, result, own);
      }
      return own;
    });
  });
  return () => {
    for (const restore of undo) restore();
  };
}

/** What `act` returns; undefined if it throws. */
function unless<T>(act: () => T, onError: (error: unknown) => void = () => {}): T | undefined {
  try {
    return act();
  } catch (error) {
    onError(error);
    return undefined;
  }
}

/** The tensors that a run was given or returned: one, a list, or by name. */
function tensorsOf(tensors: unknown): unknown[] {
  if (Array.isArray(tensors)) return tensors;
  return isTensor(tensors) ? [tensors] : Object.values((tensors ?? {}) as object);
}

/**
 * How a GraphModel runs so that its outputs and these nodes can be computed: by execute or, if there is control flow or a
 * dynamic op, by executeAsync. The outputs are disposed of.
 *
 * @param inputs on whose first item this is tried
 */
export function graphRunner(
  { model, nodes }: GraphModelNodes,
  inputs: Inputs,
): (inputs: Inputs) => void | Promise<void> {
  const needsAsync = () => {
    try {
      tidy(() => {
        const one = firstItems(inputs);
        model.execute(one);
        model.execute(one, [...nodes]);
      });
      return false;
    } catch (error) {
      return /executeAsync/.test(messageOf(error));
    }
  };
  if (model.executeAsync === undefined || !needsAsync()) {
    return (given) => void tidy(() => void model.execute(given));
  }
  return async (given) => dispose((await model.executeAsync?.(given)) as Tensor);
}

function firstItems(inputs: Inputs): Inputs {
  const first = (tensor: Tensor) => (tensor.rank > 0 && tensor.shape[0] > 1 ? slice(tensor, 0, 1) : tensor);
  if (isTensor(inputs)) return first(inputs);
  if (Array.isArray(inputs)) return inputs.map(first);
  return Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, first(tensor)]));
}

/** A node of a GraphModel that is the output of a layer. */
export interface GraphNode {
  /** The node's name. */
  readonly name: string;
  /** The operation that gives the layer its width, such as 'Conv2D', 'MatMul' or 'DepthwiseConv2dNative'. */
  readonly op: string;
  /** Number of features: channels of a convolution, units of a dense layer. */
  readonly width: number;
  /** What the layer is for, where its saturation is to be read with that in mind: `adviseOn` takes it (`roles`). */
  readonly role?: LayerRole;
}

/** The width of what an operation with weights puts out, from the shape of its weights (its second input). */
const widths: Readonly<Record<string, (shape: readonly number[], node: ExecutedNode) => number | undefined>> = {
  MatMul: ofMatrix,
  _FusedMatMul: ofMatrix,
  BatchMatMul: ofMatrix,
  BatchMatMulV2: ofMatrix,
  Conv1D: (shape) => shape.at(-1),
  Conv2D: (shape) => shape.at(-1),
  _FusedConv2D: (shape) => shape.at(-1),
  Conv3D: (shape) => shape.at(-1),
  Conv2DBackpropInput: (shape) => shape.at(-2),
  DepthwiseConv2d: (shape) => shape[2] * shape[3],
  DepthwiseConv2dNative: (shape) => shape[2] * shape[3],
  FusedDepthwiseConv2dNative: (shape) => shape[2] * shape[3],
};

/** Operations whose weights are their first input: a table in which words are looked up. */
const lookups = new Set(['Gather', 'GatherV2', 'ResourceGather']);

const activations = 'Identity Relu Relu6 Elu Selu LeakyRelu Sigmoid Tanh Softplus Softmax LogSoftmax';
const withWeight = 'BiasAdd Add AddV2 Sub Mul RealDiv Prelu';
const norms = 'FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3';
/** Activations, and what picks or multiplies: a layer in front of one of these is not linear. Multiplying by a weight is. */
const bending = new Set(
  `${activations} Prelu Maximum Minimum Max Mul Square`.split(' ').filter((op) => op !== 'Identity'),
);

/** Operations that end a layer, because they change each feature by itself, and how many inputs they read. */
const elementwise = new Map([
  ...activations.split(' ').map((op) => [op, 1] as const),
  ...withWeight.split(' ').map((op) => [op, 2] as const),
  ...norms.split(' ').map((op) => [op, 5] as const),
]);

function ofMatrix(shape: readonly number[], { attrParams }: ExecutedNode): number | undefined {
  const { transposeB, adjY } = attrParams ?? {};
  return (transposeB ?? adjY)?.value === true ? shape.at(-2) : shape.at(-1);
}

/**
 * The nodes of a GraphModel that are worth to be tracked, in the order of the graph: of each convolution, matrix product
 * and embedding the last node that is its layer's alone (behind bias, normalization and activation).
 *
 * `new SaturationTracker(logdir, { model, nodes: graphNodes(model).map(({ name }) => name) })`
 *
 * @throws TypeError if `model` is not a loaded GraphModel
 */
export function graphNodes(model: GraphModelLike): GraphNode[] {
  const nodes = executedNodes(model);
  if (nodes === undefined) {
    throw new TypeError(`graphNodes: expected a GraphModel, as tf.loadGraphModel returns it, got ${describe(model)}`);
  }
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const consumers = new Map<string, ExecutedNode[]>();
  for (const node of nodes) {
    for (const name of new Set(inputsOf(node))) consumers.set(name, [...(consumers.get(name) ?? []), node]);
  }
  /** The shape of a weight, also behind nodes that only pass it on. */
  const shapeOf = (name: string | undefined): readonly number[] | undefined => {
    if (name === undefined) return undefined;
    const weight = model.weights?.[name]?.[0] as Tensor | undefined;
    if (weight !== undefined) return weight.shape;
    const node = byName.get(name);
    return node?.op === 'Identity' ? shapeOf(inputsOf(node)[0]) : undefined;
  };
  const endOf = (node: ExecutedNode): string => {
    const [next, another] = consumers.get(node.name) ?? [];
    const inputs = elementwise.get(next?.op ?? '');
    if (next === undefined || another !== undefined || inputs === undefined) return node.name;
    // The sum of a residual block, say, belongs to two layers.
    const others = inputsOf(next)
      .slice(0, inputs)
      .filter((name) => name !== node.name);
    return others.every((name) => shapeOf(name) !== undefined) ? endOf(next) : node.name;
  };
  const computes = (node: ExecutedNode) => lookups.has(node.op) || Object.hasOwn(widths, node.op);
  const bends = (node: ExecutedNode) =>
    bending.has(node.op) && !(node.op === 'Mul' && inputsOf(node).some((name) => shapeOf(name) !== undefined));
  /** What stands between a node and the layers that compute next: whether anything bends, and whether there is any layer. */
  const behind = (node: ExecutedNode, seen = new Set<string>()): { isBent: boolean; isLast: boolean } => {
    let [isBent, isLast] = [false, true];
    for (const next of consumers.get(node.name) ?? []) {
      if (computes(next)) isLast = false;
      if (computes(next) || seen.has(next.name)) continue;
      seen.add(next.name);
      const further = behind(next, seen);
      isBent ||= bends(next) || further.isBent;
      isLast &&= further.isLast;
    }
    return { isBent, isLast };
  };
  const roleOf = (node: ExecutedNode, weights: readonly number[]): LayerRole | undefined => {
    const { isBent, isLast } = behind(node);
    if (isLast) return 'output';
    if (/Depthwise/.test(node.op)) return 'depthwise';
    if (lookups.has(node.op)) return undefined;
    const fused = (node.attrParams?.fusedOps?.value ?? []) as unknown[];
    if (!isBent && !fused.some((op) => /relu|elu|sigmoid|tanh/i.test(String(op)))) return 'projection';
    const isPointwise = weights.length > 2 && weights.slice(0, -2).every((side) => side === 1);
    return isPointwise && weights.at(-1)! < weights.at(-2)! ? 'squeeze' : undefined;
  };
  return nodes.flatMap((node) => {
    const [first, second] = inputsOf(node);
    const weights = shapeOf(lookups.has(node.op) ? first : second);
    const width = lookups.has(node.op)
      ? weights?.at(-1)
      : weights && Object.hasOwn(widths, node.op)
        ? widths[node.op](weights, node)
        : undefined;
    if (width === undefined || weights === undefined) return [];
    const role = roleOf(node, weights);
    return [{ name: endOf(node), op: node.op, width, ...(role === undefined ? {} : { role }) }];
  });
}

/** The names of the nodes that a node reads, then of those that it only waits for: TensorFlow.js does not tell them apart. */
function inputsOf({ inputNames = [] }: ExecutedNode): string[] {
  return inputNames.map((name) => name.split(':')[0]);
}
