import type { LayersModel } from '@tensorflow/tfjs-layers';
import { writesToTerminal, writeTerminal } from '#platform';
import { type Batch, type Batches, eachBatch, inputsOf, itemsIn, runOnBatch } from '../activations/batches.js';
import { type GraphModelNodes, graphRunner, isGraphModelNodes } from '../activations/graph-model.js';
import { ActivationRecorder } from '../activations/recorder.js';
import { checkOptionNames, type OptionNames } from '../errors.js';
import { FailureLog } from '../recording/failures.js';
import { spectraOf } from '../recording/spectra.js';
import type { Spectrum } from '../statistics/spectrum.js';
import { resolveOptions, type SaturationOptions, saturationOptionNames } from './options.js';

/** Options of extractSaturation: how activations are read, as for a SaturationTracker. */
export interface ExtractSaturationOptions
  extends Omit<
    SaturationOptions,
    'stats' | 'saveTo' | 'initialEpoch' | 'resetCovariance' | 'averageSaturation' | 'profileHistogram' | 'sampling'
  > {
  /**
   * How many rows count. 'auto' (default): the same share of the rows of every batch, in all as many as it takes for a
   * saturation within 0.01 of that of all rows. With many samples that saves time: a MobileNet over 2,048 images takes 1.6
   * times as long as alone, and 3.3 times with 'all' (bench/RESULTS.md); of few samples all rows are needed. It needs to know
   * beforehand how many batches there are: of a list, a tensor, or a tf.data.Dataset that knows its size. All rows of other
   * sources count. 'all': every row.
   */
  sampling?: SaturationOptions['sampling'];
  /** Whether to draw a progress line on the terminal. Default: true if standard error is a terminal. */
  progress?: boolean;
}

const { stats, saveTo, initialEpoch, resetCovariance, averageSaturation, profileHistogram, ...readingNames } =
  saturationOptionNames;
const optionNames: OptionNames<ExtractSaturationOptions> = { ...readingNames, progress: true };

/**
 * The spectra of a trained model's layers over a data set, without training: by layer, in order of depth. Any threshold
 * and rule can be asked of them afterwards. Layers of which no row was finite are left out. The model is left as it was.
 *
 * A GraphModel runs by execute or, if it has control flow or dynamic ops, by executeAsync.
 *
 * @param model a LayersModel, or `{ model: graphModel, nodes: ['block/Relu', ...] }`
 * @param batches a tf.data.Dataset of batches, an iterable or async iterable (a list, a generator), or a tensor: see Batches
 * @throws TypeError if these are not batches of tensors, RangeError if there is no batch, or an option is out of its range; what the model throws, too
 */
export async function extractSaturation(
  model: LayersModel | GraphModelNodes,
  batches: Batches,
  options: ExtractSaturationOptions = {},
): Promise<Map<string, Spectrum>> {
  checkOptionNames('extractSaturation', options, optionNames);
  const { progress = writesToTerminal(), ...rest } = options;
  const resolved = resolveOptions(
    { ...rest, sampling: rest.sampling ?? 'auto', stats: ['spectrum'], saveTo: [] },
    'extractSaturation',
  );
  const failures = new FailureLog('extractSaturation: ');
  const recorder = new ActivationRecorder(model, resolved, failures.add);
  let count = 0;
  let run: ((batch: Batch) => void | Promise<void>) | undefined;
  let items: number | undefined;
  try {
    for await (const batch of eachBatch(batches, 'extractSaturation')) {
      rest.signal?.throwIfAborted();
      if (run === undefined) {
        run = runnerOf(model, batch);
        items = itemsIn(batches, batch);
        recorder.hook();
      }
      const pass = run;
      await recorder.record('val', () => pass(batch), items);
      count++;
      if (progress) writeTerminal(`\rextracting saturation: ${count} batches`);
    }
    if (count === 0) throw new RangeError('batches: expected at least one batch, got none');
    return await spectraOf(recorder.samples, resolved, failures);
  } finally {
    if (progress && count > 0) writeTerminal('\n');
    recorder.dispose();
  }
}

function runnerOf(model: LayersModel | GraphModelNodes, first: Batch): (batch: Batch) => void | Promise<void> {
  if (!isGraphModelNodes(model)) return (batch) => runOnBatch(model, batch);
  const runOn = graphRunner(model, inputsOf(first));
  return (batch) => runOn(inputsOf(batch));
}
