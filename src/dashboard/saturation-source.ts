import { unpackRuns } from '../view/packed-runs.js';
import { outlineOf, type RunData, type RunOutline, type ViewSource } from '../view/run-data.js';
import type { ListedRun } from './logdir.js';
import type { RunContent } from './run-content.js';

/** The saturation of the runs that a page has read, for the view. */
export class SaturationSource implements ViewSource {
  readonly #runs: () => readonly ListedRun[];
  readonly #contents: ReadonlyMap<string, RunContent>;
  readonly #listeners = new Set<() => void>();

  /**
   * @param runs those that are listed, in their order
   * @param contents what has been read of them, by name
   */
  constructor(runs: () => readonly ListedRun[], contents: ReadonlyMap<string, RunContent>) {
    this.#runs = runs;
    this.#contents = contents;
  }

  async list(): Promise<readonly RunOutline[]> {
    const have = this.#runs().filter(({ run }) => this.#contents.get(run)?.saturation !== undefined);
    return have.map(({ run }) => outlineOf(run));
  }

  async load(run: string): Promise<RunData> {
    const bytes = this.#contents.get(run)?.saturation;
    const data = bytes && unpackRuns(bytes)[0];
    if (data === undefined) throw new RangeError(`run '${run}': it is no longer there`);
    return data;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the view that other runs have been read, or that some are gone. */
  tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
