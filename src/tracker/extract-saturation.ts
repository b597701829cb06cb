import type { LayersModel } from '@tensorflow/tfjs-layers';
import { writesToTerminal, writeTerminal } from '#platform';
import { hostAccumulators } from '../activations/accumulate/on-host.js';
import { type Batch, type Batches, eachBatch, inputsOf, itemsIn, runOnBatch } from '../activations/batches.js';
import { type GraphModelNodes, graphRunner, isGraphModelNodes } from '../activations/graph-model.js';
import { ActivationRecorder } from '../activations/recorder.js';
import { checkOptionNames, type OptionNames } from '../errors.js';
import { FailureLog } from '../recording/failures.js';
import { spectraOf } from '../recording/spectra.js';
import type { CovarianceAccumulator } from '../statistics/covariance.js';
import type { Spectrum } from '../statistics/spectrum.js';
import {
  type ResolvedTrackerOptions,
  resolveOptions,
  type SaturationOptions,
  saturationOptionNames,
} from './options.js';

/** Options of extractSaturation: how activations are read, as for a SaturationTracker. */
export interface ExtractSaturationOptions
  extends Omit<
    SaturationOptions,
    | 'stats'
    | 'saveTo'
    | 'initialEpoch'
    | 'resetCovariance'
    | 'averageSaturation'
    | 'profileHistogram'
    | 'sampling'
    | 'findEvery'
    | 'role'
  > {
  /**
   * How many rows count. 'auto' (default): the same share of the rows of every batch, in all as many as it takes for a
   * saturation within 0.01 of that of all rows. With many samples that saves time: a MobileNet over 2,048 images takes 1.6
   * times as long as alone, and 3.3 times with 'all' (bench/RESULTS.md); of few samples all rows are needed. It needs to know
   * beforehand how many batches there are: of a list, a tensor, or a tf.data.Dataset that knows its size. All rows of other
   * sources count. 'corrected': as many as the corrected saturation needs (`spectrum.saturationEstimate()`), a tenth of
   * 'auto'; the plain one is too low then. 'all': every row.
   */
  sampling?: SaturationOptions['sampling'];
  /** Whether to draw a progress line on the terminal. Default: true if standard error is a terminal. */
  progress?: boolean;
}

const {
  stats,
  saveTo,
  initialEpoch,
  resetCovariance,
  averageSaturation,
  profileHistogram,
  findEvery,
  role,
  ...readingNames
} = saturationOptionNames;
const optionNames: OptionNames<ExtractSaturationOptions> = { ...readingNames, progress: true };

/** Options of extractMoments: how activations are read. All rows count, in float64. */
export interface ExtractMomentsOptions
  extends Omit<
    ExtractSaturationOptions,
    | 'sampling'
    | 'threshold'
    | 'rule'
    | 'precision'
    | 'wideLayers'
    | 'storedEigenvalues'
    | 'stopOn'
    | 'deterministic'
    | 'role'
  > {}

const { sampling, threshold, rule, precision, wideLayers, storedEigenvalues, stopOn, deterministic, ...momentsNames } =
  optionNames;
const momentsOptionNames: OptionNames<ExtractMomentsOptions> = momentsNames;

/**
 * The spectra of a trained model's layers over a data set, without training: by layer, in order of depth. Any threshold
 * and rule can be asked of them afterwards. Layers of which no row was finite are left out. The model is left as it was.
 *
 * A GraphModel runs by execute or, if it has control flow or dynamic ops, by executeAsync.
 *
 * @param model a LayersModel, or `{ model: graphModel, nodes: ['block/Relu', ...] }`
 * @param batches a tf.data.Dataset of batches, an iterable or async iterable (a list, a generator), or a tensor: see Batches
 * @throws TypeError if these are not batches of tensors, RangeError if there is no batch, or an option is out of its range; what the model throws, too
 *
 * @example
 * ```js
 * import { extractSaturation } from 'delve-tensorboard/tfjs';
 *
 * for (const [layer, spectrum] of await extractSaturation(model, xs)) console.log(layer, spectrum.saturation(0.99));
 * ```
 */
