import type { EpochStatistics } from '../saturation/epoch.js';

/**
 * Where a tracker saves what it finds, besides TensorBoard. Implement it for a store of your own.
 * A store that throws never stops the training: the tracker reports the error once and shows it in close().
 */
export interface Store {
  /** Continue earlier results: keep every epoch before `initialEpoch`, drop what is later. Called once, before the first add. */
  resume?(initialEpoch: number): void | Promise<void>;
  /** One epoch's statistics. Resolves when they are saved. */
  add(epoch: EpochStatistics): void | Promise<void>;
  close?(): void | Promise<void>;
}

/** Several stores as one. Each gets everything, whatever becomes of the others; what failed is thrown at the end. */
export class StoreList implements Store {
  readonly #stores: readonly Store[];

  constructor(stores: readonly Store[]) {
    this.#stores = [...stores];
  }

  resume(initialEpoch: number): Promise<void> {
    return this.#each((store) => store.resume?.(initialEpoch));
  }

  add(epoch: EpochStatistics): Promise<void> {
    return this.#each((store) => store.add(epoch));
  }

  close(): Promise<void> {
    return this.#each((store) => store.close?.());
  }

  async #each(act: (store: Store) => void | Promise<void>): Promise<void> {
    const results = await Promise.allSettled(this.#stores.map(async (store) => act(store)));
    const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) {
      throw new AggregateError(
        errors,
        `${errors.length} stores failed: ${errors.map((error) => error?.message ?? error).join('; ')}`,
      );
    }
  }
}
