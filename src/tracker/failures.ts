import { warn } from '#platform';
import { messageOf } from '../errors.js';

/**
 * Collects what goes wrong while a model trains, because nothing of it may stop the training. Each failure is reported
 * once on the warning channel, and the owner of the log may throw all of them when the training is over.
 */
export class FailureLog {
  readonly #prefix: string;
  /** By message, so that each place and kind of failure is there once. */
  readonly #errors = new Map<string, Error>();
  readonly #warnings = new Set<string>();

  /** @param prefix of each warning, with what separates it from the message */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Adds a failure, unless the same was added before. @param where in words, e.g. "layer 'conv1'" */
  readonly add = (error: unknown, where: string): void => {
    const message = `${where}: ${messageOf(error)}`;
    if (this.#errors.has(message)) return;
    this.#errors.set(message, new Error(message, { cause: error }));
    warn(`${this.#prefix}${message}`);
  };

  /** Warns of something that the user should change, once per message. It is no failure. */
  readonly warnOnce = (message: string): void => {
    if (this.#warnings.has(message)) return;
    this.#warnings.add(message);
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
