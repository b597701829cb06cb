import type { Branch, WantedValue } from '../models/edit-model.js';
import type { ConstantTensor, Graph, ModelNode, OnnxModel } from '../models/onnx-model.js';

/*
 * Which nodes of an ONNX graph are layers, which value shows what a layer puts out, how it is read, and what it is called.
 */

/** How a value is read as rows of features. */
export type OnnxLayout = 'channelsFirst' | 'channelsLast' | 'rows' | 'steps' | 'batchSteps' | 'state';

/** A layer of an ONNX model, as far as its saturation is concerned. */
export interface OnnxLayer {
  /** In tags, tables and files: the module's path where the exporter noted it, such as `encoder/layer.0/attention/self/query`. */
  readonly name: string;
  /** The node's operator, such as `Conv`. */
  readonly op: string;
  /** The output of the edited model that shows the layer. */
  readonly value: string;
  /** What an output of rank 3 is. */
  readonly kind: 'map' | 'sequence';
  /** Whether the layer is recurrent: the last time step stands for the sequence by default. */
  readonly recurrent: boolean;
  /**
   * Where the features are: of maps N x C x ...space ('channelsFirst') or N x ...space x C ('channelsLast'); 'rows' have them last;
   * recurrent layers put out steps x directions x N x units ('steps'), N x steps x directions x units ('batchSteps'), or the last
   * state only, directions x N x units ('state').
   */
  readonly layout: OnnxLayout;
  /** The weight that makes it a layer. */
  readonly weight?: {
    /** Name of the constant. */
    readonly name: string;
    /** Its dims. */
    readonly shape: readonly number[];
  };
  /** Number of features, if it is known from the weight. */
  readonly features?: number;
  /** Whether the value is an output of the model itself; false for those that only the edited model has. */
  readonly isOutput: boolean;
  /** Where the layer is if not in the main graph, such as `If '/encoder/If' (then_branch)`. */
  readonly insideOf?: string;
}

/** A node as a filter sees it. */
export interface OnnxNode {
  /** The node's own name; may be ''. */
  readonly name: string;
  /** The operator, such as `Relu`. */
  readonly op: string;
  /** The operator's domain; '' for ONNX' own. */
  readonly domain: string;
  /** Names of values; '' for one that is left out. */
  readonly inputs: readonly string[];
  /** Names of values; '' for one that is left out. */
  readonly outputs: readonly string[];
  /** The name that it would have as a layer. */
  readonly path: string;
  /** The branch of an If node that it stands in, if it does. */
  readonly insideOf?: string;
}

/**
 * Decides about each node: `true` keeps it if it is a layer by rule, a text keeps it under that name whatever it is, `false` drops
 * it.
 */
export type OnnxFilter = (node: OnnxNode) => boolean | string;

/** A layer, with the value that is to go out of the graph. */
export interface FoundLayer {
  readonly layer: OnnxLayer;
  readonly wanted: WantedValue;
  /** The constant that is its weight, if it has one. */
  readonly weight: ConstantTensor | undefined;
}

/** What is left out, and why. */
export interface LeftOut {
  /** The layer's name. */
  readonly name: string;
  /** In words. */
  readonly why: string;
}

type Family = 'map' | 'product' | 'recurrent' | 'embedding';

/** The operators with weights, by what they are. */
const families: ReadonlyMap<string, Family> = new Map<string, Family>([
  ...(
    [
      'Conv',
      'ConvTranspose',
      'FusedConv',
      'QLinearConv',
      'ConvInteger',
      'NhwcConv',
      'NhwcFusedConv',
      'DeformConv',
    ] as const
  ).map((op) => [op, 'map'] as const),
  ...(
    [
      'Gemm',
      'MatMul',
      'FusedMatMul',
      'FusedGemm',
      'GemmFastGelu',
      'Einsum',
      'MatMulInteger',
      'QLinearMatMul',
      'DynamicQuantizeMatMul',
      'MatMulIntegerToFloat',
      'MatMulNBits',
      'MatMulBnb4',
      'QGemm',
      'Attention',
      'QAttention',
    ] as const
  ).map((op) => [op, 'product'] as const),
  ...(['LSTM', 'GRU', 'RNN', 'DynamicQuantizeLSTM'] as const).map((op) => [op, 'recurrent'] as const),
  ['Gather', 'embedding'],
]);

