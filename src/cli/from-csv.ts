/** The command `from-csv`: tables of scalars, as `export` and others write them, become event files. */
import { didYouMean, messageOf, namesOf, printable } from '../errors.js';
import type { Step } from '../event/event.js';
import { sourceFiles } from '../reader/places.js';
import { walkRuns } from '../reader/run-files.js';
import { chunksOfFile } from '../reader/scan.js';
import { SummaryWriter } from '../writer/summary-writer.js';
import { tagOfColumn, wideHead } from './export-tables.js';
import { distinctPlaces, folderOfRun, typedPath } from './runs.js';
import { CsvReader, numberOf, unguarded } from './table.js';
import { Complaints, plural, type Terminal, UsageError } from './terminal.js';

/** Options of `from-csv`, as typed. */
interface FromCsvOptions {
  format?: string;
  out?: string;
  plain?: boolean;
  run?: string;
  step?: string;
  tag?: string;
  'wall-time'?: string;
}

/** What the columns of a table are; numbers are their places. */
interface Columns {
  readonly run?: number;
  readonly step?: number;
  readonly wallTime?: number;
  /** In a long table, which has a tag in each row. */
  readonly tag?: number;
  /** The columns of values, with their tags; in a long table the one. */
  readonly values: readonly (readonly [column: number, tag: string])[];
}

/** The names that columns of a kind have, whoever wrote them, in the order in which they are looked for; letter case does not count. */
const known = {
  run: ['run'],
  step: ['step', 'global_step', 'epoch', 'iteration'],
  wallTime: ['wall_time', 'walltime', 'wall time'],
  tag: ['tag'],
  value: ['value'],
} as const;

/** So many cells of a column that are no numbers are named each; of more it is said how many there are. */
const mostNamed = 5;

/** `from-csv`: resolves to the exit code, which is 1 if something in a file is not written. */
export async function fromCsv(terminal: Terminal, paths: readonly string[], options: FromCsvOptions): Promise<number> {
  if (paths.length === 0) throw new UsageError('expected a CSV file, or - for standard input');
  if (options.out === undefined) throw new UsageError('expected --out <logdir> for the event files');
  const { format } = options;
  if (format !== undefined && !['csv', 'json', 'jsonl'].includes(format)) {
    throw new UsageError(`--format: expected csv, json or jsonl, got "${format}"`);
  }
  const out = typedPath(options.out, '--out');
  const complaints = new Complaints(terminal);
  const before = (await sourceFiles.kind(out)) === 'folder' ? await walkRuns(out, () => {}) : [];
  const there = new Set(before.map(({ run }) => run));
  const target = new Target(out, there, options, complaints, (note) => terminal.writeError(`${printable(note)}\n`));
  for (const path of await distinctPlaces(paths)) {
    const file = typedPath(path, 'the path');
    const kind = await sourceFiles.kind(file);
    if (kind === undefined) throw new UsageError(`there is no file "${path}"`);
    if (kind === 'folder') throw new UsageError(`expected a file, got the folder "${path}"`);
    const isJson = (format ?? /\.(jsonl|ndjson|json)$/i.exec(file)?.[1] ?? 'csv') !== 'csv';
    target.begin(file);
    let isRead = true;
    try {
      await (isJson ? readJson(file, target) : readCsv(file, target, options.plain));
    } catch (error) {
      if (error instanceof UsageError) throw error;
      complaints.add(`${file}: ${messageOf(error)}`);
      isRead = false;
    }
    target.endFile(isRead);
  }
  await target.close();
  terminal.write(`${plural(target.points, 'point')} in ${plural(target.runs, 'run')} in ${printable(out)}\n`);
  return complaints.exitCode;
}

/** @param plain whether texts are as they stand there: no apostrophe is one that `export` put in front */
async function readCsv(file: string, target: Target, plain = false): Promise<void> {
  const reader = new CsvReader();
  const text = new TextDecoder();
  let names: readonly string[] | undefined;
  const take = (rows: ReturnType<CsvReader['push']>) => {
    for (const { cells, line } of rows) {
      const texts = plain ? cells : cells.map(unguarded);
      if (names === undefined) target.head((names = texts));
      else target.row(line, names, texts);
    }
  };
  for await (const chunk of chunksOfFile(file)) take(reader.push(text.decode(chunk, { stream: true })));
  take(reader.push(text.decode()));
  take(reader.end());
}

