import { modelFiles, warn } from '#platform';
import { checkOptionNames, describe, didYouMean, messageOf, namesOf, type OptionNames } from '../errors.js';
import { lengthOf, type Part, withOutputs } from '../models/edit-model.js';
import { type ModelNode, type ModelSource, type OnnxModel, readModel, sourceOf } from '../models/onnx-model.js';
import { type FoundLayer, findBlocks, findLayers, type LeftOut, type OnnxFilter, type OnnxLayer } from './layers.js';

/** Which values of a model go out of it. */
export interface ExposeOptions {
  /**
   * 'layers' (default): every layer with weights, by rule. 'blocks': the hidden state behind each numbered block, as
   * `output_hidden_states` of transformers gives it. A list of names of values, nodes or layers; or a function that decides about
   * each node.
   */
  outputs?: 'layers' | 'blocks' | readonly string[] | OnnxFilter;
  /**
   * Whether a layer shows what it has before an activation that follows it as one node ('preActivation', default, which is what
   * Delve sees of a torch module), or behind ('output').
   */
  activations?: 'preActivation' | 'output';
  /** Layers of more features than this are left out, where their width is known. Default 4096. */
  maxFeatures?: number;
}

const optionNames: OptionNames<ExposeOptions> = { outputs: true, activations: true, maxFeatures: true };

/** A model whose layers are outputs. */
export interface ExposedModel {
  /** The edited model. */
  readonly bytes: Uint8Array;
  /** The layers, in the order of the graph. */
  readonly layers: readonly OnnxLayer[];
  /** What is no output, and why. */
  readonly leftOut: readonly LeftOut[];
}

/**
 * The layers of an ONNX model that `exposeOutputs` would make outputs.
 *
 * @throws RangeError if the bytes are no ONNX model, or no layer is found; TypeError for an option of another kind
 */
export function listLayers(model: Uint8Array, options: ExposeOptions = {}): OnnxLayer[] {
  const source = sourceFor(model, 'listLayers');
  return edited(source, options, 'listLayers').layers;
}

/**
 * Makes the layers of an ONNX model outputs of it. All other bytes of the model stay what they are; a session made from the
 * result has more outputs, and the same inputs.
 *
 * @param model the bytes of an `.onnx` file
 * @throws RangeError if the bytes are no ONNX model, or no layer is found; TypeError for an option of another kind
 */
export function exposeOutputs(model: Uint8Array, options: ExposeOptions = {}): ExposedModel {
  const source = sourceFor(model, 'exposeOutputs');
  const { parts, layers, leftOut } = edited(source, options, 'exposeOutputs');
  const bytes = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const piece of piecesOf(source, parts)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { bytes, layers, leftOut };
}

/**
 * As exposeOutputs, from file to file, of any size: weights pass in pieces, and weights in files of their own are not touched. Put
 * the edited model beside the original then, because it names them relative to itself.
 *
 * @param from path of an `.onnx` file
 * @param to path of the edited model
 */
export async function exposeFile(
  from: string,
  to: string,
  options: ExposeOptions = {},
): Promise<Omit<ExposedModel, 'bytes'>> {
  const { layers, leftOut } = exposeFileNow(from, to, options);
  return { layers, leftOut };
}

function exposeFileNow(from: string, to: string, options: ExposeOptions): Omit<ExposedModel, 'bytes'> {
  if (modelFiles === undefined) throw new Error('exposeFile: expected Node, got a browser: use exposeOutputs');
  const file = modelFiles.open(from);
  try {
    const { parts, layers, leftOut } = edited(file, options, `exposeFile '${from}'`);
    modelFiles.write(to, piecesOf(file, parts));
    return { layers, leftOut };
  } finally {
    file.close();
  }
}

/** Bytes of a part that are read at a time. */
const pieceBytes = 2 ** 22;

function* piecesOf(source: ModelSource, parts: readonly Part[]): Generator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Uint8Array) yield part;
    else
      for (let at = part.from; at < part.to; at += pieceBytes)
        yield source.read(at, Math.min(part.to, at + pieceBytes));
  }
}

