import { checkOptionNames, type OptionNames } from '../errors.js';
import type { StoreFiles } from '../platform/platform.js';
import type { EpochStatistics } from '../saturation/epoch.js';
import { entriesOf, scalarStats } from '../saturation/stats.js';
import { delveColumn, scalarColumn } from './delve-names.js';
import { EpochTable, floatText, integerText } from './epoch-table.js';
import { type Store, storePlace } from './store.js';

/** Options of the stores that write files. */
export interface FileStoreOptions {
  /** Where the files go. Default: the disk in Node, the origin private file system in browsers. */
  files?: StoreFiles;
}

/** Options of a CsvStore. */
export interface CsvStoreOptions extends FileStoreOptions {
  /**
   * Whether columns with each layer's number of samples and features stand beside its values. Default true. Python's
   * Delve can continue only a file without them, because it fails if a column of the file gets no new value.
   */
  counts?: boolean;
}

const optionNames: OptionNames<CsvStoreOptions> = { files: true, counts: true };

/**
 * Saves one line per epoch in `<savefile>.csv`, in the form of Delve's csv writer: `;` between cells, an unnamed first
 * column with the epoch, then the user's own scalars and columns such as `train-saturation_<layer>` and
 * `eval-intrinsic-dimensionality_<layer>`, in the order in which they first appeared. Each layer also has columns with
 * its number of samples and of features. A value that an epoch lacks, and NaN, is an empty cell. Arrays (covariance,
 * embedding) are not saved. Names stand as they are, for programs: a spreadsheet takes a scalar's name that begins with `=` for a
 * formula (the command `export` writes tables for spreadsheets).
 *
 * The file is replaced as a whole at each epoch, so that it is complete at any moment. If an earlier run left a file,
 * the epochs before the first one added stay in it, and all others are removed.
 */
export class CsvStore implements Store {
  /** Path of the file. */
  readonly path: string;
  readonly #files: StoreFiles;
  readonly #counts: boolean;
  #table: EpochTable | undefined;
  #turn: Promise<void> = Promise.resolve();

  /**
   * @param savefile path of the file, with or without its `.csv`
   * @throws TypeError if it is empty or no place of this computer, RangeError if it is too long for a file system
   */
  constructor(savefile: string | URL, options: CsvStoreOptions = {}) {
    const { files, path } = storePlace(savefile, 'CsvStore savefile', options.files, 0, 4);
    checkOptionNames('CsvStore', options, optionNames);
    this.path = path.endsWith('.csv') ? path : `${path.replace(/(?<=[^/])\/+$/, '')}.csv`;
    this.#files = files;
    this.#counts = options.counts ?? true;
  }

  /** Reads an earlier run's file and keeps its epochs before `initialEpoch`. @throws RangeError if it is no such table */
  async resume(initialEpoch: number): Promise<void> {
    const earlier = await this.#files.read(this.path);
    this.#table = earlier ? EpochTable.parse(new TextDecoder().decode(earlier), this.path) : new EpochTable();
    this.#table.dropFrom(initialEpoch);
  }

  /** Saves one epoch. Epochs that are added before an earlier one is saved wait for it. */
  add(epoch: EpochStatistics): Promise<void> {
    const added = this.#turn.then(() => this.#add(epoch));
    this.#turn = added.catch(() => {});
    return added;
  }

  async #add({ epoch, scalars, layers }: EpochStatistics): Promise<void> {
    if (!this.#table) await this.resume(epoch);
    const table = this.#table!;
    table.addEpoch(epoch);
    for (const { tag, value, split } of scalars) table.set(epoch, scalarColumn(tag, split), floatText(value));
    for (const { split, layer, values, samples, features } of layers) {
      for (const [stat, value] of entriesOf(values)) {
        const text = scalarStats[stat].isCount ? integerText(value) : floatText(value);
        table.set(epoch, delveColumn(split, stat, layer), text);
      }
      if (!this.#counts) continue;
      table.set(epoch, delveColumn(split, 'samples', layer), integerText(samples));
      table.set(epoch, delveColumn(split, 'features', layer), integerText(features));
    }
    await this.#files.write(this.path, new TextEncoder().encode(table.toString()));
  }
}
