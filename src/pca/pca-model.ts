import type { LayersModel, layers } from '@tensorflow/tfjs-layers';
import { type Batch, runOnBatch } from '../activations/batches.js';
import { PcaLayer, type PcaLayerOptions } from './pca-layer.js';

/** What a PCA layer lets through at its threshold. */
export interface PcaLayerReport {
  /** The PCA layer's name. */
  name: string;
  /** Features of its input. */
  width: number;
  /** Dimensions that pass; NaN before any training. */
  dimensions: number;
  /** dimensions / width, from 0 to 1; NaN before any training. */
  saturation: number;
}

/** The PCA layers of a model, in order, those of nested models included, each once. */
export function pcaLayersOf(model: LayersModel): PcaLayer[] {
  const found = new Set<PcaLayer>();
  const search = (layer: layers.Layer) => {
    if (layer instanceof PcaLayer) found.add(layer);
    for (const each of (layer as Partial<LayersModel>).layers ?? []) search(each);
  };
  search(model as unknown as layers.Layer);
  if (found.size === 0) {
    throw new RangeError(
      `Model '${model.name}' has no PCA layers: put some in with pcaLayer() or insertPcaLayers(model).`,
    );
  }
  return [...found];
}

/**
 * Sets the threshold of every PCA layer of a model, without any new training, and says what passes now.
 *
 * @param threshold Explained variance, in (0, 1], else RangeError. RangeError too where the model has no PCA layer.
 */
export function setPcaThresholds(model: LayersModel, threshold: number): PcaLayerReport[] {
  return pcaLayersOf(model).map((layer) => {
    layer.threshold = threshold;
    return report(layer);
  });
}

/**
 * The control to an experiment with eigenspaces: every PCA layer of the model projects on as many random dimensions as
 * it has eigenvectors at its threshold, and at any threshold set later. Take it back with {@link restoreDirections}.
 *
 * @param seed An integer: the same gives the same directions. Layers differ from each other.
 * @throws RangeError where the model has no PCA layer; Error where one has seen no training yet.
 */
export function randomDirections(model: LayersModel, seed: number): PcaLayerReport[] {
  if (!Number.isSafeInteger(seed))
    throw new RangeError(`randomDirections: seed must be an integer, not ${String(seed)}.`);
  return pcaLayersOf(model).map((layer, k) => {
    layer.useRandomAxes(seed + k);
    return report(layer);
  });
}

/** Takes back {@link randomDirections}: every PCA layer projects on its eigenspace again. */
export function restoreDirections(model: LayersModel): void {
  for (const layer of pcaLayersOf(model)) layer.restoreAxes();
}

/** @deprecated Use Batch. */
export type PcaBatch = Batch;

/**
 * Lets the PCA layers of a trained model see data, without training it: the batches pass through as in prediction
 * (no dropout, no change of any other weight), every PCA layer passing its input on. Replaces what they saw before.
 *
 * @param batches The batches' items come first; for a model with several inputs, arrays of tensors.
 * @throws TypeError where the batches cannot be gone through, RangeError where there is none or the model has no PCA layer.
 */
export async function fitPcaLayers(
  model: LayersModel,
  batches: Iterable<Batch> | AsyncIterable<Batch>,
): Promise<PcaLayerReport[]> {
  const found = pcaLayersOf(model);
  if (!(Symbol.iterator in Object(batches) || Symbol.asyncIterator in Object(batches))) {
    throw new TypeError(
      'fitPcaLayers: batches must be an iterable or async iterable of tensors: an array, or a generator.',
    );
  }
  let count = 0;
  for (const layer of found) layer.beginCollecting();
  try {
    for await (const batch of batches) {
      runOnBatch(model, batch);
      count++;
    }
  } finally {
    for (const layer of found) layer.endCollecting();
  }
  if (count === 0) throw new RangeError('fitPcaLayers: expected at least one batch, got none.');
  return found.map(report);
}

function report(layer: PcaLayer): PcaLayerReport {
  const dimensions = layer.dimensions ?? Number.NaN;
  return { name: layer.name, width: layer.width, dimensions, saturation: dimensions / layer.width };
}

export { type InsertPcaLayersOptions, insertPcaLayers } from './insert-pca-layers.js';
export type { PcaLayerOptions } from './pca-layer.js';
export { PcaLayer } from './pca-layer.js';

/**
 * A layer that passes everything on while training, and in evaluation only what lies in the eigenspace of what it saw:
 * put it behind a dense, convolutional or recurrent layer. See {@link PcaLayer}.
 *
 * Importing this module registers the class, so that `loadLayersModel` knows it.
 */
export function pcaLayer(options: PcaLayerOptions = {}): PcaLayer {
  return new PcaLayer(options);
}
