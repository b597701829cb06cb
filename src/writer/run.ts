/**
 * A run: one folder (or another Output), the events on their way into it, and what must be remembered of it while it is
 * open. All writers of one folder share its Run (open-runs.ts). Events pass through a queue that keeps their order, get
 * metadata with the first event of each tag, are encoded, and go into a buffer of records.
 */

import { warn } from '#platform';
import { decodeMessage, encodeMessage } from '../encoding/message-codec.js';
import { messageOf } from '../errors.js';
import type { StoredSummary } from '../event/check-event.js';
import { encodeEvent, encodeFirstEvent, encodeSummaryEvent } from '../event/encode-event.js';
import type { Step, TensorBoardEvent } from '../event/event.js';
import { scalarRecordBytes, writeScalarRecord } from '../event/scalar-record.js';
import { encodeTensorEvent } from '../event/tensor-event.js';
import { type Output, safePath } from '../output/output.js';
import { tensorboard } from '../proto/tensorboard.js';
import { SummaryChecker } from '../summaries/check-summaries.js';
import type { ProjectorFiles } from '../summaries/embedding.js';
import { givenHparams, type Hparams, type HparamsStatus } from '../summaries/hparams.js';
import type { Later } from '../summaries/numbers.js';
import { addToProjectorConfig, type EmbeddingEntry, projectorConfigFile } from '../summaries/projector-config.js';
import { givenUp, maxSilentMillis, OrderedQueue } from './ordered-queue.js';
import { PurgedRun } from './purge.js';
import { type BufferPolicy, counted, RecordBuffer } from './record-buffer.js';
import { type TaggedTensor, WrittenTags } from './written-tags.js';

/**
 * One run. Arguments have been checked before they come here: what adds an event or a file does not fail, and `flush` and
 * `close` reject with whatever went wrong later.
 */
export class Run {
  /** Where the run is written. */
  readonly output: Output;
  readonly #records: RecordBuffer;
  readonly #queue = new OrderedQueue((names) => this.#giveUp(names));
  readonly #tags = new WrittenTags();
  readonly #checker = new SummaryChecker((tag) => this.#tags.find(tag)?.metadata);
  /** Companion files that are being written. */
  readonly #files = new Set<Promise<unknown>>();
  /** Values that have been claimed, by their owners. */
  readonly #claims = new WeakMap<object, Set<string>>();
  readonly #countAbsent = (error: unknown) => this.#records.addLoss(1, 'its values never came', error);
  readonly #countUnwritable = (error: unknown) => this.#records.addLoss(1, 'it could not be encoded', error);
  #isExiting = false;
  /** Tells the Output that this run is closed. */
  readonly #release: (() => void) | undefined;
  /** Whether the first record, which names the version of the format, has been added. */
  #begun = false;
  /** The hyperparameters that have been added. */
  #hparams: { text: string; ended: boolean } | undefined;
  #warnedOfWideStep = false;
  /** The steps of the latest events in the queue, by the tag they were added under. */
  readonly #waitingSteps = new Map<string, Step>();
  #parent: Run | undefined;
  /** What has been written for the projector, for an Output whose files are not updated in place. */
  #projectorConfig: string | undefined;

