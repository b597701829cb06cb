/**
 * The commands `filter`, a copy of a logdir with some of its runs, tags and steps, under other names, in one file for each run, and
 * `merge`, a copy of several logdirs as one.
 */

import { files as fileSystem } from '#platform';
import { decodeMessage, encodeMessage } from '../encoding/message-codec.js';
import { messageOf, printable } from '../errors.js';
import type { DecodedSummary } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { readEvents } from '../reader/read-events.js';
import { SummaryWriter } from '../writer/summary-writer.js';
import { checkNoEvents, type FoundRun, findRuns, folderOfRun, noteEmbeddings, tagFilter, typedPath } from './runs.js';
import { Complaints, plural, type Terminal, UsageError } from './terminal.js';

/** Options of `filter`, as typed. */
interface FilterOptions {
  out?: string;
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

/** `merge`: resolves to the exit code, as of `filter`. Runs of one name become one, in the order of the logdirs. */
export async function merge(terminal: Terminal, paths: readonly string[], { out }: { out?: string }): Promise<number> {
  if (out === undefined) throw new UsageError('expected --out <folder> for the runs of all logdirs');
  if (paths.length < 2) throw new UsageError(`expected several logdirs to merge, got ${paths.length}`);
  const complaints = new Complaints(terminal);
  const merged = new Map<string, string[]>();
  for (const path of new Set(paths)) {
    for (const { run, files } of await findRuns(path, complaints)) {
      merged.set(run, [...(merged.get(run) ?? []), ...files]);
    }
  }
  const runs = Array.from(merged, ([run, files]) => ({ run, files }));
  return copyRuns(terminal, runs, out, {}, complaints);
}

/** Copies runs, each into one file. */
async function copyRuns(
  terminal: Terminal,
  wanted: readonly FoundRun[],
  typedOut: string,
  options: FilterOptions,
  complaints: Complaints,
): Promise<number> {
  const out = typedPath(typedOut, '--out');
  const isTag = tagFilter(options.tags);
  const [first, last] = stepsOf(options.steps);
  const rename = renamingOf(options.rename);
  const isCopy = [options.tags, options.runs, options.steps].every((choice) => choice === undefined);
  let [runs, summaries] = [0, 0];
  for (const { run, files } of wanted) {
    const target = folderOfRun(out, run);
    if (files.some((file) => fileSystem?.resolve(file.replace(/[/\\][^/\\]*$/, '')) === fileSystem?.resolve(target))) {
      throw new UsageError('--out: expected another folder than that of the files, which stay as they are');
    }
    await checkNoEvents(target);
  }
  for (const { run, files } of wanted) {
    let writer = isCopy ? new SummaryWriter(folderOfRun(out, run)) : undefined;
    const described = new Map<string, Uint8Array>();
    for (const file of files) {
      try {
        for await (const event of readEvents(file, { tags: isTag })) {
          if (event.fileVersion !== undefined) continue;
          const { summary, ...rest } = event;
          const isWanted = event.step >= first && event.step <= last;
          for (const { tag, raw } of summary ?? []) {
            if (!described.has(tag) && metadataOf(raw) !== undefined) described.set(tag, raw);
          }
          if (!isWanted || (summary !== undefined && summary.length === 0)) continue;
          try {
            // A run of which nothing is wanted is not begun.
            const to = (writer ??= new SummaryWriter(folderOfRun(out, run)));
            const kept = summary?.map((each) => copied(each, rename, to, described));
            to.addEvent(kept === undefined ? rest : { ...rest, summary: kept });
            summaries += kept?.length ?? 0;
          } catch (error) {
            complaints.add(`${file}, step ${event.step}: left out: ${messageOf(error)}`);
          }
        }
      } catch (error) {
        complaints.add(messageOf(error));
      }
    }
    await noteEmbeddings(terminal, run, files, isTag);
    if (writer === undefined) continue;
    runs++;
    await writer.close();
  }
  if (runs === 0) complaints.add('nothing in these runs is wanted: no file is written');
  terminal.write(`${printable(typedOut)}: ${plural(runs, 'run')}, ${plural(summaries, 'value')}\n`);
  return complaints.exitCode;
}

/** The tags of each writer whose first value has been copied. */
const begun = new WeakMap<SummaryWriter, Set<string>>();

/** A summary under its new name. The first one of a tag says what the tag's first one said, which may have been left out. */
function copied(
  summary: DecodedSummary,
  rename: (tag: string) => string,
  writer: SummaryWriter,
  described: ReadonlyMap<string, Uint8Array>,
): DecodedSummary {
  const tag = rename(summary.tag);
  const known = begun.get(writer) ?? new Set();
  begun.set(writer, known);
  const isFirst = !known.has(tag);
  known.add(tag);
  const from = described.get(summary.tag);
  const lacks = isFirst && from !== undefined && from !== summary.raw && metadataOf(summary.raw) === undefined;
  if (tag === summary.tag && !lacks) return summary;
  const value = decodeMessage(tensorboard.Summary.Value, summary.raw);
  value.tag = tag;
  if (lacks && from !== undefined) value.metadata = metadataOf(from);
  return { ...summary, tag, raw: encodeMessage(tensorboard.Summary.Value, value) };
}

function metadataOf(raw: Uint8Array): tensorboard.ISummaryMetadata | undefined {
  return decodeMessage(tensorboard.Summary.Value, raw).metadata ?? undefined;
}

/** The first and the last step of `10..20`, `10..`, `..20` or `10`. */
function stepsOf(text: string | undefined): [first: number | bigint, last: number | bigint] {
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

/** A renaming `pattern=replacement`, in which $1 is the first group. */
function renamingOf(text: string | undefined): (tag: string) => string {
  if (text === undefined) return (tag) => tag;
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`--rename: expected <regular expression>=<replacement>, got "${text}"`);
  let pattern: RegExp;
  try {
    pattern = new RegExp(text.slice(0, at), 'u');
  } catch (error) {
    throw new UsageError(`--rename: ${messageOf(error)}`);
  }
  const replacement = text.slice(at + 1);
  return (tag) => tag.replace(pattern, replacement);
}
