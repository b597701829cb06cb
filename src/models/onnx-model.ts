import { describe, messageOf } from '../errors.js';

/*
 * ONNX models, read: which nodes a graph has, what is constant, and where each part stands in the file. What is not needed is
 * never read: the weights of a model of two gigabytes stay on the disk.
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */

/** Where a model's bytes come from. */
export interface ModelSource {
  /** Number of bytes. */
  readonly size: number;
  /** The bytes from `from` up to `to`, which are within the size. */
  read(from: number, to: number): Uint8Array;
}

/** A model in memory. */
export function sourceOf(bytes: Uint8Array): ModelSource {
  return { size: bytes.length, read: (from, to) => bytes.subarray(from, to) };
}

/** Bytes from `from` up to `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** A tensor of constants, without its values. */
export interface ConstantTensor {
  readonly dims: readonly number[];
  /** Element type: 1 float, 3 int8, 7 int64, 10 float16, 11 double, 16 bfloat16 ... */
  readonly type: number;
  /** Whether its values are in another file. */
  readonly isExternal: boolean;
  /** The dims of the values as they stand, if a Transpose of a matrix follows. */
  readonly storedDims?: readonly number[];
  /** Where its values stand as little-endian bytes; undefined if they stand in another way. */
  readonly raw: Range | undefined;
  /** Where its values stand as one packed list of float32. */
  readonly floats: Range | undefined;
}

/** A graph inside of a node: a branch of If, the body of Loop or Scan. */
export interface Subgraph {
  /** Name of the attribute, such as `then_branch`. */
  readonly name: string;
  readonly graph: Graph;
  /** The attribute's field in its node, with its tag; its contents; and the graph's field in these, with its tag. */
  readonly attribute: Range;
  readonly range: Range;
  readonly field: Range;
}

/** A node of a graph. */
export interface ModelNode {
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  /** Names of values; '' for one that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Attributes that are a number or a text; of one that is a list of numbers, '[]'. */
  readonly attributes: ReadonlyMap<string, number | string>;
  /** The tensor of a Constant. */
  readonly tensor: ConstantTensor | undefined;
  readonly subgraphs: readonly Subgraph[];
  /** The names of the modules that torch's exporter notes, from the outermost to the operation. */
  readonly scopes: readonly string[];
  /** The node's field in its graph, with its tag; and its contents. */
  readonly field: Range;
  readonly range: Range;
}

/** An input or output of a graph, or a value whose type is noted. */
export interface ModelValue {
  readonly name: string;
  /** Element type of a tensor; 0 if it is not said. */
  readonly elementType: number;
  /** Its dims, -1 for one that is not a number; undefined if they are not said. */
  readonly dims: readonly number[] | undefined;
  /** The contents of its type; undefined if there is none. */
  readonly type: Range | undefined;
}

/** A graph. */
export interface Graph {
  readonly nodes: readonly ModelNode[];
  readonly initializers: ReadonlyMap<string, ConstantTensor>;
  readonly inputs: readonly ModelValue[];
  readonly outputs: readonly ModelValue[];
  /** Values whose types are noted, by name. */
  readonly values: ReadonlyMap<string, ModelValue>;
  readonly range: Range;
}

/** A function that a model defines: a node whose operator it is runs its nodes. */
export interface ModelFunction {
  /** Names of its inputs, in the order of the inputs of a node that calls it. */
  readonly inputs: readonly string[];
  readonly nodes: readonly ModelNode[];
}

/** A model. */
export interface OnnxModel {
  readonly graph: Graph;
  /** The graph's field, with its tag. */
  readonly field: Range;
  /** The functions that the model defines, by `domain:name`. */
  readonly functions: ReadonlyMap<string, ModelFunction>;
  /** Whether values of constants are in other files. */
  readonly hasExternalData: boolean;
}

/** Graphs in graphs in graphs: no model has so many, and a reader must not run out of its stack. */
const mostNested = 30;
/** Texts of more bytes than this are no names. */
const longestText = 2 ** 20;
const windowBytes = 2 ** 16;

/** A place in a model's bytes. Only what is looked at is read, a window at a time. */
class Cursor {
  readonly #source: ModelSource;
  #window: Uint8Array = new Uint8Array(0);
  #start = 0;
  position = 0;
  /** Of the field read last: its number, its first byte, and where its contents are. */
  number = 0;
  wireType = 0;
  start = 0;
  from = 0;
  to = 0;
  /** The value of a varint. */
  value = 0;

