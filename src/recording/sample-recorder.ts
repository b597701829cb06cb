import { warn } from '#platform';
import type { Split } from '../saturation/epoch.js';
import { selfDualityOf } from '../statistics/neural-collapse.js';
import { sketchedRows, WIDEST_SKETCH } from '../statistics/sketch.js';
import type { Spectrum } from '../statistics/spectrum.js';
import { independentRows, type LayerKernel, type Solved, type SolveOptions } from '../statistics/threads/solve.js';
import { afterwards, type Computation, mapped } from '../statistics/threads/thread.js';
import {
  type AccumulatorFactory,
  type BatchClasses,
  type FirstOutput,
  type LayerAccumulator,
  type LayerOutput,
  nothingKept,
} from './accumulator.js';
import { LayerSums, type SolvedLayer } from './layer-sums.js';
import { checkFits, checkWidth, mergeLayers, named, rowsOf, type SavedLayer } from './recorder-state.js';
import { SampleBudget } from './sample-budget.js';
import { type ActivationView, effectiveRows, pickRows, sampleSize } from './samples.js';
import { type UnitsSeen, UnitWatch } from './unit-watch.js';

/*
 * From a layer's output to its accumulator, whatever runtime the output comes from: which rows of a pass count, how many of an
 * epoch are needed, and to which accumulator they are added. At the end of a period all accumulators are solved.
 */

/** Samples kept per layer and split for the embedding: enough for a scatter plot, and few enough for memory. */
const embeddingRows = 1000;
/** Samples kept per layer and split for TwoNN, whose time grows with the square of them: enough for 5 % of the dimension. */
const neighborRows = 500;

