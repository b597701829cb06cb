import { defaultStoreFiles } from '#platform';
import type { StoreFiles } from '../platform/platform.js';
import type { EpochStatistics } from '../saturation/epoch.js';
import { RunHistory } from '../saturation/run-history.js';
import { readHistory } from '../saturation/runs.js';
import type { Store } from '../stores/store.js';
import { type ReportOptions, reportHtml } from './report.js';

export interface ReportStoreOptions extends ReportOptions {
  /** Where the file goes; the working directory in Node. */
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

  constructor(path: string, options: ReportStoreOptions = {}) {
    if (typeof path !== 'string' || path === '') {
      throw new TypeError(`ReportStore: expected the path of an HTML file, got ${String(path)}`);
    }
    this.#path = path;
    this.#options = options;
  }

  add(epoch: EpochStatistics): void {
    this.#history.add(epoch);
  }

  /** Writes the report; nothing where no epoch came. */
  async close(): Promise<void> {
    if (this.#history.last === undefined) return;
    const html = await reportHtml(this.#history, this.#options);
    await (this.#options.files ?? defaultStoreFiles()).write(this.#path, new TextEncoder().encode(html));
  }
}

/**
 * Writes `<logdir>/report.html` about a run that a tracker wrote, from its event files.
 * @returns the file's path
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
