import { messageOf } from '../errors.js';
import type { EpochStatistics } from '../saturation/epoch.js';
import { RunHistory } from '../saturation/run-history.js';
import { unpackRuns } from './packed-runs.js';
import { type FieldData, type RunData, type RunOutline, runsOfHistory, type ViewSource } from './run-data.js';

/** Runs that are at hand, such as those that a report embeds. */
export class MemorySource implements ViewSource {
  readonly #runs: Map<string, RunData>;

  /**
   * A source of these runs.
   *
   * @param runs as `runsOfHistory` and `unpackRuns` return them
   */
  constructor(runs: readonly RunData[]) {
    this.#runs = new Map(runs.map((run) => [run.name, run]));
  }

  async list(): Promise<readonly RunOutline[]> {
    return [...this.#runs.values()];
  }

  async load(name: string): Promise<RunData> {
    const run = this.#runs.get(name);
    if (run === undefined) throw new RangeError(`load: expected a run of the list, got '${name}'`);
    return run;
  }
}

/**
 * A training that goes on in this page or in a worker: each epoch that is added is shown at once. It is a store of a tracker in this page.
 *
 * @example
 * ```ts
 * // In the worker: tracker.addStore({ add: (epoch) => postMessage({ epoch }) });
 * const source = new LiveSource();
 * worker.onmessage = ({ data }) => source.add(data.epoch);
 * mountSaturationView(element, source);
 * ```
 */
export class LiveSource implements ViewSource {
  readonly awaitsEpochs = true;
  readonly #history = new RunHistory();
  readonly #fields: FieldData | undefined;
  readonly #listeners = new Set<() => void>();

  /**
   * A source that is empty until an epoch is added.
   *
   * @param fields receptive fields of the network, if it has any
   */
  constructor(fields?: FieldData) {
    this.#fields = fields;
  }

  /**
   * Takes an epoch's statistics, as a tracker's store does; or their structured clone, as `postMessage` brings it from a worker.
   *
   * @throws TypeError if it is neither
   */
  add(epoch: EpochStatistics): void {
    this.#history.add(epoch, 'LiveSource.add');
    for (const listener of this.#listeners) listener();
  }

  async list(): Promise<readonly RunOutline[]> {
    return runsOfHistory(this.#history, '', this.#fields);
  }

  async load(name: string): Promise<RunData> {
    const run = runsOfHistory(this.#history, '', this.#fields).find((one) => one.name === name);
    if (run === undefined) throw new RangeError(`load: expected a run of the list, got '${name}'`);
    return run;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Runs that a server packs: TensorBoard with the plugin, below the address of a page. */
export class ServedSource implements ViewSource {
  readonly #base: string;

  /**
   * A source that asks a server.
   *
   * @param base address of the folder that holds `runs` and `run`, such as './'
   */
  constructor(base: string) {
    this.#base = base;
  }

  async list(): Promise<readonly RunOutline[]> {
    const response = await this.#ask('runs');
    const runs: unknown = await response.json();
    if (!Array.isArray(runs)) throw new TypeError('runs: expected a list');
    return runs.filter((run): run is RunOutline => typeof run?.name === 'string');
  }

  async load(name: string): Promise<RunData> {
    const response = await this.#ask(`run?${new URLSearchParams({ run: name })}`);
    const [run] = unpackRuns(new Uint8Array(await response.arrayBuffer()));
    if (run === undefined) throw new RangeError(`run '${name}': it is no longer there`);
    return run;
  }

  async #ask(path: string): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.#base + path);
    } catch (error) {
      throw new Error(`no answer from the server: ${messageOf(error)}`);
    }
    if (!response.ok) throw new Error(`${response.status} ${(await response.text()).slice(0, 200)}`);
    return response;
  }
}
