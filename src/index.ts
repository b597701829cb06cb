/**
 * TensorBoard event files, written and read, and the statistics of layer saturation: the part of this package that needs
 * no TensorFlow.js, for Node and browsers alike.
 *
 * Everything exported here is stable.
 *
 * @module
 */

export { ClosedWriterError, CorruptRecordError } from './errors.js';
export type {
  AudioValue,
  CustomScalarsValue,
  DecodedSummary,
  HistogramValue,
  HparamsValue,
  ImagesValue,
  MeshValue,
  Step,
  SummaryValue,
  TensorBoardEvent,
  TensorValue,
  TextValue,
  UndecodedValue,
} from './event/event.js';
export type { Finding, FindingKind } from './insight/findings.js';
export { kernelsName, useKernels } from './kernels/kernels.js';
export type { KernelsName, SummedBy } from './kernels/moments.js';
export type { SymmetricEigen, SymmetricMatrix } from './kernels/symmetric.js';
export { type BrowserFolderOutput, openBrowserFolder } from './output/browser-folder-output.js';
export { DirectoryOutput, type DirectoryOutputOptions } from './output/directory-output.js';
export type { ListedFile, ListedFolder } from './output/listed-files.js';
export { MemoryOutput, type Output } from './output/output.js';
export type {} from './platform/globals.js';
export type { StoreFiles } from './platform/platform.js';
export type { EventInput, EventSource } from './reader/byte-source.js';
export { type ReadEventsOptions, readEvents } from './reader/read-events.js';
export { type ListedRun, listRuns } from './reader/run-files.js';
export type { Activations, ObserveOptions } from './recording/array-output.js';
export type { RecorderOptions, Role } from './recording/options.js';
export { mergeStates } from './recording/recorder-state.js';
export type { ConvMethod, Downsample, TimeseriesMethod } from './recording/samples.js';
export { SaturationRecorder } from './recording/saturation-recorder.js';
export type { SaveTo } from './recording/store-of.js';
export type {
  EpochScalar,
  EpochStatistics,
  LayerRole,
  LayerSaturation,
  LayerStatistics,
  Split,
} from './saturation/epoch.js';
export type { CountingOptions } from './saturation/measure-layer.js';
export type { SamplingRule } from './saturation/note.js';
export { SaturationWriter } from './saturation/saturation-writer.js';
export type { ArrayStat, ScalarStat, Stat } from './saturation/stats.js';
export type { AccumulatorOptions, BytesOptions, Precision } from './statistics/accumulator-state.js';
export { CovarianceAccumulator } from './statistics/covariance.js';
export { eigenvalues, symmetricEigen } from './statistics/eigenvalues.js';
export { LinearCka } from './statistics/linear-cka.js';
export { type CollapseMeasures, NeuralCollapse } from './statistics/neural-collapse.js';
export { populationSpectrum } from './statistics/population-spectrum.js';
export type {
  ReliabilityOptions,
  RowsNeededOptions,
  SampleSizeOptions,
  SaturationEstimate,
} from './statistics/sample-size.js';
export {
  isEstimateReliable,
  rowsNeeded,
  type SaturationBounds,
  Spectrum,
  type SpectrumOptions,
  sampleSizeWarning,
  saturationShortfall,
} from './statistics/spectrum.js';
export type { IntrinsicDimensionRule } from './statistics/spectrum-measures.js';
export { type SolverThreads, solverThreads, useSolverThreads } from './statistics/threads/second-thread.js';
export type { WeightMeasures } from './statistics/weights.js';
export { ConsoleStore, type ConsoleStoreOptions } from './stores/console-store.js';
export { CsvStore, type CsvStoreOptions, type FileStoreOptions } from './stores/csv-store.js';
export { EpochTable } from './stores/epoch-table.js';
export { MemoryStoreFiles } from './stores/memory-store-files.js';
export { NpyStore } from './stores/npy-store.js';
export { type ReconstructOptions, reconstructCsv } from './stores/reconstruct-csv.js';
export type { Store } from './stores/store.js';
export type { AudioOptions } from './summaries/audio.js';
export type { BoxesOptions } from './summaries/boxes.js';
export type {
  ChartCategory,
  CustomScalarsLayout,
  MarginChart,
  MarginSeries,
  MultilineChart,
} from './summaries/custom-scalars.js';
export type { EmbeddingLabel, EmbeddingLabels, EmbeddingOptions } from './summaries/embedding.js';
export type { GraphLike } from './summaries/graph.js';
export type { Buckets } from './summaries/histogram.js';
export type { Hparam, HparamDomain, Hparams, HparamsOptions, HparamsStatus, HparamText } from './summaries/hparams.js';
export type { Image, ImageInput, ImageOptions, ImagesOptions } from './summaries/image.js';
export type { EncodedImage } from './summaries/image-file.js';
export type { LayersModelLike } from './summaries/layers-graph.js';
export type { MeshOptions } from './summaries/mesh.js';
export type { NestedArray, Numbers, OnnxTensorLike, ShapedArray, TensorLike, TypedArray } from './summaries/numbers.js';
export type { CanvasPixels, ImageLayout, ImagesLayout } from './summaries/pixels.js';
export type { PrCounts, PrCurveOptions } from './summaries/pr-curve.js';
export type { TensorOptions } from './summaries/tensor.js';
export type { MarkdownInput, Text, TextCell } from './summaries/text.js';
export type { VideoOptions } from './summaries/video.js';
export type { SummaryOptions, SummaryWriterOptions } from './writer/run-writer.js';
export { type ScalarOptions, ScalarWriter } from './writer/scalar-writer.js';
export { SummaryWriter } from './writer/summary-writer.js';
