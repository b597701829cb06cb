/**
 * The order of a Run's events while the values of some of them are still being computed (a tensor on a GPU, a figure being
 * drawn): an event goes out when everything that was added before it has gone out.
 */
import { warn } from '#platform';

/** An event in the queue; `write` is set once its values have come. */
interface Entry {
  write?: () => void;
  bytes: number;
}

/**
 * How many events may wait behind values that are still being computed. Beyond it, those values lose their place and are
 * written when they come, so that nothing is lost and memory stays bounded.
 */
export const maxWaitingEvents = 10_000;
/** As `maxWaitingEvents`, in bytes. */
export const maxWaitingBytes = 64 * 2 ** 20;

/** Writes events in the order in which they were added, although the values of some come later. */
export class OrderedQueue {
  readonly #entries: Entry[] = [];
  readonly #unresolved = new Set<Promise<void>>();
  #waitingBytes = 0;
  #warned = false;

  /** Whether an event that is added now would have to wait. */
  get isWaiting(): boolean {
    return this.#entries.length > 0;
  }

  /** About how many bytes wait behind values that are still being computed. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** The number of events whose values are still being computed. */
  get unresolved(): number {
    return this.#unresolved.size;
  }

  /**
   * Calls `write` after everything that was added before, which is now if nothing waits.
   *
   * @param onError called if `write` throws later; if it throws now, so does this
   * @param bytes about how much memory the event takes while it waits
   */
  add(write: () => void, onError: (error: unknown) => void, bytes: number): void {
    if (this.#entries.length === 0) {
      write();
      return;
    }
    this.#entries.push({ write: guarded(write, onError), bytes });
    this.#waitingBytes += bytes;
    while (this.#entries.length > maxWaitingEvents || this.#waitingBytes > maxWaitingBytes) this.#dropFirstPlace();
  }

  /**
   * Calls `write` with what `values` resolves to, in this place of the order.
   *
   * @param onError called if `values` rejects or `write` throws
   */
  addLater<T>(values: Promise<T>, write: (values: T) => void, onError: (error: unknown) => void): void {
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
    const settled: Promise<void> = values.then(
      (read) => settle(() => write(read)),
      (error) => settle(() => onError(error)),
    );
    this.#unresolved.add(settled);
  }

  /** Resolves when everything added so far has been written. */
  async settled(): Promise<void> {
    await Promise.all(this.#unresolved);
  }

  /** Writes every event whose values are there, although values before it have not come: at exit they never will. */
  release(): void {
    this.#waitingBytes = 0;
    for (const { write } of this.#entries.splice(0)) write?.();
  }

  #advance(): void {
    while (this.#entries[0]?.write !== undefined) {
      const { write, bytes } = this.#entries.shift()!;
      this.#waitingBytes -= bytes;
      write!();
    }
  }

  #dropFirstPlace(): void {
    this.#entries.shift();
    this.#advance();
    if (this.#warned) return;
    this.#warned = true;
    warn('Too many events wait for values that are still being computed: those values are written later, out of order');
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