/** A model's bytes as a source. @throws TypeError if they are no bytes */
export function sourceFor(model: Uint8Array, call: string): ModelSource {
  if (ArrayBuffer.isView(model)) return sourceOf(new Uint8Array(model.buffer, model.byteOffset, model.byteLength));
  if ((model as unknown) instanceof ArrayBuffer) return sourceOf(new Uint8Array(model as ArrayBuffer));
  throw new TypeError(`${call}: expected the bytes of an .onnx file, got ${describe(model)}`);
}

interface Edited extends Omit<ExposedModel, 'bytes'> {
  readonly parts: readonly Part[];
  readonly layers: OnnxLayer[];
}

function edited(source: ModelSource, options: ExposeOptions, call: string): Edited {
  checkOptionNames(call, options, optionNames);
  const { activations = 'preActivation', maxFeatures = 4096 } = options;
  if (activations !== 'preActivation' && activations !== 'output') {
    throw new RangeError(`${call}: activations: expected 'preActivation' or 'output', got ${describe(activations)}`);
  }
  if (!(maxFeatures >= 1))
    throw new RangeError(`${call}: maxFeatures: expected a number >= 1, got ${describe(maxFeatures)}`);
  const model = readModel(source, call);
  const { found, leftOut } = chosen(model, { ...options, activations }, call);
  const isWide = ({ layer }: FoundLayer) => layer.features !== undefined && layer.features > maxFeatures;
  const kept = found.filter((each) => !isWide(each));
  const wide = found.filter(isWide).map(({ layer }) => ({
    name: layer.name,
    why: `it has ${layer.features} features, more than maxFeatures = ${maxFeatures}`,
  }));
  if (kept.length === 0) {
    throw new RangeError(
      `${call}: outputs: expected a layer of at most maxFeatures = ${maxFeatures} features, got ${namesOf(found.map(({ layer }) => layer.name))}`,
    );
  }
  const { parts, outputs } = withOutputs(
    model,
    source.size,
    kept.map(({ wanted }) => wanted),
  );
  const layers = kept.map(({ layer }, index) => ({ ...layer, value: outputs[index] }));
  return { parts, layers, leftOut: [...leftOut, ...wide] };
}

function chosen(
  model: OnnxModel,
  { outputs = 'layers', activations = 'preActivation' }: ExposeOptions,
  call: string,
): { found: FoundLayer[]; leftOut: LeftOut[] } {
  if (outputs === 'blocks') {
    const found = findBlocks(model);
    if (found.length > 0) return { found, leftOut: [] };
    throw new RangeError(
      `${call}: outputs: expected numbered blocks such as 'encoder/layer.0', got a model without any`,
    );
  }
  if (Array.isArray(outputs)) return { found: named(model, outputs, activations, call), leftOut: [] };
  if (outputs !== 'layers' && typeof outputs !== 'function') {
    throw new TypeError(
      `${call}: outputs: expected 'layers', 'blocks', a list of names or a function, got ${describe(outputs)}`,
    );
  }
  const filter = typeof outputs === 'function' ? checkedFilter(outputs, call) : undefined;
  const { found, leftOut } = findLayers(model, { filter, activations });
  if (found.length > 0) return { found, leftOut };
  const ops = [...new Set(model.graph.nodes.map(({ op }) => op))];
  const reason =
    filter !== undefined
      ? 'outputs: expected the function to keep at least one node, got false for all'
      : leftOut.length > 0
        ? `expected a layer that can be reached, got ${namesOf(leftOut.map(({ name }) => name))} ${leftOut[0].why}`
        : `expected a layer with weights, got nodes of ${namesOf(ops)}`;
  throw new RangeError(`${call}: ${reason}`);
}

function checkedFilter(filter: OnnxFilter, call: string): OnnxFilter {
  return (node) => {
    const verdict = filter(node);
    if (typeof verdict === 'boolean' || typeof verdict === 'string') return verdict;
    throw new TypeError(
      `${call}: outputs: expected the function to return a boolean or a string for node '${node.path}', got ${describe(verdict)}`,
    );
  };
}

