import { warn } from '#platform';
import { messageOf } from '../errors.js';

/** Failures that are worded as they come: a model has hundreds of layers, which may all fail alike. */
const mostWarnings = 10;
const unsaid = 'there are more failures, which are not shown';

/** Of a writer that was given nothing. */
export const nothingMerged = "addSaturations: expected merge(bytes) first with role 'writer', got no rows";

/**
 * Collects what goes wrong while a model trains, because nothing of it may stop the training. Each failure is reported
 * once on the warning channel, and the owner of the log may throw all of them when the training is over.
 */
export class FailureLog {
  readonly #prefix: string;
  /** By place and kind, so that each is there once. */
  readonly #errors = new Map<string, Error>();
  readonly #warnings = new Set<string>();

  /** @param prefix of each warning, with what separates it from the message */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /**
   * Adds a failure, unless the same was added before. Numbers do not make another one of it: a file that is named by its
   * epoch fails in every epoch.
   *
   * @param where in words, e.g. "layer 'conv1'"
   */
  readonly add = (error: unknown, where: string): void => {
    const message = `${where}: ${messageOf(error)}`;
    const kind = `${where.replace(/^epoch \d+/, 'epoch')}: ${withoutNumbers(messageOf(error))}`;
    if (this.#errors.has(kind)) return;
    this.#errors.set(kind, new Error(message, { cause: error }));
    if (this.#errors.size <= mostWarnings) warn(`${this.#prefix}${message}`);
    else if (this.#errors.size === mostWarnings + 1) warn(`${this.#prefix}${unsaid}`);
  };

  /** Warns of something that the user should change, once per message, whatever its numbers are. It is no failure. */
  readonly warnOnce = (message: string): void => {
    const kind = withoutNumbers(message);
    if (this.#warnings.has(kind)) return;
    this.#warnings.add(kind);
    warn(`${this.#prefix}${message}`);
  };

  /** Runs `act` and adds what it throws or rejects with. */
  async guard(where: string, act: () => unknown): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.add(error, where);
    }
  }

  /** Throws what was added: the error itself, or an AggregateError if there are several. */
  throwAll(): void {
    const errors = [...this.#errors.values()];
    if (errors.length === 1) throw errors[0];
    if (errors.length === 0) return;
    const messages = errors.map(({ message }) => message).join('; ');
    throw new AggregateError(errors, `${errors.length} errors while tracking: ${messages}`);
  }
}

function withoutNumbers(message: string): string {
  return message.replace(/\d+/g, '#');
}