/** How activations are read and which of them count. */
export interface RecordingOptions extends Pick<ActivationView, 'convMethod'> {
  /** Undefined: 'lastTimestep' for recurrent layers, 'tokens' for all others. */
  readonly timeseriesMethod: ActivationView['timeseriesMethod'] | undefined;
  /** Undefined: maps keep their size. */
  readonly downsample: ActivationView['downsample'];
  /** Whether every row counts, or as many rows as the saturation needs. */
  readonly sampling: 'all' | 'auto' | 'corrected';
  /** Explained-variance threshold in (0, 1], for which 'auto' sampling chooses how many rows it needs. */
  readonly threshold: number;
  /** 'float64' excludes accumulators that multiply in float32. */
  readonly precision: 'auto' | 'float64';
  /** Every n-th batch counts, starting with the first of each epoch. */
  readonly logInterval: number;
  /** Most items (images, sequences) per layer, split and epoch; may be Infinity. */
  readonly maxSamples: number;
  /** Layers with more features than this are measured as `wideLayers` says; may be Infinity. */
  readonly maxWidth: number;
  /** Whether a sketch is kept of layers wider than `maxWidth`. */
  readonly wideLayers: 'sketch' | 'leaveOut';
  /** Whether rows are kept for an embedding. */
  readonly embedding: boolean;
  /** Whether rows are kept for the distances between them. */
  readonly neighbors: boolean;
  /** Whether what tells dead units and outliers is summed. */
  readonly units: boolean;
  /** Whether rows are summed by class, where classes are known. */
  readonly classes: boolean;
  /** Within an epoch, units are looked at every so many batches; Infinity if they are not. */
  readonly findEvery: number;
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

/** A batch: a layer may be called several times for it. */
export interface BatchPlace {
  /** What runs batches: a training step, a validation, or a call of record() or observe(). Each has another number. */
  readonly run: number;
  /** Which of the run's batches, from 0. */
  readonly index: number;
}

/** A pass of data through a layer. */
export interface LayerPass<T> {
  /** The layer's output, which is valid only during the call that receives it. */
  readonly output: T;
  readonly view: ActivationView;
  /** N x T; 0 marks a padding step. */
  readonly mask: ArrayLike<number> | undefined;
  readonly batch: BatchPlace;
  /** The classes of its items; undefined if there are none. */
  readonly classes?: BatchClasses | undefined;
  /** How many items (images, sequences) the epoch will bring in this split; undefined if that is unknown. */
  readonly expectedItems: number | undefined;
}

let runs = 0;

/** A number for a run of batches that no other run has. */
export function newRun(): number {
  return runs++;
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

/** With sampling 'auto' and 'corrected': what decides which rows of a layer are used. */
interface Sampling {
  readonly features: number;
  readonly budget: SampleBudget;
  /** How many items the budget was told that an epoch brings; undefined if that is unknown. */
  expectedItems: number | undefined;
  /** Rows picked since the first epoch. */
  picked: number;
}

/** The state of one layer in one split. */
interface Entry<T extends LayerOutput> {
  split: Split;
  name: string;
  /** Width of what was used in this period; undefined before its first pass. */
  features: number | undefined;
  accumulator: LayerAccumulator<T>;
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
  /** With sampling 'auto' and 'corrected': which rows are used. */
  sampling: Sampling | undefined;
  /** Rows picked for sketches. */
  picked: number;
  /** Counts in which rows units are not 0, where that is looked at within an epoch; and in which batch it is looked at next. */
  readonly watch: UnitWatch | undefined;
  nextLook: number;
}

/**
 * Accumulates the outputs of layers, with training and validation apart.
 *
 * @typeParam T what an output is: a tensor, or values in memory
 */
export class SampleRecorder<T extends LayerOutput> {
  readonly #options: RecordingOptions;
  readonly #report: (error: unknown, where: string) => void;
  /** The layers that are known beforehand, with the number of features where it is known. */
  readonly #widths: ReadonlyMap<string, number | undefined>;
  /** The layers whose order is that of depth; others come in order of their first pass. */
  readonly #ordered: Iterable<string>;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #accumulators: AccumulatorFactory<T>;
  /** Is told what is seen of a layer's units within an epoch, up to and with this batch (from 0). */
  onUnits: ((split: Split, layer: string, seen: UnitsSeen, batch: number) => void) | undefined;
  /** What other processes have recorded of this period, by `split/layer`. */
  #merged = new Map<string, SavedLayer>();
  /** Finds a layer's kernel as it is when this is called; undefined where layers have no weights. */
  kernelOf: ((layer: string) => Promise<LayerKernel | undefined>) | undefined;
  /** Finds the weights (classes x features) of the classifier that a layer feeds, as they are when this is called; undefined if it feeds none. */
  classifierOf: ((layer: string) => Promise<Float64Array | undefined>) | undefined;
  /** Layers that are left out because they are too wide, and their widths; those that no warning has named yet. */
  readonly #tooWide = new Map<string, number>();
  readonly #unnamed: string[] = [];
  /** Layers and splits (`split/layer`) of which passes of another width were reported. */
  readonly #otherWidths = new Set<string>();

  /**
   * @param accumulators makes an accumulator for each layer and split
   * @param report receives errors of single layers that no caller receives, with what failed in words
   * @param widths the layers known beforehand, with the number of features where it is known
   * @param ordered those of them whose order is that of depth
   */
  constructor(
    options: RecordingOptions,
    accumulators: AccumulatorFactory<T>,
    report: (error: unknown, where: string) => void,
    widths: ReadonlyMap<string, number | undefined> = new Map(),
    ordered: Iterable<string> = [],
  ) {
    this.#options = options;
    this.#accumulators = accumulators;
    this.#report = report;
    this.#widths = widths;
    this.#ordered = ordered;
  }

  /** Whether rows were recorded since the period began. */
  get hasRows(): boolean {
    for (const entry of this.#entries.values()) if (entry.isUsed) return true;
    return this.#merged.size > 0;
  }

  /** Whether a layer is left out because it is wider than `maxWidth`. */
  isTooWide(name: string): boolean {
    return this.#tooWide.has(name);
  }

  /**
   * Adds the rows of a pass that count to the accumulator of its layer and split.
   *
   * @throws what the accumulator throws, e.g. because values cannot be read
   */
  add(split: Split, name: string, { output, view, mask, batch, classes, expectedItems }: LayerPass<T>): void {
    if (this.#isLeftOut(split, name, output, view)) return;
    const { shape, dtype } = output;
    const entry = this.#entryOf(split, name, () => ({ shape, dtype, view, masked: mask !== undefined }));
    const number = entry.batches.numberOf(batch);
    if (number % this.#options.logInterval !== 0) return;
    if (entry.batch?.number !== number) entry.batch = { number, itemsBefore: entry.items };
    const { itemsBefore } = entry.batch;
    const items = Math.min(shape[0] ?? 0, this.#options.maxSamples - itemsBefore);
    if (items <= 0) return;
    const size = sampleSize(shape, view, mask, items);
    let picked = this.#options.sampling === 'all' ? undefined : this.#rowsToUse(entry, size, items, expectedItems);
    const most = this.#isSketched(size.features) ? sketchedRows(size.features) : Number.POSITIVE_INFINITY;
    if ((picked?.length ?? size.rows) > most) {
      picked = pickRows(size.rows, most, entry.picked);
      entry.picked += most;
    }
    if (picked?.length === 0) return;
    entry.accumulator.add({ output, view, mask, items, rows: picked, classes });
    this.#look(entry, number);
    entry.items = Math.max(entry.items, itemsBefore + items);
    entry.features = size.features;
    entry.rows += picked?.length ?? size.rows;
    entry.effectiveRows += effectiveRows(shape, view, mask, items, size, picked);
    entry.isUsed = true;
  }

  #look(entry: Entry<T>, batch: number): void {
    const { watch, split, name } = entry;
    if (watch === undefined || batch < entry.nextLook) return;
    const seen = watch.look();
    if (seen === undefined) return;
    entry.nextLook = batch + this.#options.findEvery;
    this.onUnits?.(split, name, seen, batch);
  }

  /** Derives from an epoch's spectrum how many rows the next epochs need (sampling 'auto'). */
  adaptBudget(split: Split, name: string, spectrum: Spectrum): void {
    this.#entries.get(`${split}/${name}`)?.sampling?.budget.adaptTo(spectrum);
  }

  /**
   * Solves every layer that was recorded in this period: the layers known beforehand in their order, then observed names in
   * order of their first pass.
   *
   * @param endPeriod whether the next pass starts a new period
   */
  solve(options: SolveOptions, endPeriod: boolean): RecordedLayer[] {
    const layers = this.#recorded();
    const kernels = options.kernel ? this.#eachOnce(layers, 'weights', this.kernelOf) : undefined;
    const classifiers = options.collapse ? this.#eachOnce(layers, 'classifier', this.classifierOf) : undefined;
    return layers.map(({ split, name: layer, entry, merged }) => {
      const { rows, effectiveRows: effective } = countsOf(entry, merged);
      // Rows that were left out were worth as much as the others.
      const independence = rows > 0 ? effective / rows : 0;
      const solved = mapped(
        this.#solve(entry, merged, { ...options, independence }, endPeriod),
        (taken) => taken && withEffectiveSamples(taken, independence),
      );
      // The caller awaits the layers one after another: a rejection of a later one must not end the program meanwhile.
      solved.result.catch(() => {});
      if (entry) beginPeriod(entry, endPeriod, this.#options.findEvery);
      if (endPeriod) this.#merged.delete(`${split}/${layer}`);
      const strategy = strategyOf(entry, merged);
      const withWeights = withFound(solved, kernels?.get(layer), (taken, kernel) => ({ ...taken, kernel }));
      return { split, layer, strategy, solved: withFound(withWeights, classifiers?.get(layer), withSelfDuality) };
    });
  }

  /**
   * Takes what was recorded in this period, with what was merged into it, unsolved. A layer whose sums are lost is reported and left
   * out.
   *
   * @param endPeriod whether the next pass starts a new period: it does so at once, whenever the result is there
   */
  async take(endPeriod: boolean): Promise<SavedLayer[]> {
    const taking = this.#recorded().map(({ split, name: layer, entry, merged }) => {
      const sums = this.#take(entry, merged, endPeriod);
      sums.catch(() => {}); // they are awaited one after another
      const counts = { ...countsOf(entry, merged), observed: !this.#widths.has(layer) };
      if (entry) beginPeriod(entry, endPeriod, this.#options.findEvery);
      if (endPeriod) this.#merged.delete(`${split}/${layer}`);
      return { split, layer, counts, sums };
    });
    const saved: SavedLayer[] = [];
    for (const { split, layer, counts, sums } of taking) {
      try {
        const taken = await sums;
        if (taken !== undefined) saved.push({ split, layer, ...counts, sums: taken });
      } catch (error) {
        this.#report(error, `layer '${layer}' (${split})`);
      }
    }
    return saved;
  }

  /**
   * Adds what another process has taken to this period. It comes after the rows recorded here, whenever those are, in the order of
   * the calls.
   *
   * @throws RangeError that names a layer that is another model's, or whose sums cannot be merged; nothing was added then
   */
  merge(saved: readonly SavedLayer[]): void {
    checkFits('merge', saved, this.#widths);
    for (const each of saved) {
      const entry = this.#entries.get(`${each.split}/${each.layer}`);
      checkWidth('merge', each, entry?.isUsed ? entry.features : undefined);
    }
    mergeLayers('merge', this.#merged, saved);
  }

  /** The layers that were recorded or merged in this period. */
  #recorded(): { split: Split; name: string; entry: Entry<T> | undefined; merged: SavedLayer | undefined }[] {
    const order = new Map([...this.#ordered].map((name, index) => [name, index]));
    const layers = [...this.#entries.values()]
      .filter(({ isUsed }) => isUsed)
      .map((entry) => {
        const { split, name } = entry;
        const merged = this.#merged.get(`${split}/${name}`);
        return { split, name, entry: entry as Entry<T> | undefined, merged: merged as SavedLayer | undefined };
      });
    for (const [key, merged] of this.#merged) {
      const entry = this.#entries.get(key);
      if (!entry?.isUsed) layers.push({ split: merged.split, name: merged.layer, entry: undefined, merged });
    }
    return layers.sort((a, b) => (order.get(a.name) ?? order.size) - (order.get(b.name) ?? order.size));
  }

  #solve(
    entry: Entry<T> | undefined,
    merged: SavedLayer | undefined,
    options: SolveOptions,
    endPeriod: boolean,
  ): Computation<SolvedLayer | undefined> {
    if (merged === undefined) return (entry as Entry<T>).accumulator.solve(options, endPeriod);
    if (entry === undefined) return merged.sums.solve(options, endPeriod, true);
    return afterTaking(this.#take(entry, merged, endPeriod), options);
  }

  /** The sums of a layer: those that were recorded here, then those that were merged. */
  async #take(
    entry: Entry<T> | undefined,
    merged: SavedLayer | undefined,
    endPeriod: boolean,
  ): Promise<LayerSums | undefined> {
    const added = merged && (endPeriod ? merged.sums : merged.sums.copy());
    const own = await entry?.accumulator.take(endPeriod);
    if (own === undefined || added === undefined) return own ?? added;
    named('merge', merged as SavedLayer, () => own.merge(added));
    return own;
  }

  /** What is found for each of these layers, once. @param what it is, in words */
  #eachOnce<F>(
    entries: readonly { readonly name: string }[],
    what: string,
    find: ((layer: string) => Promise<F | undefined>) | undefined,
  ): Map<string, Promise<F | undefined>> {
    const all = new Map<string, Promise<F | undefined>>();
    for (const { name } of entries) {
      const report = (error: unknown) => void this.#report(error, `${what} of layer '${name}'`);
      const one =
        all.get(name) ??
        find?.(name)
          .catch(report)
          .then((found) => found ?? undefined);
      if (one !== undefined) all.set(name, one);
    }
    return all;
  }

  /** What each layer of the running period has accumulated so far, for saving. */
  snapshot(): SavedLayer[] {
    const saved: SavedLayer[] = [];
    const merged = new Map(this.#merged);
    for (const [key, entry] of this.#entries) {
      const { split, name: layer } = entry;
      const own = entry.accumulator.snapshot();
      const others = merged.get(key);
      merged.delete(key);
      if (own === undefined && others === undefined) continue;
      const sums = own && others ? own.copy() : (own ?? (others as SavedLayer).sums);
      if (own && others) named('toBytes', others, () => sums.merge(others.sums.copy()));
      saved.push({ split, layer, ...countsOf(entry, others), observed: !this.#widths.has(layer), sums });
    }
    return [...saved, ...merged.values()];
  }

  /** Goes on from what the layers had accumulated in an earlier process. @throws RangeError if they are another model's */
  restore(saved: readonly SavedLayer[]): void {
    checkFits('restore', saved, this.#widths);
    for (const each of saved) this.#restore(each);
  }

  #restore(saved: SavedLayer): void {
    const { split, layer, passes, items, sums } = saved;
    const entry = this.#entryOf(split, layer, () => undefined, sums.sketch !== undefined);
    entry.features = sums.features;
    Object.assign(entry, rowsOf(saved));
    entry.accumulator.restore(sums);
    entry.isUsed = true;
    entry.batches = new BatchCount(passes);
    entry.items = items;
  }

  /** Where and in which precision each layer is accumulated, by layer. */
  strategies(): Map<string, string> {
    return new Map([...this.#entries.values()].map(({ name, accumulator }) => [name, accumulator.strategy]));
  }

  /** Releases everything that was recorded. */
  dispose(): void {
    for (const { accumulator } of this.#entries.values()) accumulator.dispose();
    this.#accumulators.close();
  }

  /** As dispose(), but passes may follow, which start anew. */
  release(): void {
    this.dispose();
    this.#entries.clear();
    this.#merged.clear();
  }

  /** Whether a pass does not count: it has another width than earlier ones of its period, or the layer is too wide. */
  #isLeftOut(split: Split, name: string, { shape }: LayerOutput, view: ActivationView): boolean {
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
    if (features <= this.#options.maxWidth || this.#isSketched(features)) return false;
    this.#tooWide.set(name, features);
    if (this.#unnamed.push(name) === 1) queueMicrotask(() => this.#warnOfWidth());
    return true;
  }

  #isSketched(features: number): boolean {
    const { maxWidth, wideLayers } = this.#options;
    return wideLayers === 'sketch' && features > maxWidth && features <= WIDEST_SKETCH;
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
    const { maxWidth, wideLayers } = this.#options;
    const isSketching = wideLayers === 'sketch' && maxWidth < WIDEST_SKETCH;
    const limit = isSketching ? `${WIDEST_SKETCH} features` : `maxWidth = ${maxWidth} features`;
    const instead = wideLayers === 'sketch' ? '' : ", and wideLayers: 'sketch' measures them within bounds";
    warn(
      `Layers of more than ${limit} are left out: ${layers.join(', ')}. Memory grows ` +
        `with the square of the width, and time with its cube; the option maxWidth sets the limit${instead}`,
    );
  }

  /** The numbers of the rows of a pass that sampling 'auto' or 'corrected' uses; undefined for all. */
  #rowsToUse(
    entry: Entry<T>,
    { rows, features }: { rows: number; features: number },
    items: number,
    inEpoch: number | undefined,
  ): Int32Array | undefined {
    const { threshold, sampling: way } = this.#options;
    if (entry.sampling?.features !== features) {
      const budget = new SampleBudget(features, { threshold, forCorrected: way === 'corrected' });
      entry.sampling = { features, budget, expectedItems: undefined, picked: 0 };
    }
    const { sampling } = entry;
    const expectedItems = this.#usedOf(inEpoch);
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

  /** How many of an epoch's items will be looked at; undefined if that is unknown. */
  #usedOf(items: number | undefined): number | undefined {
    if (items === undefined) return undefined;
    return Math.max(1, Math.min(items / this.#options.logInterval, this.#options.maxSamples));
  }

  #entryOf(split: Split, name: string, output: () => FirstOutput | undefined, hasSketch = false): Entry<T> {
    const key = `${split}/${name}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const { embedding, neighbors, units, classes, findEvery } = this.#options;
      const watch = Number.isFinite(findEvery) ? new UnitWatch() : undefined;
      const rows = Math.max(embedding ? embeddingRows : 0, neighbors ? neighborRows : 0);
      const first = output();
      const isSketched =
        first === undefined ? hasSketch : this.#isSketched(sampleSize(first.shape, first.view, undefined, 0).features);
      const kept = isSketched
        ? { ...nothingKept, sketch: true }
        : { rows, ofAllRows: embedding, units, classes, sketch: false, ...(watch && { watch }) };
      const report = (error: unknown) => this.#report(error, `layer '${name}'`);
      const accumulator = this.#accumulators.choose(key, first, kept, report);
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
        picked: 0,
        watch,
        nextLook: findEvery - 1,
      };
      this.#entries.set(key, entry);
    }
    return entry;
  }
}

/** Ends what is counted of a batch, and of the period if that ends. */
function beginPeriod<T extends LayerOutput>(entry: Entry<T>, isNew: boolean, findEvery: number): void {
  if (isNew) {
    entry.items = 0;
    entry.features = undefined;
    entry.rows = 0;
    entry.effectiveRows = 0;
    entry.isUsed = false;
    entry.sampling?.budget.endEpoch();
  }
  entry.batches = new BatchCount();
  entry.batch = undefined;
  entry.watch?.clear();
  entry.nextLook = findEvery - 1;
}

/** What was counted of a layer, here and in other processes. */
function countsOf(
  entry: Pick<Entry<never>, 'batches' | 'items' | 'rows' | 'effectiveRows'> | undefined,
  merged: SavedLayer | undefined,
): { passes: number; items: number; rows: number; effectiveRows: number } {
  const others = merged === undefined ? { rows: 0, effectiveRows: 0 } : rowsOf(merged);
  return {
    passes: (entry?.batches.total ?? 0) + (merged?.passes ?? 0),
    items: (entry?.items ?? 0) + (merged?.items ?? 0),
    rows: (entry?.rows ?? 0) + others.rows,
    effectiveRows: (entry?.effectiveRows ?? 0) + others.effectiveRows,
  };
}

/** Where the sums of a layer come from, in words. */
function strategyOf(entry: Entry<never> | undefined, merged: SavedLayer | undefined): string {
  if (merged === undefined) return entry?.accumulator.strategy ?? '';
  return entry === undefined ? 'merged from other processes' : `${entry.accumulator.strategy}, merged with others`;
}

/** Sums that are solved when they are there. */
function afterTaking(
  taking: Promise<LayerSums | undefined>,
  options: SolveOptions,
): Computation<SolvedLayer | undefined> {
  let sums: LayerSums | undefined;
  const taken = taking.then((found) => {
    sums = found;
  });
  return afterwards(taken, () => (sums ?? new LayerSums()).solve(options, true, true));
}

/** A solved layer that knows how many independent rows its samples are worth: a whole number, 1 at least if there are any. */
function withEffectiveSamples(taken: SolvedLayer, independence: number): SolvedLayer {
  const effectiveSamples = independentRows(taken.solved.count, independence);
  return { ...taken, solved: { ...taken.solved, effectiveSamples } };
}

/** A solved layer with what is found meanwhile; without it for one who cannot wait. */
function withFound<F>(
  solved: RecordedLayer['solved'],
  finding: Promise<F | undefined> | undefined,
  add: (taken: Solved, found: F) => Solved,
): RecordedLayer['solved'] {
  if (finding === undefined) return solved;
  const result = Promise.all([solved.result, finding]).then(
    ([taken, found]) => taken && (found === undefined ? taken : { ...taken, solved: add(taken.solved, found) }),
  );
  // The caller awaits the layers one after another.
  result.catch(() => {});
  return { result, now: (deadline) => solved.now(deadline) };
}

function withSelfDuality(solved: Solved, classifier: Float64Array): Solved {
  const { collapse, features } = solved;
  if (collapse === undefined) return solved;
  return { ...solved, collapse: { ...collapse, nc3: selfDualityOf(collapse.means, features, classifier) } };
}
