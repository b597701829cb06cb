import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Split } from '../saturation/epoch.js';
import type { SummaryWriter } from '../writer/summary-writer.js';

/** Entries of TensorFlow.js' logs that are no metrics. */
const notMetrics = new Set(['batch', 'size', 'num_steps']);

/** The metrics in a callback's logs, by split and name without `val_`. Some callbacks get scalars instead of numbers. */
export async function metricsOf(
  logs: Record<string, number | Tensor> | undefined,
): Promise<{ split: Split; name: string; value: number }[]> {
  const metrics: { split: Split; name: string; value: number }[] = [];
  for (const [key, logged] of Object.entries(logs ?? {})) {
    if (notMetrics.has(key)) continue;
    const value = typeof logged === 'number' ? logged : (await logged.data())[0];
    const split = key.startsWith('val_') ? 'val' : 'train';
    metrics.push({ split, name: split === 'val' ? key.slice('val_'.length) : key, value });
  }
  return metrics;
}

/**
 * Writes an epoch's losses and metrics as tf.node.tensorBoard does: `epoch_<metric>` at step epoch + 1, those of the
 * validation into the run of that split. Where two callbacks of one fit write to the same folder, the first one does it.
 *
 * @param runOf the writer of a split's run; undefined for none
 */
export async function writeEpochLogs(
  epoch: number,
  logs: Record<string, number | Tensor> | undefined,
  model: LayersModel,
  runOf: (split: Split) => SummaryWriter | undefined,
): Promise<void> {
  const fit = (model as unknown as { history?: object }).history ?? model;
  for (const { split, name, value } of await metricsOf(logs)) {
    const run = runOf(split);
    if (run?.claim(fit, `${name}\0${epoch}`)) run.addScalar(`epoch_${name}`, value, epoch + 1);
  }
}
