import type { EpochStatistics, LayerStatistics, Split } from './epoch.js';
import type { ScalarStat } from './stats.js';

/** One number per epoch, such as a loss. */
export interface Series {
  /** The scalar's tag. */
  readonly name: string;
  /** The split it belongs to; undefined if it belongs to none. */
  readonly split?: Split;
  /** One number for each epoch of the history; NaN if the epoch has none. */
  readonly values: readonly number[];
}

/** A statistic of several layers over the epochs. */
export interface StatisticByEpoch {
  /** Layer names, in order of depth: the columns of `values`. */
  labels: string[];
  /** Steps of the epochs, in order: the rows of `values`. */
  epochs: number[];
  /** `values[e][l]`: the statistic of layer l in epoch e; NaN if the layer has none. */
  values: number[][];
}

/** The statistics of one run over its epochs: what a report is made of. */
export class RunHistory {
  readonly #epochs: EpochStatistics[] = [];

  /** Adds an epoch. It replaces an earlier one of the same number. Covariances are not kept. */
  add(epoch: EpochStatistics): void {
    const same = this.#epochs.findIndex(({ epoch: number }) => number === epoch.epoch);
    // Covariances are large and a report shows none.
    const kept = { ...epoch, layers: epoch.layers.map((layer) => ({ ...layer, covariance: undefined })) };
    if (same >= 0) this.#epochs[same] = kept;
    else this.#epochs.push(kept);
    this.#epochs.sort((one, other) => one.epoch - other.epoch);
  }

  /** All epochs, ascending. */
  get epochs(): readonly EpochStatistics[] {
    return this.#epochs;
  }

  /** The last epoch that holds layers; undefined if none does. */
  get last(): EpochStatistics | undefined {
    return this.#epochs.filter(({ layers }) => layers.length > 0).at(-1);
  }

  /** The splits that any epoch holds layers of. */
  get splits(): readonly Split[] {
    return (['train', 'val'] as const).filter((split) =>
      this.#epochs.some(({ layers }) => layers.some((layer) => layer.split === split)),
    );
  }

  /** The names of a split's layers in order of depth; of both splits' if no split is given. */
  layerNames(split?: Split): string[] {
    const names = this.#epochs.flatMap(({ layers }) =>
      layers.filter((layer) => split === undefined || layer.split === split).map(({ layer }) => layer),
    );
    return [...new Set(names)];
  }

  /** One statistic of a split's layers, in each epoch that holds layers of the split. */
  byEpoch(split: Split, stat: ScalarStat): StatisticByEpoch {
    const labels = this.layerNames(split);
    const epochs = this.#epochs.filter(({ layers }) => layers.some((layer) => layer.split === split));
    const values = epochs.map(({ layers }) => {
      const found = new Map(layers.flatMap((layer) => (layer.split === split ? [[layer.layer, layer] as const] : [])));
      return labels.map((label) => found.get(label)?.values[stat] ?? Number.NaN);
    });
    return { labels, epochs: epochs.map(({ step }) => step), values };
  }

  /** The layers of a split in the last epoch that holds any; empty if none does. */
  lastOf(split: Split): readonly LayerStatistics[] {
    const epoch = this.#epochs.filter(({ layers }) => layers.some((layer) => layer.split === split)).at(-1);
    return epoch?.layers.filter((layer) => layer.split === split) ?? [];
  }

  /** The user's own scalars over the epochs (losses, metrics), one series per tag and split. */
  scalars(): Series[] {
    const series = new Map<string, { name: string; split?: Split; values: number[] }>();
    this.#epochs.forEach(({ scalars }, index) => {
      for (const { tag, value, split } of scalars) {
        const key = `${split ?? ''}/${tag}`;
        let entry = series.get(key);
        if (!entry) series.set(key, (entry = { name: tag, split, values: this.#epochs.map(() => Number.NaN) }));
        entry.values[index] = value;
      }
    });
    return [...series.values()];
  }
}
