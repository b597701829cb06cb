/** What the commands share: what they need of the world, styles, complaints, tables. */
import { printable } from '../errors.js';
import type { Served } from '../platform/file-server.js';
import type { ResultIndex } from '../platform/result-index.js';
import type { ListedRun } from '../reader/run-files.js';

/** What a command needs of the world. The executable gives it the real one, a test gives its own. */
export interface Terminal {
  /** Writes to standard output. */
  write(text: string): void;
  /** Resolves when standard output takes more: what is written before waits in memory. */
  drained(): Promise<void>;
  /** Writes to standard error. */
  writeError(text: string): void;
  /** Shows a text at the bottom of the terminal in the place of the last one; undefined where standard error is none. */
  status?(text: string): void;
  /** Whether standard output shows colors. */
  readonly colors: boolean;
  /** Characters in a line and lines of standard output; undefined if it is no terminal. */
  size(): { columns: number; rows: number } | undefined;
  /** Resolves when the program is told to end, by ^C or SIGTERM. */
  ended(): Promise<void>;
  /** The path of a file that holds what comes on standard input, until the program ends. */
  stdin(): Promise<string>;
  /** Loads a module of the user's. */
  importModule(path: string): Promise<Readonly<Record<string, unknown>>>;
  /** Writes a file, and makes the folders it lies in. */
  writeFile(path: string, content: string | Uint8Array): void;
  /**
   * Runs another program in this terminal. Signals reach it, and do not end this program before it.
   *
   * @returns its exit code; undefined if there is no such program
   */
  run(
    program: string,
    args: readonly string[],
    options: { environment?: Readonly<Record<string, string>>; quiet?: boolean },
  ): Promise<number | undefined>;
  /** The environment in which TensorBoard finds the package's plugin. */
  pluginEnvironment(): Readonly<Record<string, string>>;
  /** A file of the package, such as 'dashboard/page.js'. */
  asset(name: string): Uint8Array;
  /** Copies a file, and makes the folders that the copy lies in. Returns the copy's length in bytes. */
  copyFile(from: string, to: string): number;
  /** A text that nobody can guess. */
  secret(): string;
  /**
   * Starts a server, on another free port if the port is taken.
   *
   * @returns its port, and what resolves when the program is told to end
   */
  serve(served: Served): Promise<{ port: number; ended: Promise<void> }>;
  /** Other threads that work on runs; absent where there are none. */
  readonly threads?: RunThreads;
  /** What commands found in files before: in the user's cache folder, or while the program runs; absent where nothing is kept. */
  index?(where: 'folder' | 'memory'): ResultIndex;
  /** Opens a file for content that comes piece by piece. */
  createFile(path: string): { write(content: string | Uint8Array): void; close(): void };
}

/** Threads for the work on runs. */
export interface RunThreads {
  /** How many processors have nothing to do, that of this thread among them. */
  idle(): number;
  start(): RunThread;
}

/** A thread that does one task at a time. */
export interface RunThread {
  /**
   * Does a task of run-tasks.ts.
   *
   * @param read is told of bytes that were read
   * @returns undefined if the task or the thread has failed
   */
  ask(
    task: string,
    run: ListedRun,
    options: unknown,
    read: (bytes: number) => void,
  ): Promise<{ result: unknown; complaints: string[] } | undefined>;
  end(): void;
}

/** A command was called in a wrong way. The executable shows the message without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const styles = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const;

/** Text in a style, if the terminal has colors. */
export function styled(terminal: Terminal, style: keyof typeof styles, text: string): string {
  const [on, off] = styles[style];
  return terminal.colors ? `\u001b[${on}m${text}\u001b[${off}m` : text;
}

/** What could not be read: it is said on standard error, and the command goes on. */
export class Complaints {
  readonly #terminal: Terminal;
  #count = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** The exit code of the command. */
  get exitCode(): 0 | 1 {
    return this.#count > 0 ? 1 : 0;
  }

  add(message: string): void {
    this.#count++;
    this.#terminal.status?.('');
    this.#terminal.writeError(`${styled(this.#terminal, 'red', printable(message))}\n`);
  }
}

/** Joins many small texts into few writes. */
export class Batch {
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

/** Longer cells stick out of their column, so that one long tag does not widen every row. */
const maxColumnWidth = 80;

/**
 * Writes rows with their cells padded to columns.
 *
 * @param numeric the names of the columns that are aligned to the right
 */
export function writeTable(
  terminal: Terminal,
  header: string[],
  rows: Iterable<string[]>,
  numeric: readonly string[] = [],
): void {
  const clean = Array.from(rows, (row) => row.map((cell) => printable(cell)));
  const widths = header.map((name) => name.length);
  for (const row of clean) {
    for (const [column, { length }] of row.entries()) {
      if (length > widths[column] && length <= maxColumnWidth) widths[column] = length;
    }
  }
  const line = (row: string[]) =>
    row
      .map((cell, column) =>
        numeric.includes(header[column]) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
      )
      .join('  ')
      .trimEnd();
  const batch = new Batch((text) => terminal.write(text));
  batch.write(`${styled(terminal, 'bold', line(header))}\n`);
  for (const row of clean) batch.write(`${line(row)}\n`);
  batch.flush();
}

/** A number of things, such as '1 file' or '2 files'. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** A part of the terminal that is drawn again and again in its place. */
export class Picture {
  readonly #terminal: Terminal;
  readonly #isHidden: boolean;
  readonly #said = new Set<string>();
  #lines = 0;

  constructor(terminal: Terminal, isHidden = false) {
    this.#terminal = terminal;
    this.#isHidden = isHidden;
    // Without a cursor that jumps about.
    if (!isHidden) terminal.write('\u001b[?25l');
  }

  draw(lines: readonly string[]): void {
    const back = this.#lines > 0 ? `\u001b[${this.#lines}A` : '';
    this.#terminal.write(`${back}\r\u001b[J${lines.join('\n')}\n`);
    this.#lines = lines.length;
  }

  /** Says something once, above the picture. */
  say(message: string): void {
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.#terminal.writeError(`${printable(message)}\n`);
    this.#lines = 0;
  }

  end(): void {
    if (!this.#isHidden) this.#terminal.write('\u001b[?25h');
  }
}

/** A text cut to so many characters. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
