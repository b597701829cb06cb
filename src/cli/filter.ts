/**
 * The commands `filter`, a copy of a logdir with some of its runs, tags and steps, under other names, in one file for each run, and
 * `merge`, a copy of several logdirs as one.
 */

import { files as fileSystem } from '#platform';
import { decodeMessage, encodeMessage } from '../encoding/message-codec.js';
import { messageOf, printable } from '../errors.js';
import type { DecodedSummary, Step, TensorBoardEvent } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { scanRun } from '../reader/shown-points.js';
import { SummaryWriter } from '../writer/summary-writer.js';
import {
  checkNoEvents,
  distinctPlaces,
  type FoundRun,
  findRuns,
  folderOfRun,
  noteEmbeddings,
  tagFilter,
  typedPath,
} from './runs.js';
import { Complaints, plural, type Terminal, UsageError } from './terminal.js';

/** Options of `filter`, as typed. */
interface FilterOptions {
  out?: string;
  raw?: boolean;
  rename?: string;
  runs?: string;
  steps?: string;
  tags?: string;
}

/** `filter`: resolves to the exit code, which is 1 if a file is damaged or cannot be read, or an event cannot be copied. */
export async function filter(terminal: Terminal, path: string | undefined, options: FilterOptions): Promise<number> {
  if (options.out === undefined) throw new UsageError('expected --out <folder> for the copy');
  const isRun = tagFilter(options.runs, '--runs');
  const complaints = new Complaints(terminal);
  const wanted = (await findRuns(path, complaints)).filter(({ run }) => isRun(run));
  return copyRuns(terminal, wanted, options.out, options, complaints);
}

/**
 * `merge`: resolves to the exit code, as of `filter`. Runs of one name become one, as if their files were in one folder, those of the
 * first logdir first.
 */
export async function merge(terminal: Terminal, paths: readonly string[], { out }: { out?: string }): Promise<number> {
  if (out === undefined) throw new UsageError('expected --out <folder> for the runs of all logdirs');
  const places = await distinctPlaces(paths);
  if (places.length < 2) {
    const same = paths.length > 1 ? `: ${paths.map((path) => `"${path}"`).join(' and ')} are one place` : '';
    throw new UsageError(`expected several logdirs to merge, got ${places.length}${same}`);
  }
  const complaints = new Complaints(terminal);
  const merged = new Map<string, CopiedRun>();
  for (const path of places) {
    for (const { run, files } of await findRuns(path, complaints)) {
      const parts = [...(merged.get(run)?.parts ?? []), files];
      merged.set(run, { run, files: parts.flat(), parts });
    }
  }
  return copyRuns(terminal, [...merged.values()], out, {}, complaints);
}

/** A run to be copied. */
interface CopiedRun extends FoundRun {
  /** Its files by logdir, if there are several. */
  readonly parts?: readonly FoundRun['files'][];
}

/** Copies runs, each into one file. */
async function copyRuns(
  terminal: Terminal,
  wanted: readonly CopiedRun[],
  typedOut: string,
  options: FilterOptions,
  complaints: Complaints,
): Promise<number> {
  const out = typedPath(typedOut, '--out');
  const isTag = tagFilter(options.tags);
  const steps = stepsOf(options.steps);
  const rename = renamingOf(options.rename);
  const isCopy = [options.tags, options.runs, options.steps].every((choice) => choice === undefined);
  // What hides points may stand at a step that is not wanted: in a copy without it they would be back.
  const isShownOnly = options.steps !== undefined && !options.raw;
  const tell = (message: string) => terminal.writeError(`${printable(message)}\n`);
  let [runs, summaries] = [0, 0];
  for (const { run, files } of wanted) {
    const target = folderOfRun(out, run);
    if (files.some((file) => fileSystem?.resolve(file.replace(/[/\\][^/\\]*$/, '')) === fileSystem?.resolve(target))) {
      throw new UsageError('--out: expected another folder than that of the files, which stay as they are');
    }
    await checkNoEvents(target);
  }
  for (const { run, files, parts = [] } of wanted) {
    const complain = (message: string) => complaints.add(message);
    const copy = new RunCopy(folderOfRun(out, run), steps, rename, (left) => complain(`run "${run}", ${left}`));
    if (isCopy) copy.begin();
    const reading = {
      tags: isTag,
      complain,
      // Once, where nothing has to be known of what is hidden.
      ...(!isShownOnly && parts.length < 2 && { raw: true, startOver: () => {} }),
    };
    const { hidden } = await scanRun(files, reading, (event, isShown) => {
      copy.add(event, isShownOnly ? isShown : () => true);
    });
    if (hidden > 0 && isShownOnly) {
      tell(
        `run "${run}": ${plural(hidden, 'point')} left out that TensorBoard hides behind later ones: --raw copies all`,
      );
    } else if (hidden > 0) {
      const more = hidden - (await hiddenIn(parts));
      const others = 'as in one folder; another order of the logdirs hides others';
      if (more > 0) tell(`run "${run}": ${plural(more, 'point')} hidden behind those of a later logdir, ${others}`);
    }
    await noteEmbeddings(terminal, run, files, isTag);
    if (await copy.close()) runs++;
    summaries += copy.summaries;
  }
  if (runs === 0) complaints.add('nothing in these runs is wanted: no file is written');
  terminal.write(`${printable(typedOut)}: ${plural(runs, 'run')}, ${plural(summaries, 'value')}\n`);
  return complaints.exitCode;
}

