import { writesToTerminal, writeTerminal } from '#platform';
import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import {
  ArrayAccumulators,
  type ArrayOutput,
  arrayOutput,
  checkObserveOptions,
  type ObserveOptions,
} from '../recording/array-output.js';
import { FailureLog } from '../recording/failures.js';
import { type RecorderOptions, recorderOptionNames, resolveRecorderOptions } from '../recording/options.js';
import { newRun } from '../recording/row-selection.js';
import { SampleRecorder } from '../recording/sample-recorder.js';
import type { SaturationRecorder } from '../recording/saturation-recorder.js';
import { spectraOf } from '../recording/spectra.js';
import type { Split } from '../saturation/epoch.js';
import type { Spectrum } from '../statistics/spectrum.js';
import { type NumericArray, type OnnxTensorLike, readNumbers, whenRead } from '../summaries/numbers.js';
import { knownLayersOf } from './expose.js';
import type { OnnxLayer } from './layers.js';

/** A tensor of an ONNX runtime. */
export interface OnnxTensor extends OnnxTensorLike {
  /** Releases its memory. */
  dispose?(): void;
}

/** What goes into a model, by the names of its inputs. */
export type OnnxFeeds = Readonly<Record<string, OnnxTensor>>;

/** A session of onnxruntime-node, onnxruntime-web or transformers.js. */
export interface OnnxSession {
  /** The names of the model's inputs. */
  readonly inputNames: readonly string[];
  /** The names of its outputs. */
  readonly outputNames: readonly string[];
  /** Runs the model. @param fetches the outputs that are wanted; all if it is left out */
  run(feeds: OnnxFeeds, fetches?: readonly string[]): Promise<Readonly<Record<string, OnnxTensor>>>;
}

/**
 * Which steps of sequences are padding: the name of the input that says so (default 'attention_mask': N x T, 0 for padding), false
 * for none, or a function of a layer and the inputs that returns N x T numbers.
 */
export type OnnxMask =
  | string
  | false
  | ((layer: OnnxLayer, feeds: OnnxFeeds) => ArrayLike<number | bigint> | undefined);

/** Options of extractSaturation: how activations are read, as for a SaturationRecorder. */
export interface OnnxExtractOptions<B = OnnxFeeds>
  extends Omit<
    RecorderOptions,
    | 'stats'
    | 'saveTo'
    | 'initialEpoch'
    | 'resetCovariance'
    | 'averageSaturation'
    | 'profileHistogram'
    | 'storedEigenvalues'
  > {
  /** The layers, as exposeOutputs returns them. Default: those of a session that was made under exposeSessions. */
  layers?: readonly OnnxLayer[];
  /** Which steps of sequences are padding. Default: those that the input `attention_mask` says. */
  mask?: OnnxMask;
  /**
   * Runs the model on a batch that is no set of inputs, such as `async (text) => model(await tokenizer(text))`; what the session runs
   * meanwhile is recorded. Default: the batch is a set of inputs.
   */
  run?: (batch: B) => Promise<unknown>;
  /** How many layers are outputs of one run: with fewer, the model runs several times for a batch and takes less memory. Default all. */
  layersPerRun?: number;
  /** Whether to draw a progress line on the terminal. Default: true if standard error is a terminal. */
  progress?: boolean;
}

const {
  stats,
  saveTo,
  initialEpoch,
  resetCovariance,
  averageSaturation,
  profileHistogram,
  storedEigenvalues,
  ...readingNames
} = recorderOptionNames;
const extractOptionNames: OptionNames<OnnxExtractOptions<never>> = {
  ...readingNames,
  layers: true,
  mask: true,
  run: true,
  layersPerRun: true,
  progress: true,
};

/**
 * The spectra of the layers of an ONNX model over a data set, by layer in the order of the graph. Any threshold and rule can be
 * asked of them afterwards. Layers of which no row came are left out.
 *
 * ```js
 * const { bytes, layers } = exposeOutputs(await readFile('model.onnx'));
 * const session = await InferenceSession.create(bytes);
 * const spectra = await extractSaturation(session, batches, { layers });
 * ```
 *
 * @param session made from the edited model
 * @param batches a list, an iterable or an async iterable of inputs by name; or of what the option `run` takes
 * @throws TypeError or RangeError if an argument is of another kind or there is no batch; what the session throws, too
 */
