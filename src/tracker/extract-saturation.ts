import { tidy } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { writesToTerminal, writeTerminal } from '#platform';
import { type Batch, inputsOf, runOnBatch } from '../activations/batches.js';
import { type GraphModelNodes, isGraphModelNodes } from '../activations/hooks.js';
import { ActivationRecorder } from '../activations/recorder.js';
import { checkOptionNames, type OptionNames } from '../errors.js';
import { solveOptionsFor } from '../saturation/measure-layer.js';
import type { Spectrum } from '../statistics/spectrum.js';
import { FailureLog } from './failures.js';
import { EpochMeasurement, EpochMemory } from './measure-epoch.js';
import { resolveOptions, type SaturationOptions, saturationOptionNames } from './options.js';

/** Options of extractSaturation: how activations are read, as for a SaturationTracker. */
export interface ExtractSaturationOptions
  extends Omit<SaturationOptions, 'stats' | 'saveTo' | 'initialEpoch' | 'resetCovariance' | 'averageSaturation'> {
  /** Whether to draw a progress line on the terminal. Default: true if standard error is a terminal. */
  progress?: boolean;
}

const { stats, saveTo, initialEpoch, resetCovariance, averageSaturation, ...readingNames } = saturationOptionNames;
const optionNames: OptionNames<ExtractSaturationOptions> = { ...readingNames, progress: true };

/**
 * The spectra of a trained model's layers over a data set, without training: by layer, in order of depth. Any threshold
 * and rule can be asked of them afterwards. Layers of which no row was finite are left out. The model is left as it was.
 *
 * @param model a LayersModel, or `{ model: graphModel, nodes: ['block/Relu', ...] }`
 * @throws RangeError if there is no batch, or an option is out of its range; what the model throws, too
 */
export async function extractSaturation(
  model: LayersModel | GraphModelNodes,
  batches: AsyncIterable<Batch> | Iterable<Batch>,
  options: ExtractSaturationOptions = {},
): Promise<Map<string, Spectrum>> {
  checkOptionNames('extractSaturation', options, optionNames);
  const { progress = writesToTerminal(), ...rest } = options;
  const resolved = resolveOptions({ ...rest, stats: ['spectrum'], saveTo: [] }, 'extractSaturation');
  const failures = new FailureLog('extractSaturation: ');
  const recorder = new ActivationRecorder(model, resolved, failures.add);
  let count = 0;
  try {
    recorder.hook();
    for await (const batch of batches) {
      rest.signal?.throwIfAborted();
      recorder.record('val', () => run(model, batch));
      count++;
      if (progress) writeTerminal(`\rextracting saturation: ${count} batches`);
    }
    if (count === 0) throw new RangeError('batches: expected at least one batch, got none');
    const recorded = recorder.solve(solveOptionsFor(resolved), true);
    const at = { epoch: 0, step: 1, scalars: [] };
    const { spectra } = await new EpochMeasurement(recorded, at, resolved, new EpochMemory(), failures.add).finish();
    failures.throwAll();
    return new Map([...spectra].map(([key, spectrum]) => [key.slice('val/'.length), spectrum]));
  } finally {
    if (progress && count > 0) writeTerminal('\n');
    recorder.dispose();
  }
}

function run(model: LayersModel | GraphModelNodes, batch: Batch): void {
  if (isGraphModelNodes(model)) tidy(() => void model.model.execute(inputsOf(batch)));
  else runOnBatch(model, batch);
}
