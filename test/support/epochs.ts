import type { EpochStatistics, LayerStatistics, Split } from '../../src/saturation/epoch.js';

/** One layer's statistics for stores to save. */
export function layer(name: string, split: Split, over: Partial<LayerStatistics> = {}): LayerStatistics {
  return {
    split,
    layer: name,
    samples: 640,
    rejected: 0,
    features: 8,
    saturation: 0.375,
    intrinsicDimensionality: 3,
    values: { saturation: 0.375, intrinsicDimensionality: 3 },
    ...over,
  };
}

/** One epoch's statistics for stores to save. */
export function epochOf(
  epoch: number,
  layers: LayerStatistics[],
  scalars: EpochStatistics['scalars'] = [],
): EpochStatistics {
  return { epoch, step: epoch + 1, threshold: 0.99, rule: 'paper', layers, scalars };
}
