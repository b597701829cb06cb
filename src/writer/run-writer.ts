import { hostname, warn } from '#platform';
import { ClosedWriterError } from '../errors.js';
import { checkStep, checkTag, checkText, checkWallTime, wellFormed } from '../event/check-arguments.js';
import { checkEvent } from '../event/check-event.js';
import type { Step, TensorBoardEvent } from '../event/event.js';
import { DirectoryOutput } from '../output/directory-output.js';
import { type Output, safePath } from '../output/output.js';
import type { PluginSummary } from '../summaries/plugin-summary.js';
import { checkPluginContent } from '../summaries/plugins.js';
import { openFolder, openOutput, type StreamLease, type StreamOptions } from './open-runs.js';
import type { EventStream } from './run.js';
import type { TaggedTensor } from './written-tags.js';

/** What every addX takes beside its data. */
export interface SummaryOptions {
  /** When the event happened, in seconds since 1970; now, by default. */
  wallTime?: number;
  /** Shown instead of the tag. Counts on the tag's first event in a file, as `description` does. */
  displayName?: string;
  /** Markdown, shown beside the chart. */
  description?: string;
}

/** Where in a run something goes: the arguments that all addX have in common, checked. */
export interface Place {
  /** The call, for errors: `addScalar "loss"`. */
  what: string;
  tag: string;
  step: Step;
  /** Seconds; undefined where it is the time of the call. */
  wallTime: number | undefined;
  displayName: string | undefined;
  description: string | undefined;
}

/**
 * The life of a writer, whatever it writes: what it opens, its runs, flush and close; and the door that every event goes
 * through. See SummaryWriter.
 */
export abstract class EventWriter implements AsyncDisposable {
  /** The folder, as it was given; '' for an Output. */
  readonly logdir: string;
  readonly #options: SummaryWriterOptions;
  readonly #lease: StreamLease;
  /** @internal */
  protected readonly stream: EventStream;
  readonly #runs = new Map<string, this>();
  readonly #withoutStep = new Map<string, 'once' | 'warned'>();
  #closing: Promise<void> | undefined;

  /**
   * @param logdir a folder, made where it is missing; `runs/<MMMdd_HH-MM-SS>_<host><comment>` by default. Or any Output.
   * @throws Error where the folder cannot be made
   */
  constructor(logdir?: string | Output, options: SummaryWriterOptions = {}) {
    const streamOptions = readOptions(options);
    this.#options = options;
    if (logdir === undefined || typeof logdir === 'string') {
      if (logdir === '') throw new TypeError("SummaryWriter: expected the logdir to be a non-empty string, got ''");
      const output = new DirectoryOutput(logdir ?? defaultLogdir(options.comment), options);
      this.#lease = openFolder(output, streamOptions, true);
      this.logdir = output.logdir;
    } else if (logdir instanceof DirectoryOutput) {
      this.#lease = openFolder(logdir, streamOptions, false);
      this.logdir = logdir.logdir;
    } else {
      if (typeof logdir?.write !== 'function') {
        throw new TypeError('SummaryWriter: expected the logdir to be a string or an Output');
      }
      this.#lease = openOutput(logdir, streamOptions);
      this.logdir = '';
    }
    this.stream = this.#lease.stream;
    if (options.purgeStep !== undefined) this.stream.purge(options.purgeStep);
  }

