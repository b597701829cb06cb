/*
 * The door `delve-tensorboard/view`: the saturation view for pages. It is built as one script without imports.
 */
export type {} from './platform/globals.js';

export { mountSaturationView, type TrackedTraining } from './view/mount.js';
export { packRuns, unpackRuns } from './view/packed-runs.js';
export {
  type FieldData,
  type LayerData,
  type RunData,
  type RunOutline,
  runsOfHistory,
  type SpectrumPoint,
  type StepSeries,
  type ViewSource,
} from './view/run-data.js';
export { SaturationView, type SaturationViewOptions, type ViewMemory } from './view/saturation-view.js';
export { LiveSource, MemorySource, ServedSource } from './view/sources.js';
export { render } from './view/tensorboard-tab.js';
