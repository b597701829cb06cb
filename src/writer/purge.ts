import { RecordReader } from '../encoding/record.js';
import { CorruptRecordError } from '../errors.js';
import { decodeWhole, readStep } from '../event/encode-event.js';
import type { Step } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';

/** A tag's points before the purge, as far as its files tell. */
interface TagHistory {
  /** From the tag's first event. */
  metadata?: tensorboard.ISummaryMetadata | null;
  /** The last event before the purged step, encoded. */
  kept?: Uint8Array;
  /** True where there is anything to hide. */
  purged: boolean;
}

/** A tag's last point before the purged step. */
export interface KeptPoint {
  wallTime: number;
  step: number | Long;
  value: tensorboard.Summary.IValue;
}

type Long = Exclude<tensorboard.Event['step'], number>;

/**
 * The points that must be written again so that TensorBoard's Rust loader hides what an earlier, crashed run wrote at
 * `purgeStep` and later: it ignores a session start, but drops a tag's later points when a point at an earlier step
 * follows them. Each tag that has such points and an earlier one gives its last earlier one, with the tag's metadata. (A
 * tag with nothing before `purgeStep` stays visible there until it is written to again.)
 *
 * @param files event files in the order TensorBoard reads them, each in pieces; a file is read up to its first damage
 */
export function lastPointsBefore(purgeStep: Step, files: Iterable<Iterable<Uint8Array>>): KeptPoint[] {
  const tags = new Map<string, TagHistory>();
  for (const file of files) {
    try {
      for (const payload of payloads(file)) note(tags, payload, purgeStep);
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error;
    }
  }
  const points: KeptPoint[] = [];
  for (const [tag, { metadata, kept, purged }] of tags) {
    if (!purged || kept === undefined) continue;
    const { wallTime, step, summary } = decodeWhole(kept);
    const value = summary!.value!.filter((one) => one.tag === tag).pop()!;
    value.metadata ??= metadata;
    points.push({ wallTime, step, value });
  }
  return points;
}

function* payloads(file: Iterable<Uint8Array>): Iterable<Uint8Array> {
  const reader = new RecordReader();
  for (const piece of file) {
    reader.push(piece);
    while (reader.next()) yield reader.bytes.subarray(reader.start, reader.end);
  }
}

function note(tags: Map<string, TagHistory>, payload: Uint8Array, purgeStep: Step): void {
  let event: tensorboard.Event;
  try {
    event = tensorboard.Event.decode(payload);
  } catch (error) {
    throw new CorruptRecordError('its content is not an event', 0, undefined, { cause: error });
  }
  const step = typeof event.step === 'number' ? event.step : readStep(event.step.low >>> 0, event.step.high >>> 0);
  let copy: Uint8Array | undefined;
  for (const { tag, metadata } of event.summary?.value ?? []) {
    let history = tags.get(tag!);
    if (history === undefined) tags.set(tag!, (history = { metadata: copyOf(metadata), purged: false }));
    if (step >= purgeStep) history.purged = true;
    else history.kept = copy ??= payload.slice();
  }
}

/** The payload's memory is used again for the next record. */
function copyOf(metadata: tensorboard.ISummaryMetadata | null | undefined): tensorboard.ISummaryMetadata | undefined {
  if (metadata === undefined || metadata === null) return undefined;
  return tensorboard.SummaryMetadata.decode(tensorboard.SummaryMetadata.encode(metadata).finish());
}
