import { equalBytes, fnv1a } from '../encoding/bytes.js';
import { readUtf8 } from '../encoding/protobuf.js';
import type { PluginMetadata } from '../summaries/plugins.js';

const empty: Uint8Array = new Uint8Array(0);
/** Tags without metadata are worth remembering for speed only, and are forgotten when there are more than this. */
const maxPlainTags = 2 ** 16;

/** What a reader knows of one tag of a run. */
export interface KnownTag extends PluginMetadata {
  /** The tag's text; one string for all its events. */
  readonly tag: string;
  /** The tag's UTF-8 bytes. */
  readonly bytes: Uint8Array;
  /** Whether the reader's caller wants it. */
  readonly wanted: boolean;
  /** Metadata as last seen in a record of this tag. */
  metadata: Uint8Array;
  displayName?: string;
  description?: string;
}

/**
 * The tags of a run. A tag's first events say which plugin draws it and later ones leave that out, so a reader has to
 * remember. Found by bytes rather than text: a file repeats few tags many times, and making a string of each costs more
 * than everything else in a scalar's record.
 */
export class TagTable {
  readonly #wanted: (tag: string) => boolean;
  readonly #byHash = new Map<number, KnownTag[]>();
  #plainTags = 0;

  constructor(wanted: (tag: string) => boolean) {
    this.#wanted = wanted;
  }

  /** The tag whose UTF-8 bytes are `bytes[start, end)`. Throws RangeError when they are not UTF-8. */
  find(bytes: Uint8Array, start: number, end: number): KnownTag {
    const hash = fnv1a(bytes, start, end);
    const bucket = this.#byHash.get(hash);
    if (bucket) {
      for (const known of bucket) if (equalBytes(known.bytes, bytes, start, end)) return known;
    }
    return this.#add(hash, bytes, start, end);
  }

  /** Must be told before `known` gets its plugin, so that it is kept. */
  keep(known: KnownTag): void {
    if (known.plugin === '') this.#plainTags--;
  }

  #add(hash: number, bytes: Uint8Array, start: number, end: number): KnownTag {
    if (this.#plainTags >= maxPlainTags) this.#forgetPlainTags();
    const tag = readUtf8(bytes, start, end);
    const known: KnownTag = {
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

  #forgetPlainTags(): void {
    for (const [hash, bucket] of this.#byHash) {
      const kept = bucket.filter(({ plugin }) => plugin !== '');
      if (kept.length === 0) this.#byHash.delete(hash);
      else this.#byHash.set(hash, kept);
    }
    this.#plainTags = 0;
  }
}
