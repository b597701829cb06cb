import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Split } from '../saturation/epoch.js';
import type { SummaryWriter } from '../writer/summary-writer.js';

/** Entries of TensorFlow.js' logs that are no metrics. */
const notMetrics = new Set(['batch', 'size', 'num_steps']);

/** Which of an epoch's metrics have been written already, by the fit's History and where the run's events go. */
const written = new WeakMap<object, WeakMap<object, Set<string>>>();

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
  for (const { split, name, value } of await metricsOf(logs)) {
    const run = runOf(split);
    if (run === undefined || !claim(model, run, `${name}\0${epoch}`)) continue;
    run.addScalar(`epoch_${name}`, value, epoch + 1);
  }
}

/** True for the first to claim a value within one fit. */
function claim(model: LayersModel, { destination }: SummaryWriter, value: string): boolean {
  const fit = (model as unknown as { history?: object }).history ?? model;
  const byRun = written.get(fit) ?? new WeakMap<object, Set<string>>();
  written.set(fit, byRun);
  const claimed = byRun.get(destination) ?? new Set<string>();
  byRun.set(destination, claimed);
  if (claimed.has(value)) return false;
  claimed.add(value);
  return true;
}
