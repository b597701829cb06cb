import { defaultStoreFiles, localPath } from '#platform';
import { checkPath } from '../encoding/file-names.js';
import { describe, messageOf } from '../errors.js';
import type { StoreFiles } from '../platform/platform.js';
import type { EpochStatistics } from '../saturation/epoch.js';

/**
 * Where a tracker saves an epoch's statistics, besides TensorBoard. Implement it for a store of your own.
 * A store that throws never stops the training: the tracker reports the error once, and `close()` rejects with it.
 */
export interface Store {
  /**
   * Continues earlier results: keeps every epoch before `initialEpoch` (0-based) and drops the later ones. Called once,
   * before the first `add`, and only if the tracker goes on at a later epoch than 0.
   */
  resume?(initialEpoch: number): void | Promise<void>;
  /** Saves one epoch's statistics. Resolves when they are saved. */
  add(epoch: EpochStatistics): void | Promise<void>;
  /** Ends the store, when the tracker closes. Resolves when everything is saved. */
  close?(): void | Promise<void>;
}

/**
 * Where a store saves. Files of the user's own may lie anywhere, so that any path is theirs.
 *
 * @param option for the error
 * @param roomInPath bytes that must be left in the path, and in its last name, for what will be put after it
 * @throws TypeError if the path is empty or none, or no place of this computer; RangeError if it is too long for a file system
 */
export function storePlace(
  path: string | URL,
  option: string,
  files: StoreFiles | undefined,
  roomInPath = 0,
  roomInName = 0,
) {
  if (!(path instanceof URL) && (typeof path !== 'string' || path === '')) {
    throw new TypeError(`${option}: expected a path, got ${describe(path)}`);
  }
  const elsewhere = 'save elsewhere through StoreFiles of your own, the option files';
  const place = files === undefined ? localPath(path, option, elsewhere) : String(path);
  checkPath(place, option, roomInPath, roomInName);
  return { path: place, files: files ?? defaultStoreFiles() };
}

/** Several stores as one. Each of them is given everything, even if another one fails; the errors are thrown at the end. */
export class StoreList implements Store {
  readonly #stores: readonly Store[];

  /** @param stores in the order in which they are called */
  constructor(stores: readonly Store[]) {
    this.#stores = [...stores];
  }

  /** Resumes each store that can. @throws the error of the store that failed; an AggregateError if several did */
  resume(initialEpoch: number): Promise<void> {
    return this.#each((store) => store.resume?.(initialEpoch));
  }

  /** Adds the epoch to each store. @throws as `resume` does */
  add(epoch: EpochStatistics): Promise<void> {
    return this.#each((store) => store.add(epoch));
  }

  /** Closes each store that can be closed. @throws as `resume` does */
  close(): Promise<void> {
    return this.#each((store) => store.close?.());
  }

  async #each(act: (store: Store) => void | Promise<void>): Promise<void> {
    const results = await Promise.allSettled(this.#stores.map(async (store) => act(store)));
    const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) {
      throw new AggregateError(errors, `${errors.length} stores failed: ${errors.map(messageOf).join('; ')}`);
    }
  }
}
