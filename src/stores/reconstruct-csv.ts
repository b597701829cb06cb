import { defaultStoreFiles } from '#platform';
import type { StoreFiles } from '../platform/platform.js';
import { dimensionsOf } from '../saturation/measure-layer.js';
import { arrayStats, type ScalarStat, scalarStatNames, scalarStats } from '../saturation/stats.js';
import { Spectrum } from '../statistics/spectrum.js';
import { decodeFileName, delveColumn, parseDelveColumn, type StoredStat, storedStat } from './delve-names.js';
import { EpochTable, floatText, integerText } from './epoch-table.js';
import { decodeNpy, type NpyArray } from './npy.js';
import { listNpy, readCounter } from './npy-store.js';

export interface ReconstructOptions {
  /**
   * Computes saturation and intrinsic dimensionality anew at this explained-variance threshold, in (0, 1], from the
   * covariances or eigenvalues saved. Without it, what was saved is read back.
   */
  threshold?: number;
  /** How the threshold is applied: `paper` (default) or as Delve executes it. */
  rule?: 'paper' | 'delve';
  /**
   * The statistics wanted, by this library's names or Delve's; by default all that were saved. One that was not saved
   * is computed where the saved covariance or eigenvalues tell it. The user's own scalars are always included.
   */
  stats?: string[];
  /** Also writes the table to this file. */
  savefile?: string;
  /** Where the folder lies; by default the disk (Node) or the origin private file system (browsers). */
  files?: StoreFiles;
}

/** Whether a statistic is an array, which has no place in a table. */
function isArray(stat: StoredStat): boolean {
  return Object.hasOwn(arrayStats, stat);
}

/** What a statistic of a layer needs, if it can be computed from a saved covariance or saved eigenvalues. */
function basisOf(stat: StoredStat): 'eigenvalues' | 'threshold' | undefined {
  const basis = Object.hasOwn(scalarStats, stat) ? scalarStats[stat as ScalarStat].basis : undefined;
  return basis === 'eigenvectors' ? undefined : basis;
}

/** Whether a saved covariance or saved eigenvalues give a statistic. @param anew whether a threshold was asked for */
function isComputable(stat: StoredStat, anew: boolean): boolean {
  const basis = basisOf(stat);
  return basis === 'eigenvalues' || (anew && basis === 'threshold');
}

/** Statistics that a threshold decides. */
const thresholded = scalarStatNames.filter((stat) => basisOf(stat) === 'threshold');

/**
 * Makes the csv file's table out of a folder that {@link NpyStore} or Delve's npy writer has filled, as Delve's
 * `reconstruct_csv_from_npy_data` does, with the same columns as the csv store's.
 *
 * @throws RangeError for an unknown statistic or a threshold outside (0, 1]; Error where the folder holds no such
 * files, or a threshold is asked for and neither covariances nor eigenvalues were saved.
 */
export async function reconstructCsv(npyFolder: string, options: ReconstructOptions = {}): Promise<EpochTable> {
  const { threshold, rule = 'paper', files = defaultStoreFiles() } = options;
  if (threshold !== undefined && !(threshold > 0 && threshold <= 1)) {
    throw new RangeError(`reconstructCsv: threshold must be in (0, 1], not ${threshold}.`);
  }
  if (rule !== 'paper' && rule !== 'delve') {
    throw new RangeError(`reconstructCsv: rule must be 'paper' or 'delve', not '${rule}'.`);
  }
  const wanted = options.stats?.map(storedStat);
  const folder = npyFolder.replace(/(?<=[^/])\/+$/, '');
  const saved = await savedColumns(folder, files);
  if (saved.size === 0) throw new Error(`reconstructCsv: no files <name>/<name>_epoch<k>.npy in '${npyFolder}'.`);

  const columns = planColumns(saved, wanted, threshold !== undefined);
  for (const stat of wanted ?? []) {
    const isThere = [...columns].some(([column, { stat: each }]) => (each ?? parseDelveColumn(column)?.stat) === stat);
    if (!isThere && !isArray(stat)) {
      throw new Error(
        `reconstructCsv: '${stat}' was not saved in '${npyFolder}', and cannot be computed${basisOf(stat) === 'threshold' ? ' without a threshold and saved covariances or eigenvalues' : ''}.`,
      );
    }
  }
  if (threshold !== undefined && ![...columns.values()].some((source) => source.stat)) {
    throw new Error(
      `reconstructCsv: '${npyFolder}' holds neither covariances nor eigenvalues, so nothing can be computed at threshold ${threshold}.`,
    );
  }

  const table = new EpochTable();
  const spectra = new Map<string, Spectrum>();
  for (const [column, { stat, from }] of columns) {
    table.addColumn(column);
    for (const [epoch, path] of from.epochs) {
      const read = async () => decodeNpy((await files.read(`${folder}/${path}`))!, path);
      if (stat === undefined) {
        const { dtype, values } = await read();
        table.set(epoch, column, (dtype === 'int64' ? integerText : floatText)(values[0]));
        continue;
      }
      // Each matrix is solved once, however many columns come from it.
      const spectrum = spectra.get(path) ?? spectrumOf(await read(), path);
      spectra.set(path, spectrum);
      table.set(epoch, column, computed(spectrum, stat, threshold, rule));
    }
  }
  if (options.savefile !== undefined) {
    await files.write(options.savefile, new TextEncoder().encode(table.toString()));
  }
  return table;
}

