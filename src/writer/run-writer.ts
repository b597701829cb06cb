/**
 * What every writer has, whatever it writes: its options, its Run, the writers of the runs below it, flush and close, and
 * the checks that every addX shares. Subclasses turn their arguments into summaries and hand them to `write`.
 */
import { hostname, warn } from '#platform';
import { shortenedName } from '../encoding/file-names.js';
import { wellFormed } from '../encoding/protobuf.js';
import { ClosedWriterError, checkOptionNames, describe, type OptionNames } from '../errors.js';
import { checkEventBytes, checkStep, checkTag, checkText, secondsOf } from '../event/check-arguments.js';
import { checkEvent } from '../event/check-event.js';
import type { Step, TensorBoardEvent } from '../event/event.js';
import { DirectoryOutput, isLogdir, logdirPath } from '../output/directory-output.js';
import { type Output, safePath } from '../output/output.js';
import { type Later, whenRead } from '../summaries/numbers.js';
import type { PluginSummary } from '../summaries/plugin-summary.js';
import { type RunOptions, type RunShare, realFolder, shareRun } from './open-runs.js';
import { together } from './record-buffer.js';
import { bytesOf, type Run } from './run.js';
import type { TaggedTensor } from './written-tags.js';

/**
 * How a SummaryWriter writes. Every limit is an upper bound: events may be written sooner, and into a folder of the file
 * system they are, within milliseconds.
 */
export interface SummaryWriterOptions {
  /** Appended to the default logdir; without effect if a logdir is given. */
  comment?: string;
  /** Hides the points at this step and later of an earlier, crashed run in the same folder. */
  purgeStep?: Step;
  /** Events buffered before a write is forced. No limit by default: time and size are limits enough. */
  maxQueue?: number;
  /** The longest time an event may stay unwritten, in seconds; also checked at each addX. 1 by default. */
  flushSecs?: number;
  /** Size of the buffer in bytes. 65,536 by default; the buffer starts small and grows up to this. */
  maxBufferedBytes?: number;
  /** Bytes that stay in memory while they cannot be written (full disk); beyond it events are lost, and counted. 64 MiB by default. */
  maxUnwrittenBytes?: number;
  /**
   * Ends the event file's name. Letters, digits, `-`, `_` and `.` are kept; any other character becomes `_`. Without effect
   * if an Output is given instead of a logdir.
   */
  filenameSuffix?: string;
  /**
   * Whether to write what is buffered on SIGINT and SIGTERM, and then let the signal do its work. Off by default, since a
   * program that listens to a signal can no longer be ended by it while it computes without a pause; without it a signal
   * loses what has not been written: the last milliseconds, and what waits for values that come later.
   */
  handleSignals?: boolean;
}

const optionNames: OptionNames<SummaryWriterOptions> = {
  comment: true,
  purgeStep: true,
  maxQueue: true,
  flushSecs: true,
  maxBufferedBytes: true,
  maxUnwrittenBytes: true,
  filenameSuffix: true,
  handleSignals: true,
};

const defaults = {
  comment: '',
  maxQueue: Number.POSITIVE_INFINITY,
  flushSecs: 1,
  maxBufferedBytes: 65_536,
  maxUnwrittenBytes: 64 * 2 ** 20,
  filenameSuffix: '',
  handleSignals: false,
} satisfies SummaryWriterOptions;

/** The least value of each limit. */
const minima = { maxQueue: 1, flushSecs: 0, maxBufferedBytes: 1, maxUnwrittenBytes: 0 } as const;

/** What every addX takes beside its data. */
export interface SummaryOptions {
  /** When the event happened: a Date, or seconds since 1970-01-01 UTC. The time of the call by default. */
  wallTime?: number | Date;
  /** Shown instead of the tag. Counts on the tag's first event in a file, as `description` does. */
  displayName?: string;
  /** Markdown, shown beside the chart. */
  description?: string;
}

/** The names of the options that all addX have in common. */
export const summaryOptionNames: OptionNames<SummaryOptions> = { wallTime: true, displayName: true, description: true };

