import { warn } from '#platform';
import { concat } from '../encoding/bytes.js';
import { frameRecord, payloadsOf } from '../encoding/record.js';
import { decodeWhole, encodeEvent, encodeSummaryEvent } from '../event/encode-event.js';
import type { Step, TensorBoardEvent } from '../event/event.js';
import { scalarRecordBytes, writeScalarRecord } from '../event/scalar-record.js';
import { DirectoryOutput } from '../output/directory-output.js';
import type { Output } from '../output/output.js';
import { tensorboard } from '../proto/tensorboard.js';
import { addToProjectorConfig, type EmbeddingEntry, projectorConfigFile } from '../summaries/embedding.js';
import type { Hparam, HparamsStatus } from '../summaries/hparams.js';
import { type Later, whenRead } from '../summaries/numbers.js';
import { OrderedQueue } from './ordered-queue.js';
import { type KeptPoint, lastPointsBefore } from './purge.js';
import { type BufferPolicy, type Chunk, RecordBuffer } from './record-buffer.js';
import { TagDescriptions, type TaggedTensor } from './written-tags.js';

/** Named in the first record of every file. */
const sourceWriter = 'delve-tensorboard';
const fileVersion = 'brain.Event:2';

/**
 * The events of one run on their way to one Output: in the order they were added, each tag's metadata with its first
 * event in the file, buffered. Arguments have been checked before they come here; nothing but `flush` and `close` fails.
 */
export class EventStream {
  readonly output: Output;
  readonly #records: RecordBuffer;
  readonly #queue = new OrderedQueue();
  readonly #tags = new TagDescriptions();
  readonly #companions = new Set<Promise<void>>();
  readonly #lose = (error: unknown) => this.#records.failures.lose(1, 'its values never came', error);
  #begun = false;