export async function extractSaturation(
  model: LayersModel | GraphModelNodes,
  batches: Batches,
  options: ExtractSaturationOptions = {},
): Promise<Map<string, Spectrum>> {
  checkOptionNames('extractSaturation', options, optionNames);
  const reading = { ...options, sampling: options.sampling ?? 'auto' };
  return extract({ call: 'extractSaturation', model, batches, reading }, (recorder, resolved, failures) =>
    spectraOf(recorder.samples, resolved, failures),
  );
}

/**
 * The moments (mean and covariance sums) of a trained model's layers over a data set or a part of one: by layer, in order of
 * depth. Moments of parts merge to those of the whole, which spectra of parts do not: `merge` them in one order everywhere
 * and the bits are the same everywhere, `toBytes` moves them, and `Spectrum.of` solves them. Every row counts. All is summed
 * in float64 on this thread, whatever the backend, so that a second run over the same activations gives the same bits; how
 * the rows are split into batches is part of that. Layers wider than `maxWidth` and those without a finite row are left out.
 *
 * @param model a LayersModel, or `{ model: graphModel, nodes: ['block/Relu', ...] }`
 * @param batches a tf.data.Dataset of batches, an iterable or async iterable (a list, a generator), or a tensor: see Batches
 * @throws TypeError if these are not batches of tensors, RangeError if there is no batch, or an option is out of its range; what the model throws, too
 */
export async function extractMoments(
  model: LayersModel | GraphModelNodes,
  batches: Batches,
  options: ExtractMomentsOptions = {},
): Promise<Map<string, CovarianceAccumulator>> {
  checkOptionNames('extractMoments', options, momentsOptionNames);
  const reading = {
    ...options,
    sampling: 'all',
    precision: 'float64',
    wideLayers: 'leaveOut',
    deterministic: true,
  } as const;
  return extract({ call: 'extractMoments', model, batches, reading }, async (recorder, _, failures) => {
    const taken = await recorder.samples.take(true);
    failures.throwAll();
    const found = new Map(taken.map(({ layer, sums }) => [layer, sums.accumulator]));
    return new Map(
      recorder.names.flatMap((name) => {
        const accumulator = found.get(name);
        return accumulator !== undefined && accumulator.count > 0 ? [[name, accumulator] as const] : [];
      }),
    );
  });
}

/** What is run through a model, and how it is read. */
interface Extraction {
  /** What the user called. */
  readonly call: string;
  readonly model: LayersModel | GraphModelNodes;
  readonly batches: Batches;
  readonly reading: ExtractSaturationOptions;
}

/** Records all batches as they run through a model, takes what was recorded, and leaves the model as it was. */
async function extract<T>(
  { call, model, batches, reading }: Extraction,
  take: (recorder: ActivationRecorder, options: ResolvedTrackerOptions, failures: FailureLog) => Promise<T>,
): Promise<T> {
  const { progress = writesToTerminal(), ...rest } = reading;
  const options = resolveOptions({ ...rest, stats: ['spectrum'], saveTo: [] }, call);
  const failures = new FailureLog(`${call}: `);
  const recorder = new ActivationRecorder(
    model,
    options,
    failures.add,
    options.deterministic ? hostAccumulators : undefined,
  );
  let count = 0;
  let run: ((batch: Batch) => void | Promise<void>) | undefined;
  let items: number | undefined;
  try {
    for await (const batch of eachBatch(batches, call)) {
      options.signal?.throwIfAborted();
      if (run === undefined) {
        run = runnerOf(model, batch);
        items = itemsIn(batches, batch);
        recorder.hook();
      }
      const pass = run;
      await recorder.record('val', () => pass(batch), items);
      count++;
      if (progress) writeTerminal(`\r${call}: ${count} batches`);
    }
    if (count === 0) throw new RangeError('batches: expected at least one batch, got none');
    return await take(recorder, options, failures);
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
