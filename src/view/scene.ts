import { correctedText, scalarStats } from '../saturation/stats.js';
import { indexAt, type LayerData, pointAt, type RunData } from './run-data.js';
import { type Counting, estimateAt, valueAt } from './values.js';

/** What is looked at: every chart is drawn from this, and from nothing else. */
export interface Scene {
  /** The statistic, and the threshold of those that have one. */
  readonly counting: Counting;
  /** The step; each layer shows its last value at or before it. */
  readonly step: number;
  /** The run that the heat map and the advice are of. */
  readonly focus: RunData;
  /** Name of the layer whose spectrum is shown. */
  readonly layer: string;
  /** The runs that the other charts compare, in order. */
  readonly shown: readonly RunData[];
  /** A color for each run, by its name. */
  readonly colors: ReadonlyMap<string, string>;
  /** What is to be said of a layer of the focus at the step, by name. */
  readonly marks: ReadonlyMap<string, LayerMark>;
  /** Names of the layers at the end that add little. */
  readonly tail: readonly string[];
  /** A layer's name on an axis: without the folders that most names begin with. */
  readonly short: (layer: string) => string;
  /** Whether the ground is dark. */
  readonly isDark: boolean;
}

/** What is said of a layer whose numbers are those of a sketch. */
export const sketchText = 'estimate: so wide that only a sketch was kept';

/** What is wrong with a layer's number: it is of no use, or not to be relied on. */
export type LayerMark = 'dead' | 'nonFinite' | 'fewSamples';

/** What a mark says, in words. */
export const markText: Readonly<Record<LayerMark, string>> = {
  dead: 'dead: its output never varies',
  nonFinite: 'put out NaN or Infinity',
  fewSamples: 'too few samples to rely on',
};

/** What marks a layer before its spectrum is looked at closely. */
export function plainMarkOf(layer: LayerData, step: number): LayerMark | undefined {
  const point = pointAt(layer, step);
  if (point === undefined) return undefined;
  if (point.rejected > 0) return 'nonFinite';
  if (point.trace === 0) return 'dead';
  return undefined;
}

/** Names of the layers of several runs in one order: that of the first run, with what others have beside it put between. */
export function mergedLayers(runs: readonly RunData[]): string[] {
  const merged: string[] = [];
  for (const { layers } of runs) {
    let at = 0;
    for (const { name } of layers) {
      const found = merged.indexOf(name);
      if (found >= 0) at = found + 1;
      else merged.splice(at++, 0, name);
    }
  }
  return merged;
}

/** Whether runs are of one network, as far as names tell: the layers of each are those of the first or most of them. */
export function areAlike(runs: readonly RunData[]): boolean {
  const [first, ...others] = runs;
  const names = new Set(first?.layers.map(({ name }) => name));
  return others.every(({ layers }) => {
    const shared = layers.filter(({ name }) => names.has(name)).length;
    return shared >= 0.6 * Math.max(names.size, layers.length);
  });
}

/** A run's name in a legend: what is not the same for all. */
export function labelOf(run: RunData, runs: readonly RunData[]): string {
  const isOne = new Set(runs.map(({ experiment }) => experiment)).size <= 1;
  return isOne || run.experiment === '' ? run.split : `${run.experiment} · ${run.split}`;
}

/** A number of a statistic as text: three decimals of a saturation, whole counts, four digits of everything else. */
export function numberText({ stat }: Counting, value: number): string {
  if (Number.isNaN(value)) return 'no value';
  if (scalarStats[stat].tagGroup.startsWith('saturation')) return value.toFixed(3);
  return scalarStats[stat].isCount ? String(Math.round(value)) : String(Number(value.toPrecision(4)));
}

/** The saturation that many samples of a layer would show, as text; empty if it is not known, or not yet. */
export function manySamplesText(layer: LayerData, { step, counting }: Scene): string {
  const point = pointAt(layer, step);
  const estimate = point === undefined ? undefined : estimateAt(point, counting);
  if (estimate === undefined) return '';
  const { saturation, low, high } = estimate;
  return correctedText({ saturationCorrected: saturation, saturationLow: low, saturationHigh: high });
}

/** A layer's number in words, of one run. */
export function valueText(scene: Scene, run: RunData, layer: LayerData): string {
  const { counting, step, shown } = scene;
  const value = valueAt(layer, step, counting);
  const lines = [layer.name, labelOf(run, shown), `${scalarStats[counting.stat].title} ${numberText(counting, value)}`];
  const point = pointAt(layer, step);
  if (point !== undefined) {
    const dimensions = valueAt(layer, step, { ...counting, stat: 'intrinsicDimensionality' });
    if (counting.stat === 'saturation' && run === scene.focus && scene.marks.get(layer.name) === 'fewSamples') {
      lines.push(`with many samples ${manySamplesText(layer, scene)}`);
    }
    if (scalarStats[counting.stat].basis === 'threshold') lines.push(`${dimensions} of ${point.features} directions`);
    if (point.samples !== undefined) {
      lines.push(
        `${point.samples.toLocaleString('en')} samples, ${(point.samples / point.features).toPrecision(3)} per feature`,
      );
    }
    if (point.rejected > 0) lines.push(`${point.rejected} rows were NaN or Infinity`);
    if (point.isEstimated) lines.push('spectrum estimated from a histogram');
  }
  if (layer.isSketch) lines.push(sketchText);
  const mark = run === scene.focus ? scene.marks.get(layer.name) : plainMarkOf(layer, step);
  if (mark !== undefined) lines.push(markText[mark]);
  return lines.join('\n');
}

/** The steps to draw as columns: at most `most` of them, evenly, the last one among them. */
export function columnsOf(steps: readonly number[], most: number): number[] {
  const every = Math.ceil(steps.length / most);
  return steps.filter((_, index) => (steps.length - 1 - index) % every === 0);
}

/** The column at or before a step. */
export function columnAt(columns: readonly number[], step: number): number {
  return Math.max(0, indexAt(columns, step));
}
