/** What a plugin's file hands to the writer. */
import type { tensorboard } from '../proto/tensorboard.js';

/** TensorBoard's DataClass. Without it the Rust loader drops v2 summaries or ignores their metadata. */
export const DataClass = { scalar: 1, tensor: 2, blobSequence: 3 } as const;

/**
 * One summary of one tag. The writer stores plugin name, content and data class, with the tag's display name and description,
 * in the tag's first event only.
 */
export interface PluginSummary {
  /** plugin_data.plugin_name, e.g. 'scalars'. */
  plugin: string;
  /** plugin_data.content; empty by default. */
  content?: Uint8Array;
  /** One of `DataClass`. */
  dataClass: 1 | 2 | 3;
  /** The value. */
  tensor: tensorboard.ITensorProto;
  /** What the user should know of the values, said once per tag: what was left out, or clamped. */
  remark?: string | undefined;
  /** Appended to the user's tag, if one call writes several summaries (mesh, hparams). */
  tagSuffix?: string;
}
