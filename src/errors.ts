/**
 * A record of an event file is damaged: its length or its content does not match the checksum stored with it, it claims
 * more bytes than the reader accepts, or what it holds is not an event. (A record that is merely cut off at the end of
 * its source is not damaged: see `readEvents`.)
 */
export class CorruptRecordError extends Error {
  /** Distinguishes this error from others even if it comes from another copy of this package. */
  override readonly name = 'CorruptRecordError';
  /** Position of the damaged record's first byte in the source, or in what is unpacked if the source is a packed file. */
  readonly offset: number;
  /** The file that holds the record; undefined if the bytes came from no file. */
  readonly file?: string;
  /** What is wrong, without the place. */
  readonly reason: string;

  /**
   * The message names the place and the reason.
   *
   * @param reason what is wrong, without the place
   * @param offset position in the source of the damaged record's first byte
   * @param file the file that holds the record
   * @param options `isUnread`: what failed is the reading, which says nothing of the record
   */
  constructor(reason: string, offset: number, file?: string, options?: { cause?: unknown; isUnread?: boolean }) {
    const what = options?.isUnread ? 'Unreadable from' : 'Damaged record at';
    super(`${what} byte ${offset}${file === undefined ? '' : ` of ${file}`}: ${reason}`, options);
    this.reason = reason;
    this.offset = offset;
    if (file !== undefined) this.file = file;
  }
}

/** A writer was used after `close()`. */
export class ClosedWriterError extends Error {
  /** Distinguishes this error from others even if it comes from another copy of this package. */
  override readonly name = 'ClosedWriterError';

  /**
   * The message names the call and the writer.
   *
   * @param call the call that came too late, such as `addScalar "loss"`
   * @param logdir the writer's logdir
   */
  constructor(call: string, logdir: string) {
    super(`${call}: the writer of '${logdir}' is closed. Open another one: it goes on in a file that sorts later.`);
  }
}

/** An optional package that draws is not installed. */
export class MissingRendererError extends Error {
  /** Distinguishes this error from others even if it comes from another copy of this package. */
  override readonly name = 'MissingRendererError';
  /** The package that could not be loaded. */
  readonly packageName: string;

  /**
   * The message says how to install the package.
   *
   * @param packageName the package that could not be loaded
   * @param options with the `cause`, which is left out if it only says the same: that there is no such package; the `call` that
   * wanted to draw; and all packages that it needs, to be installed with one command: by default the one
   */
  constructor(
    packageName: string,
    { call, cause, needed = [packageName] }: { call?: string; cause?: unknown; needed?: readonly string[] } = {},
  ) {
    super(
      `${call === undefined ? '' : `${call}: `}Drawing needs the package '${packageName}', which could not be loaded. Install it with: npm install ${needed.join(' ')}`,
      cause === undefined || messageOf(cause).startsWith(`Cannot find package '${packageName}'`)
        ? undefined
        : { cause },
    );
    this.packageName = packageName;
  }
}

/** Words the value that came instead of what was expected, for "expected …, got …": its kind, and the value if it is short. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value) && 'length' in value) {
    const { name } = value.constructor;
    return hasLostMemory(value) ? `a ${name} whose buffer was transferred or shrunk` : `a ${name} of ${value.length}`;
  }
  if (typeof value === 'string') return `the string ${JSON.stringify(value.slice(0, 40))}`;
  if (typeof value === 'object') return `an object${classOf(value)}`;
  if (typeof value === 'function') return 'a function';
  return value === undefined ? 'undefined' : `${typeof value} ${String(value)}`;
}

/** The name of an object's class, unless a minifier has made it a letter or two. */
function classOf(value: object): string {
  const name = value.constructor?.name ?? 'null prototype';
  return name.length > 2 ? ` of class ${name}` : '';
}

/** Words a list of names: the first ten, and how many more there are. */
export function namesOf(names: readonly string[]): string {
  const shown = names.slice(0, 10).map((name) => `'${name}'`);
  return `${shown.join(', ')}${names.length > shown.length ? ` and ${names.length - shown.length} more` : ''}`;
}

/**
 * Refuses a typed array whose buffer was transferred (to a worker, say) or made smaller: it has the length 0 and would be
 * taken for an empty one. Other values pass.
 *
 * @throws TypeError
 */
export function checkAttached(values: unknown, call: string): void {
  if (hasLostMemory(values)) throw new TypeError(`${call}: expected values in memory, got ${describe(values)}`);
}

function hasLostMemory(array: unknown): boolean {
  if (!ArrayBuffer.isView(array) || !('keys' in array) || (array as Uint8Array).length > 0) return false;
  try {
    (array as Uint8Array).keys(); // throws exactly if the buffer is gone, or ends before the array does
    return false;
  } catch {
    return true;
  }
}

/** The names of all options in a type: a table that TypeScript keeps complete. */
export type OptionNames<T> = { readonly [Name in keyof Required<T>]: true };

/**
 * Checks that every option has a name that is known. A name whose value is undefined is no option.
 *
 * @param call what the options were given to, for the error
 * @throws TypeError that says which name may have been meant
 */
export function checkOptionNames(call: string, options: object, known: Readonly<Record<string, true>>): void {
  if (options === null || typeof options !== 'object') {
    throw new TypeError(`${call}: expected options to be an object, got ${describe(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || Object.hasOwn(known, name)) continue;
    const names = Object.keys(known);
    const advice = didYouMean(name, names, `the options are ${names.join(', ')}`);
    throw new TypeError(`${call}: expected known options, got '${name.slice(0, 40)}'${advice}`);
  }
}

/**
 * Words the name that a mistyped one may stand for, as the end of an error: "; did you mean 'loss'?".
 *
 * @param name what came; what is no string is like no name
 * @param otherwise what else to say if no name is near; by default nothing
 */
export function didYouMean(name: unknown, names: readonly string[], otherwise = ''): string {
  const near = typeof name === 'string' && names.length > 0 ? nearest(name, names) : undefined;
  if (near !== undefined) return `; did you mean '${near}'?`;
  return otherwise === '' ? '' : `; ${otherwise}`;
}

/** The name that a mistyped one may stand for, also if that is written as in Python; undefined if none is near. */
function nearest(name: string, names: readonly string[]): string | undefined {
  const plain = (each: string) => each.slice(0, 40).replace(/[_-]/g, '').toLowerCase();
  const distances = names.map((each) => ({ each, distance: editDistance(plain(name), plain(each)) }));
  const best = distances.reduce((a, b) => (b.distance < a.distance ? b : a));
  return best.distance <= Math.max(1, Math.floor(plain(name).length / 3)) ? best.each : undefined;
}

/** How many letters must be inserted, removed, replaced or swapped with the next one (Damerau, optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(previous[j]! + 1, row[j - 1]! + 1, replaced);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}

/** Words the cause of a failure: an error's message, or whatever else was thrown. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

// C1, line and paragraph separators, and what embeds, overrides or isolates the direction of text.
const others = '\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069';
// Bundles of programs that print nothing leave these out, since they are marked as pure.
const commands = /* @__PURE__ */ new RegExp(`[\\u0000-\\u001f${others}]`, 'g');
const commandsBesideLines = /* @__PURE__ */ new RegExp(
  `[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f${others}]|\\r(?!\\n)`,
  'g',
);

/** Text that may come from a hostile file, made safe to print: characters that command a terminal are escaped, as `\u001b`. */
export function printable(text: string): string {
  return text.replace(commands, escaped);
}

/** As `printable`, for text of several lines: tabs and the ends of lines stay. */
export function printableLines(text: string): string {
  return text.replace(commandsBesideLines, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