  constructor(source: ModelSource) {
    this.#source = source;
  }

  /** Reads the next field of the message that ends at `end`; false at its end. */
  field(end: number): boolean {
    if (this.position >= end) return false;
    this.start = this.position;
    const tag = this.#varint(end);
    this.number = Math.floor(tag / 8);
    this.wireType = tag % 8;
    switch (this.wireType) {
      case 0:
        this.value = this.#varint(end);
        break;
      case 1:
        this.position += 8;
        break;
      case 2: {
        const length = this.#varint(end);
        this.from = this.position;
        this.to = this.from + length;
        this.position = this.to;
        break;
      }
      case 5:
        this.position += 4;
        break;
      default:
        throw new RangeError(`a field ${this.number} of the wire type ${this.wireType}`);
    }
    if (this.number === 0) throw new RangeError('a field with the number 0');
    if (this.position > end) throw new RangeError(`a field ${this.number} that ends beyond its message`);
    return true;
  }

  /** Visits the fields of the message in a range; afterwards the cursor stands where it stood. */
  each({ from, to }: Range, visit: () => void): void {
    const back = this.position;
    this.position = from;
    while (this.field(to)) {
      const next = this.position;
      visit();
      this.position = next;
    }
    this.position = back;
  }

  get range(): Range {
    return { from: this.from, to: this.to };
  }

  /** The text of the field read last. */
  text(): string {
    if (this.wireType !== 2) throw new RangeError(`a field ${this.number} that is no text`);
    if (this.to - this.from > longestText) throw new RangeError(`a name of ${this.to - this.from} bytes`);
    return new TextDecoder().decode(this.#source.read(this.from, this.to));
  }

  /** The numbers of the field read last, packed or one. */
  numbers(): number[] {
    if (this.wireType === 0) return [this.value];
    const { from, to } = this.range;
    if (to - from > longestText) throw new RangeError(`a list of numbers of ${to - from} bytes`);
    const back = this.position;
    const numbers: number[] = [];
    for (this.position = from; this.position < to; ) numbers.push(this.#varint(to));
    this.position = back;
    return numbers;
  }

  /** An int64 as a number. */
  #varint(end: number): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.position >= end) throw new RangeError('a number that is cut off');
      const byte = this.#byte(this.position++);
      if (shift < 28) low += (byte & 0x7f) * 2 ** shift;
      else high += (byte & 0x7f) * 2 ** (shift - 28);
      // high counts units of 2^28: from 2^35 of them on, the int64 is negative.
      if (byte < 0x80) return high >= 2 ** 35 ? (high - 2 ** 36) * 2 ** 28 + low : high * 2 ** 28 + low;
    }
    throw new RangeError('a number of more than 10 bytes');
  }

  #byte(at: number): number {
    if (at < this.#start || at >= this.#start + this.#window.length) {
      this.#start = at;
      this.#window = this.#source.read(at, Math.min(this.#source.size, at + windowBytes));
    }
    return this.#window[at - this.#start];
  }
}

/**
 * Reads a model.
 *
 * @param call what is given the model, for errors
 * @throws TypeError or RangeError that says what the bytes are instead, or where they are damaged
 */
export function readModel(source: ModelSource, call: string): OnnxModel {
  const other = whatElse(source);
  if (other !== undefined) throw new RangeError(`${call}: expected an ONNX model, got ${other}`);
  const cursor = new Cursor(source);
  const functions = new Map<string, ModelFunction>();
  let graphs: { graph: Graph; field: Range } | undefined;
  let count = 0;
  try {
    cursor.each({ from: 0, to: source.size }, () => {
      if (cursor.wireType !== 2) return;
      if (cursor.number === 7) {
        count++;
        const field = { from: cursor.start, to: cursor.to };
        graphs = { graph: readGraph(cursor, cursor.range, 0), field };
      } else if (cursor.number === 25) functions.set(...readFunction(cursor, cursor.range));
    });
  } catch (error) {
    const where = `byte ${cursor.start} of ${source.size}`;
    throw new RangeError(
      `${call}: expected an ONNX model, got ${messageOf(error)} (${where}): the file may be cut off`,
      {
        cause: error,
      },
    );
  }
  // Parsers would merge them, but not all do.
  if (count > 1) throw new RangeError(`${call}: expected a model with one graph, got ${count} graph fields`);
  if (graphs === undefined || (graphs.graph.nodes.length === 0 && graphs.graph.outputs.length === 0)) {
    throw new RangeError(`${call}: expected an ONNX model, got ${source.size} bytes without a graph`);
  }
  return { ...graphs, functions, hasExternalData: isExternal(graphs.graph) };
}

