/** The command `inspect`, and how it words a value. */
import { messageOf, printableLines } from '../errors.js';
import type { Step, SummaryValue, TensorBoardEvent } from '../event/event.js';
import { EventDecoder } from '../reader/event-decoder.js';
import { scanFile } from '../reader/scan.js';
import { findRuns, tagFilter } from './runs.js';
import { Batch, Complaints, plural, type Terminal, writeTable } from './terminal.js';

/** What `inspect` shows of one tag of a run. */
interface TagReport {
  tag: string;
  plugin: string;
  count: number;
  first: Step;
  last: Step;
  lastValue: SummaryValue;
  /** How many of the values could not be decoded, and why the first of them could not. */
  undecoded?: { count: number; reason: string };
}

/** `inspect`: shows what a logdir holds. Resolves to the exit code, which is 1 if a file is damaged or cannot be read. */
export async function inspect(
  terminal: Terminal,
  path: string | undefined,
  options: { tags?: string; json?: boolean },
): Promise<number> {
  const wanted = tagFilter(options.tags);
  const found: { run: string; tags: TagReport[] }[] = [];
  const complaints = new Complaints(terminal);
  for (const { files, run } of await findRuns(path, complaints)) {
    const tags = new Map<string, TagReport>();
    const add = (tag: string, plugin: string, step: Step, value: SummaryValue) => {
      const known = tags.get(tag);
      if (!known) tags.set(tag, { tag, plugin, count: 1, first: step, last: step, lastValue: value });
      else Object.assign(known, { plugin, count: known.count + 1, last: step, lastValue: value });
      if (typeof value !== 'object' || !('undecoded' in value)) return;
      const report = tags.get(tag)!;
      report.undecoded ??= { count: 0, reason: value.undecoded };
      report.undecoded.count++;
    };
    const decoder = new EventDecoder(wanted);
    for (const file of files) {
      const visit = (event: TensorBoardEvent | undefined) => {
        for (const { plugin, tag, value } of event?.summary ?? []) add(tag, plugin, event!.step, value);
        if (event?.graph && options.tags === undefined) {
          add('', 'graph', event.step, { dtype: 'graph', shape: [event.graph.length], data: event.graph });
        }
      };
      try {
        const { damage } = await scanFile(file, decoder, visit);
        if (damage) complaints.add(damage.message);
      } catch (error) {
        complaints.add(messageOf(error));
      }
    }
    found.push({ run, tags: [...tags.values()].sort((a, b) => (a.tag < b.tag ? -1 : 1)) });
  }
  if (options.json) writeJson(terminal, found);
  else printTable(terminal, found);
  return complaints.exitCode;
}

function printTable(terminal: Terminal, runs: { run: string; tags: TagReport[] }[]): void {
  const rows = runs.flatMap(({ run, tags }) =>
    tags.length === 0
      ? [[run, '(no summaries)', '', '0', '', '']]
      : tags.map(({ count, first, last, lastValue, plugin, tag, undecoded }) => [
          run,
          tag || '(graph)',
          plugin || '(none)',
          String(count),
          first === last ? String(first) : `${first}..${last}`,
          undecoded === undefined || undecoded.count === count
            ? valueText(lastValue)
            : `${valueText(lastValue)} (${undecoded.count} undecoded: ${undecoded.reason})`,
        ]),
  );
  writeTable(terminal, ['run', 'tag', 'plugin', 'count', 'steps', 'last'], rows, ['count']);
}

/** Writes what `JSON.stringify(..., undefined, 2)` gives, piece by piece: a text has a greatest length. */
function writeJson(terminal: Terminal, runs: { run: string; tags: TagReport[] }[]): void {
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

function jsonOf({ count, first, last, lastValue, plugin, tag, undecoded }: TagReport): object {
  return {
    tag,
    plugin,
    count,
    firstStep: jsonStep(first),
    lastStep: jsonStep(last),
    last: typeof lastValue === 'number' && Number.isFinite(lastValue) ? lastValue : valueText(lastValue),
    undecoded,
  };
}

/** A step as JSON, which has no integers beyond 2^53: those become text. */
export function jsonStep(step: Step): number | string {
  return typeof step === 'bigint' ? String(step) : step;
}

/** A value in a few words, for a table. */
export function valueText(value: SummaryValue): string {
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
  if (value.dtype === 'graph') return plural(value.data.length, 'byte');
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
