import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { warn } from '#platform';
import type { Split } from '../saturation/epoch.js';
import type { Spectrum } from '../statistics/spectrum.js';
import type { SolveOptions } from '../statistics/threads/solve.js';
import { type Computation, mapped } from '../statistics/threads/thread.js';
import type { LayerAccumulator, SolvedLayer } from './accumulate/accumulator.js';
import { AccumulatorFactory, type FirstOutput } from './accumulate/choose.js';
import { type GraphModelNodes, isGraphModelNodes, nodeNames, onGraphModelRun } from './graph-model.js';
import { hasFusedActivation, type LayerCall, type LayerHook, onLayerCall, preActivationOf } from './hooks.js';
import {
  type Layer,
  type LayerFilter,
  type LayerPatterns,
  type TrackedLayer,
  trackedLayers,
  warnOfHiddenLayers,
} from './layers.js';
import { checkFits, type SavedLayer } from '../recording/recorder-state.js';
import { SampleBudget } from '../recording/sample-budget.js';
import { type ActivationView, effectiveRows, independentPerItem, pickRows, sampleSize } from '../recording/samples.js';
import { notNumeric, offTape } from './tensors.js';
import { type BatchPlace, TrainingPhase } from './training-phase.js';

/*
 * From a layer's output to its accumulator: the recorder hooks a model, asks the training phase to which split a pass
 * belongs, decides whether and which rows of it count, and adds these to the accumulator of the layer and split. At the
 * end of a period it solves all accumulators.
 */

/** Samples kept per layer and split for the embedding: enough for a scatter plot, and few enough for memory. */
const embeddingRows = 1000;

/** How activations are read and which of them count. */
export interface RecordingOptions extends Pick<ActivationView, 'convMethod'> {
  /** Keeps, drops or renames the layers of a model; undefined keeps those that are tracked by default. */
  readonly layers: LayerFilter | undefined;
  /** Layers that are left out. */
  readonly exclude: LayerPatterns | undefined;
  /** What a layer with a fused activation shows: its output, or what it has before the activation. */
  readonly activations: 'output' | 'preActivation';
  /** Undefined: 'lastTimestep' for recurrent layers, 'tokens' for all others. */
  readonly timeseriesMethod: ActivationView['timeseriesMethod'] | undefined;
  /** Undefined: maps keep their size. */
  readonly downsample: ActivationView['downsample'];
  /** Whether every row counts, or as many rows as the saturation needs. */
  readonly sampling: 'all' | 'auto';
  /** Explained-variance threshold in (0, 1], for which 'auto' sampling chooses how many rows it needs. */
  readonly threshold: number;
  /** 'float64' excludes accumulators that multiply in float32. */
  readonly precision: 'auto' | 'float64';
  /** Every n-th batch counts, starting with the first of each epoch. */
  readonly logInterval: number;
  /** Most items (images, sequences) per layer, split and epoch; may be Infinity. */
  readonly maxSamples: number;
  /** Layers with more features than this are left out; may be Infinity. */
  readonly maxWidth: number;
  /** Whether rows are kept for an embedding. */
  readonly embedding: boolean;
}

/** One layer in one split at the end of a period. */
export interface RecordedLayer {
  split: Split;
  layer: string;
  /** Where and in which precision its samples were summed, in words. */
  strategy: string;
  /** The result is undefined if nothing was recorded. */
  solved: Computation<SolvedLayer | undefined>;
}

/** Counts the batches that pass one layer, each once, however often the layer is called for it. */
class BatchCount {
  /** Batches since the period began. */
  total: number;
  /** What runs the batches now, and how many there were before. */
  #run: { readonly number: number; readonly before: number } | undefined;

  constructor(total = 0) {
    this.total = total;
  }

