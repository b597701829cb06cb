import { terminalHasColors } from '#platform';
import { checkOptionNames, type OptionNames, printable } from '../errors.js';
import { type EpochStatistics, type LayerStatistics, shortNames } from '../saturation/epoch.js';
import { type ScalarStat, scalarStats, statsIn } from '../saturation/stats.js';
import type { Store } from './store.js';

/** Options of a ConsoleStore. */
export interface ConsoleStoreOptions {
  /** Receives each epoch's text, without a line break at its end. Default: console.log. */
  print?: (text: string) => void;
  /** Whether to use ANSI colors. Default: true on a terminal, unless the variable NO_COLOR is set. */
  colors?: boolean;
}

/** Orange and blue of the 256 colors of terminals: those of TensorBoard's first two runs, and of the splits in plots. */
const splitColors = { train: '38;5;208', val: '38;5;33' } as const;
/** Characters of a saturation of 1 as a bar. */
const barLength = 12;

/**
 * Prints a table per epoch: a line for each layer and split with its samples (n), its features (d) and the statistics
 * asked for, saturation also as a bar. Folders that most names begin with are named once, above the table. Arrays
 * (covariance, embedding) are not printed.
 */
export class ConsoleStore implements Store {
  readonly #print: (text: string) => void;
  readonly #colors: boolean;

  /** A store that prints with console.log, unless an option says otherwise. */
  constructor(options: ConsoleStoreOptions = {}) {
    checkOptionNames('ConsoleStore', options, { print: true, colors: true } satisfies OptionNames<ConsoleStoreOptions>);
    this.#print = options.print ?? ((text) => console.log(text));
    this.#colors = options.colors ?? terminalHasColors();
  }

  /** Prints one epoch. */
  add(epoch: EpochStatistics): void {
    this.#print(epochText(epoch, this.#colors));
  }
}

/** The text that ConsoleStore prints for an epoch. @param colors whether it holds ANSI escape codes */
export function epochText(statistics: EpochStatistics, colors = false): string {
  const { epoch, threshold, rule, layers, scalars } = statistics;
  const style = (code: number | string, text: string) => (colors ? `\u001b[${code}m${text}\u001b[0m` : text);
  const bold = (text: string) => style(1, text);
  const dim = (text: string) => style(2, text);
  const lines = [bold(`epoch ${epoch}`) + dim(`, ${threshold * 100} % of the variance (${rule} rule)`)];
  if (scalars.length > 0) {
    lines.push(
      `  ${scalars.map(({ tag, value, split }) => `${split ? `${split} ` : ''}${printable(tag)} ${short(value)}`).join('   ')}`,
    );
  }
  if (layers.length === 0) return lines.join('\n');

  const { prefix, short: shortName } = shortNames(layers.map(({ layer }) => layer));
  if (prefix !== '') lines.push(dim(`  names without ${printable(prefix)}`));
  const stats = statsIn(layers);
  const rows = layers.map((layer) => [
    printable(shortName(layer.layer)),
    layer.split,
    String(layer.samples),
    String(layer.features),
    ...stats.map((stat) => cell(layer, stat)),
    remarksOn(layer),
  ]);
  const head = ['layer', 'split', 'n', 'd', ...stats.map((stat) => scalarStats[stat].head), ''];
  const widths = head.map((text, k) => Math.max(text.length, ...rows.map((row) => row[k].length)));
  const isText = (k: number) => k < 2 || k === head.length - 1;
  const line = (cells: string[]) =>
    `  ${cells.map((text, k) => (isText(k) ? text.padEnd(widths[k]) : text.padStart(widths[k]))).join('  ')}`.trimEnd();
  lines.push(dim(line(head)));
  for (const [index, row] of rows.entries()) {
    const color = splitColors[layers[index]!.split];
    lines.push(colors ? line(row).replace(/█+/, (bar) => style(color, bar)) : line(row));
  }
  return lines.join('\n');
}

function remarksOn({ rejected, bounds }: LayerStatistics): string {
  const remarks = rejected > 0 ? [`${rejected} rows with NaN or Infinity left out`] : [];
  if (bounds) remarks.push(`estimate: saturation from ${short(bounds.low)} to ${short(bounds.high)}`);
  return remarks.join('; ');
}

function cell({ values }: LayerStatistics, stat: ScalarStat): string {
  const value = values[stat];
  if (value === undefined) return '';
  if (scalarStats[stat].isCount) return Number.isNaN(value) ? '-' : String(value);
  if (stat !== 'saturation') return short(value);
  if (Number.isNaN(value)) return '-';
  const full = Math.round(Math.min(1, Math.max(0, value)) * barLength);
  return `${'█'.repeat(full)}${'·'.repeat(barLength - full)}  ${value.toFixed(3)}`;
}

/** A number with four significant digits; a dash for NaN. */
function short(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '-' : String(value);
  return String(Number(value.toPrecision(4)));
}