function isExternal({ initializers, nodes }: Graph): boolean {
  for (const tensor of initializers.values()) if (tensor.isExternal) return true;
  return nodes.some(
    ({ tensor, subgraphs }) => tensor?.isExternal === true || subgraphs.some(({ graph }) => isExternal(graph)),
  );
}

/** What bytes are that are often taken for a model; undefined if they may be one. */
function whatElse(source: ModelSource): string | undefined {
  if (!(source.size >= 0)) return describe(source);
  if (source.size === 0) return 'an empty file';
  const start = source.read(0, Math.min(64, source.size));
  const text = String.fromCharCode(...start);
  if (/^\s*<(!doctype|html)/i.test(text)) return 'an HTML page';
  if (text.startsWith('version https://git-lfs')) return 'the pointer of Git LFS: `git lfs pull` fetches the file';
  if (start[0] === 0x1f && start[1] === 0x8b) return 'a gzip file';
  if (text.startsWith('PK')) return 'a zip file';
  if (text.slice(4, 8) === 'ORTM')
    return 'a file in the ORT format, which has no graph to edit: convert the .onnx file';
  if (text.startsWith('{') || text.startsWith('[')) return 'JSON';
  return undefined;
}

function readFunction(cursor: Cursor, range: Range): [key: string, ModelFunction] {
  let name = '';
  let domain = '';
  const inputs: string[] = [];
  const nodes: ModelNode[] = [];
  cursor.each(range, () => {
    if (cursor.wireType !== 2) return;
    if (cursor.number === 1) name = cursor.text();
    else if (cursor.number === 10) domain = cursor.text();
    else if (cursor.number === 4) inputs.push(cursor.text());
    else if (cursor.number === 7) {
      nodes.push(readNode(cursor, { from: cursor.start, to: cursor.to }, cursor.range, 0));
    }
  });
  return [`${domain}:${name}`, { inputs, nodes }];
}

function readGraph(cursor: Cursor, range: Range, depth: number): Graph {
  if (depth > mostNested) throw new RangeError(`graphs nested more than ${mostNested} deep`);
  const nodes: ModelNode[] = [];
  const initializers = new Map<string, ConstantTensor>();
  const inputs: ModelValue[] = [];
  const outputs: ModelValue[] = [];
  const values = new Map<string, ModelValue>();
  const addTensor = (at: Range) => {
    const { name, tensor } = readTensor(cursor, at);
    initializers.set(name, tensor);
  };
  cursor.each(range, () => {
    if (cursor.wireType !== 2) return;
    const contents = cursor.range;
    switch (cursor.number) {
      case 1:
        nodes.push(readNode(cursor, { from: cursor.start, to: cursor.to }, contents, depth));
        break;
      case 5:
        addTensor(contents);
        break;
      case 11:
        inputs.push(readValue(cursor, contents));
        break;
      case 12:
        outputs.push(readValue(cursor, contents));
        break;
      case 13: {
        const value = readValue(cursor, contents);
        values.set(value.name, value);
        break;
      }
      case 15:
        // A sparse tensor: its values are a tensor whose name is that of the whole.
        cursor.each(contents, () => {
          if (cursor.number === 1 && cursor.wireType === 2) addTensor(cursor.range);
        });
        break;
    }
  });
  return { nodes, initializers, inputs, outputs, values, range };
}

function readNode(cursor: Cursor, field: Range, range: Range, depth: number): ModelNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, number | string>();
  const subgraphs: Subgraph[] = [];
  let [name, op, domain] = ['', '', ''];
  let tensor: ConstantTensor | undefined;
  let scopes: string[] = [];
  cursor.each(range, () => {
    switch (cursor.number) {
      case 1:
        inputs.push(cursor.text());
        break;
      case 2:
        outputs.push(cursor.text());
        break;
      case 3:
        name = cursor.text();
        break;
      case 4:
        op = cursor.text();
        break;
      case 7:
        domain = cursor.text();
        break;
      case 5: {
        const found = readAttribute(cursor, { from: cursor.start, to: cursor.to }, cursor.range, depth);
        if (found.value !== undefined) attributes.set(found.name, found.value);
        tensor ??= found.tensor;
        if (found.subgraph !== undefined) subgraphs.push(found.subgraph);
        break;
      }
      case 9: {
        const [key, value] = readEntry(cursor, cursor.range);
        // A list as Python prints it.
        if (key === 'pkg.torch.onnx.name_scopes') scopes = [...value.matchAll(/'([^']*)'/g)].map(([, scope]) => scope);
        break;
      }
    }
  });
  return { name, op, domain, inputs, outputs, attributes, tensor, subgraphs, scopes, field, range };
}

