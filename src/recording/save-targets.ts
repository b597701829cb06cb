import { handleSignals, warn } from '#platform';
import { describe } from '../errors.js';
import { adviceMarkdown } from '../insight/advice.js';
import type { EarlierEpoch } from '../insight/advice-case.js';
import { inputSizeOf } from '../insight/border.js';
import type { ModelLike } from '../insight/layer-graph.js';
import type { ReceptiveField } from '../insight/receptive-fields.js';
import { DirectoryOutput } from '../output/directory-output.js';
import { writeEigenvalues } from '../saturation/eigenvalues.js';
import type { EpochStatistics, LayerRole, LayerStatistics, Split } from '../saturation/epoch.js';
import { noteOf, writeNote, writeReceptiveFields } from '../saturation/note.js';
import { epochMarkdown, writeHeatMap, writeLayerStatistics, writeProfile } from '../saturation/runs.js';
import { SaturationWriter } from '../saturation/saturation-writer.js';
import type { NotedModel } from '../saturation/training-facts.js';
import type { Store } from '../stores/store.js';
import type { SummaryWriterOptions } from '../writer/run-writer.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import type { ResolvedOptions } from './options.js';
import { storeOf } from './store-of.js';

/** A model of layers that was read. */
export interface Structure {
  readonly model: ModelLike;
  readonly fields: readonly ReceptiveField[];
  readonly facts: NotedModel;
}

/** What is known of the model whose layers are recorded, read when it is first asked for. */
export interface ModelStructure {
  /** The built model of layers; undefined if there is none, or none that can be read. */
  read(): Structure | undefined;
  /** What each layer is for, by layer; undefined if nothing is known. */
  roles(): ReadonlyMap<string, LayerRole> | undefined;
}

/** Where nothing is known of a model. */
const noStructure: ModelStructure = { read: () => undefined, roles: () => undefined };

/**
 * Everything that a tracker saves to: TensorBoard's runs `train` and `val` below the logdir, and the stores of the option
 * `saveTo`. An error of one of them is reported, and the others are still written.
 */
export class SaveTargets {
  readonly #options: ResolvedOptions;
  readonly #structure: ModelStructure;
  readonly #report: (error: unknown, where: string) => void;
  /** The stores, and the epochs that each is saving. */
  readonly #stores: { name: string; store: Store; unsaved: Set<number> }[] = [];
  readonly #runs = new Map<Split, SummaryWriter>();
  /** The last note written to each split's run. */
  readonly #notes = new Map<Split, string>();
  /** Saturation per split, layer and epoch from the first one on, for the heat map. */
  readonly #history = new Map<Split, { readonly first: number; readonly rows: Map<string, number[]> }>();
  readonly #destination: string | SummaryWriter;
  readonly #toTensorBoard: boolean;
  /** The writer of the logdir itself, opened for the first scalar of the user's: without one there is no such run. */
  #root: SummaryWriter | undefined;
  #resumed: Promise<void> | undefined;
  #hasResumed = false;
  /** The first epoch, from which ranks may have fallen. */
  #first: EarlierEpoch | undefined;
  /** The last epoch, until its summary is written. */
  #toSummarize: EpochStatistics | undefined;

