import type { Spectrum } from '../statistics/spectrum.js';
import type { ScalarValues } from './stats.js';

/** Training batches and validation batches are kept apart. */
export type Split = 'train' | 'val';

/** Everything known of one layer in one split at the end of an epoch. */
export interface LayerStatistics {
  split: Split;
  layer: string;
  /** Rows (samples) the statistics rest on. */
  samples: number;
  /** Rows left out because of a NaN or Infinity. */
  rejected: number;
  /** Width of the layer: columns of the activation matrix. */
  features: number;
  /** The numbers asked for with `stats`; NaN where no finite row was seen. */
  values: ScalarValues;
  /** Absent where no finite row was seen. */
  spectrum?: Spectrum;
  /** features x features, row-major; only when the covariance was asked for. */
  covariance?: Float64Array;
  /** Samples projected on the first two principal axes, row-major n x 2; only when asked for. */
  embedding?: Float64Array;
}

/** What stores are handed once per addSaturations. */
export interface EpochStatistics {
  /** 0-based epoch (or call number in a custom loop). */
  epoch: number;
  /** Step in TensorBoard: epoch + 1, as epoch_loss has it. */
  step: number;
  threshold: number;
  rule: 'paper' | 'delve';
  layers: LayerStatistics[];
  /** The user's own scalars since the last epoch, with the split they belong to where there is one. */
  scalars: { tag: string; value: number; split?: Split }[];
}
