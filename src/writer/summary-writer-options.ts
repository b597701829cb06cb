import { checkStep, checkText } from '../event/check-arguments.js';
import type { Step } from '../event/event.js';
import type { StreamOptions } from './open-runs.js';

/** How a SummaryWriter writes. Every limit is an upper bound: events may be written sooner. */
export interface SummaryWriterOptions {
  /** Appended to the default logdir; without effect where a logdir is given. */
  comment?: string;
  /** Hides the points at this step and later of an earlier, crashed run in the same folder. */
  purgeStep?: Step;
  /** Events buffered before a write is forced. No limit by default: time and size are limits enough. */
  maxQueue?: number;
  /** The longest an event may stay unwritten, in seconds; also checked at each addX. 1 by default. */
  flushSecs?: number;
  /** Size of the buffer. 65,536 by default; it starts small and grows up to this. */
  maxBufferedBytes?: number;
  /** Bytes kept in memory while they cannot be written (full disk); beyond it events are lost, and counted. 64 MiB by default. */
  maxUnwrittenBytes?: number;
  /** Ends the event file's name. Letters, digits, `-`, `_` and `.`; anything else becomes `_`. */
  filenameSuffix?: string;
  /**
   * Write what is buffered on SIGINT and SIGTERM, then let the signal do its work. Off by default, since a program that
   * listens to a signal can no longer be ended by it while it computes without a pause; without it a signal loses at
   * most the last `flushSecs`.
   */
  handleSignals?: boolean;
}

/** Checks the options and fills in what is not given. */
export function readOptions(options: SummaryWriterOptions): StreamOptions {
  const { comment, filenameSuffix = '', purgeStep, handleSignals = false } = options;
  checkText(comment, 'comment', 'SummaryWriter');
  checkText(filenameSuffix, 'filenameSuffix', 'SummaryWriter');
  if (purgeStep !== undefined) checkStep(purgeStep, 'SummaryWriter purgeStep');
  if (typeof handleSignals !== 'boolean') {
    throw new TypeError(`SummaryWriter: expected handleSignals to be true or false, got ${String(handleSignals)}`);
  }
  return {
    filenameSuffix,
    handleSignals,
    maxQueue: atLeast(options, 'maxQueue', 1, Number.POSITIVE_INFINITY),
    flushMillis: atLeast(options, 'flushSecs', 0, 1) * 1000,
    maxBufferedBytes: atLeast(options, 'maxBufferedBytes', 1, 65_536),
    maxUnwrittenBytes: atLeast(options, 'maxUnwrittenBytes', 0, 64 * 2 ** 20),
  };
}

function atLeast(
  options: SummaryWriterOptions,
  option: 'maxQueue' | 'flushSecs' | 'maxBufferedBytes' | 'maxUnwrittenBytes',
  minimum: number,
  standard: number,
): number {
  const value = options[option] ?? standard;
  if (typeof value !== 'number') {
    throw new TypeError(`SummaryWriter: expected ${option} to be a number, got ${typeof value}`);
  }
  if (!(value >= minimum)) {
    throw new RangeError(`SummaryWriter: expected ${option} to be at least ${minimum}, got ${value}`);
  }
  return value;
}
