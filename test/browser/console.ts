const complaints: string[] = [];
let allowed: { pattern: RegExp; seen: string[] }[] = [];

/** Records an error or a warning of this package, unless the test expects it. */
export function complain(text: string): void {
  const expected = allowed.find(({ pattern }) => pattern.test(text));
  (expected?.seen ?? complaints).push(text);
}

/** Returns what was recorded since the last call, and ends the expectations. */
export function takeComplaints(): string[] {
  allowed = [];
  return complaints.splice(0);
}

/** Expects warnings that match until the test ends. Returns those that come. */
export function allowWarnings(pattern: RegExp): readonly string[] {
  const seen: string[] = [];
  allowed.push({ pattern, seen });
  return seen;
}
