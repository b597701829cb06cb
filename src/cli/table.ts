/** Tables that commands write: as CSV, JSON, JSON lines or Parquet, row by row. */
import type { ParquetWriter } from 'hyparquet-writer';
import { messageOf, printable, printableLines } from '../errors.js';
import { Batch, type Terminal, UsageError } from './terminal.js';

/** The forms of a table. */
export const tableFormats = ['csv', 'json', 'jsonl', 'parquet'] as const;

/** A form of a table. */
export type TableFormat = (typeof tableFormats)[number];

/** A cell; undefined where there is none. */
export type Cell = string | number | bigint | boolean | undefined;

/** A column of a flat table. Steps are integers, and texts come from files. */
export interface Column {
  readonly name: string;
  readonly type: 'text' | 'step' | 'number' | 'boolean';
}

/** Takes what a table holds, row by row, in order. */
export interface Table {
  /**
   * Adds a record.
   *
   * @param rows its rows in a flat table
   * @param record the same as JSON, for tables that are
   */
  add(rows: readonly (readonly Cell[])[], record: () => object): void;
  /** Adds the UTF-8 bytes that a table has written which is a part, in the same format; absent where parts cannot be joined. */
  append?(parts: readonly Uint8Array[]): void;
  /** Writes what is left. */
  end(): void;
}

/** A table that takes many rows of numbers at once, too. */
export interface NumberTable extends Table {
  /**
   * Adds many records, each of a row: the texts, and a number of each column.
   *
   * @param record as JSON, by its number from 0 on
   */
  addNumbers(
    texts: readonly string[],
    columns: readonly ArrayLike<number | bigint>[],
    count: number,
    record: (row: number) => object,
  ): void;
}

/**
 * The format that was asked for, or that the name of the file says.
 *
 * @param json whether `--json` asked for it
 * @throws UsageError if there is no such format, or two were asked for
 */
export function tableFormat(format: string | undefined, out: string | undefined, json = false): TableFormat {
  if (json) return jsonFormat(format, out);
  const ending = /\.(\w+)$/.exec(out ?? '')?.[1].replace('ndjson', 'jsonl') as TableFormat;
  if (format === undefined && ending !== undefined && !tableFormats.includes(ending)) {
    throw new UsageError(
      `--out: expected a name that ends in .${tableFormats.join(', .')}, got "${out}"; --format says what to write into it all the same`,
    );
  }
  const found = format ?? ending ?? 'csv';
  if (!tableFormats.includes(found as TableFormat)) {
    throw new UsageError(`--format: expected ${tableFormats.join(', ')}, got "${found}"`);
  }
  if (found === 'parquet' && out === undefined) throw new UsageError('--out: expected the Parquet file to write');
  return found as TableFormat;
}

function jsonFormat(format: string | undefined, out: string | undefined): 'json' {
  if (format !== undefined && format !== 'json')
    throw new UsageError(`--json: expected no other format, got "${format}"`);
  if (format === undefined && out !== undefined && /\.\w+$/.test(out) && !out.endsWith('.json')) {
    throw new UsageError(`--json: expected a name that ends in .json, got --out "${out}"`);
  }
  return 'json';
}

/** A writer of Parquet files, which an optional package brings. @throws UsageError that says how to install it */
export async function loadParquet(): Promise<typeof import('hyparquet-writer')> {
  try {
    return await import('hyparquet-writer');
  } catch (error) {
    throw new UsageError(
      `--format parquet needs the package hyparquet-writer: npm install hyparquet-writer. ${messageOf(error)}`,
    );
  }
}

/**
 * Begins a table.
 *
 * @param plain whether texts in CSV stay as they are
 * @param isPart whether it is a part for `append`, without the beginning and the end of a table
 * @param parquet what `loadParquet` gave, for that format
 */
export function openTable(
  format: TableFormat,
  columns: readonly Column[],
  write: (content: string | Uint8Array) => void,
  {
    plain = false,
    isPart = false,
    parquet,
  }: { plain?: boolean; isPart?: boolean; parquet?: typeof import('hyparquet-writer') } = {},
): NumberTable {
  if (format === 'parquet') return byRow(parquetTable(columns, write, parquet!));
  const batch = new Batch(write);
  const append = (parts: readonly Uint8Array[]) => {
    batch.flush();
    for (const part of parts) write(part);
  };
  if (format === 'csv') return { ...csvTable(columns, batch, plain, isPart), append };
  return byRow(format === 'json' ? jsonTable(batch, isPart, append) : { ...jsonLines(batch), append });
}

/** A table that takes many records one by one. */
function byRow(table: Table): NumberTable {
  return {
    ...table,
    addNumbers(texts, columns, count, record) {
      for (let row = 0; row < count; row++) {
        table.add([[...texts, ...columns.map((column) => column[row])]], () => record(row));
      }
    },
  };
}

/** So many rows of numbers become CSV at once. */
const rowsAtOnce = 256;

