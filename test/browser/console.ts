const complaints: string[] = [];
let allowed: { pattern: RegExp; seen: string[] }[] = [];

/** Notes an error of anybody's or a warning of ours, unless the test expects it. */
export function complain(text: string): void {
  const expected = allowed.find(({ pattern }) => pattern.test(text));
  (expected?.seen ?? complaints).push(text);
}

/** What was noted since the last call, and an end to what was expected. */
export function takeComplaints(): string[] {
  allowed = [];
  return complaints.splice(0);
}

/** Until the test ends, warnings that match are expected. Returns those that come. */
export function allowWarnings(pattern: RegExp): readonly string[] {
  const seen: string[] = [];
  allowed.push({ pattern, seen });
  return seen;
}
