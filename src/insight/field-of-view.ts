/*
 * The algebra of receptive fields: what a tensor sees of the input, and how that changes through windows, scalings and
 * merges. It knows no layers; layer-views.ts says which of these operations a layer is.
 */

/**
 * What the places of a feature map see along one axis of the input, on one path through the network. A place is a pixel of
 * an image, or a step of a sequence. Places that lie a period apart see the same, `shift` further on. Only behind layers that
 * enlarge a map is the period longer than one place: neighbors then see intervals of different sizes.
 */
export interface Path {
  /** For each place of a period, the first place of the input that it sees: -Infinity for everything, Infinity for nothing. */
  readonly first: readonly number[];
  /** For each place of a period, the last place of the input that it sees. */
  readonly last: readonly number[];
  /** How far the input moves from one period to the next. */
  readonly shift: number;
}

/** What a tensor sees of the input. */
export interface FieldOfView {
  /** Per spatial axis, all paths that lead there; empty for tensors without space (batch x features). */
  readonly axes: readonly (readonly Path[])[];
  /** Whether the tensor has no space and was computed from all of the input. */
  readonly everything: boolean;
}

/** The window of a convolution or pooling layer. Lists have one number per axis; the last one holds for further axes. */
export interface KernelWindow {
  /** In places of the layer's input. */
  readonly kernelSize: readonly number[];
  /** Places from one position of the window to the next. Default 1. */
  readonly strides?: readonly number[];
  /** Places from one element of the kernel to the next. Default 1. */
  readonly dilationRate?: readonly number[];
}

/** @deprecated Use KernelWindow, which does not shadow the browser's Window. */
export type Window = KernelWindow;

/**
 * Which places of a layer's input reach a place of its output: `taps[o]` for the output's place o < taps.length, and `step`
 * further on for each taps.length places more.
 */
export interface Reach {
  readonly taps: readonly (readonly number[])[];
  readonly step: number;
}

/** Width of the field in places of the input: that of the place that sees most. */
export function sizeOf({ first, last }: Path): number {
  return Math.max(...first.map((from, place) => Math.ceil(last[place]! - from + 1)));
}

/** Distance between the fields of neighboring places, in places of the input: the product of strides so far. */
export function jumpOf({ first, shift }: Path): number {
  return shift / first.length;
}

/** What the input sees: every place sees itself. */
export function inputView(axes: number): FieldOfView {
  return { axes: Array.from({ length: axes }, () => [{ first: [0], last: [0], shift: 1 }]), everything: false };
}

/** What a tensor of so many axes sees if every place sees the whole input. */
export function wholeView(axes: number): FieldOfView {
  return { axes: Array.from({ length: axes }, () => [wholePath(1)]), everything: true };
}

/** The path of a place that sees the whole input, beside paths of that jump. */
function wholePath(jump: number): Path {
  return { first: [Number.NEGATIVE_INFINITY], last: [Number.POSITIVE_INFINITY], shift: jump };
}

/** Places that see everything along an axis, and are as far apart as those of its paths. */
export function wholeAxis(paths: readonly Path[]): readonly Path[] {
  return [wholePath(Math.max(...paths.map(jumpOf)))];
}

/**
 * A convolution or pooling: r_l = r_(l-1) + (k_l - 1) * product of earlier strides, on every path
 * (https://distill.pub/2019/computing-receptive-fields;
 * the rule of https://arxiv.org/abs/2106.12307). A dilated kernel reaches over d * (k - 1) + 1 places.
 *
 * @param padding per axis, places before the first one. It decides which places of an enlarged map meet in a window.
 */
export function throughWindow(view: FieldOfView, window: KernelWindow, padding: readonly number[] = []): FieldOfView {
  return throughReach(view, (axis) => {
    const { kernel, stride, dilation } = windowAt(window, axis);
    const before = padding[axis] ?? 0;
    return { taps: [Array.from({ length: kernel }, (_, tap) => tap * dilation - before)], step: stride };
  });
}