/** How many points are hidden in the parts of a run, each by itself. */
async function hiddenIn(parts: readonly FoundRun['files'][]): Promise<number> {
  let all = 0;
  for (const files of parts) {
    const { hidden } = await scanRun(files, { complain: () => {}, keepsRaw: false }, () => {});
    all += hidden;
  }
  return all;
}

/** The copy of one run. */
class RunCopy {
  /** How many have been copied. */
  summaries = 0;
  readonly #folder: string;
  readonly #steps: StepRange;
  readonly #rename: (tag: string) => string;
  readonly #complain: (message: string) => void;
  #writer: SummaryWriter | undefined;
  /** The tags of the copy that have a value. */
  readonly #begun = new Set<string>();
  /** The first summary of each tag that says what the tag is. */
  readonly #described = new Map<string, Uint8Array>();

  constructor(folder: string, steps: StepRange, rename: (tag: string) => string, complain: (message: string) => void) {
    this.#folder = folder;
    this.#steps = steps;
    this.#rename = rename;
    this.#complain = complain;
  }

  /** Begins a file. Without it, a run of which nothing is wanted has none. */
  begin(): SummaryWriter {
    return (this.#writer ??= new SummaryWriter(this.#folder));
  }

  /** Copies what is wanted of an event. Where a summary of it is refused, the others stand in events of their own. */
  add({ summary, ...rest }: TensorBoardEvent, isWanted: (index: number) => boolean): void {
    if (rest.fileVersion !== undefined) return;
    for (const { tag, raw } of summary ?? []) {
      if (!this.#described.has(tag) && metadataOf(raw) !== undefined) this.#described.set(tag, raw);
    }
    const [first, last] = this.#steps;
    if (rest.step < first || rest.step > last) return;
    if (summary === undefined) {
      this.#try(rest.step, () => this.begin().addEvent(rest));
      return;
    }
    const wanted = summary.filter((_, index) => isWanted(index));
    if (wanted.length === 0) return;
    const write = (some: readonly DecodedSummary[]) => {
      const copies = this.#copiesOf(some);
      this.begin().addEvent({ ...rest, summary: copies });
      for (const { tag } of copies) this.#begun.add(tag);
      this.summaries += copies.length;
    };
    try {
      write(wanted);
    } catch (error) {
      if (wanted.length === 1) this.#leaveOut(rest.step, error);
      else for (const each of wanted) this.#try(rest.step, () => write([each]));
    }
  }

  /** Resolves to whether there is a copy. */
  async close(): Promise<boolean> {
    await this.#writer?.close();
    return this.#writer !== undefined;
  }

  #try(step: Step, write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#leaveOut(step, error);
    }
  }

  #leaveOut(step: Step, error: unknown): void {
    this.#complain(`step ${step}: left out: ${messageOf(error)}`);
  }

  /** Summaries under their new names. The first one of a tag says what the tag's first one said, which may have been left out. */
  #copiesOf(summaries: readonly DecodedSummary[]): DecodedSummary[] {
    const begun = new Set<string>();
    return summaries.map((summary) => {
      const tag = this.#rename(summary.tag);
      const isFirst = !this.#begun.has(tag) && !begun.has(tag);
      begun.add(tag);
      const from = this.#described.get(summary.tag);
      const lacks = isFirst && from !== undefined && from !== summary.raw && metadataOf(summary.raw) === undefined;
      if (tag === summary.tag && !lacks) return summary;
      const value = decodeMessage(tensorboard.Summary.Value, summary.raw);
      value.tag = tag;
      if (lacks) value.metadata = metadataOf(from);
      return { ...summary, tag, raw: encodeMessage(tensorboard.Summary.Value, value) };
    });
  }
}

function metadataOf(raw: Uint8Array): tensorboard.ISummaryMetadata | undefined {
  return decodeMessage(tensorboard.Summary.Value, raw).metadata ?? undefined;
}

type StepRange = readonly [first: Step, last: Step];

/** The first and the last step of `10..20`, `10..`, `..20` or `10`. */
function stepsOf(text: string | undefined): StepRange {
  if (text === undefined) return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const match = /^(-?\d+)?(\.\.)?(-?\d+)?$/.exec(text);
  if (match === null || text === '' || text === '..' || (match[2] === undefined && match[3] !== undefined)) {
    throw new UsageError(`--steps: expected a step or a range such as 10..20, got "${text}"`);
  }
  const [, from, range, to] = match;
  const first = from === undefined ? Number.NEGATIVE_INFINITY : BigInt(from);
  if (range === undefined) return [first, first];
  return [first, to === undefined ? Number.POSITIVE_INFINITY : BigInt(to)];
}

/**
 * A renaming `pattern=replacement`, in which $1 is the first group. The replacement begins behind the first `=` before which a whole
 * regular expression stands: `(?=loss)=my_` and `[=]=_` are what they look like.
 */
function renamingOf(text: string | undefined): (tag: string) => string {
  if (text === undefined) return (tag) => tag;
  let refusal = `expected <regular expression>=<replacement>, got "${text}"`;
  // From the last one on, so that what is said in the end is about the first one.
  let chosen: ((tag: string) => string) | undefined;
  for (let at = text.lastIndexOf('='); at > 0; at = text.lastIndexOf('=', at - 1)) {
    try {
      const pattern = new RegExp(text.slice(0, at), 'u');
      chosen = (tag) => tag.replace(pattern, text.slice(at + 1));
    } catch (error) {
      refusal = messageOf(error);
    }
  }
  if (chosen === undefined) throw new UsageError(`--rename: ${refusal}`);
  return chosen;
}
