import type { EpochStatistics, LayerStatistics, Split } from '../saturation/epoch.js';
import type { Spectrum } from '../statistics/spectrum.js';

/**
 * What is wrong with a layer.
 *
 * - 'NaN': some of its outputs hold a NaN or Infinity.
 * - 'dead layer': its output does not vary, or 95 % of its units are dead (if `stats` asks for deadUnits).
 * - 'collapse': nearly one direction is left of several: its entropy rank fell below 1.5, from 4 or more in an earlier epoch. The
 *   last layers of a classifier of two classes do that when all is well; output layers are left out where they are known.
 */
export type FindingKind = 'collapse' | 'dead layer' | 'NaN';

/** Every kind. */
export const findingKinds: readonly FindingKind[] = ['collapse', 'dead layer', 'NaN'];

/** Something that is wrong with a layer at the end of an epoch, found by rule. */
export interface Finding {
  /** What kind of wrong it is. */
  readonly kind: FindingKind;
  /** Name of the layer. */
  readonly layer: string;
  /** The split whose samples show it. */
  readonly split: Split;
  /** 0-based epoch. */
  readonly epoch: number;
  /** Its step in TensorBoard. */
  readonly step: number;
  /** It in a sentence. */
  readonly text: string;
}

/** A layer is dead if at least so many of its units are. */
const deadFrom = 0.95;
/** The entropy rank below which a layer has collapsed, and that which it must have had before. */
const collapsedBelow = 1.5;
const collapsedFrom = 4;

/** Finds what is wrong in epoch after epoch. What has been found of a layer is not found again before it has gone. */
export class FindingRules {
  /** What holds now, by kind, split and layer. */
  #present = new Set<string>();
  /** The largest entropy rank of a layer so far, by `split/layer`. */
  readonly #ranks = new Map<string, number>();

  /**
   * What is wrong now and was not an epoch ago.
   *
   * @param spectra by `split/layer`; a layer has none if no row was finite
   */
  check(epoch: EpochStatistics, spectra: ReadonlyMap<string, Spectrum>): Finding[] {
    const present = new Set<string>();
    const found: Finding[] = [];
    for (const layer of epoch.layers) {
      const key = `${layer.split}/${layer.layer}`;
      for (const { kind, says } of this.#wrongIn(layer, spectra.get(key), key)) {
        present.add(`${kind}/${key}`);
        if (this.#present.has(`${kind}/${key}`)) continue;
        const text = `Layer '${layer.layer}' (${layer.split}), epoch ${epoch.epoch + 1}: ${says}`;
        found.push({ kind, layer: layer.layer, split: layer.split, epoch: epoch.epoch, step: epoch.step, text });
      }
    }
    this.#present = present;
    return found;
  }

  *#wrongIn(layer: LayerStatistics, spectrum: Spectrum | undefined, key: string) {
    const { rejected, samples, role, values } = layer;
    if (rejected > 0) {
      yield { kind: 'NaN' as const, says: `${rejected} of ${samples + rejected} rows hold a NaN or Infinity.` };
    }
    if (spectrum === undefined) return;
    if (spectrum.trace === 0) {
      yield { kind: 'dead layer' as const, says: 'its output does not vary.' };
      return;
    }
    const dead = values.deadUnits ?? 0;
    if (dead >= deadFrom) {
      const says = `${Math.floor(100 * dead)} % of its ${layer.features} units are dead.`;
      yield { kind: 'dead layer' as const, says };
    }
    const rank = spectrum.entropyRank;
    const largest = this.#ranks.get(key) ?? 0;
    this.#ranks.set(key, Math.max(largest, rank));
    if (role !== 'output' && rank < collapsedBelow && largest >= collapsedFrom) {
      const says = `its entropy rank fell from ${largest.toFixed(1)} to ${rank.toFixed(2)}: nearly one direction is left.`;
      yield { kind: 'collapse' as const, says };
    }
  }
}
