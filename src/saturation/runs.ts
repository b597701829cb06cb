import { heatMap } from '../drawing/heat-map.js';
import { scatter } from '../drawing/scatter.js';
import type { Step } from '../event/event.js';
import type { IntrinsicDimensionRule, Spectrum } from '../statistics/spectrum.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import type { LayerStatistics, ScalarStat } from './epoch.js';

/** The tag's part before the layer's name: TensorBoard groups its cards by it. */
export const tagGroups: Readonly<Record<ScalarStat, string>> = {
  saturation: 'saturation',
  intrinsicDimensionality: 'intrinsic-dimensionality',
  trace: 'trace',
  determinant: 'determinant',
  logDeterminant: 'log-determinant',
  diagonalTrace: 'diagonal-trace',
  participationRatio: 'participation-ratio',
  entropyRank: 'entropy-rank',
  simpsonIndex: 'simpson-index',
  powerLawExponent: 'power-law-exponent',
  conditionNumber: 'condition-number',
  drift: 'drift',
};

const meanings: Readonly<Record<ScalarStat, string>> = {
  saturation: 'Fraction of the layer’s directions that the data needs: intrinsic dimensionality / width.',
  intrinsicDimensionality: 'Number of principal directions needed to explain the threshold’s share of the variance.',
  trace: 'Total variance of the layer’s output: the sum of the covariance’s eigenvalues.',
  determinant: 'Determinant of the covariance. It under- and overflows easily; see log-determinant.',
  logDeterminant: 'Natural logarithm of the covariance’s determinant; -Infinity where a direction has no variance.',
  diagonalTrace: 'Sum of the non-negative eigenvalues (Delve’s dtrc): the trace up to rounding.',
  participationRatio: 'Effective number of directions: (sum of eigenvalues)² / sum of their squares.',
  entropyRank: 'Effective rank: exponential of the entropy of the explained variance.',
  simpsonIndex: 'Concentration of the variance: sum of the squared shares, 1/width (even) to 1 (one direction).',
  powerLawExponent: 'Exponent of a power law fitted to the tail of the eigenvalues.',
  conditionNumber: 'Largest eigenvalue over the smallest.',
  drift: 'How far the leading eigenspace turned since the last epoch: 0 not at all, 1 into directions all new.',
};

/** How a spectrum is counted. */
export interface CountingOptions {
  threshold?: number;
  rule?: IntrinsicDimensionRule;
}

function percent(threshold: number): string {
  return `${Number((threshold * 100).toPrecision(6))} %`;
}

function describe(stat: ScalarStat, layer: LayerStatistics, counting: Required<CountingOptions>): string {
  const rests = `Width d = ${layer.features}, first value from n = ${layer.samples} samples.`;
  const counted = stat === 'saturation' || stat === 'intrinsicDimensionality';
  const rule = counted ? ` Threshold ${percent(counting.threshold)}, ${counting.rule} rule.` : '';
  return `${meanings[stat]}${rule} ${rests}`;
}

/** Writes one layer's statistics: a scalar for each number, and log10 of the eigenvalues as a histogram. */
export function writeLayerStatistics(
  writer: SummaryWriter,
  layer: LayerStatistics,
  step: Step,
  counting: Required<CountingOptions>,
): void {
  for (const [stat, value] of Object.entries(layer.values) as [ScalarStat, number][]) {
    writer.addScalar(`${tagGroups[stat]}/${layer.layer}`, value, step, {
      description: describe(stat, layer, counting),
    });
  }
  if (layer.spectrum !== undefined) writeSpectrum(writer, layer.layer, layer.spectrum, step);
  if (layer.embedding !== undefined) writeEmbedding(writer, layer.layer, layer.embedding, step);
}

