import { checkOptionNames, type OptionNames } from '../errors.js';
import type { StoreFiles } from '../platform/platform.js';
import { dimensionsOf } from '../saturation/measure-layer.js';
import { arrayStats, type ScalarStat, scalarStatNames, scalarStats } from '../saturation/stats.js';
import { Spectrum } from '../statistics/spectrum.js';
import { checkedRule, checkedThreshold } from '../statistics/spectrum-measures.js';
import { decodeFileName, delveColumn, parseDelveColumn, type StoredStat, storedStat } from './delve-names.js';
import { EpochTable, floatText, integerText } from './epoch-table.js';
import { decodeNpy, type NpyArray } from './npy.js';
import { listNpy, readCounter } from './npy-store.js';
import { storePlace } from './store.js';

/** Options of reconstructCsv. */
export interface ReconstructOptions {
  /**
   * Fraction of the variance to explain, in (0, 1]: saturation and intrinsic dimensionality are computed anew at this
   * threshold from the saved covariances or eigenvalues. Default: the saved values are read.
   */
  threshold?: number;
  /** How the threshold is applied: 'paper' (default), or as Delve executes it. */
  rule?: 'paper' | 'delve';
  /**
   * The statistics of the table, by this package's names or Delve's. Default: all that were saved. One that was not
   * saved is computed if a covariance or eigenvalues were saved. The user's own scalars are always in the table.
   */
  stats?: string[];
  /** Path of a file to write the table to. Default: none is written. */
  savefile?: string | URL;
  /** Where the folder lies. Default: the disk in Node, the origin private file system in browsers. */
  files?: StoreFiles;
}

const optionNames: OptionNames<ReconstructOptions> = {
  threshold: true,
  rule: true,
  stats: true,
  savefile: true,
  files: true,
};

/** Whether a statistic is an array, which has no place in a table. */
function isArray(stat: StoredStat): boolean {
  return Object.hasOwn(arrayStats, stat);
}

/** What a statistic of a layer needs, if it can be computed from a saved covariance or saved eigenvalues. */
function basisOf(stat: StoredStat): 'eigenvalues' | 'threshold' | undefined {
  const basis = Object.hasOwn(scalarStats, stat) ? scalarStats[stat as ScalarStat].basis : undefined;
  // Files hold neither rows nor how many there were.
  return basis === 'eigenvalues' || basis === 'threshold' ? basis : undefined;
}

/** Whether a saved covariance or saved eigenvalues give a statistic. @param anew whether a threshold was asked for */
function isComputable(stat: StoredStat, anew: boolean): boolean {
  const basis = basisOf(stat);
  return basis === 'eigenvalues' || (anew && basis === 'threshold');
}

/** Statistics that a threshold decides. */
const thresholded = () => scalarStatNames.filter((stat) => basisOf(stat) === 'threshold');

/**
 * Makes the table of a csv file from a folder that NpyStore or Delve's npy writer has filled, as Delve's
 * `reconstruct_csv_from_npy_data` does, with the same columns as CsvStore's.
 *
 * @param npyFolder path of the folder
 * @throws RangeError for an unknown statistic, rule or a threshold outside (0, 1]; Error if the folder holds no such
 *   files, or if a statistic was neither saved nor can be computed from saved covariances or eigenvalues
 */
