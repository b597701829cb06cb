import { warn } from '#platform';

/**
 * What went wrong on the way to the file, and what of it is still true. The first error is kept, and told once on the
 * warning channel; `check` throws it for as long as something added is not in the file.
 */
export class WriteFailures {
  /** The first error since everything was last in the file. */
  #first: unknown;
  #failing = false;
  #warnedOfFailure = false;
  #warnedOfLoss = false;
  #lost = 0;
  #lostUnreported = 0;
  #reason = '';

  /** True while something could not be written. */
  get isFailing(): boolean {
    return this.#failing;
  }

  /** Notes that a write failed; what it held is kept and will be tried again. */
  note(error: unknown): void {
    if (!this.#failing) this.#first = error;
    this.#failing = true;
    if (this.#warnedOfFailure) return;
    this.#warnedOfFailure = true;
    warn(`${messageOf(error)}. Events are kept in memory and written as soon as that works again.`);
  }

  /**
   * Notes that events are gone for good.
   * @param error what led to it; while writing fails, the first error did
   */
  lose(events: number, reason: string, error?: unknown): void {
    if (!this.#failing && this.#lostUnreported === 0) this.#first = error;
    this.#lost += events;
    this.#lostUnreported += events;
    this.#reason = reason;
    if (this.#warnedOfLoss) return;
    this.#warnedOfLoss = true;
    warn(
      `${counted(events)}: ${reason} (${messageOf(this.#first)}). flush() and close() tell how many there were in the end.`,
    );
  }

  /** Notes that everything kept has been written. */
  recovered(): void {
    this.#failing = false;
  }

  /**
   * @param closing also report losses that a flush has reported before
   * @throws the first error while writing fails; where events were lost, an Error that counts them, with the first error
   * as its cause.
   */
  check(closing = false): void {
    const lost = closing ? this.#lost : this.#lostUnreported;
    this.#lostUnreported = 0;
    if (lost > 0) {
      const code = (this.#first as { code?: string } | undefined)?.code;
      const message = `${counted(lost)}: ${this.#reason} (${messageOf(this.#first)})`;
      const error = new Error(message, { cause: this.#first });
      throw code === undefined ? error : Object.assign(error, { code });
    }
    if (this.#failing) throw this.#first;
  }
}

function counted(events: number): string {
  return events === 1 ? '1 event was lost' : `${events} events were lost`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
