import { warn } from '#platform';
import type { Step } from '../event/event.js';
import { scalarBody } from '../event/scalar-record.js';
import { tensorboard } from '../proto/tensorboard.js';

/** One value of a summary event. */
export interface TaggedTensor {
  tag: string;
  tensor: tensorboard.ITensorProto;
  /** Written with the tag's first event in a file. */
  metadata: tensorboard.ISummaryMetadata;
}

/** What is known of a tag. */
export interface TagDescription {
  readonly metadata: tensorboard.ISummaryMetadata;
  /** True where the file has the metadata. */
  written: boolean;
  /** Of a scalar whose metadata the file has: what `writeScalarRecord` needs. */
  scalarBody?: Uint8Array;
  /** The step of the tag's latest event. */
  lastStep?: Step;
  /** True once told that the tag was used for two kinds of summaries. */
  warned?: boolean;
}

/**
 * Which tags the current file describes. TensorBoard takes a tag's plugin, name and description from its first event in
 * a file; the Rust loader drops what has no such event before it.
 */
export class TagDescriptions {
  readonly #tags = new Map<string, TagDescription>();
  #forgotten = 0;

  /** Counts how often everything was forgotten: what was encoded before may lack metadata now. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** What is known of a tag, if anything. */
  get(tag: string): TagDescription | undefined {
    return this.#tags.get(tag);
  }

  /** A value as it is to be encoded: with metadata where the file has none of its tag. */
  valueOf({ tag, tensor, metadata }: TaggedTensor): tensorboard.Summary.IValue {
    const known = this.#tags.get(tag);
    return known?.written ? { tag, tensor } : { tag, tensor, metadata: known?.metadata ?? metadata };
  }

  /** Notes that the file now has a tag's metadata: the tag's first, which all later ones must agree with. */
  note(tag: string, metadata: tensorboard.ISummaryMetadata): TagDescription {
    let known = this.#tags.get(tag);
    if (known === undefined) this.#tags.set(tag, (known = { metadata, written: false }));
    known.written = true;
    const first = known.metadata.pluginData?.pluginName;
    const plugin = metadata.pluginData?.pluginName;
    if (first === 'scalars') known.scalarBody ??= scalarBody(tag);
    if (first !== plugin && !known.warned) {
      known.warned = true;
      warn(`The tag '${tag}' holds ${first} in this run and now got ${plugin}, which TensorBoard will not show`);
    }
    return known;
  }

  /** Another file begins, or events were lost: the file may have no tag's metadata. */
  forget(): void {
    this.#forgotten++;
    for (const known of this.#tags.values()) {
      known.written = false;
      delete known.scalarBody;
    }
  }

  /** Encodes an event again, with the metadata that the file lacks. */
  complete(event: tensorboard.Event): Uint8Array {
    for (const value of event.summary?.value ?? []) {
      const known = this.#tags.get(value.tag ?? '');
      if (known === undefined || known.written) continue;
      value.metadata ??= known.metadata;
      this.note(value.tag!, known.metadata);
    }
    return tensorboard.Event.encode(event).finish();
  }
}
