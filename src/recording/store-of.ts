import { describe, didYouMean } from '../errors.js';
import { PlotStore } from '../reports/plot-store.js';
import { ConsoleStore } from '../stores/console-store.js';
import { CsvStore, type FileStoreOptions } from '../stores/csv-store.js';
import { NpyStore } from '../stores/npy-store.js';
import { type Store, StoreList } from '../stores/store.js';

type MakeStore = (savefile: string, options: FileStoreOptions) => Store;

const csvAndPlots: MakeStore = (savefile, options) =>
  new StoreList([new CsvStore(savefile, options), new PlotStore(savefile, options)]);

/** What each name in the option `saveTo` makes of the path to save under. */
const storesByName = {
  csv: (savefile, options) => new CsvStore(savefile, options),
  npy: (savefile, options) => new NpyStore(savefile, options),
  plot: (savefile, options) => new PlotStore(savefile, options),
  console: () => new ConsoleStore(),
  // The names below are Delve's.
  print: () => new ConsoleStore(),
  csvplot: csvAndPlots,
  csvplotting: csvAndPlots,
  plotcsv: csvAndPlots,
} as const satisfies Readonly<Record<string, MakeStore>>;

/**
 * A place to save to: TensorBoard, a store of your own, or a store by its name. `csv` writes `<logdir>.csv`, `npy` files
 * in the logdir, `plot` pictures `<logdir>_lsat_train_epoch_<k>.png`, Delve's `csvplot`, `csvplotting` and `plotcsv` both
 * csv and plots, `console` (or Delve's `print`) a table per epoch.
 */
export type SaveTo = 'tensorboard' | keyof typeof storesByName | Store;

/** Every name that the option `saveTo` takes. */
const saveToNames: readonly string[] = ['tensorboard', ...Object.keys(storesByName)];

/**
 * The store of a name, or the store itself.
 *
 * @param savefile path to save under, without an extension
 * @throws RangeError for an unknown name, TypeError for what is neither a name nor a store
 */
export function storeOf(
  store: Exclude<SaveTo, 'tensorboard'>,
  savefile: string,
  options: FileStoreOptions = {},
): Store {
  if (typeof store === 'string' && Object.hasOwn(storesByName, store)) return storesByName[store](savefile, options);
  checkSaveTo(store);
  return store as Store;
}

/** Checks one entry of the option `saveTo`. @throws RangeError, TypeError as `storeOf` does */
export function checkSaveTo(target: SaveTo): void {
  if (typeof target === 'string' ? saveToNames.includes(target) : typeof target?.add === 'function') return;
  const names = saveToNames.map((name) => `'${name}'`).join(', ');
  const advice = didYouMean(target, saveToNames);
  const wrong = `saveTo: expected one of ${names} or an object with a method add, got ${describe(target)}${advice}`;
  throw typeof target === 'string' ? new RangeError(wrong) : new TypeError(wrong);
}
