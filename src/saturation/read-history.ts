import { listRuns, readEvents } from '../reader/read-events.js';
import type { EpochStatistics, LayerStatistics, ScalarStat, Split } from './epoch.js';
import { RunHistory } from './run-history.js';

/** Tags that the tracker writes, by their part in front of the layer's name. */
const groups: Readonly<Record<string, ScalarStat>> = {
  saturation: 'saturation',
  'intrinsic-dimensionality': 'intrinsicDimensionality',
  trace: 'trace',
};

interface Counting {
  threshold: number;
  rule: 'paper' | 'delve';
}

/** What is known of an epoch while its events come in, in any order. */
interface Growing {
  layers: Map<string, LayerStatistics>;
  scalars: EpochStatistics['scalars'];
}

/**
 * Reads back what a tracker wrote below a logdir: saturation and intrinsic dimensionality per layer and epoch from the
 * runs `train` and `val`, and the losses and metrics (`epoch_*`) beside them. Spectra are not in there: TensorBoard's
 * histograms keep 30 buckets of them.
 *
 * @throws Error where `logdir` is not a folder, RangeError where no run below it holds saturation
 */
export async function readHistory(logdir: string): Promise<RunHistory> {
  const steps = new Map<number, Growing>();
  const shapes = new Map<string, { features: number; samples: number }>();
  const counting: Counting = { threshold: 0.99, rule: 'paper' };
  for (const { run, files } of await listRuns(logdir)) {
    const split = splitOf(run);
    if (!split) continue;
    for (const file of files) {
      for await (const event of readEvents(file, { tags: isWanted, onCorrupt: 'stop' })) {
        for (const { tag, value, description } of event.summary ?? []) {
          if (typeof value !== 'number') continue;
          const at = tag.indexOf('/');
          const stat = at > 0 ? groups[tag.slice(0, at)] : undefined;
          const step = growing(steps, Number(event.step));
          if (stat) {
            const layer = tag.slice(at + 1);
            const known = shapeFrom(description, counting);
            if (known) shapes.set(`${split}/${layer}`, known);
            statisticsOf(step, split, layer).values[stat] = value;
          } else {
            step.scalars = step.scalars.filter((scalar) => scalar.tag !== tag || scalar.split !== split);
            step.scalars.push({ tag, value, split });
          }
        }
      }
    }
  }
  const history = new RunHistory();
  for (const [step, { layers, scalars }] of [...steps].sort(([one], [other]) => one - other)) {
    for (const [key, layer] of layers) Object.assign(layer, shapes.get(key) ?? guessedShape(layer));
    history.add({ epoch: step - 1, step, ...counting, layers: [...layers.values()], scalars });
  }
  if (history.last === undefined) {
    throw new RangeError(`readHistory: expected runs with saturation/<layer> below '${logdir}', found none`);
  }
  return history;
}

/** The last part of a run's name says its split: `train`, `fold1/val`. */
function splitOf(run: string): Split | undefined {
  const last = run.split('/').at(-1);
  return last === 'train' || last === 'val' ? last : undefined;
}

function isWanted(tag: string): boolean {
  return tag.startsWith('epoch_') || groups[tag.slice(0, Math.max(0, tag.indexOf('/')))] !== undefined;
}

function growing(steps: Map<number, Growing>, step: number): Growing {
  let found = steps.get(step);
  if (!found) steps.set(step, (found = { layers: new Map(), scalars: [] }));
  return found;
}

function statisticsOf(step: Growing, split: Split, layer: string): LayerStatistics {
  const key = `${split}/${layer}`;
  let found = step.layers.get(key);
  if (!found) {
    found = { split, layer, samples: Number.NaN, rejected: 0, features: Number.NaN, values: {} };
    step.layers.set(key, found);
  }
  return found;
}

/** The tracker says width, samples and threshold in a tag's description, on its first event. */
function shapeFrom(
  description: string | undefined,
  counting: Counting,
): { features: number; samples: number } | undefined {
  if (!description) return undefined;
  const counted = /Threshold ([\d.]+) %, (paper|delve) rule/.exec(description);
  if (counted) {
    counting.threshold = Number(counted[1]) / 100;
    counting.rule = counted[2] as Counting['rule'];
  }
  const shape = /d = (\d+).*?n = (\d+)/.exec(description);
  return shape ? { features: Number(shape[1]), samples: Number(shape[2]) } : undefined;
}

/** Width follows from intrinsic dimensionality / saturation. */
function guessedShape({ values }: LayerStatistics): { features: number; samples: number } {
  const features = Math.round((values.intrinsicDimensionality ?? Number.NaN) / (values.saturation ?? Number.NaN));
  return { features: Number.isFinite(features) ? features : Number.NaN, samples: Number.NaN };
}
