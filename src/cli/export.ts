/** The command `export`. */
import { fnv1aHex } from '../encoding/bytes.js';
import { type CorruptRecordError, messageOf, printable, printableLines } from '../errors.js';
import type { DecodedSummary, SummaryValue, TensorBoardEvent } from '../event/event.js';
import { readEvents } from '../reader/read-events.js';
import { jsonStep, valueText } from './inspect.js';
import { findRuns, type NamedRun, tagFilter } from './runs.js';
import { Batch, Complaints, plural, type Terminal, UsageError } from './terminal.js';

/** What can be exported. */
export const exportKinds = ['scalars', 'histograms', 'text', 'images', 'audio'] as const;

type Kind = (typeof exportKinds)[number];

/** Options of `export`, as typed. */
interface ExportOptions {
  kind?: string;
  format?: string;
  out?: string;
  tags?: string;
}

/**
 * `export`: writes numbers and texts as a table, images and sounds as files. Resolves to the exit code, which is 1 if a file
 * is damaged or cannot be read, or a value cannot be exported.
 */
export async function exportLogdir(
  terminal: Terminal,
  path: string | undefined,
  options: ExportOptions,
): Promise<number> {
  const { format = 'csv', kind = 'scalars', out } = options;
  if (!isKind(kind)) {
    throw new UsageError(`--kind: expected ${exportKinds.join(', ')}, got "${kind}"`);
  }
  if (format !== 'csv' && format !== 'json') throw new UsageError(`--format: expected csv or json, got "${format}"`);
  const complaints = new Complaints(terminal);
  const found = summaries(await findRuns(path, complaints), kind, tagFilter(options.tags), complaints);
  if (kind === 'images' || kind === 'audio') {
    if (out === undefined) throw new UsageError(`--out: expected the folder to write the ${kind} to`);
    await exportFiles(terminal, found, out);
    return complaints.exitCode;
  }
  const writeTable = format === 'csv' ? writeCsv : writeJson;
  if (out === undefined) {
    // What other programs need of a table stays; the rest would command the terminal behind them.
    const batch = new Batch((text) => terminal.write(printableLines(text)));
    await writeTable(found, kind, batch);
    batch.flush();
  } else {
    const file = terminal.createFile(out);
    const batch = new Batch((text) => file.write(text));
    try {
      await writeTable(found, kind, batch);
      batch.flush();
    } finally {
      file.close();
    }
  }
  return complaints.exitCode;
}

function isKind(kind: string): kind is Kind {
  return exportKinds.includes(kind as Kind);
}

/** A summary and where it was found. */
interface Found {
  run: string;
  event: TensorBoardEvent;
  summary: DecodedSummary;
}

/**
 * All summaries of one plugin in some runs. What is damaged, cannot be read or does not have the plugin's form becomes a
 * complaint.
 */
async function* summaries(
  runs: readonly NamedRun[],
  kind: Kind,
  tags: (tag: string) => boolean,
  complaints: Complaints,
): AsyncGenerator<Found> {
  const onCorrupt = ({ cause, message }: CorruptRecordError) => {
    const isUnread = (cause as { code?: unknown } | undefined)?.code !== undefined;
    complaints.add(isUnread ? messageOf(cause) : message);
  };
  for (const { run, source } of runs) {
    const leftOut = new Map<string, { count: number; reason: string }>();
    for await (const event of readEvents(source, { tags, onCorrupt })) {
      for (const summary of event.summary ?? []) {
        if (summary.plugin !== kind) continue;
        if (forms[kind](summary.value)) {
          yield { run, event, summary };
        } else {
          const known = leftOut.get(summary.tag);
          if (known) known.count++;
          else leftOut.set(summary.tag, { count: 1, reason: valueText(summary.value) });
        }
      }
    }
    for (const [tag, { count, reason }] of leftOut) {
      complaints.add(`run "${run}", tag "${tag}": ${plural(count, 'value')} left out: ${reason}`);
    }
  }
}

