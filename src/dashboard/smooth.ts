/*
 * What is drawn of a series: smoothed as TensorBoard smooths, thinned to what a chart can show.
 */
import { splitInName } from '../reader/split-names.js';

/**
 * Exponential moving average without the bias of its beginning, as TensorBoard draws it: values that are not finite stay, and
 * count for nothing. Source: tensorboard/webapp/widgets/line_chart_v2 and vz_line_chart2 (2.21), `resmoothDataset`.
 *
 * @param weight of what came before, in [0, 1)
 */
export function smoothed(values: Float64Array, weight: number): Float64Array {
  const first = values[0];
  if (weight === 0 || values.every((value) => value === first)) return values;
  const result = new Float64Array(values.length);
  let last = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      result[i] = values[i];
      continue;
    }
    last = last * weight + (1 - weight) * values[i];
    count++;
    result[i] = last / (1 - weight ** count);
  }
  return result;
}

/**
 * The indices of at most about `most` points that draw the same line: of each stretch the first, the least, the greatest and
 * the last.
 */
export function thinned(values: Float64Array, most: number): number[] {
  const { length } = values;
  if (length <= most) return Array.from({ length }, (_, i) => i);
  const stretches = Math.max(1, Math.floor(most / 4));
  const kept: number[] = [];
  for (let stretch = 0; stretch < stretches; stretch++) {
    const from = Math.floor((stretch * length) / stretches);
    const end = Math.floor(((stretch + 1) * length) / stretches);
    let [least, greatest] = [from, from];
    for (let i = from; i < end; i++) {
      if (values[i] < values[least] || Number.isNaN(values[least])) least = i;
      if (values[i] > values[greatest] || Number.isNaN(values[greatest])) greatest = i;
    }
    for (const i of new Set([from, least, greatest, end - 1].sort((a, b) => a - b))) kept.push(i);
  }
  return kept;
}

/** The 5th and the 95th percentile of finite values; undefined if there are none. */
export function withoutOutliers(series: readonly Float64Array[]): [number, number] | undefined {
  const all = series
    .flatMap((values) => thinned(values, 2000).map((i) => values[i]))
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  if (all.length === 0) return undefined;
  return [all[Math.floor(0.05 * (all.length - 1))], all[Math.ceil(0.95 * (all.length - 1))]];
}

/**
 * What runs have in common whose mean is drawn: their folder; or, where a run is one split of a training's data, the folder of the
 * trainings and the split, with an asterisk between them.
 */
export function repeatsOf(run: string): string {
  const parts = run.split('/');
  const last = parts[parts.length - 1];
  if (splitInName(last)?.split !== last) return parts.slice(0, -1).join('/') || '.';
  return parts.length < 2 ? last : [...parts.slice(0, -2), '*', last].join('/');
}

/** Mean, least and greatest value of several series at the steps that any of them has. */
export function bandOf(series: readonly { steps: Float64Array; values: Float64Array }[]) {
  const at = new Map<number, number[]>();
  for (const { steps, values } of series) {
    for (let i = 0; i < steps.length; i++) {
      if (!Number.isFinite(values[i])) continue;
      const found = at.get(steps[i]);
      if (found === undefined) at.set(steps[i], [values[i]]);
      else found.push(values[i]);
    }
  }
  const steps = Float64Array.from(at.keys()).sort();
  const of = (pick: (values: readonly number[]) => number) =>
    Float64Array.from(steps, (step) => pick(at.get(step) as number[]));
  return {
    steps,
    mean: of((values) => values.reduce((sum, value) => sum + value, 0) / values.length),
    least: of((values) => Math.min(...values)),
    greatest: of((values) => Math.max(...values)),
  };
}