const activations = new Set([
  ...['Relu', 'LeakyRelu', 'PRelu', 'Elu', 'Selu', 'Celu', 'Gelu', 'FastGelu', 'QuickGelu', 'Sigmoid', 'Tanh', 'Clip'],
  ...['HardSigmoid', 'HardSwish', 'Swish', 'Mish', 'Softplus', 'Softsign', 'ThresholdedRelu'],
]);
/** Operators whose result is an integer that a cast and a scale bring back. */
const integers = new Set(['ConvInteger', 'MatMulInteger']);
/** What depends on the shape of the data alone: position embeddings hang on it. */
const shapesOnly = new Set(['Shape', 'Size', 'ConstantOfShape']);
/** Weights that are packed, so that their dims do not say that they are matrices. */
const packed = /^Q|NBits|Bnb4/;

/** Operators that only pass a constant's values on, in another shape or type. */
const passedOn = new Set(['Constant', 'Identity', 'Transpose', 'Squeeze', 'Unsqueeze', 'Cast']);

/** A constant of which nothing is known. */
const unknownTensor: ConstantTensor = { dims: [], type: 0, isExternal: false, raw: undefined, floats: undefined };

/** What is known of the values of a graph. */
interface GraphFacts {
  readonly graph: Graph;
  readonly functions: OnnxModel['functions'];
  readonly constants: ReadonlyMap<string, ConstantTensor>;
  /** Values that depend on the data, not only on its shape. */
  readonly ofData: ReadonlySet<string>;
  readonly consumers: ReadonlyMap<string, readonly ModelNode[]>;
  readonly outputs: ReadonlySet<string>;
  readonly within: readonly Branch[];
  readonly insideOf: string | undefined;
}

/** How layers are looked for. */
export interface LayerRules {
  /** What decides about each node; undefined keeps the layers by rule. */
  readonly filter: OnnxFilter | undefined;
  /** Whether a layer shows what it has before an activation that follows it, or behind. */
  readonly activations: 'preActivation' | 'output';
}

/** The layers of a model in the order of its nodes, those in branches of If included; and what cannot be reached. */
export function findLayers(model: OnnxModel, rules: LayerRules): { found: FoundLayer[]; leftOut: LeftOut[] } {
  const found: FoundLayer[] = [];
  const leftOut: LeftOut[] = [];
  const taken = new Map<string, number>();
  const visit = (facts: GraphFacts) => {
    for (const node of facts.graph.nodes) {
      const layer = layerOf(node, facts, rules, taken);
      if (layer !== undefined) found.push(layer);
      for (const [index, { name, graph }] of node.subgraphs.entries()) {
        if (node.op === 'If') {
          const where = `If '${node.name || node.outputs[0]}' (${name})`;
          const insideOf = facts.insideOf === undefined ? where : `${facts.insideOf}, ${where}`;
          visit(factsOf(graph, facts, facts.functions, [...facts.within, { node, index }], insideOf));
        } else {
          const inner = factsOf(graph, facts, facts.functions, facts.within, `${node.op} '${node.name}'`);
          const names = graph.nodes.flatMap((each) => layerOf(each, inner, rules, new Map())?.layer.name ?? []);
          const why = `inside of ${node.op} '${node.name || node.outputs[0]}', whose values do not leave it`;
          leftOut.push(...names.map((each) => ({ name: each, why })));
        }
      }
    }
  };
  visit(factsOf(model.graph, undefined, model.functions, [], undefined));
  return { found, leftOut };
}

function factsOf(
  graph: Graph,
  outer: GraphFacts | undefined,
  functions: OnnxModel['functions'],
  within: readonly Branch[],
  insideOf: string | undefined,
): GraphFacts {
  const constants = new Map([...(outer?.constants ?? []), ...graph.initializers]);
  const ofData = new Set(outer?.ofData);
  // Old files list the weights among the inputs.
  for (const { name } of graph.inputs) if (!graph.initializers.has(name)) ofData.add(name);
  const consumers = new Map<string, ModelNode[]>();
  for (const node of graph.nodes) {
    const given = node.inputs.filter((name) => name !== '');
    for (const name of new Set(given)) consumers.set(name, [...(consumers.get(name) ?? []), node]);
    const isConstant =
      node.op === 'Constant' ||
      (given.length > 0 &&
        node.subgraphs.length === 0 &&
        !/^Random|^Bernoulli|^Multinomial/.test(node.op) &&
        given.every((name) => constants.has(name)));
    if (isConstant) {
      const of = node.tensor ?? constants.get(given[0]) ?? unknownTensor;
      // What else is computed of constants has other values.
      const tensor = node.tensor || passedOn.has(node.op) ? of : { ...of, raw: undefined, floats: undefined };
      for (const name of node.outputs) constants.set(name, node.op === 'Transpose' ? transposed(tensor) : tensor);
    } else if (!shapesOnly.has(node.op) && (node.subgraphs.length > 0 || given.some((name) => ofData.has(name)))) {
      for (const name of node.outputs) ofData.add(name);
    }
  }
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  return { graph, functions, constants, ofData, consumers, outputs, within, insideOf };
}

