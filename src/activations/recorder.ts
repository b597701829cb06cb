import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { Split } from '../saturation/epoch.js';
import type { Spectrum } from '../statistics/spectrum.js';
import type { SolveWishes } from '../statistics/threads/solve.js';
import { type FirstOutput, type Moments, MomentsStrategies, type SolvedMoments } from './accumulate/accumulator.js';
import { hasFusedActivation, type LayerCall, onLayerCall, preActivationOf, startNewPass } from './hooks.js';
import type { TrackedLayer } from './layers.js';
import type { SavedLayer } from './recorder-state.js';
import { SampleBudget } from './sample-budget.js';
import { type ActivationView, sampleSize, type Thinning } from './samples.js';
import { offTape } from './tensors.js';
import type { TrainingPhase } from './training-phase.js';

/** Samples kept per layer and split for the embedding: enough for a scatter plot, little enough for memory. */
const embeddingRows = 1000;

/** With sampling 'auto': how many of one item's rows count as independent of each other. */
const independentRowsPerItem = 16;
/**
 * With sampling 'auto': how many of one item's rows are used at most; neighbours tell much the same. Of 258 spectra of the
 * demo's convolutional network (eight seeds) none showed another saturation than that of all rows; with 16 one of 138 did.
 */
const mostRowsPerItem = 32;
/** Offsets that are whole multiples of it, less their whole part, lie evenly however many there are. */
const goldenRatio = (1 + Math.sqrt(5)) / 2;

/** How activations are read and which of them count. */
export interface RecordingOptions extends Pick<ActivationView, 'convMethod'> {
  /** What a layer with a fused activation shows: its output, or what it has before the activation. */
  readonly activations: 'output' | 'preActivation';
  /** Undefined: 'lastTimestep' for recurrent layers, 'tokens' for all others. */
  readonly timeseriesMethod: ActivationView['timeseriesMethod'] | undefined;
  readonly downsample: ActivationView['downsample'];
  /** Whether every row counts, or as many as the saturation needs. */
  readonly sampling: 'all' | 'auto';
  /** Fraction of the variance that the counted directions explain, in (0, 1]: 'auto' sampling aims at it. */
  readonly threshold: number;
  readonly precision: 'auto' | 'float64';
  /** Every n-th batch counts, starting with the first of each epoch. */
  readonly logInterval: number;
  /** Most items (images, sequences) per layer, split and epoch. */
  readonly maxSamples: number;
  /** Whether rows are kept for an embedding. */
  readonly embedding: boolean;
}

/** One layer in one split at the end of a period. */
export interface RecordedLayer {
  split: Split;
  layer: string;
  moments: Promise<SolvedMoments | undefined>;
  /** Where and in which precision its samples were summed, in words. */
  strategy: string;
}

/** What is being accumulated for one layer in one split. */
interface Entry {
  split: Split;
  name: string;
  moments: Moments;
  /** Passes seen since the period began, used or not. */
  passes: number;
  /** Items (images, sequences) used since the period began. */
  items: number;
  /** False until the first pass of the period that was used. */
  used: boolean;
  /** With sampling 'auto': how many rows are wanted. */
  budget: SampleBudget | undefined;
}

/**
 * Listens to layers and accumulates the moments of their outputs, train and validation apart. Whatever goes wrong in here
 * is reported and never reaches the model.
 */
export class ActivationRecorder {
  readonly #tracked: readonly TrackedLayer[];
  readonly #options: RecordingOptions;
  readonly #phase: TrainingPhase;
  readonly #report: (error: unknown, layer: string) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #strategies: MomentsStrategies;
  readonly #expectedItems = new Map<Split, number>();
  #unhook: (() => void)[] = [];
  #isHooked = true;
  #isRecording = true;

  constructor(
    tracked: readonly TrackedLayer[],
    options: RecordingOptions,
    phase: TrainingPhase,
    report: (error: unknown, layer: string) => void,
  ) {
    this.#tracked = tracked;
    this.#options = options;
    this.#phase = phase;
    this.#report = report;
    this.#strategies = new MomentsStrategies(options.precision);
    for (const target of tracked) this.#unhook.push(onLayerCall(target.layer, (call) => this.#hear(target, call)));
  }

  get isRecording(): boolean {
    return this.#isRecording && this.#isHooked;
  }

  stop(): void {
    this.#isRecording = false;
  }

  resume(): void {
    this.#isRecording = true;
  }

  /** Counts every pass inside `fn` for a split. */
  record<T>(split: Split, fn: () => T): T {
    startNewPass();
    return this.#phase.record(split, fn);
  }

  /** Tells how many items an epoch will bring, where that is known: with sampling 'auto' it spares the first epoch. */
  expect(split: Split, items: number | undefined): void {
    if (items === undefined) this.#expectedItems.delete(split);
    else this.#expectedItems.set(split, items);
  }

  /** Learns from an epoch's spectrum how many rows the next one needs (sampling 'auto'). */
  review(split: Split, name: string, spectrum: Spectrum): void {
    this.#entries.get(`${split}/${name}`)?.budget?.review(spectrum);
  }

  /** Adds activations that the caller has at hand, under a name of the caller's. */
  observe(name: string, activations: Tensor, split: Split): void {
    if (!this.isRecording) return;
    const view = this.#viewOf(undefined);
    this.#add(split, name, 1, activations, view, undefined);
  }

