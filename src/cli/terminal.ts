/** What the commands share: what they need of the world, styles, tables. */

/** What a command needs of the world. The executable gives it the real one, a test gives its own. */
export interface Terminal {
  /** Writes to standard output. */
  write(text: string): void;
  /** Writes to standard error. */
  writeError(text: string): void;
  /** Whether standard output shows colors. */
  readonly colors: boolean;
  /** Writes a file, and makes the folders it lies in. */
  writeFile(path: string, content: string | Uint8Array): void;
  /** Opens a file for text that comes piece by piece. */
  createFile(path: string): { write(text: string): void; close(): void };
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

/** Text from a file that may be hostile: control characters, which would command the terminal, are escaped. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those are to be replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/**
 * Rows with their cells padded to columns.
 *
 * @param numeric the names of the columns that are aligned to the right
 */
export function table(terminal: Terminal, header: string[], rows: string[][], numeric: readonly string[] = []): string {
  const clean = rows.map((row) => row.map(printable));
  const widths = header.map((name, column) => Math.max(name.length, ...clean.map((row) => row[column].length)));
  const line = (row: string[]) =>
    row
      .map((cell, column) =>
        numeric.includes(header[column]) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
      )
      .join('  ')
      .trimEnd();
  return [styled(terminal, 'bold', line(header)), ...clean.map(line)].map((text) => `${text}\n`).join('');
}

/** A number of things, such as '1 file' or '2 files'. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
