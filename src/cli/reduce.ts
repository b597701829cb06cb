/** The command `reduce`: the mean, deviation and range of scalars over several runs of one training. */
import { printable, printableLines } from '../errors.js';
import type { Step } from '../event/event.js';
import { type RunReading, scanRun } from '../reader/shown-points.js';
import { splitInName } from '../reader/split-names.js';
import { type EachRunOptions, eachRun, type RunReports } from './each-run.js';
import { areEqual, PointLog, type TagPoints } from './point-log.js';
import {
  checkNoEvents,
  checkOutside,
  distinctPlaces,
  type FoundRun,
  findRuns,
  folderOfRun,
  tagFilter,
  typedPath,
} from './runs.js';
import { type Column, loadParquet, openTable, type TableFormat, tableFormat, writeJson } from './table.js';
import { Complaints, plural, type Terminal, UsageError } from './terminal.js';

/** Which scalars `reduce` takes. */
interface PointOptions {
  /** A regular expression. */
  tags?: string;
  raw?: boolean;
}

/** Options of `reduce`, as typed. */
interface ReduceOptions extends PointOptions, Pick<EachRunOptions, 'threads'> {
  json?: boolean;
  format?: string;
  lax?: boolean;
  out?: string;
}

/** What the values of a step, which are in order and at least one, are reduced to; NaN is left out before. */
const reductions = {
  mean(values: Float64Array) {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[i];
    return sum / values.length;
  },
  /** Of a sample, as pandas and tensorboard-reducer have it; NaN of a single value. */
  std(values: Float64Array) {
    const mean = reductions.mean(values);
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += (values[i] - mean) ** 2;
    return Math.sqrt(sum / (values.length - 1));
  },
  min: (values: Float64Array) => values[0],
  max: (values: Float64Array) => values[values.length - 1],
  median(values: Float64Array) {
    const middle = values.length >> 1;
    return values.length % 2 === 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  },
} as const;

type Reduction = keyof typeof reductions;
const names = Object.keys(reductions) as Reduction[];

/** By run below each training and by tag: the points of the trainings, by their number. */
type Gathered = Map<string, Map<string, (TagPoints | undefined)[]>>;

/** Rows of numbers. */
interface Rows {
  /** Mean of the trainings' own. */
  readonly wallTimes: Float64Array;
  /** How many values of a step are numbers. */
  readonly counts: Float64Array;
  readonly values: Readonly<Record<Reduction, Float64Array>>;
}

/** What a tag's curves are reduced to: a row for each step, valid until the next tag is reduced. */
interface ReducedTag extends Rows {
  /** The run below each training. */
  readonly run: string;
  readonly tag: string;
  readonly steps: ArrayLike<Step>;
}

/** Takes what is found tag by tag, those of a run one after another. */
interface Sink {
  add(reduced: ReducedTag): void;
  end(): Promise<void> | void;
}

