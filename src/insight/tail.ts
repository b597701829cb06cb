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
  /** The layers of a tail are saturated at most this fraction of those in front, both on average. Default 0.7. */
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
  /** Mean saturation of the layers in front of the tail, the first one left out; NaN if there is no tail. */
  readonly before: number;
  /** The most saturated layer, and its saturation. */
  readonly peak: {
    /** Name of the layer; empty if no layer is saturated at all. */
    readonly layer: string;
    /** Its saturation, in [0, 1]. */
    readonly saturation: number;
  };
}

/** A fall to this fraction is a tail however it comes about; a smaller one only if it is a step and not a slope. */
const steepFall = 1 / 3;

/**
 * The unproductive layers at the end of a network, by saturation: those behind the point at which the profile, divided in
 * two, is best described by two means, if it falls far enough there. Saturation is late: a border that is known from the
 * receptive fields (`borderLayer`) lies there or before.
 *
 * The papers find such tails by eye: saturation falls far below the rest and stays there, while probes show that accuracy no
 * longer grows (https://arxiv.org/abs/2006.08679, https://arxiv.org/abs/2106.12307). The rule is this package's own: the split
 * of least squares, where the first layer (narrow by its input) is left out. The mean behind it must be at most 0.7 of the
 * mean in front, and two means must describe the profile better than a straight line, so that the gentle fall of a healthy
 * pyramid is none; a fall below a third counts in any case. It marks conv9 to conv13 of VGG-16 on CIFAR-10 (.19 .13 .05
 * .045 .045 behind a peak of .77), and where the authors' networks have a border, it is found within two layers.
 *
 * Layers whose saturation is NaN neither belong to a tail nor end it.
 *
 * @param profile saturation by layer, in order of depth
 * @throws RangeError if an option is out of its range, or labels and values differ in number
 */
export function tailOf(profile: DepthProfile, options: TailOptions = {}): Tail {
  const { ratio = 0.7, head = 1, minLength = 2 } = options;
  if (!(ratio > 0 && ratio < 1)) throw new RangeError(`tailOf: expected ratio in (0, 1), got ${ratio}`);
  if (!(Number.isInteger(head) && head >= 0))
    throw new RangeError(`tailOf: expected head to be an integer >= 0, got ${head}`);
  if (!(Number.isInteger(minLength) && minLength >= 1)) {
    throw new RangeError(`tailOf: expected minLength to be an integer >= 1, got ${minLength}`);
  }
  const entries = profileEntries('tailOf', profile);
  const judged = entries.slice(0, Math.max(0, entries.length - head)).filter(([, value]) => !Number.isNaN(value));
  const peak = judged.reduce<readonly [string, number]>((best, entry) => (entry[1] > best[1] ? entry : best), ['', 0]);
  const values = judged.slice(1).map(([, value]) => value);
  const { start, before, after, squares } = bestSplit(values);
  const falls =
    after < before * Math.min(steepFall, ratio) || (after <= before * ratio && squares < squaresAboutLine(values));
  const tail = falls && values.length - start >= minLength ? judged.slice(start + 1) : [];
  return {
    layers: tail.map(([layer]) => layer),
    saturation: tail.length > 0 ? after : Number.NaN,
    before: tail.length > 0 ? before : Number.NaN,
    peak: { layer: peak[0], saturation: peak[1] },
  };
}

/** The mean of numbers; NaN if there are none. */
export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Where to divide numbers so that the squares about the means of both parts are least. */
function bestSplit(values: readonly number[]): { start: number; before: number; after: number; squares: number } {
  let best = { start: values.length, before: Number.NaN, after: Number.NaN, squares: Number.POSITIVE_INFINITY };
  for (let start = 1; start < values.length; start++) {
    const [front, back] = [values.slice(0, start), values.slice(start)];
    const squares = squaresAbout(front, meanOf(front)) + squaresAbout(back, meanOf(back));
    if (squares < best.squares) best = { start, before: meanOf(front), after: meanOf(back), squares };
  }
  return best;
}

function squaresAbout(values: readonly number[], center: number): number {
  return values.reduce((sum, value) => sum + (value - center) ** 2, 0);
}

/** The squares about the straight line of least squares. */
function squaresAboutLine(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = meanOf(values);
  const spread = values.reduce((sum, _, index) => sum + (index - middle) ** 2, 0);
  const slope = values.reduce((sum, value, index) => sum + (index - middle) * (value - mean), 0) / spread;
  return values.reduce((sum, value, index) => sum + (value - mean - slope * (index - middle)) ** 2, 0);
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
