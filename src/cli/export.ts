/** The command `export`: what event files hold, for other programs. */
import { printable, printableLines } from '../errors.js';
import type { TensorBoardEvent } from '../event/event.js';
import { scanRun } from '../reader/shown-points.js';
import { exportEmbeddings, mediaFiles, meshFiles, tensorFiles } from './export-files.js';
import { type Exporter, hparamsTable, longTable, tableKinds, wideTable } from './export-tables.js';
import { valueText } from './inspect.js';
import { type FoundRun, findAllRuns, Progress, tagFilter, typedPath } from './runs.js';
import { type Column, loadParquet, openTable, type Table, tableFormat } from './table.js';
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

/** Options of `export`, as typed. */
interface ExportOptions {
  kind?: string;
  format?: string;
  out?: string;
  plain?: boolean;
  tags?: string;
  raw?: boolean;
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
    throw new UsageError(`--kind: expected ${exportKinds.join(', ')}, got "${kind}"`);
  }
  if (wide && kind !== 'scalars') throw new UsageError(`--wide: expected --kind scalars, got "${kind}"`);
  const tags = tagFilter(options.tags);
  const complaints = new Complaints(terminal);
  const complain = (message: string) => complaints.add(message);
  const isTable = tables.includes(kind as (typeof tables)[number]);
  if (!isTable && out === undefined) throw new UsageError(`--out: expected the folder to write the ${kind} to`);
  const format = isTable ? tableFormat(options.json ? (options.format ?? 'json') : options.format, out) : undefined;
  const parquet = format === 'parquet' ? await loadParquet() : undefined;
  const runs = await findAllRuns([...new Set(paths)], complaints);
  if (kind === 'embeddings') {
    await exportEmbeddings(runs, terminal, out!, tags, complain);
    return complaints.exitCode;
  }
  const selection: Selection = { terminal, kind: kind as Kind, tags, raw, complain };
  if (!isTable) {
    await exportRuns(runs, selection, filesOf(kind, terminal, out!, complain));
    return complaints.exitCode;
  }
  let rows = 0;
  const shown = wide ? await tagsOf(runs, selection) : [];
  const file = out === undefined ? undefined : terminal.createFile(out);
  try {
    // What other programs need of a table stays; the rest would command the terminal behind them.
    const write = (content: string | Uint8Array) =>
      file === undefined ? terminal.write(printableLines(content as string)) : file.write(content);
    const open = (columns: readonly Column[]): Table => {
      const table = openTable(format!, columns, write, { plain, parquet });
      const add: Table['add'] = (added, record) => {
        rows += added.length;
        table.add(added, record);
      };
      return { add, end: () => table.end() };
    };
    const exporter = wide
      ? wideTable(shown, open)
      : kind === 'hparams'
        ? hparamsTable(open)
        : longTable(tableKinds[kind as keyof typeof tableKinds], open);
    await exportRuns(runs, selection, exporter, file === undefined ? () => terminal.drained() : undefined);
  } finally {
    file?.close();
  }
  if (out !== undefined && !options.json) terminal.write(`${plural(rows, 'row')} in ${printable(out)}\n`);
  return complaints.exitCode;
}

/** Which summaries are exported, and whom to tell what is left out. */
interface Selection {
  readonly terminal: Terminal;
  readonly kind: Kind;
  readonly tags: (tag: string) => boolean;
  readonly raw?: boolean;
  readonly complain: (message: string) => void;
}

function takes(kind: Kind, plugin: string): boolean {
  if (kind === 'tensors') return !otherPlugins.has(plugin);
  return plugins[kind as keyof typeof plugins].includes(plugin);
}

/** Gives the summaries of runs to an exporter. */
async function exportRuns(
  runs: readonly FoundRun[],
  { complain, kind, raw, tags, terminal }: Selection,
  exporter: Exporter,
  pause?: () => Promise<void>,
): Promise<void> {
  let hidden = 0;
  let taken = 0;
  const others = new Set<string>();
  // What goes to the terminal itself shows how far it is.
  const silent = pause !== undefined && terminal.size() !== undefined;
  const progress = silent ? undefined : await Progress.of(terminal, runs);
  for (const { files, run } of runs) {
    const leftOut = new Map<string, { count: number; reason: string }>();
    const visit = (event: TensorBoardEvent, isShown: (index: number) => boolean) => {
      for (const [index, summary] of (event.summary ?? []).entries()) {
        if (!takes(kind, summary.plugin)) {
          others.add(summary.plugin);
          continue;
        }
        taken++;
        const known = leftOut.get(summary.tag);
        if (!isShown(index)) hidden++;
        else if (exporter.add(run, event, summary)) continue;
        else if (known) known.count++;
        else leftOut.set(summary.tag, { count: 1, reason: valueText(summary.value) });
      }
    };
    // Hyperparameters have tags of their own, and stand beside any metric.
    const wanted = kind === 'hparams' ? (tag: string) => tag.startsWith('_hparams_/') || tags(tag) : tags;
    await scanRun(files, { tags: wanted, raw, complain, read: progress?.read }, visit, pause);
    exporter.endRun?.(run);
    for (const [tag, { count, reason }] of leftOut) {
      complain(`run "${run}", tag "${tag}": ${plural(count, 'value')} left out: ${reason}`);
    }
  }
  progress?.clear();
  exporter.end();
  if (taken === 0) {
    const there = others.size === 0 ? '' : `, only ${[...others].sort().join(', ')}`;
    terminal.writeError(`there are no ${kind.replace('_', ' ')} in these runs${there}\n`);
  }
  if (hidden > 0) {
    const points = plural(hidden, 'point');
    terminal.writeError(`${points} left out that TensorBoard hides behind later ones: --raw exports all\n`);
  }
}

function filesOf(kind: string, terminal: Terminal, out: string, complain: (message: string) => void): Exporter {
  if (kind === 'tensors') return tensorFiles(terminal, out);
  return kind === 'meshes' ? meshFiles(terminal, out, complain) : mediaFiles(kind as 'images' | 'audio', terminal, out);
}

/** The tags of all scalars, which a wide table must know at its beginning. */
async function tagsOf(runs: readonly FoundRun[], { tags }: Selection): Promise<string[]> {
  const found = new Set<string>();
  for (const { files } of runs) {
    await scanRun(files, { tags, raw: true, complain: () => {} }, ({ summary }) => {
      for (const { tag, value } of summary ?? []) if (typeof value === 'number') found.add(tag);
    });
  }
  return [...found].sort((a, b) => (a < b ? -1 : 1));
}
