/** `onnx`: the layers of ONNX models, on the command line. */
import { modelFiles } from '#platform';
import { messageOf, printable } from '../errors.js';
import { readModel, sourceOf } from '../models/onnx-model.js';
import { type ExposeOptions, exposeFile, exposeOutputs, listLayers } from '../onnx/expose.js';
import type { OnnxLayer } from '../onnx/layers.js';
import { extractSaturation, type OnnxFeeds, type OnnxSession, type OnnxTensor } from '../onnx/session.js';
import { measureWeights } from '../onnx/weights.js';
import { sourceFiles } from '../reader/places.js';
import { SaturationWriter } from '../saturation/saturation-writer.js';
import type { Spectrum } from '../statistics/spectrum.js';
import { decodeNpy, type NpyArray } from '../stores/npy.js';
import { type ImageOptions, type Images, readImages } from './images.js';
import { tagFilter, typedPath } from './runs.js';
import { writeJson } from './table.js';
import { plural, type Terminal, UsageError, writeTable } from './terminal.js';

/** Options of `onnx`, as typed. */
interface OnnxOptions extends ImageOptions {
  blocks?: boolean;
  batch?: string;
  json?: boolean;
  out?: string;
  tags?: string;
}

/** The part of onnxruntime-node and onnxruntime-web that is used here. */
interface Runtime {
  readonly InferenceSession: { create(model: Uint8Array | string): Promise<OnnxSession> };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => OnnxTensor;
}

const actions = ['layers', 'weights', 'expose', 'saturation'];

/** `onnx layers`, `onnx weights`, `onnx expose`, `onnx saturation`. Resolves to the exit code. */
export async function onnx(terminal: Terminal, args: readonly string[], options: OnnxOptions): Promise<number> {
  const [action, model, ...data] = args;
  if (action === undefined || !actions.includes(action)) {
    throw new UsageError("expected 'onnx layers', 'onnx weights', 'onnx expose' or 'onnx saturation'");
  }
  if (model === undefined) throw new UsageError('expected the path of an .onnx file');
  const path = typedPath(model, 'the path');
  const exposing = exposeOptionsOf(options);
  if (action === 'saturation') return saturation(terminal, path, data, exposing, options);
  if (data.length > 0) throw new UsageError(`expected one path, got ${1 + data.length}`);
  if (action === 'expose') {
    if (options.out === undefined) throw new UsageError('expected --out <path> for the edited model');
    await checkIsThere(path);
    const { layers, leftOut } = await exposeFile(path, typedPath(options.out, '--out'), exposing);
    for (const { name, why } of leftOut) terminal.writeError(`left out: ${printable(name)}: ${printable(why)}\n`);
    terminal.write(`${printable(options.out)}: ${plural(layers.length, 'layer')} are outputs now\n`);
    return 0;
  }
  if (action === 'weights') return weights(terminal, path, options);
  showLayers(terminal, listLayers(await bytesOf(path), exposing), options);
  return 0;
}

function exposeOptionsOf({ blocks, tags }: OnnxOptions): ExposeOptions {
  if (blocks === true && tags !== undefined) throw new UsageError('expected --blocks or --tags, got both');
  if (blocks === true) return { outputs: 'blocks' };
  if (tags === undefined) return {};
  const isWanted = tagFilter(tags);
  return { outputs: ({ path }) => isWanted(path) };
}

async function checkIsThere(path: string): Promise<void> {
  if ((await sourceFiles.kind(path)) !== 'file') throw new UsageError(`there is no file "${path}"`);
}

async function bytesOf(path: string): Promise<Uint8Array> {
  await checkIsThere(path);
  const file = modelFiles?.open(path);
  if (file === undefined) throw new Error('expected Node, got a browser');
  try {
    return file.read(0, file.size);
  } finally {
    file.close();
  }
}

