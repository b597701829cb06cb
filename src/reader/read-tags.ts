/**
 * What a reader knows of the tags of a run; `writer/written-tags.ts` is the other side. A tag's first events say which
 * plugin draws it and later ones leave that out, so a reader has to remember it. Tags are found by their bytes rather than
 * by their text: a file repeats few tags many times, and making a string of each costs more than everything else in a
 * scalar's record. Of tags whose bytes have one hash only one is found that way, so that a file cannot fill a bucket.
 */
import { equalBytes, fnv1a } from '../encoding/bytes.js';
import { decodeMessage } from '../encoding/message-codec.js';
import { readUtf8 } from '../encoding/protobuf.js';
import type { DecodedSummary } from '../event/event.js';
import { randomUint32 } from '../platform/random.js';
import { tensorboard } from '../proto/tensorboard.js';
import type { PluginMetadata } from '../summaries/plugins.js';

const empty: Uint8Array = new Uint8Array(0);
/** Tags without a plugin are remembered for speed only; all of them are dropped when there are more than this. */
const maxPlainTags = 2 ** 16;
/** Where hashes begin, from the first run that is read on: nobody can choose tags that fill one place of a hash table. */
let seed: number | undefined;

/** What the value of a form is. */
export const FormKind = { scalar: 0, histogram: 1, text: 2 } as const;

/** What the records of a tag have behind the tag: `head`, the value, `tail`. */
export interface RecordForm {
  readonly kind: (typeof FormKind)[keyof typeof FormKind];
  /** Whether the value stands in a tensor, whose length precedes `head`. */
  readonly isTensor: boolean;
  /** From the tag, or from the length of the tensor, to the length of the value, or to the value if it has none. */
  readonly head: Uint8Array;
  /** From the value to the end: metadata, as a rule. */
  readonly tail: Uint8Array;
  /** Bytes of the value; -1 if texts may have any. */
  readonly length: number;
  /** What the metadata say besides the plugin; undefined if there are none. */
  readonly described: Pick<DecodedSummary, 'displayName' | 'description'> | undefined;
}

/** What the reader knows of one tag of a run. */
export interface ReadTag extends PluginMetadata {
  /** The tag's text; one string for all its events. */
  readonly tag: string;
  /** The tag's UTF-8 bytes. */
  readonly bytes: Uint8Array;
  /** Whether the reader's caller wants the tag's summaries. */
  readonly wanted: boolean;
  /** The plugin of the tag's first value if that was a v1 value and nothing named a plugin; '' otherwise. */
  bare: string;
  /** The stored metadata of the latest record that had any. */
  metadata: Uint8Array;
  displayName?: string;
  description?: string;
  /** What its last record had besides wall time, step and value. */
  form?: RecordForm;
  /** The tag that was found after this one the last time. */
  next?: ReadTag;
}

/** The tags of a run, found by their bytes. */
export class ReadTags {
  readonly #wanted: (tag: string) => boolean;
  readonly #byHash = new Map<number, ReadTag>();
  /** Tags whose hash another tag has. JavaScript's own hash of a text cannot be foreseen. */
  readonly #byText = new Map<string, ReadTag>();
  #plainTags = 0;
  /** The tag that was found last. */
  #last: ReadTag | undefined;

  /** @param wanted asked once per tag */
  constructor(wanted: (tag: string) => boolean) {
    this.#wanted = wanted;
    seed ??= randomUint32();
  }

  /**
   * The tag whose UTF-8 bytes are `bytes[start, end)`; an unknown one is added.
   *
   * @throws RangeError if the bytes are not UTF-8
   */
  find(bytes: Uint8Array, start: number, end: number): ReadTag {
    return this.known(bytes, start, end) ?? this.#follow(this.#lookUp(bytes, start, end));
  }

  /** The tag whose UTF-8 bytes are `bytes[start, end)`; undefined if it is not known, or one of two with the same hash. */
  known(bytes: Uint8Array, start: number, end: number): ReadTag | undefined {
    // Tags come in turn: comparing one takes a third of the time of looking it up.
    const expected = this.#last?.next;
    if (expected !== undefined && equalBytes(expected.bytes, bytes, start, end)) return (this.#last = expected);
    const found = this.#byHash.get(fnv1a(bytes, start, end, seed));
    return found !== undefined && equalBytes(found.bytes, bytes, start, end) ? this.#follow(found) : undefined;
  }

  #follow(found: ReadTag): ReadTag {
    if (this.#last !== undefined) this.#last.next = found;
    return (this.#last = found);
  }

  #lookUp(bytes: Uint8Array, start: number, end: number): ReadTag {
    const hash = fnv1a(bytes, start, end, seed);
    const known = this.#byHash.get(hash);
    if (known === undefined) {
      const added = this.#newTag(readUtf8(bytes, start, end), bytes.slice(start, end));
      this.#byHash.set(hash, added);
      return added;
    }
    const tag = readUtf8(bytes, start, end);
    let collided = this.#byText.get(tag);
    if (collided === undefined) {
      collided = this.#newTag(tag, bytes.slice(start, end));
      this.#byText.set(tag, collided);
    }
    return collided;
  }

  /**
   * Takes the SummaryMetadata in `bytes[start, end)`, which a record of this tag holds. The first plugin that is named
   * counts, but not beside a v1 value, unless with a data class; the display name and the description are those of the
   * latest record. TF2 repeats all of it in every record.
   *
   * Sources: tensorboard/data/server/data_compat.rs (initial_metadata); the Python loader, tensorboard/data_compat.py
   * (migrate_value), never believes the metadata of a v1 value.
   *
   * @param v1 the plugin of the record's value if that is a v1 value
   * @throws Error if the bytes are not a SummaryMetadata
   */
  addMetadata(known: ReadTag, bytes: Uint8Array, start: number, end: number, v1: string | undefined): void {
    if (equalBytes(known.metadata, bytes, start, end)) return;
    const stored = bytes.slice(start, end);
    const { dataClass, pluginData, displayName, summaryDescription } = decodeMessage(
      tensorboard.SummaryMetadata,
      stored,
    );
    known.metadata = stored;
    known.displayName = displayName ?? '';
    known.description = summaryDescription ?? '';
    if (known.plugin === '' && pluginData?.pluginName) {
      this.#plainTags--;
      known.form = undefined; // its values may be another plugin's
      known.plugin = (!dataClass && v1) || pluginData.pluginName;
      known.content = known.plugin === pluginData.pluginName ? (pluginData.content ?? empty) : empty;
    }
  }

  /**
   * The plugin of a tag's value, once `addMetadata` has taken the metadata of its record. A tag that began with bare v1 values keeps
   * them: their kind is that of the tag for both loaders, whatever tensors under the same tag name later.
   *
   * @param v1 the plugin of the record's value if that is a v1 value
   */
  pluginOf(known: ReadTag, v1: string | undefined): string {
    if (v1 && !known.plugin) known.bare ||= v1;
    return (known.bare && v1) || known.plugin || known.bare;
  }

  #newTag(tag: string, bytes: Uint8Array): ReadTag {
    if (this.#plainTags >= maxPlainTags) this.#dropPlainTags();
    this.#plainTags++;
    return { tag, bytes, wanted: this.#wanted(tag), plugin: '', content: empty, bare: '', metadata: empty };
  }

  #dropPlainTags(): void {
    for (const tags of [this.#byHash, this.#byText] as Map<unknown, ReadTag>[]) {
      for (const [key, tag] of tags) {
        if (tag.plugin === '') tags.delete(key);
        tag.next = undefined;
      }
    }
    this.#last = undefined;
    this.#plainTags = 0;
  }
}
