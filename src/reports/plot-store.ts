import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import type { StoreFiles } from '../platform/platform.js';
import { type EpochStatistics, type LayerStatistics, type Split, shortNames } from '../saturation/epoch.js';
import { type ScalarStat, scalarStats, statsIn } from '../saturation/stats.js';
import { type Store, storePlace } from '../stores/store.js';
import { embeddingPlot } from './embedding-plot.js';
import type { PlotSpec } from './plot-spec.js';
import { correctedSeries, metricsLine, profilePlot } from './profile-plot.js';
import { renderPng, renderSvg } from './render.js';

/** Options of a PlotStore. */
export interface PlotStoreOptions {
  /** Format of the files: 'png' (default, as Delve's; needs \@resvg/resvg-js) or 'svg'. */
  format?: 'png' | 'svg';
  /** Where the files go. Default: the disk in Node, the origin private file system in browsers. */
  files?: StoreFiles;
}

/** Bytes that a statistic, a split, an epoch and the extension may take behind the savefile. */
const roomForEpoch = 60;
/** Most of the user's scalars in a subtitle. */
const mostMetrics = 4;

/**
 * Draws plots by depth after every epoch, as Delve's `plot` strategy does: one file per statistic and split, named
 * `{savefile}_{lsat|idim|det|trc|dtrc}_{train|eval}_epoch_{e}.png` (embeddings: `{savefile}_embed_…`), with `e` from 0.
 * What many samples would show is a bar in the picture of saturation, where it is known. Folders that most names begin with are named once, below the title. Drawing needs the optional packages vega, vega-lite
 * and \@resvg/resvg-js.
 */
export class PlotStore implements Store {
  readonly #savefile: string;
  readonly #format: 'png' | 'svg';
  readonly #files: StoreFiles;

  /**
   * @param savefile first part of every file's path, without an extension; folders in it are made
   * @throws TypeError if it is empty or no place of this computer, RangeError if it is too long for a file system, or for an
   * unknown format
   */
  constructor(savefile: string | URL, options: PlotStoreOptions = {}) {
    const { files, path } = storePlace(savefile, 'PlotStore savefile', options.files, roomForEpoch, roomForEpoch);
    checkOptionNames('PlotStore', options, { format: true, files: true } satisfies OptionNames<PlotStoreOptions>);
    const format = options.format ?? 'png';
    if (format !== 'png' && format !== 'svg') {
      throw new RangeError(`PlotStore format: expected 'png' or 'svg', got ${describe(format)}`);
    }
    this.#savefile = path;
    this.#format = format;
    this.#files = files;
  }

  /** Draws one epoch. @throws MissingRendererError if a package that draws is not installed */
  async add(epoch: EpochStatistics): Promise<void> {
    for (const split of ['train', 'val'] as const) {
      const layers = epoch.layers.filter((layer) => layer.split === split);
      for (const stat of statsIn(layers)) {
        await this.#save(scalarStats[stat].delve ?? stat, split, epoch.epoch, statPlot(stat, layers, epoch, split));
      }
      const { short } = shortNames(layers.map(({ layer }) => layer));
      const embeddings = layers.flatMap(({ layer, embedding }) =>
        embedding ? [{ label: short(layer), points: embedding }] : [],
      );
      if (embeddings.length > 0) await this.#save('embed', split, epoch.epoch, embeddingPlot(embeddings));
    }
  }

  async #save(stat: string, split: Split, epoch: number, spec: PlotSpec): Promise<void> {
    const path = `${this.#savefile}_${stat}_${split === 'val' ? 'eval' : 'train'}_epoch_${epoch}.${this.#format}`;
    const bytes = this.#format === 'png' ? await renderPng(spec) : new TextEncoder().encode(await renderSvg(spec));
    await this.#files.write(path, bytes);
  }
}

function statPlot(
  stat: ScalarStat,
  layers: readonly LayerStatistics[],
  epoch: EpochStatistics,
  split: Split,
): PlotSpec {
  const metric = scalarStats[stat].title;
  const { prefix, short } = shortNames(layers.map(({ layer }) => layer));
  const scalars = epoch.scalars.filter((scalar) => scalar.split === undefined || scalar.split === split);
  const metrics = metricsLine(Object.fromEntries(scalars.slice(0, mostMetrics).map(({ tag, value }) => [tag, value])));
  return profilePlot(
    { labels: layers.map(({ layer }) => short(layer)), values: layers.map(({ values }) => values[stat] ?? Number.NaN) },
    {
      metric,
      split,
      corrected: stat === 'saturation' ? correctedSeries(layers) : undefined,
      title: `${metric[0]!.toUpperCase()}${metric.slice(1)} by depth, ${split === 'val' ? 'validation' : 'train'}, epoch ${epoch.epoch}`,
      subtitle: [metrics, prefix && `names without ${prefix}`].filter(Boolean).join(' · ') || undefined,
    },
  );
}
