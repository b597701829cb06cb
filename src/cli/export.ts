/** The command `export`. */
import { fnv1aHex } from '../encoding/bytes.js';
import type { DecodedSummary, SummaryValue, TensorBoardEvent } from '../event/event.js';
import { readEvents } from '../reader/read-events.js';
import { jsonStep } from './inspect.js';
import { findRuns, tagFilter } from './runs.js';
import { plural, type Terminal, UsageError } from './terminal.js';

/** What can be exported. */
export const exportKinds = ['scalars', 'histograms', 'text', 'images', 'audio'] as const;

/** Options of `export`, as typed. */
interface ExportOptions {
  kind?: string;
  format?: string;
  out?: string;
  tags?: string;
}

/** `export`: writes numbers and texts as a table, images and sounds as files. Resolves to the exit code. */
export async function exportLogdir(
  terminal: Terminal,
  path: string | undefined,
  options: ExportOptions,
): Promise<number> {
  const { format = 'csv', kind = 'scalars', out } = options;
  if (!exportKinds.includes(kind as (typeof exportKinds)[number])) {
    throw new UsageError(`--kind: expected ${exportKinds.join(', ')}, got "${kind}"`);
  }
  if (format !== 'csv' && format !== 'json') throw new UsageError(`--format: expected csv or json, got "${format}"`);
  const found = summaries(path, kind, tagFilter(options.tags));
  if (kind === 'images' || kind === 'audio') {
    if (out === undefined) throw new UsageError(`--out: expected the folder to write the ${kind} to`);
    await exportFiles(terminal, found, out);
    return 0;
  }
  const file = out === undefined ? undefined : terminal.createFile(out);
  const batch = new Batch((text) => (file ?? terminal).write(text));
  try {
    if (format === 'csv') await writeCsv(found, kind, (text) => batch.write(text));
    else await writeJson(found, (text) => batch.write(text));
    batch.flush();
  } finally {
    file?.close();
  }
  return 0;
}

/** Joins many small texts into few writes. */
class Batch {
  readonly #write: (text: string) => void;
  #pending = '';

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  write(text: string): void {
    this.#pending += text;
    if (this.#pending.length > 2 ** 16) this.flush();
  }

  flush(): void {
    this.#write(this.#pending);
    this.#pending = '';
  }
}

/** A summary and where it was found. */
interface Found {
  run: string;
  event: TensorBoardEvent;
  summary: DecodedSummary;
}

/** All summaries of one plugin below a path. Damage ends the export with an error, since half a table looks like a whole one. */
async function* summaries(
  path: string | undefined,
  kind: string,
  tags: (tag: string) => boolean,
): AsyncGenerator<Found> {
  for (const { run, source } of await findRuns(path)) {
    for await (const event of readEvents(source, { tags })) {
      for (const summary of event.summary ?? []) if (summary.plugin === kind) yield { run, event, summary };
    }
  }
}

async function writeCsv(found: AsyncIterable<Found>, kind: string, write: (text: string) => void): Promise<void> {
  const columns = kind === 'histograms' ? ['left', 'right', 'count'] : ['value'];
  write(`${['run', 'tag', 'step', 'wall_time', ...columns].join(',')}\r\n`);
  for await (const { event, run, summary } of found) {
    for (const cells of cellsOf(summary.value)) {
      const row = [run, summary.tag, String(event.step), String(event.wallTime), ...cells];
      write(`${row.map(quote).join(',')}\r\n`);
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

async function writeJson(found: AsyncIterable<Found>, write: (text: string) => void): Promise<void> {
  let separator = '[';
  for await (const { event, run, summary } of found) {
    const value = jsonValue(summary.value);
    if (value === undefined) continue;
    const row = { run, tag: summary.tag, step: jsonStep(event.step), wallTime: event.wallTime, value };
    write(`${separator}\n${JSON.stringify(row)}`);
    separator = ',';
  }
  write(separator === '[' ? '[]\n' : '\n]\n');
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
  terminal.write(`${plural(written, 'file')} in ${folder}\n`);
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
