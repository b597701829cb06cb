/** The command `lint`: what is wrong with a training, or with how it was written, for people and for scripts. */
import type { Step, SummaryValue, TensorBoardEvent } from '../event/event.js';
import { scanRun } from '../reader/shown-points.js';
import { isGap } from '../saturation/stats.js';
import { type EachRunOptions, eachRun, type RunReports } from './each-run.js';
import { valueText } from './inspect.js';
import { type FoundRun, findRuns, tagFilter } from './runs.js';
import { writeJson } from './table.js';
import { Complaints, plural, styled, type Terminal, writeTable } from './terminal.js';

/** Options of `lint`, as typed. */
interface LintOptions extends EachRunOptions {
  json?: boolean;
  tags?: string;
}

/** Something that is wrong. */
interface Finding {
  readonly run: string;
  readonly tag: string;
  readonly rule: Rule;
  readonly message: string;
}

/** What is looked for, and what it means. */
const rules = {
  'not-a-number': 'a value is NaN or Infinity: the charts have a gap, and a training with a NaN loss is over',
  spike: 'a value stands out of its neighbors by more than 20 times their usual change',
  plateau: 'a loss did not change by more than a thousandth of its range in the last half of its points',
  rising: 'a validation loss rose by a tenth of its range or more since its least value',
  'goes-back': 'steps go back: TensorBoard hides what was written before; give each training a folder of its own',
  'many-writers': 'several programs wrote to one run at the same time: their points hide each other, or zigzag',
  'no-step': 'all values stand at one step, so that there is a point and no curve',
  'not-shown': 'TensorBoard has no page that shows this tag, or passes its values over',
  'dead-layer': 'a layer uses at most one direction',
  collapse: 'the saturation of a layer fell to less than half of its highest value',
} as const;

type Rule = keyof typeof rules;

/** A scalar's points in order. */
interface Curve {
  /** How many points there are, hidden ones included, and whether all stand at one step. */
  count: number;
  isOneStep: boolean;
  readonly firstStep: number;
  /** What the tag says of itself. */
  description: string | undefined;
  readonly steps: number[];
  readonly values: number[];
}

/** The usual change at a point is that of so many points on either side. */
const neighbors = 15;

/** `lint`: resolves to 1 if something was found, or a file is damaged or cannot be read. */
export async function lint(terminal: Terminal, path: string | undefined, options: LintOptions): Promise<number> {
  const { tags } = options;
  tagFilter(tags); // a pattern that is none is told before anything is read
  const complaints = new Complaints(terminal);
  const findings: Finding[] = [];
  const all = await findRuns(path, complaints);
  await eachRun(terminal, all, ['lint', lintRun], { tags }, options, complaints, ({ run }, found) => {
    for (const finding of found) findings.push({ run, ...finding });
  });
  show(terminal, findings, all.length, options);
  return findings.length > 0 ? 1 : complaints.exitCode;
}

/** What is wrong with one run. */
export async function lintRun(
  { files }: FoundRun,
  { tags }: Pick<LintOptions, 'tags'>,
  { complain, read }: RunReports,
): Promise<Omit<Finding, 'run'>[]> {
  const findings: Omit<Finding, 'run'>[] = [];
  const odd = new Map<string, { count: number; reason: string }>();
  /** What TensorBoard takes all values of a tag for: the plugin of its first one. */
  const plugins = new Map<string, string>();
  const curves = new Map<string, Curve>();
  const back = new BackSteps();
  const visit = (event: TensorBoardEvent, isShown: (index: number) => boolean) => {
    const { step, summary } = event;
    back.add(event);
    for (const [index, { description, plugin, tag, value }] of (summary ?? []).entries()) {
      let first = plugins.get(tag);
      if (first === undefined) plugins.set(tag, (first = plugin));
      const reason = whyNotShown(first, value);
      if (reason !== undefined) {
        const known = odd.get(tag);
        if (known === undefined) odd.set(tag, { count: 1, reason });
        else known.count++;
      }
      if (typeof value !== 'number') continue;
      let curve = curves.get(tag);
      if (curve === undefined) {
        curve = { count: 0, isOneStep: true, firstStep: Number(step), description, steps: [], values: [] };
        curves.set(tag, curve);
      }
      curve.count++;
      // A hidden point may be the one that has it.
      curve.description ??= description;
      if (Number(step) !== curve.firstStep) curve.isOneStep = false;
      if (!isShown(index)) continue;
      curve.steps.push(Number(step));
      curve.values.push(value);
    }
  };
  const { hidden } = await scanRun(files, { tags: tagFilter(tags), complain, read }, visit);
  const found = back.found;
  if (hidden > 0 && found !== undefined) {
    const { tag, from, rule, to } = found;
    findings.push({ tag, rule, message: `from step ${from} to ${to}: ${plural(hidden, 'point')} of the run hidden` });
  }
  for (const [tag, { count, reason }] of odd) {
    findings.push({ tag, rule: 'not-shown', message: `${plural(count, 'value')}: ${reason}` });
  }
  for (const [tag, curve] of curves) for (const found of check(tag, curve)) findings.push({ tag, ...found });
  return findings;
}

