import { warn } from '#platform';
import { maxNameBytes } from '../encoding/file-names.js';
import { checkOptionNames, messageOf, type OptionNames } from '../errors.js';
import type { StoreFiles } from '../platform/platform.js';
import type { EpochStatistics, LayerStatistics } from '../saturation/epoch.js';
import { entriesOf, scalarStats } from '../saturation/stats.js';
import type { FileStoreOptions } from './csv-store.js';
import { delveColumn, encodeFileName, scalarColumn } from './delve-names.js';
import { decodeEpochCounter, type EpochCounter, encodeEpochCounter, encodeNpy, type NpyArray } from './npy.js';
import { type Store, storePlace } from './store.js';

/** Files that are written at once: far fewer than the 1,024 that a program may usually have open. */
const batch = 16;

/** The file of Delve's npy writer that holds the last epoch of each folder. */
const counterFile = 'epoch_counter.pkl';

/**
 * Saves each value as a numpy file of its own, under the path that Delve's npy writer gives it:
 * `<folder>/_train-saturation_<layer>/_train-saturation_<layer>_epoch<k>.npy` (the user's scalars without the leading
 * `_`). Scalars are float64 (counts int64) of rank 0, covariances features x features, eigenvalues
 * (`_train-spectrum_<layer>`) descending, embedded samples n x 2. Any threshold can be applied afterwards: see
 * `reconstructCsv`.
 *
 * Characters of a layer's name that a file system does not allow become %XX, so that nothing is written outside the
 * folder. If an earlier run left files there, the epochs before the first one added stay, and all others are removed.
 */
export class NpyStore implements Store {
  /** Path of the folder. */
  readonly path: string;
  readonly #files: StoreFiles;
  #counter: EpochCounter | undefined;
  #turn: Promise<void> = Promise.resolve();

  /**
   * @param folder a path; the folder is made when the first epoch is saved
   * @throws TypeError if it is empty or no place of this computer, RangeError if it is too long for a file system
   */
  constructor(folder: string | URL, options: FileStoreOptions = {}) {
    const { files, path } = storePlace(folder, 'NpyStore folder', options.files, 2 * maxNameBytes);
    checkOptionNames('NpyStore', options, { files: true } satisfies OptionNames<FileStoreOptions>);
    this.path = path.replace(/(?<=[^/])\/+$/, '');
    this.#files = files;
  }

  /** Keeps an earlier run's epochs before `initialEpoch` and removes the files of all others. */
  async resume(initialEpoch: number): Promise<void> {
    const kept: EpochCounter = new Map();
    for (const file of await listNpy(this.path, this.#files)) {
      if (file.epoch >= initialEpoch) await this.#files.remove(`${this.path}/${file.path}`);
      else kept.set(file.name, Math.max(file.epoch, kept.get(file.name) ?? 0));
    }
    // Only the saved counter holds the order of the folders.
    const saved = [...(await readCounter(this.path, this.#files)).keys()].filter((name) => kept.has(name));
    this.#counter = new Map([...saved, ...kept.keys()].map((name) => [name, kept.get(name)!]));
  }

  /** Saves one epoch. Epochs that are added before an earlier one is saved wait for it. */
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
    // There is one file per scalar: if one came several times in an epoch, its last value is saved.
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

/** An array of one number. An int64 array cannot hold NaN, so that a count that is NaN is stored as a float. */
function scalar(value: number, isCount = false): NpyArray {
  const dtype = isCount && Number.isInteger(value) ? 'int64' : 'float64';
  return { dtype, shape: [], values: Float64Array.of(value) };
}

/** The files of Delve's form in a folder, `<name>/<name>_epoch<k>.npy`; other files are left out. */
export async function listNpy(
  folder: string,
  files: StoreFiles,
): Promise<{ path: string; name: string; epoch: number }[]> {
  return (await files.list(folder)).flatMap((path) => {
    const match = /^([^/]+)\/\1_epoch(\d{1,15})\.npy$/.exec(path);
    return match ? [{ path, name: match[1], epoch: Number(match[2]) }] : [];
  });
}

/** The counter saved in a folder; empty if there is none or it cannot be decoded, and, with a warning, if it cannot be read. */
export async function readCounter(folder: string, files: StoreFiles): Promise<EpochCounter> {
  try {
    const bytes = await files.read(`${folder}/${counterFile}`);
    return (bytes && decodeEpochCounter(bytes)) ?? new Map();
  } catch (error) {
    // It holds nothing but the order of the folders.
    warn(`${folder}/${counterFile} is passed over: ${messageOf(error)}`);
    return new Map();
  }
}
