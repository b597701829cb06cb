/** Text: markdown, or tables of markdown. */
import { describe } from '../errors.js';
import type { TensorValue, TextValue } from '../event/event.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { stringTensor, textOf } from './tensor.js';

/** Markdown; or a table as rows of cells, each cell markdown or a number; or a table of one column as its cells. */
export type MarkdownInput = string | readonly TextCell[] | readonly (readonly TextCell[])[];

/** A cell of a table: markdown, or a number, which is written as JavaScript writes it. */
export type TextCell = string | number | bigint;

/** @deprecated Use MarkdownInput. */
export type Text = MarkdownInput;

/**
 * Text for TensorBoard's text dashboard, which renders markdown. A string is one text; rows of strings, all of the same
 * length, are drawn as a table; a flat list of strings as a table of one column.
 *
 * @throws TypeError if a cell is neither a string nor a number, RangeError if rows differ in length or the table is empty
 */
export function textSummary(text: MarkdownInput, call = 'text'): PluginSummary {
  const { strings, shape } = readText(text, call);
  return { plugin: 'text', dataClass: DataClass.tensor, tensor: stringTensor(strings, shape) };
}

/** The texts in a tensor of strings, with its shape. */
export function decodeText({ data, dtype, shape }: TensorValue): TextValue | undefined {
  return dtype === 'string' ? { shape, strings: (data as Uint8Array[]).map(textOf) } : undefined;
}

function readText(text: MarkdownInput, call: string): { strings: readonly string[]; shape: number[] } {
  if (typeof text === 'string') return { strings: [text], shape: [] };
  if (!Array.isArray(text)) throw new TypeError(`${call}: expected a string or rows of strings, got ${describe(text)}`);
  if (text.length === 0) throw new RangeError(`${call}: expected a table of at least one row, got an empty array`);
  const rows = text as readonly unknown[];
  if (!Array.isArray(rows[0])) return { strings: checkCells(rows, call), shape: [rows.length] };
  const columns: number = rows[0].length;
  if (columns === 0) throw new RangeError(`${call}: expected a table of at least one column, got an empty first row`);
  const strings = rows.flatMap((row, index) => {
    if (!Array.isArray(row))
      throw new TypeError(`${call}: row ${index}: expected an array of strings, got ${describe(row)}`);
    if (row.length !== columns)
      throw new RangeError(`${call}: row ${index}: expected ${columns} cells, got ${row.length}`);
    return checkCells(row, call);
  });
  return { strings, shape: [rows.length, columns] };
}

function checkCells(cells: readonly unknown[], call: string): readonly string[] {
  return cells.map((cell) => {
    if (typeof cell === 'string' || typeof cell === 'number' || typeof cell === 'bigint') return String(cell);
    throw new TypeError(`${call}: expected every cell to be a string or a number, got ${describe(cell)}`);
  });
}
