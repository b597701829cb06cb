import { defaultStoreFiles } from '#platform';
import { describe } from '../errors.js';
import type { StoreFiles } from '../platform/platform.js';
import type { EpochStatistics } from '../saturation/epoch.js';
import { RunHistory } from '../saturation/run-history.js';
import { readHistory } from '../saturation/runs.js';
import type { Store } from '../stores/store.js';
import { type ReportOptions, reportHtml } from './report.js';

/** Options of ReportStore and writeReport. */
export interface ReportStoreOptions extends ReportOptions {
  /** Where the file goes. Default: the disk in Node, the origin private file system in browsers. */
  files?: StoreFiles;
}

/**
 * Writes one `report.html` about a training when its tracker closes:
 * `new SaturationTracker(logdir, model, { saveTo: ['tensorboard', new ReportStore('runs/vgg/report.html')] })`.
 */
export class ReportStore implements Store {
  readonly #path: string;
  readonly #options: ReportStoreOptions;
  readonly #history = new RunHistory();

  /**
   * @param path of the HTML file
   * @throws TypeError if it is not a non-empty string
   */
  constructor(path: string, options: ReportStoreOptions = {}) {
    if (typeof path !== 'string' || path === '') {
      throw new TypeError(`ReportStore: expected the path of an HTML file, got ${describe(path)}`);
    }
    this.#path = path;
    this.#options = options;
  }

  /** Adds an epoch to the report. */
  add(epoch: EpochStatistics): void {
    this.#history.add(epoch);
  }

  /** Writes the report, unless no epoch was added. @throws MissingRendererError if vega or vega-lite is not installed */
  async close(): Promise<void> {
    if (this.#history.last === undefined) return;
    const html = await reportHtml(this.#history, this.#options);
    await (this.#options.files ?? defaultStoreFiles()).write(this.#path, new TextEncoder().encode(html));
  }
}

/**
 * Writes a report about a run that a tracker wrote, from its event files.
 *
 * @param options with `path`, the path of the file. Default `<logdir>/report.html`.
 * @returns the file's path
 * @throws as `readHistory` and `reportHtml` do
 */
export async function writeReport(
  logdir: string,
  options: ReportStoreOptions & { path?: string } = {},
): Promise<string> {
  const path = options.path ?? `${logdir.replace(/\/+$/, '')}/report.html`;
  const html = await reportHtml(await readHistory(logdir), { title: `Layer saturation of ${logdir}`, ...options });
  await (options.files ?? defaultStoreFiles()).write(path, new TextEncoder().encode(html));
  return path;
}
