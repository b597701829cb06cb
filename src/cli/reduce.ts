/** The command `reduce`: the mean, deviation and range of scalars over several runs of one training. */
import { printable, printableLines } from '../errors.js';
import type { Step } from '../event/event.js';
import { scanRun } from '../reader/shown-points.js';
import { SummaryWriter } from '../writer/summary-writer.js';
import { type EachRunOptions, eachRun, type RunReports } from './each-run.js';
import { type FoundRun, findRuns, tagFilter, typedPath } from './runs.js';
import { type Column, loadParquet, openTable, type Table, tableFormat, writeJson } from './table.js';
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
    for (const value of values) sum += value;
    return sum / values.length;
  },
  /** Of a sample, as pandas and tensorboard-reducer have it; NaN of a single value. */
  std(values: Float64Array) {
    const mean = reductions.mean(values);
    let sum = 0;
    for (const value of values) sum += (value - mean) ** 2;
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

/** A step of all trainings. */
interface ReducedStep {
  readonly step: Step;
  /** Mean of the trainings' own. */
  readonly wallTime: number;
  readonly count: number;
  readonly values: Readonly<Record<Reduction, number>>;
}

/** `reduce`: resolves to the exit code, which is 1 if a file is damaged or cannot be read. */
export async function reduce(terminal: Terminal, paths: readonly string[], options: ReduceOptions): Promise<number> {
  const { lax = false, raw } = options;
  const isFile = /\.(csv|jsonl?|ndjson|parquet)$/.test(options.out ?? '');
  // A folder's runs are told as JSON; without one, or into a file, the table itself is.
  const isTable = options.out === undefined ? options.json : isFile;
  const asked = options.format ?? (!isTable ? 'events' : options.json ? 'json' : undefined);
  const format = asked === 'events' ? 'events' : tableFormat(asked, options.out);
  if (format === 'events' && options.out === undefined) {
    throw new UsageError('expected --out <folder> for the runs mean, std, min, max, median and band, or --format csv');
  }
  const parquet = format === 'parquet' ? await loadParquet() : undefined;
  tagFilter(options.tags); // a pattern that is none is told before anything is read
  const complaints = new Complaints(terminal);
  const trainings = await trainingsOf(paths, complaints);
  if (trainings.length < 2) {
    throw new UsageError(
      `expected several runs to reduce, got ${plural(trainings.length, 'run')}: their folders, or the folder that holds them`,
    );
  }
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
  const tell = (message: string) => terminal.writeError(`${printable(message)}\n`);
  const reduced = reduceAll(gathered, trainings.length, lax, tell);
  if (reduced.size === 0) {
    complaints.add(`no scalar is in all ${trainings.length} runs${lax ? '' : ': --lax takes those that are in some'}`);
    return complaints.exitCode;
  }
  const scalars = [...reduced.values()].reduce((sum, each) => sum + each.size, 0);
  if (format !== 'events') {
    const out = options.out === undefined ? undefined : typedPath(options.out, '--out');
    const file = out === undefined ? undefined : terminal.createFile(out);
    const write = (content: string | Uint8Array) =>
      file === undefined ? terminal.write(printableLines(content as string)) : file.write(content);
    writeTable(openTable(format, columns, write, { parquet }), reduced);
    file?.close();
    if (out !== undefined && !options.json) {
      terminal.write(`${printable(out)}: ${plural(scalars, 'scalar')} of ${trainings.length} runs\n`);
    }
  } else {
    await writeRuns(typedPath(options.out!, '--out'), reduced);
    if (options.json) writeJson(terminal, [{ out: options.out, scalars, runs: trainings.length }]);
    else terminal.write(`${printable(options.out!)}: ${plural(scalars, 'scalar')} of ${trainings.length} runs\n`);
  }
  return complaints.exitCode;
}

/** The scalars of a tag that are shown, in the order of the files. */
interface TagPoints {
  readonly tag: string;
  readonly steps: Step[];
  readonly values: number[];
  readonly wallTimes: number[];
}

/** The scalars of one run. */
export async function pointsOfRun(
  { files }: FoundRun,
  { raw, tags }: PointOptions,
  { complain, read }: RunReports,
): Promise<TagPoints[]> {
  const found = new Map<string, TagPoints>();
  const reading = {
    ...{ tags: tagFilter(tags), raw, complain, read },
    keepsRaw: false,
    startOver: () => found.clear(),
  };
  await scanRun(files, reading, ({ step, summary = [], wallTime }, isShown) => {
    for (let index = 0; index < summary.length; index++) {
      const { tag, value } = summary[index];
      if (typeof value !== 'number' || !isShown(index)) continue;
      let points = found.get(tag);
      if (points === undefined) found.set(tag, (points = { tag, steps: [], values: [], wallTimes: [] }));
      points.steps.push(step);
      points.values.push(value);
      points.wallTimes.push(wallTime);
    }
  });
  return [...found.values()];
}

/** A training, and the runs that it wrote, by their names below it. */
interface Training {
  readonly name: string;
  readonly runs: { readonly run: string; readonly files: readonly string[] }[];
}

/** Each path is a training; a single path is the folder that holds them. */
async function trainingsOf(paths: readonly string[], complaints: Complaints): Promise<Training[]> {
  if (paths.length !== 1) {
    const trainings: Training[] = [];
    for (const path of paths) trainings.push({ name: path, runs: await findRuns(path, complaints) });
    return trainings;
  }
  const trainings = new Map<string, Training>();
  for (const { run, files } of await findRuns(paths[0], complaints)) {
    const [name, ...rest] = run.split('/');
    if (name === '.') continue;
    let training = trainings.get(name);
    if (training === undefined) trainings.set(name, (training = { name, runs: [] }));
    training.runs.push({ run: rest.length === 0 ? '.' : rest.join('/'), files });
  }
  return [...trainings.values()];
}

/** A curve whose steps grow. Of several points at a step the last one stays. */
function inOrder(curve: TagPoints): TagPoints {
  const { steps, tag, values, wallTimes } = curve;
  if (steps.every((step, at) => at === 0 || steps[at - 1] < step)) return curve;
  const places = [...new Map(steps.map((step, at) => [step, at]))].sort(([a], [b]) => (a < b ? -1 : 1));
  const pick = <T>(all: readonly T[]) => places.map(([, at]) => all[at]);
  return { tag, steps: pick(steps), values: pick(values), wallTimes: pick(wallTimes) };
}

/** The steps of each tag of each run. Those that some trainings lack are left out and told, unless `lax`. */
function reduceAll(
  gathered: Gathered,
  count: number,
  lax: boolean,
  tell: (message: string) => void,
): Map<string, Map<string, ReducedStep[]>> {
  const reduced = new Map<string, Map<string, ReducedStep[]>>();
  let repeated = 0;
  for (const [run, tags] of gathered) {
    for (const [tag, all] of tags) {
      const given = all.filter((curve) => curve !== undefined);
      const curves = given.map(inOrder);
      repeated += given.reduce((sum, { steps }, i) => sum + steps.length - curves[i].steps.length, 0);
      const { found, lacking, notNumbers } = reduceCurves(curves, count, lax);
      // What came first is forgotten, so that memory holds the points once.
      tags.delete(tag);
      const where = run === '.' ? tag : `${run}: ${tag}`;
      if (lacking > 0) {
        tell(
          `${where}: ${plural(lacking, 'step')} that not all ${count} runs have left out; --lax reduces those that have it`,
        );
      }
      if (notNumbers > 0) tell(`${where}: ${plural(notNumbers, 'value')} that is not a number left out`);
      if (found.length === 0) continue;
      let known = reduced.get(run);
      if (known === undefined) reduced.set(run, (known = new Map()));
      known.set(tag, found);
    }
  }
  if (repeated > 0) {
    tell(`${plural(repeated, 'point')} of a run at the step of an earlier one: the last one counts`);
  }
  return reduced;
}

/** Goes along several curves at once, whose steps grow. */
function reduceCurves(
  curves: readonly TagPoints[],
  count: number,
  lax: boolean,
): { found: ReducedStep[]; lacking: number; notNumbers: number } {
  const found: ReducedStep[] = [];
  const at = curves.map(() => 0);
  const numbers = new Float64Array(curves.length);
  let [lacking, notNumbers] = [0, 0];
  while (true) {
    let step: Step | undefined;
    for (const [i, { steps }] of curves.entries()) {
      if (at[i] < steps.length && (step === undefined || steps[at[i]] < step)) step = steps[at[i]];
    }
    if (step === undefined) return { found, lacking, notNumbers };
    let [there, valid, wallTimes] = [0, 0, 0];
    for (const [i, curve] of curves.entries()) {
      if (curve.steps[at[i]] !== step) continue;
      const value = curve.values[at[i]];
      if (!Number.isNaN(value)) numbers[valid++] = value;
      wallTimes += curve.wallTimes[at[i]++];
      there++;
    }
    if (there < count && !lax) {
      lacking++;
      continue;
    }
    notNumbers += there - valid;
    const some = numbers.subarray(0, valid).sort();
    const values = {} as Record<Reduction, number>;
    for (const name of names) values[name] = valid === 0 ? Number.NaN : reductions[name](some);
    found.push({ step, wallTime: wallTimes / there, count: valid, values });
  }
}

const columns: readonly Column[] = [
  { name: 'run', type: 'text' },
  { name: 'tag', type: 'text' },
  { name: 'step', type: 'step' },
  ...['wall_time', 'count', ...names].map((name): Column => ({ name, type: 'number' })),
];

function writeTable(table: Table, reduced: ReadonlyMap<string, ReadonlyMap<string, readonly ReducedStep[]>>): void {
  for (const [run, tags] of reduced) {
    for (const [tag, steps] of tags) {
      for (const { step, wallTime, count, values } of steps) {
        const row = [run, tag, step, wallTime, count, ...names.map((name) => values[name])];
        table.add([row], { run, tag, step, wallTime, count, ...values });
      }
    }
  }
  table.end();
}

/**
 * Writes a run for each reduction, whose tags are those of the trainings, so that TensorBoard draws them over each other; and a run
 * `band` with margin charts of mean, least and greatest value on its custom scalars page.
 */
async function writeRuns(
  out: string,
  reduced: ReadonlyMap<string, ReadonlyMap<string, readonly ReducedStep[]>>,
): Promise<void> {
  const root = new SummaryWriter(out);
  const below = (run: string, name: string) => root.run(run === '.' ? name : `${name}/${run}`);
  for (const [run, tags] of reduced) {
    const writers = names.map((name) => [name, below(run, name)] as const);
    const band = below(run, 'band');
    const charts = new Map<string, { title: string; margin: { value: string; lower: string; upper: string }[] }[]>();
    for (const [tag, steps] of tags) {
      const [category] = tag.includes('/') ? tag.split('/') : ['scalars'];
      const margin = [{ value: `mean/${tag}`, lower: `min/${tag}`, upper: `max/${tag}` }];
      charts.set(category, [...(charts.get(category) ?? []), { title: tag, margin }]);
      for (const { step, wallTime, values } of steps) {
        for (const [name, writer] of writers) writer.addScalar(tag, values[name], step, { wallTime });
        for (const name of ['mean', 'min', 'max'] as const)
          band.addScalar(`${name}/${tag}`, values[name], step, { wallTime });
      }
    }
    band.addCustomScalars({ categories: [...charts].map(([title, some]) => ({ title, charts: some })) });
  }
  await root.close();
}
