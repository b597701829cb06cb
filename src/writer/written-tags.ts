/**
 * What a Run knows of its tags while it writes; `reader/read-tags.ts` is the other side. TensorBoard takes a tag's
 * plugin, name and description from the tag's first event in a file, so the first event carries metadata and later ones
 * leave it out. When a file is replaced or events are lost, every tag starts over.
 */

import { warn } from '#platform';
import { concat } from '../encoding/bytes.js';
import { encodeMessage } from '../encoding/message-codec.js';
import { frameRecord, payloadsOf } from '../encoding/record.js';
import { decodeWhole, encodeFirstEvent } from '../event/encode-event.js';
import type { Step } from '../event/event.js';
import { scalarBody } from '../event/scalar-record.js';
import { tensorboard } from '../proto/tensorboard.js';

/** One value of a summary event, before it is known whether the file has the tag's metadata. */
export interface TaggedTensor {
  tag: string;
  tensor: tensorboard.ITensorProto;
  /** Written with the tag's first event in a file. */
  metadata: tensorboard.ISummaryMetadata;
}

/** What the writer knows of one tag of a run. */
interface WrittenTag {
  /** The metadata of the tag's first event. */
  readonly metadata: tensorboard.ISummaryMetadata;
  /** Whether the current file holds the metadata. */
  isDescribed: boolean;
  /** What `writeScalarRecord` needs. Set if the tag is a scalar and the current file holds its metadata. */
  scalarBody?: Uint8Array;
  /** The step of the tag's latest event. */
  lastStep?: Step;
  /** The tags under which summaries of other plugins are written, by the plugin. */
  others?: Map<string, string>;
}

/** The tags of a run, found by their text. */
export class WrittenTags {
  readonly #byText = new Map<string, WrittenTag>();
  #resets = 0;

  /** How often `reset` was called. An event that was encoded before the latest reset may lack metadata. */
  get resets(): number {
    return this.#resets;
  }

  /** Returns undefined if the tag is unknown. */
  find(tag: string): WrittenTag | undefined {
    return this.#byText.get(tag);
  }

  /** The tags that are scalars, each with the step of its latest event. */
  scalars(): [string, Step | undefined][] {
    const tags = [...this.#byText].filter(([, { metadata }]) => metadata.pluginData?.pluginName === 'scalars');
    return tags.map(([tag, { lastStep }]) => [tag, lastStep]);
  }

  /** A value in the form in which it is encoded: with metadata if the file has none for its tag. */
  valueOf({ tag, tensor, metadata }: TaggedTensor): tensorboard.Summary.IValue {
    const known = this.#byText.get(tag);
    return known?.isDescribed ? { tag, tensor } : { tag, tensor, metadata: known?.metadata ?? metadata };
  }

  /**
   * A summary under the tag that it is written with. TensorBoard takes all summaries of a tag for what the first one is: it
   * would not show one of another plugin, and its Python loader would no longer show the first ones either. So such a summary
   * gets a tag of its own, `<tag>/<plugin>`, and a warning says so once.
   */
  place(summary: TaggedTensor): TaggedTensor {
    const { tag, metadata } = summary;
    const known = this.#byText.get(tag);
    const first = known?.metadata.pluginData?.pluginName;
    const plugin = metadata.pluginData?.pluginName;
    if (known === undefined || first === plugin || !plugin) return summary;
    known.others ??= new Map();
    let other = known.others.get(plugin);
    if (other === undefined) {
      known.others.set(plugin, (other = `${tag}/${plugin}`));
      warn(
        `The tag '${tag}' holds ${first} in this run, and a tag holds one kind: what was added as ${plugin} is written as '${other}'`,
      );
    }
    return this.place({ ...summary, tag: other });
  }

  /** Records that the file now holds metadata of a tag. The first metadata counts. */
  addMetadata(tag: string, metadata: tensorboard.ISummaryMetadata): WrittenTag {
    let known = this.#byText.get(tag);
    if (known === undefined) this.#byText.set(tag, (known = { metadata, isDescribed: false }));
    known.isDescribed = true;
    if (known.metadata.pluginData?.pluginName === 'scalars') known.scalarBody ??= scalarBody(tag);
    return known;
  }

  /** Starts over: another file begins, or events were lost, so the file may hold no tag's metadata. */
  reset(): void {
    this.#resets++;
    for (const known of this.#byText.values()) {
      known.isDescribed = false;
      delete known.scalarBody;
    }
  }

  /** Changes records that were meant for a file that is gone so that they can begin a new one. */
  beginAgain(backlog: readonly { bytes: Uint8Array }[]): void {
    this.reset();
    for (const [index, chunk] of backlog.entries()) {
      const events = [...payloadsOf(chunk.bytes)].map(decodeWhole).filter(({ what }) => what !== 'fileVersion');
      const records = events.map((event) => frameRecord(this.#encodeAgain(event)));
      if (index === 0) records.unshift(frameRecord(encodeFirstEvent()));
      chunk.bytes = concat(records);
    }
  }

  /** Encodes an event again, with the metadata that the file lacks. */
  #encodeAgain(event: tensorboard.Event): Uint8Array {
    for (const value of event.summary?.value ?? []) {
      const known = this.#byText.get(value.tag ?? '');
      if (known === undefined || known.isDescribed) continue;
      value.metadata ??= known.metadata;
      this.addMetadata(value.tag!, known.metadata);
    }
    return encodeMessage(tensorboard.Event, event);
  }
}
