/** The command `watch`: losses and saturation in the terminal while a network trains. */
import { messageOf, printable } from '../errors.js';
import type { Step, TensorBoardEvent } from '../event/event.js';
import { Restarts, scanRun } from '../reader/shown-points.js';
import { findRuns, followRuns, pause, tagFilter, typedSource } from './runs.js';
import { writeJsonLine } from './table.js';
import { Complaints, cut, Picture, plural, styled, type Terminal } from './terminal.js';

/** Options of `watch`, as typed. */
interface WatchOptions {
  json?: boolean;
  once?: boolean;
  tags?: string;
}

/** How often the folder is looked at for new runs, and the picture is drawn if it has changed, in milliseconds. */
const lookEvery = 1000;
/** So many values of a tag are kept, evenly over its steps. */
const most = 256;
/** Tags that are shown first, if there is no room for all. */
const telling = /loss|acc|error|metric|lr$|learning/i;
const bars = '▁▂▃▄▅▆▇█';

/** The points of a tag that TensorBoard shows, thinned as they grow. */
class Series {
  #steps: Step[] = [];
  #values: number[] = [];
  #every = 1;
  #count = 0;
  /** The last value, and its step. */
  last = Number.NaN;
  lastStep: Step = 0;

  /** Adds a point, which hides those at its step and later. */
  add(step: Step, value: number): void {
    if (this.#count > 0 && step <= this.lastStep) this.hideFrom(step);
    this.last = value;
    this.lastStep = step;
    if (this.#count++ % this.#every !== 0) return;
    this.#steps.push(step);
    this.#values.push(value);
    if (this.#values.length < most) return;
    this.#steps = this.#steps.filter((_, i) => i % 2 === 0);
    this.#values = this.#values.filter((_, i) => i % 2 === 0);
    this.#every *= 2;
  }

  /** Forgets the points from a step on; of many that are left, the last one may be one that was left out when they were thinned. */
  hideFrom(step: Step): void {
    if (this.#count === 0 || this.lastStep < step) return;
    const first = this.#steps.findIndex((each) => each >= step);
    const kept = first < 0 ? this.#steps.length : first;
    this.#steps.length = kept;
    this.#values.length = kept;
    this.#count = kept * this.#every;
    this.last = this.#values.at(-1) ?? Number.NaN;
    this.lastStep = this.#steps.at(-1) ?? 0;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /**
   * A line of at most so many characters from the first value to the last. Each value is in one of them, which shows the mean of its
   * values; with one that is not a number it is a gap.
   */
  sparkline(width: number): string {
    const isLastKept = this.#steps.at(-1) === this.lastStep;
    const values = isLastKept ? this.#values : [...this.#values, this.last];
    const count = Math.min(width, values.length);
    const columns = Array.from({ length: count }, (_, column) => {
      const from = Math.floor((column * values.length) / count);
      const to = Math.floor(((column + 1) * values.length) / count);
      // Divided before they are added, as the sum may be too large for a number.
      return values.slice(from, to).reduce((sum, value) => sum + value / (to - from), 0);
    });
    const finite = columns.filter(Number.isFinite);
    const low = Math.min(...finite);
    const range = Math.max(...finite) / 2 - low / 2;
    const heightOf = (value: number) =>
      range > 0 ? Math.round(((value / 2 - low / 2) / range) * (bars.length - 1)) : 3;
    return columns.map((value) => (Number.isFinite(value) ? bars[heightOf(value)] : '·')).join('');
  }
}

/** What is known of a run. */
class WatchedRun {
  readonly scalars = new Map<string, Series>();
  readonly #restarts = new Restarts();
  /** Whether values have come since they were last shown as JSON. */
  isNew = true;

  /** The highest step of a point that is shown; a bigint beyond 2^53. */
  get step(): Step {
    let highest: Step | undefined;
    for (const { lastStep } of this.scalars.values()) {
      if (highest === undefined || lastStep > highest) highest = lastStep;
    }
    return highest ?? 0;
  }

  /** Adds an event, those of a run in order. Returns whether something of it is seen. */
  add(event: TensorBoardEvent, isShown: (index: number) => boolean = () => true): boolean {
    let isNew = false;
    const restart = this.#restarts.add(event);
    if (restart !== undefined) {
      for (const [tag, series] of this.scalars) {
        const { last, lastStep } = series;
        series.hideFrom(restart);
        if (series.isEmpty) this.scalars.delete(tag);
        isNew ||= series.last !== last || series.lastStep !== lastStep;
      }
    }
    for (const [index, { tag, value }] of (event.summary ?? []).entries()) {
      if (typeof value !== 'number' || !isShown(index)) continue;
      let series = this.scalars.get(tag);
      if (series === undefined) this.scalars.set(tag, (series = new Series()));
      series.add(event.step, value);
      isNew = true;
    }
    this.isNew ||= isNew;
    return isNew;
  }
}

/** `watch`: draws until the program is told to end; once, if the output is no terminal. Resolves to the exit code. */
export async function watch(terminal: Terminal, path: string | undefined, options: WatchOptions): Promise<number> {
  const complaints = new Complaints(terminal);
  const isWanted = tagFilter(options.tags);
  const runs = new Map<string, WatchedRun>();
  const { size } = terminal;
  if (options.once === true || (size() === undefined && !options.json)) {
    for (const { run, files } of await findRuns(path, complaints)) {
      const watched = new WatchedRun();
      // The files of a run are read together: the first one may say what the tags of all are.
      await scanRun(files, { tags: isWanted, complain: (message) => complaints.add(message) }, (event, isShown) => {
        watched.add(event, isShown);
      });
      runs.set(run, watched);
    }
    if (options.json) writeRecords(terminal, runs);
    else
      terminal.write(
        `${frameOf(terminal, path ?? '', runs, size() ?? { columns: 80, rows: Number.POSITIVE_INFINITY }).join('\n')}\n`,
      );
    return complaints.exitCode;
  }
  // A wrong path is told before the picture is drawn.
  await findRuns(path, complaints).catch((error) => {
    if (!messageOf(error).startsWith('there is no event file')) throw error;
  });
  const folder = typedSource(path ?? '');
  const stop = new AbortController();
  const picture = new Picture(terminal, options.json);
  let isStale = true;
  const look = followRuns(folder, isWanted, stop.signal, {
    begin(run) {
      runs.set(run, new WatchedRun());
      isStale = true;
    },
    take(run, event) {
      if (runs.get(run)?.add(event)) isStale = true;
    },
    complain: (message) => picture.say(message),
  });
  const ended = terminal.ended();
  try {
    for (let isDone = false; !isDone; ) {
      await look();
      const now = size();
      if (options.json) writeRecords(terminal, runs);
      else if (isStale && now !== undefined) picture.draw(frameOf(terminal, folder, runs, now));
      isStale = false;
      isDone = await Promise.race([ended.then(() => true), pause(lookEvery)]);
    }
  } finally {
    stop.abort();
    picture.end();
  }
  return 0;
}

/** A line for each run of which values have come: its last step, and the last value of each scalar. */
function writeRecords(terminal: Terminal, runs: ReadonlyMap<string, WatchedRun>): void {
  for (const [run, watched] of runs) {
    if (!watched.isNew || watched.scalars.size === 0) continue;
    watched.isNew = false;
    const last = [...watched.scalars].map(([tag, series]) => [tag, series.last]);
    writeJsonLine(terminal, { run, step: watched.step, scalars: Object.fromEntries(last) });
  }
}

/** The lines of a picture that fits into the terminal. */
function frameOf(
  terminal: Terminal,
  path: string,
  runs: ReadonlyMap<string, WatchedRun>,
  { columns, rows }: { columns: number; rows: number },
): string[] {
  const shown = [...runs].filter(([, { scalars }]) => scalars.size > 0);
  const lines = [styled(terminal, 'bold', cut(`${printable(path)}: ${plural(runs.size, 'run')}`, columns))];
  if (shown.length === 0) return [...lines, 'no scalars yet'];
  // Each run has as much room as the others; at least one line of values.
  const room = Math.max(2, Math.floor((rows - 2) / shown.length));
  for (const [run, watched] of shown) lines.push(...runLines(terminal, run, watched, room, columns));
  if (lines.length < rows - 1) return lines;
  return [...lines.slice(0, rows - 2), `… and ${plural(lines.length - rows + 2, 'line')} more`];
}

function runLines(
  terminal: Terminal,
  run: string,
  { scalars, step }: WatchedRun,
  room: number,
  columns: number,
): string[] {
  const saturation = [...scalars].filter(([tag]) => tag.startsWith('saturation/'));
  const others = [...scalars].filter(([tag]) => !/^(saturation|intrinsic-dimensionality)[^/]*\//.test(tag));
  others.sort(([a], [b]) => Number(telling.test(b)) - Number(telling.test(a)));
  const forOthers = Math.min(
    others.length,
    saturation.length === 0 ? room - 1 : Math.max(1, Math.floor((room - 1) / 3)),
  );
  const forLayers = Math.min(saturation.length, Math.max(0, room - 1 - forOthers));
  const picked = others.slice(0, forOthers);
  const layers = saturation.slice(0, forLayers);
  const names = [...picked.map(([tag]) => tag), ...layers.map(([tag]) => tag.slice('saturation/'.length))];
  const width = Math.min(Math.max(...names.map((name) => printable(name).length), 0), Math.floor(columns / 3));
  const label = (name: string) => cut(printable(name), width).padEnd(width);
  const chart = Math.max(4, Math.min(60, columns - width - 14));
  const hidden = others.length - picked.length + saturation.length - layers.length;
  const more = hidden > 0 ? `, ${hidden} more` : '';
  return [
    cut(`${styled(terminal, 'bold', printable(run))}  step ${step}${more}`, columns + 10),
    ...picked.map(([tag, series]) => `  ${label(tag)} ${shortNumber(series.last)} ${series.sparkline(chart)}`),
    ...layers.map(([tag, { last }]) => {
      const filled = Number.isFinite(last) ? Math.round(Math.min(1, Math.max(0, last)) * chart) : 0;
      const bar = `${'█'.repeat(filled)}${styled(terminal, 'dim', '░'.repeat(chart - filled))}`;
      return `  ${label(tag.slice('saturation/'.length))} ${shortNumber(last)} ${bar}`;
    }),
  ];
}

/** A number in eight characters. */
function shortNumber(value: number): string {
  const text = Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
  return (text.length > 8 ? value.toExponential(1) : text).padStart(8);
}