/**
 * A transposed convolution: its output has `stride` places for one of its input, and the kernel lies around each place of the
 * input, so that at most ceil(k / s) of them reach a place of the output.
 *
 * @param padding per axis, places that are cut off before the first one
 */
export function throughTransposedWindow(
  view: FieldOfView,
  window: KernelWindow,
  padding: readonly number[] = [],
): FieldOfView {
  return throughReach(view, (axis) => {
    const { kernel, stride } = windowAt(window, axis);
    const taps = Array.from({ length: stride }, (_, place) => {
      const last = Math.floor((place + (padding[axis] ?? 0)) / stride);
      const first = Math.ceil((place + (padding[axis] ?? 0) - kernel + 1) / stride);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, tap) => first + tap);
    });
    return { taps, step: 1 };
  });
}

/** Which places of a map are taken where a place of a resized one falls between two: the one before, the nearest, or both. */
export type Sampling = 'before' | 'nearest' | 'both';

/**
 * A map that is enlarged or reduced: place i of the result lies at i * before / after.
 *
 * @param ratios per axis, before and after; undefined if they are not known, and then the axis counts as seen whole
 */
export function throughScaling(
  view: FieldOfView,
  ratios: readonly (readonly [before: number, after: number] | undefined)[],
  sampling: Sampling,
): FieldOfView {
  return throughReach(view, (axis) => {
    const [before, after] = ratios[axis] ?? [];
    if (!before || !after) return undefined;
    const divisor = greatestCommonDivisor(before, after);
    const period = after / divisor;
    const step = before / divisor;
    const taps = Array.from({ length: period }, (_, place) => {
      const at = (place * step) / period;
      if (sampling === 'nearest') return [Math.round(at)];
      return sampling === 'before' ? [Math.floor(at)] : [Math.floor(at), Math.ceil(at)];
    });
    return { taps, step };
  });
}

/** A map whose places are moved by padding (negative) or cropping (positive) in front of the first one. */
export function throughOffset(view: FieldOfView, offsets: readonly number[]): FieldOfView {
  return throughReach(view, (axis) => ({ taps: [[offsets[axis] ?? 0]], step: 1 }));
}

/** A layer that lets what `reachOf` says through each axis; undefined if it is not known what, which counts as everything. */
function throughReach(view: FieldOfView, reachOf: (axis: number) => Reach | undefined): FieldOfView {
  return {
    ...view,
    axes: view.axes.map((paths, axis) => {
      const reach = reachOf(axis);
      return reach === undefined ? wholeAxis(paths) : fewest(paths.map((path) => through(path, reach)));
    }),
  };
}

/** A tensor for which space was summed up, flattened or read to its end. */
export function withoutSpace(view: FieldOfView): FieldOfView {
  return { axes: [], everything: view.everything || view.axes.length > 0 };
}

/** Several tensors that meet (Add, Concatenate, ...): every path of each. One without space is spread over all places. */
export function merged(views: readonly FieldOfView[]): FieldOfView {
  if (views.length === 1) return views[0]!;
  const rank = Math.max(...views.map(({ axes }) => axes.length));
  const axes = Array.from({ length: rank }, (_, axis) => {
    const paths = views.flatMap((view) => view.axes[axis] ?? []);
    const isSpread = views.some((view) => view.everything && axis >= view.axes.length);
    return fewest(isSpread ? [...paths, ...wholeAxis(paths)] : paths);
  });
  return { axes, everything: views.some(({ everything }) => everything) };
}

/** Longest period that is followed exactly. Beyond it, which resizing to odd sides again and again can reach, sizes are rounded up. */
const longestPeriod = 4096;

