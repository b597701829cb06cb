import { checkedEpoch, type EpochStatistics, type LayerStatistics, type Split } from './epoch.js';
import type { NotedFields } from './note.js';
import type { ScalarStat } from './stats.js';
import type { NotedModel, TrainingTimes } from './training-facts.js';

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
  readonly #byNumber = new Map<number, EpochStatistics>();
  /** The epochs, ascending; undefined if they have to be sorted anew. */
  #sorted: EpochStatistics[] | undefined = [];

  /** The receptive fields that the run holds; undefined if it holds none. */
  fields: NotedFields | undefined;

  /** What the run says of the network; undefined if it says nothing. */
  model: NotedModel | undefined;

  /** When the training ran; undefined if that is not known. */
  times: TrainingTimes | undefined;

  /**
   * Adds an epoch, or the structured clone of one that `postMessage` makes. It replaces an earlier one of the same number.
   * Covariances are not kept.
   *
   * @param call for the error
   * @throws TypeError if it is no epoch
   */
  add(epoch: EpochStatistics, call = 'RunHistory.add'): void {
    const { layers, ...rest } = checkedEpoch(epoch, call);
    // Covariances are large and a report shows none.
    const kept = { ...rest, layers: layers.map((layer) => ({ ...layer, covariance: undefined })) };
    const last = this.#sorted?.at(-1)?.epoch ?? -Infinity;
    if (this.#sorted !== undefined && epoch.epoch > last) this.#sorted.push(kept);
    else this.#sorted = undefined;
    this.#byNumber.set(epoch.epoch, kept);
  }

  /** All epochs, ascending. */
  get epochs(): readonly EpochStatistics[] {
    this.#sorted ??= [...this.#byNumber.values()].sort((one, other) => one.epoch - other.epoch);
    return this.#sorted;
  }

  /** The last epoch that holds layers; undefined if none does. */
  get last(): EpochStatistics | undefined {
    return this.#lastWhere(({ layers }) => layers.length > 0);
  }

  #lastWhere(holds: (epoch: EpochStatistics) => boolean): EpochStatistics | undefined {
    const { epochs } = this;
    for (let at = epochs.length - 1; at >= 0; at--) if (holds(epochs[at])) return epochs[at];
    return undefined;
  }

  /** The splits that any epoch holds layers of. */
  get splits(): readonly Split[] {
    return (['train', 'val'] as const).filter((split) =>
      this.epochs.some(({ layers }) => layers.some((layer) => layer.split === split)),
    );
  }

  /** The names of a split's layers in order of depth; of both splits' if no split is given. */
  layerNames(split?: Split): string[] {
    return [...namesIn(this.epochs, split)];
  }

  /**
   * One statistic of a split's layers, in each epoch that holds layers of the split.
   *
   * @param most of so many values only those of the last epochs are taken; of all by default
   */
  byEpoch(split: Split, stat: ScalarStat, most = Infinity): StatisticByEpoch {
    let epochs = this.epochs.filter(({ layers }) => layers.some((layer) => layer.split === split));
    const width = namesIn(epochs, split).size;
    if (width * epochs.length > most) epochs = epochs.slice(-Math.max(1, Math.floor(most / width)));
    const labels = [...namesIn(epochs, split)];
    const values = epochs.map(({ layers }) => {
      const found = new Map(layers.flatMap((layer) => (layer.split === split ? [[layer.layer, layer] as const] : [])));
      return labels.map((label) => found.get(label)?.values[stat] ?? Number.NaN);
    });
    return { labels, epochs: epochs.map(({ step }) => step), values };
  }

  /** The layers of a split in the last epoch that holds any; empty if none does. */
  lastOf(split: Split): readonly LayerStatistics[] {
    const epoch = this.#lastWhere(({ layers }) => layers.some((layer) => layer.split === split));
    return epoch?.layers.filter((layer) => layer.split === split) ?? [];
  }

  /**
   * The user's own scalars over the epochs (losses, metrics), one series per tag and split. The values of a series are put
   * together when they are asked for: there may be many tags of which each has few.
   */
  scalars(): Series[] {
    const { epochs } = this;
    const found = new Map<string, { series: Series; points: [index: number, value: number][] }>();
    epochs.forEach(({ scalars }, index) => {
      for (const { tag, value, split } of scalars) {
        const key = `${split ?? ''}/${tag}`;
        let entry = found.get(key);
        if (entry === undefined) {
          const points: [number, number][] = [];
          entry = { series: seriesOf(tag, split, points, epochs.length), points };
          found.set(key, entry);
        }
        entry.points.push([index, value]);
      }
    });
    return [...found.values()].map(({ series }) => series);
  }
}

/** A series whose values are made when they are asked for. @param points grows until then */
function seriesOf(
  name: string,
  split: Split | undefined,
  points: readonly (readonly [index: number, value: number])[],
  length: number,
): Series {
  let values: number[] | undefined;
  return {
    name,
    split,
    get values() {
      if (values === undefined) {
        values = new Array<number>(length).fill(Number.NaN);
        for (const [index, value] of points) values[index] = value;
      }
      return values;
    },
  };
}

/** The names of the layers in some epochs, of one split or of both, in order of depth. */
function namesIn(epochs: readonly EpochStatistics[], split: Split | undefined): Set<string> {
  const names = new Set<string>();
  for (const { layers } of epochs) {
    for (const layer of layers) if (split === undefined || layer.split === split) names.add(layer.layer);
  }
  return names;
}