function showLayers(terminal: Terminal, layers: readonly OnnxLayer[], { json }: OnnxOptions): void {
  if (json) {
    writeJson(terminal, layers);
    return;
  }
  const rows = layers.map(({ name, op, features, weight, value, insideOf }) => [
    name,
    op,
    features === undefined ? '' : String(features),
    weight === undefined ? '' : weight.shape.join(' x '),
    value,
    insideOf ?? '',
  ]);
  const header = ['layer', 'op', 'features', 'weight', 'output', 'inside of'];
  writeTable(terminal, header, rows, ['features']);
}

async function weights(terminal: Terminal, path: string, { json }: OnnxOptions): Promise<number> {
  const { layers, leftOut } = await measureWeights(await bytesOf(path));
  for (const { name, why } of leftOut) terminal.writeError(`left out: ${printable(name)}: ${printable(why)}\n`);
  if (json) {
    const rows = [...layers].map(([layer, { singularValues, ...measures }]) => ({ layer, ...measures }));
    writeJson(terminal, rows);
    return 0;
  }
  const numeric = ['alpha', 'alpha weighted', 'log alpha norm', 'log norm', 'log spectral norm', 'stable rank'];
  const rows = [...layers].map(([layer, found]) => [
    layer,
    `${found.shape.join(' x ')}${found.matrices > 1 ? ` x ${found.matrices}` : ''}`,
    ...[
      found.alpha,
      found.alphaWeighted,
      found.logAlphaNorm,
      found.logNorm,
      found.logSpectralNorm,
      found.stableRank,
    ].map((value) => (Number.isNaN(value) ? '' : value.toFixed(3))),
  ]);
  writeTable(terminal, ['layer', 'weight', ...numeric], rows, numeric);
  return 0;
}

async function saturation(
  terminal: Terminal,
  path: string,
  data: readonly string[],
  exposing: ExposeOptions,
  options: OnnxOptions,
): Promise<number> {
  if (data.length === 0)
    throw new UsageError(
      'expected .npy files of what goes into the model, or a folder of images: data.npy, input=data.npy, photos/',
    );
  const size = options.batch === undefined ? 32 : Number(options.batch);
  if (!Number.isSafeInteger(size) || size < 1)
    throw new UsageError(`--batch: expected an integer >= 1, got ${options.batch}`);
  await checkIsThere(path);
  const runtime = await loadRuntime();
  const { session, layers } = await openModel(runtime, path, exposing);
  const inputs = new Map<string, NpyArray | Images>();
  for (const text of data) {
    const [name, from] = typedInput(text, session);
    if (modelFiles?.list(from) === undefined) {
      inputs.set(name, decodeNpy(await bytesOf(from), `'${from}'`));
      continue;
    }
    const images = await readImages(from, await dimsOf(path, name), options);
    for (const each of images.unread)
      terminal.writeError(`left out: ${printable(each.path)}: ${printable(each.why)}\n`);
    inputs.set(name, images);
  }
  const counts = new Set([...inputs.values()].map(({ shape }) => shape[0]));
  if (counts.size !== 1) throw new Error(`expected files of as many items, got ${[...counts].join(' and ')}`);
  const [count] = counts;
  const batches = Array.from({ length: Math.ceil(count / size) }, (_, at) => {
    const to = Math.min(count, (at + 1) * size);
    const tensors = [...inputs].map(([name, array]) => [name, tensorOf(runtime, array, at * size, to)] as const);
    return Object.fromEntries(tensors) as OnnxFeeds;
  });
  const spectra = await extractSaturation(session, batches, { layers });
  if (options.out !== undefined) await writeRun(typedPath(options.out, '--out'), spectra);
  showSpectra(terminal, spectra, layers, options);
  return 0;
}

/** Any of the two runtimes that are installed beside this package. */
async function loadRuntime(): Promise<Runtime> {
  const causes: string[] = [];
  for (const name of ['onnxruntime-node', 'onnxruntime-web']) {
    try {
      const module = (await modelFiles?.load(name)) as Runtime & { default?: Runtime };
      return module.InferenceSession === undefined && module.default !== undefined ? module.default : module;
    } catch (error) {
      causes.push(messageOf(error));
    }
  }
  throw new Error(
    `onnx saturation needs an ONNX runtime: npm install onnxruntime-node (or onnxruntime-web). ${causes.join('; ')}`,
  );
}