/** The values that a list names: as a layer, a node or a value. */
function named(
  model: OnnxModel,
  names: readonly string[],
  activations: NonNullable<ExposeOptions['activations']>,
  call: string,
): FoundLayer[] {
  // Every node with an output, under the name that it would have as a layer.
  const { found: all } = findLayers(model, { filter: ({ path }) => path, activations });
  const { found: layers } = findLayers(model, { filter: undefined, activations });
  const nodes = new Map(model.graph.nodes.flatMap((node) => (node.name === '' ? [] : [[node.name, node] as const])));
  const producer = new Map(model.graph.nodes.flatMap((node) => node.outputs.map((value) => [value, node] as const)));
  return names.map((name) => {
    if (typeof name !== 'string') {
      throw new TypeError(`${call}: outputs: expected names, got ${describe(name)} in the list`);
    }
    const layer = layers.find((each) => each.layer.name === name);
    if (layer !== undefined) return layer;
    const value = producer.has(name) ? name : nodes.get(name)?.outputs.find((output) => output !== '');
    const node = value === undefined ? undefined : producer.get(value);
    if (value === undefined || node === undefined) throw unknownName(model, name, [...layers, ...all], call);
    const same = layers.find((each) => each.layer.value === value || each.layer.value === node.outputs[0]);
    const as = same?.layer ?? { op: node.op, kind: 'sequence' as const, recurrent: false, layout: 'rows' as const };
    const elementType = model.graph.values.get(value)?.elementType ?? 1;
    const isOutput = model.graph.outputs.some((output) => output.name === value);
    return { layer: { ...as, name, value, isOutput }, wanted: { value, within: [], elementType }, weight: undefined };
  });
}

function unknownName(model: OnnxModel, name: string, known: readonly FoundLayer[], call: string): RangeError {
  const holder = model.graph.nodes.find((node) => holds(node, name));
  const names = [...new Set(known.flatMap(({ layer }) => [layer.name, layer.value]))];
  const advice =
    holder !== undefined
      ? `; it is inside of ${holder.op} '${holder.name}', whose values go out by outputs: 'layers' or a function only`
      : didYouMean(name, names, `the layers are ${namesOf(known.map(({ layer }) => layer.name))}`);
  return new RangeError(`${call}: outputs: expected names of layers, nodes or values, got '${name}'${advice}`);
}

/** Whether a value is made inside of a node. */
function holds({ subgraphs }: ModelNode, value: string): boolean {
  return subgraphs.some(({ graph }) =>
    graph.nodes.some((node) => node.outputs.includes(value) || node.name === value || holds(node, value)),
  );
}

/** The class of a runtime whose static `create` makes sessions: `InferenceSession` of onnxruntime-node or onnxruntime-web. */
export interface SessionClass {
  /** Makes a session of a model: a path, an address, or bytes. */
  create(...args: never[]): Promise<object>;
}

/** Sessions whose layers are outputs, until `restore`. */
export interface ExposedSessions extends Disposable {
  /** The layers of a session that was made meanwhile; undefined for others. */
  layersOf(session: object): readonly OnnxLayer[] | undefined;
  /** Sessions that are made from now on have their own outputs only. The same as `[Symbol.dispose]`. */
  restore(): void;
}

/** The layers of the sessions that exposeSessions has seen. */
const layersOfSessions = new WeakMap<object, readonly OnnxLayer[]>();

/** The layers that are outputs of a session, if it was made under exposeSessions. */
export function knownLayersOf(session: object): readonly OnnxLayer[] | undefined {
  return layersOfSessions.get(session);
}

/**
 * Makes the layers outputs of every session that is made from now on: of a pipeline of transformers.js, say, which loads its model
 * itself and uses the same class. A model that cannot be edited is loaded as it is, with a warning.
 *
 * Models on a disk whose weights are in files of their own are written beside the original, as `<name>.layers.onnx`.
 *
 * @param InferenceSession the class of onnxruntime-node or onnxruntime-web
 */
export function exposeSessions(InferenceSession: SessionClass, options: ExposeOptions = {}): ExposedSessions {
  if (typeof InferenceSession?.create !== 'function') {
    throw new TypeError(
      `exposeSessions: expected the class InferenceSession of an ONNX runtime, got ${describe(InferenceSession)}`,
    );
  }
  checkOptionNames('exposeSessions', options, optionNames);
  const owner = InferenceSession as { create: (...args: unknown[]) => Promise<object> };
  const original = owner.create;
  const create = async (...args: unknown[]): Promise<object> => {
    let found: { args: unknown[]; layers: readonly OnnxLayer[] };
    try {
      found = await exposedArguments(args, options);
    } catch (error) {
      warn(`exposeSessions: a model is loaded without its layers: ${messageOf(error)}`);
      return original.apply(owner, args);
    }
    const session = await original.apply(owner, found.args);
    layersOfSessions.set(session, found.layers);
    return session;
  };
  owner.create = create;
  const restore = () => {
    // Somebody may have wrapped it once more: then ours must stay below.
    if (owner.create === create) owner.create = original;
  };
  return { layersOf: knownLayersOf, restore, [Symbol.dispose]: restore };
}