/** Whether a value has the form of its kind, without which there is nothing to export. */
const forms: Record<Kind, (value: SummaryValue) => boolean> = {
  scalars: (value) => typeof value === 'number',
  histograms: (value) => typeof value === 'object' && 'buckets' in value,
  text: (value) => typeof value === 'object' && 'strings' in value,
  images: (value) => typeof value === 'object' && 'width' in value,
  audio: (value) => typeof value === 'object' && 'encoded' in value,
};

async function writeCsv(found: AsyncIterable<Found>, kind: string, batch: Batch): Promise<void> {
  const columns = kind === 'histograms' ? ['left', 'right', 'count'] : ['value'];
  batch.write(`${['run', 'tag', 'step', 'wall_time', ...columns].join(',')}\r\n`);
  for await (const { event, run, summary } of found) {
    for (const cells of cellsOf(summary.value)) {
      const row = [run, summary.tag, String(event.step), String(event.wallTime), ...cells];
      batch.write(`${row.map(quote).join(',')}\r\n`);
    }
  }
}

/** The rows of a table that a value makes; each holds the cells after the common columns. */
function cellsOf(value: SummaryValue): string[][] {
  if (typeof value === 'number') return [[String(value)]];
  if ('strings' in value) return value.strings.map((text) => [text]);
  if ('buckets' in value) {
    const rows: string[][] = [];
    for (let at = 0; at < value.buckets.length; at += 3) {
      rows.push(Array.from(value.buckets.subarray(at, at + 3), String));
    }
    return rows;
  }
  return [];
}

/** A cell of a CSV file, quoted if it must be. Source: RFC 4180. */
function quote(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

async function writeJson(found: AsyncIterable<Found>, _kind: string, batch: Batch): Promise<void> {
  let separator = '[';
  for await (const { event, run, summary } of found) {
    const value = jsonValue(summary.value);
    if (value === undefined) continue;
    const row = { run, tag: summary.tag, step: jsonStep(event.step), wallTime: event.wallTime, value };
    batch.write(`${separator}\n${printable(JSON.stringify(row))}`);
    separator = ',';
  }
  batch.write(separator === '[' ? '[]\n' : '\n]\n');
}

/** A value as JSON, which has no NaN and no infinities: those become text, as in TensorBoard's own answers. */
function jsonValue(value: SummaryValue): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if ('buckets' in value) return cellsOf(value).map((row) => row.map(Number).map(jsonValue));
  if ('strings' in value) return value.shape.length === 0 ? value.strings[0] : value.strings;
  return undefined;
}

async function exportFiles(terminal: Terminal, found: AsyncIterable<Found>, folder: string): Promise<void> {
  const taken = new Map<string, number>();
  let written = 0;
  for await (const { event, run, summary } of found) {
    const { value } = summary;
    if (typeof value !== 'object' || !('encoded' in value)) continue;
    for (const [index, bytes] of value.encoded.entries()) {
      const base = `${folder}/${fileName(run)}/${fileName(summary.tag)}.${event.step}${index === 0 ? '' : `.${index}`}`;
      const before = taken.get(base) ?? 0;
      taken.set(base, before + 1);
      terminal.writeFile(`${base}${before === 0 ? '' : `.again${before}`}.${extensionOf(bytes)}`, bytes);
      written++;
    }
  }
  terminal.write(`${plural(written, 'file')} in ${printable(folder)}\n`);
}

/** The name of a run or tag as the name of one file: it cannot lead out of the folder, and no two names become the same. */
function fileName(name: string): string {
  if (name === '.') return 'root';
  const safe = encodeURIComponent(name || 'untitled').replace(/^\.|[*'()!~]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
  return safe.length <= 150 ? safe : `${safe.slice(0, 140)}~${fnv1aHex(name)}`;
}

/** A file's extension, from its first bytes, by which every viewer recognizes it. */
function extensionOf(bytes: Uint8Array): string {
  const start = String.fromCharCode(...bytes.subarray(0, 12));
  if (start.startsWith('\u0089PNG')) return 'png';
  if (start.startsWith('GIF8')) return 'gif';
  if (start.startsWith('\u00ff\u00d8\u00ff')) return 'jpg';
  if (start.startsWith('RIFF') && start.endsWith('WAVE')) return 'wav';
  return start.startsWith('RIFF') && start.endsWith('WEBP') ? 'webp' : 'bin';
}
