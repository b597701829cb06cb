/** The command `inspect`, and how it words a value. */
import { printable, printableLines } from '../errors.js';
import type { Step, SummaryValue, TensorBoardEvent } from '../event/event.js';
import { type RunSteps, scanRun } from '../reader/shown-points.js';
import { type EachRunOptions, eachRun, type RunReports } from './each-run.js';
import { embeddingsOf, type FoundRun, findAllRuns, inNaturalOrder, tagFilter } from './runs.js';
import { Batch, Complaints, plural, type Terminal, UsageError, writeTable } from './terminal.js';

/** What `inspect` shows of one tag of a run, or of one kind of what has no tag. */
interface TagReport {
  tag: string;
  plugin: string;
  count: number;
  first: Step;
  last: Step;
  /** The last value; in the end those that are no number are words. */
  lastValue: SummaryValue | string;
  /** How many of the values could not be decoded, and why the first of them could not. */
  undecoded?: { count: number; reason: string };
  /** How many of its points TensorBoard hides. */
  hidden: number;
  /** How many times its steps go back. */
  goesBack: number;
}

/** What `inspect` finds in one run. */
interface RunContent extends Pick<RunSteps, 'firstBack' | 'hidden'> {
  tags: TagReport[];
}

/** What `inspect` shows of one run. */
interface RunReport extends RunContent {
  run: string;
}

/** Which values `inspect` counts. */
interface CountOptions {
  /** A regular expression. */
  tags?: string;
  raw?: boolean;
}

/** Options of `inspect`, as typed. */
interface InspectOptions extends CountOptions, EachRunOptions {
  json?: boolean;
  sort?: string;
}

/** The orders of a run's tags; those that are alike in it stay in that of their names. */
const orders: Readonly<Record<string, (one: TagReport, other: TagReport) => number>> = {
  tag: () => 0,
  plugin: (one, other) => inNaturalOrder(one.plugin, other.plugin),
  count: (one, other) => other.count - one.count,
};

/** `inspect`: shows what a logdir holds. Resolves to the exit code, which is 1 if a file is damaged or cannot be read. */
export async function inspect(terminal: Terminal, paths: readonly string[], options: InspectOptions): Promise<number> {
  tagFilter(options.tags); // a pattern that is none is told before anything is read
  const { json, raw, sort = 'tag', tags } = options;
  if (!Object.hasOwn(orders, sort)) {
    throw new UsageError(`--sort: expected ${Object.keys(orders).join(', ')}, got "${sort}"`);
  }
  const complaints = new Complaints(terminal);
  const found: RunReport[] = [];
  const all = await findAllRuns(paths, complaints);
  await eachRun(terminal, all, ['inspect', inspectRun], { raw, tags }, options, complaints, ({ run }, content) => {
    // Of runs without such a tag there is nothing to show.
    if (tags !== undefined && content.tags.length === 0) return;
    found.push({ run, ...content, tags: content.tags.sort(orders[sort]) });
  });
  if (json) writeJson(terminal, found);
  else printTable(terminal, found);
  return complaints.exitCode;
}

