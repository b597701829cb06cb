/** Whether colours may be written to the terminal: not into a file or pipe, and not where NO_COLOR asks for none. */
export function terminalHasColors(): boolean {
  // Node's hasColors also knows TERM=dumb and FORCE_COLOR.
  return process.stdout.isTTY === true && process.stdout.hasColors();
}
