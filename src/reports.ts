/**
 * Pictures of a run and what they say about the network. Plots are plain Vega-Lite specifications made by pure functions,
 * usable in browsers as they are; drawing them (`renderSvg`, `renderPng`, the plot store) loads the optional
 * packages vega, vega-lite and \@resvg/resvg-js when it is first asked for.
 *
 * @module
 */

export { MissingRendererError } from './errors.js';
export { adviceMarkdown, adviseOn } from './insight/advice.js';
export type { AdviceOptions, EarlierEpoch, Finding, FindingKind } from './insight/advice-case.js';
export { borderLayer, type InputSize, inputSizeRange, unproductiveLayers } from './insight/border.js';
export type { KernelWindow, Window } from './insight/field-of-view.js';
export type { LayerLike, ModelLike, SymbolicTensorLike } from './insight/layer-graph.js';
export {
  type ReceptiveField,
  type ReceptiveFieldAxis,
  type ReceptiveFieldOptions,
  receptiveFields,
} from './insight/receptive-fields.js';
export { type DepthProfile, type Tail, type TailOptions, tailOf } from './insight/tail.js';
export type {} from './platform/globals.js';
export type { LogisticRegressionOptions } from './probes/logistic-regression.js';
export { type Embedding, type EmbeddingPlotOptions, embeddingPlot } from './reports/embedding-plot.js';
export { type HeatMapPlotOptions, heatMapPlot, type LayersByEpochs } from './reports/heat-map-plot.js';
export type { PlotOptions, PlotSpec } from './reports/plot-spec.js';
export { PlotStore, type PlotStoreOptions } from './reports/plot-store.js';
export { type Profile, type ProfilePlotOptions, profilePlot } from './reports/profile-plot.js';
export {
  type ReceptiveFieldPlotOptions,
  type ReceptiveFieldProfile,
  receptiveFieldPlot,
} from './reports/receptive-field-plot.js';
export {
  addPlots,
  type FigureWriter,
  type PngOptions,
  type Renderers,
  renderPng,
  renderSvg,
} from './reports/render.js';
export { type ReportOptions, reportHtml } from './reports/report.js';
export {
  ReportStore,
  type ReportStoreOptions,
  type WriteReportOptions,
  writeReport,
  writeReports,
} from './reports/report-store.js';
export { type ScreePlotOptions, screePlot } from './reports/scree-plot.js';
export { type SeriesBySplit, type SeriesPlotOptions, seriesPlot } from './reports/series-plot.js';
export { type LayersBySplit, type SplitsPlotOptions, splitsPlot } from './reports/splits-plot.js';
export type { NotedFields } from './saturation/note.js';
export { RunHistory, type Series, type StatisticByEpoch } from './saturation/run-history.js';
export { type ReadHistoryOptions, readHistories, readHistory } from './saturation/runs.js';
export type { NotedModel, TrainingTimes } from './saturation/training-facts.js';
