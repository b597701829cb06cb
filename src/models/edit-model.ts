import type { Graph, ModelNode, ModelValue, OnnxModel, Range } from './onnx-model.js';

/*
 * Values inside of a model become outputs of it. Nothing else of the file changes, byte for byte: the edited model is a list of
 * parts, ranges of the file and new bytes, so that a file of gigabytes is never in memory.
 */

/** A part of an edited model: bytes of the model, or new ones. */
export type Part = Range | Uint8Array;

/** A branch of an If node. */
export interface Branch {
  readonly node: ModelNode;
  /** Which of the node's subgraphs. */
  readonly index: number;
}

/** A value that becomes an output. */
export interface WantedValue {
  readonly value: string;
  /** The branches that lead to its graph, from the outermost; none for a value of the main graph. */
  readonly within: readonly Branch[];
  /** Its element type, for the empty tensor that stands for it where the other branch is taken. */
  readonly elementType: number;
}

/** An edited model. */
export interface EditedModel {
  readonly parts: readonly Part[];
  /** By which output each wanted value goes out. */
  readonly outputs: readonly string[];
}

const graphOfModel = 7;
const nodeOfGraph = 1;
const outputOfGraph = 12;
const outputOfNode = 2;
const graphOfAttribute = 6;
const attributeOfNode = 5;

/**
 * Makes values outputs of a model. Values in a branch of If go out of every If around them: where the other branch is taken, the
 * output is an empty tensor of the dims [0].
 */
export function withOutputs(model: OnnxModel, size: number, wanted: readonly WantedValue[]): EditedModel {
  const names = new Names(model.graph);
  const own = new Set(model.graph.outputs.map(({ name }) => name));
  const { parts, values } = editGraph(model.graph, wanted.map(toItem), names);
  const outputs: Part[] = [];
  const written = new Set(own);
  for (const [index, { value }] of values.entries()) {
    if (written.has(value)) continue;
    written.add(value);
    // A value of the main graph has its type noted in some files; one that was lifted has none.
    const known = wanted[index].within.length === 0 ? model.graph.values.get(value) : undefined;
    outputs.push(...valueField(value, known));
  }
  return {
    parts: [
      { from: 0, to: model.field.from },
      ...field(graphOfModel, [...parts, ...outputs]),
      { from: model.field.to, to: size },
    ],
    outputs: values.map(({ value }) => value),
  };
}

/** The length of parts in bytes. */
export function lengthOf(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : part.to - part.from), 0);
}

/** A wanted value on its way out: its name in the graph that is looked at, and the branches that lead down to it. */
interface Item {
  readonly value: string;
  readonly within: readonly Branch[];
  readonly elementType: number;
}

function toItem({ value, within, elementType }: WantedValue): Item {
  return { value, within, elementType };
}

/** The contents of a graph in which each item is a value, and these values in the order of the items. */
function editGraph(graph: Graph, items: readonly Item[], names: Names): { parts: Part[]; values: Item[] } {
  const values = [...items];
  const edited = new Map<ModelNode, Part[]>();
  for (const node of new Set(items.flatMap(({ within }) => within.slice(0, 1).map((branch) => branch.node)))) {
    const of = items.flatMap((item, index) => (item.within[0]?.node === node ? [index] : []));
    const { parts, outputs } = editNode(
      node,
      of.map((index) => items[index]),
      names,
    );
    edited.set(node, parts);
    for (const [at, index] of of.entries()) values[index] = { ...items[index], value: outputs[at], within: [] };
  }
  return {
    parts: replaced(
      graph.range,
      [...edited].map(([node, parts]) => [node.field, parts] as const),
    ),
    values,
  };
}

