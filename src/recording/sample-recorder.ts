import type { Split } from '../saturation/epoch.js';
import { selfDualityOf } from '../statistics/neural-collapse.js';
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
import { LayerSums, refuseSketch, type SolvedLayer } from './layer-sums.js';
import { isSketched, LayerWidths } from './layer-widths.js';
import { checkFits, checkWidth, mergeLayers, named, rowsOf, type SavedLayer } from './recorder-state.js';
import { type Pass, type RowCounts, RowSelection, type SelectionOptions } from './row-selection.js';
import { type ActivationView, sampleSize } from './samples.js';
import { type UnitsSeen, UnitWatch } from './unit-watch.js';

/*
 * From a layer's output to its accumulator, whatever runtime the output comes from. At the end of a period all accumulators are solved.
 */

/** Samples kept per layer and split for the embedding: enough for a scatter plot, and few enough for memory. */
const embeddingRows = 1000;
/** Samples kept per layer and split for TwoNN, whose time grows with the square of them: enough for 5 % of the dimension. */
const neighborRows = 500;

/** How activations are read and which of them count. */
export interface RecordingOptions extends Pick<ActivationView, 'convMethod'>, SelectionOptions {
  /** Undefined: 'lastTimestep' for recurrent layers, 'tokens' for all others. */
  readonly timeseriesMethod: ActivationView['timeseriesMethod'] | undefined;
  /** Undefined: maps keep their size. */
  readonly downsample: ActivationView['downsample'];
  /** 'float64' excludes accumulators that multiply in float32. */
  readonly precision: 'auto' | 'float64';
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

/** A pass of data through a layer. */
export interface LayerPass<T> extends Pass {
  /** The layer's output, which is valid only during the call that receives it. */
  readonly output: T;
  /** The classes of its items; undefined if there are none. */
  readonly classes?: BatchClasses | undefined;
}

/** The state of one layer in one split. */
interface Entry<T extends LayerOutput> {
  split: Split;
  name: string;
  accumulator: LayerAccumulator<T>;
  /** Whether a sketch is kept of it, unless an earlier process had summed it exactly. */
  readonly keepsSketch: boolean;
  readonly rows: RowSelection;
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
  readonly #layerWidths: LayerWidths;

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
    this.#layerWidths = new LayerWidths(options, report);
    this.#widths = widths;
    this.#ordered = ordered;
  }

  /** Whether rows were recorded since the period began. */
  get hasRows(): boolean {
    for (const entry of this.#entries.values()) if (entry.rows.isUsed) return true;
    return this.#merged.size > 0;
  }

  /** Whether a layer is left out because it is wider than `maxWidth`. */
  isTooWide(name: string): boolean {
    return this.#layerWidths.isTooWide(name);
  }

  /**
   * Adds the rows of a pass that count to the accumulator of its layer and split.
   *
   * @throws what the accumulator throws, e.g. because values cannot be read
   */
  add(split: Split, name: string, pass: LayerPass<T>): void {
    const { output, view, mask, classes } = pass;
    const { shape, dtype } = output;
    // The width depends on the shape alone: there is no need for masks.
    const { features } = sampleSize(shape, view, undefined, 0);
    const known = this.#entries.get(`${split}/${name}`)?.rows.features;
    if (this.#layerWidths.leavesOut(split, name, features, known, shape)) return;
    const first = { shape, dtype, view, masked: mask !== undefined };
    const entry = this.#entryOf(split, name, first, isSketched(features, this.#options));
    const number = entry.rows.select(shape, pass, ({ items, rows }) => {
      entry.accumulator.add({ output, view, mask, items, rows, classes });
    });
    if (number !== undefined) this.#look(entry, number);
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
    this.#entries.get(`${split}/${name}`)?.rows.adaptTo(spectrum);
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

  /** @throws RangeError that names a layer of whose running period there can be no bytes without rows */
  checkWithoutRows(): void {
    for (const { split, name: layer, entry, merged } of this.#recorded()) {
      // What is still being read of a layer that keeps a sketch will be in it.
      const own = entry?.keepsSketch && entry.accumulator.snapshot()?.accumulator === undefined;
      if (own || merged?.sums.sketch !== undefined) named('take', { split, layer }, refuseSketch);
    }
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
      checkWidth('merge', each, entry?.rows.features);
    }
    mergeLayers('merge', this.#merged, saved);
  }

  /** The layers that were recorded or merged in this period. */
  #recorded(): { split: Split; name: string; entry: Entry<T> | undefined; merged: SavedLayer | undefined }[] {
    const order = new Map([...this.#ordered].map((name, index) => [name, index]));
    const layers = [...this.#entries.values()]
      .filter(({ rows }) => rows.isUsed)
      .map((entry) => {
        const { split, name } = entry;
        const merged = this.#merged.get(`${split}/${name}`);
        return { split, name, entry: entry as Entry<T> | undefined, merged: merged as SavedLayer | undefined };
      });
    for (const [key, merged] of this.#merged) {
      const entry = this.#entries.get(key);
      if (!entry?.rows.isUsed) layers.push({ split: merged.split, name: merged.layer, entry: undefined, merged });
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
    const entry = this.#entryOf(split, layer, undefined, sums.sketch !== undefined);
    entry.accumulator.restore(sums);
    entry.rows.restore(sums.features, { passes, items, ...rowsOf(saved) });
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

  #entryOf(split: Split, name: string, first: FirstOutput | undefined, sketch: boolean): Entry<T> {
    const key = `${split}/${name}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const { embedding, neighbors, units, classes, findEvery } = this.#options;
      const watch = Number.isFinite(findEvery) ? new UnitWatch() : undefined;
      const rows = Math.max(embedding ? embeddingRows : 0, neighbors ? neighborRows : 0);
      const kept = sketch
        ? { ...nothingKept, sketch }
        : { rows, ofAllRows: embedding, units, classes, sketch, ...(watch && { watch }) };
      const report = (error: unknown) => this.#report(error, `layer '${name}'`);
      const accumulator = this.#accumulators.choose(key, first, kept, report);
      const rowsUsed = new RowSelection(this.#options);
      entry = { split, name, accumulator, keepsSketch: sketch, rows: rowsUsed, watch, nextLook: findEvery - 1 };
      this.#entries.set(key, entry);
    }
    return entry;
  }
}

/** Ends what is counted of a batch, and of the period if that ends. */
function beginPeriod<T extends LayerOutput>(entry: Entry<T>, isNew: boolean, findEvery: number): void {
  entry.rows.begin(isNew);
  entry.watch?.clear();
  entry.nextLook = findEvery - 1;
}

/** What was counted of a layer, here and in other processes. */
function countsOf(entry: { readonly rows: RowSelection } | undefined, merged: SavedLayer | undefined): RowCounts {
  const own = entry?.rows.counts ?? noRows;
  if (merged === undefined) return own;
  const others = { passes: merged.passes, items: merged.items, ...rowsOf(merged) };
  return {
    passes: own.passes + others.passes,
    items: own.items + others.items,
    rows: own.rows + others.rows,
    effectiveRows: own.effectiveRows + others.effectiveRows,
  };
}

const noRows: RowCounts = { passes: 0, items: 0, rows: 0, effectiveRows: 0 };

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