/** The address of a summary in a run: the arguments that all addX have in common, checked. */
export interface SummaryAddress {
  /** The call, for errors: `addScalar "loss"`. */
  call: string;
  tag: string;
  step: Step;
  /** Seconds; undefined if it is the time of the call. */
  wallTime: number | undefined;
  displayName: string | undefined;
  description: string | undefined;
}

/** What an addX writes in one event. */
type Summaries = PluginSummary | PluginSummary[];

/** A writer of one run and of the runs below it. See SummaryWriter, which adds every kind of summary. */
export abstract class RunWriter implements AsyncDisposable {
  /** The folder, as it was given; '' if the writer was given an Output that is no folder. */
  readonly logdir: string;
  /** @internal The run this writer writes to, which it may share with other writers. */
  protected readonly ownRun: Run;
  readonly #options: SummaryWriterOptions;
  readonly #share: RunShare;
  /** The writers of the runs below, by name. */
  readonly #runs = new Map<string, this>();
  /** The names of the runs below, by their folders. */
  readonly #namesOfFolders = new Map<string, string>();
  /** Tags that were given without a step. */
  readonly #withoutStep = new Map<string, 'once' | 'warned'>();
  /** Tags whose values were remarked on. */
  readonly #remarked = new Set<string>();
  #closing: Promise<void> | undefined;

  /**
   * Opens a run. A folder's event file is made when the first event is written.
   *
   * @param logdir a folder, which is made if it is missing; `runs/<MMMdd_HH-MM-SS>_<host><comment>` by default, with `_1`, `_2`
   * behind it if that is there already. Or any Output.
   * @throws TypeError or RangeError if an argument is wrong or the folder is no place of this computer, Error if it cannot be
   * made
   */
  constructor(logdir?: string | URL | Output, options: SummaryWriterOptions = {}) {
    const runOptions = checkOptions(options);
    this.#options = options;
    const isOutput = logdir !== undefined && !isLogdir(logdir);
    if (isOutput && typeof (logdir as Output | null)?.write !== 'function') {
      throw new TypeError(
        `SummaryWriter: expected logdir to be a non-empty string or an Output, got ${describe(logdir)}`,
      );
    }
    const output = isOutput
      ? logdir
      : logdir === undefined
        ? newFolder(options)
        : new DirectoryOutput(logdirPath(logdir, 'SummaryWriter'), options);
    this.logdir = output instanceof DirectoryOutput ? output.logdir : '';
    this.#share = shareRun(output, runOptions, !isOutput);
    this.ownRun = this.#share.run;
    if (options.purgeStep !== undefined) this.ownRun.purge(options.purgeStep);
  }

