import type { tensorboard } from '../proto/tensorboard.js';

/** TensorBoard's DataClass: without it the Rust loader drops v2 summaries or ignores their metadata. */
export const DataClass = { scalar: 1, tensor: 2, blobSequence: 3 } as const;

/**
 * What one plugin wants written for one tag, before the writer adds what a tag needs on its first event
 * (plugin name, content, display name, description, data class).
 */
export interface PluginSummary {
  /** plugin_data.plugin_name, e.g. 'scalars'. */
  plugin: string;
  /** plugin_data.content; absent means empty. */
  content?: Uint8Array;
  dataClass: 1 | 2 | 3;
  tensor: tensorboard.ITensorProto;
  /** Appended to the user's tag where one summary needs several (mesh). */
  tagSuffix?: string;
}