/** What a layer's output sees on a path that its input sees. */
function through(path: Path, { taps, step }: Reach): Path {
  const layerPeriods = path.first.length / greatestCommonDivisor(path.first.length, step);
  const period = taps.length * layerPeriods;
  if (path.first.length > 1 && period > longestPeriod) return through(evened(path), { taps, step });
  const first: number[] = [];
  const last: number[] = [];
  for (let place = 0; place < period; place++) {
    const moved = step * Math.floor(place / taps.length);
    let from = Number.POSITIVE_INFINITY;
    let to = Number.NEGATIVE_INFINITY;
    for (const tap of taps[place % taps.length]!) {
      from = Math.min(from, placeAt(path.first, path.shift, tap + moved));
      to = Math.max(to, placeAt(path.last, path.shift, tap + moved));
    }
    first.push(from);
    last.push(to);
  }
  return shortened({ first, last, shift: (path.shift * step * layerPeriods) / path.first.length });
}

/** The place of the input that the place of a map begins or ends at. */
function placeAt(places: readonly number[], shift: number, place: number): number {
  const period = Math.floor(place / places.length);
  return places[place - period * places.length]! + shift * period;
}

/** The same path with the shortest period that describes it. */
function shortened(path: Path): Path {
  const { first, last, shift } = path;
  for (let period = 1; period < first.length; period++) {
    const part = (shift * period) / first.length;
    if (first.length % period !== 0 || !Number.isInteger(part)) continue;
    const repeats = (places: readonly number[]) =>
      places.every((place, index) => index < period || place === places[index - period]! + part);
    if (repeats(first) && repeats(last)) {
      return { first: first.slice(0, period), last: last.slice(0, period), shift: part };
    }
  }
  return path;
}

/** A path with a period of one place that sees as much as any place of this one. */
function evened(path: Path): Path {
  return { first: [0], last: [sizeOf(path) - 1], shift: jumpOf(path) };
}

/** Most paths that an axis keeps. Only networks that enlarge maps again and again, by windows that do not meet, have more. */
const mostPaths = 64;

/**
 * Keeps the smallest and the largest path of each kind: all paths of one kind grow alike, so that no other path can become
 * the smallest or largest one later. Paths are of one kind if they have the same jump and, where the period is longer than
 * one place, the same differences between the places. Without this a residual network of 50 blocks would have 2^50 paths.
 */
function fewest(paths: readonly Path[]): readonly Path[] {
  if (paths.length === 1) return paths;
  const byKind = extremesBy(paths, kindOf);
  if (byKind.length <= mostPaths) return byKind;
  return extremesBy(byKind, (path) => `${jumpOf(path)} ${sizeOf(path) === Number.POSITIVE_INFINITY}`);
}

function kindOf({ first, last, shift }: Path): string {
  if (last.includes(Number.POSITIVE_INFINITY)) return `all ${shift / first.length}`;
  const seeing = first.findIndex(Number.isFinite);
  const shape = (places: readonly number[]) => places.map((place) => place - places[seeing]!).join();
  return first.length === 1 ? `${shift}` : `${shift} ${shape(first)} ${shape(last)}`;
}

function extremesBy(paths: readonly Path[], keyOf: (path: Path) => string): Path[] {
  const extremes = new Map<string, [Path, Path]>();
  for (const path of paths) {
    const key = keyOf(path);
    const [least, most] = extremes.get(key) ?? [path, path];
    extremes.set(key, [sizeOf(path) < sizeOf(least) ? path : least, sizeOf(path) > sizeOf(most) ? path : most]);
  }
  return [...extremes.values()].flatMap(([least, most]) => (least === most ? [least] : [least, most]));
}

function windowAt({ kernelSize, strides, dilationRate }: KernelWindow, axis: number) {
  return { kernel: at(kernelSize, axis), stride: at(strides, axis), dilation: at(dilationRate, axis) };
}

function at(values: readonly number[] | undefined, axis: number): number {
  if (values === undefined || values.length === 0) return 1;
  return values[Math.min(axis, values.length - 1)]!;
}

function greatestCommonDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestCommonDivisor(other, one % other);
}