function csvTable(columns: readonly Column[], batch: Batch, plain: boolean, isPart: boolean): NumberTable {
  // Texts as run and tag are those of the row before, as a rule.
  const [last, lastText]: [string[], string[]] = [[], []];
  const text = (value: string, column: number) => {
    if (last[column] !== value) {
      last[column] = value;
      lastText[column] = quote(plain ? value : guarded(value));
    }
    return lastText[column];
  };
  const line = (cells: readonly Cell[]) => {
    let joined = '';
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i];
      if (i > 0) joined += ',';
      if (typeof cell === 'string') joined += text(cell, i);
      else if (!Number.isFinite(cell)) joined += cell === undefined ? '' : String(cell);
      else {
        // JSON writes finite numbers as String does, and several at once in a third of the time.
        const first = i;
        while (i + 1 < cells.length && Number.isFinite(cells[i + 1])) i++;
        joined += JSON.stringify(cells.slice(first, i + 1)).slice(1, -1);
      }
    }
    batch.write(`${joined}\r\n`);
  };
  if (!isPart) line(columns.map(({ name }) => name));
  return {
    add: (rows) => rows.forEach(line),
    addNumbers(texts, numbers, count) {
      const prefix = texts.map((each, column) => `${text(each, column)},`).join('');
      // Filled again and again with numbers alone, so that nothing is allocated for a row.
      const rows = Array.from({ length: Math.min(count, rowsAtOnce) }, () => numbers.map(() => 0.5));
      let filled = 0;
      const flush = () => {
        if (filled === 0) return;
        const json = JSON.stringify(filled < rows.length ? rows.slice(0, filled) : rows);
        batch.write(`${prefix}${json.slice(2, -2).replaceAll('],[', () => `\r\n${prefix}`)}\r\n`);
        filled = 0;
      };
      for (let row = 0; row < count; row++) {
        const cells = rows[filled];
        let column = 0;
        for (; column < numbers.length; column++) {
          const number = numbers[column][row];
          if (!Number.isFinite(number)) break;
          cells[column] = number as number;
        }
        if (column === numbers.length) filled++;
        else {
          flush();
          line([...texts, ...numbers.map((each) => each[row])]);
        }
        if (filled === rows.length) flush();
      }
      flush();
    },
    end: () => batch.flush(),
  };
}

/**
 * A text that no spreadsheet runs as a formula: one that begins like a formula gets an apostrophe in front, which
 * spreadsheets take for the mark of a text. Numbers stay. Source: https://owasp.org/www-community/attacks/CSV_Injection
 *
 * One that has apostrophes before its formula gets another one, so that no two texts become the same.
 */
function guarded(text: string): string {
  const [, formula] = /^'*([=+\-@\t\r].*)/s.exec(text) ?? [];
  return formula !== undefined && Number.isNaN(Number(formula)) ? `'${text}` : text;
}

/** The inverse of the guard: a text as it was before CSV put an apostrophe in front. */
export function unguarded(text: string): string {
  return text.startsWith("'") && guarded(text.slice(1)) === text ? text.slice(1) : text;
}

