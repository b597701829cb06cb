/** The command `inspect`, and how it words a value. */
import type { CorruptRecordError } from '../errors.js';
import type { Step, SummaryValue } from '../event/event.js';
import { EventDecoder } from '../reader/event-decoder.js';
import { scanFile } from '../reader/scan.js';
import { findRuns, tagFilter } from './runs.js';
import { plural, styled, type Terminal, table } from './terminal.js';

/** What `inspect` shows of one tag of a run. */
interface TagReport {
  tag: string;
  plugin: string;
  count: number;
  first: Step;
  last: Step;
  lastValue: SummaryValue;
}

/** `inspect`: shows what a logdir holds. Resolves to the exit code, which is 1 if a file is damaged. */
export async function inspect(
  terminal: Terminal,
  path: string | undefined,
  options: { tags?: string; json?: boolean },
): Promise<number> {
  const wanted = tagFilter(options.tags);
  const found: { run: string; tags: TagReport[] }[] = [];
  const damages: CorruptRecordError[] = [];
  for (const { files, run } of await findRuns(path)) {
    const tags = new Map<string, TagReport>();
    const add = (tag: string, plugin: string, step: Step, value: SummaryValue) => {
      const known = tags.get(tag);
      if (!known) tags.set(tag, { tag, plugin, count: 1, first: step, last: step, lastValue: value });
      else Object.assign(known, { plugin, count: known.count + 1, last: step, lastValue: value });
    };
    const decoder = new EventDecoder(wanted);
    for (const file of files) {
      const { damage } = await scanFile(file, decoder, (event) => {
        for (const { plugin, tag, value } of event?.summary ?? []) add(tag, plugin, event!.step, value);
        if (event?.graph && options.tags === undefined) {
          add('', 'graph', event.step, { dtype: 'graph', shape: [event.graph.length], data: event.graph });
        }
      });
      if (damage) damages.push(damage);
    }
    found.push({ run, tags: [...tags.values()].sort((a, b) => (a.tag < b.tag ? -1 : 1)) });
  }
  if (options.json) terminal.write(`${JSON.stringify(found.map(jsonOf), undefined, 2)}\n`);
  else printTable(terminal, found);
  for (const { message } of damages) terminal.writeError(`${styled(terminal, 'red', message)}\n`);
  return damages.length > 0 ? 1 : 0;
}

function printTable(terminal: Terminal, runs: { run: string; tags: TagReport[] }[]): void {
  const rows = runs.flatMap(({ run, tags }) =>
    tags.length === 0
      ? [[run, '(no summaries)', '', '0', '', '']]
      : tags.map(({ count, first, last, lastValue, plugin, tag }) => [
          run,
          tag || '(graph)',
          plugin || '(none)',
          String(count),
          first === last ? String(first) : `${first}..${last}`,
          valueText(lastValue),
        ]),
  );
  terminal.write(table(terminal, ['run', 'tag', 'plugin', 'count', 'steps', 'last'], rows, ['count']));
}

function jsonOf({ run, tags }: { run: string; tags: TagReport[] }): object {
  return {
    run,
    tags: tags.map(({ count, first, last, lastValue, plugin, tag }) => ({
      tag,
      plugin,
      count,
      firstStep: jsonStep(first),
      lastStep: jsonStep(last),
      last: typeof lastValue === 'number' && Number.isFinite(lastValue) ? lastValue : valueText(lastValue),
    })),
  };
}

/** A step as JSON, which has no integers beyond 2^53: those become text. */
export function jsonStep(step: Step): number | string {
  return typeof step === 'bigint' ? String(step) : step;
}

/** A value in a few words, for a table. */
function valueText(value: SummaryValue): string {
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
  if ('strings' in value) return shorten(value.strings.join(' | '));
  if ('mesh' in value) return `${value.content} of ${value.mesh}, [${value.shape.join(', ')}]`;
  if ('layout' in value) return plural(value.layout.categories.length, 'category', 'categories');
  if ('sessionStart' in value && value.sessionStart) {
    const hparams = Object.entries(value.sessionStart.hparams);
    return shorten(hparams.map(([name, hparam]) => `${name}=${hparam}`).join(' '));
  }
  if ('sessionEnd' in value && value.sessionEnd) return value.sessionEnd.status;
  if ('experiment' in value && value.experiment) return plural(value.experiment.hparams.length, 'hyperparameter');
  if ('undecoded' in value) return `undecoded: ${value.undecoded}`;
  if (value.dtype === 'graph') return plural(value.data.length, 'byte');
  return `${value.dtype} [${value.shape.join(', ')}]`;
}

function round(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 50 ? `${line.slice(0, 47)}...` : line;
}
