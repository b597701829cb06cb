/** The command `watch`: losses and saturation in the terminal while a network trains. */
import { messageOf, printable } from '../errors.js';
import type { Step, TensorBoardEvent } from '../event/event.js';
import { scanRun } from '../reader/shown-points.js';
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

/** The values of a tag, thinned as they grow. */
class Series {
  readonly values: number[] = [];
  last = Number.NaN;
  #every = 1;
  #count = 0;

  add(value: number): void {
    this.last = value;
    if (this.#count++ % this.#every !== 0) return;
    this.values.push(value);
    if (this.values.length < most) return;
    for (let i = 0; i < most; i += 2) this.values[i >> 1] = this.values[i];
    this.values.length = most >> 1;
    this.#every *= 2;
  }

  /** A line of so many characters from the first value to the last; what is not a number is a gap. */
  sparkline(width: number): string {
    const shown = [...this.values, this.last];
    const finite = shown.filter(Number.isFinite);
    const [low, high] = [Math.min(...finite), Math.max(...finite)];
    const columns = Math.min(width, shown.length);
    return Array.from({ length: columns }, (_, column) => {
      const value = shown[Math.floor(((column + 1) * shown.length) / columns) - 1];
      if (!Number.isFinite(value)) return '·';
      return bars[high > low ? Math.round(((value - low) / (high - low)) * (bars.length - 1)) : 3];
    }).join('');
  }
}

/** What is known of a run. */
class WatchedRun {
  readonly scalars = new Map<string, Series>();
  /** The highest so far; a bigint beyond 2^53. Undefined before the first scalar. */
  step: Step | undefined;
  /** Whether values have come since they were last shown as JSON. */
  isNew = true;

  add({ step, summary }: TensorBoardEvent): boolean {
    let isNew = false;
    for (const { tag, value } of summary ?? []) {
      if (typeof value !== 'number') continue;
      let series = this.scalars.get(tag);
      if (series === undefined) this.scalars.set(tag, (series = new Series()));
      series.add(value);
      if (this.step === undefined || step > this.step) this.step = step;
      isNew = true;
      this.isNew = true;
    }
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
      await scanRun(files, { tags: isWanted, raw: true, complain: (message) => complaints.add(message) }, (event) => {
        watched.add(event);
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
