import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { writesToTerminal, writeTerminal } from '#platform';
import type { GraphModelNodes } from '../activations/hooks.js';
import type { LayerStatistics } from '../saturation/epoch.js';
import type { Spectrum } from '../statistics/spectrum.js';
import type { SaturationOptions } from './options.js';
import { SaturationTracker } from './saturation-tracker.js';

/** Options of extractSaturation: how activations are read, as for a SaturationTracker. */
export interface ExtractSaturationOptions
  extends Omit<SaturationOptions, 'stats' | 'saveTo' | 'initialEpoch' | 'resetCovariance' | 'averageSaturation'> {
  /** Draws a progress line on the terminal. Default: true where standard error is a terminal. */
  progress?: boolean;
}

/** A batch: inputs of the model, or a dataset's element, of which `xs` is taken. Batches stay the caller's. */
export type Batch = Tensor | Tensor[] | { xs: Tensor | Tensor[] | Record<string, Tensor> };

/**
 * The spectra of a trained model's layers over a data set, without training: by layer, in order of depth. Any threshold
 * and rule can be asked of them afterwards. Layers of which no row was finite are left out.
 *
 * @throws RangeError when there is no batch
 */
export async function extractSaturation(
  model: LayersModel | GraphModelNodes,
  batches: AsyncIterable<Batch> | Iterable<Batch>,
  options: ExtractSaturationOptions = {},
): Promise<Map<string, Spectrum>> {
  const { progress = writesToTerminal(), ...rest } = options;
  const layers: LayerStatistics[] = [];
  const store = { add: (epoch: { layers: LayerStatistics[] }) => void layers.push(...epoch.layers) };
  const tracker = new SaturationTracker('', model, { ...rest, stats: ['spectrum'], saveTo: [store] });
  let count = 0;
  try {
    for await (const batch of batches) {
      rest.signal?.throwIfAborted();
      tracker.record('val', () => tidy(() => void run(model, batch)));
      count++;
      if (progress) writeTerminal(`\rextracting saturation: ${count} batches`);
    }
    if (count === 0) throw new RangeError('batches: expected at least one batch, got none');
    await tracker.addSaturations();
  } finally {
    if (progress && count > 0) writeTerminal('\n');
    await tracker.close();
  }
  const spectra = new Map<string, Spectrum>();
  for (const { layer, spectrum } of layers) if (spectrum !== undefined) spectra.set(layer, spectrum);
  return spectra;
}

function run(model: LayersModel | GraphModelNodes, batch: Batch): unknown {
  const inputs = 'xs' in batch ? batch.xs : batch;
  if ('nodes' in model) return model.model.execute(inputs);
  const isNamed = !Array.isArray(inputs) && typeof inputs.dataSync !== 'function';
  const listed = isNamed ? model.inputNames.map((name) => inputOf(inputs as Record<string, Tensor>, name)) : inputs;
  return model.predictOnBatch(listed as Tensor | Tensor[]);
}

function inputOf(inputs: Record<string, Tensor>, name: string): Tensor {
  if (inputs[name] !== undefined) return inputs[name];
  throw new RangeError(
    `batches: expected a tensor for the model's input '${name}', got tensors for ${Object.keys(inputs).join(', ')}`,
  );
}
