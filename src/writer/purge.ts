/**
 * What a writer with `purgeStep` reads of the files that an earlier, crashed run left in its folder.
 */
import { decodeWhole, readStep } from '../event/encode-event.js';
import type { Step } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { scanPieces } from '../reader/scan.js';

/** A tag's points before the purge, as far as the files tell. */
interface TagHistory {
  /** From the tag's first event. */
  metadata?: tensorboard.ISummaryMetadata | null;
  /** The last event before the purged step, encoded. */
  lastBefore?: Uint8Array;
  /** Whether the tag has points to hide. */
  hasLater: boolean;
}

/** A tag's last point before the purged step. */
export interface LastPoint {
  wallTime: number;
  step: number | Long;
  value: tensorboard.Summary.IValue;
}

type Long = Exclude<tensorboard.Event['step'], number>;

/**
 * The points that must be written again so that TensorBoard's Rust loader hides what an earlier, crashed run wrote at
 * `purgeStep` and later: it ignores a session start, but drops a tag's later points when a point at an earlier step
 * follows them. Each tag that has points to hide and an earlier one gives its last earlier one, with the tag's metadata. (A
 * tag with nothing before `purgeStep` stays visible there until it is written to again.)
 *
 * @param files event files in the order in which TensorBoard reads them, each in pieces; a file is read up to its first
 * damage
 */
export function lastPointsBefore(purgeStep: Step, files: Iterable<Iterable<Uint8Array>>): LastPoint[] {
  const tags = new Map<string, TagHistory>();
  for (const file of files) {
    scanPieces(file, { decode }, ({ event, payload }) => addToHistory(tags, event, payload, purgeStep));
  }
  const points: LastPoint[] = [];
  for (const [tag, { metadata, lastBefore, hasLater }] of tags) {
    if (!hasLater || lastBefore === undefined) continue;
    const { wallTime, step, summary } = decodeWhole(lastBefore);
    const value = summary!.value!.filter((one) => one.tag === tag).pop()!;
    value.metadata ??= metadata;
    points.push({ wallTime, step, value });
  }
  return points;
}

function decode(bytes: Uint8Array, start: number, end: number): { event: tensorboard.Event; payload: Uint8Array } {
  const payload = bytes.subarray(start, end);
  return { event: tensorboard.Event.decode(payload), payload };
}

function addToHistory(
  tags: Map<string, TagHistory>,
  event: tensorboard.Event,
  payload: Uint8Array,
  purgeStep: Step,
): void {
  const step = typeof event.step === 'number' ? event.step : readStep(event.step.low >>> 0, event.step.high >>> 0);
  let copy: Uint8Array | undefined;
  for (const { tag, metadata } of event.summary?.value ?? []) {
    let history = tags.get(tag!);
    if (history === undefined) tags.set(tag!, (history = { metadata: copyOf(metadata), hasLater: false }));
    if (step >= purgeStep) history.hasLater = true;
    else history.lastBefore = copy ??= payload.slice();
  }
}

/** A copy that shares no memory with the payload, which the next record overwrites. */
function copyOf(metadata: tensorboard.ISummaryMetadata | null | undefined): tensorboard.ISummaryMetadata | undefined {
  if (metadata === undefined || metadata === null) return undefined;
  return tensorboard.SummaryMetadata.decode(tensorboard.SummaryMetadata.encode(metadata).finish());
}