export async function extractSaturation<B = OnnxFeeds>(
  session: OnnxSession,
  batches: Iterable<B> | AsyncIterable<B>,
  options: OnnxExtractOptions<B> = {},
): Promise<Map<string, Spectrum>> {
  const call = 'extractSaturation';
  checkOptionNames(call, options, extractOptionNames);
  const { layers: given, mask = 'attention_mask', run, layersPerRun, progress = writesToTerminal(), ...rest } = options;
  checkSession(session, call);
  const layers = checkedLayers(session, given, call);
  const perRun = layersPerRun ?? layers.length;
  if (!Number.isSafeInteger(perRun) || perRun < 1) {
    throw new RangeError(`${call}: layersPerRun: expected an integer >= 1, got ${describe(layersPerRun)}`);
  }
  const resolved = resolveRecorderOptions(
    { ...rest, sampling: rest.sampling ?? 'auto', stats: ['spectrum'], saveTo: [] },
    call,
  );
  const failures = new FailureLog(`${call}: `);
  const samples = new SampleRecorder(
    resolved,
    new ArrayAccumulators(),
    failures.add,
    new Map(layers.map(({ name, features }) => [name, features])),
    layers.map(({ name }) => name),
  );
  /** How many items all batches bring, if that is known. */
  let items: number | undefined;
  const record = (feeds: OnnxFeeds, outputs: Readonly<Record<string, OnnxTensor>>, batch: number): Promise<unknown>[] =>
    layers.flatMap((layer) => {
      const tensor = outputs[layer.value];
      if (tensor === undefined) return [];
      let reading: Promise<unknown> | undefined;
      try {
        warnOfIntegers(layer, tensor, failures);
        const pass = passOf(layer, tensor, maskOf(mask, layer, feeds), call);
        if (pass === undefined) return [];
        const { output, observe } = pass;
        const { view, mask: used } = checkObserveOptions(output.shape, observe, resolved, `layer '${layer.name}'`);
        const read = () => {
          const values = output.read();
          if (values instanceof Promise) reading = values;
          return values;
        };
        const at = { output: { ...output, read }, view, mask: used, batch: { run: batch, index: 0 } };
        samples.add('val', layer.name, { ...at, expectedItems: items });
      } catch (error) {
        failures.add(error, `layer '${layer.name}'`);
      }
      return reading === undefined ? [] : [reading.catch(() => {})];
    });
  let count = 0;
  try {
    for await (const batch of checkedBatches(batches, call)) {
      rest.signal?.throwIfAborted();
      const number = newRun();
      if (run !== undefined) {
        const reading: Promise<unknown>[] = [];
        const tap = wrapRun(session, layers, (feeds, outputs) => {
          const now = record(feeds, outputs, number);
          reading.push(...now);
          return now;
        });
        try {
          await run(batch);
          await Promise.all(reading);
        } finally {
          tap.restore();
        }
      } else {
        const feeds = checkedFeeds(batch, session, call);
        items ??= Array.isArray(batches) ? batches.length * itemsIn(feeds) : undefined;
        for (let from = 0; from < layers.length; from += perRun) {
          const fetches = [...new Set(layers.slice(from, from + perRun).map(({ value }) => value))];
          const outputs = await session.run(feeds, fetches);
          await Promise.all(record(feeds, outputs, number));
          for (const name of fetches) outputs[name]?.dispose?.();
        }
      }
      count++;
      if (progress) writeTerminal(`\r${call}: ${count} batches`);
    }
    if (count === 0) throw new RangeError(`${call}: batches: expected at least one batch, got none`);
    const spectra = await spectraOf(samples, resolved, failures);
    if (spectra.size === 0) {
      throw new RangeError(
        `${call}: expected rows of the layers, got none: every row was masked or not finite, or the session ran nothing`,
      );
    }
    return spectra;
  } finally {
    if (progress && count > 0) writeTerminal('\n');
    samples.dispose();
  }
}

/** A session whose runs are recorded, until `restore`. */
export interface SessionTap extends Disposable {
  /** Takes the tap off the session. The same as `[Symbol.dispose]`. */
  restore(): void;
}

