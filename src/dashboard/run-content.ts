import type { AudioValue, HistogramValue, HparamsValue, ImagesValue, SummaryValue, TextValue } from '../event/event.js';
import type { RunFile } from '../reader/scan.js';
import { type RunReading, scanRun } from '../reader/shown-points.js';
import { historyOf } from '../saturation/runs.js';
import { packRuns } from '../view/packed-runs.js';
import { outlineOf, runsOfHistory } from '../view/run-data.js';

/*
 * All that a run holds for the pages of the dashboard, read by this package's own reader with the points that TensorBoard
 * shows. It is what a worker sends to the page: plain objects and typed arrays.
 */

/** What a tag says of itself. */
export interface TagText {
  readonly displayName?: string;
  readonly description?: string;
}

/** Numbers over steps, in the order in which they were written. */
export interface ScalarSeries {
  readonly steps: Float64Array;
  /** Seconds since 1970-01-01 UTC. */
  readonly wallTimes: Float64Array;
  readonly values: Float64Array;
}

/** A value of another kind at a step. */
export interface At<Value> {
  readonly step: number;
  /** Seconds since 1970-01-01 UTC. */
  readonly wallTime: number;
  readonly value: Value;
}

/** Precision and recall at the thresholds of a PR curve, from the least threshold to the greatest. */
export interface PrCurve {
  readonly precision: Float64Array;
  readonly recall: Float64Array;
}

/** A run's hyperparameters. */
export interface RunHparams {
  readonly hparams: Readonly<Record<string, string | number | boolean>>;
  readonly status?: string;
}

/** All of a run. */
export interface RunContent {
  readonly run: string;
  readonly texts: ReadonlyMap<string, TagText>;
  readonly scalars: ReadonlyMap<string, ScalarSeries>;
  readonly histograms: ReadonlyMap<string, readonly At<HistogramValue>[]>;
  readonly images: ReadonlyMap<string, readonly At<ImagesValue>[]>;
  readonly audio: ReadonlyMap<string, readonly At<AudioValue>[]>;
  readonly text: ReadonlyMap<string, readonly At<TextValue>[]>;
  readonly prCurves: ReadonlyMap<string, readonly At<PrCurve>[]>;
  readonly hparams: RunHparams | undefined;
  /** `packRuns` of the run's saturation; undefined if it has none. */
  readonly saturation: Uint8Array | undefined;
  /** What is damaged or left out, in words. */
  readonly complaints: readonly string[];
}

/** So many points of a tag are kept, evenly over the steps: pictures and sounds take much memory. */
const most = { histograms: 500, images: 60, audio: 30, text: 200, prCurves: 100 };

/** Keeps so many points of a tag at most: every other one is dropped when there are too many, the last one stays. */
class Kept<Value> {
  readonly #most: number;
  readonly #points: At<Value>[] = [];
  #every = 1;
  #count = 0;
  #last: At<Value> | undefined;

  constructor(atMost: number) {
    this.#most = atMost;
  }

