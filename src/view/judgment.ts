import { tailOf } from '../insight/tail.js';
import type { EpochStatistics } from '../saturation/epoch.js';
import { Spectrum } from '../statistics/spectrum.js';
import { pointAt, type RunData, type SpectrumPoint, valueAt } from './run-data.js';
import { type LayerMark, plainMarkOf } from './scene.js';

/** What the library says of a run at a step: which layers are not to be relied on, which are a tail, and its advice's input. */
export class Judgment {
  /** Whether the samples of a spectrum suffice, by the threshold: that takes longer than a frame. */
  readonly #judged = new WeakMap<SpectrumPoint, Map<number, boolean>>();

  /** What is to be said of each layer, as far as it is known. */
  marks(run: RunData, step: number, threshold: number): Map<string, LayerMark> {
    const marks = new Map<string, LayerMark>();
    for (const layer of run.layers) {
      const point = pointAt(layer, step);
      if (point === undefined) continue;
      const mark = plainMarkOf(layer, step);
      if (mark !== undefined) marks.set(layer.name, mark);
      else if (this.#judged.get(point)?.get(threshold) === false) marks.set(layer.name, 'fewSamples');
    }
    return marks;
  }

  /** Judges the samples of the layers that were not judged yet. Returns whether there were any. */
  judge(run: RunData, step: number, threshold: number): boolean {
    let isNew = false;
    for (const layer of run.layers) {
      const point = pointAt(layer, step);
      if (point?.samples === undefined || !isWhole(point)) continue;
      const known = this.#judged.get(point) ?? new Map<number, boolean>();
      this.#judged.set(point, known);
      if (known.has(threshold)) continue;
      known.set(threshold, spectrumOf(point).isReliable({ threshold }));
      isNew = true;
    }
    return isNew;
  }
}

function isWhole(point: SpectrumPoint): boolean {
  return !point.isEstimated && point.eigenvalues.length === point.features;
}

function spectrumOf(point: SpectrumPoint): Spectrum {
  const { eigenvalues, samples, effectiveSamples } = point;
  return Spectrum.fromEigenvalues(eigenvalues, { samples, effectiveSamples });
}

/** The names of the layers of a run's tail at a step. */
export function tailAt(run: RunData, step: number, threshold: number): readonly string[] {
  const isKnown = run.layers.some(({ role }) => role === 'output');
  const judged = run.layers.filter(({ role }) => role !== 'output');
  const labels = judged.map(({ name }) => name);
  const values = judged.map((layer) => valueAt(layer, step, { stat: 'saturation', threshold, rule: run.rule }));
  return tailOf({ labels, values }, isKnown ? { head: 0 } : {}).layers;
}

/** A run at a step as an epoch, of which the library's own advice is asked. */
export function epochAt(run: RunData, step: number, threshold: number): EpochStatistics {
  const counting = { threshold, rule: run.rule };
  const layers = run.layers.flatMap((layer) => {
    const saturation = valueAt(layer, step, { ...counting, stat: 'saturation' });
    if (Number.isNaN(saturation)) return [];
    const intrinsicDimensionality = valueAt(layer, step, { ...counting, stat: 'intrinsicDimensionality' });
    const point = pointAt(layer, step);
    return [
      {
        split: run.split,
        layer: layer.name,
        samples: point?.samples ?? Number.NaN,
        rejected: point?.rejected ?? 0,
        features: point?.features ?? Math.round(intrinsicDimensionality / saturation),
        saturation,
        intrinsicDimensionality,
        values: { saturation, intrinsicDimensionality },
        ...(layer.role === undefined ? {} : { role: layer.role }),
        ...(point?.samples !== undefined && isWhole(point) ? { spectrum: spectrumOf(point) } : {}),
      },
    ];
  });
  return { epoch: step - 1, step, ...counting, layers, scalars: [] };
}
