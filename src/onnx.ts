/**
 * The layers of ONNX models: lists them, makes them outputs of the model, and measures their saturation in any ONNX runtime
 * (onnxruntime-node, onnxruntime-web, transformers.js). Imports no runtime.
 *
 * Everything exported here is stable.
 *
 * @module
 */

export {
  type ExposedModel,
  type ExposedSessions,
  type ExposeOptions,
  type ExposingCache,
  exposeFile,
  exposeOutputs,
  exposeSessions,
  exposingCache,
  listLayers,
  type ModelCache,
  type SessionClass,
} from './onnx/expose.js';
export type { LeftOut, OnnxFilter, OnnxLayer, OnnxLayout, OnnxNode } from './onnx/layers.js';
export {
  extractSaturation,
  type OnnxExtractOptions,
  type OnnxFeeds,
  type OnnxMask,
  type OnnxSession,
  type OnnxTensor,
  type SessionTap,
  tapSession,
} from './onnx/session.js';
export { measureWeights, type OnnxWeights } from './onnx/weights.js';
export type {} from './platform/globals.js';
export type { WeightMeasures } from './statistics/weights.js';