/** `reduce`: resolves to the exit code, which is 1 if a file is damaged or cannot be read. */
export async function reduce(terminal: Terminal, paths: readonly string[], options: ReduceOptions): Promise<number> {
  const { lax = false, raw } = options;
  const isFile = /\.(csv|jsonl?|ndjson|parquet)$/.test(options.out ?? '');
  const asked = options.format ?? (options.out === undefined || isFile ? undefined : 'events');
  // A folder's runs are told as JSON; of a table it is the format.
  const format = asked === 'events' ? 'events' : tableFormat(asked, options.out, options.json);
  if (format === 'events' && options.out === undefined) {
    throw new UsageError('--format events: expected --out <folder> for the runs mean, std, min, max, median and band');
  }
  const parquet = format === 'parquet' ? await loadParquet() : undefined;
  tagFilter(options.tags); // a pattern that is none is told before anything is read
  const complaints = new Complaints(terminal);
  const tell = (message: string) => terminal.writeError(`${printable(message)}\n`);
  const trainings = await trainingsOf(paths, complaints, tell);
  if (trainings.length < 2) {
    throw new UsageError('expected several runs to reduce, got 1 run: their folders, or the folder that holds them');
  }
  const splits = splitsOfOne(trainings.map(({ name }) => name));
  if (splits !== undefined) {
    const words = `"${splits[0]}" and "${splits[1]}" are splits of one training`;
    if (paths.length === 1) {
      throw new UsageError(
        `expected several trainings, or the folder that holds them, got "${paths[0]}", in which ${words}: type the folders of the trainings, as in "reduce runs/seed*", or the runs of one split, as in "reduce runs/*/train"; both splits are reduced together if both are named`,
      );
    }
    terminal.writeError(`${printable(`${words}: their values are reduced together`)}\n`);
  }
  if (format === 'events')
    checkOutside(options.out!, paths, 'the next reduce would take what is written for runs of its own');
  const gathered: Gathered = new Map();
  const all = trainings.flatMap(({ runs }, number) => runs.map(({ run, files }) => ({ run, files, number })));
  const taken: FoundRun[] = all.map(({ run, files }) => ({ run, files: [...files] }));
  const wanted = { tags: options.tags, raw };
  const take = (_: FoundRun, found: TagPoints[], at: number) => {
    const { number, run } = all[at];
    let tags = gathered.get(run);
    if (tags === undefined) gathered.set(run, (tags = new Map()));
    for (const points of found) {
      let curves = tags.get(points.tag);
      if (curves === undefined) tags.set(points.tag, (curves = []));
      curves[number] = points;
    }
  };
  await eachRun(terminal, taken, ['reduce', pointsOfRun], wanted, { threads: options.threads }, complaints, take);
  for (const { name, runs } of trainings) if (runs.length === 0) complaints.add(`${name}: there is no event file`);
  const out = options.out === undefined ? undefined : typedPath(options.out, '--out');
  if (format === 'events') {
    for (const name of [...names, 'band']) {
      for (const run of gathered.keys()) await checkNoEvents(folderOfRun(`${out}/${name}`, run));
    }
  }
  const open = format === 'events' ? await runsInto(out!) : () => tableInto(terminal, format, out, parquet);
  let sink: Sink | undefined;
  let scalars = 0;
  reduceAll(gathered, trainings.length, lax, tell, (reduced) => {
    // Nothing is opened, and nothing overwritten, if nothing is found.
    sink ??= open();
    sink.add(reduced);
    scalars++;
  });
  if (sink === undefined) {
    complaints.add(`no scalar is in all ${trainings.length} runs${lax ? '' : ': --lax takes those that are in some'}`);
    return complaints.exitCode;
  }
  await sink.end();
  if (!options.json && out !== undefined) {
    terminal.write(`${printable(out)}: ${plural(scalars, 'scalar')} of ${trainings.length} runs\n`);
  } else if (format === 'events') writeJson(terminal, [{ out: options.out, scalars, runs: trainings.length }]);
  return complaints.exitCode;
}

/** The scalars of one run. */
export async function pointsOfRun(
  { files }: FoundRun,
  { raw, tags }: PointOptions,
  { complain, read }: RunReports,
): Promise<TagPoints[]> {
  const found = new PointLog();
  const reading: RunReading = {
    tags: tagFilter(tags),
    raw,
    complain,
    read,
    keepsRaw: false,
    startOver: () => found.clear(),
    scalar: ({ step, tag, value, wallTime }) => found.add(tag, step, value, wallTime),
  };
  await scanRun(files, reading, ({ step, summary = [], wallTime }, isShown) => {
    for (let index = 0; index < summary.length; index++) {
      const { tag, value } = summary[index];
      if (typeof value === 'number' && isShown(index)) found.add(tag, step, value, wallTime);
    }
  });
  return found.take();
}

/** A training, and the runs that it wrote, by their names below it. */
interface Training {
  readonly name: string;
  readonly runs: { readonly run: string; readonly files: readonly string[] }[];
}

/** Each path is a training; a single path is the folder that holds them. */
async function trainingsOf(
  paths: readonly string[],
  complaints: Complaints,
  tell: (message: string) => void,
): Promise<Training[]> {
  if (paths.length !== 1) {
    const trainings: Training[] = [];
    for (const path of await distinctPlaces(paths))
      trainings.push({ name: path, runs: await findRuns(path, complaints) });
    return trainings;
  }
  const trainings = new Map<string, Training>();
  for (const { run, files } of await findRuns(paths[0], complaints)) {
    const [name, ...rest] = run.split('/');
    if (name === '.') {
      tell(`${paths[0]}: the files in the folder itself left out: what is reduced are the runs below it`);
      continue;
    }
    let training = trainings.get(name);
    if (training === undefined) trainings.set(name, (training = { name, runs: [] }));
    training.runs.push({ run: rest.length === 0 ? '.' : rest.join('/'), files });
  }
  return [...trainings.values()];
}

/** Two runs whose names differ in the split of the data alone; undefined if there are none. */
function splitsOfOne(names: readonly string[]): [string, string] | undefined {
  const known = new Map<string, string>();
  for (const name of names) {
    const found = splitInName(name);
    if (found === undefined) continue;
    const training = `${found.before}\0${found.behind}`;
    const other = known.get(training);
    if (other !== undefined && other !== name) return [other, name];
    known.set(training, name);
  }
  return undefined;
}

