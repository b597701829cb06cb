/**
 * The order of a Run's events while the values of some of them are still being computed (a tensor on a GPU, a figure being
 * drawn): an event goes out when everything that was added before it has gone out. Values that never come are given up.
 */
import { unref, warn } from '#platform';
import { Soon } from '../platform/soon.js';

/** An event in the queue; `write` is set once its values have come. */
interface Entry {
  write?: () => void;
  /** Sets `write` if values that come soon are there, or if they must be. */
  find?: (must: boolean) => void;
  bytes: number;
}

/**
 * How many events may wait behind values that are still being computed. Beyond it, those values lose their place and are
 * written when they come, so that nothing is lost and memory stays bounded.
 */
export const maxWaitingEvents = 10_000;
/** As `maxWaitingEvents`, in bytes. */
export const maxWaitingBytes = 64 * 2 ** 20;

/**
 * How long, in milliseconds, values are waited for while none come. Then those that have been waited for that long are given
 * up. A GPU that works through a long queue is not: its values come one after another.
 */
export const maxSilentMillis = 30_000;

/** What stands for values that are no longer waited for. */
export const givenUp = Symbol('given up');

/** Values that are being computed. */
interface Late {
  readonly name: string;
  /** When they were added, in milliseconds. */
  readonly since: number;
  giveUp(): void;
}

/** Writes events in the order in which they were added, although the values of some come later. */
export class OrderedQueue {
  readonly #onGiveUp: (names: string[]) => void;
  readonly #entries: Entry[] = [];
  readonly #unresolved = new Set<Promise<void>>();
  /** The values that are waited for, oldest first. */
  readonly #late = new Set<Late>();
  /** When values came last, in milliseconds. */
  #lastCame = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waitingBytes = 0;
  #warned = false;

  /** @param onGiveUp called with the names of values that are given up */
  constructor(onGiveUp: (names: string[]) => void) {
    this.#onGiveUp = onGiveUp;
  }

  /** Whether an event that is added now would have to wait. */
  get isWaiting(): boolean {
    return this.#entries.length > 0;
  }

  /** About how many bytes wait behind values that are still being computed. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Whether the values of an event are still being computed. */
  get isComputing(): boolean {
    return this.#unresolved.size > 0;
  }

  /**
   * Calls `write` after everything that was added before, which is now if nothing waits.
   *
   * @param onError called if `write` throws later; if it throws now, so does this
   * @param bytes about how much memory the event takes while it waits
   */
  add(write: () => void, onError: (error: unknown) => void, bytes: number): void {
    this.#advance();
    if (this.#entries.length === 0) {
      write();
      return;
    }
    this.#push({ write: guarded(write, onError), bytes });
  }

  /**
   * Calls `write` with what `values` resolves to, in this place of the order.
   *
   * @param name of the values, in case they never come
   * @param onError called if `values` rejects or `write` throws
   */
  addLater<T>(values: Promise<T>, name: string, write: (values: T) => void, onError: (error: unknown) => void): void {
    if (values instanceof Soon) {
      this.#addSoon(values, write, onError);
      return;
    }
    const entry: Entry = { bytes: 0 };
    this.#entries.push(entry);
    const settle = (action: () => void) => {
      this.#unresolved.delete(settled);
      const guardedAction = guarded(action, onError);
      if (this.#entries.includes(entry)) {
        entry.write = guardedAction;
        this.#advance();
      } else {
        guardedAction(); // it has lost its place
      }
    };
    const settled: Promise<void> = this.wait(values, name).then(
      (read) => settle(() => read !== givenUp && write(read)),
      (error) => settle(() => onError(error)),
    );
    this.#unresolved.add(settled);
  }

