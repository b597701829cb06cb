/** Nodes of a GraphDef for an ONNX model. Weights are no nodes: their shapes stand beside the nodes that use them. */
import { type ConstantTensor, type Graph, type ModelNode, readModel, sourceOf } from '../models/onnx-model.js';
import type { tensorboard } from '../proto/tensorboard.js';
import { attribute, outputShapes, outputShapesKey } from './graph-nodes.js';

/** Whether bytes begin as an ONNX model does, with its version: a GraphDef begins with a node or a library. */
export function isOnnx(bytes: Uint8Array): boolean {
  return bytes[0] === 0x08;
}

/** Where a value comes from: a node, and which of its outputs. */
type Sources = ReadonlyMap<string, string>;

/**
 * A node for each operation, input and output of an ONNX model; those in branches and loops stand below their node.
 *
 * @throws RangeError if the bytes are no ONNX model
 */
export function onnxGraphNodes(bytes: Uint8Array, call: string): tensorboard.INodeDef[] {
  const { graph } = readModel(sourceOf(bytes), call);
  const nodes: tensorboard.INodeDef[] = [];
  const names = new Set<string>();
  const sources = addGraph(graph, '', new Map(), new Map(), names, nodes);
  for (const { name, dims } of graph.outputs) {
    const source = sources.get(name);
    nodes.push({
      name: uniqueName(`outputs/${name}`, names),
      op: 'Output',
      input: source === undefined ? [] : [source],
      attr: shapeAttribute([dims]),
    });
  }
  return nodes;
}

function addGraph(
  graph: Graph,
  scope: string,
  outer: Sources,
  outerConstants: ReadonlyMap<string, ConstantTensor>,
  names: Set<string>,
  nodes: tensorboard.INodeDef[],
): Sources {
  const sources = new Map(outer);
  const constants = new Map([...outerConstants, ...graph.initializers]);
  for (const { name, dims } of graph.inputs) {
    if (graph.initializers.has(name)) continue;
    const node = uniqueName(`${scope}${scope === '' ? 'inputs/' : ''}${name}`, names);
    sources.set(name, node);
    nodes.push({ name: node, op: 'Placeholder', input: [], attr: shapeAttribute([dims]) });
  }
  for (const node of graph.nodes) {
    if (node.op === 'Constant') {
      for (const value of node.outputs) if (node.tensor !== undefined) constants.set(value, node.tensor);
      continue;
    }
    const name = uniqueName(`${scope}${pathOf(node)}`, names);
    for (const [index, value] of node.outputs.entries()) sources.set(value, index === 0 ? name : `${name}:${index}`);
    const inner: string[] = [];
    for (const { name: branch, graph: subgraph } of node.subgraphs) {
      const of = addGraph(subgraph, `${name}/${branch}/`, sources, constants, names, nodes);
      inner.push(...subgraph.outputs.flatMap((output) => of.get(output.name) ?? []));
    }
    const input = [...node.inputs.flatMap((value) => sources.get(value) ?? []), ...inner];
    nodes.push({ name, op: node.op, input: [...new Set(input)], attr: attributesOf(node, graph, constants) });
  }
  return sources;
}

/** A node's name as a path: the exporters write `/encoder/layer.0/MatMul`. */
function pathOf({ name, outputs, op }: ModelNode): string {
  const path = (name || outputs.find((value) => value !== '') || op).replace(/^\/+|\/+$/g, '');
  return path === '' ? op : path;
}

function uniqueName(wanted: string, names: Set<string>): string {
  let name = wanted;
  for (let count = 2; names.has(name); count++) name = `${wanted}_${count}`;
  names.add(name);
  return name;
}

function attributesOf(
  node: ModelNode,
  graph: Graph,
  constants: ReadonlyMap<string, ConstantTensor>,
): Record<string, tensorboard.IAttrValue> {
  const attributes: Record<string, tensorboard.IAttrValue> = {};
  for (const [name, value] of node.attributes) {
    if (value === '[]') continue;
    const shown = attribute(value);
    if (shown !== undefined) attributes[name] = shown;
  }
  for (const value of node.inputs) {
    const tensor = constants.get(value);
    const shown = attribute(`[${tensor?.dims.join(', ')}]`);
    if (tensor !== undefined && shown !== undefined) attributes[`constant ${value}`] = shown;
  }
  const known = (value: string) => graph.values.get(value) ?? graph.outputs.find(({ name }) => name === value);
  return { ...attributes, ...shapeAttribute(node.outputs.map((value) => known(value)?.dims)) };
}

/** The shapes of a node's outputs, if all are known: TensorBoard writes them on the edges. */
function shapeAttribute(shapes: readonly (readonly number[] | undefined)[]): Record<string, tensorboard.IAttrValue> {
  const known = shapes.filter((dims) => dims !== undefined);
  return known.length === 0 || known.length < shapes.length ? {} : { [outputShapesKey]: outputShapes(known) };
}