  /** Bytes that have been added and are not in the file yet; a producer may slow down on it. */
  get pendingBytes(): number {
    let bytes = this.ownRun.pendingBytes;
    for (const run of this.#runs.values()) bytes += run.pendingBytes;
    return bytes;
  }

  /**
   * The writer of a run below this one, `<logdir>/<name>`. There is one per name; it is flushed and closed with this one.
   *
   * @param name may hold `/`; nothing in it leads out of the logdir: `..` and characters that a file system does not take
   * are replaced, and names that are too long for it are cut. A name that was changed ends in a checksum
   * @throws TypeError if the name is not a string or this writer's Output has no runs; RangeError if the name is empty, a link
   * leads its folder out of the logdir, or another name of this writer has the same folder (`a//b` beside `a/b`; on some
   * systems `A` beside `a`)
   */
  run(name: string): this {
    this.#checkOpen(`run '${name}'`);
    const known = this.#runs.get(name);
    if (known !== undefined && !known.isClosed) return known;
    if (typeof name !== 'string') throw new TypeError(`run: expected the name to be a string, got ${describe(name)}`);
    const { output } = this.ownRun;
    if (output.run === undefined) throw new TypeError(`run '${name}': this Output has no runs`);
    const path = safePath(name);
    const below = output.run(path);
    const folder = below instanceof DirectoryOutput ? realFolder(below, false) : path;
    const earlier = this.#namesOfFolders.get(folder);
    if (earlier !== undefined && earlier !== name) {
      throw new RangeError(
        `run ${JSON.stringify(name)}: expected a name with a folder of its own, got the folder of run ${JSON.stringify(earlier)}`,
      );
    }
    const Writer = this.constructor as new (output: Output, options: SummaryWriterOptions) => this;
    // A run that is opened again has been purged: what it has written since then stays.
    const run = new Writer(below, known === undefined ? this.#options : { ...this.#options, purgeStep: undefined });
    run.ownRun.placeBelow(this.ownRun);
    this.#runs.set(name, run);
    this.#namesOfFolders.set(folder, name);
    return run;
  }

  /** Whether `close` has been called. */
  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Writes an event as it is: what `readEvents` yields is written back without loss. An event is refused if it would stop one of
   * TensorBoard's loaders, or keep a page from showing other tags; a loop that copies a file of which it knows nothing catches
   * that and goes on with the next event.
   *
   * @throws TypeError or RangeError that says what is wrong with the event; then nothing has been written
   */
  addEvent(event: TensorBoardEvent): void {
    this.#checkOpen('addEvent');
    this.ownRun.addEvent(checkEvent(event, (summaries) => this.ownRun.checkSummaries(summaries)));
  }

  /**
   * Resolves when every event added so far, to this writer and to its runs, is in the file; rejects with the first
   * write error. A rejection that nobody awaits does no harm.
   */
  flush(): Promise<void> {
    return this.#closing ?? together([this.ownRun.flush(), ...this.#eachRun((run) => run.flush())]);
  }

  /** Flushes and closes this writer and its runs. Rejects as `flush` does; the writer is closed all the same. */
  close(): Promise<void> {
    this.#closing ??= together([...this.#eachRun((run) => run.close()), this.#share.release()]);
    return this.#closing;
  }

  /** Closes the writer at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Writes what has been collected, without waiting for the end of the turn: before a long computation.
   *
   * @internal
   */
  writeOut(): void {
    this.ownRun.writeOut();
  }

  /**
   * Whether the caller is the first to claim a value for this run, among all writers that share it: the first one writes
   * the value, and the others leave it out.
   *
   * @internal
   * @param owner what the value belongs to, such as one training
   */
  claim(owner: object, value: string): boolean {
    return this.ownRun.claim(owner, value);
  }

  /**
   * Checks the arguments that all addX have in common.
   *
   * @internal
   * @param method the name of the addX, for errors
   * @param names the options that it takes
   */
  protected checkAddress(
    method: string,
    tag: string,
    step: Step | undefined,
    options: SummaryOptions = {},
    names: Readonly<Record<string, true>> = summaryOptionNames,
  ): SummaryAddress {
    const call = `${method} ${JSON.stringify(tag)}`;
    this.#checkOpen(call);
    checkTag(tag, method);
    checkOptionNames(call, options, names);
    const { displayName, description } = options;
    const wallTime = options.wallTime === undefined ? undefined : secondsOf(options.wallTime, 'wallTime', call);
    checkText(displayName, 'displayName', call);
    checkText(description, 'description', call);
    if (step !== undefined) checkStep(step, call);
    else this.#countMissingStep(tag, call);
    return {
      call,
      tag: wellFormed(tag),
      step: step ?? 0,
      wallTime,
      displayName: displayName && wellFormed(displayName),
      description: description && wellFormed(description),
    };
  }

  /**
   * Writes one event with one summary or several. It keeps its place in the order if they come later.
   *
   * @internal
   */
  protected write(address: SummaryAddress, summaries: Later<Summaries>): void {
    const { call, step, tag, wallTime = Date.now() / 1000 } = address;
    const tagged = (read: Summaries) => {
      const all = Array.isArray(read) ? read : [read];
      for (const { remark } of all) this.remark(address, remark);
      const values = all.map((one) => withMetadata(address, one));
      checkEventBytes(bytesOf(values), call);
      return values;
    };
    this.ownRun.add(wallTime, step, whenRead(summaries, tagged), call, tag);
  }

  /**
   * Warns of what the user should know of a tag's values, once per tag.
   *
   * @internal
   */
  protected remark({ call, tag }: SummaryAddress, remark: string | undefined): void {
    if (remark === undefined || this.#remarked.has(tag)) return;
    this.#remarked.add(tag);
    warn(`${call}: ${remark}`);
  }

  #eachRun(call: (run: this) => Promise<void>): Promise<void>[] {
    return Array.from(this.#runs.values(), call);
  }

  #checkOpen(call: string): void {
    if (this.isClosed) throw new ClosedWriterError(call, this.logdir);
  }

  #countMissingStep(tag: string, call: string): void {
    const seen = this.#withoutStep.get(tag);
    this.#withoutStep.set(tag, seen === undefined ? 'once' : 'warned');
    if (seen === 'once') warn(`${call}: no step was given for the second time; TensorBoard shows one point per step`);
  }
}

function withMetadata(address: SummaryAddress, summary: PluginSummary): TaggedTensor {
  const { plugin, content, dataClass, tensor, tagSuffix = '' } = summary;
  const { displayName, description: summaryDescription } = address;
  const pluginData = content === undefined ? { pluginName: plugin } : { pluginName: plugin, content };
  const metadata = { pluginData, displayName, summaryDescription, dataClass };
  return { tag: address.tag + tagSuffix, tensor, metadata };
}

/** Checks the options and fills in the defaults. */
function checkOptions(options: SummaryWriterOptions): RunOptions {
  checkOptionNames('SummaryWriter', options, optionNames);
  const { comment, filenameSuffix, purgeStep, handleSignals = defaults.handleSignals } = options;
  checkText(comment, 'comment', 'SummaryWriter');
  checkText(filenameSuffix, 'filenameSuffix', 'SummaryWriter');
  if (purgeStep !== undefined) checkStep(purgeStep, 'SummaryWriter purgeStep');
  if (typeof handleSignals !== 'boolean') {
    throw new TypeError(`SummaryWriter: expected handleSignals to be true or false, got ${describe(handleSignals)}`);
  }
  return {
    handleSignals,
    maxQueue: checkLimit(options, 'maxQueue'),
    flushMillis: checkLimit(options, 'flushSecs') * 1000,
    maxBufferedBytes: checkLimit(options, 'maxBufferedBytes'),
    maxUnwrittenBytes: checkLimit(options, 'maxUnwrittenBytes'),
  };
}

function checkLimit(options: SummaryWriterOptions, option: keyof typeof minima): number {
  const value = options[option] ?? defaults[option];
  const expected = `SummaryWriter: expected ${option} to be a number of at least ${minima[option]}`;
  if (typeof value !== 'number') throw new TypeError(`${expected}, got ${describe(value)}`);
  if (!(value >= minima[option])) throw new RangeError(`${expected}, got ${value}`);
  return value;
}

/** The Output of the default logdir, in a folder that nobody else has: programs that begin in the same second get one each. */
function newFolder(options: SummaryWriterOptions): DirectoryOutput {
  const logdir = defaultLogdir(options.comment);
  for (let count = 0; ; count++) {
    const output = new DirectoryOutput(count === 0 ? logdir : `${logdir}_${count}`, options);
    if (output.makeNewFolder()) return output;
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * `runs/<MMMdd_HH-MM-SS>_<host><comment>` in local time, as tensorboardX and torch.utils.tensorboard name it
 * (https://github.com/lanpa/tensorboardX/blob/master/tensorboardX/writer.py). A `/` in the comment becomes `_`, and a comment that
 * is too long for a folder's name is cut.
 */
export function defaultLogdir(comment: string = defaults.comment, now = new Date()): string {
  const two = (part: number) => String(part).padStart(2, '0');
  const date = `${months[now.getMonth()]}${two(now.getDate())}`;
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('-');
  const name = `${date}_${time}_${hostname()}${comment}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is exactly what must not reach a file system
  return `runs/${shortenedName(name.replace(/[\u0000-\u001f\u007f\\/]/g, '_'), 240)}`;
}