/** An If node with an output for each item, as a field of its graph. */
function editNode(node: ModelNode, items: readonly Item[], names: Names): { parts: Part[]; outputs: string[] } {
  const attributes = node.subgraphs.map((subgraph, branch) => {
    const of = items.flatMap((item, index) => (item.within[0].index === branch ? [index] : []));
    const inner = of.map((index) => ({ ...items[index], within: items[index].within.slice(1) }));
    const { parts, values } = editGraph(subgraph.graph, inner, names);
    const taken = new Set(subgraph.graph.outputs.map(({ name }) => name));
    const added: Part[] = [];
    for (const [index, item] of items.entries()) {
      const at = of.indexOf(index);
      let name: string;
      if (at < 0) {
        name = names.fresh(`${item.value}@empty`);
        added.push(...emptyConstant(name, item.elementType));
      } else {
        name = values[at].value;
        // The same value twice among a branch's outputs crashes ONNX Runtime 1.30: a copy of it goes out.
        if (taken.has(name)) {
          const copy = names.fresh(`${name}@copy`);
          added.push(...identity(name, copy));
          name = copy;
        }
      }
      taken.add(name);
      added.push(...valueField(name));
    }
    const contents = replaced(subgraph.range, [[subgraph.field, field(graphOfAttribute, [...parts, ...added])]]);
    return [subgraph.attribute, field(attributeOfNode, contents)] as const;
  });
  const outputs = items.map(({ value }) => names.fresh(`${value}@out`));
  const contents = [...replaced(node.range, attributes), ...outputs.flatMap((name) => text(outputOfNode, name))];
  return { parts: field(nodeOfGraph, contents), outputs };
}

/** A range in which some ranges are replaced. */
function replaced({ from, to }: Range, by: readonly (readonly [Range, readonly Part[]])[]): Part[] {
  const parts: Part[] = [];
  let at = from;
  for (const [range, instead] of [...by].sort(([a], [b]) => a.from - b.from)) {
    if (range.from > at) parts.push({ from: at, to: range.from });
    parts.push(...instead);
    at = range.to;
  }
  if (to > at) parts.push({ from: at, to });
  return parts;
}

/** Names that no value of a model has. */
class Names {
  readonly #taken = new Set<string>();

  constructor(graph: Graph) {
    this.#add(graph);
  }

  fresh(wanted: string): string {
    let name = wanted;
    for (let count = 2; this.#taken.has(name); count++) name = `${wanted}${count}`;
    this.#taken.add(name);
    return name;
  }

  #add({ nodes, inputs, initializers }: Graph): void {
    for (const { name } of inputs) this.#taken.add(name);
    for (const name of initializers.keys()) this.#taken.add(name);
    for (const { outputs, subgraphs } of nodes) {
      for (const name of outputs) this.#taken.add(name);
      for (const { graph } of subgraphs) this.#add(graph);
    }
  }
}

/** ValueInfoProto: a name alone is enough for ONNX Runtime, which infers the type; checkers want it. */
function valueField(name: string, known?: ModelValue): Part[] {
  return field(outputOfGraph, [...text(1, name), ...(known?.type === undefined ? [] : field(2, [known.type]))]);
}

/** A Constant of an empty tensor: NodeProto { output, op_type, attribute { name, type: TENSOR, t { dims: [0], data_type } } }. */
function emptyConstant(name: string, elementType: number): Part[] {
  const tensor = field(5, [integer(1, 0), integer(2, elementType)]);
  const attribute = field(attributeOfNode, [...text(1, 'value'), integer(20, 4), ...tensor]);
  return field(nodeOfGraph, [...text(outputOfNode, name), ...text(4, 'Constant'), ...attribute]);
}

function identity(from: string, to: string): Part[] {
  return field(nodeOfGraph, [...text(1, from), ...text(outputOfNode, to), ...text(4, 'Identity')]);
}

function field(number: number, contents: readonly Part[]): Part[] {
  return [Uint8Array.from([...varint(number * 8 + 2), ...varint(lengthOf(contents))]), ...contents];
}

function text(number: number, value: string): Part[] {
  return field(number, [new TextEncoder().encode(value)]);
}

function integer(number: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(number * 8), ...varint(value)]);
}

/** Numbers below 2^53. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return bytes;
}
