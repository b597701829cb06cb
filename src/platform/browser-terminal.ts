/** A browser's console shows ANSI colour codes as text. */
export function terminalHasColors(): boolean {
  return false;
}
