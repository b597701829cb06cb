/** The command `export`: what event files hold, for other programs. */
import { didYouMean, printable, printableLines } from '../errors.js';
import type { TensorBoardEvent } from '../event/event.js';
import { sourceFiles } from '../reader/places.js';
import { type RunReading, scanRun } from '../reader/shown-points.js';
import { type EachRunOptions, eachRun, type RunReports } from './each-run.js';
import { exportEmbeddings, Folder, mediaFiles, meshFiles, tensorFiles } from './export-files.js';
import { type Exporter, hparamsTable, longTable, tableKinds, wideTable } from './export-tables.js';
import { valueText } from './inspect.js';
import { type FoundRun, findAllRuns, Progress, tagFilter, typedPath } from './runs.js';
import { type Column, loadParquet, openTable, type Table, type TableFormat, tableFormat } from './table.js';
import { Complaints, plural, type Terminal, UsageError } from './terminal.js';

/** What can be exported: the kinds that are tables, and those that are files. */
const tables = ['scalars', 'histograms', 'text', 'pr_curves', 'hparams'] as const;
const files = ['images', 'audio', 'tensors', 'meshes', 'embeddings'] as const;

/** What can be exported. */
const exportKinds = [...tables, ...files] as const;

type Kind = (typeof exportKinds)[number];

/** The plugins whose summaries a kind takes; tensors are what no other kind takes. */
const plugins: Record<Exclude<Kind, 'embeddings' | 'tensors'>, readonly string[]> = {
  scalars: ['scalars'],
  histograms: ['histograms'],
  text: ['text'],
  pr_curves: ['pr_curves'],
  hparams: ['hparams', 'scalars'],
  images: ['images'],
  audio: ['audio'],
  meshes: ['mesh'],
};
const otherPlugins = new Set([...Object.values(plugins).flat(), 'custom_scalars']);

/** Which summaries are exported. */
interface SummaryOptions {
  /** A regular expression. */
  tags?: string;
  raw?: boolean;
}

/** Options of `export`, as typed. */
interface ExportOptions extends SummaryOptions, Pick<EachRunOptions, 'threads'> {
  kind?: string;
  format?: string;
  out?: string;
  plain?: boolean;
  wide?: boolean;
  json?: boolean;
}

/**
 * `export`: writes numbers and texts as a table, the rest as files. Resolves to the exit code, which is 1 if a file is damaged or
 * cannot be read, or a value cannot be exported.
 */
export async function exportLogdir(
  terminal: Terminal,
  paths: readonly string[],
  options: ExportOptions,
): Promise<number> {
  const { kind = 'scalars', plain, raw, wide = false } = options;
  const out = options.out === undefined ? undefined : typedPath(options.out, '--out');
  if (!exportKinds.includes(kind as Kind)) {
    throw new UsageError(`--kind: expected ${exportKinds.join(', ')}, got "${kind}"${didYouMean(kind, exportKinds)}`);
  }
  if (wide && kind !== 'scalars') throw new UsageError(`--wide: expected --kind scalars, got "${kind}"`);
  const tags = tagFilter(options.tags);
  const complaints = new Complaints(terminal);
  const complain = (message: string) => complaints.add(message);
  const isTable = tables.includes(kind as (typeof tables)[number]);
  if (!isTable && out === undefined) throw new UsageError(`--out: expected the folder to write the ${kind} to`);
  const format = isTable ? tableFormat(options.format, out, options.json) : undefined;
  const there = out === undefined ? undefined : await sourceFiles.kind(out);
  if (there !== undefined && there !== (isTable ? 'file' : 'folder')) {
    throw new UsageError(`--out: expected a ${isTable ? 'file' : 'folder'} for the ${kind}, got the ${there} "${out}"`);
  }
  const parquet = format === 'parquet' ? await loadParquet() : undefined;
  const runs = await findAllRuns(paths, complaints);
  if (kind === 'embeddings') {
    await exportEmbeddings(runs, new Folder(terminal, out!, options.json), tags, complain);
    return complaints.exitCode;
  }
  const selection: Selection = { kind: kind as Kind, tags, raw };
  const reader = { terminal, complain };
  if (!isTable) {
    await exportRuns(runs, selection, filesOf(kind, new Folder(terminal, out!, options.json), complain), reader);
    return complaints.exitCode;
  }
  let rows = 0;
  const shown = wide ? await tagsOf(runs, selection) : [];
  const file = out === undefined ? undefined : terminal.createFile(out);
  const pause = file === undefined ? () => terminal.drained() : undefined;
  try {
    // What other programs need of a table stays; the rest would command the terminal behind them.
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    const textOf = (content: string | Uint8Array) =>
      typeof content === 'string' ? content : decoder.decode(content, { stream: true });
    const write = (content: string | Uint8Array) =>
      file === undefined ? terminal.write(printableLines(textOf(content))) : file.write(content);
    const open = (columns: readonly Column[]): Table => {
      const table = openTable(format!, columns, write, { plain, parquet });
      const add: Table['add'] = (added, record) => {
        rows += added.length;
        table.add(added, record);
      };
      return { ...table, add };
    };
    if (wide || kind === 'hparams' || format === 'parquet') {
      const exporter = wide
        ? wideTable(shown, open)
        : kind === 'hparams'
          ? hparamsTable(open)
          : longTable(tableKinds[kind as LongKind], open);
      await exportRuns(runs, selection, exporter, { ...reader, pause });
    } else {
      const asked = { kind: kind as LongKind, format: format!, plain, raw, tags: options.tags };
      const more = { ...reader, pause, complaints, threads: options.threads };
      const rowsOfTexts = await exportTexts(runs, selection, asked, open, more);
      rows += rowsOfTexts; // on a line of its own, since `rows` grows meanwhile
    }
  } finally {
    file?.close();
  }
  if (out !== undefined && !options.json) terminal.write(`${plural(rows, 'row')} in ${printable(out)}\n`);
  return complaints.exitCode;
}