/** The arguments of `create` with the edited model in place of the model. */
async function exposedArguments(
  args: readonly unknown[],
  options: ExposeOptions,
): Promise<{ args: unknown[]; layers: readonly OnnxLayer[] }> {
  const [model, ...rest] = args;
  if (typeof model === 'string') {
    if (modelFiles === undefined || /^(https?|blob|data):/.test(model)) {
      const response = await fetch(model);
      if (!response.ok) throw new Error(`'${model}' was answered with ${response.status}`);
      const { bytes, layers } = exposeOutputs(new Uint8Array(await response.arrayBuffer()), options);
      return { args: [bytes, ...rest], layers };
    }
    const file = modelFiles.open(model);
    try {
      if (readModel(file, 'exposeSessions').hasExternalData) {
        const to = `${model.replace(/\.onnx$/, '')}.layers.onnx`;
        const { layers } = exposeFileNow(model, to, options);
        return { args: [to, ...rest], layers };
      }
      const { bytes, layers } = exposeOutputs(file.read(0, file.size), options);
      return { args: [bytes, ...rest], layers };
    } finally {
      file.close();
    }
  }
  if (ArrayBuffer.isView(model)) {
    const { bytes, layers } = exposeOutputs(model as Uint8Array, options);
    return { args: [bytes, ...rest], layers };
  }
  if (model instanceof ArrayBuffer) {
    // create(buffer, byteOffset, byteLength, options)
    const [offset, length] = typeof rest[0] === 'number' ? [rest.shift(), rest.shift()] : [0, model.byteLength];
    const { bytes, layers } = exposeOutputs(new Uint8Array(model, Number(offset), Number(length)), options);
    return { args: [bytes, ...rest], layers };
  }
  throw new TypeError(`expected a path, an address or bytes, got ${describe(model)}`);
}

/** The part of the Cache interface that transformers.js asks of `env.customCache`. */
export interface ModelCache {
  /** What is kept of an address: a response, the path of a file, or undefined. */
  match(request: string): Promise<Response | string | undefined>;
  /** Keeps a response. */
  put(request: string, response: Response): Promise<void>;
}

/** A cache that answers with edited models. */
export interface ExposingCache extends ModelCache {
  /** The layers of the models that were answered, by address. */
  readonly layers: ReadonlyMap<string, readonly OnnxLayer[]>;
}

/**
 * A cache for transformers.js in a page (`env.useCustomCache = true; env.customCache = exposingCache()`), where its sessions are out
 * of reach: it answers the requests for `.onnx` files with models whose layers are outputs.
 *
 * @param inner the cache behind it, such as `await caches.open('models')`; default none
 */
export function exposingCache(inner?: ModelCache, options: ExposeOptions = {}): ExposingCache {
  checkOptionNames('exposingCache', options, optionNames);
  const layers = new Map<string, readonly OnnxLayer[]>();
  return {
    layers,
    async match(request) {
      const known = await inner?.match(request);
      if (!/\.onnx(\?.*)?$/.test(request)) return known;
      if (typeof known === 'string') return known;
      // transformers.js uses what it fetches itself as it is: so a model that is not there yet is fetched here.
      const response = known ?? (/^https?:/.test(request) ? await fetch(request) : undefined);
      if (response === undefined || !response.ok) return undefined;
      if (known === undefined) await inner?.put(request, response.clone());
      try {
        const exposed = exposeOutputs(new Uint8Array(await response.clone().arrayBuffer()), options);
        layers.set(request, exposed.layers);
        return new Response(exposed.bytes as Uint8Array<ArrayBuffer>, {
          headers: { 'content-type': 'application/octet-stream' },
        });
      } catch (error) {
        warn(`exposingCache: '${request}' is loaded without its layers: ${messageOf(error)}`);
        return response;
      }
    },
    async put(request, response) {
      await inner?.put(request, response);
    },
  };
}
