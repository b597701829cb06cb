import { describe } from '../errors.js';

/**
 * A table with one row per epoch and one column per value, and its text as Delve's csv files have it: separated by
 * `;`, with an unnamed first column for the epoch, and with an empty cell if an epoch has no such value.
 *
 * Cells are kept as text, so that rows that another program wrote do not change.
 */
export class EpochTable {
  readonly #columns = new Set<string>();
  readonly #rows = new Map<number, Map<string, string>>();

  /** Column names in the order they were first seen. */
  get columns(): string[] {
    return [...this.#columns];
  }

  /** Epochs that have a row, ascending. */
  get epochs(): number[] {
    return [...this.#rows.keys()].sort((a, b) => a - b);
  }

  /** Sets a cell's text, and adds its row and its column if they are new. An empty text empties the cell. */
  set(epoch: number, column: string, text: string): void {
    this.addEpoch(epoch);
    this.#columns.add(column);
    if (text === '') this.#rows.get(epoch)!.delete(column);
    else this.#rows.get(epoch)!.set(column, text);
  }

  /** Adds an empty row for an epoch if it is new. @throws RangeError if the epoch is not an integer */
  addEpoch(epoch: number): void {
    if (!Number.isInteger(epoch)) throw new RangeError(`EpochTable epoch: expected an integer, got ${epoch}`);
    if (!this.#rows.has(epoch)) this.#rows.set(epoch, new Map());
  }

  /** Adds an empty column if it is new. */
  addColumn(column: string): void {
    this.#columns.add(column);
  }

  /** A cell's number; NaN if the cell is empty or absent. */
  value(epoch: number, column: string): number {
    return numberOfText(this.#rows.get(epoch)?.get(column));
  }

  /** A column's numbers, one for each of {@link epochs}. */
  values(column: string): Float64Array {
    return Float64Array.from(this.epochs, (epoch) => this.value(epoch, column));
  }

  /** Removes an epoch and all later ones, and the columns that only those had. */
  dropFrom(epoch: number): void {
    for (const each of this.epochs) if (each >= epoch) this.#rows.delete(each);
    const rows = [...this.#rows.values()];
    for (const column of this.columns) {
      if (!rows.some((row) => row.has(column))) this.#columns.delete(column);
    }
  }

  /** The table as a csv file's text. */
  toString(): string {
    const columns = this.columns;
    const line = (cells: string[]) => `${cells.map(quoted).join(';')}\n`;
    let text = line(['', ...columns]);
    for (const epoch of this.epochs) {
      const row = this.#rows.get(epoch)!;
      text += line([String(epoch), ...columns.map((column) => row.get(column) ?? '')]);
    }
    return text;
  }

  /**
   * Reads the text of a csv file that Delve or this package wrote.
   *
   * @param source name of the text in errors
   * @throws RangeError if it is not such a table: nothing is guessed, so that no other file is overwritten by mistake
   */
  static parse(text: string, source = 'the text'): EpochTable {
    const table = new EpochTable();
    const [header, ...lines] = csvLines(text.replace(/^\ufeff/, ''), source);
    if (header === undefined) return table;
    if (header[0] !== '') {
      throw new RangeError(
        `${source}: expected a table of epochs, whose first line begins with ';' (an unnamed index column), got ${describe(header.join(';'))}`,
      );
    }
    const columns = header.slice(1);
    for (const column of columns) table.addColumn(column);
    lines.forEach((cells, index) => {
      const epoch = numberOfText(cells[0]);
      if (!Number.isSafeInteger(epoch) || epoch < 0 || cells.length !== header.length) {
        throw new RangeError(
          `${source}, line ${index + 2}: expected an epoch and ${columns.length} values, got ${cells.length} cells that begin with ${describe(cells[0])}`,
        );
      }
      if (table.#rows.has(epoch)) {
        throw new RangeError(`${source}, line ${index + 2}: expected each epoch once, got ${epoch} again`);
      }
      table.addEpoch(epoch);
      for (const [k, column] of columns.entries()) table.set(epoch, column, cells[k + 1]);
    });
    return table;
  }
}

/** A cell's text, in quotes only if it holds what separates cells or lines (RFC 4180, with `;` for the comma). */
function quoted(text: string): string {
  return /[;"\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Splits csv text into lines of cells; quoted cells may hold separators and line breaks. */
function csvLines(text: string, source: string): string[][] {
  const lines: string[][] = [];
  let cells: string[] = [];
  // One cell and what ends it: a separator, a line break, or the end of the text.
  const cell = /(?:"([^"]*(?:""[^"]*)*)"|(?!")([^;\r\n]*))(;|\r\n|\r|\n|$)/gy;
  while (cell.lastIndex < text.length || cells.length > 0) {
    const match = cell.exec(text);
    if (!match)
      throw new RangeError(`${source}, line ${lines.length + 1}: expected a closing quote, got the end of the text`);
    cells.push(match[1] === undefined ? match[2] : match[1].replaceAll('""', '"'));
    if (match[3] === ';') continue;
    if (cells.length > 1 || cells[0] !== '') lines.push(cells);
    cells = [];
    if (match[3] === '') break;
  }
  return lines;
}

/**
 * A number as pandas' to_csv writes a float64: the shortest digits that read back exactly, always with a point or an
 * exponent; `inf` for infinity, and the empty text for NaN.
 */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return '';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const [digits, power] = value.toExponential().split('e');
  const exponent = Number(power);
  // Python's repr: exponents below -4 or from 16 on, with a sign and at least two digits.
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const text = String(value);
  return text.includes('.') ? text : `${text}.0`;
}

/** A count as pandas writes an int64; the empty text for NaN. */
export function integerText(value: number): string {
  return Number.isInteger(value) ? String(value) : floatText(value);
}

/** The number in a cell: NaN for an empty one and for text that is not a number. */
export function numberOfText(text: string | undefined): number {
  if (text === undefined || text.trim() === '') return Number.NaN;
  const infinite = /^\s*([+-]?)inf(inity)?\s*$/i.exec(text);
  if (infinite) return infinite[1] === '-' ? -Infinity : Infinity;
  return Number(text);
}
