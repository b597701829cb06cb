import { waitForChange } from '#platform';
import { type AccumulatorState, CovarianceAccumulator } from '../covariance.js';
import type { Solved, SolveWishes } from './solve.js';
import { QuestionThread } from './thread.js';
import type { RingUpdate, ToWorker } from './worker.js';

/** Numbers that the ring between the threads holds: 32 MB. */
const RING_NUMBERS = 8 << 20;
/** Numbers after which the thread is told of them: a message costs this thread as much as copying a batch. */
const TOLD_NUMBERS = 1 << 19;
/** What a thread of its own multiplies and adds, about (bench/RESULTS.md). */
const PRODUCTS_PER_MILLISECOND = 1.6e7;

/**
 * Accumulates moments on a thread of its own, beside the training. Rows travel through a ring of shared memory: `update`
 * costs the main thread one copy of them; the other one hears of several at once. The numbers are those that a
 * CovarianceAccumulator on the main thread gives.
 *
 * Where shared memory or threads are missing (a page that is not cross-origin isolated), `start` returns undefined:
 * accumulate on the main thread then.
 */
export class MomentsWorker {
  readonly #thread = new QuestionThread();
  readonly #rows: Float32Array;
  readonly #consumed: Int32Array;
  /** Stretches of the ring that the thread has not read yet, oldest first. */
  readonly #stretches: { start: number; length: number }[] = [];
  readonly #features = new Map<string, number>();
  #released = 0;
  /** Updates that the thread has not been told of. */
  #untold: RingUpdate[] = [];
  #untoldNumbers = 0;
  #head = 0;

  private constructor(float32Products: boolean) {
    const rows = new SharedArrayBuffer(RING_NUMBERS * 4);
    const consumed = new SharedArrayBuffer(8);
    this.#rows = new Float32Array(rows);
    this.#consumed = new Int32Array(consumed);
    this.#thread.tell({ type: 'ring', rows, consumed, float32Products });
  }

  /**
   * A running thread, or undefined where there can be none.
   *
   * @param options.float32Products see CovarianceAccumulator
   */
  static async start(options?: { float32Products?: boolean }): Promise<MomentsWorker | undefined> {
    const worker = MomentsWorker.launch(options);
    if (worker === undefined) return undefined;
    try {
      await worker.#thread.ready;
      return worker;
    } catch {
      return undefined;
    }
  }

  /** As start, at once: rows may be sent when isRunning says true. Undefined where it is known that there can be none. */
  static launch(options: { float32Products?: boolean } = {}): MomentsWorker | undefined {
    if (typeof SharedArrayBuffer === 'undefined') return undefined;
    return new MomentsWorker(options.float32Products ?? false);
  }