/** A cell of a CSV file, quoted if it must be. Source: RFC 4180. */
function quote(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function jsonTable(batch: Batch, isPart: boolean, append: NonNullable<Table['append']>): Table {
  let separator = isPart ? ',' : '[';
  return {
    add(_rows, record) {
      batch.write(`${separator}\n${printable(jsonText(record()))}`);
      separator = ',';
    },
    append(parts) {
      if (parts.length === 0) return;
      const [first, ...others] = parts;
      // A part begins with the comma behind the record before it.
      batch.write(separator);
      append([first.subarray(1), ...others]);
      separator = ',';
    },
    end() {
      if (!isPart) batch.write(separator === '[' ? '[]\n' : '\n]\n');
      batch.flush();
    },
  };
}

function jsonLines(batch: Batch): Table {
  return {
    add: (_rows, record) => batch.write(`${printable(jsonText(record()))}\n`),
    end: () => batch.flush(),
  };
}

/**
 * JSON, which has no NaN, no infinities and no integers beyond 2^53: those become text, as in TensorBoard's own answers.
 *
 * @param space as that of JSON.stringify
 */
export function jsonText(value: unknown, space?: number): string {
  const known = (_key: string, each: unknown) => {
    if (typeof each === 'bigint') return String(each);
    return typeof each === 'number' && !Number.isFinite(each) ? String(each) : each;
  };
  return JSON.stringify(value, known, space);
}

/** Writes what a command found as JSON: a list with a record for each thing. */
export function writeJson(terminal: Terminal, records: readonly object[]): void {
  terminal.write(`${printableLines(jsonText(records, 2))}\n`);
}

/** Writes a record of a command that goes on, on a line of its own. */
export function writeJsonLine(terminal: Terminal, record: object): void {
  terminal.write(`${printable(jsonText(record))}\n`);
}

/** Rows of a group, which are kept in memory until it is written. */
const groupRows = 65_536;

const parquetTypes = { text: 'STRING', step: 'INT64', number: 'DOUBLE', boolean: 'BOOLEAN' } as const;

function parquetTable(
  columns: readonly Column[],
  write: (content: Uint8Array) => void,
  { ByteWriter, ParquetWriter, schemaFromColumnData }: typeof import('hyparquet-writer'),
): Table {
  const empty = (): Cell[][] => columns.map(() => []);
  let cells = empty();
  const buffer = new ByteWriter();
  const dataOf = () => columns.map(({ name, type }, i) => ({ name, type: parquetTypes[type], data: cells[i] }));
  const writer: ParquetWriter = new ParquetWriter({
    writer: buffer,
    schema: schemaFromColumnData({ columnData: dataOf() }),
    createdBy: 'delve-tensorboard',
  });
  const pass = () => {
    write(buffer.getBytes().slice());
    buffer.index = 0;
  };
  const flush = () => {
    if (cells[0].length > 0) void writer.write({ columnData: dataOf(), rowGroupSize: groupRows });
    cells = empty();
    pass();
  };
  return {
    add(rows) {
      for (const row of rows) {
        for (const [i, { type }] of columns.entries()) {
          cells[i].push(type === 'step' && row[i] !== undefined ? BigInt(row[i] as number) : row[i]);
        }
      }
      if (cells[0].length >= groupRows) flush();
    },
    end() {
      flush();
      void writer.finish();
      pass();
    },
  };
}

/** A row as it is read: its cells, and the line of the file where it begins, from 1. */
export interface ReadRow {
  readonly line: number;
  readonly cells: readonly string[];
}

/** Cuts CSV (RFC 4180) into rows, piece by piece. Lines may end in CRLF, LF or CR; empty ones are passed over. */
export class CsvReader {
  /** What separates cells; by default a comma, or what the first line has in the place of commas: semicolons or tabs. */
  #separator: string | undefined;
  #cells: string[] = [];
  #cell = '';
  #state: 'plain' | 'quoted' | 'closed' = 'plain';
  #isAfterReturn = false;
  #line = 1;
  #first = 1;
  #pending = '';

  /** Adds text; returns the rows that are whole now. */
  push(text: string): ReadRow[] {
    if (this.#separator !== undefined) return this.#read(text);
    this.#pending += text;
    return /[\r\n]/.test(this.#pending) ? this.#begin() : [];
  }

  /** The rows behind the last end of a line. @throws RangeError if a quoted cell does not end */
  end(): ReadRow[] {
    const rows = this.#separator === undefined ? this.#begin() : [];
    if (this.#state === 'quoted') {
      throw new RangeError(
        `line ${this.#first}: expected the end of a cell in quotation marks, got the end of the file`,
      );
    }
    return [...rows, ...this.#endRow()];
  }

  #begin(): ReadRow[] {
    const text = this.#pending.replace(/^\uFEFF/, '');
    const [head] = text.split(/[\r\n]/, 1);
    this.#separator = [',', ';', '\t'].find((each) => head.includes(each)) ?? ',';
    this.#pending = '';
    return this.#read(text);
  }

  #read(text: string): ReadRow[] {
    const rows: ReadRow[] = [];
    for (const char of text) {
      const isSecond = char === '\n' && this.#isAfterReturn;
      this.#isAfterReturn = char === '\r';
      if (isSecond) {
        if (this.#state === 'quoted') this.#cell += char;
        continue;
      }
      const isEnd = char === '\n' || char === '\r';
      if (isEnd) this.#line++;
      if (this.#state === 'quoted') {
        if (char === '"') this.#state = 'closed';
        else this.#cell += char;
      } else if (char === '"' && this.#state === 'closed') {
        this.#cell += char;
        this.#state = 'quoted';
      } else if (char === '"' && this.#cell === '' && this.#state === 'plain') {
        this.#state = 'quoted';
      } else if (char === this.#separator) {
        this.#endCell();
      } else if (isEnd) {
        rows.push(...this.#endRow());
      } else {
        this.#cell += char;
      }
    }
    return rows;
  }

  #endCell(): void {
    this.#cells.push(this.#cell);
    this.#cell = '';
    this.#state = 'plain';
  }

  #endRow(): ReadRow[] {
    this.#endCell();
    const [line, cells] = [this.#first, this.#cells];
    this.#first = this.#line;
    this.#cells = [];
    return cells.length === 1 && cells[0] === '' ? [] : [{ line, cells }];
  }
}

/** A cell's number, also NaN and infinities as programs write them; undefined if it is none. */
export function numberOf(cell: unknown): number | undefined {
  if (typeof cell === 'number') return cell;
  if (typeof cell !== 'string') return undefined;
  const text = cell.trim();
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  const [, sign, word] = /^([+-]?)(nan|inf|infinity)$/i.exec(text) ?? [];
  if (word === undefined) return undefined;
  return word.toLowerCase() === 'nan' ? Number.NaN : sign === '-' ? -Infinity : Infinity;
}
