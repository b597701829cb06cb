import { defaultStoreFiles } from '#platform';
import type { StoreFiles } from '../platform/platform.js';
import type { EpochStatistics } from '../saturation/epoch.js';
import { entriesOf, scalarStats } from '../saturation/stats.js';
import { delveColumn, scalarColumn } from './delve-names.js';
import { EpochTable, floatText, integerText } from './epoch-table.js';
import type { Store } from './store.js';

export interface FileStoreOptions {
  /** Where the files go; by default the disk (Node) or the origin private file system (browsers). */
  files?: StoreFiles;
}

export interface CsvStoreOptions extends FileStoreOptions {
  /**
   * Columns with each layer's number of samples and features beside its values (default). False leaves them out, so that
   * Python's Delve, which cannot go on where a column of the file gets no new value, can continue the file.
   */
  counts?: boolean;
}

/**
 * Saves one line per epoch in `<savefile>.csv`, in the form of Delve's csv writer: `;` between cells, an unnamed index
 * column with the epoch, columns `train-saturation_<layer>`, `eval-intrinsic-dimensionality_<layer>` and so on beside the
 * user's own scalars, in the order first seen. Beside each layer's values stand its number of samples and of features.
 * A value that an epoch lacks, and NaN, is an empty cell; arrays (covariance, embedding) are left out.
 *
 * The file is replaced as a whole at each epoch, so it is complete at any moment. The first epoch added decides what
 * becomes of an earlier run's file: epochs before it stay, what is at it or later goes.
 */
export class CsvStore implements Store {
  /** The file written. */
  readonly path: string;
  readonly #files: StoreFiles;
  readonly #counts: boolean;
  #table: EpochTable | undefined;
  #turn: Promise<void> = Promise.resolve();

  /** @param savefile Path of the file without its `.csv`. */
  constructor(savefile: string, options: CsvStoreOptions = {}) {
    if (typeof savefile !== 'string' || savefile === '') {
      throw new TypeError(`CsvStore: savefile must be a path, not ${JSON.stringify(savefile)}.`);
    }
    this.path = savefile.endsWith('.csv') ? savefile : `${savefile.replace(/(?<=[^/])\/+$/, '')}.csv`;
    this.#files = options.files ?? defaultStoreFiles();
    this.#counts = options.counts ?? true;
  }

  async resume(initialEpoch: number): Promise<void> {
    const earlier = await this.#files.read(this.path);
    this.#table = earlier ? EpochTable.parse(new TextDecoder().decode(earlier), this.path) : new EpochTable();
    this.#table.dropFrom(initialEpoch);
  }

  add(epoch: EpochStatistics): Promise<void> {
    // Two epochs handed over at once are written one after the other.
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
