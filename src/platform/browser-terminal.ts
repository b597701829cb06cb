/** A browser's console shows ANSI colour codes as text. */
export function terminalHasColors(): boolean {
  return false;
}

/** A page has no terminal to draw progress on. */
export function writesToTerminal(): boolean {
  return false;
}

/** Nothing: see writesToTerminal. */
export function writeTerminal(_text: string): void {}
