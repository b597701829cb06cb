import type { Output } from '../output/output.js';
import { addToProjectorConfig, type EmbeddingEntry, projectorConfigFile } from '../summaries/embedding.js';
import { type Later, whenRead } from '../summaries/later.js';

/** What has been written for each run: files of late values are written after others have been added. */
const configs = new WeakMap<Output, string>();

/**
 * The whole projector configuration of a run with an embedding added. One that an earlier program left in the folder is
 * continued, where the Output can read it.
 */
export function projectorConfigWith(output: Output, entry: Later<EmbeddingEntry>): Later<Uint8Array> {
  return whenRead(entry, (read) => {
    const config = addToProjectorConfig(configs.get(output) ?? readConfig(output), read);
    configs.set(output, config);
    return new TextEncoder().encode(config);
  });
}

function readConfig(output: Output): string {
  const bytes = output.readFile?.(projectorConfigFile);
  return bytes === undefined ? '' : new TextDecoder().decode(bytes);
}
