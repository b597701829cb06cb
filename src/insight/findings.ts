import type { EpochStatistics, LayerStatistics, Split } from '../saturation/epoch.js';
import type { Spectrum } from '../statistics/spectrum.js';

/**
 * What is wrong with a layer.
 *
 * - 'NaN': some of its outputs hold a NaN or Infinity.
 * - 'dead layer': its output does not vary, or 95 % of its units are dead (if `stats` asks for deadUnits).
 * - 'collapse': nearly one direction is left of several: its entropy rank fell below 1.5, from 4 or more in an earlier epoch. The
 *   last layers of a classifier of two classes do that when all is well; output layers are left out where they are known. Or
 *   nearly the same comes out for every sample: its variance fell below a thousandth of that of an earlier epoch.
 * - 'dead units': a third of its units are dead, or more (if `stats` asks for deadUnits).
 * - 'frozen layer': training may change its weights and did not since the last epoch (if `stats` asks for weightAlpha).
 */
export type FindingKind = 'collapse' | 'dead layer' | 'dead units' | 'frozen layer' | 'NaN';

/** Every kind. */
export const findingKinds: readonly FindingKind[] = ['collapse', 'dead layer', 'dead units', 'frozen layer', 'NaN'];

/** Something that is wrong with a layer at the end of an epoch or within it, found by rule. */
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
  /** 0-based batch of the epoch, if it was found within it. */
  readonly batch?: number;
  /** It in a sentence. */
  readonly text: string;
}

/** A layer is dead if at least so many of its units are. */
const deadFrom = 0.95;
/** Too many of a layer's units are dead if at least so many are: of ReLU networks that train well, up to a fifth were. */
const manyDeadFrom = 1 / 3;
/** The entropy rank below which a layer has collapsed, and that which it must have had before. */
const collapsedBelow = 1.5;
const collapsedFrom = 4;
/** The part of its earlier variance below which a layer has collapsed. */
const shrunkBelow = 1e-3;

/** What is wrong with a layer, before it is known whether it was so an epoch ago. */
type Wrong = { kind: FindingKind; says: string };

/** Whether so many of a layer's units are dead that it is wrong. @param dead fraction of the units */
function deadIn(dead: number, features: number): Wrong[] {
  if (!(dead >= manyDeadFrom)) return [];
  const says = `${Math.floor(100 * dead)} % of its ${features} units are dead.`;
  return [{ kind: dead >= deadFrom ? 'dead layer' : 'dead units', says }];
}

/** Finds what is wrong in epoch after epoch. What has been found of a layer is not found again before it has gone. */
export class FindingRules {
  /** What holds now, by kind, split and layer. */
  #present = new Set<string>();
  /** What held at the last look within an epoch, by kind, split and layer. */
  readonly #presentWithin = new Set<string>();
  /** What has been told within the running epoch. */
  readonly #toldWithin = new Set<string>();
  /** The largest entropy rank and the largest variance of a layer so far, by `split/layer`. */
  readonly #best = new Map<string, { rank: number; variance: number }>();

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
        const known = [this.#present, this.#presentWithin, this.#toldWithin];
        if (known.some((keys) => keys.has(`${kind}/${key}`))) continue;
        const text = `Layer '${layer.layer}' (${layer.split}), epoch ${epoch.epoch + 1}: ${says}`;
        found.push({ kind, layer: layer.layer, split: layer.split, epoch: epoch.epoch, step: epoch.step, text });
      }
    }
    this.#present = present;
    this.#toldWithin.clear();
    return found;
  }

  /**
   * What is wrong within an epoch and was not at the last look; once in an epoch, as units come and go about the limit.
   *
   * @param seen of the layer's units since then
   */
  checkUnits(
    { split, layer, epoch, step, batch }: Pick<Finding, 'split' | 'layer' | 'epoch' | 'step'> & { batch: number },
    { rows, broken, features, dead }: { rows: number; broken: number; features: number; dead: number },
  ): Finding[] {
    const wrong: Wrong[] = [];
    if (broken > 0) wrong.push({ kind: 'NaN', says: `${broken} of ${rows + broken} rows hold a NaN or Infinity.` });
    else wrong.push(...deadIn(dead, features));
    const found: Finding[] = [];
    for (const kind of ['NaN', 'dead layer', 'dead units'] as const) {
      const key = `${kind}/${split}/${layer}`;
      const says = wrong.find((each) => each.kind === kind)?.says;
      if (says === undefined) {
        this.#presentWithin.delete(key);
        continue;
      }
      const isKnown = [this.#present, this.#presentWithin, this.#toldWithin].some((keys) => keys.has(key));
      this.#presentWithin.add(key);
      if (isKnown) continue;
      this.#toldWithin.add(key);
      const text = `Layer '${layer}' (${split}), epoch ${epoch + 1}, batch ${batch + 1}: ${says}`;
      found.push({ kind, layer, split, epoch, step, batch, text });
    }
    return found;
  }

  *#wrongIn(layer: LayerStatistics, spectrum: Spectrum | undefined, key: string): Generator<Wrong> {
    const { rejected, samples, features, values, isFrozen } = layer;
    if (rejected > 0) {
      yield { kind: 'NaN', says: `${rejected} of ${samples + rejected} rows hold a NaN or Infinity.` };
    }
    if (isFrozen) {
      yield { kind: 'frozen layer', says: 'its weights may be trained, and are those of the epoch before.' };
    }
    if (spectrum === undefined) return;
    if (spectrum.trace === 0) {
      yield { kind: 'dead layer', says: 'its output does not vary.' };
      return;
    }
    yield* deadIn(values.deadUnits ?? 0, features);
    const collapse = this.#collapse(layer, spectrum, key);
    if (collapse !== undefined) yield { kind: 'collapse', says: collapse };
  }

  /** Says how a layer has collapsed since its best epoch; undefined if it has not. */
  #collapse({ role }: LayerStatistics, { entropyRank, trace }: Spectrum, key: string): string | undefined {
    const { rank, variance } = this.#best.get(key) ?? { rank: 0, variance: 0 };
    this.#best.set(key, { rank: Math.max(rank, entropyRank), variance: Math.max(variance, trace) });
    if (role !== 'output' && entropyRank < collapsedBelow && rank >= collapsedFrom) {
      return `its entropy rank fell from ${rank.toFixed(1)} to ${entropyRank.toFixed(2)}: nearly one direction is left.`;
    }
    if (trace >= shrunkBelow * variance) return undefined;
    return `its variance fell from ${variance.toPrecision(2)} to ${trace.toPrecision(2)}: nearly the same comes out for every sample.`;
  }
}