  /** Resolves and rejects as `values` does, whatever its place; resolves to `givenUp` if it is waited for too long. */
  wait<T>(values: Promise<T>, name: string): Promise<T | typeof givenUp> {
    return new Promise((resolve, reject) => {
      const late: Late = { name, since: performance.now(), giveUp: () => resolve(givenUp) };
      this.#late.add(late);
      if (this.#late.size === 1) this.#startTimer();
      const end = () => {
        if (!this.#late.delete(late)) return;
        this.#lastCame = performance.now();
        this.#startTimer();
      };
      const onValues = (read: T) => {
        end();
        resolve(read);
      };
      const onError = (error: unknown) => {
        end();
        reject(error);
      };
      values.then(onValues, onError);
    });
  }

  /**
   * Writes what comes soon, and computes it here if it must: when this returns, only what stands behind values that cannot be had
   * at once still waits.
   */
  hurry(): void {
    for (const entry of this.#entries) if (entry.write === undefined) entry.find?.(true);
    this.#advance();
  }

  /** Resolves when everything added so far has been written. */
  async settled(): Promise<void> {
    await Promise.all(this.#unresolved);
  }

  /**
   * Writes every event whose values are there, although values before it have not come: at exit they never will.
   *
   * @returns the names of values that have not come and were not named before
   */
  release(): string[] {
    this.hurry();
    this.#waitingBytes = 0;
    for (const { write } of this.#entries.splice(0)) write?.();
    const names = Array.from(this.#late, ({ name }) => name);
    this.#late.clear();
    return names;
  }

  /** The timer runs while something is late, until the oldest of it will have been waited for too long. */
  #startTimer(): void {
    clearTimeout(this.#timer);
    const [oldest] = this.#late;
    if (oldest === undefined) return;
    const silence = (late: Late) => performance.now() - Math.max(late.since, this.#lastCame);
    const onTime = () => {
      // What would follow within a second goes with it.
      const overdue = [...this.#late].filter((late) => silence(late) >= maxSilentMillis - 1000);
      for (const late of overdue) {
        this.#late.delete(late);
        late.giveUp();
      }
      if (overdue.length > 0) this.#onGiveUp(overdue.map(({ name }) => name));
      this.#startTimer();
    };
    this.#timer = setTimeout(onTime, maxSilentMillis - silence(oldest));
    unref(this.#timer);
  }

  /** Values that come soon are neither given up nor late, and never lose their place. */
  #addSoon<T>(values: Soon<T>, write: (values: T) => void, onError: (error: unknown) => void): void {
    const entry: Entry = { bytes: values.bytes };
    entry.find = (must) => {
      try {
        const found = values.find(must);
        if (found !== undefined) entry.write = guarded(() => write(found.value), onError);
      } catch (error) {
        entry.write = () => onError(error);
      }
    };
    const settle = () => {
      this.#unresolved.delete(settled);
      this.#advance();
    };
    const settled: Promise<void> = values.then(settle, settle);
    this.#unresolved.add(settled);
    this.#push(entry);
  }

  #push(entry: Entry): void {
    this.#entries.push(entry);
    this.#waitingBytes += entry.bytes;
    while (this.#entries.length > maxWaitingEvents || this.#waitingBytes > maxWaitingBytes) {
      this.#entries[0].find?.(true);
      if (this.#entries[0].write === undefined) this.#dropFirstPlace();
      else this.#advance();
    }
  }

  #advance(): void {
    for (let [first] = this.#entries; first !== undefined; [first] = this.#entries) {
      if (first.write === undefined) first.find?.(false);
      if (first.write === undefined) return;
      this.#entries.shift();
      this.#waitingBytes -= first.bytes;
      first.write();
    }
  }

  #dropFirstPlace(): void {
    this.#entries.shift();
    this.#advance();
    if (this.#warned) return;
    this.#warned = true;
    warn(
      'Too many events wait for values that are still being computed: those values are written when they come, out of order, and TensorBoard may hide later points of their tags',
    );
  }
}

function guarded(write: () => void, onError: (error: unknown) => void): () => void {
  return () => {
    try {
      write();
    } catch (error) {
      onError(error);
    }
  };
}
