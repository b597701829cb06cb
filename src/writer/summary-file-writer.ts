import { describe } from '../errors.js';
import type { Step } from '../event/event.js';
import type { Output } from '../output/output.js';
import type { Numbers } from '../summaries/numbers.js';
import { SummaryWriter } from './summary-writer.js';

/**
 * Replaces tfjs-node's `SummaryFileWriter`, method by method, and has everything a `SummaryWriter` has besides. What
 * throws there works here: descriptions, tensors of booleans, histograms of equal values, steps of 2^31 and more.
 */
export class SummaryFileWriter extends SummaryWriter {
  /**
   * Writes a number, for the Scalars dashboard.
   *
   * @param name the tag
   * @param value a number, or a tensor (or array) of one
   * @param step an integer
   * @param description markdown, shown beside the chart; counts on the name's first event
   */
  scalar(name: string, value: Numbers, step: Step, description?: string | null): void {
    checkGivenStep(step);
    this.addScalar(name, value, step, description === undefined || description === null ? undefined : { description });
  }

  /**
   * Writes how the elements of a tensor (or array) of any shape are distributed, for the Histograms and Distributions
   * dashboards.
   *
   * @param name the tag
   * @param buckets how many buckets, 30 by default
   * @param description markdown, shown beside the chart; counts on the name's first event
   */
  histogram(name: string, data: Numbers, step: Step, buckets?: number | null, description?: string | null): void {
    checkGivenStep(step);
    this.addHistogram(name, data, step, { buckets: buckets ?? undefined, description: description ?? undefined });
  }
}

/** One writer per logdir, as in tfjs-node. */
const byLogdir = new Map<string, SummaryFileWriter>();
const byOutput = new WeakMap<Output, SummaryFileWriter>();

/** Ours by default: seconds, not minutes, may be lost when a program is killed. */
const maxFlushMillis = 1000;

/**
 * The writer of a folder; replaces `tf.node.summaryFileWriter` with the same arguments. A second call for the same logdir
 * returns the same writer, whatever its other arguments, until that is closed.
 *
 * Existing code does not await `flush()`: a failure is told on the warning channel and never becomes an unhandled
 * rejection, and code that does await it gets it as a rejection.
 *
 * @param logdir a folder, made where it is missing; or any Output, as a page needs, which has no folders by name
 * @param maxQueue events that are held back at most
 * @param flushMillis how long an event is held back at most; here never longer than a second
 * @param filenameSuffix ends the event file's name
 */
export function summaryFileWriter(
  logdir: string | Output,
  maxQueue = 10,
  flushMillis = 120_000,
  filenameSuffix = '.v2',
): SummaryFileWriter {
  checkLogdir(logdir);
  let writer = typeof logdir === 'string' ? byLogdir.get(logdir) : byOutput.get(logdir);
  if (writer === undefined || writer.isClosed) {
    writer = new SummaryFileWriter(logdir, {
      maxQueue: Math.max(1, maxQueue),
      flushSecs: Math.min(flushMillis, maxFlushMillis) / 1000,
      filenameSuffix,
    });
    if (typeof logdir === 'string') byLogdir.set(logdir, writer);
    else byOutput.set(logdir, writer);
  }
  return writer;
}

/**
 * tfjs-node's words for a logdir that is none.
 *
 * @throws TypeError
 */
export function checkLogdir(logdir: unknown): asserts logdir is string | Output {
  if (typeof logdir === 'string' ? logdir !== '' : typeof (logdir as Output | undefined)?.write === 'function') return;
  throw new TypeError(`Invalid logdir: ${String(logdir)}. Expected a non-empty string for logdir.`);
}

/** SummaryWriter takes a missing step; tfjs-node requires one, and says it in these words. */
function checkGivenStep(step: unknown): void {
  if (typeof step === 'bigint' || Number.isInteger(step)) return;
  const message = `step is expected to be an integer, but is instead ${typeof step === 'number' ? step : describe(step)}`;
  throw typeof step === 'number' ? new RangeError(message) : new TypeError(message);
}
