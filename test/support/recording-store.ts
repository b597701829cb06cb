import type { EpochStatistics } from '../../src/saturation/epoch.js';
import type { Store } from '../../src/stores/store.js';

/** Records what a tracker hands to its stores. */
export class RecordingStore implements Store {
  readonly epochs: EpochStatistics[] = [];
  resumedAt: number | undefined;

  resume(initialEpoch: number): void {
    this.resumedAt = initialEpoch;
  }

  add(epoch: EpochStatistics): void {
    this.epochs.push(epoch);
  }

  /** The statistics of one layer in one split and epoch. */
  layer(split: string, layer: string, epoch = 0) {
    const found = this.epochs[epoch]?.layers.find((each) => each.split === split && each.layer === layer);
    if (found === undefined) throw new Error(`no ${split}/${layer} in epoch ${epoch}`);
    return found;
  }

  /** Rows used per split and layer in one epoch. */
  samples(epoch = 0): Record<string, number> {
    return Object.fromEntries(
      this.epochs[epoch].layers.map(({ split, layer, samples }) => [`${split}/${layer}`, samples]),
    );
  }
}
