/**
 * Layer saturation and TensorBoard for TensorFlow.js. The only part of this package that imports TensorFlow.js
 * (`@tensorflow/tfjs-core` and `@tensorflow/tfjs-layers`, which `@tensorflow/tfjs` and `@tensorflow/tfjs-node` bring).
 *
 * Everything exported here is stable.
 *
 * @module
 */

export type { LayerSaturation } from './epoch-measurer.js';
export { type Batch, type ExtractSaturationOptions, extractSaturation } from './extract-saturation.js';
export type { ConvMethod, Downsample, TimeseriesMethod } from './hooks/activations.js';
export type { GraphModelLike, GraphModelNodes } from './hooks/graph-model-hook.js';
export type { Layer, LayerFilter } from './hooks/layers.js';
export type { SaturationOptions, SaveTo, Stat } from './hooks/saturation-options.js';
export * from './index.js';
export { type Probe, type ProbeOptions, type ProbeSamples, probeLayers } from './insight/probes.js';
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
} from './pca-layers.js';
export { SaturationTracker } from './saturation-tracker.js';
export { SummaryFileWriter, summaryFileWriter } from './summary-file-writer.js';
export { TensorBoardCallback, type TensorBoardCallbackArgs, tensorBoard } from './tensorboard-callback.js';
export type { TrackerCallback } from './tracker-callback.js';