  constructor(output: Output, policy: BufferPolicy) {
    this.output = output;
    this.#records = new RecordBuffer(
      output,
      policy,
      (backlog) => this.#tags.beginAgain(backlog),
      () => this.#tags.reset(),
    );
    this.#release = output.heldBy?.(() => this.#deliver());
  }

  /** Takes the limits of another writer of this run into account: the stricter ones count. */
  tighten({ maxQueue, flushMillis }: BufferPolicy): void {
    this.#records.tighten(maxQueue, flushMillis);
  }

  /** Bytes that are not in the file yet. */
  get pendingBytes(): number {
    return this.#records.pendingBytes + this.#queue.waitingBytes;
  }

  /**
   * Writes a scalar straight into the buffer, if the file has the tag's metadata and no earlier event is waited for.
   *
   * @param wallTime seconds; undefined means now
   * @returns false if that is not so; then nothing has been done, and `add` must be called
   */
  addScalar(tag: string, value: number, step: Step, wallTime: number | undefined): boolean {
    const state = this.#tags.find(tag);
    const body = state?.scalarBody;
    if (state === undefined || body === undefined || this.#queue.isWaiting) return false;
    const now = Date.now();
    const records = this.#records;
    const start = records.reserve(body.length + scalarRecordBytes);
    // Making room may have begun another file, which does not have the tag's metadata.
    if (state.scalarBody === undefined) return false;
    state.lastStep = step;
    if (isWide(step)) this.#warnOfWideStep(tag, step);
    const end = writeScalarRecord(records.bytes, records.view, start, wallTime ?? now / 1000, step, body, value);
    records.commit(end, now);
    return true;
  }

  /** The step of a tag's latest event: a point before it would hide later ones. Returns undefined if there is no event. */
  lastStepOf(tag: string): Step | undefined {
    const waiting = this.#queue.isWaiting ? this.#waitingSteps.get(tag) : undefined;
    return waiting ?? this.#tags.find(tag)?.lastStep;
  }

  /**
   * Adds one event with one value or several. It keeps its place in the order if the values come later.
   *
   * @param call names the event if its values never come
   * @param tag what the event was added under
   */
  add(wallTime: number, step: Step, values: TaggedTensor[] | Promise<TaggedTensor[]>, call: string, tag: string): void {
    this.#begin();
    const write = (tensors: TaggedTensor[]) => this.#addNow(wallTime, step, tensors);
    if (values instanceof Promise) {
      this.#queue.addLater(values, `${call} at step ${step}`, write, this.#countAbsent);
      if (this.#isExiting) warnOfLate(this.#queue.release());
    } else {
      this.#queue.add(() => write(values), this.#countUnwritable, this.#queue.isWaiting ? bytesOf(values) : 0);
    }
    this.#noteWaiting(tag, step);
  }

  /** Notes at which step an event of a tag waits in the queue, if it does. */
  #noteWaiting(tag: string, step: Step): void {
    if (this.#queue.isWaiting) this.#waitingSteps.set(tag, step);
    else if (this.#waitingSteps.size > 0) this.#waitingSteps.clear();
  }

  /**
   * Checks summaries that come as they are, against what the file says of their tags.
   *
   * @throws TypeError if one of them would stop a loader or a dashboard
   */
  checkSummaries(summaries: readonly StoredSummary[]): void {
    this.#checker.check(summaries);
  }

  /** Adds an event as it is. */
  addEvent(event: TensorBoardEvent): void {
    // A copy of a file begins with that file's first record.
    if (event.fileVersion === undefined) this.#begin();
    else this.#begun = true;
    const payload = encodeEvent(event);
    const values = event.summary === undefined ? [] : (decodeMessage(tensorboard.Event, payload).summary?.value ?? []);
    this.#queue.add(
      () => {
        this.#records.prepare(payload.length);
        this.#noteTags(values, event.step);
        this.#records.add(payload, Date.now());
      },
      this.#countUnwritable,
      payload.length,
    );
    for (const { tag } of values) this.#noteWaiting(tag ?? '', event.step);
  }

  /**
   * Hides the points at `step` and later in the files that are in the run's folder, on both of TensorBoard's loaders.
   * The Python loader purges at every session start but the first it sees, so two are written.
   * Source: tensorboard/backend/event_processing/plugin_event_accumulator.py, _CheckForRestartAndMaybePurge.
   */
  purge(step: Step): void {
    this.#records.writeOut(Date.now(), true);
    const start = encodeEvent({ wallTime: Date.now() / 1000, step, sessionLog: { status: 'start' } });
    const events = this.#eventsAfterPurge(step);
    this.#begin();
    const write = (after: tensorboard.IEvent[]) => {
      this.#records.add(start, Date.now());
      this.#records.add(start, Date.now());
      for (const event of after) {
        const payload = encodeMessage(tensorboard.Event, event);
        this.#records.prepare(payload.length);
        this.#noteTags(event.summary?.value ?? [], event.step ?? 0);
        this.#records.add(payload, Date.now());
      }
    };
    if (events instanceof Promise) this.#queue.addLater(events, 'what is written already', write, this.#countAbsent);
    else this.#queue.add(() => write(events), this.#countUnwritable, 0);
  }

  /** Writes the files of an embedding, then the projector's configuration with the embedding in it. */
  addEmbedding({ files, entry }: ProjectorFiles): void {
    this.#begin();
    const written = files.map(({ path, bytes }) => {
      const file = this.#track(path, this.#writeFile(path, bytes));
      return bytes instanceof Promise ? file : true;
    });
    // What is there already is written before this call returns: the program may end right after it.
    if (!(entry instanceof Promise) && written.every((done) => done === true)) {
      void this.#track(projectorConfigFile, this.#addToProjectorConfig(entry));
      return;
    }
    const whole = entry instanceof Promise ? this.#queue.wait(entry, `the file '${projectorConfigFile}'`) : entry;
    const added = Promise.all([whole, ...written]).then(async ([read, ...done]) => {
      if (read !== givenUp && done.every((one) => one)) await this.#addToProjectorConfig(read);
    });
    void this.#track(projectorConfigFile, added);
  }

  /**
   * Checks the hyperparameters of the run. TensorBoard reads what comes first and nothing later, so a run has one set
   * of them and one end; those of a session that is 'running' may be given again to end it.
   *
   * @returns must be called once they have been added
   * @throws RangeError if the run has other hyperparameters or its session has ended
   */
  beginHparams(hparams: Hparams, status: HparamsStatus = 'success'): () => void {
    const text = JSON.stringify([...givenHparams(hparams)].sort(([a], [b]) => (a < b ? -1 : 1)));
    const advice = "a run has one set of hyperparameters: write others to a run of their own, writer.run('name')";
    if (this.#hparams !== undefined && this.#hparams.text !== text) {
      throw new RangeError(
        `addHparams: expected ${this.#hparams.text}, which the run has already, got ${text}; ${advice}`,
      );
    }
    if (this.#hparams?.ended) {
      throw new RangeError(
        `addHparams: the run's hyperparameters have been written and its session has ended; ${advice}`,
      );
    }
    return () => {
      this.#hparams = { text, ended: status !== 'running' };
      const wide = this.#tags.scalars().find(([, step]) => step !== undefined && isWide(step));
      if (wide !== undefined) this.#warnOfWideStep(wide[0], wide[1]!);
    };
  }

  /** Makes this a run below another one, whose hyperparameters count for it. */
  placeBelow(parent: Run): void {
    this.#parent = parent;
  }

  /**
   * Decides who writes a value that several callers would write: returns true for the first call with it, and false for
   * later ones.
   *
   * @param owner what the value belongs to, such as one training; its claims are forgotten with it
   */
  claim(owner: object, value: string): boolean {
    let claimed = this.#claims.get(owner);
    if (claimed === undefined) this.#claims.set(owner, (claimed = new Set()));
    if (claimed.has(value)) return false;
    claimed.add(value);
    return true;
  }

  /**
   * Resolves when everything added so far is in the file. If no value is still being computed, the write has been done
   * when this returns.
   */
  async flush(): Promise<void> {
    this.#queue.hurry();
    if (this.#isComputing) await this.#computed();
    await this.#records.flush();
  }

  /** As `flush`, but what fails is told by the next `flush` or `close`. */
  async #deliver(): Promise<void> {
    this.#queue.hurry();
    if (this.#isComputing) await this.#computed();
    await this.#records.deliver();
  }

  /** Flushes and closes the Output. Rejects as `flush` does; what cannot be written by then is lost. */
  async close(): Promise<void> {
    this.#queue.hurry();
    if (this.#isComputing) await this.#computed();
    try {
      await this.#records.close();
    } finally {
      this.#release?.();
    }
  }

  /** Writes what has been collected, without waiting for the end of the turn. */
  writeOut(): void {
    this.#queue.hurry();
    this.#records.writeOut(Date.now());
  }

  /**
   * Writes synchronously what can be written.
   *
   * @param final the program is ending: there will be no flush, so what is missing is reported now
   */
  flushSync(final: boolean): void {
    if (!final) {
      this.#queue.hurry();
      this.#records.writeOut(Date.now(), true);
      this.output.flushSync?.();
      return;
    }
    this.#isExiting = true;
    const late = this.#queue.release();
    this.#records.beginExit();
    warnOfLate(late);
    if (this.#records.isPending) warn(`At exit ${this.#records.pendingBytes} bytes of events could not be written`);
  }

  /** TensorBoard answers "500" to the table of hyperparameters if the last step of a scalar beside them is no int32. */
  #warnOfWideStep(tag: string, step: Step): void {
    let described: Run | undefined = this;
    while (described !== undefined && described.#hparams === undefined) described = described.#parent;
    if (described === undefined || this.#warnedOfWideStep) return;
    this.#warnedOfWideStep = true;
    warn(
      `The scalar '${tag}' is at step ${step} in a run with hyperparameters: while it is beyond 2147483647, TensorBoard shows no table of them`,
    );
  }

  #giveUp(names: string[]): void {
    const error = new Error(`given up: ${listed(names)}`);
    this.#records.addLoss(names.length, `no value has come for ${maxSilentMillis / 1000} s`, error);
  }

  #eventsAfterPurge(step: Step): tensorboard.IEvent[] | Promise<tensorboard.IEvent[]> {
    const failed = (error: unknown) => {
      warn(`What was written at step ${step} and later may stay visible: ${messageOf(error)}`);
      return [];
    };
    try {
      const files = this.output.readEarlier?.() ?? [];
      const purged = new PurgedRun(step);
      if (Symbol.asyncIterator in files) return readAll(purged, files).catch(failed);
      for (const file of files) purged.read(file);
      return purged.events();
    } catch (error) {
      return failed(error);
    }
  }

  /** Whether values or files are still being computed. */
  get #isComputing(): boolean {
    return this.#queue.isComputing || this.#files.size > 0;
  }

  async #computed(): Promise<void> {
    await Promise.all([this.#queue.settled(), ...this.#files]);
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#records.add(encodeFirstEvent(), Date.now());
  }

  /** Notes what an event that is encoded already says of its tags, and at which step it stands. */
  #noteTags(values: readonly tensorboard.Summary.IValue[], step: Step): void {
    for (const { tag, metadata } of values) {
      const name = tag ?? '';
      const known = metadata?.pluginData?.pluginName ? this.#tags.addMetadata(name, metadata) : this.#tags.find(name);
      if (known !== undefined) known.lastStep = step;
    }
  }

  #addNow(wallTime: number, step: Step, summaries: TaggedTensor[]): void {
    const tensors = summaries.map((summary) => this.#tags.place(summary));
    const encode = () => {
      const values = tensors.map((tensor) => this.#tags.valueOf(tensor));
      return (
        (values.length === 1 ? encodeTensorEvent(wallTime, step, values[0]) : undefined) ??
        encodeSummaryEvent(wallTime, step, values)
      );
    };
    const { resets } = this.#tags;
    let payload = encode();
    this.#records.prepare(payload.length);
    // What had to be written first may have begun another file, which has no tag's metadata.
    if (this.#tags.resets !== resets) payload = encode();
    for (const { tag, metadata } of tensors) {
      this.#tags.addMetadata(tag, metadata).lastStep = step;
      if (metadata.pluginData?.pluginName === 'scalars' && isWide(step)) this.#warnOfWideStep(tag, step);
    }
    this.#records.add(payload, Date.now());
  }

  /** Waits for a companion file that is being written; resolves to whether it was. A failure is counted and reported. */
  #track(path: string, written: Promise<unknown>): Promise<boolean> {
    const tracked: Promise<boolean> = written
      .then(
        (result) => result !== givenUp,
        (error) => {
          this.#records.addLoss(1, `the file '${path}' could not be written`, error);
          return false;
        },
      )
      .finally(() => this.#files.delete(tracked));
    this.#files.add(tracked);
    return tracked;
  }

  /** Writes a companion file; resolves to `givenUp` if its bytes never come. */
  async #writeFile(path: string, bytes: Later<Uint8Array>): Promise<unknown> {
    if (this.output.file === undefined) throw new Error('This Output takes no companion files');
    const read = bytes instanceof Promise ? await this.#queue.wait(bytes, `the file '${path}'`) : bytes;
    return read === givenUp ? givenUp : this.output.file(safePath(path), read);
  }

  async #addToProjectorConfig(entry: EmbeddingEntry): Promise<void> {
    const add = (content: string) => new TextEncoder().encode(addToProjectorConfig(content, entry));
    const textOf = (bytes: Uint8Array | undefined) => (bytes === undefined ? '' : new TextDecoder().decode(bytes));
    if (this.output.updateFile !== undefined) {
      await this.output.updateFile(projectorConfigFile, (content) => add(textOf(content)));
      return;
    }
    const bytes = add(this.#projectorConfig ?? textOf(this.output.readFile?.(projectorConfigFile)));
    this.#projectorConfig = new TextDecoder().decode(bytes);
    await this.output.file!(projectorConfigFile, bytes);
  }
}

async function readAll(
  purged: PurgedRun,
  files: AsyncIterable<AsyncIterable<Uint8Array>>,
): Promise<tensorboard.IEvent[]> {
  for await (const file of files) await purged.readLater(file);
  return purged.events();
}

/** Whether a step is no int32. */
function isWide(step: Step): boolean {
  return step > 0x7fffffff || step < -0x80000000;
}

function warnOfLate(names: string[]): void {
  if (names.length === 0) return;
  warn(`At exit ${counted(names.length)}: their values were still being computed (${listed(names)})`);
}

function listed(names: string[]): string {
  const most = 5;
  const more = names.length - most;
  return names.slice(0, most).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** How many bytes values take at most. */
export function bytesOf(values: TaggedTensor[]): number {
  let bytes = 0;
  for (const { tag, tensor, metadata } of values) {
    const { displayName, pluginData, summaryDescription } = metadata;
    // UTF-8 takes up to three bytes for each unit of a string.
    bytes += 500 + 3 * (tag.length + (displayName?.length ?? 0) + (summaryDescription?.length ?? 0));
    bytes += (pluginData?.content?.length ?? 0) + (tensor.tensorContent?.length ?? 0);
    for (const text of tensor.stringVal ?? []) bytes += 8 + text.length;
  }
  return bytes;
}