/**
 * Records the layers of every run of a session while it is used as always: whoever calls `run` gets the outputs of the model
 * itself, without the layers.
 *
 * @param session made from an edited model
 * @param layers those of exposeOutputs; those of a session that was made under exposeSessions may be left out (undefined)
 * @param recorder where they are observed; its addSaturations ends an epoch
 * @param split says to which split a run belongs; undefined for one that does not count
 * @param mask which steps of sequences are padding; default those that the input `attention_mask` says
 */
export function tapSession(
  session: OnnxSession,
  layers: readonly OnnxLayer[] | undefined,
  recorder: SaturationRecorder,
  split: () => Split | undefined,
  mask: OnnxMask = 'attention_mask',
): SessionTap {
  const call = 'tapSession';
  checkSession(session, call);
  if (typeof recorder?.observe !== 'function') {
    throw new TypeError(`${call}: expected a SaturationRecorder, got ${describe(recorder)}`);
  }
  if (typeof split !== 'function') {
    throw new TypeError(
      `${call}: split: expected a function that returns 'train', 'val' or undefined, got ${describe(split)}`,
    );
  }
  const failures = new FailureLog(`${call}: `);
  const tapped = checkedLayers(session, layers, call);
  return wrapRun(session, tapped, (feeds, outputs) => {
    const current = split();
    if (current === undefined) return [];
    return tapped.flatMap((layer) => {
      const tensor = outputs[layer.value];
      if (tensor === undefined) return [];
      try {
        warnOfIntegers(layer, tensor, failures);
        const pass = passOf(layer, tensor, maskOf(mask, layer, feeds), call);
        if (pass === undefined) return [];
        return recorder.observe(layer.name, activationsOf(pass.output), current, pass.observe) ?? [];
      } catch (error) {
        failures.add(error, `layer '${layer.name}'`);
        return [];
      }
    });
  });
}

/** Asks for the layers in every run of a session, and takes them out of what it returns. */
function wrapRun(
  session: OnnxSession,
  layers: readonly OnnxLayer[],
  record: (feeds: OnnxFeeds, outputs: Readonly<Record<string, OnnxTensor>>) => readonly Promise<unknown>[],
): SessionTap {
  const target = session as { run: (...args: unknown[]) => Promise<Record<string, OnnxTensor>> };
  const own = Object.getOwnPropertyDescriptor(target, 'run');
  const original = target.run;
  const values = layers.map(({ value }) => value);
  const added = new Set(layers.filter(({ isOutput }) => !isOutput).map(({ value }) => value));
  const run = async (feeds: unknown, ...rest: unknown[]): Promise<Record<string, OnnxTensor>> => {
    const { asked, all } = fetchesOf(session, rest, values);
    const outputs = await original.call(session, feeds, ...all);
    const reading = record(feeds as OnnxFeeds, outputs);
    // An output of the model itself that shows a layer stays, unless others were asked for.
    const isShown = (name: string) => (asked === undefined ? !added.has(name) : asked.includes(name));
    await Promise.all(reading);
    for (const [name, tensor] of Object.entries(outputs)) if (!isShown(name)) tensor.dispose?.();
    return Object.fromEntries(Object.entries(outputs).filter(([name]) => isShown(name)));
  };
  target.run = run;
  const restore = () => {
    if (target.run !== run) return;
    if (own === undefined) delete (target as Partial<typeof target>).run;
    else Object.defineProperty(target, 'run', own);
  };
  return { restore, [Symbol.dispose]: restore };
}

/**
 * The outputs that a caller of `run` asks for, a list or an object by names (undefined for all), and the arguments behind the inputs
 * with those that are to be recorded among them.
 */
function fetchesOf(
  { outputNames }: OnnxSession,
  rest: readonly unknown[],
  values: readonly string[],
): { asked: readonly string[] | undefined; all: readonly unknown[] } {
  const [fetches, ...others] = rest;
  if (Array.isArray(fetches)) return { asked: fetches, all: [[...new Set([...fetches, ...values])], ...others] };
  const names = typeof fetches === 'object' && fetches !== null ? Object.keys(fetches) : [];
  // An object of other names holds the options of the run.
  if (names.length === 0 || !names.every((name) => outputNames.includes(name))) return { asked: undefined, all: rest };
  return {
    asked: names,
    all: [{ ...Object.fromEntries(values.map((name) => [name, null])), ...(fetches as object) }, ...others],
  };
}

