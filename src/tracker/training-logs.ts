import type { Tensor } from '@tensorflow/tfjs-core';
import type { Split } from '../saturation/epoch.js';
import type { SummaryWriter } from '../writer/summary-writer.js';

/*
 * From the logs that TensorFlow.js hands to a callback to scalars in the runs of the splits.
 */

/** Entries of TensorFlow.js' logs that are not metrics. */
const notMetrics = new Set(['batch', 'size', 'num_steps']);

/**
 * The metrics in a callback's logs, with their split and their name without `val_`. Some callbacks get tensors. Those of
 * train come first, though TensorFlow.js lists them last: TensorBoard colors runs in the order in which they begin.
 */
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
  return metrics.sort((a, b) => Number(a.split === 'val') - Number(b.split === 'val'));
}

/**
 * Writes an epoch's losses and metrics as tf.node.tensorBoard does: `epoch_<metric>` at step epoch + 1, each in the run of
 * its split. If two callbacks of one fit write to the same folder, only the first one does so: TensorFlow.js hands the same
 * logs to both.
 *
 * @param runOf returns the writer of a split's run; undefined if nothing is to be written
 */
export async function writeEpochLogs(
  epoch: number,
  logs: Record<string, number | Tensor> | undefined,
  runOf: (split: Split) => SummaryWriter | undefined,
): Promise<void> {
  for (const { split, name, value } of await metricsOf(logs)) {
    const run = runOf(split);
    if (run?.claim(logs!, name)) run.addScalar(`epoch_${name}`, value, epoch + 1);
  }
}