  /**
   * @param destination a folder, or a writer, which stays open on close()
   * @param report receives errors, with what failed in words
   * @param structure the advice rests on it, too
   * @throws TypeError if the folder is '', Error if it cannot be made
   */
  constructor(
    destination: string | SummaryWriter,
    options: ResolvedOptions,
    report: (error: unknown, where: string) => void,
    structure: ModelStructure = noStructure,
  ) {
    this.#structure = structure;
    this.#options = options;
    this.#report = report;
    if (options.handleSignals) handleSignals();
    const logdir = typeof destination === 'string' ? destination : destination.logdir;
    for (const target of options.saveTo) {
      if (target === 'tensorboard') continue;
      const name = typeof target === 'string' ? target : target.constructor.name;
      this.#add(name, storeOf(target, logdir));
    }
    this.#destination = destination;
    this.#toTensorBoard = options.saveTo.includes('tensorboard');
    if (!this.#toTensorBoard || typeof destination !== 'string') return;
    if (destination === '')
      throw new TypeError(`logdir: expected a non-empty string or a SummaryWriter, got ${describe(destination)}`);
    const folder = new DirectoryOutput(destination);
    folder.makeFolder();
    const { initialEpoch } = options;
    if (initialEpoch === 0) return;
    // A purge hides the events before it: no event of this process may come first, whoever writes it. So it is done now, in
    // the runs that are there; others will hold only what this process writes.
    // Epoch values stand at step epoch + 1.
    const purge = { purgeStep: initialEpoch + 1 };
    for (const split of ['train', 'val'] as const) if (hasEvents(folder.run(split))) this.#openSplit(split, purge);
    if (hasEvents(folder)) this.#root = this.#open(undefined, purge);
  }

  /** The writer of a split's run; undefined when TensorBoard was not asked for. */
  run(split: Split): SummaryWriter | undefined {
    if (!this.#toTensorBoard) return undefined;
    return this.#runs.get(split) ?? this.#openSplit(split);
  }

  /** Adds a store, which is given every epoch from now on. */
  addStore(store: Store): void {
    this.#add(store.constructor.name, store);
  }

  /** Writes a scalar of the user's own into the root run of the logdir. */
  addScalar(tag: string, value: number, step: number): void {
    if (this.#toTensorBoard) this.#openRoot().addScalar(tag, value, step);
  }

  /** The epoch with what its layers are for, if the structure of what is tracked can be read. */
  withRoles(epoch: EpochStatistics): EpochStatistics {
    const roles = this.#structure.roles();
    if (roles === undefined || roles.size === 0) return epoch;
    const layers = epoch.layers.map((layer) => {
      const role = roles.get(layer.layer);
      return role === undefined ? layer : { ...layer, role };
    });
    return { ...epoch, layers };
  }

  /** Writes an epoch to TensorBoard. What it adds is in the file when this returns: a long computation may follow. */
  writeRuns(epoch: EpochStatistics): void {
    this.#try('TensorBoard', () => this.#writeRuns(epoch));
    for (const writer of this.#writers()) writer.writeOut();
    this.#toSummarize = epoch;
    // Its spectra and covariances are not kept.
    this.#first ??= {
      step: epoch.step,
      layers: epoch.layers.map(({ split, layer, values }) => ({ split, layer, values })),
    };
  }

  /** Adds an epoch to every store. */
  async writeStores(epoch: EpochStatistics): Promise<void> {
    for (const { unsaved } of this.#stores) unsaved.add(epoch.epoch);
    this.#resumed ??= this.#resume();
    await this.#resumed;
    this.#hasResumed = true;
    await this.#eachStore(async (store, unsaved) => {
      try {
        await store.add(epoch);
      } finally {
        unsaved.delete(epoch.epoch);
      }
    });
  }

  /** At exit, when nothing can be awaited: adds epochs to the stores that need not be awaited, and reports the others. */
  writeStoresNow(epochs: readonly EpochStatistics[]): void {
    for (const { name, store, unsaved } of this.#stores) {
      for (const epoch of epochs) {
        let saved: unknown = 'not resumed';
        const isReady = this.#options.initialEpoch === 0 || this.#hasResumed;
        if (isReady) this.#try(`store '${name}'`, () => (saved = store.add(epoch)));
        if (saved === undefined) continue;
        unsaved.add(epoch.epoch);
        if (saved instanceof Promise) saved.catch(() => {});
      }
      if (unsaved.size === 0) continue;
      const numbers = [...unsaved].map((epoch) => epoch + 1).join(', ');
      warn(
        `At exit the store '${name}' had not saved ${unsaved.size === 1 ? 'epoch' : 'epochs'} ${numbers}: await close() before the program ends`,
      );
    }
  }

  /** At the end of a training: writes advice about its last epoch, and waits until everything is in the files. */
  async flush(): Promise<void> {
    this.#summarize();
    await Promise.all([...this.#writers()].map((writer) => writer.flush()));
  }

  /** Ends a training that may go on: closes the stores, to which more epochs may be added, and flushes the writers. */
  async suspend(): Promise<void> {
    await this.#eachStore((store) => store.close?.());
    await this.flush();
  }

  /** Closes the stores, and the writers that the tracker opened. */
  async close(): Promise<void> {
    await this.#eachStore((store) => store.close?.());
    this.#summarize();
    const isOwn = typeof this.#destination === 'string';
    for (const writer of this.#writers()) {
      try {
        await (isOwn ? writer.close() : writer.flush());
      } catch (error) {
        this.#report(error, 'TensorBoard');
      }
    }
  }

  #add(name: string, store: Store): void {
    this.#stores.push({ name, store, unsaved: new Set() });
  }

  *#writers(): Iterable<SummaryWriter> {
    yield* this.#runs.values();
    if (this.#root !== undefined) yield this.#root;
  }

  #openRoot(): SummaryWriter {
    this.#root ??= typeof this.#destination === 'string' ? this.#open() : this.#destination;
    return this.#root;
  }

  #openSplit(split: Split, options?: SummaryWriterOptions): SummaryWriter {
    const run = typeof this.#destination === 'string' ? this.#open(split, options) : this.#destination.run(split);
    if (this.#runs.size === 0 && this.#fillsLayout()) run.addCustomScalars(layout);
    this.#runs.set(split, run);
    return run;
  }

  /** Opens the run of a split; without a split, the logdir itself. */
  #open(split?: Split, options?: SummaryWriterOptions): SummaryWriter {
    const logdir = this.#destination as string;
    const path = split === undefined ? logdir : `${logdir.replace(/(?<=.)[/\\]+$/, '')}/${split}`;
    return new SaturationWriter(path, options);
  }

  /** Writes advice about the last epoch that was written, which lists its split's numbers, and those of the other split; once. */
  #summarize(): void {
    const epoch = this.#toSummarize;
    this.#toSummarize = undefined;
    if (epoch === undefined || epoch.layers.length === 0 || !this.#options.scalars.includes('saturation')) return;
    const split = epoch.layers.some((layer) => layer.split === 'train') ? 'train' : 'val';
    this.#try('TensorBoard', () => this.run(split)?.addText('saturation-summary', this.#advice(epoch), epoch.step));
    const others = epoch.layers.filter((layer) => layer.split !== split);
    if (others.length === 0) return;
    this.#try('TensorBoard', () =>
      this.run(others[0].split)?.addText('saturation-table', epochMarkdown(others, this.#options), epoch.step),
    );
  }

  #advice(epoch: EpochStatistics): string {
    const structure = this.#structure.read();
    const earlier = this.#first;
    return structure === undefined
      ? adviceMarkdown(epoch, { earlier })
      : adviceMarkdown(epoch, { model: structure.model, receptiveFields: structure.fields, earlier });
  }

  /** Whether there is anything to show on the custom scalars page. */
  #fillsLayout(): boolean {
    const { scalars } = this.#options;
    return scalars.includes('saturation') || scalars.includes('intrinsicDimensionality');
  }

