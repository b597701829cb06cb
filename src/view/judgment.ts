import { tailOf } from '../insight/tail.js';
import type { EpochStatistics } from '../saturation/epoch.js';
import type { ScalarStat } from '../saturation/stats.js';
import { indexAt, type LayerData, pointAt, type RunData, type SpectrumPoint } from './run-data.js';
import { type LayerMark, plainMarkOf } from './scene.js';
import { type Counting, canEstimate, estimateAt, spectrumOf, valueAt } from './values.js';

/** What is to be said of each layer, as far as it is known: whether samples are too few is estimated later. */
export function marksAt(run: RunData, step: number, counting: Counting): Map<string, LayerMark> {
  const marks = new Map<string, LayerMark>();
  for (const layer of run.layers) {
    const point = pointAt(layer, step);
    if (point === undefined) continue;
    const mark = plainMarkOf(layer, step);
    if (mark !== undefined) marks.set(layer.name, mark);
    else if (hasFewSamples(point, counting)) marks.set(layer.name, 'fewSamples');
  }
  return marks;
}

function hasFewSamples(point: SpectrumPoint, { threshold, rule }: Counting): boolean {
  if (estimateAt(point, { threshold, rule }) === undefined) return false;
  const verdicts = reliable.get(point) ?? new Map<string, boolean>();
  reliable.set(point, verdicts);
  const key = `${threshold} ${rule}`;
  let isReliable = verdicts.get(key);
  if (isReliable === undefined) verdicts.set(key, (isReliable = spectrumOf(point).isReliable({ threshold, rule })));
  return !isReliable;
}

/** Whether the samples of a spectrum suffice, by threshold and rule. */
const reliable = new WeakMap<SpectrumPoint, Map<string, boolean>>();

/** The names of the layers of a run's tail at a step. */
export function tailAt(run: RunData, step: number, threshold: number): readonly string[] {
  const isKnown = run.layers.some(({ role }) => role === 'output');
  const judged = run.layers.filter(({ role }) => role !== 'output');
  const labels = judged.map(({ name }) => name);
  const values = judged.map((layer) => valueAt(layer, step, { stat: 'saturation', threshold, rule: run.rule }));
  return tailOf({ labels, values }, isKnown ? { head: 0 } : {}).layers;
}

/** The statistics of a layer that were stored at a step. */
function storedAt(layer: LayerData, step: number): Partial<Record<ScalarStat, number>> {
  return Object.fromEntries(
    [...layer.stats].flatMap(([stat, { steps, values }]) => {
      const at = indexAt(steps, step);
      return at < 0 ? [] : [[stat, values[at]]];
    }),
  );
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
        values: { ...storedAt(layer, step), saturation, intrinsicDimensionality },
        ...(layer.role === undefined ? {} : { role: layer.role }),
        ...(point?.effectiveSamples === undefined ? {} : { effectiveSamples: point.effectiveSamples }),
        ...(point !== undefined && canEstimate(point) ? { spectrum: spectrumOf(point) } : {}),
      },
    ];
  });
  const scalars = [...run.scalars].flatMap(([tag, { steps, values }]) => {
    const at = indexAt(steps, step);
    return at < 0 ? [] : [{ tag, value: values[at], split: run.split }];
  });
  return { epoch: step - 1, step, ...counting, layers, scalars };
}