/**
 * Where the steps of a tag go back, and why. A training that went on from a checkpoint says so by the start of a session, and is
 * no finding. Where the wall time goes back, too, files were written at the same time; where it goes on, one after the other.
 */
class BackSteps {
  /** The gravest that was found. */
  found: { tag: string; from: Step; to: Step; rule: 'goes-back' | 'many-writers' } | undefined;
  readonly #last = new Map<string, { step: Step; wallTime: number; session: number }>();
  #session = 0;
  /** When the session started. */
  #started = 0;

  /** Takes the next event of a run. */
  add({ sessionLog, step, summary = [], wallTime }: TensorBoardEvent): void {
    if (sessionLog?.status === 'start') {
      this.#session++;
      this.#started = wallTime;
    }
    for (const { tag } of summary) {
      const last = this.#last.get(tag);
      this.#last.set(tag, { step, wallTime, session: this.#session });
      if (last === undefined || step >= last.step) continue;
      const isNewSession = last.session !== this.#session;
      // What a purge has kept stands behind the start with its own wall time.
      const rule = (isNewSession ? this.#started : wallTime) < last.wallTime ? 'many-writers' : 'goes-back';
      if (isNewSession && rule === 'goes-back') continue;
      if (this.found === undefined || (rule === 'many-writers' && this.found.rule !== rule)) {
        this.found = { tag, from: last.step, to: step, rule };
      }
    }
  }
}

/**
 * The form in which the plugins of TensorBoard 2.21 show values; what has no form here is shown in any.
 * Source: tensorboard/plugins/<name>/metadata.py and <name>_plugin.py
 */
const shownForms: Readonly<Record<string, (value: Exclude<SummaryValue, number>) => boolean>> = {
  scalars: () => false,
  histograms: (value) => 'buckets' in value,
  images: (value) => 'width' in value,
  audio: (value) => 'encoded' in value && !('width' in value),
  text: (value) => 'strings' in value,
  mesh: (value) => 'mesh' in value,
  pr_curves: (value) => 'dtype' in value && value.shape.length === 2 && value.shape[0] === 6,
};
const shownPlugins = /^(hparams|custom_scalars|projector|graph|profile|debugger|npmi|what-if|text_v2|saturation)/;

/** Why TensorBoard does not show a value; undefined if it does. */
function whyNotShown(plugin: string, value: SummaryValue): string | undefined {
  if (typeof value === 'object' && 'undecoded' in value) return value.undecoded;
  if (!Object.hasOwn(shownForms, plugin)) {
    if (shownPlugins.test(plugin)) return undefined;
    return plugin === '' ? 'the tag names no plugin' : `no page of TensorBoard shows the plugin "${plugin}"`;
  }
  const isShown = typeof value === 'number' ? plugin === 'scalars' : shownForms[plugin](value);
  return isShown
    ? undefined
    : `${valueText(value)} is no value of the plugin "${plugin}", which the tag's first value named`;
}

function show(terminal: Terminal, findings: readonly Finding[], runs: number, { json }: LintOptions): void {
  if (json) {
    writeJson(terminal, findings);
    return;
  }
  if (findings.length === 0) {
    terminal.write(`${plural(runs, 'run')}: nothing found\n`);
    return;
  }
  const rows = findings.map(({ run, tag, rule, message }) => [run, tag, rule, message]);
  writeTable(terminal, ['run', 'tag', 'rule', 'found'], rows);
  const found = [...new Set(findings.map(({ rule }) => rule))];
  for (const rule of found) terminal.write(`${styled(terminal, 'dim', `${rule}: ${rules[rule]}`)}\n`);
}

function* check(
  tag: string,
  { count: total, description, firstStep, isOneStep, steps, values }: Curve,
): Generator<Pick<Finding, 'rule' | 'message'>> {
  const isWrong = (value: number) => !Number.isFinite(value) && !isGap(tag, description, value);
  const at = values.findIndex(isWrong);
  if (at >= 0) {
    const count = values.filter(isWrong).length;
    yield { rule: 'not-a-number', message: `${values[at]} at step ${steps[at]}, ${count} of ${values.length} values` };
  }
  if (total > 1 && isOneStep) yield { rule: 'no-step', message: `${total} values at step ${firstStep}` };
  if (tag.startsWith('saturation/')) yield* checkSaturation(steps, values);
  else yield* checkCurve(tag, steps, values);
}

function* checkSaturation(
  steps: readonly number[],
  values: readonly number[],
): Generator<Pick<Finding, 'rule' | 'message'>> {
  const last = values.at(-1) ?? Number.NaN;
  const highest = values.reduce((most, value) => Math.max(most, Number.isNaN(value) ? 0 : value), 0);
  if (last === 0) yield { rule: 'dead-layer', message: `0 at step ${steps.at(-1)}` };
  else if (last < highest / 2 && values.length > 2) {
    yield { rule: 'collapse', message: `${short(last)} at step ${steps.at(-1)}, after ${short(highest)}` };
  }
}

function* checkCurve(
  tag: string,
  steps: readonly number[],
  values: readonly number[],
): Generator<Pick<Finding, 'rule' | 'message'>> {
  const points = values.flatMap((value, i) => (Number.isFinite(value) ? [{ value, step: steps[i] }] : []));
  if (points.length < 10) return;
  const changes = points.slice(1).map(({ value }, i) => Math.abs(value - points[i].value));
  const spikes = points.flatMap((point, i) => {
    const [before, after] = [points[i - 1], points[i + 1]];
    if (before === undefined || after === undefined) return [];
    const [left, right] = [point.value - before.value, point.value - after.value];
    if (!(left * right > 0)) return [];
    const size = Math.min(Math.abs(left), Math.abs(right));
    return isFarAbove(size, changes, Math.max(0, i - neighbors), i + neighbors) ? [point] : [];
  });
  if (spikes.length > 0) {
    const [{ step, value }] = spikes;
    yield {
      rule: 'spike',
      message: `${short(value)} at step ${step}${spikes.length > 1 ? ` and ${spikes.length - 1} more` : ''}`,
    };
  }
  if (!/loss/i.test(tag)) return;
  const range = spread(points.map(({ value }) => value));
  const half = points.slice(points.length >> 1);
  const lately = spread(half.map(({ value }) => value));
  if (range > 0 && lately < range / 1000) {
    yield { rule: 'plateau', message: `${short(half[0].value)} since step ${half[0].step}` };
  }
  const least = points.reduce((a, b) => (b.value < a.value ? b : a));
  const last = points[points.length - 1];
  if (/val/i.test(tag) && last.value - least.value >= range / 10 && range > 0) {
    yield {
      rule: 'rising',
      message: `${short(last.value)} at step ${last.step}, ${short(least.value)} at step ${least.step}`,
    };
  }
}

function spread(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
}

/** Whether a size is more than 20 times the median of `changes[start, end)`, and that is not 0. Counting tells without sorting. */
function isFarAbove(size: number, changes: readonly number[], start: number, end: number): boolean {
  const last = Math.min(end, changes.length);
  const middle = (last - start) >> 1;
  let zeros = 0;
  let small = 0;
  for (let i = start; i < last; i++) {
    if (changes[i] === 0) zeros++;
    if (size > 20 * changes[i]) small++;
  }
  return zeros <= middle && small > middle;
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