/** A curve whose steps grow. Of several points at a step the last one stays. */
function inOrder(curve: TagPoints): TagPoints {
  const { steps, tag, values, wallTimes } = curve;
  let ordered = 1;
  while (ordered < steps.length && steps[ordered - 1] < steps[ordered]) ordered++;
  if (ordered >= steps.length) return curve;
  const last = new Map<Step, number>();
  for (let at = 0; at < steps.length; at++) last.set(steps[at], at);
  const places = [...last].sort(([a], [b]) => (a < b ? -1 : 1));
  const pick = (column: Float64Array) => Float64Array.from(places, ([, at]) => column[at]);
  return { tag, steps: places.map(([step]) => step), values: pick(values), wallTimes: pick(wallTimes) };
}

/** Reduces each tag of each run. Steps that some trainings lack are left out and told, unless `lax`. */
function reduceAll(
  gathered: Gathered,
  count: number,
  lax: boolean,
  tell: (message: string) => void,
  take: (reduced: ReducedTag) => void,
): void {
  // Those of the tag before, if they are long enough: to touch new memory takes longer than to fill it.
  let rows = newRows(0);
  let repeated = 0;
  for (const [run, tags] of gathered) {
    for (const [tag, all] of tags) {
      const given = all.filter((curve) => curve !== undefined);
      const curves = given.map(inOrder);
      repeated += given.reduce((sum, { steps }, i) => sum + steps.length - curves[i].steps.length, 0);
      // What came first is forgotten, so that memory holds the points once.
      tags.delete(tag);
      const lengths = curves.map(({ steps }) => steps.length);
      const isAny = lax || curves.length < count;
      const most = isAny ? lengths.reduce((sum, length) => sum + length, 0) : Math.min(...lengths);
      if (rows.counts.length < most) rows = newRows(most);
      const { steps, lacking, notNumbers } = reduceCurves(curves, count, lax, rows);
      const where = run === '.' ? tag : `${run}: ${tag}`;
      if (lacking > 0) {
        tell(
          `${where}: left out: ${plural(lacking, 'step')} that not all ${count} runs have; --lax reduces those that have it`,
        );
      }
      if (notNumbers > 0) tell(`${where}: left out: ${plural(notNumbers, 'value')}, NaN`);
      if (steps.length > 0) take({ run, tag, steps, ...rows });
    }
  }
  if (repeated > 0) {
    tell(`${plural(repeated, 'point')} of a run at the step of an earlier one: the last one counts`);
  }
}

function newRows(count: number): Rows {
  const column = () => new Float64Array(count);
  const values = Object.fromEntries(names.map((name) => [name, column()])) as Record<Reduction, Float64Array>;
  return { wallTimes: column(), counts: column(), values };
}

/**
 * Goes along several curves at once, whose steps grow.
 *
 * @param rows what is found is written into them
 */
function reduceCurves(
  curves: readonly TagPoints[],
  count: number,
  lax: boolean,
  rows: Rows,
): { steps: ArrayLike<Step>; lacking: number; notNumbers: number } {
  const numbers = new Float64Array(curves.length);
  const columns = names.map((name) => [reductions[name], rows.values[name]] as const);
  let [row, notNumbers] = [0, 0];
  /** Adds a row of those of the numbers that are valid. */
  const addRow = (valid: number, there: number, wallTime: number) => {
    notNumbers += there - valid;
    const some = inAscendingOrder(valid === numbers.length ? numbers : numbers.subarray(0, valid));
    for (const [reduction, column] of columns) column[row] = valid === 0 ? Number.NaN : reduction(some);
    rows.wallTimes[row] = wallTime / there;
    rows.counts[row++] = valid;
  };

  const [{ steps }] = curves;
  if (curves.every((curve) => areEqual(curve.steps, steps))) {
    if (curves.length < count && !lax) return { steps: [], lacking: steps.length, notNumbers };
    const [values, wallTimes] = [curves.map((curve) => curve.values), curves.map((curve) => curve.wallTimes)];
    for (let at = 0; at < steps.length; at++) {
      let [valid, wallTime] = [0, 0];
      for (let i = 0; i < values.length; i++) {
        const value = values[i][at];
        if (!Number.isNaN(value)) numbers[valid++] = value;
        wallTime += wallTimes[i][at];
      }
      addRow(valid, values.length, wallTime);
    }
    return { steps, lacking: 0, notNumbers };
  }

  const found: Step[] = [];
  const at = new Int32Array(curves.length);
  let lacking = 0;
  while (true) {
    let step: Step | undefined;
    for (let i = 0; i < curves.length; i++) {
      const { steps } = curves[i];
      if (at[i] < steps.length && (step === undefined || steps[at[i]] < step)) step = steps[at[i]];
    }
    if (step === undefined) break;
    let [there, valid, wallTime] = [0, 0, 0];
    for (let i = 0; i < curves.length; i++) {
      const curve = curves[i];
      if (curve.steps[at[i]] !== step) continue;
      const value = curve.values[at[i]];
      if (!Number.isNaN(value)) numbers[valid++] = value;
      wallTime += curve.wallTimes[at[i]++];
      there++;
    }
    if (there < count && !lax) {
      lacking++;
      continue;
    }
    found.push(step);
    addRow(valid, there, wallTime);
  }
  return { steps: found, lacking, notNumbers };
}