  add(point: At<Value>): void {
    this.#last = point;
    if (this.#count++ % this.#every !== 0) return;
    this.#points.push(point);
    if (this.#points.length < this.#most) return;
    for (let i = 0; i < this.#points.length; i++) if (i % 2 === 0) this.#points[i >> 1] = this.#points[i];
    this.#points.length = (this.#points.length + 1) >> 1;
    this.#every *= 2;
  }

  points(): At<Value>[] {
    const last = this.#points.at(-1);
    return this.#last === undefined || last === this.#last ? this.#points : [...this.#points, this.#last];
  }
}

/** So many numbers of a tag are kept, evenly over the steps: more than any chart can show. */
const mostNumbers = 2 ** 17;

class GrowingSeries {
  #steps: number[] = [];
  #wallTimes: number[] = [];
  #values: number[] = [];
  #every = 1;
  #count = 0;
  #last: [step: number, wallTime: number, value: number] | undefined;

  add(step: number, wallTime: number, value: number): void {
    if (this.#count++ % this.#every !== 0) {
      this.#last = [step, wallTime, value];
      return;
    }
    this.#last = undefined;
    this.#steps.push(step);
    this.#wallTimes.push(wallTime);
    this.#values.push(value);
    if (this.#steps.length < mostNumbers) return;
    const isKept = (_: number, index: number) => index % 2 === 0;
    this.#last = [step, wallTime, value];
    this.#steps = this.#steps.filter(isKept);
    this.#wallTimes = this.#wallTimes.filter(isKept);
    this.#values = this.#values.filter(isKept);
    this.#every *= 2;
  }

  series(): ScalarSeries {
    const [step, wallTime, value] = this.#last ?? [];
    const withLast = (numbers: readonly number[], last: number | undefined) =>
      Float64Array.from(last === undefined ? numbers : [...numbers, last]);
    return {
      steps: withLast(this.#steps, step),
      wallTimes: withLast(this.#wallTimes, wallTime),
      values: withLast(this.#values, value),
    };
  }
}

/** Reads a run. What is damaged is passed over with a complaint. */
export async function readRunContent(run: string, files: readonly RunFile[]): Promise<RunContent> {
  const texts = new Map<string, TagText>();
  const scalars = new Map<string, GrowingSeries>();
  const kept = {
    histograms: new Map<string, Kept<HistogramValue>>(),
    images: new Map<string, Kept<ImagesValue>>(),
    audio: new Map<string, Kept<AudioValue>>(),
    text: new Map<string, Kept<TextValue>>(),
    prCurves: new Map<string, Kept<PrCurve>>(),
  };
  const complaints: string[] = [];
  const undecoded = new Map<string, number>();
  let hparams: RunHparams['hparams'] | undefined;
  let status: string | undefined;
  const add = <Kind extends keyof typeof kept>(kind: Kind, tag: string, point: At<unknown>) => {
    const tags = kept[kind] as Map<string, Kept<unknown>>;
    let known = tags.get(tag);
    if (known === undefined) tags.set(tag, (known = new Kept(most[kind])));
    known.add(point);
  };
  const reading: RunReading = {
    complain: (message) => void complaints.push(message),
    keepsRaw: false,
    startOver: () => {
      for (const seen of [texts, scalars, undecoded, ...Object.values(kept)]) seen.clear();
      [hparams, status] = [undefined, undefined];
    },
  };
  await scanRun(files, reading, (event, isShown) => {
    const { summary = [] } = event;
    for (let index = 0; index < summary.length; index++) {
      const { tag, plugin, value, displayName, description } = summary[index];
      if ((displayName || description) && !texts.has(tag)) texts.set(tag, { displayName, description });
      if (plugin === 'hparams') {
        const { sessionEnd, sessionStart } = value as Partial<HparamsValue>;
        hparams = sessionStart?.hparams ?? hparams;
        status = sessionEnd?.status ?? status;
        continue;
      }
      if (!isShown(index)) continue;
      if (typeof value === 'number') {
        let series = scalars.get(tag);
        if (series === undefined) scalars.set(tag, (series = new GrowingSeries()));
        series.add(Number(event.step), event.wallTime, value);
        continue;
      }
      const at = { step: Number(event.step), wallTime: event.wallTime };
      if ('undecoded' in value) {
        const what = `${tag}: ${value.undecoded}`;
        undecoded.set(what, (undecoded.get(what) ?? 0) + 1);
      } else if (plugin === 'histograms' && 'buckets' in value) add('histograms', tag, { ...at, value });
      else if (plugin === 'images' && 'width' in value) add('images', tag, { ...at, value });
      else if (plugin === 'audio' && 'encoded' in value) add('audio', tag, { ...at, value });
      else if (plugin === 'text' && 'strings' in value) add('text', tag, { ...at, value });
      else if (plugin === 'pr_curves') {
        const curve = prCurveOf(value);
        if (curve !== undefined) add('prCurves', tag, { ...at, value: curve });
      }
    }
  });
  for (const [what, count] of undecoded) complaints.push(`${what} (${count} ${count === 1 ? 'value' : 'values'})`);
  const pointsOf = <Value>(tags: ReadonlyMap<string, Kept<Value>>) =>
    new Map([...tags].map(([tag, points]) => [tag, points.points()] as const));
  return {
    run,
    texts,
    scalars: new Map([...scalars].map(([tag, series]) => [tag, series.series()] as const)),
    histograms: withOwnMemory(pointsOf(kept.histograms)),
    images: pointsOf(kept.images),
    audio: pointsOf(kept.audio),
    text: pointsOf(kept.text),
    prCurves: pointsOf(kept.prCurves),
    hparams: hparams && { hparams, ...(status !== undefined && { status }) },
    saturation: [...scalars.keys()].some((tag) => tag.startsWith('saturation/'))
      ? await saturationOf(run, files)
      : undefined,
    complaints,
  };
}

/** Histograms that are read share memory, of which a message between threads would hold all. */
function withOwnMemory(tags: RunContent['histograms']): RunContent['histograms'] {
  const own = (point: At<HistogramValue>) => ({
    ...point,
    value: { ...point.value, buckets: point.value.buckets.slice() },
  });
  return new Map([...tags].map(([tag, points]) => [tag, points.map(own)]));
}

async function saturationOf(run: string, files: readonly RunFile[]): Promise<Uint8Array | undefined> {
  const { experiment, split } = outlineOf(run);
  const history = await historyOf(new Map([[split, files]]), { raw: false, onDamage: () => {} });
  if (history.last === undefined) return undefined;
  return packRuns(runsOfHistory(history, experiment).map((data) => ({ ...data, name: run })));
}

/**
 * Precision and recall in the rows of TensorBoard's PR curves: true and false positives, true and false negatives, precision, recall.
 * As there, thresholds at the end above which nothing is predicted are left out: precision is undefined, and writers store a 0 for it.
 * Source: tensorboard/plugins/pr_curve/pr_curves_plugin.py (_make_pr_entry)
 */
function prCurveOf(value: SummaryValue): PrCurve | undefined {
  if (typeof value !== 'object' || !('data' in value) || !('shape' in value)) return undefined;
  const [rows, thresholds] = value.shape;
  const { data } = value;
  if (value.shape.length !== 2 || rows !== 6 || !(ArrayBuffer.isView(data) && !(data instanceof BigInt64Array))) {
    return undefined;
  }
  const at = (row: number, i: number) => Number(data[row * thresholds + i]);
  let end = thresholds;
  while (end > 1 && Math.trunc(at(0, end - 1)) + Math.trunc(at(1, end - 1)) === 0) end--;
  const row = (index: number) => Float64Array.from({ length: end }, (_, i) => at(index, i));
  return { precision: row(4), recall: row(5) };
}