/** Exporters transpose the weight of a matrix, whose last two dims change places. */
function transposed(tensor: ConstantTensor): ConstantTensor {
  if (tensor.dims.length !== 2) return tensor;
  const [rows, columns] = tensor.dims;
  return { ...tensor, dims: [columns, rows], storedDims: tensor.storedDims ?? tensor.dims };
}

function layerOf(
  node: ModelNode,
  facts: GraphFacts,
  { filter, activations: shows }: LayerRules,
  taken: Map<string, number>,
): FoundLayer | undefined {
  const { constants, ofData, consumers } = facts;
  const matrix = (name: string) => (rankOf(constants.get(name)) >= 2 ? false : undefined);
  const inner = families.has(node.op) ? undefined : layerWithin(node, facts.functions, matrix);
  // What a call puts out is the layer's, whatever the function does behind it.
  const main = inner === undefined ? node : { ...inner.node, outputs: node.outputs };
  const family = families.get(main.op);
  const variable = node.inputs.filter((name) => name !== '' && !constants.has(name));
  const weights = node.inputs.filter((name) => {
    const tensor = constants.get(name);
    return tensor !== undefined && (tensor.dims.length >= 2 || integers.has(node.op) || packed.test(node.op));
  });
  const isRuled =
    family !== undefined &&
    variable.some((name) => ofData.has(name)) &&
    weights.length > 0 &&
    (family !== 'embedding' || isEmbedding(node, constants));
  const { value, bias } = shownValue(node, family, facts, shows);
  const [weight] = [...weights].sort((a, b) => rankOf(constants.get(b)) - rankOf(constants.get(a)));
  const path = nameOf(node, weights[0], bias, (name) => consumers.get(name)?.length ?? 0);
  const { name: nodeName, op, domain, inputs, outputs } = node;
  const { insideOf } = facts;
  const verdict = filter?.({ name: nodeName, op, domain, inputs, outputs, path, insideOf }) ?? isRuled;
  if (verdict === false || (verdict === true && !isRuled)) return undefined;
  if (value === undefined) return undefined;
  const wanted = verdict === true || verdict === '' ? path : (verdict as string);
  const count = (taken.get(wanted) ?? 0) + 1;
  taken.set(wanted, count);
  const tensor = constants.get(weight ?? '');
  const features = featuresOf(main, family, inner?.isTransposed === true && tensor ? transposed(tensor) : tensor);
  const layer: OnnxLayer = {
    name: count === 1 ? wanted : `${wanted}_${count}`,
    op,
    value,
    kind: family === 'map' ? 'map' : 'sequence',
    recurrent: family === 'recurrent',
    layout: layoutOf(main, family, value),
    isOutput: facts.within.length === 0 && facts.outputs.has(value),
    ...(weight !== undefined && tensor !== undefined && { weight: { name: weight, shape: tensor.dims } }),
    ...(features !== undefined && { features }),
    ...(insideOf !== undefined && { insideOf }),
  };
  const noted = facts.graph.values.get(value)?.elementType ?? 0;
  return { layer, wanted: { value, within: facts.within, elementType: noted || floatType(tensor) }, weight: tensor };
}

/** Functions that call functions that call functions: no model nests so many, and a function may call itself. */
const mostCalls = 10;

/** A layer within a function, and whether the function transposes its weight first. */
interface InnerLayer {
  readonly node: ModelNode;
  readonly isTransposed: boolean;
}

/**
 * What a call of one of the model's functions does: the last layer within it, by a weight that the call hands over. Undefined if
 * it has none.
 *
 * @param weightOf whether an input of the call is a weight (undefined if not), and whether it is transposed
 */