/** Reads a record on each line, or the list of them that `export` writes. */
async function readJson(file: string, target: Target): Promise<void> {
  const text = new TextDecoder();
  let [line, rest, heads] = [0, '', ''];
  const take = (typed: string) => {
    line++;
    const json = typed
      .trim()
      .replace(/^\[/, '')
      .replace(/[,\]]$/, '')
      .trim();
    if (json === '') return;
    let record: Record<string, unknown>;
    try {
      record = JSON.parse(json);
      if (record === null || typeof record !== 'object' || Array.isArray(record)) throw new Error('it is no object');
    } catch (error) {
      target.complain(`line ${line}: expected a record as JSON, which ends in its line: ${messageOf(error)}`);
      return;
    }
    const { values, ...cells } = record;
    const isWide = typeof values === 'object' && values !== null;
    const all = isWide ? [...Object.entries(cells), ...Object.entries(values)] : Object.entries(record);
    const names = all.map(([name]) => name);
    const head = JSON.stringify(names);
    try {
      if (head !== heads) target.head(names, isWide ? Object.keys(cells).length : undefined);
      heads = head;
      const found = all.map(([, cell]) => cell);
      target.row(line, names, found);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      target.complain(`line ${line}: ${messageOf(error)}`);
    }
  };
  for await (const chunk of chunksOfFile(file)) {
    const lines = (rest + text.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    lines.forEach(take);
  }
  take(rest + text.decode());
}

/** The logdir that is written. */
class Target {
  points = 0;
  readonly #out: string;
  readonly #there: ReadonlySet<string>;
  readonly #options: FromCsvOptions;
  readonly #complaints: Complaints;
  readonly #note: (note: string) => void;
  readonly #writers = new Map<string, SummaryWriter>();
  readonly #noted = new Set<string>();
  #file = '';
  #columns: Columns = { values: [] };
  /** Cells that are no numbers, by column. */
  #wrong = new Map<string, number>();
  #rows = 0;

  /** @param there the runs that have event files already */
  constructor(
    out: string,
    there: ReadonlySet<string>,
    options: FromCsvOptions,
    complaints: Complaints,
    note: (note: string) => void,
  ) {
    this.#out = out;
    this.#there = there;
    this.#options = options;
    this.#complaints = complaints;
    this.#note = note;
  }

  get runs(): number {
    return this.#writers.size;
  }

  /** A file begins. */
  begin(file: string): void {
    this.#file = file;
    this.#rows = 0;
  }

  complain(message: string): void {
    this.#complaints.add(`${this.#file}: ${message}`);
  }

  /**
   * The columns of the rows that follow.
   *
   * @param values where columns of values begin that are tags, whatever they are called
   */
  head(names: readonly string[], values?: number): void {
    this.#columns = this.#columnsOf(names, values);
  }

  /** Writes a row. */
  row(line: number, names: readonly string[], cells: readonly unknown[]): void {
    const columns = this.#columns;
    const index = this.#rows++;
    if (cells.length > names.length) {
      this.complain(`line ${line}: expected ${names.length} cells, got ${cells.length}: those behind are left out`);
    }
    const run = String((columns.run === undefined ? undefined : cells[columns.run]) ?? this.#options.run ?? '.') || '.';
    const step = columns.step === undefined ? index : stepOf(cells[columns.step]);
    if (step === undefined) {
      this.#complainOf(line, names[columns.step!], cells[columns.step!], 'a whole number: the row is left out');
      return;
    }
    let wallTime: number | undefined;
    if (columns.wallTime !== undefined) {
      const cell = cells[columns.wallTime];
      wallTime = numberOf(cell);
      if (wallTime === undefined && !isEmpty(cell)) {
        this.#complainOf(line, names[columns.wallTime], cell, 'seconds since 1970: the time is that of now');
      }
    }
    for (const [column, columnTag] of columns.values) {
      const cell = cells[column];
      if (isEmpty(cell)) continue;
      const value = numberOf(cell);
      const tag = columns.tag === undefined ? columnTag : String(cells[columns.tag] ?? '');
      if (value === undefined) this.#complainOf(line, names[column], cell, 'a number');
      else this.#add(line, run, tag, value, step, wallTime);
    }
  }

  /** A file has ended: says how many cells were not named, and that nothing was in it if all of it was read. */
  endFile(isRead: boolean): void {
    for (const [column, count] of this.#wrong) {
      if (count <= mostNamed) continue;
      this.complain(`column "${column}": ${plural(count - mostNamed, 'more cell')} of this kind`);
    }
    this.#wrong = new Map();
    if (isRead && this.#rows === 0)
      this.complain('expected a line with the names of columns, and rows below it, got none');
  }

  async close(): Promise<void> {
    for (const writer of this.#writers.values()) await writer.close();
  }

  #add(line: number, run: string, tag: string, value: number, step: Step, wallTime: number | undefined): void {
    try {
      this.#writerOf(run).addScalar(tag, value, step, wallTime === undefined ? {} : { wallTime });
      this.points++;
    } catch (error) {
      this.complain(`line ${line}: left out: ${messageOf(error)}`);
    }
  }

  /** @throws RangeError if a name leads out of the logdir */
  #writerOf(run: string): SummaryWriter {
    let writer = this.#writers.get(run);
    if (writer === undefined) {
      const parts = run.split('/');
      if (run !== '.' && (parts.some((part) => ['', '.', '..'].includes(part)) || /[\\:\0]/.test(run))) {
        throw new RangeError(`run: expected the path of a folder below the logdir, got "${run.slice(0, 100)}"`);
      }
      if (this.#there.has(run)) this.#note(`run "${run}" has event files already: these points come beside theirs`);
      writer = new SummaryWriter(folderOfRun(this.#out, run));
      this.#writers.set(run, writer);
    }
    return writer;
  }

  #complainOf(line: number, column: string, cell: unknown, expected: string): void {
    const count = (this.#wrong.get(column) ?? 0) + 1;
    this.#wrong.set(column, count);
    if (count > mostNamed) return;
    const came = JSON.stringify(cell ?? '')?.slice(0, 60);
    this.complain(`line ${line}, column "${column}": expected ${expected}, got ${came}`);
  }

  #columnsOf(names: readonly string[], tagsFrom = names.length): Columns {
    const isExported = tagsFrom < names.length || wideHead.every(({ name }, at) => names[at] === name);
    if (!isExported) names = names.map((name) => name.trim());
    const lower = names.slice(0, tagsFrom).map((name) => name.toLowerCase());
    const find = (kind: keyof typeof known) => {
      const places = known[kind].map((name) => lower.indexOf(name)).filter((place) => place >= 0);
      return places.length === 0 ? undefined : places[0];
    };
    const chosen = (option: 'step' | 'wall-time', kind: 'step' | 'wallTime') => {
      const typed = this.#options[option];
      if (typed === undefined) return find(kind);
      const place = names.indexOf(typed);
      if (place >= 0) return place;
      const advice = didYouMean(typed, names, `the columns are ${namesOf(names)}`);
      throw new UsageError(`--${option}: expected a column of ${this.#file}, got "${typed}"${advice}`);
    };
    const [run, step, wallTime] = [find('run'), chosen('step', 'step'), chosen('wall-time', 'wallTime')];
    if (step === undefined) {
      this.#say(
        `${this.#file}: no column of steps (${known.step.join(', ')}): rows count from 0; --step names another`,
      );
    }
    const [tag, value] = isExported ? [] : [find('tag'), find('value')];
    if (tag !== undefined && value !== undefined) return { run, step, wallTime, tag, values: [[value, '']] };
    const taken = new Set([run, step, wallTime]);
    const rest = [...names.keys()].filter((place) => !taken.has(place));
    const unnamed = rest.filter((place) => names[place] === '');
    if (unnamed.length > 0) this.complain(`column ${unnamed[0] + 1} has no name: it is left out`);
    const values = rest.filter((place) => names[place] !== '');
    if (values.length === 0) {
      throw new RangeError(`expected a column of values besides steps and times, got ${namesOf(names)}`);
    }
    const { tag: given } = this.#options;
    if (values.length === 1 && (given !== undefined || value === values[0])) {
      return { run, step, wallTime, values: [[values[0], given ?? nameOf(this.#file)]] };
    }
    if (given !== undefined) {
      throw new UsageError(
        `--tag: expected a file with one column of values, got ${namesOf(values.map((at) => names[at]))}`,
      );
    }
    return {
      run,
      step,
      wallTime,
      values: values.map((place) => [place, isExported && place < tagsFrom ? tagOfColumn(names[place]) : names[place]]),
    };
  }

  #say(note: string): void {
    if (this.#noted.has(note)) return;
    this.#noted.add(note);
    this.#note(note);
  }
}

/** The name of a file without its folder and its ending: what TensorBoard's own download is called by. */
function nameOf(file: string): string {
  return file.replace(/^.*[/\\]/, '').replace(/\.[^.]*$/, '');
}

function isEmpty(cell: unknown): boolean {
  return cell === undefined || cell === null || (typeof cell === 'string' && cell.trim() === '');
}

/** A cell's step, whole and exact; undefined if it is none. */
function stepOf(cell: unknown): Step | undefined {
  if (typeof cell === 'string' && /^[+-]?\d+$/.test(cell.trim())) {
    const exact = BigInt(cell.trim().replace(/^\+/, ''));
    const near = Number(exact);
    return Number.isSafeInteger(near) ? near : exact;
  }
  const number = numberOf(cell);
  return number !== undefined && Number.isSafeInteger(number) ? number : undefined;
}