  constructor(output: Output, policy: BufferPolicy) {
    this.output = output;
    this.#records = new RecordBuffer(
      output,
      policy,
      (kept) => this.#describeAgain(kept),
      () => this.#tags.forget(),
    );
  }

  /** How long events may wait here; what two writers of one folder ask for is brought together in it. */
  get policy(): BufferPolicy {
    return this.#records.policy;
  }

  /** Bytes that are not in the file yet. */
  get pendingBytes(): number {
    return this.#records.pendingBytes + this.#queue.waitingBytes;
  }

  /**
   * Writes a scalar straight into the buffer, where the tag has had its first event and nothing is to be waited for.
   *
   * @param wallTime seconds; undefined for now
   * @returns false, and nothing is done, where that is not so: `add` must take it
   */
  addScalar(tag: string, value: number, step: Step, wallTime: number | undefined): boolean {
    const state = this.#tags.get(tag);
    const body = state?.scalarBody;
    if (state === undefined || body === undefined || this.#queue.isWaiting) return false;
    const now = Date.now();
    const records = this.#records;
    const start = records.reserve(body.length + scalarRecordBytes);
    // Making room may have begun another file, in which the tag has not been described.
    if (state.scalarBody === undefined) return false;
    state.lastStep = step;
    const end = writeScalarRecord(records.bytes, records.view, start, wallTime ?? now / 1000, step, body, value);
    records.commit(end, now);
    return true;
  }

  /** The step of a tag's latest event: one before it would hide later points. Undefined where there is none. */
  lastStepOf(tag: string): Step | undefined {
    return this.#tags.get(tag)?.lastStep;
  }

  /** Takes one event with one value or several; where they come later, it keeps its place. */
  add(wallTime: number, step: Step, values: TaggedTensor[] | Promise<TaggedTensor[]>): void {
    this.#begin();
    const write = (tensors: TaggedTensor[]) => this.#addNow(wallTime, step, tensors);
    if (values instanceof Promise) this.#queue.addLater(values, write, this.#lose);
    else this.#queue.add(() => write(values), this.#lose, this.#queue.isWaiting ? bytesOf(values) : 0);
  }

  /** Takes an event as it is. */
  addEvent(event: TensorBoardEvent): void {
    // A copy of a file begins with that file's first record.
    if (event.fileVersion === undefined) this.#begin();
    else this.#begun = true;
    const payload = encodeEvent(event);
    const values = event.summary === undefined ? [] : (tensorboard.Event.decode(payload).summary?.value ?? []);
    this.#queue.add(
      () => {
        this.#records.prepare(payload.length);
        for (const { tag, metadata } of values) {
          if (metadata?.pluginData?.pluginName) this.#tags.note(tag ?? '', metadata);
        }
        this.#records.add(payload, Date.now());
      },
      this.#lose,
      payload.length,
    );
  }

  /**
   * Hides the points at `step` and later of the files that stand in the run's folder, on both of TensorBoard's loaders.
   * The Python loader purges at every session start but the first it sees, so two are written.
   * Source: tensorboard/backend/event_processing/plugin_event_accumulator.py, _CheckForRestartAndMaybePurge.
   */
  purge(step: Step): void {
    this.#records.writeOut(Date.now(), true);
    const points = this.#lastPointsBefore(step);
    const start = encodeEvent({ wallTime: Date.now() / 1000, step, sessionLog: { status: 'start' } });
    this.#begin();
    this.#queue.add(
      () => {
        this.#records.add(start, Date.now());
        this.#records.add(start, Date.now());
        for (const { wallTime, step, value } of points) {
          const payload = tensorboard.Event.encode({ wallTime, step, summary: { value: [value] } }).finish();
          this.#records.prepare(payload.length);
          const { tag, metadata } = value;
          if (metadata?.pluginData?.pluginName) this.#tags.note(tag!, metadata);
          this.#records.add(payload, Date.now());
        }
      },
      this.#lose,
      0,
    );
  }

  /** Writes a companion file; the run exists from then on. */
  addFile(path: string, bytes: Uint8Array | Promise<Uint8Array>): void {
    this.#begin();
    const written =
      bytes instanceof Promise ? bytes.then((late) => this.#writeFile(path, late)) : this.#writeFile(path, bytes);
    const companion = written
      .catch((error) => this.#records.failures.lose(1, `the file '${path}' could not be written`, error))
      .finally(() => this.#companions.delete(companion));
    this.#companions.add(companion);
  }

  /**
   * Resolves when everything added so far is in the file. Where nothing is being computed, the write has been done
   * when this returns.
   */
  async flush(): Promise<void> {
    await this.#writeAll();
    this.#records.failures.check();
  }

  /** Flushes and lets the Output go. Rejects as `flush` does; what could not be written by then is given up. */
  async close(): Promise<void> {
    const { failures } = this.#records;
    await this.#writeAll();
    this.#records.abandon();
    try {
      await this.output.close();
    } catch (error) {
      failures.note(error);
    }
    failures.check(true);
  }

  /** Writes what is there synchronously. At exit what is still missing is reported: there will be no flush. */
  flushSync(final: boolean): void {
    const { coming } = this.#queue;
    if (final) this.#queue.release();
    this.#records.writeOut(Date.now(), true);
    this.output.flushSync?.();
    if (!final) return;
    if (coming > 0) warn(`At exit ${coming} events were lost: their values were still being computed`);
    if (this.#records.isPending) warn(`At exit ${this.#records.pendingBytes} bytes of events could not be written`);
  }

  #lastPointsBefore(step: Step): KeptPoint[] {
    if (!(this.output instanceof DirectoryOutput)) return [];
    try {
      return lastPointsBefore(step, this.output.readEarlier());
    } catch (error) {
      warn(`What was written at step ${step} and later may stay visible: ${(error as Error).message}`);
      return [];
    }
  }

  async #writeAll(): Promise<void> {
    if (this.#queue.coming > 0 || this.#companions.size > 0) {
      await Promise.all([this.#queue.settled(), ...this.#companions]);
    }
    this.#records.writeOut(Date.now(), true);
    try {
      await this.output.flush();
      if (!this.#records.isPending) this.#records.failures.recovered();
    } catch (error) {
      this.#records.failures.note(error);
    }
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#records.add(firstRecord(), Date.now());
  }

  #addNow(wallTime: number, step: Step, tensors: TaggedTensor[]): void {
    const encode = () => {
      const values = tensors.map((tensor) => this.#tags.valueOf(tensor));
      return encodeSummaryEvent(wallTime, step, values);
    };
    const { forgotten } = this.#tags;
    let payload = encode();
    this.#records.prepare(payload.length);
    // What had to be written first may have begun another file, in which no tag has been described.
    if (this.#tags.forgotten !== forgotten) payload = encode();
    for (const { tag, metadata } of tensors) this.#tags.note(tag, metadata).lastStep = step;
    this.#records.add(payload, Date.now());
  }

  /** Makes records that were meant for a file that is gone the beginning of a new one. */
  #describeAgain(kept: Chunk[]): void {
    this.#tags.forget();
    for (const [index, chunk] of kept.entries()) {
      const events = [...payloadsOf(chunk.bytes)].map(decodeWhole).filter(({ what }) => what !== 'fileVersion');
      const records = events.map((event) => frameRecord(this.#tags.complete(event)));
      if (index === 0) records.unshift(frameRecord(firstRecord()));
      chunk.bytes = concat(records);
    }
  }

  async #writeFile(path: string, bytes: Uint8Array): Promise<void> {
    if (this.output.file === undefined) throw new Error('This Output takes no companion files');
    await this.output.file(path, bytes);
  }
}

/** About how much memory values take while they wait. */
function bytesOf(values: TaggedTensor[]): number {
  let bytes = 0;
  for (const { tensor } of values) {
    bytes += 500 + (tensor.tensorContent?.length ?? 0);
    for (const text of tensor.stringVal ?? []) bytes += text.length;
  }
  return bytes;
}

function firstRecord(): Uint8Array {
  return encodeEvent({ wallTime: Date.now() / 1000, step: 0, fileVersion, sourceWriter });
}

interface Session {
  hparams: string;
  ended: boolean;
}

const sessions = new WeakMap<Output, Session>();

/**
 * Notes the hyperparameters of a run. TensorBoard reads what comes first and nothing later, so a run has one set of them
 * and one end; a session that was begun as 'running' may be given again to end it.
 *
 * @throws RangeError where the run has other hyperparameters or has ended
 */
export function continueSession(
  run: Output,
  hparams: Readonly<Record<string, Hparam>>,
  status: HparamsStatus = 'success',
): void {
  const text = JSON.stringify(Object.entries(hparams).sort(([a], [b]) => (a < b ? -1 : 1)));
  const session = sessions.get(run);
  const advice = "a run has one set of hyperparameters: write others to a run of their own, writer.run('name')";
  if (session !== undefined && session.hparams !== text) {
    throw new RangeError(`addHparams: expected ${session.hparams}, which the run has already, got ${text}; ${advice}`);
  }
  if (session?.ended)
    throw new RangeError(
      `addHparams: the run's hyperparameters have been written and its session has ended; ${advice}`,
    );
  sessions.set(run, { hparams: text, ended: status !== 'running' });
}

/** What has been written for each run: files of late values are written after others have been added. */
const configs = new WeakMap<Output, string>();

/**
 * The whole projector configuration of a run with an embedding added. One that an earlier program left in the folder is
 * continued, where the Output can read it.
 */
export function projectorConfigWith(output: Output, entry: Later<EmbeddingEntry>): Later<Uint8Array> {
  return whenRead(entry, (read) => {
    const config = addToProjectorConfig(configs.get(output) ?? readConfig(output), read);
    configs.set(output, config);
    return new TextEncoder().encode(config);
  });
}

function readConfig(output: Output): string {
  const bytes = output.readFile?.(projectorConfigFile);
  return bytes === undefined ? '' : new TextDecoder().decode(bytes);
}
