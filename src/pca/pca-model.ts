import type { LayersModel, layers } from '@tensorflow/tfjs-layers';
import { type Batch, type Batches, eachBatch, runOnBatch } from '../activations/batches.js';
import { checkOptionNames, describe } from '../errors.js';
import { PcaLayer, type PcaLayerOptions, pcaOptionNames } from './pca-layer.js';

/*
 * All PCA layers of a model at once: what they let through, their thresholds, the data they learn from, and random
 * directions in the place of their own.
 */

/** What a PCA layer lets through at its threshold. */
export interface PcaLayerReport {
  /** The PCA layer's name. */
  name: string;
  /** Number of features of its input. */
  width: number;
  /** How many dimensions pass; NaN before any training. */
  dimensions: number;
  /** dimensions / width, in [0, 1]; NaN before any training. */
  saturation: number;
}

/** The PCA layers of a model and its nested models, in order, each once. @throws RangeError if there are none */
function pcaLayersOf(model: LayersModel): PcaLayer[] {
  const found = new Set<PcaLayer>();
  const search = (layer: layers.Layer) => {
    if (layer instanceof PcaLayer) found.add(layer);
    for (const each of (layer as Partial<LayersModel>).layers ?? []) search(each);
  };
  search(model as unknown as layers.Layer);
  if (found.size === 0) {
    throw new RangeError(
      `model: expected PCA layers, as insertPcaLayers(model) or pcaLayer() make them, got '${model.name}' with no PCA layers`,
    );
  }
  return [...found];
}

/**
 * Sets the threshold of every PCA layer of a model, without any new training. Returns what passes now.
 *
 * @param threshold fraction of the variance, in (0, 1]
 * @throws RangeError if the threshold is out of its range or the model has no PCA layer
 */
export function setPcaThresholds(model: LayersModel, threshold: number): PcaLayerReport[] {
  return pcaLayersOf(model).map((layer) => {
    layer.threshold = threshold;
    return report(layer);
  });
}

/**
 * The control to an experiment with eigenspaces: every PCA layer of the model projects on random dimensions, as many as it
 * has eigenvectors at its threshold (also if the threshold is changed later). {@link restoreDirections} takes it back.
 *
 * @param seed an integer; the same seed gives the same directions, and layers differ from each other
 * @throws RangeError if the model has no PCA layer; Error if one of them has seen no training yet
 */
export function randomDirections(model: LayersModel, seed: number): PcaLayerReport[] {
  if (!Number.isSafeInteger(seed)) {
    throw new RangeError(`randomDirections: expected an integer as seed, got ${describe(seed)}`);
  }
  return pcaLayersOf(model).map((layer, k) => {
    layer.useRandomAxes(seed + k);
    return report(layer);
  });
}

/** Makes every PCA layer project on its eigenspace again, after {@link randomDirections}. */
export function restoreDirections(model: LayersModel): void {
  for (const layer of pcaLayersOf(model)) layer.restoreAxes();
}

/** @deprecated Use Batch. */
export type PcaBatch = Batch;

/**
 * Lets the PCA layers of a trained model learn from data, without training it: the batches pass through as in prediction (no
 * dropout, no change of any other weight), and every PCA layer passes its input on. What the layers saw before is
 * forgotten. Returns what passes now.
 *
 * @param batches a tf.data.Dataset, an iterable or async iterable, or a tensor: see Batches
 * @throws TypeError if these are not batches of tensors, RangeError if there is none or the model has no PCA layer
 */
export async function fitPcaLayers(model: LayersModel, batches: Batches): Promise<PcaLayerReport[]> {
  const found = pcaLayersOf(model);
  let count = 0;
  for (const layer of found) layer.beginCollecting();
  try {
    for await (const batch of eachBatch(batches, 'fitPcaLayers')) {
      runOnBatch(model, batch);
      count++;
    }
  } finally {
    for (const layer of found) layer.endCollecting();
  }
  if (count === 0) throw new RangeError('fitPcaLayers: expected at least one batch, got none');
  return found.map(report);
}

function report(layer: PcaLayer): PcaLayerReport {
  const dimensions = layer.dimensions ?? Number.NaN;
  return { name: layer.name, width: layer.width, dimensions, saturation: dimensions / layer.width };
}

export { type InsertPcaLayersOptions, insertPcaLayers } from './insert-pca-layers.js';
export type { PcaLayerOptions } from './pca-layer.js';
export { PcaLayer } from './pca-layer.js';

/** What every layer of TensorFlow.js takes. */
const layerOptionNames = {
  inputShape: true,
  batchInputShape: true,
  batchSize: true,
  dtype: true,
  trainable: true,
  weights: true,
  inputDType: true,
} as const;

/**
 * Makes a layer that passes everything on in training and, in evaluation, only what lies in the eigenspace of what it saw.
 * It belongs behind a dense, convolutional or recurrent layer. See {@link PcaLayer}.
 *
 * Importing this module registers the class, so that `loadLayersModel` knows it.
 *
 * @throws TypeError or RangeError if an option is out of its range
 */
export function pcaLayer(options: PcaLayerOptions = {}): PcaLayer {
  checkOptionNames('pcaLayer', options, { ...pcaOptionNames, ...layerOptionNames });
  return new PcaLayer(options);
}
