/** One number per layer, in order of depth: parallel lists, or a map in that order. */
export type DepthProfile =
  | {
      /** Names of the layers. */
      readonly labels: readonly string[];
      /** The number of each layer, such as its saturation. */
      readonly values: ArrayLike<number>;
    }
  | ReadonlyMap<string, number>;

/** Options of tailOf. */
export interface TailOptions {
  /** A layer may belong to the tail if its saturation is below this fraction of the profile's peak. Default 1/3. */
  ratio?: number;
  /** Number of layers at the end that are not judged, because they put out classes and not features. Default 1. */
  head?: number;
  /** Fewest layers that make a tail. Default 2. */
  minLength?: number;
}

/** The unproductive layers at the end of a profile. */
export interface Tail {
  /** The tail's layers in order of depth; empty if there is no tail. */
  readonly layers: readonly string[];
  /** Mean saturation of the tail; NaN if there is no tail. */
  readonly saturation: number;
  /** The most saturated layer before the tail, and its saturation. */
  readonly peak: {
    /** Name of the layer; empty if no layer is saturated at all. */
    readonly layer: string;
    /** Its saturation, in [0, 1]. */
    readonly saturation: number;
  };
  /** The saturation below which a layer could belong to the tail. */
  readonly limit: number;
}

/**
 * The unproductive layers at the end of a network, by saturation: the longest row of layers up to the head that all
 * stay below a third of the profile's peak.
 *
 * The papers find such tails by eye: saturation falls far below the rest and stays there, while probes show that accuracy no
 * longer grows (https://arxiv.org/abs/2006.08679, https://arxiv.org/abs/2106.12307). The limit of a third is this package's
 * own. It marks conv9 to conv13 of VGG-16 on CIFAR-10 (.19 .13 .05 .045 .045 behind a peak of .77), but not the gentle fall
 * of a healthy pyramid.
 *
 * Layers whose saturation is NaN neither belong to a tail nor end it.
 *
 * @param profile saturation by layer, in order of depth
 * @throws RangeError if an option is out of its range, or labels and values differ in number
 */
export function tailOf(profile: DepthProfile, options: TailOptions = {}): Tail {
  const { ratio = 1 / 3, head = 1, minLength = 2 } = options;
  if (!(ratio > 0 && ratio < 1)) throw new RangeError(`tailOf: expected ratio in (0, 1), got ${ratio}`);
  if (!(Number.isInteger(head) && head >= 0))
    throw new RangeError(`tailOf: expected head to be an integer >= 0, got ${head}`);
  if (!(Number.isInteger(minLength) && minLength >= 1)) {
    throw new RangeError(`tailOf: expected minLength to be an integer >= 1, got ${minLength}`);
  }
  const entries = profileEntries('tailOf', profile);
  const judged = entries.slice(0, Math.max(0, entries.length - head)).filter(([, value]) => !Number.isNaN(value));
  const peak = judged.reduce<readonly [string, number]>((best, entry) => (entry[1] > best[1] ? entry : best), ['', 0]);
  const limit = ratio * peak[1];
  let start = judged.length;
  while (start > 0 && judged[start - 1]![1] < limit) start--;
  const tail = judged.length - start >= minLength ? judged.slice(start) : [];
  return {
    layers: tail.map(([layer]) => layer),
    saturation: tail.length > 0 ? tail.reduce((sum, [, value]) => sum + value, 0) / tail.length : Number.NaN,
    peak: { layer: peak[0], saturation: peak[1] },
    limit,
  };
}

/** A profile as [layer, value] pairs in order of depth. */
export function profileEntries(caller: string, profile: DepthProfile): [string, number][] {
  if (profile instanceof Map) return [...(profile as ReadonlyMap<string, number>)];
  const { labels, values } = profile as Exclude<DepthProfile, ReadonlyMap<string, number>>;
  if (!Array.isArray(labels) || values === undefined || labels.length !== values.length) {
    throw new RangeError(
      `${caller}: expected a Map or { labels, values } with one value per label, got ${labels?.length} labels and ${values?.length} values`,
    );
  }
  return labels.map((label, index) => [label, values[index]!]);
}
