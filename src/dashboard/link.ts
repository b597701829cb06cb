import type { Look } from './scene.js';

/** What a link to the dashboard keeps, behind the # of the page's address. */
export interface Link {
  readonly tab: string | undefined;
  readonly look: Partial<Look>;
  /** The filter of tags. */
  readonly tags: string | undefined;
  /** The runs that are shown; none for those that are shown at first. */
  readonly runs: readonly string[];
}

/** An address does not hold more names of runs. */
const mostRuns = 20;

/** What the page's address keeps. */
export function readLink(): Link {
  const kept = new URLSearchParams(location.hash.slice(1));
  const smoothing = Number(kept.get('smoothing'));
  const axis = kept.get('axis');
  return {
    tab: kept.get('tab') ?? undefined,
    look: {
      ...(smoothing > 0 && smoothing < 1 ? { smoothing } : {}),
      ...(axis === 'relative' || axis === 'wall' ? { axis } : {}),
      isLog: kept.has('log'),
      clipsOutliers: kept.has('clip'),
      groups: kept.has('groups'),
    },
    tags: kept.get('tags') ?? undefined,
    runs: kept.getAll('run'),
  };
}

/** Puts it into the page's address, without a step in its history. */
export function writeLink({ tab = 'scalars', look, tags, runs }: Link): void {
  const state = new URLSearchParams({ tab });
  const { smoothing = 0, axis = 'step', isLog, clipsOutliers, groups } = look;
  if (smoothing > 0) state.set('smoothing', String(smoothing));
  if (axis !== 'step') state.set('axis', axis);
  if (isLog) state.set('log', '');
  if (clipsOutliers) state.set('clip', '');
  if (groups) state.set('groups', '');
  if (tags !== undefined) state.set('tags', tags);
  if (runs.length <= mostRuns) for (const run of runs) state.append('run', run);
  if (`#${state}` !== location.hash) history.replaceState(history.state, '', `#${state}`);
}
