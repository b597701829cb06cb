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