/** More values than this are sorted by the engine, whose way into a sort takes longer than that of few. */
const fewValues = 24;

/** Sorts numbers where they are, -0 before 0 as the engine does. */
function inAscendingOrder(values: Float64Array): Float64Array {
  if (values.length > fewValues) return values.sort();
  for (let i = 1; i < values.length; i++) {
    const value = values[i];
    let at = i;
    for (; at > 0; at--) {
      const before = values[at - 1];
      if (!(before > value || (before === 0 && value === 0 && Object.is(value, -0)))) break;
      values[at] = before;
    }
    values[at] = value;
  }
  return values;
}

const columns: readonly Column[] = [
  { name: 'run', type: 'text' },
  { name: 'tag', type: 'text' },
  { name: 'step', type: 'step' },
  ...['wall_time', 'count', ...names].map((name): Column => ({ name, type: 'number' })),
];

/** Writes a table. @param out the file; standard output without it */
function tableInto(
  terminal: Terminal,
  format: TableFormat,
  out: string | undefined,
  parquet: Awaited<ReturnType<typeof loadParquet>> | undefined,
): Sink {
  const file = out === undefined ? undefined : terminal.createFile(out);
  const write = (content: string | Uint8Array) =>
    file === undefined ? terminal.write(printableLines(content as string)) : file.write(content);
  const table = openTable(format, columns, write, { parquet });
  return {
    add({ counts, run, steps, tag, values, wallTimes }) {
      const numbers = [steps, wallTimes, counts, ...names.map((name) => values[name])];
      table.addNumbers([run, tag], numbers, steps.length, (row) => ({
        run,
        tag,
        step: steps[row],
        wallTime: wallTimes[row],
        count: counts[row],
        ...Object.fromEntries(names.map((name) => [name, values[name][row]])),
      }));
    },
    end() {
      table.end();
      file?.close();
    },
  };
}

type Chart = { title: string; margin: { value: string; lower: string; upper: string }[] };

/**
 * Writes a run for each reduction, whose tags are those of the trainings, so that TensorBoard draws them over each other; and a run
 * `band` with margin charts of mean, least and greatest value on its custom scalars page.
 */
async function runsInto(out: string): Promise<() => Sink> {
  const { SummaryWriter } = await import('../writer/summary-writer.js');
  return () => {
    const root = new SummaryWriter(out);
    const begin = (run: string) => {
      const below = (name: string) => root.run(folderOfRun(name, run));
      return { run, writers: names.map((name) => [name, below(name)] as const), band: below('band') };
    };
    const charts = new Map<string, Chart[]>();
    let current: ReturnType<typeof begin> | undefined;
    const endRun = () => {
      current?.band.addCustomScalars({ categories: [...charts].map(([title, some]) => ({ title, charts: some })) });
      charts.clear();
    };
    return {
      add({ run, steps, tag, values, wallTimes }) {
        if (current?.run !== run) {
          endRun();
          current = begin(run);
        }
        const { band, writers } = current;
        const [category] = tag.includes('/') ? tag.split('/') : ['scalars'];
        const margin = [{ value: `mean/${tag}`, lower: `min/${tag}`, upper: `max/${tag}` }];
        charts.set(category, [...(charts.get(category) ?? []), { title: tag, margin }]);
        for (let row = 0; row < steps.length; row++) {
          const [step, wallTime] = [steps[row], wallTimes[row]];
          for (const [name, writer] of writers) writer.addScalar(tag, values[name][row], step, { wallTime });
          for (const name of ['mean', 'min', 'max'] as const)
            band.addScalar(`${name}/${tag}`, values[name][row], step, { wallTime });
        }
      },
      async end() {
        endRun();
        await root.close();
      },
    };
  };
}