  #writeRuns(epoch: EpochStatistics): void {
    for (const split of ['train', 'val'] as const) {
      const layers = epoch.layers.filter((layer) => layer.split === split);
      if (layers.length === 0) continue;
      const run = this.run(split);
      if (run === undefined) return;
      this.#try('TensorBoard', () => this.#writeNote(run, split, layers, epoch.step));
      for (const [index, layer] of layers.entries()) {
        this.#try(`TensorBoard, layer '${layer.layer}'`, () => {
          writeLayerStatistics(run, layer, epoch.step, this.#options);
          writeEigenvalues(run, layer, index, epoch.step, this.#options, this.#options.storedEigenvalues);
        });
      }
      const saturations = new Map(layers.map(({ layer, saturation }) => [layer, saturation]));
      if (this.#options.averageSaturation) {
        run.addScalar('average-saturation', mean([...saturations.values()]), epoch.step);
      }
      if (!this.#options.scalars.includes('saturation')) continue;
      const { first, rows } = this.#addToHistory(split, epoch.epoch, saturations);
      if (this.#options.profileHistogram) writeProfile(run, saturations, epoch.step);
      if (isWorthAPicture(rows)) writeHeatMap(run, rows, epoch.step, first + 1);
    }
  }

  /** Writes the note on a run's values, unless the run's last note says the same. */
  #writeNote(run: SummaryWriter, split: Split, layers: readonly LayerStatistics[], step: number): void {
    const note = noteOf(split, layers, this.#options, this.#structure.read()?.facts);
    if (this.#notes.get(split) === note) return;
    const isFirst = !this.#notes.has(split);
    this.#notes.set(split, note);
    writeNote(run, note, step);
    if (isFirst) this.#try('TensorBoard, receptive fields', () => this.#writeFields(run, step));
  }

  /** Writes the receptive fields of a model that sees images or series. */
  #writeFields(run: SummaryWriter, step: number): void {
    const { model, fields } = this.#structure.read() ?? {};
    if (model === undefined || !fields?.some(({ axes }) => axes.length > 0)) return;
    const sides = inputSizeOf(model);
    writeReceptiveFields(run, fields, sides === undefined ? undefined : Math.min(...sides), step);
  }

  /**
   * Adds a column to a split's heat map; a layer that an epoch lacks, and an epoch that is left out, is NaN there. If epochs
   * go back, the later ones are dropped.
   */
  #addToHistory(split: Split, epoch: number, saturations: ReadonlyMap<string, number>) {
    let history = this.#history.get(split);
    if (history === undefined || epoch < history.first) history = { first: epoch, rows: new Map() };
    this.#history.set(split, history);
    const { first, rows } = history;
    for (const layer of new Set([...rows.keys(), ...saturations.keys()])) {
      const row = rows.get(layer)?.slice(0, epoch - first) ?? [];
      while (row.length < epoch - first) row.push(Number.NaN);
      row.push(saturations.get(layer) ?? Number.NaN);
      rows.set(layer, row);
    }
    return history;
  }

