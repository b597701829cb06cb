/**
 * The drop-in for tfjs-node's summary writer: its function, its class, its messages. Everything else is SummaryWriter.
 */
import { describe } from '../errors.js';
import type { Step } from '../event/event.js';
import { isLogdir, logdirPath } from '../output/directory-output.js';
import type { Output } from '../output/output.js';
import type { Numbers } from '../summaries/numbers.js';
import { SummaryWriter } from './summary-writer.js';

/**
 * Replaces tfjs-node's `SummaryFileWriter`, method by method, and has everything that a `SummaryWriter` has besides. What
 * throws there works here: descriptions, tensors of booleans, histograms of equal values, steps of 2^31 and more.
 */
export class SummaryFileWriter extends SummaryWriter {
  /**
   * Adds a number, for the Scalars dashboard.
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
   * Adds how the elements of a tensor (or array) are distributed, for the Histograms and Distributions dashboards.
   *
   * @param name the tag
   * @param data a tensor or array of any shape
   * @param step an integer
   * @param buckets how many buckets, 30 by default
   * @param description markdown, shown beside the chart; counts on the name's first event
   */
  histogram(name: string, data: Numbers, step: Step, buckets?: number | null, description?: string | null): void {
    checkGivenStep(step);
    this.addHistogram(name, data, step, { buckets: buckets ?? undefined, description: description ?? undefined });
  }
}

/**
 * As in tfjs-node, there is one writer per logdir, as it was given. These are writers with their options, and not the Runs
 * that they share with other writers of the same real folder (open-runs.ts).
 */
const byLogdir = new Map<string, SummaryFileWriter>();
const byOutput = new WeakMap<Output, SummaryFileWriter>();

/** An Output that collects events loses a second of them, and not the two minutes of tfjs-node's default, with its program. */
const maxFlushMillis = 1000;

/**
 * The writer of a folder; replaces `tf.node.summaryFileWriter` with the same arguments. A second call for the same logdir
 * returns the same writer, whatever its other arguments, until that writer is closed.
 *
 * Existing code does not await `flush()`: a failure is reported on the warning channel and never becomes an unhandled
 * rejection; code that awaits `flush()` gets the rejection.
 *
 * @param logdir a folder, which is made if it is missing; or any Output, as a page needs, which has no folders by name
 * @param maxQueue the most events that are held back
 * @param flushMillis the longest time an event is held back, in milliseconds; never longer than a second
 * @param filenameSuffix ends the event file's name
 */
export function summaryFileWriter(
  logdir: string | URL | Output,
  maxQueue = 10,
  flushMillis = 120_000,
  filenameSuffix = '.v2',
): SummaryFileWriter {
  checkLogdir(logdir);
  for (const [name, value] of Object.entries({ maxQueue, flushMillis })) {
    if (typeof value !== 'number') {
      throw new TypeError(`summaryFileWriter: expected ${name} to be a number, got ${describe(value)}`);
    }
  }
  if (isLogdir(logdir)) logdir = logdirPath(logdir, 'summaryFileWriter');
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
 * Checks a logdir.
 *
 * @throws TypeError in tfjs-node's words
 */
export function checkLogdir(logdir: unknown): asserts logdir is string | URL | Output {
  if (isLogdir(logdir) || typeof (logdir as Output | undefined)?.write === 'function') return;
  throw new TypeError(`Invalid logdir: ${String(logdir)}. Expected a non-empty string for logdir.`);
}

/** SummaryWriter takes a missing step; tfjs-node requires one. The errors have tfjs-node's words. */
function checkGivenStep(step: unknown): void {
  if (typeof step === 'bigint' || Number.isInteger(step)) return;
  const message = `step is expected to be an integer, but is instead ${typeof step === 'number' ? step : describe(step)}`;
  throw typeof step === 'number' ? new RangeError(message) : new TypeError(message);
}
