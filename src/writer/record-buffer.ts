/**
 * The way of a Run's records into its Output, when they take it, and what becomes of records that the Output does not take:
 * they stay in a bounded backlog and are offered again, or are lost and counted. Adding never throws; `flush` and `close`
 * reject.
 */
import { atEndOfTurn, unref, warn } from '#platform';
import { frameRecord, recordHeaderBytes, recordOverheadBytes, sealRecord } from '../encoding/record.js';
import { messageOf } from '../errors.js';
import type { Output } from '../output/output.js';

/** How long events may wait, and how many bytes they may take. */
export interface BufferPolicy {
  /** Events buffered before a write is forced. */
  maxQueue: number;
  /** Milliseconds an event may stay unwritten. */
  flushMillis: number;
  /** The size to which the buffer may grow. */
  maxBufferedBytes: number;
  /** Bytes that may stay in memory, beside the buffer, while they cannot be written. */
  maxUnwrittenBytes: number;
}

/** Whole records that could not be written yet. */
export interface Chunk {
  bytes: Uint8Array;
  events: number;
}

/** The buffer starts small, since a program may have hundreds of runs, and doubles up to `maxBufferedBytes`. */
const initialBytes = 4096;
/** An Output that is immediate gets an event at the first call after this time, in milliseconds, if not sooner. */
const maxHeldMillis = 4;
/** While writing fails, it is not tried more often than this. */
const retryMillis = 100;
/** With a longer time, setTimeout fires at once. */
const maxTimerMillis = 2 ** 31 - 1;

/** The part of the time that passes which writing may take if events are written one by one. */
const writeShare = 0.05;
/** As much of it, in milliseconds, is saved at most: enough for fifty thousand events. */
const maxSavedMillis = 250;

/**
 * The time that writing may take if events are written one by one, in milliseconds: a small part of the time that passes,
 * from the start of the program on. What is not spent is saved, so that thousands of events are written one by one after a
 * training step of some seconds, while a loop that does nothing but add events writes them in large pieces. All buffers of a
 * thread share it.
 */
class WriteAllowance {
  #millis = Math.min(maxSavedMillis, writeShare * performance.now());
  #at = Date.now();
  /** What the last two writes have cost. */
  #costs: [number, number] = [0, 0];

  /** Whether there is time left at `now`, in milliseconds. */
  isLeft(now: number): boolean {
    if (now !== this.#at) {
      this.#millis = Math.min(maxSavedMillis, this.#millis + writeShare * Math.max(0, now - this.#at));
      this.#at = now;
    }
    return this.#millis > 0;
  }

  /** Takes what a write has cost. If only one of three takes long, another program was given the processor meanwhile. */
  spend(millis: number): void {
    const [last, oneBefore] = this.#costs;
    this.#millis = Math.max(-1, this.#millis - Math.min(millis, last, oneBefore));
    this.#costs[0] = millis;
    this.#costs[1] = last;
  }
}

const allowance = new WriteAllowance();

/**
 * Whole records on their way to an Output: a buffer that goes out in one write when it is full or overdue, and, while
 * the Output does not take it, a bounded backlog in memory. The first error is warned of once and kept; `flush` rejects
 * with it for as long as something that was added is not in the file.
 *
 * If the Output is immediate, an event is written as it is added, unless so many come that this would take a noticeable part
 * of the time; these go out together at the end of the turn of the event loop, or with the first event that is added
 * `maxHeldMillis` later.
 */
export class RecordBuffer {
  readonly policy: BufferPolicy;
  /** The buffer, into which a record is written at the position that `reserve` returns. */
  bytes: Uint8Array;
  /** A view of `bytes`. */
  view: DataView;
  readonly #failures = new WriteFailures();
  readonly #output: Output;
  readonly #isImmediate: boolean;
  readonly #onRestart: (backlog: Chunk[]) => void;
  readonly #onLoss: () => void;
  /** Bytes of `bytes` that hold records. */
  #length = 0;
  /** Events in `bytes`. */
  #events = 0;
  /** When the oldest event in `bytes` was added, in milliseconds. */
  #oldest = 0;
  /** What the Output has not taken, oldest first. */
  #backlog: Chunk[] = [];
  #backlogBytes = 0;
  /** When writing is tried again while it fails, in milliseconds. */
  #nextTry = 0;
  #eventsInFile = 0;
  /** The Output's `restarts`, as far as they have been dealt with. */
  #restarts: number;
  #timerRuns = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #awaitsEndOfTurn = false;
  /** The millisecond whose further events are not due either; -1 if there is none. */
  #heldAt = -1;
  #isExiting = false;