async function openModel(
  { InferenceSession }: Runtime,
  path: string,
  exposing: ExposeOptions,
): Promise<{ session: OnnxSession; layers: readonly OnnxLayer[] }> {
  const file = modelFiles?.open(path);
  if (file === undefined) throw new Error('expected Node, got a browser');
  const { hasExternalData } = (() => {
    try {
      return readModel(file, `'${path}'`);
    } finally {
      file.close();
    }
  })();
  if (hasExternalData) {
    // A model names the files of its weights relative to itself.
    const edited = `${path.replace(/\.onnx$/, '')}.layers.onnx`;
    const { layers } = await exposeFile(path, edited, exposing);
    return { session: await InferenceSession.create(edited), layers };
  }
  const { bytes, layers } = exposeOutputs(await bytesOf(path), exposing);
  return { session: await InferenceSession.create(bytes), layers };
}

/** An input's name and a path: of `input=data.npy`, or of `data.npy` for a model with one input. */
function typedInput(text: string, { inputNames }: OnnxSession): readonly [name: string, path: string] {
  const equals = text.indexOf('=');
  const named = equals > 0 && inputNames.includes(text.slice(0, equals));
  if (!named && inputNames.length > 1) {
    const names = inputNames.map((each) => `${each}=data.npy`).join(' ');
    throw new UsageError(`expected a file for each input: ${names}`);
  }
  const path = named ? text.slice(equals + 1) : text;
  return [named ? text.slice(0, equals) : inputNames[0], typedPath(path, 'the data')];
}

/** The dims that a model says an input has; -1 for those that it leaves open. */
async function dimsOf(path: string, input: string): Promise<readonly number[]> {
  const { graph } = readModel(sourceOf(await bytesOf(path)), `'${path}'`);
  return graph.inputs.find(({ name }) => name === input)?.dims ?? [];
}

/** Items of an array as a tensor. Models take float32, and integers as int64. */
function tensorOf({ Tensor }: Runtime, array: NpyArray | Images, from: number, to: number): OnnxTensor {
  const { shape, values } = array;
  const length = values.length / shape[0];
  const part = values.subarray(from * length, to * length);
  const dims = [to - from, ...shape.slice(1)];
  if ('dtype' in array && array.dtype === 'int64') return new Tensor('int64', BigInt64Array.from(part, BigInt), dims);
  return new Tensor('float32', Float32Array.from(part), dims);
}

async function writeRun(logdir: string, spectra: ReadonlyMap<string, Spectrum>): Promise<void> {
  const writer = new SaturationWriter(`${logdir}/val`);
  for (const [layer, spectrum] of spectra) writer.addSaturation(layer, spectrum, 1);
  await writer.close();
}

function showSpectra(
  terminal: Terminal,
  spectra: ReadonlyMap<string, Spectrum>,
  layers: readonly OnnxLayer[],
  { json }: OnnxOptions,
): void {
  const ops = new Map(layers.map(({ name, op }) => [name, op]));
  const found = [...spectra].map(([layer, spectrum]) => ({
    layer,
    op: ops.get(layer) ?? '',
    rows: spectrum.samples ?? 0,
    features: spectrum.features,
    dimensions: spectrum.intrinsicDimensionality(),
    saturation: spectrum.saturation(),
    // What many rows would show.
    estimate: spectrum.saturationEstimate().saturation,
  }));
  if (json) {
    writeJson(terminal, found);
    return;
  }
  const numeric = ['rows', 'features', 'dimensions', 'saturation', 'with many rows'];
  const rows = found.map((each) => [
    each.layer,
    each.op,
    String(each.rows),
    String(each.features),
    String(each.dimensions),
    each.saturation.toFixed(3),
    Number.isNaN(each.estimate) ? 'too few rows' : each.estimate.toFixed(3),
  ]);
  writeTable(terminal, ['layer', 'op', ...numeric], rows, numeric);
}