function layerWithin(
  call: ModelNode,
  functions: OnnxModel['functions'],
  weightOf: (name: string) => boolean | undefined,
  depth = 0,
): InnerLayer | undefined {
  const called = functions.get(`${call.domain}:${call.op}`);
  if (called === undefined || depth > mostCalls) return undefined;
  const weights = new Map(
    called.inputs.flatMap((name, at) => {
      const isTransposed = weightOf(call.inputs[at] ?? '');
      return isTransposed === undefined ? [] : [[name, isTransposed]];
    }),
  );
  let last: InnerLayer | undefined;
  for (const node of called.nodes) {
    const given = node.inputs.filter((name) => name !== '');
    const weight = given.find((name) => weights.has(name));
    const isTransposed = weight !== undefined && weights.get(weight) === true;
    if (given.length > 0 && given.every((name) => weights.has(name))) {
      for (const name of node.outputs) weights.set(name, isTransposed !== (node.op === 'Transpose'));
    } else if (!families.has(node.op)) {
      last = layerWithin(node, functions, (name) => weights.get(name), depth + 1) ?? last;
    } else if (weight !== undefined) last = { node, isTransposed };
  }
  return last;
}

function rankOf(tensor: ConstantTensor | undefined): number {
  return tensor?.dims.length ?? 0;
}

/** The element type of what a layer puts out, by its weight: float16, double and bfloat16 stay what they are. */
function floatType(tensor: ConstantTensor | undefined): number {
  return tensor !== undefined && [10, 11, 16].includes(tensor.type) ? tensor.type : 1;
}

/** A table of which rows are picked: a Gather along the first axis of a constant matrix, by numbers that are no constants. */
function isEmbedding(node: ModelNode, constants: ReadonlyMap<string, ConstantTensor>): boolean {
  const dims = constants.get(node.inputs[0])?.dims ?? [];
  const axis = node.attributes.get('axis') ?? 0;
  return dims.length === 2 && dims[0] > 1 && dims[1] > 1 && axis === 0 && !constants.has(node.inputs[1]);
}

/**
 * The value that shows a node: its output, followed over a bias that is added, over the scale of integers, and if wanted over one
 * activation. Neither bias nor a scale changes a saturation, and so the fusions of a runtime stay what they are.
 */
function shownValue(
  node: ModelNode,
  family: Family | undefined,
  { constants, consumers, outputs }: GraphFacts,
  shows: LayerRules['activations'],
): { value: string | undefined; bias: string | undefined } {
  const third = node.inputs[2];
  let bias = third !== undefined && constants.has(third) ? third : undefined;
  let value = node.outputs.find((name) => name !== '');
  if (family === 'recurrent' || family === undefined || value === undefined) return { value, bias };
  const only = (name: string): ModelNode | undefined => {
    const all = consumers.get(name) ?? [];
    return all.length === 1 && !outputs.has(name) ? all[0] : undefined;
  };
  for (let next = only(value); next !== undefined; next = only(value)) {
    const added = next.op === 'Add' ? next.inputs.find((name) => constants.has(name)) : undefined;
    const isScale = integers.has(node.op) && (next.op === 'Cast' || next.op === 'Mul');
    if (added === undefined && !isScale) break;
    bias = added ?? bias;
    [value] = next.outputs;
  }
  const next = shows === 'output' ? only(value) : undefined;
  if (next !== undefined && activations.has(next.op)) [value] = next.outputs;
  return { value, bias };
}

function layoutOf(node: ModelNode, family: Family | undefined, value: string): OnnxLayout {
  if (family === 'map') return node.op.startsWith('Nhwc') ? 'channelsLast' : 'channelsFirst';
  if (family !== 'recurrent') return 'rows';
  if (node.outputs[0] !== value) return 'state';
  return node.attributes.get('layout') === 1 ? 'batchSteps' : 'steps';
}

function featuresOf(
  node: ModelNode,
  family: Family | undefined,
  tensor: ConstantTensor | undefined,
): number | undefined {
  const { attributes, op } = node;
  const number = (name: string): number | undefined => {
    const value = attributes.get(name);
    return typeof value === 'number' ? value : undefined;
  };
  const dims = tensor?.dims ?? [];
  if (/NBits|Bnb4/.test(op)) return number('N');
  if (dims.length < 2) return undefined;
  if (family === 'map') return op === 'ConvTranspose' ? dims[1] * (number('group') ?? 1) : dims[0];
  if (family === 'embedding') return dims[1];
  if (family === 'recurrent') {
    const units = number('hidden_size');
    return units === undefined ? undefined : units * (attributes.get('direction') === 'bidirectional' ? 2 : 1);
  }
  if (family !== 'product' || op === 'Einsum') return undefined;
  // The weights of queries, keys and values stand side by side.
  if (/^Q?Attention$/.test(op)) return attributes.has('qkv_hidden_sizes') ? undefined : dims[dims.length - 1] / 3;
  // The weight may be the first factor, of which nothing is known here.
  const isTransposed = number('transB') === 1;
  return isTransposed ? dims[dims.length - 2] : dims[dims.length - 1];
}