  /** Makes the stores continue an earlier run, if the tracker does. */
  async #resume(): Promise<void> {
    const { initialEpoch } = this.#options;
    if (initialEpoch > 0) await this.#eachStore((store) => store.resume?.(initialEpoch));
  }

  /** Calls the stores one after another, and reports those that fail. */
  async #eachStore(act: (store: Store, unsaved: Set<number>) => void | Promise<void>): Promise<void> {
    for (const { name, store, unsaved } of this.#stores) {
      try {
        await act(store, unsaved);
      } catch (error) {
        this.#report(error, `store '${name}'`);
      }
    }
  }

  #try(where: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#report(error, where);
    }
  }
}

/** One chart over all saturations; TensorBoard draws a line per layer and run. */
const layout = {
  categories: [
    { title: 'Layer saturation', charts: [{ title: 'saturation', multiline: ['^saturation/'] }] },
    {
      title: 'Intrinsic dimensionality',
      closed: true,
      charts: [{ title: 'intrinsic dimensionality', multiline: ['^intrinsic-dimensionality/'] }],
    },
  ],
};

/** Whether an earlier program wrote to a run. */
function hasEvents(folder: DirectoryOutput): boolean {
  try {
    for (const _file of folder.readEarlier()) return true;
  } catch {
    // The folder does not exist.
  }
  return false;
}

/**
 * Whether to draw a heat map in this epoch: in every one of the first hundred, then more and more rarely, because TensorBoard
 * shows only ten of them.
 */
function isWorthAPicture(history: ReadonlyMap<string, readonly number[]>): boolean {
  const epochs = Math.max(0, ...[...history.values()].map((row) => row.length));
  return epochs % Math.ceil(epochs / 100) === 0;
}

function mean(values: readonly number[]): number {
  const finite = values.filter((value) => !Number.isNaN(value));
  return finite.length === 0 ? Number.NaN : finite.reduce((sum, value) => sum + value, 0) / finite.length;
}
