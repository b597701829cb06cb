import { defaultStoreFiles } from '#platform';
import type { StoreFiles } from '../platform/platform.js';
import type { EpochStatistics, LayerStatistics } from '../saturation/epoch.js';
import { entriesOf, scalarStats } from '../saturation/stats.js';
import type { FileStoreOptions } from './csv-store.js';
import { delveColumn, encodeFileName, scalarColumn } from './delve-names.js';
import { decodeEpochCounter, type EpochCounter, encodeEpochCounter, encodeNpy, type NpyArray } from './npy.js';
import type { Store } from './store.js';

/** Files open at once: stays far below the usual limit of 1,024 per program. */
const batch = 16;

/** The file of Delve's npy writer that says how far each folder goes. */
const counterFile = 'epoch_counter.pkl';

/**
 * Saves each value as a file of its own for numpy, where Delve's npy writer puts it:
 * `<folder>/_train-saturation_<layer>/_train-saturation_<layer>_epoch<k>.npy` (the user's scalars without the `_` in front).
 * Scalars are float64 (counts int64) of rank 0, covariances features x features, eigenvalues (`_train-spectrum_<layer>`)
 * descending, embedded samples n x 2. Any threshold can be applied afterwards: see `reconstructCsv`.
 *
 * Characters of a layer's name that a file system would trip over become %XX, so nothing is written outside the folder.
 * The first epoch added decides what becomes of an earlier run's files there: epochs before it stay, later ones go.
 */
export class NpyStore implements Store {
  /** The folder written. */
  readonly path: string;
  readonly #files: StoreFiles;
  #counter: EpochCounter | undefined;
  #turn: Promise<void> = Promise.resolve();

  /** @param folder Made when the first epoch is saved. */
  constructor(folder: string, options: FileStoreOptions = {}) {
    if (typeof folder !== 'string' || folder === '') {
      throw new TypeError(`NpyStore: folder must be a path, not ${JSON.stringify(folder)}.`);
    }
    this.path = folder.replace(/(?<=[^/])\/+$/, '');
    this.#files = options.files ?? defaultStoreFiles();
  }

  async resume(initialEpoch: number): Promise<void> {
    const kept: EpochCounter = new Map();
    for (const file of await listNpy(this.path, this.#files)) {
      if (file.epoch >= initialEpoch) await this.#files.remove(`${this.path}/${file.path}`);
      else kept.set(file.name, Math.max(file.epoch, kept.get(file.name) ?? 0));
    }
    // The folders' order is known only to the saved counter.
    const saved = [...(await readCounter(this.path, this.#files)).keys()].filter((name) => kept.has(name));
    this.#counter = new Map([...saved, ...kept.keys()].map((name) => [name, kept.get(name)!]));
  }

  add(epoch: EpochStatistics): Promise<void> {
    const added = this.#turn.then(() => this.#add(epoch));
    this.#turn = added.catch(() => {});
    return added;
  }

  async #add({ epoch, scalars, layers }: EpochStatistics): Promise<void> {
    if (!this.#counter) await this.resume(epoch);
    const named: [string, NpyArray][] = scalars.map(({ tag, value, split }) => [
      encodeFileName(scalarColumn(tag, split)),
      scalar(value),
    ]);
    for (const layer of layers) named.push(...arraysOf(layer));
    // Of a scalar that came several times in an epoch the last counts: there is one file for each.
    const arrays = [...new Map(named)];
    for (let k = 0; k < arrays.length; k += batch) {
      await Promise.all(
        arrays
          .slice(k, k + batch)
          .map(([name, array]) =>
            this.#files.write(`${this.path}/${name}/${name}_epoch${epoch}.npy`, encodeNpy(array)),
          ),
      );
    }
    for (const [name] of arrays) this.#counter!.set(name, epoch);
    await this.#files.write(`${this.path}/${counterFile}`, encodeEpochCounter(this.#counter!));
  }
}

/** A layer's statistics by the name of their folder. */
function arraysOf(statistics: LayerStatistics): [string, NpyArray][] {
  const { split, layer, values, samples, features, spectrum, covariance, embedding } = statistics;
  const name = (stat: Parameters<typeof delveColumn>[1]) => encodeFileName(`_${delveColumn(split, stat, layer)}`);
  const arrays = entriesOf(values).map(([stat, value]): [string, NpyArray] => [
    name(stat),
    scalar(value, scalarStats[stat].isCount),
  ]);
  const array = (shape: number[], of: Float64Array): NpyArray => ({ dtype: 'float64', shape, values: of });
  if (covariance) arrays.push([name('covariance'), array([features, features], covariance)]);
  if (spectrum) arrays.push([name('spectrum'), array([spectrum.eigenvalues.length], spectrum.eigenvalues)]);
  if (embedding) arrays.push([name('embedding'), array([embedding.length / 2, 2], embedding)]);
  arrays.push([name('samples'), scalar(samples, true)], [name('features'), scalar(features, true)]);
  return arrays;
}

/** NaN has no place in an int64 array, so a count that is NaN is a float. */
function scalar(value: number, isCount = false): NpyArray {
  const dtype = isCount && Number.isInteger(value) ? 'int64' : 'float64';
  return { dtype, shape: [], values: Float64Array.of(value) };
}

/** The files of Delve's form in a folder: `<name>/<name>_epoch<k>.npy`. Others are none of a store's business. */
export async function listNpy(
  folder: string,
  files: StoreFiles,
): Promise<{ path: string; name: string; epoch: number }[]> {
  return (await files.list(folder)).flatMap((path) => {
    const match = /^([^/]+)\/\1_epoch(\d+)\.npy$/.exec(path);
    return match ? [{ path, name: match[1], epoch: Number(match[2]) }] : [];
  });
}

/** The counter saved in a folder; empty where there is none or it cannot be understood. */
export async function readCounter(folder: string, files: StoreFiles): Promise<EpochCounter> {
  const bytes = await files.read(`${folder}/${counterFile}`);
  return (bytes && decodeEpochCounter(bytes)) ?? new Map();
}
