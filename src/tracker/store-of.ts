import type { EpochStatistics } from '../saturation/epoch.js';
import { ConsoleStore } from '../stores/console-store.js';
import { CsvStore, type FileStoreOptions } from '../stores/csv-store.js';
import { NpyStore } from '../stores/npy-store.js';
import { type Store, StoreList } from '../stores/store.js';

/** Stores that go by a name; `print` and the names with `plot` and `csv` in them are Delve's. TensorBoard is the tracker's own. */
export type StoreName = 'csv' | 'npy' | 'plot' | 'console' | 'print' | 'csvplot' | 'csvplotting' | 'plotcsv';

/**
 * The store of a name: `csv` writes `<savefile>.csv`, `npy` the folder `<savefile>/`, `plot` pictures
 * `<savefile>_lsat_train_epoch_<k>.png`, Delve's `csvplot`, `csvplotting` and `plotcsv` both of these, `console` (or
 * `print`) a table per epoch. A store of one's own passes through.
 *
 * @throws TypeError or RangeError for anything else, naming it.
 */
export function storeOf(store: StoreName | Store, savefile: string, options: FileStoreOptions = {}): Store {
  if (typeof store === 'object' && store !== null && typeof store.add === 'function') return store;
  switch (store) {
    case 'csv':
      return new CsvStore(savefile, options);
    case 'npy':
      return new NpyStore(savefile, options);
    case 'console':
    case 'print':
      return new ConsoleStore();
    case 'plot':
      return new LazyPlotStore(savefile, options);
    case 'csvplot':
    case 'csvplotting':
    case 'plotcsv':
      return new StoreList([new CsvStore(savefile, options), new LazyPlotStore(savefile, options)]);
  }
  const expected = "'csv', 'npy', 'plot', 'console' or an object with an add(epoch) method";
  if (typeof store === 'string') throw new RangeError(`Unknown store '${store}' in saveTo: expected ${expected}.`);
  throw new TypeError(`Unknown store in saveTo: expected ${expected}, got ${store === null ? 'null' : typeof store}.`);
}

/** Loads the code that draws when there is something to draw: most users never need it. */
class LazyPlotStore implements Store {
  readonly #savefile: string;
  readonly #options: FileStoreOptions;
  #store: Promise<Store> | undefined;

  constructor(savefile: string, options: FileStoreOptions) {
    this.#savefile = savefile;
    this.#options = options;
  }

  async resume(initialEpoch: number): Promise<void> {
    await (await this.#load()).resume?.(initialEpoch);
  }

  async add(epoch: EpochStatistics): Promise<void> {
    await (await this.#load()).add(epoch);
  }

  async close(): Promise<void> {
    if (this.#store) await (await this.#store).close?.();
  }

  #load(): Promise<Store> {
    this.#store ??= import('../reports/plot-store.js').then(
      ({ PlotStore }): Store => new PlotStore(this.#savefile, this.#options),
    );
    return this.#store;
  }
}
