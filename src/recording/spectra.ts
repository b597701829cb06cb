import { solveOptionsFor } from '../saturation/measure-layer.js';
import type { Spectrum } from '../statistics/spectrum.js';
import type { FailureLog } from './failures.js';
import { EpochMeasurement, EpochMemory } from './measure-epoch.js';
import type { ResolvedOptions } from './options.js';
import type { SampleRecorder } from './sample-recorder.js';

/**
 * Solves what was recorded of a trained model, by layer in order of depth. It warns of few rows and of rows that were left out.
 *
 * @throws what went wrong while it was recorded or solved
 */
export async function spectraOf(
  samples: Pick<SampleRecorder<never>, 'solve'>,
  options: ResolvedOptions,
  failures: FailureLog,
): Promise<Map<string, Spectrum>> {
  const recorded = samples.solve(solveOptionsFor(options), true);
  const at = { epoch: 0, step: 1, scalars: [] };
  const { spectra } = await new EpochMeasurement(recorded, at, options, new EpochMemory(false), failures.add).finish();
  failures.throwAll();
  return new Map([...spectra].map(([key, spectrum]) => [key.slice('val/'.length), spectrum]));
}