/** Which summaries are exported. */
interface Selection {
  readonly kind: Kind;
  readonly tags: (tag: string) => boolean;
  readonly raw?: boolean;
}

/** Whom to tell what is left out, and what is awaited now and then. */
interface Reader {
  readonly terminal: Terminal;
  readonly complain: (message: string) => void;
  readonly pause?: () => Promise<void>;
}

/** What runs hold besides what is exported of them. */
interface Rest {
  /** How many points are hidden. */
  hidden: number;
  /** How many summaries are of the kind that is exported. */
  taken: number;
  /** The plugins of the others. */
  readonly others: Set<string>;
}

const noRest = (): Rest => ({ hidden: 0, taken: 0, others: new Set() });

function addRest(all: Rest, { hidden, others, taken }: Rest): void {
  all.hidden += hidden;
  all.taken += taken;
  for (const other of others) all.others.add(other);
}

function takes(kind: Kind, plugin: string): boolean {
  if (kind === 'tensors') return !otherPlugins.has(plugin);
  return plugins[kind as keyof typeof plugins].includes(plugin);
}

/** Gives the summaries of runs to an exporter. */
async function exportRuns(
  runs: readonly FoundRun[],
  selection: Selection,
  exporter: Exporter,
  { complain, pause, terminal }: Reader,
): Promise<void> {
  const rest = noRest();
  const progress = isSilent(terminal, pause) ? undefined : await Progress.of(terminal, runs);
  for (const run of runs) {
    addRest(rest, await exportRun(run, selection, exporter, { complain, read: progress?.read }, pause));
  }
  progress?.clear();
  exporter.end();
  tellRest(terminal, selection.kind, rest);
}

/** Whether nothing is said of how far the reading is: what goes to the terminal itself shows it. */
function isSilent(terminal: Terminal, pause: Reader['pause']): boolean {
  return pause !== undefined && terminal.size() !== undefined;
}

/** Gives the summaries of one run to an exporter. */
async function exportRun(
  { files, run }: FoundRun,
  { kind, raw, tags }: Selection,
  exporter: Exporter,
  { complain, read, startOver }: Pick<RunReading, 'complain' | 'read' | 'startOver'>,
  pause?: () => Promise<void>,
): Promise<Rest> {
  let rest = noRest();
  const leftOut = new Map<string, { count: number; reason: string }>();
  const visit = (event: TensorBoardEvent, isShown: (index: number) => boolean) => {
    const { summary = [] } = event;
    for (let index = 0; index < summary.length; index++) {
      const { plugin, tag, value } = summary[index];
      if (!takes(kind, plugin)) {
        rest.others.add(plugin);
        continue;
      }
      rest.taken++;
      const known = leftOut.get(tag);
      if (!isShown(index)) rest.hidden++;
      else if (exporter.add(run, event, summary[index])) continue;
      else if (known) known.count++;
      else leftOut.set(tag, { count: 1, reason: valueText(value) });
    }
  };
  const again = startOver && {
    startOver() {
      rest = noRest();
      leftOut.clear();
      startOver();
    },
  };
  // Hyperparameters have tags of their own, and stand beside any metric.
  const wanted = kind === 'hparams' ? (tag: string) => tag.startsWith('_hparams_/') || tags(tag) : tags;
  await scanRun(files, { tags: wanted, raw, complain, read, keepsRaw: false, ...again }, visit, pause);
  exporter.endRun?.(run);
  for (const [tag, { count, reason }] of leftOut) {
    complain(`run "${run}", tag "${tag}": ${plural(count, 'value')} left out: ${reason}`);
  }
  return rest;
}

function tellRest(terminal: Terminal, kind: Kind, { hidden, others, taken }: Rest): void {
  if (taken === 0) {
    const there = others.size === 0 ? '' : `, only ${[...others].sort().join(', ')}`;
    terminal.writeError(`there are no ${kind.replace('_', ' ')} in these runs${there}\n`);
  }
  if (hidden > 0) {
    const points = plural(hidden, 'point');
    terminal.writeError(`${points} left out that TensorBoard hides behind later ones: --raw exports all\n`);
  }
}