  /** The number of a batch in the period, from 0. */
  numberOf({ run, index }: BatchPlace): number {
    if (this.#run?.number !== run) this.#run = { number: run, before: this.total };
    const number = this.#run.before + index;
    this.total = Math.max(this.total, number + 1);
    return number;
  }
}

/** With sampling 'auto': what decides which rows of a layer are used. */
interface Sampling {
  readonly features: number;
  readonly budget: SampleBudget;
  /** How many items the budget was told that an epoch brings; undefined if that is unknown. */
  expectedItems: number | undefined;
  /** Rows picked since the first epoch. */
  picked: number;
}

/** The state of one layer in one split. */
interface Entry {
  split: Split;
  name: string;
  /** Width of what was used in this period; undefined before its first pass. */
  features: number | undefined;
  accumulator: LayerAccumulator;
  /** What counts the batches of the period. */
  batches: BatchCount;
  /** Items (images, sequences) used since the period began. */
  items: number;
  /** Rows that were used since the period began, and how many independent rows they are worth. */
  rows: number;
  effectiveRows: number;
  /** The batch that is running, and how many items were used before it. */
  batch: { readonly number: number; readonly itemsBefore: number } | undefined;
  /** Whether a pass of this period was used. */
  isUsed: boolean;
  /** With sampling 'auto': which rows are used. */
  sampling: Sampling | undefined;
}

/**
 * Accumulates the outputs of a model's layers (or of a list of layers, or of a GraphModel's nodes), with training and
 * validation apart. Errors inside the hooks are reported and never reach the model.
 */
export class ActivationRecorder {
  /** Knows to which split the running pass belongs. */
  readonly phase = new TrainingPhase();
  readonly #model: LayersModel | readonly Layer[] | GraphModelNodes;
  readonly #tracked: readonly TrackedLayer[];
  readonly #names: string[];
  /** The model's layers or nodes, with the number of features where it is known beforehand. */
  readonly #widths: ReadonlyMap<string, number | undefined>;
  readonly #options: RecordingOptions;
  readonly #report: (error: unknown, where: string) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #accumulators: AccumulatorFactory;
  /** Layers that are left out because they are too wide, and their widths; those that no warning has named yet. */
  readonly #tooWide = new Map<string, number>();
  readonly #unnamed: string[] = [];
  /** Layers and splits (`split/layer`) of which passes of another width were reported. */
  readonly #otherWidths = new Set<string>();
  #layerHooks: LayerHook[] = [];
  #removeHooks: (() => void)[] = [];
  #isHooked = false;
  #isStopped = false;

  /**
   * Chooses the layers; hook() attaches the recorder to them.
   *
   * @param report receives errors that occur inside the hooks
   * @throws TypeError or RangeError if there is no layer to track
   */
  constructor(
    model: LayersModel | readonly Layer[] | GraphModelNodes,
    options: RecordingOptions,
    report: (error: unknown, where: string) => void,
  ) {
    const isGraph = isGraphModelNodes(model);
    this.#model = model;
    this.#tracked = isGraph ? [] : trackedLayers(model as Layer | readonly Layer[], options.layers, options.exclude);
    this.#names = isGraph ? nodeNames(model) : this.#tracked.map(({ name }) => name);
    this.#widths = new Map(this.#names.map((name, index) => [name, this.#tracked[index]?.width]));
    this.#options = options;
    this.#report = report;
    if (!isGraph && !Array.isArray(model)) warnOfHiddenLayers(model as unknown as Layer);
    this.#accumulators = new AccumulatorFactory(options.precision);
  }