/** What is in one run. */
export async function inspectRun(
  { files }: FoundRun,
  { raw, tags: pattern }: CountOptions,
  { complain, read }: RunReports,
): Promise<RunContent> {
  const wanted = tagFilter(pattern);
  // Summaries by tag; and what is none, by its kind and tag: an embedding may have the tag of a scalar.
  const [ofTags, ofOthers] = [new Map<string, TagReport>(), new Map<string, TagReport>()];
  const reportOf = (tag: string, plugin: string, isSummary: boolean): TagReport => {
    const [reports, key] = isSummary ? [ofTags, tag] : [ofOthers, `${plugin}\0${tag}`];
    let report = reports.get(key);
    if (report === undefined) {
      report = { tag, plugin, count: 0, first: 0, last: 0, lastValue: '', hidden: 0, goesBack: 0 };
      reports.set(key, report);
    }
    return report;
  };
  const add = (report: TagReport, step: Step, value: SummaryValue | string) => {
    if (report.count === 0) report.first = step;
    report.count++;
    report.last = step;
    report.lastValue = value;
    if (typeof value !== 'object' || !('undecoded' in value)) return;
    report.undecoded ??= { count: 0, reason: value.undecoded };
    report.undecoded.count++;
  };
  const startOver = () => {
    ofTags.clear();
    ofOthers.clear();
  };
  const reading = { tags: wanted, raw, read, complain, keepsRaw: false, startOver };
  const { firstBack, goesBack, hidden } = await scanRun(files, reading, (event, isShown) => {
    const { summary = [] } = event;
    for (let index = 0; index < summary.length; index++) {
      const { plugin, tag, value } = summary[index];
      const report = reportOf(tag, plugin, true);
      report.plugin = plugin;
      if (isShown(index)) add(report, event.step, value);
      else report.hidden++;
    }
    if (pattern !== undefined || summary.length > 0) return;
    const other = otherThanSummaries(event);
    if (other) add(reportOf(other.tag, other.plugin, false), event.step, other.value);
  });
  for (const { step, tag, tensorPath } of (await embeddingsOf(files, wanted)).entries) {
    add(reportOf(tag, 'projector', false), step, tensorPath ?? 'in a checkpoint');
  }
  const tags = [...ofTags.values(), ...ofOthers.values()].sort(
    (a, b) => inNaturalOrder(a.tag, b.tag) || inNaturalOrder(a.plugin, b.plugin),
  );
  for (const report of tags) {
    if (ofTags.get(report.tag) === report) report.goesBack = goesBack(report.tag);
    if (typeof report.lastValue !== 'number') report.lastValue = valueText(report.lastValue);
  }
  return { tags, firstBack, hidden };
}

/** What an event holds that has no tag of a summary: under which name it is shown, and in how many words. */
function otherThanSummaries({
  graph,
  logMessage,
  metaGraph,
  runMetadata,
  sessionLog,
}: TensorBoardEvent): { tag: string; plugin: string; value: string } | undefined {
  if (graph) return { tag: '', plugin: 'graph', value: plural(graph.length, 'byte') };
  if (metaGraph) return { tag: '', plugin: 'metagraph', value: plural(metaGraph.length, 'byte') };
  if (runMetadata) {
    return { tag: runMetadata.tag, plugin: 'run metadata', value: plural(runMetadata.bytes.length, 'byte') };
  }
  if (logMessage) return { tag: '', plugin: 'log message', value: shorten(logMessage.message) };
  if (sessionLog) {
    const { checkpointPath, message, status } = sessionLog;
    return { tag: '', plugin: `session ${status}`, value: shorten(checkpointPath ?? message ?? '') };
  }
  return undefined;
}

function printTable(terminal: Terminal, runs: RunReport[]): void {
  const hides = runs.some(({ hidden }) => hidden > 0);
  const rows = runs.flatMap(({ run, tags }) =>
    tags.length === 0
      ? [[run, '(no summaries)', '', '0', ...(hides ? ['0'] : []), '', '']]
      : tags.map(({ count, first, hidden, last, lastValue, plugin, tag, undecoded }) => [
          run,
          tag || `(${plugin})`,
          plugin || '(none)',
          String(count),
          ...(hides ? [String(hidden)] : []),
          count === 0 ? '' : first === last ? String(first) : `${first}..${last}`,
          undecoded === undefined || undecoded.count === count
            ? valueText(lastValue)
            : `${valueText(lastValue)} (${undecoded.count} undecoded: ${undecoded.reason})`,
        ]),
  );
  const header = ['run', 'tag', 'plugin', 'count', ...(hides ? ['hidden'] : []), 'steps', 'last'];
  writeTable(terminal, header, rows, ['count', 'hidden']);
  for (const { firstBack, hidden, run } of runs) {
    if (firstBack === undefined) continue;
    const { from, tag, to } = firstBack;
    const points = plural(hidden, 'earlier point');
    const fate = hidden > 0 ? `: ${points} hidden, as in TensorBoard (--raw counts them)` : '';
    const line = `run ${run}: steps go back, first from ${from} to ${to} in ${tag}${fate}`;
    terminal.write(`${printable(line)}\n`);
  }
}