/** Says once that rounded values show more directions than there are. */
function warnOfIntegers({ name }: OnnxLayer, { type }: OnnxTensor, failures: FailureLog): void {
  if (type !== 'int8' && type !== 'uint8') return;
  failures.warnOnce(
    `layer '${name}' and perhaps others put out ${type}: rounding to 256 steps adds directions, and the saturation comes out too high`,
  );
}

/** A pass of a layer: its values as they are read, and how. */
interface LayerReading {
  readonly output: ArrayOutput;
  readonly observe: ObserveOptions;
}

/** How a tensor of a layer is read; undefined if it has no rows, as that of a branch that was not taken. */
function passOf(
  layer: OnnxLayer,
  tensor: OnnxTensor,
  mask: { values: ArrayLike<number | bigint>; steps: number } | undefined,
  call: string,
): LayerReading | undefined {
  const { dims } = tensor;
  if (dims.includes(0)) return undefined;
  const where = `${call}: layer '${layer.name}'`;
  const read = arrayOutput(tensor, where);
  if (layer.kind === 'map' && dims.length > 2) {
    return {
      output: read,
      observe: { kind: 'map', layout: layer.layout === 'channelsLast' ? 'channelsLast' : 'channelsFirst' },
    };
  }
  const recurrent = recurrentOutput(layer, read);
  if (recurrent !== undefined) {
    const fits = mask !== undefined && mask.values.length === recurrent.shape[0] * recurrent.shape[1];
    return { output: recurrent, observe: { recurrent: true, ...(fits && { mask: mask.values }) } };
  }
  if (mask !== undefined) {
    const items = mask.values.length / mask.steps;
    const features = dims[dims.length - 1];
    const isSequence = dims.length === 3 && dims[0] === items && dims[1] === mask.steps;
    // Some exporters flatten items and steps.
    const isFlat = dims.length === 2 && mask.steps > 1 && dims[0] === mask.values.length;
    if (isSequence || isFlat) {
      const shape = [items, mask.steps, features];
      const output: ArrayOutput = { shape, read: () => whenRead(read.read(), (numbers) => ({ ...numbers, shape })) };
      return { output, observe: { kind: 'sequence', mask: mask.values } };
    }
  }
  return { output: read, observe: { kind: dims.length === 3 ? 'sequence' : 'map' } };
}

/** The output of a recurrent layer as N x steps x features; undefined if it is none, or its last state. */
function recurrentOutput(layer: OnnxLayer, { shape, read }: ArrayOutput): ArrayOutput | undefined {
  const order = recurrentOrder(layer, shape);
  if (order === undefined) return undefined;
  const { items, steps, directions, units, at } = order;
  const moved = [items, steps, directions * units];
  return {
    shape: moved,
    read: () =>
      whenRead(read(), (numbers: NumericArray) => {
        const values = new (numbers.values.constructor as Float32ArrayConstructor)(numbers.values.length);
        let to = 0;
        for (let item = 0; item < items; item++) {
          for (let step = 0; step < steps; step++) {
            for (let direction = 0; direction < directions; direction++, to += units) {
              const from = at(item, step, direction);
              values.set(numbers.values.subarray(from, from + units) as Float32Array, to);
            }
          }
        }
        return { ...numbers, values, shape: moved };
      }),
  };
}

interface RecurrentOrder {
  readonly items: number;
  readonly steps: number;
  readonly directions: number;
  readonly units: number;
  /** Where the units of an item's step stand. */
  readonly at: (item: number, step: number, direction: number) => number;
}

