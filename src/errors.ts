/**
 * A record of an event file is damaged: its length or its content does not match the checksum stored with it, it claims
 * more bytes than the reader accepts, or what it holds is not an event. (A record that is merely cut off at the end of
 * its source is not damaged: see `readEvents`.)
 */
export class CorruptRecordError extends Error {
  override readonly name = 'CorruptRecordError';
  /** Position in the source of the damaged record's first byte. */
  readonly offset: number;
  /** The file that holds the record, where the source was one. */
  readonly file?: string;
  /** What is wrong, without the place. */
  readonly reason: string;

  constructor(reason: string, offset: number, file?: string, options?: { cause?: unknown }) {
    super(`Damaged record at byte ${offset}${file === undefined ? '' : ` of ${file}`}: ${reason}`, options);
    this.reason = reason;
    this.offset = offset;
    if (file !== undefined) this.file = file;
  }
}

/** A writer was used after `close()`. */
export class ClosedWriterError extends Error {
  override readonly name = 'ClosedWriterError';

  /** @param what the call that came too late, e.g. `addScalar "loss"` */
  constructor(what: string, logdir: string) {
    super(`${what}: the writer of '${logdir}' is closed. Open another one: it goes on in a file that sorts later.`);
  }
}