  /** Bytes added and not yet in the file; a producer that can may slow down on it. */
  get pendingBytes(): number {
    let bytes = this.stream.pendingBytes;
    for (const run of this.#runs.values()) bytes += run.pendingBytes;
    return bytes;
  }

  /**
   * The writer of a run below this one, `<logdir>/<name>`: one per name, flushed and closed with this one. A name may
   * hold `/`; nothing in it leads out of the logdir (see `safePath`).
   */
  run(name: string): this {
    this.#checkOpen(`run '${name}'`);
    const known = this.#runs.get(name);
    if (known !== undefined && !known.isClosed) return known;
    if (typeof name !== 'string') throw new TypeError(`run: expected the name to be a string, got ${typeof name}`);
    const path = safePath(name);
    if (path !== name) return this.run(path);
    const { output } = this.stream;
    if (output.run === undefined) throw new TypeError(`run '${name}': this Output has no runs`);
    const Writer = this.constructor as new (output: Output, options: SummaryWriterOptions) => this;
    const run = new Writer(output.run(path), this.#options);
    this.#runs.set(path, run);
    return run;
  }

  /**
   * Where this run's events go: the same for all writers of one real folder, and for those of one Output.
   *
   * @internal
   */
  get destination(): Output {
    return this.stream.output;
  }

  /** True once `close` has been called. */
  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /** Writes an event as it is: what `readEvents` yields comes back losslessly. */
  addEvent(event: TensorBoardEvent): void {
    this.#checkOpen('addEvent');
    this.stream.addEvent(checkEvent(event, checkPluginContent));
  }

  /**
   * Resolves when every event added so far, to this writer and to its runs, is in the file; rejects with the first
   * write error. A rejection that nobody awaits does no harm.
   */
  flush(): Promise<void> {
    return this.#closing ?? quiet(all([this.stream.flush(), ...[...this.#runs.values()].map((run) => run.flush())]));
  }

  /** Flushes and closes this writer and its runs; rejects as `flush` does, and is closed all the same. */
  close(): Promise<void> {
    this.#closing ??= quiet(all([...[...this.#runs.values()].map((run) => run.close()), this.#lease.release()]));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Checks what all addX have in common.
   *
   * @internal
   * @param method the addX, for errors
   */
  protected place(method: string, tag: string, step: Step | undefined, options: SummaryOptions = {}): Place {
    const what = `${method} ${JSON.stringify(tag)}`;
    this.#checkOpen(what);
    checkTag(tag, method);
    const { wallTime, displayName, description } = options;
    if (wallTime !== undefined) checkWallTime(wallTime, what);
    checkText(displayName, 'displayName', what);
    checkText(description, 'description', what);
    if (step !== undefined) checkStep(step, what);
    else this.#noteMissingStep(tag, what);
    return {
      what,
      tag: wellFormed(tag),
      step: step ?? 0,
      wallTime,
      displayName: displayName && wellFormed(displayName),
      description: description && wellFormed(description),
    };
  }

  /**
   * Writes one event with one summary or several; where they come later it keeps its place in the order.
   *
   * @internal
   */
  protected write(place: Place, summaries: Summaries | Promise<Summaries>): void {
    const { step, wallTime = Date.now() / 1000 } = place;
    const tagged = (read: Summaries) => (Array.isArray(read) ? read : [read]).map((one) => withMetadata(place, one));
    this.stream.add(wallTime, step, summaries instanceof Promise ? summaries.then(tagged) : tagged(summaries));
  }

  /**
   * Writes a companion file at a path below the run's folder (see `safePath`).
   *
   * @internal
   */
  protected writeFile(path: string, bytes: Uint8Array | Promise<Uint8Array>): void {
    this.#checkOpen(`file '${path}'`);
    this.stream.addFile(safePath(path), bytes);
  }

  #checkOpen(what: string): void {
    if (this.isClosed) throw new ClosedWriterError(what, this.logdir);
  }

  #noteMissingStep(tag: string, what: string): void {
    const seen = this.#withoutStep.get(tag);
    this.#withoutStep.set(tag, seen === undefined ? 'once' : 'warned');
    if (seen === 'once') warn(`${what}: no step was given for the second time; TensorBoard shows one point per step`);
  }
}

/** What an addX writes in one event. */
type Summaries = PluginSummary | PluginSummary[];

function withMetadata(place: Place, summary: PluginSummary): TaggedTensor {
  const { plugin, content, dataClass, tensor, tagSuffix = '' } = summary;
  const { displayName, description: summaryDescription } = place;
  const pluginData = content === undefined ? { pluginName: plugin } : { pluginName: plugin, content };
  const metadata = { pluginData, displayName, summaryDescription, dataClass };
  return { tag: place.tag + tagSuffix, tensor, metadata };
}

/** Waits for all, then rejects with the first rejection in order. */
async function all(promises: Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(promises)).find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
}

