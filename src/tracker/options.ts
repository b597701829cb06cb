import type { LayerFilter, LayerPatterns } from '../activations/layers.js';
import type { ModelRecordingOptions } from '../activations/recorder.js';
import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import { type FindingKind, findingKinds } from '../insight/findings.js';
import {
  checkedBoolean,
  oneOf,
  type RecorderOptions,
  type ResolvedOptions,
  recorderOptionNames,
  resolveRecorderOptions,
} from '../recording/options.js';

/** Options of a SaturationTracker. */
export interface SaturationOptions extends RecorderOptions {
  /**
   * Which layers are tracked: a list of names and regular expressions such as `['conv1', /block3/]`, or a function that decides
   * about each layer: true keeps it, false drops it, and a string renames it and keeps it even if it is not tracked by
   * default. Default: all layers with directions of their own (dense, convolutional, recurrent and so on).
   */
  layers?: LayerFilter;
  /** Layers that are not tracked, by names and regular expressions. Default: none. */
  exclude?: LayerPatterns;
  /**
   * What a layer with a fused activation shows: its output ('output', default), or its values before the activation
   * ('preActivation'), which is what Delve sees.
   */
  activations?: 'output' | 'preActivation';
  /**
   * Whether the same activations give the same bits, however threads and devices are timed: every row is summed in float64 on this
   * thread, in order. On the native backend that makes steps longer (docs/distributed.md says by how much); the cpu and wasm
   * backends do so anyway. Default false.
   */
  deterministic?: boolean;
  /**
   * Ends a fit as `model.stopTraining` does when one of these is found wrong with a layer (see FindingKind), with a warning that says
   * where: 'collapse', 'dead layer', 'NaN'. What an epoch shows is known while the next one trains; with `findEvery`, some within it. Default: none.
   */
  stopOn?: readonly FindingKind[];
}

/** Options with every default filled in and every value checked. */
export interface ResolvedTrackerOptions
  extends ResolvedOptions,
    Pick<ModelRecordingOptions, 'layers' | 'exclude' | 'activations'> {
  readonly deterministic: boolean;
  readonly stopOn: readonly FindingKind[];
}

/** The names of all options of a tracker. */
export const saturationOptionNames: OptionNames<SaturationOptions> = {
  ...recorderOptionNames,
  layers: true,
  exclude: true,
  activations: true,
  deterministic: true,
  stopOn: true,
};

/**
 * Checks options and fills in the defaults.
 *
 * @param call what the options were given to, for the error
 * @throws TypeError or RangeError that names the option
 */
export function resolveOptions(options: SaturationOptions = {}, call = 'SaturationTracker'): ResolvedTrackerOptions {
  checkOptionNames(call, options, saturationOptionNames);
  const { layers, exclude, activations, deterministic = false, stopOn = [], ...others } = options;
  if (!Array.isArray(stopOn)) throw new TypeError(`stopOn: expected a list of findings, got ${describe(stopOn)}`);
  return {
    ...resolveRecorderOptions(others, call),
    layers: checkedFilter(layers),
    exclude: exclude === undefined ? undefined : checkedPatterns('exclude', exclude),
    activations: oneOf('activations', activations ?? 'output', ['output', 'preActivation']),
    deterministic: checkedBoolean('deterministic', deterministic),
    stopOn: (stopOn as FindingKind[]).map((kind) => oneOf('stopOn', kind, findingKinds)),
  };
}

function checkedFilter(value: LayerFilter | undefined): LayerFilter | undefined {
  if (value === undefined || typeof value === 'function') return value;
  return checkedPatterns('layers', value, 'a function of a layer, or ');
}

function checkedPatterns(option: string, value: LayerPatterns, others = ''): LayerPatterns {
  const expected = `${option}: expected ${others}a list of names and regular expressions`;
  if (!Array.isArray(value)) throw new TypeError(`${expected}, got ${describe(value)}`);
  for (const pattern of value) {
    if (typeof pattern !== 'string' && !(pattern instanceof RegExp)) {
      throw new TypeError(`${expected}, got ${describe(pattern)} in it`);
    }
  }
  return value;
}
