import { describe } from '../errors.js';
import type { EpochStatistics } from '../saturation/epoch.js';
import type { RunHistory } from '../saturation/run-history.js';
import { type FieldData, type RunData, runsOfHistory, type ViewSource } from './run-data.js';
import { SaturationView, type SaturationViewOptions } from './saturation-view.js';
import { LiveSource, MemorySource } from './sources.js';

/** What trains and can tell of its epochs: a SaturationTracker or a SaturationRecorder. */
export interface TrackedTraining {
  /** Adds a store that is given each epoch from now on. */
  addStore(store: { add(epoch: EpochStatistics): void }): void;
  /** Epochs that have ended, oldest first. */
  readonly pastEpochs?: readonly EpochStatistics[];
  /** Receptive fields of the model, if the tracker knows them. */
  readonly fields?: FieldData;
}

/** The source of each training that has been mounted: a view that is mounted later goes on with it. */
const sources = new WeakMap<TrackedTraining, LiveSource>();

/**
 * Shows the saturation view in an element of a page. A training may be mounted at any time, as often as you like: a view begins with
 * the epochs that have ended.
 *
 * @param element the element that the view fills; what is in it is replaced
 * @param what a tracker or recorder, whose epochs are shown as they come; a `RunHistory`; runs; or a source of runs
 * @throws TypeError if it is none of these
 */
export function mountSaturationView(
  element: HTMLElement,
  what: TrackedTraining | RunHistory | readonly RunData[] | ViewSource,
  options: SaturationViewOptions = {},
): SaturationView {
  if (!(element instanceof HTMLElement)) {
    throw new TypeError(`mountSaturationView: expected an element of the page, got ${describe(element)}`);
  }
  return new SaturationView(element, sourceOf(what), options);
}

function sourceOf(what: TrackedTraining | RunHistory | readonly RunData[] | ViewSource): ViewSource {
  if (Array.isArray(what)) return new MemorySource(what);
  if (typeof what === 'object' && what !== null) {
    // By its members: the history may be another build's.
    if ('epochs' in what && 'splits' in what) return new MemorySource(runsOfHistory(what));
    if ('list' in what && 'load' in what) return what;
    if ('addStore' in what) return sourceOfTraining(what);
  }
  throw new TypeError(
    `mountSaturationView: expected a tracker, a RunHistory, a list of runs or a source of runs, got ${describe(what)}`,
  );
}

function sourceOfTraining(training: TrackedTraining): LiveSource {
  const known = sources.get(training);
  if (known !== undefined) return known;
  const live = new LiveSource(training.fields);
  const past = training.pastEpochs ?? [];
  for (const epoch of past) live.add(epoch);
  try {
    training.addStore(live);
  } catch (error) {
    // A training that is closed can be looked at still.
    if (past.length === 0 || (error as Error).name !== 'ClosedWriterError') throw error;
  }
  sources.set(training, live);
  return live;
}
