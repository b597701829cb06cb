/** The command `export`. */
import { fnv1aHex } from '../encoding/bytes.js';
import { printable, printableLines } from '../errors.js';
import type { DecodedSummary, SummaryValue, TensorBoardEvent } from '../event/event.js';
import { scanRun } from '../reader/shown-points.js';
import { jsonStep, valueText } from './inspect.js';
import { findRuns, tagFilter, typedPath } from './runs.js';
import { Batch, Complaints, plural, type Terminal, UsageError } from './terminal.js';

/** What can be exported. */
export const exportKinds = ['scalars', 'histograms', 'text', 'images', 'audio'] as const;

type Kind = (typeof exportKinds)[number];

/** Options of `export`, as typed. */
interface ExportOptions {
  kind?: string;
  format?: string;
  out?: string;
  plain?: boolean;
  tags?: string;
  raw?: boolean;
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
  const { format = 'csv', kind = 'scalars', plain = false } = options;
  const out = options.out === undefined ? undefined : typedPath(options.out, '--out');
  if (!isKind(kind)) {
    throw new UsageError(`--kind: expected ${exportKinds.join(', ')}, got "${kind}"`);
  }
  if (format !== 'csv' && format !== 'json') throw new UsageError(`--format: expected csv or json, got "${format}"`);
  const isTable = kind !== 'images' && kind !== 'audio';
  if (!isTable && out === undefined) throw new UsageError(`--out: expected the folder to write the ${kind} to`);
  const tags = tagFilter(options.tags);
  const complaints = new Complaints(terminal);
  const runs = await findRuns(path, complaints);
  const write = async (target: Target, pause?: () => Promise<void> | void) => {
    const { raw } = options;
    const complain = (message: string) => complaints.add(message);
    let hidden = 0;
    for (const { files, run } of runs) {
      const leftOut = new Map<string, { count: number; reason: string }>();
      const visit = (event: TensorBoardEvent, isShown: (index: number) => boolean) => {
        for (const [index, summary] of (event.summary ?? []).entries()) {
          if (summary.plugin !== kind) continue;
          const known = leftOut.get(summary.tag);
          if (!isShown(index)) hidden++;
          else if (forms[kind](summary.value)) target.add(run, event, summary);
          else if (known) known.count++;
          else leftOut.set(summary.tag, { count: 1, reason: valueText(summary.value) });
        }
      };
      await scanRun(files, { tags, raw, complain }, visit, pause);
      for (const [tag, { count, reason }] of leftOut) {
        complain(`run "${run}", tag "${tag}": ${plural(count, 'value')} left out: ${reason}`);
      }
    }
    target.end();
    if (hidden > 0) {
      const points = plural(hidden, 'point');
      terminal.writeError(`${points} left out that TensorBoard hides behind later ones: --raw exports all\n`);
    }
  };
  if (!isTable) {
    await write(fileTarget(terminal, out!));
  } else if (out === undefined) {
    // What other programs need of a table stays; the rest would command the terminal behind them.
    const batch = new Batch((text) => terminal.write(printableLines(text)));
    await write(tableTarget(format, kind, plain, batch), () => terminal.drained());
  } else {
    const file = terminal.createFile(out);
    try {
      await write(tableTarget(format, kind, plain, new Batch((text) => file.write(text))));
    } finally {
      file.close();
    }
  }
  return complaints.exitCode;
}

function isKind(kind: string): kind is Kind {
  return exportKinds.includes(kind as Kind);
}

/** Whether a value has the form of its kind, without which there is nothing to export. */
const forms: Record<Kind, (value: SummaryValue) => boolean> = {
  scalars: (value) => typeof value === 'number',
  histograms: (value) => typeof value === 'object' && 'buckets' in value,
  text: (value) => typeof value === 'object' && 'strings' in value,
  images: (value) => typeof value === 'object' && 'width' in value,
  audio: (value) => typeof value === 'object' && 'encoded' in value,
};

/** What takes the summaries that are exported, in order. */
interface Target {
  add(run: string, event: TensorBoardEvent, summary: DecodedSummary): void;
  end(): void;
}

function tableTarget(format: 'csv' | 'json', kind: string, plain: boolean, batch: Batch): Target {
  return format === 'csv' ? csvTarget(kind, plain ? (cell) => cell : guarded, batch) : jsonTarget(batch);
}

/** @param guard what becomes of texts before they are written */
function csvTarget(kind: string, guard: (text: string) => string, batch: Batch): Target {
  const columns = kind === 'histograms' ? ['left', 'right', 'count'] : ['value'];
  batch.write(`${['run', 'tag', 'step', 'wall_time', ...columns].join(',')}\r\n`);
  return {
    add(run, event, summary) {
      for (const cells of cellsOf(summary.value)) {
        const texts = [run, summary.tag].map(guard);
        const values = kind === 'text' ? cells.map(guard) : cells;
        const row = [...texts, String(event.step), String(event.wallTime), ...values];
        batch.write(`${row.map(quote).join(',')}\r\n`);
      }
    },
    end: () => batch.flush(),
  };
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

/**
 * A text that no spreadsheet runs as a formula: one that begins like a formula gets an apostrophe in front, which
 * spreadsheets take for the mark of a text. Numbers stay. Source: https://owasp.org/www-community/attacks/CSV_Injection
 */
export function guarded(text: string): string {
  return /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
}

/** A cell of a CSV file, quoted if it must be. Source: RFC 4180. */
export function quote(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function jsonTarget(batch: Batch): Target {
  let separator = '[';
  return {
    add(run, event, summary) {
      const value = jsonValue(summary.value);
      if (value === undefined) return;
      const row = { run, tag: summary.tag, step: jsonStep(event.step), wallTime: event.wallTime, value };
      batch.write(`${separator}\n${printable(JSON.stringify(row))}`);
      separator = ',';
    },
    end() {
      batch.write(separator === '[' ? '[]\n' : '\n]\n');
      batch.flush();
    },
  };
}

/** A value as JSON, which has no NaN and no infinities: those become text, as in TensorBoard's own answers. */
function jsonValue(value: SummaryValue): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if ('buckets' in value) return cellsOf(value).map((row) => row.map(Number).map(jsonValue));
  if ('strings' in value) return value.shape.length === 0 ? value.strings[0] : value.strings;
  return undefined;
}

function fileTarget(terminal: Terminal, folder: string): Target {
  const taken = new Map<string, number>();
  let written = 0;
  return {
    add(run, event, { tag, value }) {
      if (typeof value !== 'object' || !('encoded' in value)) return;
      for (const [index, bytes] of value.encoded.entries()) {
        const base = `${folder}/${fileName(run)}/${fileName(tag)}.${event.step}${index === 0 ? '' : `.${index}`}`;
        const before = taken.get(base) ?? 0;
        taken.set(base, before + 1);
        terminal.writeFile(`${base}${before === 0 ? '' : `.again${before}`}.${extensionOf(bytes)}`, bytes);
        written++;
      }
    },
    end: () => terminal.write(`${plural(written, 'file')} in ${printable(folder)}\n`),
  };
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