interface ReadAttribute {
  readonly name: string;
  readonly value?: number | string;
  readonly tensor?: ConstantTensor;
  readonly subgraph?: Subgraph;
}

function readAttribute(cursor: Cursor, attribute: Range, range: Range, depth: number): ReadAttribute {
  let name = '';
  let value: number | string | undefined;
  let tensor: ConstantTensor | undefined;
  let graph: Graph | undefined;
  let field: Range = range;
  let count: number | undefined;
  cursor.each(range, () => {
    const { number, wireType } = cursor;
    if (number === 1) name = cursor.text();
    else if (number === 3 && wireType === 0) ({ value } = cursor);
    else if (number === 4 && wireType === 2 && cursor.to - cursor.from < 1024) value = cursor.text();
    else if (number === 5 && wireType === 2) ({ tensor } = readTensor(cursor, cursor.range));
    else if (number === 6 && wireType === 2) {
      field = { from: cursor.start, to: cursor.to };
      graph = readGraph(cursor, cursor.range, depth + 1);
    }
    // value_floats, value_ints: a list of floats comes as one field or as many.
    else if (number === 7 || number === 8) count = (count ?? 0) + (wireType === 2 ? (cursor.to - cursor.from) / 4 : 1);
  });
  if (tensor === undefined && count !== undefined && name.startsWith('value')) {
    tensor = { dims: [Math.ceil(count)], type: 1, isExternal: false, raw: undefined, floats: undefined };
  }
  if (count !== undefined && tensor === undefined) value ??= '[]';
  return { name, value, tensor, subgraph: graph && { name, graph, attribute, range, field } };
}

function readEntry(cursor: Cursor, range: Range): [key: string, value: string] {
  let key = '';
  let value = '';
  cursor.each(range, () => {
    if (cursor.number === 1) key = cursor.text();
    else if (cursor.number === 2) value = cursor.text();
  });
  return [key, value];
}

function readTensor(cursor: Cursor, range: Range): { name: string; tensor: ConstantTensor } {
  const dims: number[] = [];
  let name = '';
  let type = 0;
  let isExternalTensor = false;
  let raw: Range | undefined;
  let floats: Range | undefined;
  cursor.each(range, () => {
    if (cursor.number === 1) dims.push(...cursor.numbers());
    else if (cursor.number === 2 && cursor.wireType === 0) type = cursor.value;
    else if (cursor.number === 4 && cursor.wireType === 2) floats = cursor.range;
    else if (cursor.number === 8) name = cursor.text();
    else if (cursor.number === 9 && cursor.wireType === 2) raw = cursor.range;
    else if (cursor.number === 14 && cursor.wireType === 0) isExternalTensor = cursor.value === 1;
  });
  return { name, tensor: { dims, type, isExternal: isExternalTensor, raw, floats } };
}

function readValue(cursor: Cursor, range: Range): ModelValue {
  let name = '';
  let type: Range | undefined;
  let elementType = 0;
  let dims: number[] | undefined;
  cursor.each(range, () => {
    if (cursor.number === 1) name = cursor.text();
    else if (cursor.number === 2 && cursor.wireType === 2) {
      type = cursor.range;
      cursor.each(type, () => {
        if (cursor.number !== 1 || cursor.wireType !== 2) return;
        cursor.each(cursor.range, () => {
          if (cursor.number === 1 && cursor.wireType === 0) elementType = cursor.value;
          else if (cursor.number === 2 && cursor.wireType === 2) dims = readDims(cursor, cursor.range);
        });
      });
    }
  });
  return { name, elementType, dims, type };
}

function readDims(cursor: Cursor, range: Range): number[] {
  const dims: number[] = [];
  cursor.each(range, () => {
    if (cursor.number !== 1 || cursor.wireType !== 2) return;
    let size = -1;
    cursor.each(cursor.range, () => {
      if (cursor.number === 1 && cursor.wireType === 0) size = cursor.value;
    });
    dims.push(size);
  });
  return dims;
}