/** Keeps a rejection that nobody awaits from ending the program. */
function quiet(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}

/** How a SummaryWriter writes. Every limit is an upper bound: events may be written sooner. */
export interface SummaryWriterOptions {
  /** Appended to the default logdir; without effect where a logdir is given. */
  comment?: string;
  /** Hides the points at this step and later of an earlier, crashed run in the same folder. */
  purgeStep?: Step;
  /** Events buffered before a write is forced. No limit by default: time and size are limits enough. */
  maxQueue?: number;
  /** The longest an event may stay unwritten, in seconds; also checked at each addX. 1 by default. */
  flushSecs?: number;
  /** Size of the buffer. 65,536 by default; it starts small and grows up to this. */
  maxBufferedBytes?: number;
  /** Bytes kept in memory while they cannot be written (full disk); beyond it events are lost, and counted. 64 MiB by default. */
  maxUnwrittenBytes?: number;
  /** Ends the event file's name. Letters, digits, `-`, `_` and `.`; anything else becomes `_`. */
  filenameSuffix?: string;
  /**
   * Write what is buffered on SIGINT and SIGTERM, then let the signal do its work. Off by default, since a program that
   * listens to a signal can no longer be ended by it while it computes without a pause; without it a signal loses at
   * most the last `flushSecs`.
   */
  handleSignals?: boolean;
}

/** Checks the options and fills in what is not given. */
export function readOptions(options: SummaryWriterOptions): StreamOptions {
  const { comment, filenameSuffix = '', purgeStep, handleSignals = false } = options;
  checkText(comment, 'comment', 'SummaryWriter');
  checkText(filenameSuffix, 'filenameSuffix', 'SummaryWriter');
  if (purgeStep !== undefined) checkStep(purgeStep, 'SummaryWriter purgeStep');
  if (typeof handleSignals !== 'boolean') {
    throw new TypeError(`SummaryWriter: expected handleSignals to be true or false, got ${String(handleSignals)}`);
  }
  return {
    filenameSuffix,
    handleSignals,
    maxQueue: atLeast(options, 'maxQueue', 1, Number.POSITIVE_INFINITY),
    flushMillis: atLeast(options, 'flushSecs', 0, 1) * 1000,
    maxBufferedBytes: atLeast(options, 'maxBufferedBytes', 1, 65_536),
    maxUnwrittenBytes: atLeast(options, 'maxUnwrittenBytes', 0, 64 * 2 ** 20),
  };
}

function atLeast(
  options: SummaryWriterOptions,
  option: 'maxQueue' | 'flushSecs' | 'maxBufferedBytes' | 'maxUnwrittenBytes',
  minimum: number,
  standard: number,
): number {
  const value = options[option] ?? standard;
  if (typeof value !== 'number') {
    throw new TypeError(`SummaryWriter: expected ${option} to be a number, got ${typeof value}`);
  }
  if (!(value >= minimum)) {
    throw new RangeError(`SummaryWriter: expected ${option} to be at least ${minimum}, got ${value}`);
  }
  return value;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * `runs/<MMMdd_HH-MM-SS>_<host><comment>` in local time, as tensorboardX and torch.utils.tensorboard name it
 * (https://github.com/lanpa/tensorboardX/blob/master/tensorboardX/writer.py). A `/` in the comment becomes `_`.
 */
export function defaultLogdir(comment = '', now = new Date()): string {
  const two = (part: number) => String(part).padStart(2, '0');
  const date = `${months[now.getMonth()]}${two(now.getDate())}`;
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('-');
  const name = `${date}_${time}_${hostname()}${comment}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is exactly what must not reach a file system
  return `runs/${name.replace(/[\u0000-\u001f\u007f\\/]/g, '_')}`;
}
