import type { EpochStatistics, LayerStatistics, Split } from './epoch.js';
import type { ScalarStat } from './stats.js';

/** One number per epoch; gaps are NaN. */
export interface Series {
  readonly name: string;
  readonly split?: Split;
  readonly values: readonly number[];
}

/** Everything that the epochs of one run said about its layers: what a report is made of. */
export class RunHistory {
  readonly #epochs: EpochStatistics[] = [];

  /** Adds an epoch; a later one with the same number replaces it. */
  add(epoch: EpochStatistics): void {
    const same = this.#epochs.findIndex(({ epoch: number }) => number === epoch.epoch);
    // Covariances are large and a report shows none.
    const kept = { ...epoch, layers: epoch.layers.map((layer) => ({ ...layer, covariance: undefined })) };
    if (same >= 0) this.#epochs[same] = kept;
    else this.#epochs.push(kept);
    this.#epochs.sort((one, other) => one.epoch - other.epoch);
  }

  /** In order. */
  get epochs(): readonly EpochStatistics[] {
    return this.#epochs;
  }

  /** The last epoch that holds layers; undefined where there is none. */
  get last(): EpochStatistics | undefined {
    return this.#epochs.filter(({ layers }) => layers.length > 0).at(-1);
  }

  /** Splits that hold layers. */
  get splits(): readonly Split[] {
    return (['train', 'val'] as const).filter((split) =>
      this.#epochs.some(({ layers }) => layers.some((layer) => layer.split === split)),
    );
  }

  /** Layer names of a split (or of both), in order of depth as they first appeared. */
  layerNames(split?: Split): string[] {
    const names = this.#epochs.flatMap(({ layers }) =>
      layers.filter((layer) => split === undefined || layer.split === split).map(({ layer }) => layer),
    );
    return [...new Set(names)];
  }

  /** A statistic of a split: one row per epoch that has the split, one column per layer; NaN where it is missing. */
  byEpoch(split: Split, stat: ScalarStat): { labels: string[]; epochs: number[]; values: number[][] } {
    const labels = this.layerNames(split);
    const epochs = this.#epochs.filter(({ layers }) => layers.some((layer) => layer.split === split));
    const values = epochs.map(({ layers }) => {
      const found = new Map(layers.flatMap((layer) => (layer.split === split ? [[layer.layer, layer] as const] : [])));
      return labels.map((label) => found.get(label)?.values[stat] ?? Number.NaN);
    });
    return { labels, epochs: epochs.map(({ step }) => step), values };
  }

  /** The newest statistics of a layer that is in the last epoch of its split. */
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
