/** Whether colours may be written to the terminal: not into a file or pipe, and not where NO_COLOR asks for none. */
export function terminalHasColors(): boolean {
  // Node's hasColors also knows TERM=dumb and FORCE_COLOR.
  return process.stdout.isTTY === true && process.stdout.hasColors();
}

/** True where somebody watches: standard error is a terminal. */
export function writesToTerminal(): boolean {
  return process.stderr.isTTY === true;
}

/** Writes to the terminal beside the program's own output: progress lines. */
export function writeTerminal(text: string): void {
  process.stderr.write(text);
}
