/** A writer was used after `close()`. */
export class ClosedWriterError extends Error {
  override readonly name = 'ClosedWriterError';

  /** @param what the call that came too late, e.g. `addScalar "loss"` */
  constructor(what: string, logdir: string) {
    super(`${what}: the writer of '${logdir}' is closed. Open another one: it goes on in a file that sorts later.`);
  }
}