export async function reconstructCsv(npyFolder: string | URL, options: ReconstructOptions = {}): Promise<EpochTable> {
  checkOptionNames('reconstructCsv', options, optionNames);
  const { threshold, rule = 'paper' } = options;
  const { files, path: place } = storePlace(npyFolder, 'reconstructCsv', options.files);
  if (threshold !== undefined) checkedThreshold(threshold);
  checkedRule(rule);
  const wanted = options.stats?.map(storedStat);
  const folder = place.replace(/(?<=[^/])\/+$/, '');
  const saved = await savedColumns(folder, files);
  if (saved.size === 0)
    throw new Error(`reconstructCsv: expected files <name>/<name>_epoch<k>.npy in '${npyFolder}', got none`);

  const columns = planColumns(saved, wanted, threshold !== undefined);
  for (const stat of wanted ?? []) {
    const isThere = [...columns].some(([column, { stat: each }]) => (each ?? parseDelveColumn(column)?.stat) === stat);
    if (!isThere && !isArray(stat)) {
      throw new Error(
        `reconstructCsv stats: expected statistics that '${npyFolder}' holds or that can be computed, got '${stat}'${basisOf(stat) === 'threshold' ? ' without a threshold and saved covariances or eigenvalues' : ''}`,
      );
    }
  }
  if (threshold !== undefined && ![...columns.values()].some((source) => source.stat)) {
    throw new Error(
      `reconstructCsv threshold: expected saved covariances or eigenvalues, got neither in '${npyFolder}'`,
    );
  }

  const table = new EpochTable();
  const spectra = new Map<string, Spectrum>();
  for (const [column, { stat, from }] of columns) {
    table.addColumn(column);
    for (const [epoch, path] of from.epochs) {
      const read = async () => decodeNpy((await files.read(`${folder}/${path}`))!, path);
      if (stat === undefined) {
        const { dtype, shape, values } = await read();
        if (values.length !== 1) throw new RangeError(`${path}: expected one number, got the shape [${shape}]`);
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
    const { path } = storePlace(options.savefile, 'reconstructCsv savefile', options.files);
    await files.write(path, new TextEncoder().encode(table.toString()));
  }
  return table;
}

/** A column's files: path by epoch, ascending. */
interface SavedColumn {
  epochs: Map<number, string>;
}

/** Columns in the order of Delve's counter, then those that it lacks by name. */
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
 * The columns of the table and the source of each: its own files, or, if `stat` is set, the files of the same layer's
 * covariance or eigenvalues, from which that statistic is computed.
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
      const derived = wanted ?? (anew ? thresholded() : []);
      for (const each of derived) {
        if (isComputable(each, anew)) {
          const missing = !saved.has(`_${delveColumn(split, each, layer)}`);
          if (missing && source) plan.set(delveColumn(split, each, layer), { stat: each, from: source });
        }
      }
    } else if (!wanted || wanted.includes(stat)) {
      const computesAnew = anew && basisOf(stat) === 'threshold';
      // A saturation saved at another threshold must not stand beside those computed at this one.
      const needsRows = Object.hasOwn(scalarStats, stat) && scalarStats[stat as ScalarStat].basis === 'rows';
      if (anew && (needsRows || (computesAnew && !source))) continue;
      plan.set(column, computesAnew && source ? { stat, from: source } : { from });
    }
  }
  return plan;
}

/** The spectrum of an array; what cannot be a covariance or eigenvalues is refused. */
function spectrumOf({ shape, values }: NpyArray, path: string): Spectrum {
  const stride = shape.length === 2 ? shape[1] + 1 : 1;
  const variances = values.filter((_, index) => index % stride === 0);
  // Rounding alone makes an eigenvalue of a covariance a little negative.
  const least = -1e-9 * variances.reduce((most, variance) => Math.max(most, variance), 0);
  const wrong = variances.find((variance) => variance < least) ?? values.find((value) => !Number.isFinite(value));
  if (wrong !== undefined) throw new RangeError(`${path}: expected finite numbers and variances >= 0, got ${wrong}`);
  if (shape.length === 1) return Spectrum.fromEigenvalues(values);
  if (shape.length === 2 && shape[0] === shape[1]) return Spectrum.of(values);
  throw new RangeError(`${path}: expected a square covariance or a list of eigenvalues, got the shape [${shape}]`);
}

function computed(
  spectrum: Spectrum,
  stat: StoredStat,
  threshold: number | undefined,
  rule: 'paper' | 'delve',
): string {
  const { isCount, of } = scalarStats[stat as ScalarStat];
  const counting = { threshold, rule };
  const estimate = () => spectrum.saturationEstimate(counting);
  const value = of(spectrum, { ...dimensionsOf(spectrum, counting), estimate }) ?? Number.NaN;
  return isCount ? integerText(value) : floatText(value);
}