/** log10 of the eigenvalues above rounding: linear ones would all fall into the first bucket. */
export function writeSpectrum(writer: SummaryWriter, layer: string, spectrum: Spectrum, step: Step): void {
  const logs = spectrum.eigenvalues.subarray(0, spectrum.rank).map((eigenvalue) => Math.log10(eigenvalue));
  writer.addHistogram(`spectrum/${layer}`, logs, step, {
    description: `log10 of the ${spectrum.features} eigenvalues of the covariance; those that are 0 up to rounding are left out.`,
  });
}

/**
 * Writes the saturation by depth as a histogram with one bucket per layer (bucket i is layer i, its count the
 * saturation), so that TensorBoard draws depth x epoch as a ridge.
 *
 * @param saturations by layer, in the order of depth, each in [0, 1]; NaN counts as 0
 */
export function writeProfile(writer: SummaryWriter, saturations: ReadonlyMap<string, number>, step: Step): void {
  const buckets = new Float64Array(saturations.size * 3);
  let at = 0;
  for (const saturation of saturations.values()) {
    buckets.set([at, at + 1, Number.isNaN(saturation) ? 0 : saturation], at * 3);
    at++;
  }
  writer.addHistogramRaw('saturation-profile', buckets, step, {
    description: `Saturation by depth: bucket i is layer i, its height the saturation. ${numbered(saturations.keys())}`,
  });
}

/**
 * Writes saturation over layers (rows, the first on top) and epochs (columns) as an image in viridis, 0 dark to 1 bright.
 *
 * @param history by layer, a value per epoch
 * @param firstEpoch the step of the first column
 */
export function writeHeatMap(
  writer: SummaryWriter,
  history: ReadonlyMap<string, readonly number[]>,
  step: Step,
  firstEpoch = 1,
): void {
  const { pixels, height, width } = heatMap(history, firstEpoch);
  writer.addImage('saturation-heat-map', { data: pixels, shape: [height, width, 3] }, step, {
    description:
      'Saturation: rows are layers by depth, columns epochs; dark 0, bright 1, grey where there was none. The last epoch’s value stands on the right.',
  });
}

/**
 * Writes a layer's samples on its first two principal axes: as a picture, and for the projector, where points can be
 * looked at one by one. The projector shows the last epoch's.
 *
 * @param points n x 2, row-major
 */
export function writeEmbedding(writer: SummaryWriter, layer: string, points: Float64Array, step: Step): void {
  const { pixels, height, width } = scatter(points);
  writer.addImage(`embedding/${layer}`, { data: pixels, shape: [height, width, 3] }, step, {
    description: `${points.length / 2} samples on the first two principal axes of the layer, about their mean.`,
  });
  writer.addEmbedding(`embedding/${layer}`, { data: points, shape: [points.length / 2, 2] }, 0);
}

function numbered(layers: Iterable<string>): string {
  return `Layers: ${[...layers].map((layer, index) => `${index} ${layer}`).join(', ')}.`;
}

/** A markdown table of an epoch: every value beside its n and d. @param spectra by `split/layer` */
export function epochTable(
  layers: readonly LayerStatistics[],
  spectra: ReadonlyMap<string, Spectrum>,
  counting: Required<CountingOptions>,
): string {
  const lines = [
    `Directions needed for ${percent(counting.threshold)} of the variance (${counting.rule} rule).`,
    '',
    '| layer | width d | samples n | n / d | intrinsic dimensionality | saturation |',
    '| :-- | --: | --: | --: | --: | --: |',
  ];
  for (const layer of layers) {
    const { features, samples } = layer;
    const spectrum = spectra.get(`${layer.split}/${layer.layer}`);
    const dimensions = spectrum?.intrinsicDimensionality(counting.threshold, counting.rule);
    const cells = [
      layer.layer.replaceAll('|', '\\|'),
      features,
      layer.rejected > 0 ? `${samples} (+${layer.rejected} not finite)` : samples,
      (samples / features).toPrecision(3),
      dimensions ?? 'NaN',
      dimensions === undefined ? 'NaN' : (dimensions / features).toFixed(4),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return lines.join('\n');
}
