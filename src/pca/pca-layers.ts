import { PcaLayer } from './pca-layer.js';
import type { PcaLayerOptions } from './pca-layer-options.js';

export { type InsertPcaLayersOptions, insertPcaLayers } from './insert-pca-layers.js';
export { PcaLayer } from './pca-layer.js';
export type { PcaLayerOptions } from './pca-layer-options.js';
export {
  fitPcaLayers,
  type PcaBatch,
  type PcaLayerReport,
  randomDirections,
  restoreDirections,
  setPcaThresholds,
} from './pca-model.js';

/**
 * A layer that passes everything on while training, and in evaluation only what lies in the eigenspace of what it saw:
 * put it behind a dense, convolutional or recurrent layer. See {@link PcaLayer}.
 *
 * Importing this module registers the class, so that `loadLayersModel` knows it.
 */
export function pcaLayer(options: PcaLayerOptions = {}): PcaLayer {
  return new PcaLayer(options);
}
