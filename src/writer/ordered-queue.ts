import { warn } from '#platform';

/** An entry in the queue: `write` once its values have come. */
interface Entry {
  write?: () => void;
  bytes: number;
}

/**
 * More events than this, or more bytes, do not wait behind values that are still being computed: the values then lose
 * their place and are written when they come, so that nothing is lost and memory stays bounded.
 */
export const maxWaitingEvents = 10_000;
/** As `maxWaitingEvents`. */
export const maxWaitingBytes = 64 * 2 ** 20;

/** Keeps events in the order they were added while the values of some of them come later (a tensor on a GPU). */
export class OrderedQueue {
  readonly #entries: Entry[] = [];
  readonly #coming = new Set<Promise<void>>();
  #waitingBytes = 0;
  #warned = false;

  /** True while an event would have to wait. */
  get isWaiting(): boolean {
    return this.#entries.length > 0;
  }

  /** About how many bytes wait behind values that are still being computed. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** How many events' values are still being computed. */
  get coming(): number {
    return this.#coming.size;
  }

  /**
   * Writes now, or after all that was added before.
   *
   * @param bytes about how much memory the event takes while it waits
   * @param failed called where `write` throws later; now it throws from here
   */
  add(write: () => void, failed: (error: unknown) => void, bytes: number): void {
    if (this.#entries.length === 0) {
      write();
      return;
    }
    this.#entries.push({ write: guarded(write, failed), bytes });
    this.#waitingBytes += bytes;
    while (this.#entries.length > maxWaitingEvents || this.#waitingBytes > maxWaitingBytes) this.#giveUpFirst();
  }

  /** Writes what `values` resolves to in this place of the order; `failed` is called where it rejects or cannot be written. */
  addLater<T>(values: Promise<T>, write: (values: T) => void, failed: (error: unknown) => void): void {
    const entry: Entry = { bytes: 0 };
    this.#entries.push(entry);
    const settle = (action: () => void) => {
      this.#coming.delete(coming);
      const guardedAction = guarded(action, failed);
      if (this.#entries.includes(entry)) {
        entry.write = guardedAction;
        this.#advance();
      } else {
        guardedAction(); // it has lost its place
      }
    };
    const coming: Promise<void> = values.then(
      (read) => settle(() => write(read)),
      (error) => settle(() => failed(error)),
    );
    this.#coming.add(coming);
  }

  /** Resolves when everything added so far has been written. */
  async settled(): Promise<void> {
    await Promise.all(this.#coming);
  }

  /** Writes what can be written although values before it have not come. At exit they never will. */
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

  #giveUpFirst(): void {
    this.#entries.shift();
    this.#advance();
    if (this.#warned) return;
    this.#warned = true;
    warn(
      `${maxWaitingEvents} events have waited for values that are still being computed; those are now written later`,
    );
  }
}

function guarded(write: () => void, failed: (error: unknown) => void): () => void {
  return () => {
    try {
      write();
    } catch (error) {
      failed(error);
    }
  };
}
