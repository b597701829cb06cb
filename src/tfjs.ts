/**
 * Layer saturation and TensorBoard for TensorFlow.js. The only part of this package that imports TensorFlow.js
 * (`@tensorflow/tfjs-core` and `@tensorflow/tfjs-layers`, which `@tensorflow/tfjs` and `@tensorflow/tfjs-node` bring).
 *
 * Everything exported here is stable.
 *
 * @module
 */

// Here, so that the error of a project without it names this door.
import '@tensorflow/tfjs-core';

export type { Batch, BatchDataset, Batches, BatchIterator, Inputs } from './activations/batches.js';
export { type GraphModelNodes, type GraphNode, graphNodes } from './activations/graph-model.js';
export type { Layer, LayerFilter, LayerPatterns } from './activations/layers.js';
export { measureWeights } from './activations/weights.js';
export * from './index.js';
export type { BeforeAndAfter } from './pca/model-config.js';
export {
  fitPcaLayers,
  type InsertPcaLayersOptions,
  insertPcaLayers,
  type PcaBatch,
  PcaLayer,
  type PcaLayerOptions,
  type PcaLayerReport,
  pcaLayer,
  randomDirections,
  restoreDirections,
  setPcaThresholds,
} from './pca/pca-model.js';
export type { PrincipalAxes } from './pca/principal-axes.js';
export {
  type ResizedModel,
  type ResizeOptions,
  removeTail,
  resizeLayers,
  type ShortenedModel,
} from './pca/resize.js';
export { type ShrinkOptions, type ShrunkLayer, type ShrunkModel, shrink } from './pca/shrink.js';
export {
  type Probe,
  type ProbeOptions,
  type ProbeSamples,
  type ProbeSource,
  probeLayers,
  type ScalarWriter,
} from './probes/probes.js';
export type { GraphModelLike } from './summaries/graph-nodes.js';
export {
  type ExtractMomentsOptions,
  type ExtractSaturationOptions,
  extractMoments,
  extractSaturation,
} from './tracker/extract-saturation.js';
export type { SaturationOptions } from './tracker/options.js';
export { SaturationTracker, type TrackerCallback } from './tracker/saturation-tracker.js';
export { TensorBoardCallback, type TensorBoardCallbackArgs, tensorBoard } from './tracker/tensorboard-callback.js';
export { SummaryFileWriter, summaryFileWriter } from './writer/summary-file-writer.js';