/**
 * What a node is called: the module's path where torch's exporter noted it, else the path of the node's name without the operator,
 * else that of a weight or bias of its own, else the node's name or its value.
 */
function nameOf(
  node: ModelNode,
  weight: string | undefined,
  bias: string | undefined,
  uses: (value: string) => number,
): string {
  const parameter = [weight, bias]
    // Exporters merge equal constants: one that several nodes use says nothing about a node.
    .find((name) => name !== undefined && uses(name) === 1 && /[./](\w*weight|\w*bias|kernel)/.test(name))
    ?.replace(/[._/](weight|bias|kernel)\w*$/, '')
    .replaceAll('.', '/');
  // The module's path stands next to last.
  const scope = node.scopes.length > 1 ? node.scopes.at(-2) : undefined;
  if (scope !== undefined && scope !== '') return parameter ?? scope.replaceAll('.', '/');
  const path = node.name.replace(/^\/+/, '').replace(/(_quant|_Q4)$/, '');
  if (path.includes('/')) {
    const module = path.replace(/\/(MatMul|Gemm|Gemm_MatMul|Conv|Conv2D|BiasAdd|LSTM|GRU|Gather)(_\d+)?$/, '');
    return parameter?.startsWith(`${module}/`) ? parameter : module;
  }
  return parameter ?? (node.name || (node.outputs.find((name) => name !== '') ?? node.op));
}

/** The operators whose values may be the state that leaves a block. */
const states = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'MatMul', 'Gemm', 'Conv', 'Relu', 'Gelu', 'Reshape', 'Transpose'],
  ...[
    'LayerNormalization',
    'SkipLayerNormalization',
    'SkipSimplifiedLayerNormalization',
    'SimplifiedLayerNormalization',
  ],
]);

/**
 * The value that leaves each numbered block (`encoder/layer.3`, `h.3`, `blocks.3`) of a model: the hidden state behind each block
 * of a transformer.
 */
export function findBlocks(model: OnnxModel): FoundLayer[] {
  const { nodes, outputs } = model.graph;
  const blockOf = new Map(nodes.map((node) => [node, blockPath(node)]));
  const producer = new Map<string, { node: ModelNode; order: number }>();
  for (const [order, node] of nodes.entries()) for (const name of node.outputs) producer.set(name, { node, order });
  const leaving = new Map<string, { value: string; order: number; op: string }>();
  const look = (value: string, user: string | undefined) => {
    const made = producer.get(value);
    if (made === undefined) return;
    const { node, order } = made;
    const block = blockOf.get(node);
    if (block === undefined || block === user || !states.has(node.op)) return;
    const known = leaving.get(block);
    if (known === undefined || order > known.order) leaving.set(block, { value, order, op: node.op });
  };
  for (const node of nodes) for (const name of node.inputs) look(name, blockOf.get(node));
  for (const { name } of outputs) look(name, undefined);
  return [...leaving]
    .sort(([, a], [, b]) => a.order - b.order)
    .map(([name, { value, op }]) => ({
      layer: {
        name,
        op,
        value,
        kind: 'sequence',
        recurrent: false,
        layout: 'rows',
        isOutput: outputs.some((output) => output.name === value),
      },
      wanted: { value, within: [], elementType: 1 },
      weight: undefined,
    }));
}

/** The path of a node up to the first numbered module. */
function blockPath({ name, scopes }: ModelNode): string | undefined {
  const modules = scopes.length > 1 ? scopes.slice(0, -1).filter((scope) => scope !== '') : [];
  const path = modules.at(-1)?.replaceAll('.', '/') ?? name.replace(/^\/+/, '').split('/').slice(0, -1).join('/');
  return /^((?:.*?\/)?(?:[A-Za-z_]+[./])?\d+)(?=\/|$)/.exec(path)?.[1];
}