  /**
   * @param policy may be tightened later
   * @param onRestart changes records that were meant for a file that is gone, so that they can begin a new one
   * @param onLoss called when records have been dropped: a tag's first event may have been among them
   */
  constructor(output: Output, policy: BufferPolicy, onRestart: (backlog: Chunk[]) => void, onLoss: () => void) {
    this.#output = output;
    this.#isImmediate = output.isImmediate === true;
    this.policy = policy;
    this.#onRestart = onRestart;
    this.#onLoss = onLoss;
    this.#restarts = output.restarts ?? 0;
    this.bytes = new Uint8Array(Math.min(initialBytes, policy.maxBufferedBytes));
    this.view = new DataView(this.bytes.buffer);
  }

  /** Takes stricter limits into account, also for what waits already. */
  tighten(maxQueue: number, flushMillis: number): void {
    const { policy } = this;
    policy.maxQueue = Math.min(policy.maxQueue, maxQueue);
    if (flushMillis >= policy.flushMillis) return;
    policy.flushMillis = flushMillis;
    if (!this.#timerRuns) return;
    clearTimeout(this.#timer);
    this.#startTimer(flushMillis);
  }

  /** Whether something waits here to be written. */
  get isPending(): boolean {
    return this.#length > 0 || this.#backlog.length > 0;
  }

  /** Bytes that wait here or in the Output. */
  get pendingBytes(): number {
    return this.#length + this.#backlogBytes + (this.#output.pendingBytes ?? 0);
  }

  /** Makes room for a record of up to `size` bytes and returns the position at which it may be written. */
  reserve(size: number): number {
    if (this.#length + size > this.bytes.length) this.#makeRoom(size);
    return this.#length;
  }

  /** Takes the record that has been written from the position that `reserve` returned up to `end`. */
  commit(end: number, now: number): void {
    this.#length = end;
    this.#events++;
    if (now !== this.#heldAt || this.#events >= this.policy.maxQueue) this.#writeIfDue(now);
  }

  /** Writes whatever must be written before an event of `payloadBytes` bytes can be added. */
  prepare(payloadBytes: number): void {
    const size = payloadBytes + recordOverheadBytes;
    if (size <= this.policy.maxBufferedBytes) {
      this.reserve(size);
      return;
    }
    this.writeOut(Date.now());
    this.#moveToBacklog();
  }

  /** Adds one event. */
  add(payload: Uint8Array, now: number): void {
    const size = payload.length + recordOverheadBytes;
    this.prepare(payload.length);
    if (size <= this.policy.maxBufferedBytes) {
      const start = this.#length;
      this.bytes.set(payload, start + recordHeaderBytes);
      this.commit(sealRecord(this.bytes, this.view, start, payload.length), now);
      return;
    }
    this.#push({ bytes: frameRecord(payload), events: 1 });
    this.writeOut(now);
    if (!this.#timerRuns && this.isPending) this.#startTimer(this.policy.flushMillis);
  }

  /** Writes what is pending. While writing fails, it is tried every `retryMillis` at most, unless `always`. */
  writeOut(now: number, always = false): void {
    if (!this.isPending) return;
    const isTooSoon = now < this.#nextTry && now > this.#nextTry - 2 * retryMillis;
    if (this.#failures.isFailing && isTooSoon && !always && !this.#isExiting) return;
    const restarts = this.#restarts;
    this.#drain();
    if (this.isPending && this.#restarts !== restarts) this.#drain();
    if (this.isPending) this.#nextTry = now + retryMillis;
    else this.#failures.endFailure();
    if (this.#isExiting) this.#output.flushSync?.();
  }

  /** Writes what is pending, and from now on every event as it is added: the program ends, and nothing is called back. */
  beginExit(): void {
    this.policy.maxQueue = 1;
    this.writeOut(Date.now(), true);
    this.#output.flushSync?.();
    this.#isExiting = true;
  }

  /** Counts events that are lost for a reason of the caller's. */
  addLoss(events: number, reason: string, error: unknown): void {
    this.#failures.addLoss(events, reason, error);
  }

  /**
   * Writes what is pending, at once, and resolves when the Output has brought it to its destination. Rejects with the
   * first error if something is not there, or with the number of events lost since the last flush.
   */
  async flush(): Promise<void> {
    await this.deliver();
    this.#failures.check(false);
  }

  /** Flushes and closes the Output. Rejects as `flush` does; what cannot be written by then is lost. */
  async close(): Promise<void> {
    await this.deliver();
    this.#abandon();
    try {
      await this.#output.close();
    } catch (error) {
      this.#failures.addFailure(error);
    }
    this.#failures.check(true);
  }

  /** As `flush`, but what fails is told by the next `flush` or `close`. */
  async deliver(): Promise<void> {
    this.writeOut(Date.now(), true);
    try {
      await this.#output.flush();
      if (!this.isPending) this.#failures.endFailure();
    } catch (error) {
      this.#failures.addFailure(error);
    }
  }

  #abandon(): void {
    this.#moveToBacklog();
    const events = this.#backlog.reduce((sum, chunk) => sum + chunk.events, 0);
    this.#backlog = [];
    this.#backlogBytes = 0;
    if (events > 0) this.#failures.addLoss(events, 'the writer was closed before they could be written');
  }

  #writeIfDue(now: number): void {
    if (this.#events === 1) this.#oldest = now;
    const age = now - this.#oldest;
    const { maxQueue, flushMillis } = this.policy;
    // The age is negative if the clock was set back.
    if (this.#events >= maxQueue || age >= flushMillis || age < 0) this.writeOut(now);
    else if (this.#isImmediate && (age >= maxHeldMillis || allowance.isLeft(now))) this.writeOut(now);
    if (!this.isPending) return;
    this.#heldAt = now;
    if (!this.#timerRuns) this.#startTimer(flushMillis);
    if (!this.#isImmediate || this.#awaitsEndOfTurn) return;
    this.#awaitsEndOfTurn = true;
    atEndOfTurn(this.#onEndOfTurn);
  }

  readonly #onEndOfTurn = () => {
    this.#awaitsEndOfTurn = false;
    this.writeOut(Date.now());
  };

  /** There is one timer. The first event that has to wait starts it, and it starts again only while something waits. */
  #startTimer(millis: number): void {
    this.#timerRuns = true;
    const onTime = () => {
      this.#timerRuns = false;
      if (!this.isPending) return;
      const now = Date.now();
      const left = this.#backlog.length > 0 ? 0 : this.policy.flushMillis - (now - this.#oldest);
      if (left <= 0) this.writeOut(now);
      if (!this.isPending) return;
      this.#startTimer(left > 0 ? Math.min(left, this.policy.flushMillis) : this.policy.flushMillis);
    };
    this.#timer = setTimeout(onTime, Math.min(Math.max(millis, 1), maxTimerMillis));
    unref(this.#timer);
  }

  #makeRoom(size: number): void {
    const { maxBufferedBytes } = this.policy;
    if (this.#length + size > maxBufferedBytes && this.#length > 0) {
      this.writeOut(Date.now());
      if (this.#length > 0) this.#moveToBacklog();
    }
    const needed = this.#length + size;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, Math.min(maxBufferedBytes, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.#length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  #drain(): void {
    while (this.#backlog.length > 0 && this.#write(this.#backlog[0])) {
      this.#backlogBytes -= this.#backlog.shift()!.bytes.length;
    }
    if (this.#backlog.length > 0 || this.#length === 0) return;
    if (this.#write({ bytes: this.bytes.subarray(0, this.#length), events: this.#events })) this.#empty();
  }

  #empty(): void {
    this.#length = 0;
    this.#events = 0;
    this.#heldAt = -1;
  }

  #moveToBacklog(): void {
    if (this.#length === 0) return;
    const chunk = { bytes: this.bytes.slice(0, this.#length), events: this.#events };
    this.#empty();
    this.#push(chunk);
  }

  #push(chunk: Chunk): void {
    // A record of any size is tried if there is no other.
    if (this.#backlog.length > 0 && this.#backlogBytes + chunk.bytes.length > this.policy.maxUnwrittenBytes) {
      this.#failures.addLoss(chunk.events, `more than ${this.policy.maxUnwrittenBytes} bytes could not be written`);
      this.#onLoss();
      return;
    }
    this.#backlog.push(chunk);
    this.#backlogBytes += chunk.bytes.length;
  }

  /** Returns whether the Output has taken the chunk. */
  #write(chunk: Chunk): boolean {
    const began = performance.now();
    try {
      this.#output.write(chunk.bytes);
      allowance.spend(performance.now() - began);
    } catch (error) {
      const restarts = this.#output.restarts ?? 0;
      if (restarts === this.#restarts) this.#failures.addFailure(error);
      else {
        this.#restarts = restarts;
        this.#restart(error);
      }
      return false;
    }
    this.#eventsInFile += chunk.events;
    return true;
  }

  /** The file is gone or full, and the next write begins another one, which has no tag's metadata yet. */
  #restart(error: unknown): void {
    if (this.#eventsInFile > 0 && codeOf(error) !== 'EFBIG') {
      this.#failures.addLoss(this.#eventsInFile, 'their file is gone, and events go on in a new one', error);
    } else {
      this.#failures.addFailure(error);
    }
    this.#eventsInFile = 0;
    this.#moveToBacklog();
    this.#onRestart(this.#backlog);
    this.#backlogBytes = this.#backlog.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
  }
}

/** What could not be written, and what of it is still true. */
class WriteFailures {
  /** The first error since everything was last in the file. */
  #first: unknown;
  #failing = false;
  #warnedOfFailure = false;
  #warnedOfLoss = false;
  #lost = 0;
  #lostUnreported = 0;
  #reason = '';

  /** Whether something could not be written and is still to be written. */
  get isFailing(): boolean {
    return this.#failing;
  }

  addFailure(error: unknown): void {
    if (!this.#failing) this.#first = error;
    this.#failing = true;
    if (this.#warnedOfFailure) return;
    this.#warnedOfFailure = true;
    warn(`${messageOf(error)}. Events are kept in memory and are written as soon as that works again.`);
  }

  /** @param error the cause, unless writing fails already: then the first error is the cause */
  addLoss(events: number, reason: string, error?: unknown): void {
    if (!this.#failing && this.#lostUnreported === 0) this.#first = error;
    this.#lost += events;
    this.#lostUnreported += events;
    this.#reason = reason;
    if (this.#warnedOfLoss) return;
    this.#warnedOfLoss = true;
    warn(
      `${counted(events)}: ${reason} (${messageOf(this.#first)}). flush() and close() say how many there were in the end.`,
    );
  }

  /** Everything in memory has been written. */
  endFailure(): void {
    this.#failing = false;
  }

  /**
   * @param closing also report losses that an earlier call has reported
   * @throws the first error while writing fails; if events were lost, an Error that counts them, with the first error as
   * its cause
   */
  check(closing: boolean): void {
    const lost = closing ? this.#lost : this.#lostUnreported;
    this.#lostUnreported = 0;
    if (lost > 0) {
      const code = codeOf(this.#first);
      const message = `${counted(lost)}: ${this.#reason} (${messageOf(this.#first)})`;
      const error = new Error(message, { cause: this.#first });
      throw code === undefined ? error : Object.assign(error, { code });
    }
    if (this.#failing) throw this.#first;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}

/** A number of events that were lost, in words. */
export function counted(events: number): string {
  return events === 1 ? '1 event was lost' : `${events} events were lost`;
}

/** Waits for all `flush` or `close` of several, then rejects with the first rejection in order. One that nobody awaits does not end the program. */
export function together(promises: Promise<void>[]): Promise<void> {
  const all = Promise.allSettled(promises).then((results) => {
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
  });
  all.catch(() => {});
  return all;
}