/** A column's files: path by epoch, ascending. */
interface SavedColumn {
  epochs: Map<number, string>;
}

/** Columns in the order Delve's counter has them, others behind it by name. */
async function savedColumns(folder: string, files: StoreFiles): Promise<Map<string, SavedColumn>> {
  const found = (await listNpy(folder, files)).sort((a, b) => a.epoch - b.epoch);
  const names = [...new Set(found.map((file) => file.name))].sort();
  const order = [...(await readCounter(folder, files)).keys()];
  const columns = new Map<string, SavedColumn>();
  for (const name of [...order, ...names]) {
    if (names.includes(name)) columns.set(decodeFileName(name), { epochs: new Map() });
  }
  for (const { name, epoch, path } of found) columns.get(decodeFileName(name))!.epochs.set(epoch, path);
  return columns;
}

/**
 * Which columns the table gets and where each comes from: read back from its own files, or computed (then `stat` is
 * set) from the files of the same layer's covariance or eigenvalues.
 */
function planColumns(saved: Map<string, SavedColumn>, wanted: StoredStat[] | undefined, anew: boolean) {
  const plan = new Map<string, { stat?: StoredStat; from: SavedColumn }>();
  const sourceOf = (split: 'train' | 'val', layer: string) =>
    saved.get(`_${delveColumn(split, 'covariance', layer)}`) ?? saved.get(`_${delveColumn(split, 'spectrum', layer)}`);
  for (const [name, from] of saved) {
    const parsed = parseDelveColumn(name);
    if (!parsed) {
      plan.set(name, { from });
      continue;
    }
    const { split, stat, layer } = parsed;
    const column = delveColumn(split, stat, layer);
    const source = sourceOf(split, layer);
    if (isArray(stat)) {
      const derived = wanted ?? (anew ? thresholded : []);
      for (const each of derived) {
        if (isComputable(each, anew)) {
          const missing = !saved.has(`_${delveColumn(split, each, layer)}`);
          if (missing && source) plan.set(delveColumn(split, each, layer), { stat: each, from: source });
        }
      }
    } else if (!wanted || wanted.includes(stat)) {
      const computesAnew = anew && basisOf(stat) === 'threshold';
      // A saturation saved at another threshold must not stand beside those computed at this one.
      if (computesAnew && !source) continue;
      plan.set(column, computesAnew && source ? { stat, from: source } : { from });
    }
  }
  return plan;
}

function spectrumOf({ shape, values }: NpyArray, path: string): Spectrum {
  if (shape.length === 1) return Spectrum.fromEigenvalues(values);
  if (shape.length === 2 && shape[0] === shape[1]) return Spectrum.of(values);
  throw new RangeError(`${path}: expected a square covariance or a list of eigenvalues, found shape [${shape}].`);
}

function computed(
  spectrum: Spectrum,
  stat: StoredStat,
  threshold: number | undefined,
  rule: 'paper' | 'delve',
): string {
  const { isCount, of } = scalarStats[stat as ScalarStat];
  const value = of(spectrum, dimensionsOf(spectrum, { threshold, rule })) ?? Number.NaN;
  return isCount ? integerText(value) : floatText(value);
}