  /** Whether the thread has started; told through shared memory, for programs that never let the event loop turn. */
  get isRunning(): boolean {
    return Atomics.load(this.#consumed, 1) === 1;
  }

  /** Rows on their way, in bytes. */
  get pendingBytes(): number {
    this.#reclaim();
    return 4 * this.#stretches.reduce((sum, { length }) => sum + length, 0);
  }

  /**
   * Adds rows to the accumulator of this name, which the first call makes. The numbers are copied. When the thread lags
   * by a whole ring this waits for it a little. False when there is no room even then, for want of processors: nothing
   * was added, and the caller does it itself (see merge).
   *
   * @param samples Row-major, `features` numbers per row; RangeError when it does not divide into such rows or the
   *   name was used with other features before. Float32Array is meant; other arrays are rounded to float32.
   */
  update(name: string, features: number, samples: ArrayLike<number>): boolean {
    const known = this.#features.get(name);
    if (!Number.isSafeInteger(features) || features < 1 || (known !== undefined && known !== features)) {
      throw new RangeError(`Expected ${known ?? 'a positive number of'} features for "${name}", got ${features}.`);
    }
    if (samples.length % features !== 0) {
      throw new RangeError(`Expected rows of ${features} features for "${name}", got ${samples.length} numbers.`);
    }
    if (this.#thread.failure) throw this.#thread.failure;
    const { length } = samples;
    if (length === 0) return true;
    const start = this.#reserve(length, features);
    if (start === undefined) return false;
    this.#features.set(name, features);
    this.#rows.set(samples, start);
    this.#untold.push({ key: name, features, start, length });
    this.#untoldNumbers += length;
    if (this.#untoldNumbers >= TOLD_NUMBERS) this.#tellOfRows();
    return true;
  }

  /** Whether rows were added under a name, ever. */
  knows(name: string): boolean {
    return this.#features.has(name);
  }

  /** Solves what was added under a name so far; undefined when nothing was. */
  async solve(name: string, wishes: SolveWishes = {}, reset = false): Promise<Solved | undefined> {
    if (!this.#features.has(name)) return undefined;
    this.#tellOfRows();
    return (await this.#thread.ask({ type: 'solveKey', key: name, wishes, reset })) as Solved | undefined;
  }

  /** What was added under a name so far, as an accumulator of this thread; undefined when nothing was. */
  async read(name: string, reset = false): Promise<CovarianceAccumulator | undefined> {
    if (!this.#features.has(name)) return undefined;
    this.#tellOfRows();
    const state = (await this.#thread.ask({ type: 'state', key: name, reset })) as AccumulatorState | undefined;
    return state && CovarianceAccumulator.fromState(state);
  }

  /**
   * The same at once: this thread waits. Undefined when nothing was added, and where a thread may not wait (the main
   * thread of a page).
   */
  readNow(name: string): CovarianceAccumulator | undefined {
    const features = this.#features.get(name);
    if (features === undefined || this.#thread.failure) return undefined;
    const outcome = new Int32Array(new SharedArrayBuffer(4));
    // Rows kept or packed moments and rows not folded in yet, with room to spare; if it was too little, once more.
    let size = 8 * (features + 1) * (features + 600) + 4096;
    for (;;) {
      const into = new SharedArrayBuffer(size);
      Atomics.store(outcome, 0, -1);
      this.#tell({ type: 'save', key: name, into, outcome: outcome.buffer as SharedArrayBuffer });
      if (Atomics.load(outcome, 0) === -1 && !waitForChange(outcome, -1)) return undefined;
      const length = Atomics.load(outcome, 0);
      if (length === 0) return undefined;
      if (length <= size) return CovarianceAccumulator.fromBytes(new Uint8Array(into).slice(0, length));
      size = length;
    }
  }

  /** Adds what another accumulator has seen, which starts afresh. It is copied: see SolverPool.solve. */
  merge(name: string, accumulator: CovarianceAccumulator): void {
    this.#features.set(name, accumulator.features);
    const state = accumulator.takeState();
    this.#tell({ type: 'merge', key: name, state });
  }

  /** Ends the thread; what it has accumulated is lost, open questions reject. */
  close(): void {
    this.#thread.terminate();
  }

  #tell(message: ToWorker): void {
    this.#tellOfRows();
    this.#thread.tell(message);
  }

  #tellOfRows(): void {
    if (this.#untold.length === 0) return;
    this.#thread.tell({ type: 'updatesFromRing', updates: this.#untold });
    this.#untold = [];
    this.#untoldNumbers = 0;
  }

  /** Where `length` numbers can be put, side by side; undefined where they cannot. */
  #reserve(length: number, features: number): number | undefined {
    if (length > RING_NUMBERS) return undefined;
    let end: number | undefined;
    for (;;) {
      const seen = this.#reclaim();
      const start = this.#place(length);
      if (start !== undefined) {
        this.#stretches.push({ start, length });
        this.#head = start + length;
        return start;
      }
      this.#tellOfRows();
      // Several times what the product takes: whoever waited longer had better multiply himself.
      end ??= performance.now() + 20 + (4 * length * features) / PRODUCTS_PER_MILLISECOND;
      const left = end - performance.now();
      if (left <= 0 || !waitForChange(this.#consumed, seen, left)) return undefined;
    }
  }

  #place(length: number): number | undefined {
    const oldest = this.#stretches[0];
    if (!oldest) return 0;
    if (this.#head > oldest.start) {
      if (this.#head + length <= RING_NUMBERS) return this.#head;
      return length <= oldest.start ? 0 : undefined;
    }
    return this.#head + length <= oldest.start ? this.#head : undefined;
  }

  /** Forgets the stretches that were read; returns the thread's counter. */
  #reclaim(): number {
    const seen = Atomics.load(this.#consumed, 0);
    const done = (seen - this.#released) | 0; // right also when the counter has wrapped
    this.#stretches.splice(0, done);
    this.#released = seen;
    return seen;
  }
}
