/**
 * What a writer with `purgeStep` reads of the files that an earlier, crashed run left in its folder.
 */
import { decodeMessage, encodeMessage } from '../encoding/message-codec.js';
import { decodeWhole, stepProto } from '../event/encode-event.js';
import type { Step } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { scanChunks, scanPieces } from '../reader/scan.js';
import { encodedSummary } from '../summaries/image-file.js';
import { DataClass } from '../summaries/plugin-summary.js';

/** A tag's points before the purge, as far as the files tell. */
interface TagHistory {
  /** From the tag's first event. */
  metadata?: tensorboard.ISummaryMetadata | null;
  /** The last event before the purged step, encoded. */
  lastBefore?: Uint8Array;
  /** Whether the tag has points to hide. */
  hasLater: boolean;
  /** The last event to hide, encoded, of a tag that must not be left without a point. */
  lastLater?: Uint8Array;
}

/**
 * What a purge does to tags that it would leave without a point, by their plugin: TensorBoard's Python loader then answers
 * "500" where it lists the tags of all runs. Images get a point without an image; what describes a run as a whole stays.
 */
const needsPoint: Readonly<Record<string, 'empty' | 'again'>> = {
  images: 'empty',
  custom_scalars: 'again',
  graph_keras_model: 'again',
  graph_run_metadata: 'again',
  graph_run_metadata_graph: 'again',
  graph_tagged_run_metadata: 'again',
};

/**
 * What is known of a run when its points from a step on are purged: event files are shown to it, in the order in which TensorBoard
 * reads them, each up to its first damage; then it says what must be written.
 */
export class PurgedRun {
  readonly #step: Step;
  readonly #tags = new Map<string, TagHistory>();
  /** The last graph, and what a session's metadata are by their tags, unless something before the purged step remains. */
  readonly #graphs = new Map<string, Uint8Array | 'kept'>();
  readonly #visit = ({ event, payload }: Decoded) => {
    const step = event.step;
    addToHistory(this.#tags, event, payload, step >= this.#step);
    const name = event.graphDef ? '' : event.taggedRunMetadata ? `tag ${event.taggedRunMetadata.tag}` : undefined;
    if (name !== undefined && this.#graphs.get(name) !== 'kept')
      this.#graphs.set(name, step < this.#step ? 'kept' : payload.slice());
  };

  /** @param step the first step whose points are hidden */
  constructor(step: Step) {
    this.#step = step;
  }

  /** Takes a file that comes in pieces. */
  read(pieces: Iterable<Uint8Array>): void {
    scanPieces(pieces, { decode }, this.#visit);
  }

  /** Takes a file whose pieces come later. */
  async readLater(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    await scanChunks(pieces, { decode }, this.#visit);
  }

  /**
   * The events that must be written after the session starts, because TensorBoard's loaders do not hide points alike. Its Rust
   * loader ignores a session start, but drops a tag's later points when a point at an earlier step follows them: so each tag that
   * has points to hide and an earlier one gives its last earlier one, with the tag's metadata. (A tag with nothing before the
   * purged step stays visible there until it is written to again.) For the Python loader see `needsPoint`; the run's graph also
   * stays.
   */
  events(): tensorboard.IEvent[] {
    return eventsAfterPurge(this.#step, this.#tags, this.#graphs);
  }
}

function eventsAfterPurge(
  purgeStep: Step,
  tags: ReadonlyMap<string, TagHistory>,
  graphs: ReadonlyMap<string, Uint8Array | 'kept'>,
): tensorboard.IEvent[] {
  const events: tensorboard.IEvent[] = [];
  for (const payload of graphs.values()) {
    if (payload !== 'kept') events.push(Object.assign(decodeWhole(payload), { step: stepProto(purgeStep) }));
  }
  for (const [tag, { metadata, lastBefore, hasLater, lastLater }] of tags) {
    if (!hasLater) continue;
    if (lastBefore !== undefined) {
      const { wallTime, step, value } = pointOf(lastBefore, tag);
      value.metadata ??= metadata;
      events.push({ wallTime, step, summary: { value: [value] } });
    } else if (lastLater !== undefined) {
      const { wallTime, value } = pointOf(lastLater, tag);
      const plugin = pluginOf(value, metadata)!;
      const point = needsPoint[plugin] === 'again' ? value : noImages(tag);
      point.metadata = metadata ?? { pluginData: { pluginName: plugin }, dataClass: DataClass.blobSequence };
      events.push({ wallTime, step: stepProto(purgeStep), summary: { value: [point] } });
    }
  }
  return events;
}

function noImages(tag: string): tensorboard.Summary.IValue {
  return { tag, tensor: encodedSummary(0, 0, []).tensor };
}

interface Decoded {
  event: tensorboard.Event;
  payload: Uint8Array;
}

function decode(bytes: Uint8Array, start: number, end: number): Decoded {
  const payload = bytes.subarray(start, end);
  return { event: decodeMessage(tensorboard.Event, payload), payload };
}

/** The last value of a tag in an event. */
function pointOf(payload: Uint8Array, tag: string): tensorboard.Event & { value: tensorboard.Summary.IValue } {
  const event = decodeWhole(payload);
  return Object.assign(event, { value: event.summary!.value!.filter((one) => one.tag === tag).pop()! });
}

/** The plugin of a tag whose first event has `metadata`; an old event names none. */
function pluginOf(value: tensorboard.Summary.IValue, metadata: TagHistory['metadata']): string | undefined {
  return metadata?.pluginData?.pluginName || (value.image ? 'images' : undefined);
}

function addToHistory(
  tags: Map<string, TagHistory>,
  event: tensorboard.Event,
  payload: Uint8Array,
  isPurged: boolean,
): void {
  let copy: Uint8Array | undefined;
  for (const value of event.summary?.value ?? []) {
    const tag = value.tag!;
    let history = tags.get(tag);
    if (history === undefined) tags.set(tag, (history = { metadata: copyOf(value.metadata), hasLater: false }));
    if (!isPurged) {
      history.lastBefore = copy ??= payload.slice();
      continue;
    }
    history.hasLater = true;
    const plugin = pluginOf(value, history.metadata);
    if (plugin !== undefined && Object.hasOwn(needsPoint, plugin)) history.lastLater = copy ??= payload.slice();
  }
}

/** A copy that shares no memory with the payload, which the next record overwrites. */
function copyOf(metadata: tensorboard.ISummaryMetadata | null | undefined): tensorboard.ISummaryMetadata | undefined {
  if (metadata === undefined || metadata === null) return undefined;
  return decodeMessage(tensorboard.SummaryMetadata, encodeMessage(tensorboard.SummaryMetadata, metadata));
}
