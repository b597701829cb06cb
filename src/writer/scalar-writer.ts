/** The writer of scalars and nothing else, for pages in which every kilobyte counts. */
import { isExiting, onExit, warn } from '#platform';
import { wellFormed } from '../encoding/protobuf.js';
import { ClosedWriterError, checkOptionNames, describe, type OptionNames } from '../errors.js';
import { checkStep, checkTag, secondsOf } from '../event/check-arguments.js';
import { encodeFirstEvent, encodeSummaryEvent } from '../event/encode-event.js';
import type { Step } from '../event/event.js';
import { scalarRecordBytes, writeScalarRecord } from '../event/scalar-record.js';
import { DirectoryOutput, isLogdir, logdirPath } from '../output/directory-output.js';
import { type Output, safePath } from '../output/output.js';
import { fitsFloat32, scalarSummary } from '../summaries/scalar.js';
import { RecordBuffer, together } from './record-buffer.js';
import { WrittenTags } from './written-tags.js';

/** Options of `addScalar` of a ScalarWriter. */
export interface ScalarOptions {
  /** When the event happened: a Date, or seconds since 1970-01-01 UTC. The time of the call by default. */
  wallTime?: number | Date;
}

const optionNames: OptionNames<ScalarOptions> = { wallTime: true };

/** As SummaryWriter has them by default. */
const policy = { maxQueue: Infinity, flushMillis: 1000, maxBufferedBytes: 65_536, maxUnwrittenBytes: 64 * 2 ** 20 };

/** The writers that are not closed. */
const open = new Set<ScalarWriter>();

/**
 * Writes scalars into event files and nothing else: a fifth of what a SummaryWriter adds to a bundle. Its files are those of a
 * SummaryWriter, and so is when they are written. Each writer has a file of its own; writers of one folder share nothing.
 *
 * @example
 * ```js
 * import { openBrowserFolder, ScalarWriter } from 'delve-tensorboard';
 *
 * const writer = new ScalarWriter(await openBrowserFolder('runs/page'));
 * writer.addScalar('loss', 0.5, 1);
 * await writer.close();
 * ```
 */
export class ScalarWriter implements AsyncDisposable {
  /** The folder, as it was given; '' if the writer was given an Output that is no folder. */
  readonly logdir: string;
  readonly #output: Output;
  readonly #release: (() => void) | undefined;
  readonly #tags = new WrittenTags();
  readonly #records: RecordBuffer;
  readonly #runs = new Map<string, ScalarWriter>();
  /** Tags whose values were remarked on. */
  readonly #remarked = new Set<string>();
  /** Whether the first record, which names the version of the format, has been added. */
  #begun = false;
  #closing: Promise<void> | undefined;

  /**
   * Opens a run. A folder's event file is made when the first scalar is written.
   *
   * @param logdir a folder, which is made if it is missing; or an Output, such as `await openBrowserFolder('runs/first')`
   * @throws TypeError if it is neither, or the folder is no place of this computer
   */
  constructor(logdir: string | URL | Output) {
    if (!isLogdir(logdir) && typeof logdir?.write !== 'function') {
      throw new TypeError(
        `ScalarWriter: expected logdir to be a non-empty string or an Output, got ${describe(logdir)}`,
      );
    }
    this.#output = isLogdir(logdir) ? new DirectoryOutput(logdirPath(logdir, 'ScalarWriter')) : logdir;
    this.logdir = this.#output instanceof DirectoryOutput ? this.#output.logdir : '';
    this.#records = new RecordBuffer(
      this.#output,
      { ...policy },
      (backlog) => this.#tags.beginAgain(backlog),
      () => this.#tags.reset(),
    );
    onExit(flushAll);
    this.#release = this.#output.heldBy?.(() => this.#records.deliver());
    open.add(this);
    if (isExiting()) this.#writeNow(true);
  }

  /**
   * Adds one number. TensorBoard reads it as float32, which has about seven digits and becomes ±Infinity beyond 3.4e38.
   * The first finite number of a tag that is beyond it is warned of.
   *
   * @throws TypeError or RangeError if an argument is wrong, ClosedWriterError after `close`
   */
  addScalar(tag: string, value: number, step: Step, options: ScalarOptions = {}): void {
    const call = `addScalar ${JSON.stringify(tag)}`;
    if (this.#closing !== undefined) throw new ClosedWriterError(call, this.logdir);
    checkTag(tag, 'addScalar');
    if (typeof value !== 'number') throw new TypeError(`${call}: expected a number, got ${describe(value)}`);
    checkStep(step, call);
    checkOptionNames(call, options, optionNames);
    const wallTime = options.wallTime === undefined ? Date.now() / 1000 : secondsOf(options.wallTime, 'wallTime', call);
    if (!fitsFloat32(value) && !this.#remarked.has(tag)) {
      this.#remarked.add(tag);
      warn(`${call}: ${scalarSummary(value).remark}`);
    }
    this.#add(wellFormed(tag), value, step, wallTime);
  }

  #add(tag: string, value: number, step: Step, wallTime: number): void {
    const now = Date.now();
    const records = this.#records;
    const known = this.#tags.find(tag);
    if (known?.scalarBody !== undefined) {
      const { scalarBody } = known;
      const start = records.reserve(scalarBody.length + scalarRecordBytes);
      // Making room may have begun another file, which does not have the tag's metadata.
      if (known.scalarBody !== undefined) {
        records.commit(writeScalarRecord(records.bytes, records.view, start, wallTime, step, scalarBody, value), now);
        return;
      }
    }
    if (!this.#begun) records.add(encodeFirstEvent(), now);
    this.#begun = true;
    const { dataClass, plugin, tensor } = scalarSummary(value);
    const metadata = { pluginData: { pluginName: plugin }, dataClass };
    const payload = encodeSummaryEvent(wallTime, step, [{ tag, tensor, metadata }]);
    records.prepare(payload.length);
    this.#tags.addMetadata(tag, metadata);
    records.add(payload, now);
  }

  /**
   * The writer of a run below this one, `<logdir>/<name>`. There is one per name.
   *
   * @throws TypeError if this writer's Output has no runs; RangeError if the name is empty
   */
  run(name: string): ScalarWriter {
    if (this.#closing !== undefined) throw new ClosedWriterError(`run '${name}'`, this.logdir);
    const path = safePath(name);
    let run = this.#runs.get(path);
    if (run === undefined) {
      if (this.#output.run === undefined) throw new TypeError(`run '${name}': this Output has no runs`);
      run = new ScalarWriter(this.#output.run(path));
      this.#runs.set(path, run);
    }
    return run;
  }

  /** Resolves when everything added so far, to this writer and to its runs, is in the file; rejects with the first write error. */
  flush(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    return together([this.#records.flush(), ...Array.from(this.#runs.values(), (run) => run.flush())]);
  }

  /** Flushes and closes this writer and its runs. Rejects as `flush` does; the writer is closed all the same. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      const closed = this.#records.close().finally(() => {
        open.delete(this);
        this.#release?.();
      });
      this.#closing = together([closed, ...Array.from(this.#runs.values(), (run) => run.close())]);
    }
    return this.#closing;
  }

  /** Closes the writer at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  static writeNow(writer: ScalarWriter, final: boolean): void {
    writer.#writeNow(final);
  }

  /** Writes synchronously what can be written. @param final the program is ending */
  #writeNow(final: boolean): void {
    if (final) {
      this.#records.beginExit();
    } else {
      this.#records.writeOut(Date.now(), true);
      this.#output.flushSync?.();
    }
  }
}

function flushAll(final: boolean): void {
  for (const writer of open) ScalarWriter.writeNow(writer, final);
}