function recurrentOrder({ layout }: OnnxLayer, shape: readonly number[]): RecurrentOrder | undefined {
  if (layout === 'steps' && shape.length === 4) {
    const [steps, directions, items, units] = shape;
    const at = (item: number, step: number, direction: number) =>
      ((step * directions + direction) * items + item) * units;
    return { items, steps, directions, units, at };
  }
  if (layout === 'batchSteps' && shape.length === 4) {
    const [items, steps, directions, units] = shape;
    const at = (item: number, step: number, direction: number) =>
      ((item * steps + step) * directions + direction) * units;
    return { items, steps, directions, units, at };
  }
  if (layout === 'state' && shape.length === 3) {
    const [directions, items, units] = shape;
    const at = (item: number, _step: number, direction: number) => (direction * items + item) * units;
    return { items, steps: 1, directions, units, at };
  }
  return undefined;
}

/** What SaturationRecorder.observe takes, of values that may still have to be read. */
function activationsOf({ shape, read }: ArrayOutput) {
  const values = read();
  if (values instanceof Promise) {
    values.catch(() => {});
    return { shape, data: () => values.then((numbers) => numbers.values) };
  }
  return { shape, dtype: values.dtype, data: values.values };
}

/** The steps of a batch that are padding. */
function maskOf(
  mask: OnnxMask,
  layer: OnnxLayer,
  feeds: OnnxFeeds,
): { values: ArrayLike<number | bigint>; steps: number } | undefined {
  if (mask === false) return undefined;
  if (typeof mask === 'function') {
    const values = mask(layer, feeds);
    if (values === undefined) return undefined;
    const first = Object.values(feeds).find(({ dims }) => dims.length >= 2 && dims[0] * dims[1] === values.length);
    return first === undefined ? undefined : { values, steps: first.dims[1] };
  }
  const feed = feeds[mask];
  if (feed === undefined || feed.dims.length !== 2) return undefined;
  const numbers = readNumbers(feed, `mask '${mask}'`);
  return numbers instanceof Promise ? undefined : { values: numbers.values, steps: feed.dims[1] };
}

function checkSession(session: OnnxSession, call: string): void {
  if (typeof session?.run !== 'function' || !Array.isArray(session.outputNames)) {
    throw new TypeError(`${call}: expected a session of an ONNX runtime, got ${describe(session)}`);
  }
}

function checkedLayers(
  session: OnnxSession,
  given: readonly OnnxLayer[] | undefined,
  call: string,
): readonly OnnxLayer[] {
  const layers = given ?? knownLayersOf(session);
  if (layers === undefined) {
    throw new TypeError(
      `${call}: layers: expected the layers that exposeOutputs returns, got undefined; only of sessions made under exposeSessions they are known`,
    );
  }
  if (!Array.isArray(layers) || layers.length === 0) {
    throw new TypeError(`${call}: layers: expected the layers that exposeOutputs returns, got ${describe(layers)}`);
  }
  const missing = layers.filter(({ value }) => !session.outputNames.includes(value));
  if (missing.length > 0) {
    throw new RangeError(
      `${call}: expected a session with the output '${missing[0].value}' of layer '${missing[0].name}', got one with ${session.outputNames.length} outputs: was it made from the original bytes?`,
    );
  }
  return layers;
}

async function* checkedBatches<B>(batches: Iterable<B> | AsyncIterable<B>, call: string): AsyncGenerator<B> {
  const given = batches as Partial<Iterable<B> & AsyncIterable<B>> | null | undefined;
  if (typeof given?.[Symbol.iterator] !== 'function' && typeof given?.[Symbol.asyncIterator] !== 'function') {
    throw new TypeError(`${call}: batches: expected a list or an iterable of inputs by name, got ${describe(batches)}`);
  }
  yield* batches as Iterable<B>;
}

function checkedFeeds(batch: unknown, { inputNames }: OnnxSession, call: string): OnnxFeeds {
  const names = inputNames.map((name) => `'${name}'`).join(', ');
  const feeds = batch as Record<string, Partial<OnnxTensor>> | null | undefined;
  if (typeof feeds !== 'object' || feeds === null || Array.isArray(feeds) || Array.isArray(feeds.dims)) {
    throw new TypeError(`${call}: batches: expected an object with the inputs ${names}, got ${describe(batch)}`);
  }
  return feeds as OnnxFeeds;
}

/** How many items (images, sequences) a batch has. */
function itemsIn(feeds: OnnxFeeds): number {
  return Math.max(1, ...Object.values(feeds).map(({ dims }) => dims?.[0] ?? 1));
}