  /** The names of the tracked layers or nodes in order of depth, then the names that were observed. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** Whether rows were recorded since the period began. */
  get hasRows(): boolean {
    for (const entry of this.#entries.values()) if (entry.isUsed) return true;
    return false;
  }

  /** Whether the recorder is attached to the model. */
  get isHooked(): boolean {
    return this.#isHooked;
  }

  /** Whether passes count: false before hook(), after unhook(), and between stop() and resume(). */
  get isRecording(): boolean {
    return this.#isHooked && !this.#isStopped;
  }

  /** Attaches the recorder to the model, unless it is attached. */
  hook(): void {
    if (this.#isHooked) return;
    this.#isHooked = true;
    const model = this.#model;
    if (isGraphModelNodes(model)) {
      const split = () => (this.isRecording ? this.phase.current(false) : undefined);
      const isWanted = () => split() !== undefined;
      const record = (node: string, activations: Tensor) => {
        const current = split();
        if (current !== undefined) this.#safely(node, () => this.observe(node, activations, current));
      };
      const fail = (node: string, error: unknown) => this.#report(error, `node '${node}'`);
      this.#removeHooks.push(onGraphModelRun(model, { isWanted, record, fail }));
      return;
    }
    this.#layerHooks = this.#tracked.map((target) =>
      onLayerCall(target.layer, (call) => this.#safely(target.name, () => this.#recordCall(target, call))),
    );
    this.#removeHooks = this.#layerHooks.map(({ remove }) => remove);
    if (!Array.isArray(model)) this.phase.watch(model as LayersModel);
  }

  /** Takes the hooks off the model. What was recorded stays until dispose(). */
  unhook(): void {
    this.#isHooked = false;
    for (const remove of this.#removeHooks) remove();
    this.#removeHooks = [];
    this.#layerHooks = [];
    this.phase.unwatch();
  }

  /** Stops recording until resume(). What was recorded stays. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Goes on recording after stop(). */
  resume(): void {
    this.#isStopped = false;
  }

  /**
   * Counts every pass inside `fn` for a split.
   *
   * @param items how many items (images, sequences) the whole period will bring; undefined if that is unknown
   */
  record<T>(split: Split, fn: () => T, items?: number): T {
    for (const hook of this.#layerHooks) hook.startNewPass();
    return this.phase.record(split, fn, items);
  }

  /** Adds activations that the caller has at hand, under a name of the caller's. */
  observe(name: string, activations: Tensor, split: Split): void {
    if (!this.#names.includes(name)) this.#names.push(name);
    if (this.isRecording) this.#add(split, name, activations, this.#viewOf(undefined), undefined);
  }

  /** Derives from an epoch's spectrum how many rows the next epochs need (sampling 'auto'). */
  adaptBudget(split: Split, name: string, spectrum: Spectrum): void {
    this.#entries.get(`${split}/${name}`)?.sampling?.budget.adaptTo(spectrum);
  }

  /**
   * Solves every layer that was recorded in this period, in order of depth; observed names and nodes in order of their
   * first pass.
   *
   * @param endPeriod whether the next pass starts a new period
   */
  solve(options: SolveOptions, endPeriod: boolean): RecordedLayer[] {
    const order = new Map(this.#tracked.map(({ name }, index) => [name, index]));
    const used = [...this.#entries.values()].filter((entry) => entry.isUsed);
    used.sort((a, b) => (order.get(a.name) ?? order.size) - (order.get(b.name) ?? order.size));
    return used.map((entry) => {
      const { rows, effectiveRows: effective } = entry;
      const solved = mapped(
        entry.accumulator.solve(options, endPeriod),
        (taken) =>
          // Rows that were left out were worth as much as the others.
          taken && withEffectiveSamples(taken, rows > 0 ? (taken.solved.count * effective) / rows : 0),
      );
      // The caller awaits the layers one after another: a rejection of a later one must not end the program meanwhile.
      solved.result.catch(() => {});
      if (endPeriod) {
        entry.items = 0;
        entry.features = undefined;
        entry.rows = 0;
        entry.effectiveRows = 0;
        entry.isUsed = false;
        entry.sampling?.budget.endEpoch();
      }
      entry.batches = new BatchCount();
      entry.batch = undefined;
      return { split: entry.split, layer: entry.name, strategy: entry.accumulator.strategy, solved };
    });
  }

  /** What each layer of the running period has accumulated so far, for saving. */
  snapshot(): SavedLayer[] {
    const saved: SavedLayer[] = [];
    for (const { split, name, accumulator, batches, ...entry } of this.#entries.values()) {
      const snapshot = accumulator.snapshot();
      if (snapshot !== undefined) {
        const { items, rows, effectiveRows } = entry;
        const counts = { passes: batches.total, items, rows, effectiveRows, observed: !this.#widths.has(name) };
        saved.push({ split, layer: name, ...counts, accumulator: snapshot });
      }
    }
    return saved;
  }

  /** Goes on from what the layers had accumulated in an earlier process. @throws RangeError if they are another model's */
  restore(saved: readonly SavedLayer[]): void {
    checkFits(saved, this.#widths);
    for (const each of saved) this.#restore(each);
  }

  #restore({ split, layer, passes, items, rows, effectiveRows, accumulator }: SavedLayer): void {
    const entry = this.#entryOf(split, layer);
    entry.features = accumulator.features;
    entry.rows = rows ?? accumulator.count + accumulator.rejected;
    entry.effectiveRows = effectiveRows ?? Math.min(entry.rows, items * independentPerItem);
    entry.accumulator.restore(accumulator);
    entry.isUsed = true;
    entry.batches = new BatchCount(passes);
    entry.items = items;
  }

  /** Where and in which precision each layer is accumulated, by layer. */
  strategies(): Map<string, string> {
    return new Map([...this.#entries.values()].map(({ name, accumulator }) => [name, accumulator.strategy]));
  }

  /** Takes the hooks off the model and releases everything that was recorded. */
  dispose(): void {
    this.unhook();
    for (const { accumulator } of this.#entries.values()) accumulator.dispose();
    this.#accumulators.close();
  }

  /** As dispose(), but hook() may follow, which starts anew. */
  release(): void {
    this.dispose();
    this.#entries.clear();
  }

  #safely(layer: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#report(error, `layer '${layer}'`);
    }
  }

  /** Records one call of a layer, if it belongs to a split. */
  #recordCall(target: TrackedLayer, call: LayerCall): void {
    if (!this.isRecording || this.#tooWide.has(target.name)) return;
    const split = this.phase.current(call.kwargs.training === true);
    if (split === undefined) return;
    const view = this.#viewOf(target);
    const mask = view.kind === 'sequence' && call.output.rank === 3 ? maskOf(call) : undefined;
    const add = (output: Tensor) => this.#add(split, target.name, output, view, mask);
    if (this.#options.activations === 'preActivation' && hasFusedActivation(call)) {
      offTape(call.output, () => tidy(() => add(preActivationOf(call))));
    } else {
      add(call.output);
    }
  }

  /** Adds the rows of an output that count to the accumulator of its layer and split. */
  #add(split: Split, name: string, output: Tensor, view: ActivationView, mask: ArrayLike<number> | undefined): void {
    const wrong = notNumeric(output);
    if (wrong !== undefined) throw new TypeError(`output: ${wrong}`);
    if (this.#isLeftOut(split, name, output, view)) return;
    const { shape, dtype } = output;
    const entry = this.#entryOf(split, name, () => ({ shape, dtype, view, masked: mask !== undefined }));
    const number = entry.batches.numberOf(this.phase.batch());
    if (number % this.#options.logInterval !== 0) return;
    if (entry.batch?.number !== number) entry.batch = { number, itemsBefore: entry.items };
    const { itemsBefore } = entry.batch;
    const items = Math.min(shape[0] ?? 0, this.#options.maxSamples - itemsBefore);
    if (items <= 0) return;
    const size = sampleSize(shape, view, mask, items);
    const picked = this.#options.sampling === 'all' ? undefined : this.#rowsToUse(entry, size, items);
    if (picked?.length === 0) return;
    entry.accumulator.add({ output, view, mask, items, rows: picked });
    entry.items = Math.max(entry.items, itemsBefore + items);
    entry.features = size.features;
    entry.rows += picked?.length ?? size.rows;
    entry.effectiveRows += effectiveRows(shape, view, mask, items, size, picked);
    entry.isUsed = true;
  }

  /** Whether a pass does not count: it has another width than earlier ones of its period, or the layer is too wide. */
  #isLeftOut(split: Split, name: string, { shape }: Tensor, view: ActivationView): boolean {
    if (this.#tooWide.has(name)) return true;
    // The width depends on the shape alone: there is no need for masks.
    const { features } = sampleSize(shape, view, undefined, 0);
    const known = this.#entries.get(`${split}/${name}`)?.features;
    if (known !== undefined) {
      if (features === known) return false;
      // Every batch may have another length: one message is enough.
      if (!this.#otherWidths.has(`${split}/${name}`)) this.#reportWidth(split, name, known, features, shape);
      return true;
    }
    if (features <= this.#options.maxWidth) return false;
    this.#tooWide.set(name, features);
    if (this.#unnamed.push(name) === 1) queueMicrotask(() => this.#warnOfWidth());
    return true;
  }

  #reportWidth(split: Split, name: string, expected: number, found: number, shape: readonly number[]): void {
    this.#otherWidths.add(`${split}/${name}`);
    const error = new RangeError(
      `output: expected ${expected} features as in earlier passes, got ${found} from an output of shape [${shape}]. ` +
        'Passes of other widths than the first are left out. If sizes vary, read each place or step as a row: see ' +
        'convMethod and timeseriesMethod',
    );
    this.#report(error, `layer '${name}' (${split})`);
  }

  #warnOfWidth(): void {
    const layers = this.#unnamed.splice(0).map((name) => `'${name}' (${this.#tooWide.get(name)} features)`);
    warn(
      `Layers of more than maxWidth = ${this.#options.maxWidth} features are left out: ${layers.join(', ')}. Memory grows ` +
        'with the square of the width, and time with its cube; the option maxWidth sets the limit',
    );
  }

  /** The numbers of the rows of a pass that sampling 'auto' uses; undefined for all. */
  #rowsToUse(
    entry: Entry,
    { rows, features }: { rows: number; features: number },
    items: number,
  ): Int32Array | undefined {
    const { threshold } = this.#options;
    if (entry.sampling?.features !== features) {
      const budget = new SampleBudget(features, { threshold });
      entry.sampling = { features, budget, expectedItems: undefined, picked: 0 };
    }
    const { sampling } = entry;
    const expectedItems = this.#expectedItemsOf(entry.split);
    if (sampling.expectedItems !== expectedItems) {
      sampling.expectedItems = expectedItems;
      // A layer that is called several times for a batch has more rows than that, and uses more of them in the first epoch.
      const rowsPerItem = rows / items;
      sampling.budget.expect(
        expectedItems === undefined ? undefined : { rows: expectedItems * rowsPerItem, items: expectedItems },
      );
    }
    const wanted = sampling.budget.rowsToUse({ rows, items });
    if (wanted >= rows) return undefined;
    const picked = pickRows(rows, wanted, sampling.picked);
    sampling.picked += wanted;
    return picked;
  }

  /** How many items of a running epoch will be looked at; undefined if that is unknown. */
  #expectedItemsOf(split: Split): number | undefined {
    const items = this.phase.expectedItems(split);
    if (items === undefined) return undefined;
    return Math.max(1, Math.min(items / this.#options.logInterval, this.#options.maxSamples));
  }

  #entryOf(split: Split, name: string, output: () => FirstOutput | undefined = () => undefined): Entry {
    const key = `${split}/${name}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const keepRows = this.#options.embedding ? embeddingRows : 0;
      const report = (error: unknown) => this.#report(error, `layer '${name}'`);
      const accumulator = this.#accumulators.choose(key, output(), keepRows, report);
      entry = {
        split,
        name,
        features: undefined,
        accumulator,
        batches: new BatchCount(),
        items: 0,
        rows: 0,
        effectiveRows: 0,
        batch: undefined,
        isUsed: false,
        sampling: undefined,
      };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #viewOf(target: TrackedLayer | undefined): ActivationView {
    const { convMethod, timeseriesMethod, downsample } = this.#options;
    return {
      kind: target?.kind ?? 'sequence',
      spatialRank: target?.spatialRank ?? 0,
      channelsFirst: target?.channelsFirst ?? false,
      convMethod,
      timeseriesMethod: timeseriesMethod ?? (target?.recurrent === true ? 'lastTimestep' : 'tokens'),
      downsample,
    };
  }
}

/** A solved layer that knows how many independent rows its samples are worth: a whole number, 1 at least if there are any. */
function withEffectiveSamples(taken: SolvedLayer, effective: number): SolvedLayer {
  const { count } = taken.solved;
  const effectiveSamples = Math.min(count, Math.max(1, Math.round(effective)));
  return { ...taken, solved: { ...taken.solved, effectiveSamples } };
}

/** The mask of a layer's output, N x T; undefined if it has none. */
function maskOf(call: LayerCall): ArrayLike<number> | undefined {
  const { layer, inputs, kwargs, output } = call;
  if (!layer.supportsMasking && kwargs.mask == null) return undefined;
  let values: ArrayLike<number> | undefined;
  offTape(output, () =>
    tidy(() => {
      const computed = layer.supportsMasking ? layer.computeMask(inputs, kwargs.mask ?? undefined) : kwargs.mask;
      const mask = Array.isArray(computed) ? computed[0] : computed;
      // TensorFlow.js leaves the mask of an earlier layer in the arguments of later ones: it counts only if it fits.
      if (mask == null || mask.shape[0] !== output.shape[0] || mask.shape[1] !== output.shape[1]) return;
      values = mask.dataSync();
    }),
  );
  return values;
}