/** Kinds with a record for each summary: the rows of one run know nothing of the others. */
type LongKind = keyof typeof tableKinds;

/** What a thread must know to write the rows of a run. */
interface TextOptions extends SummaryOptions {
  readonly kind: LongKind;
  readonly format: TableFormat;
  readonly plain?: boolean;
}

/** The rows of a run, as a part of a table. */
interface RunText {
  /** UTF-8. */
  readonly parts: readonly Uint8Array[];
  readonly rows: number;
  readonly rest: Rest;
}

/** Runs whose files or whose rows take more bytes are written piece by piece in the place of being held in memory. */
const [mostFileBytes, mostBytes] = [2 ** 24, 2 ** 26];
/** Thrown where the rows of a run take more. */
const tooLong = new Error('the text is too long');

/** The rows of a run as a text; undefined if that would be too long. */
export async function textOfRun(
  found: FoundRun,
  { format, kind, plain, raw, tags }: TextOptions,
  { complain, read }: RunReports,
): Promise<RunText | undefined> {
  let bytes = 0;
  for (const file of found.files) bytes += (await sourceFiles.size(file)) ?? 0;
  if (bytes > mostFileBytes) return undefined;
  const encoder = new TextEncoder();
  let [parts, length, rows, told] = [[] as Uint8Array[], 0, 0, 0];
  // Bytes: to hold texts that were joined of many takes several times their memory.
  const write = (text: string) => {
    const part = encoder.encode(text);
    length += part.length;
    if (length > mostBytes) throw tooLong;
    if (part.length > 0) parts.push(part);
  };
  const open = (columns: readonly Column[]): Table => {
    const table = openTable(format, columns, (text) => write(text as string), { plain, isPart: true });
    const add: Table['add'] = (added, record) => {
      rows += added.length;
      table.add(added, record);
    };
    return { ...table, add };
  };
  let table = longTable(tableKinds[kind], open);
  const exporter: Exporter = { add: (...summary) => table.add(...summary), end: () => table.end() };
  const startOver = () => {
    [parts, length, rows] = [[], 0, 0];
    table = longTable(tableKinds[kind], open);
  };
  const complaints: string[] = [];
  const reading = {
    complain: (message: string) => void complaints.push(message),
    read(count: number) {
      told += count;
      read(count);
    },
    startOver,
  };
  try {
    const rest = await exportRun(found, { kind, raw, tags: tagFilter(tags) }, exporter, reading);
    exporter.end();
    for (const message of complaints) complain(message);
    return { parts, rows, rest };
  } catch (error) {
    if (error !== tooLong) throw error;
    read(-told);
    return undefined;
  }
}

/**
 * Writes a table of which each run's rows are a text, made by threads if they are asked for. Texts of two runs for each thread wait at
 * most; longer runs are written piece by piece.
 *
 * @returns how many rows of texts there are
 */
async function exportTexts(
  runs: readonly FoundRun[],
  selection: Selection,
  asked: TextOptions,
  open: (columns: readonly Column[]) => Table,
  { complain, complaints, pause, terminal, threads }: Reader & { complaints: Complaints; threads?: string },
): Promise<number> {
  const rest = noRest();
  let rows = 0;
  let table: Table | undefined;
  const exporter = longTable(tableKinds[asked.kind], (columns) => (table = open(columns)));
  const take = async (run: FoundRun, found: RunText | undefined, _: number, read: RunReports['read']) => {
    if (found === undefined) {
      addRest(rest, await exportRun(run, selection, exporter, { complain, read }, pause));
    } else {
      table!.append!(found.parts);
      rows += found.rows;
      addRest(rest, found.rest);
      await pause?.();
    }
  };
  // Threads were measured on a busy computer only, where two took longer than one: they must be asked for.
  const settings = { threads: threads ?? '1', silent: isSilent(terminal, pause), ahead: 2 };
  await eachRun(terminal, runs, ['export', textOfRun], asked, settings, complaints, take);
  exporter.end();
  tellRest(terminal, selection.kind, rest);
  return rows;
}

function filesOf(kind: string, folder: Folder, complain: (message: string) => void): Exporter {
  if (kind === 'tensors') return tensorFiles(folder);
  return kind === 'meshes' ? meshFiles(folder, complain) : mediaFiles(kind as 'images' | 'audio', folder);
}

/** The tags of all scalars, which a wide table must know at its beginning. */
async function tagsOf(runs: readonly FoundRun[], { tags }: Selection): Promise<string[]> {
  const found = new Set<string>();
  // One reading is enough where no point is hidden.
  const reading = { tags, raw: true, complain: () => {}, keepsRaw: false, startOver: () => {} };
  for (const { files } of runs) {
    await scanRun(files, reading, ({ summary }) => {
      for (const { tag, value } of summary ?? []) if (typeof value === 'number') found.add(tag);
    });
  }
  return [...found].sort((a, b) => (a < b ? -1 : 1));
}