  /** Solves every layer that was heard of, in the order of the layers. @param endPeriod true: the next pass starts anew */
  solve(wishes: SolveWishes, endPeriod: boolean): RecordedLayer[] {
    const order = new Map(this.#tracked.map((target, index) => [target.name, index]));
    const heard = [...this.#entries.values()].filter((entry) => entry.used);
    const last = this.#tracked.length;
    heard.sort((a, b) => (order.get(a.name) ?? last) - (order.get(b.name) ?? last));
    return heard.map((entry) => {
      const moments = entry.moments.solve(wishes, endPeriod);
      // Awaited later, one after another: a rejection meanwhile must not end the program.
      moments.catch(() => {});
      if (endPeriod) {
        entry.items = 0;
        entry.used = false;
        entry.budget?.end();
      }
      entry.passes = 0;
      return { split: entry.split, layer: entry.name, moments, strategy: entry.moments.strategy };
    });
  }

  /** The moments of the running period, as far as they have arrived, for saving. */
  snapshot(): SavedLayer[] {
    const saved: SavedLayer[] = [];
    for (const { split, name, moments, passes, items } of this.#entries.values()) {
      const accumulator = moments.snapshot();
      if (accumulator !== undefined) saved.push({ split, layer: name, passes, items, accumulator });
    }
    return saved;
  }

  /** Goes on from the moments of an earlier process. */
  restore({ split, layer, passes, items, accumulator }: SavedLayer): void {
    const entry = this.#entryOf(split, layer);
    entry.moments.restore(accumulator);
    entry.used = true;
    entry.passes = passes;
    entry.items = items;
  }

  /** How each layer's moments are accumulated, by layer. */
  strategies(): Map<string, string> {
    return new Map([...this.#entries.values()].map((entry) => [entry.name, entry.moments.strategy]));
  }

  /** Takes the hooks off the layers, for good; what was recorded stays until dispose. */
  unhook(): void {
    this.#isHooked = false;
    for (const restore of this.#unhook) restore();
    this.#unhook = [];
  }

  dispose(): void {
    this.unhook();
    for (const entry of this.#entries.values()) entry.moments.dispose();
    this.#strategies.close();
  }

  #hear(target: TrackedLayer, call: LayerCall): void {
    if (!this.#isRecording) return;
    const split = this.#phase.current(call.kwargs.training === true);
    if (split === undefined) return;
    try {
      // A shared layer runs once per place it stands in: together these calls are one pass.
      const callsPerPass = Math.max(1, target.layer.inboundNodes.length);
      const view = this.#viewOf(target);
      const mask = view.kind === 'sequence' && call.output.rank === 3 ? maskOf(call) : undefined;
      if (this.#options.activations === 'preActivation' && hasFusedActivation(call)) {
        offTape(call.output, () =>
          tidy(() => this.#add(split, target.name, callsPerPass, preActivationOf(call), view, mask)),
        );
      } else {
        this.#add(split, target.name, callsPerPass, call.output, view, mask);
      }
    } catch (error) {
      this.#report(error, target.name);
    }
  }

  #add(
    split: Split,
    name: string,
    callsPerPass: number,
    output: Tensor,
    view: ActivationView,
    mask: ArrayLike<number> | undefined,
  ): void {
    const entry = this.#entryOf(split, name, () => ({ shape: output.shape, view, masked: mask !== undefined }));
    const pass = Math.floor(entry.passes++ / callsPerPass);
    if (pass % this.#options.logInterval !== 0) return;
    const items = Math.min(output.shape[0] ?? 0, this.#options.maxSamples - entry.items);
    if (items <= 0) return;
    const thinning = this.#thinningOf(entry, output.shape, view, items, callsPerPass);
    if (thinning?.rows === 0) return;
    entry.moments.add({ output, view, mask, items, thinning });
    entry.items += items;
    entry.used = true;
  }

  /** Which rows of a pass to use, perhaps none; undefined for all. */
  #thinningOf(
    entry: Entry,
    shape: readonly number[],
    view: ActivationView,
    items: number,
    callsPerPass: number,
  ): Thinning | undefined {
    if (this.#options.sampling === 'all') return undefined;
    const { rows, features } = sampleSize(shape, view, items);
    // Neighbouring places of an image (steps of a sequence) resemble each other: an item is worth so many rows at most.
    const places = rows / items;
    const independent = Math.min(places, independentRowsPerItem) * items;
    if (entry.budget === undefined) {
      entry.budget = new SampleBudget(features, { threshold: this.#options.threshold });
      const expected = this.#expectedItems.get(entry.split);
      entry.budget.begin(expected && (expected * callsPerPass * independent) / items);
    }
    const share = entry.budget.take(independent) / independent;
    const wanted = Math.ceil(share * Math.min(places, mostRowsPerItem) * items);
    return wanted >= rows ? undefined : { rows: wanted, offset: (entry.passes * goldenRatio) % 1 };
  }

  #entryOf(split: Split, name: string, output: () => FirstOutput | undefined = () => undefined): Entry {
    const key = `${split}/${name}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const keepRows = this.#options.embedding ? embeddingRows : 0;
      const moments = this.#strategies.choose(key, output(), keepRows, (error) => this.#report(error, name));
      entry = { split, name, moments, passes: 0, items: 0, used: false, budget: undefined };
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

/** The output's mask, N x T, where the layer has one. */
function maskOf(call: LayerCall): ArrayLike<number> | undefined {
  const { layer, inputs, kwargs, output } = call;
  if (!layer.supportsMasking && kwargs.mask == null) return undefined;
  let values: ArrayLike<number> | undefined;
  offTape(output, () =>
    tidy(() => {
      const computed = layer.supportsMasking ? layer.computeMask(inputs, kwargs.mask ?? undefined) : kwargs.mask;
      const mask = Array.isArray(computed) ? computed[0] : computed;
      // TensorFlow.js leaves a mask of earlier layers in the arguments of later ones: it counts only where it fits.
      if (mask == null || mask.shape[0] !== output.shape[0] || mask.shape[1] !== output.shape[1]) return;
      values = mask.dataSync();
    }),
  );
  return values;
}