/** Writes what `JSON.stringify(..., undefined, 2)` gives, piece by piece: a text has a greatest length. */
function writeJson(terminal: Terminal, runs: RunReport[]): void {
  const batch = new Batch((text) => terminal.write(text));
  const list = <T>(indent: string, items: readonly T[], write: (item: T) => void) => {
    batch.write('[');
    for (const [index, item] of items.entries()) {
      batch.write(`${index === 0 ? '' : ','}\n${indent}  `);
      write(item);
    }
    batch.write(items.length === 0 ? ']' : `\n${indent}]`);
  };
  list('', runs, ({ run, tags }) => {
    batch.write(`{\n    "run": ${jsonText(run)},\n    "tags": `);
    list('    ', tags, (tag) => batch.write(jsonText(jsonOf(tag)).replaceAll('\n', '\n      ')));
    batch.write('\n  }');
  });
  batch.write('\n');
  batch.flush();
}

function jsonOf({ count, first, goesBack, hidden, last, lastValue, plugin, tag, undecoded }: TagReport): object {
  return {
    tag,
    plugin,
    count,
    firstStep: jsonStep(first),
    lastStep: jsonStep(last),
    last: typeof lastValue === 'number' && Number.isFinite(lastValue) ? lastValue : valueText(lastValue),
    undecoded,
    // Absent if there are none, as almost always.
    ...(hidden > 0 && { hidden }),
    ...(goesBack > 0 && { goesBack }),
  };
}

/** A step as JSON, which has no integers beyond 2^53: those become text. */
function jsonStep(step: Step): number | string {
  return typeof step === 'bigint' ? String(step) : step;
}

/** A value in a few words, for a table. */
export function valueText(value: SummaryValue | string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(Number.isInteger(value) ? value : Number(value.toPrecision(7)));
  if ('buckets' in value) {
    const { buckets } = value;
    let total = 0;
    for (let row = 0; row < buckets.length; row += 3) total += buckets[row + 2];
    if (total === 0) return 'empty';
    return `${total} in [${round(buckets[0])}, ${round(buckets[buckets.length - 2])}]`;
  }
  if ('width' in value) return `${plural(value.encoded.length, 'image')} of ${value.width} x ${value.height}`;
  if ('encoded' in value) return plural(value.encoded.length, 'clip');
  if ('strings' in value) return shorten(value.strings.slice(0, 50).join(' | '));
  if ('mesh' in value) return `${value.content} of ${value.mesh}, [${value.shape.join(', ')}]`;
  if ('layout' in value) return plural(value.layout.categories.length, 'category', 'categories');
  if ('sessionStart' in value && value.sessionStart) {
    const hparams = Object.entries(value.sessionStart.hparams);
    const some = hparams.slice(0, 50).map(([name, hparam]) => `${name}=${hparam}`);
    return shorten(some.join(' '));
  }
  if ('sessionEnd' in value && value.sessionEnd) return value.sessionEnd.status;
  if ('experiment' in value && value.experiment) return plural(value.experiment.hparams.length, 'hyperparameter');
  if ('undecoded' in value) return `undecoded: ${value.undecoded}`;
  return `${value.dtype} [${value.shape.join(', ')}]`;
}

/** JSON with the characters escaped that would command a terminal, which JSON itself allows in texts. */
function jsonText(value: unknown): string {
  return printableLines(JSON.stringify(value, undefined, 2));
}

function round(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function shorten(text: string): string {
  const line = text.slice(0, 1000).replace(/\s+/g, ' ').trim();
  return line.length > 50 ? `${line.slice(0, 47)}...` : line;
}
