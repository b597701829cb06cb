/**
 * What a reader knows of the tags of a run; `writer/written-tags.ts` is the other side. A tag's first events say which
 * plugin draws it and later ones leave that out, so a reader has to remember it. Tags are found by their bytes rather than
 * by their text: a file repeats few tags many times, and making a string of each costs more than everything else in a
 * scalar's record.
 */
import { equalBytes, fnv1a } from '../encoding/bytes.js';
import { decodeMessage, readUtf8 } from '../encoding/protobuf.js';
import { tensorboard } from '../proto/tensorboard.js';
import type { PluginMetadata } from '../summaries/plugins.js';

const empty: Uint8Array = new Uint8Array(0);
/** Tags without a plugin are remembered for speed only; all of them are dropped when there are more than this. */
const maxPlainTags = 2 ** 16;

/** What the reader knows of one tag of a run. */
interface ReadTag extends PluginMetadata {
  /** The tag's text; one string for all its events. */
  readonly tag: string;
  /** The tag's UTF-8 bytes. */
  readonly bytes: Uint8Array;
  /** Whether the reader's caller wants the tag's summaries. */
  readonly wanted: boolean;
  /** The stored metadata of the latest record that had any. */
  metadata: Uint8Array;
  displayName?: string;
  description?: string;
}

/** The tags of a run, found by their bytes. */
export class ReadTags {
  readonly #wanted: (tag: string) => boolean;
  readonly #byHash = new Map<number, ReadTag[]>();
  #plainTags = 0;

  /** @param wanted asked once per tag */
  constructor(wanted: (tag: string) => boolean) {
    this.#wanted = wanted;
  }

  /**
   * The tag whose UTF-8 bytes are `bytes[start, end)`; an unknown one is added.
   *
   * @throws RangeError if the bytes are not UTF-8
   */
  find(bytes: Uint8Array, start: number, end: number): ReadTag {
    const hash = fnv1a(bytes, start, end);
    const bucket = this.#byHash.get(hash);
    if (bucket) {
      for (const known of bucket) if (equalBytes(known.bytes, bytes, start, end)) return known;
    }
    return this.#add(hash, bytes, start, end);
  }

  /**
   * Takes the SummaryMetadata in `bytes[start, end)`, which a record of this tag holds. The first plugin that is named
   * counts; the display name and the description are those of the latest record. TF2 repeats all of it in every record.
   *
   * @throws Error if the bytes are not a SummaryMetadata
   */
  addMetadata(known: ReadTag, bytes: Uint8Array, start: number, end: number): void {
    if (equalBytes(known.metadata, bytes, start, end)) return;
    const stored = bytes.slice(start, end);
    const { pluginData, displayName, summaryDescription } = decodeMessage(tensorboard.SummaryMetadata, stored);
    known.metadata = stored;
    known.displayName = displayName ?? '';
    known.description = summaryDescription ?? '';
    if (known.plugin === '' && pluginData?.pluginName) {
      this.#plainTags--;
      known.plugin = pluginData.pluginName;
      known.content = pluginData.content ?? empty;
    }
  }

  #add(hash: number, bytes: Uint8Array, start: number, end: number): ReadTag {
    if (this.#plainTags >= maxPlainTags) this.#dropPlainTags();
    const tag = readUtf8(bytes, start, end);
    const known: ReadTag = {
      tag,
      bytes: bytes.slice(start, end),
      wanted: this.#wanted(tag),
      plugin: '',
      content: empty,
      metadata: empty,
    };
    const bucket = this.#byHash.get(hash);
    if (bucket) bucket.push(known);
    else this.#byHash.set(hash, [known]);
    this.#plainTags++;
    return known;
  }

  #dropPlainTags(): void {
    for (const [hash, bucket] of this.#byHash) {
      const kept = bucket.filter(({ plugin }) => plugin !== '');
      if (kept.length === 0) this.#byHash.delete(hash);
      else this.#byHash.set(hash, kept);
    }
    this.#plainTags = 0;
  }
}
