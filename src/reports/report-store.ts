import { defaultStoreFiles } from '#platform';
import { checkOptionNames, type OptionNames } from '../errors.js';
import type { StoreFiles } from '../platform/platform.js';
import type { EpochStatistics } from '../saturation/epoch.js';
import { RunHistory } from '../saturation/run-history.js';
import { historyPath, noHistory, type ReadHistoryOptions, readHistories } from '../saturation/runs.js';
import { withTime } from '../saturation/training-facts.js';
import { type Store, storePlace } from '../stores/store.js';
import { type ReportOptions, reportHtml, reportOptionNames } from './report.js';

/** Options of ReportStore and writeReport. */
export interface ReportStoreOptions extends ReportOptions {
  /** Where the file goes. Default: the disk in Node, the origin private file system in browsers. */
  files?: StoreFiles;
}

const storeOptionNames: OptionNames<ReportStoreOptions> = { ...reportOptionNames, files: true };

/**
 * Writes one `report.html` about a training when its tracker closes:
 * `new SaturationTracker(logdir, model, { saveTo: ['tensorboard', new ReportStore('runs/vgg/report.html')] })`.
 */
export class ReportStore implements Store {
  readonly #path: string;
  readonly #files: StoreFiles;
  readonly #options: ReportStoreOptions;
  readonly #history = new RunHistory();

  /**
   * The training counts as begun now.
   *
   * @param path of the HTML file
   * @throws TypeError if it is empty or no place of this computer, RangeError if it is too long for a file system
   */
  constructor(path: string | URL, options: ReportStoreOptions = {}) {
    const place = storePlace(path, 'ReportStore', options.files);
    checkOptionNames('ReportStore', options, storeOptionNames);
    this.#path = place.path;
    this.#files = place.files;
    this.#options = options;
    this.#history.times = withTime(undefined, Date.now() / 1000);
  }

  /** Adds an epoch to the report. */
  add(epoch: EpochStatistics): void {
    this.#history.add(epoch);
    this.#history.times = withTime(this.#history.times, Date.now() / 1000);
  }

  /** Writes the report, unless no epoch was added. */
  async close(): Promise<void> {
    if (this.#history.last === undefined) return;
    const { files, ...options } = this.#options;
    const html = await reportHtml(this.#history, options);
    await this.#files.write(this.#path, new TextEncoder().encode(html));
  }
}

/** Options of writeReport and writeReports. */
export interface WriteReportOptions extends ReportStoreOptions, ReadHistoryOptions {}

const writeOptionNames: OptionNames<WriteReportOptions> = { ...storeOptionNames, raw: true, onDamage: true };

/**
 * Writes one report about what trackers wrote below a logdir, from the event files: several experiments stand side by side in
 * it, each under the path of its folder.
 *
 * @param options with `path`, the path of the file. Default `<logdir>/report.html`.
 * @returns the file's path
 * @throws RangeError if there is no experiment; and as `readHistories` and `reportHtml` do
 */
export async function writeReport(
  logdir: string | URL,
  options: WriteReportOptions & { path?: string | URL } = {},
): Promise<string> {
  const { path: given, ...rest } = options;
  checkOptionNames('writeReport', rest, writeOptionNames);
  const folder = historyPath(logdir, 'writeReport');
  const { path } = storePlace(given ?? reportPath(folder, '.'), 'writeReport path', options.files);
  const histories = await readHistories(folder, rest);
  if (histories.size === 0) throw await noHistory('writeReport', folder);
  const [history] = histories.values();
  await writePage(path, histories.size === 1 ? history : histories, folder, rest);
  return path;
}

/**
 * Writes a report about each experiment below a logdir: `report.html` in the experiment's folder, or in the logdir if there
 * is only one experiment.
 *
 * @returns the files' paths, sorted
 * @throws RangeError if there is no experiment; and as `readHistories` and `reportHtml` do
 */
export async function writeReports(logdir: string | URL, options: WriteReportOptions = {}): Promise<string[]> {
  checkOptionNames('writeReports', options, writeOptionNames);
  const folder = historyPath(logdir, 'writeReports');
  const histories = await readHistories(folder, options);
  if (histories.size === 0) throw await noHistory('writeReports', folder);
  const paths: string[] = [];
  for (const [experiment, history] of histories) {
    const path = reportPath(folder, histories.size === 1 ? '.' : experiment);
    const name = histories.size === 1 ? folder : path.slice(0, -'/report.html'.length);
    await writePage(path, history, name, options);
    paths.push(path);
  }
  return paths;
}

/** @param experiment the path of the experiment's folder below the logdir */
function reportPath(logdir: string, experiment: string): string {
  const folder = logdir.replace(/\/+$/, '');
  return experiment === '.' ? `${folder}/report.html` : `${folder}/${experiment}/report.html`;
}

async function writePage(
  path: string,
  of: RunHistory | ReadonlyMap<string, RunHistory>,
  name: string,
  options: WriteReportOptions,
): Promise<void> {
  const { files = defaultStoreFiles(), raw, onDamage, ...rest } = options;
  const html = await reportHtml(of, { title: `Layer saturation of ${name}`, ...rest });
  await files.write(path, new TextEncoder().encode(html));
}
