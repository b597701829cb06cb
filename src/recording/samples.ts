/*
 * What a layer puts out becomes a matrix of samples (rows) by features (columns). toSamples() does so for saturation, as
 * the options of a tracker say; outputRows() for PCA layers, and poolPlaces() for probes. A row is one place of a map, one
 * step of a sequence, or one item of a batch.
 */

/**
 * What is a sample in a layer that has values for every place of a map (N, ...space, C):
 * - `channelwise`: every place is a sample of C features;
 * - `mean`, `max`, `median` (the lower of the two middle values, as torch.median): each image is a sample of C features;
 * - `flatten`: each image is a sample of C * places features.
 */
export type ConvMethod = 'channelwise' | 'mean' | 'max' | 'median' | 'flatten';

/**
 * What is a sample in a layer that has values for every step of a sequence (N, T, C):
 * - `lastTimestep`: the last step of each sequence that is not masked, a sample of C features;
 * - `timestepwise`: each sequence, a sample of T * C features;
 * - `tokens`: every step that is not masked, a sample of C features.
 */
export type TimeseriesMethod = 'lastTimestep' | 'timestepwise' | 'tokens';

/** Makes maps smaller, never larger, before they are read. */
export interface Downsample {
  /** Every side of a map that is longer than this gets this length, in places. */
  size: number;
  /** Default 'nearest', as torch.nn.functional.interpolate has it. */
  method?: 'nearest' | 'bilinear';
}

/** How to read one layer's output. */
export interface ActivationView {
  /** What an output of rank 3 is: a map (N, space, C) or a sequence (N, T, C). Higher ranks are maps. */
  kind: 'map' | 'sequence';
  /** How many dimensions of space a map has (1 to 3), before which steps of time may stand; 0 if that is unknown. */
  spatialRank: number;
  /** Whether channels come before space. */
  channelsFirst: boolean;
  convMethod: ConvMethod;
  timeseriesMethod: TimeseriesMethod;
  downsample?: Downsample;
}

/** Samples by features, row-major. */
export interface SampleMatrix {
  readonly values: Float32Array | Float64Array;
  /** Number of samples. */
  readonly rows: number;
  /** Numbers per sample. */
  readonly features: number;
}

type Values = Float32Array | Float64Array;

/**
 * Reads a layer's output as samples by features, by the methods that ConvMethod and TimeseriesMethod describe. Outputs of
 * rank 1 and 2 are samples already.
 *
 * @param values the output's values, row-major
 * @param shape the output's shape, N first
 * @param mask for sequences N x T, 0 for a padding step
 * @param items how many of the N items to read, from the first; default all
 * @throws RangeError if the output is a scalar
 */
export function toSamples(
  values: Values,
  shape: readonly number[],
  view: ActivationView,
  mask?: ArrayLike<number>,
  items: number = shape[0] ?? 0,
): SampleMatrix {
  if (shape.length === 0) throw new RangeError('activations: expected at least one dimension, got a scalar');
  const batch = Math.min(items, shape[0]);
  const used = batch === shape[0] ? values : values.subarray(0, (values.length / shape[0]) * batch);
  if (shape.length <= 2) return { values: used, rows: batch, features: shape[1] ?? 1 };
  if (!isSequence(shape, view)) return mapSamples(used, mapLayout([batch, ...shape.slice(1)], view), view);
  const [, steps, features] = shape;
  switch (view.timeseriesMethod) {
    case 'timestepwise':
      return { values: used, rows: batch, features: steps * features };
    case 'tokens':
      if (mask === undefined) return { values: used, rows: batch * steps, features };
      return gatherRows(used, unmaskedRows(mask, batch * steps), features);
    case 'lastTimestep':
      return lastSteps(used, [batch, steps, features], mask);
  }
}

/** How many samples of how many features toSamples would read of an output. */
export function sampleSize(
  shape: readonly number[],
  view: ActivationView,
  mask?: ArrayLike<number>,
  items: number = shape[0] ?? 0,
): { rows: number; features: number } {
  const batch = Math.min(items, shape[0] ?? 0);
  if (shape.length < 3) return { rows: batch, features: shape[1] ?? 1 };
  if (isSequence(shape, view)) {
    const [, steps, features] = shape;
    if (view.timeseriesMethod === 'timestepwise') return { rows: batch, features: steps * features };
    if (view.timeseriesMethod === 'lastTimestep') return { rows: batch, features };
    return { rows: mask === undefined ? batch * steps : unmaskedIn(mask, 0, batch * steps), features };
  }
  const { images, space, channels } = mapLayout([batch, ...shape.slice(1)], view);
  const size = view.downsample?.size ?? Number.POSITIVE_INFINITY;
  const places = space.map((length) => Math.min(length, size)).reduce(product, 1);
  if (view.convMethod === 'channelwise') return { rows: images * places, features: channels };
  return { rows: images, features: view.convMethod === 'flatten' ? channels * places : channels };
}

/** Samples of one image or sequence count as at most so many independent ones: neighbors are alike. */
export const independentPerItem = 16;

/**
 * How many independent samples those of a pass are worth. Items are independent of each other; of the places of one image
 * or the steps of one sequence, 16 count at most. With so many, no estimate that was called reliable on real convolutions
 * was off by more than 0.016, while all of their places promised more than they held.
 *
 * @param size what sampleSize says of the pass
 * @param picked which of the samples are used, by their numbers in order; undefined for all
 */
export function effectiveRows(
  shape: readonly number[],
  view: ActivationView,
  mask: ArrayLike<number> | undefined,
  items: number,
  size: { readonly rows: number },
  picked: Int32Array | undefined,
): number {
  // Only tokens leave the rows of masked steps out: sequences differ in length then.
  const isOfTokens = mask !== undefined && isSequence(shape, view) && view.timeseriesMethod === 'tokens';
  const steps = isOfTokens ? shape[1] : size.rows / items;
  if (picked === undefined) {
    if (!isOfTokens) return items * Math.min(steps, independentPerItem);
    const ofItem = (item: number) => Math.min(unmaskedIn(mask, item * steps, (item + 1) * steps), independentPerItem);
    return Array.from({ length: items }, (_, item) => ofItem(item)).reduce((sum, rows) => sum + rows, 0);
  }
  const unmasked = isOfTokens ? unmaskedRows(mask, items * steps) : undefined;
  const perItem = new Uint32Array(items);
  for (const row of picked) perItem[Math.floor((unmasked?.[row] ?? row) / steps)]++;
  return perItem.reduce((sum, count) => sum + Math.min(count, independentPerItem), 0);
}

/** Whether the samples are the output's values in their order: there is nothing to gather, reduce or leave out. */
export function isPlainMatrix(shape: readonly number[], view: ActivationView, masked: boolean): boolean {
  if (shape.length < 3) return true;
  if (isSequence(shape, view)) {
    return view.timeseriesMethod === 'timestepwise' || (view.timeseriesMethod === 'tokens' && !masked);
  }
  return view.convMethod === 'channelwise' && !view.channelsFirst && view.downsample === undefined;
}

/** The fractional parts of its multiples lie evenly in [0, 1), however many there are. */
export const goldenRatio = (1 + Math.sqrt(5)) / 2;

/**
 * Picks rows at about even distances: one at a place of its own in each of `wanted` equal parts. Regular places would not
 * do, because maps and series are as regular: their edges, say, would be picked always or never.
 *
 * @param picked how many rows were picked of earlier passes: other places are picked then
 * @returns different numbers below `rows`
 */
export function pickRows(rows: number, wanted: number, picked: number): Int32Array {
  const start = Math.floor(((picked * Math.SQRT2) % 1) * rows);
  return Int32Array.from({ length: wanted }, (_, part) => {
    const from = Math.floor((part * rows) / wanted);
    const length = Math.floor(((part + 1) * rows) / wanted) - from;
    return (start + from + Math.floor((((picked + part) * goldenRatio) % 1) * length)) % rows;
  });
}

/**
 * The samples with these numbers, in the order in which toSamples reads them; all of them if `rows` is undefined. Of a map with
 * its channels first, only the places that are wanted are read.
 *
 * @param values the output's values, row-major; see toSamples for the others
 */
export function samplesAt(
  rows: Int32Array | undefined,
  values: Values,
  shape: readonly number[],
  view: ActivationView,
  mask?: ArrayLike<number>,
  items?: number,
): SampleMatrix {
  if (rows !== undefined && isTransposedMap(shape, view)) return gatherPlaces(values, mapLayout(shape, view), rows);
  const samples = toSamples(values, shape, view, mask, items);
  return rows === undefined ? samples : gatherRows(samples.values, rows, samples.features);
}

/** Whether the samples are the places of maps whose channels come first. */
function isTransposedMap(shape: readonly number[], view: ActivationView): boolean {
  const isMap = shape.length > 2 && !isSequence(shape, view);
  return isMap && view.channelsFirst && view.convMethod === 'channelwise' && view.downsample === undefined;
}

/** Copies places of maps whose channels come first. */
function gatherPlaces(values: Values, { space, channels }: MapLayout, rows: Int32Array): SampleMatrix {
  const places = space.reduce(product, 1);
  const gathered = new (values.constructor as Float32ArrayConstructor)(rows.length * channels);
  let to = 0;
  for (const row of rows) {
    const image = Math.floor(row / places);
    let from = image * channels * places + (row - image * places);
    for (let channel = 0; channel < channels; channel++, from += places) gathered[to++] = values[from];
  }
  return { values: gathered, rows: rows.length, features: channels };
}

/**
 * Reads a layer's output for a PCA layer: every place of a map, step of a sequence or item of a batch is a row.
 *
 * @param values the output's values, row-major, with the features last
 * @param size of a map's side that is longer than this, so many places are read, the nearest to evenly spaced ones, as
 *   torch.nn.functional.interpolate with mode 'nearest' picks them; default all. Sequences are read whole.
 * @param mask for sequences N x T, 0 for a padding step
 */
export function outputRows(
  values: Values,
  shape: readonly number[],
  size?: number,
  mask?: ArrayLike<number>,
): SampleMatrix {
  const features = shape[shape.length - 1];
  const count = values.length / features;
  if (mask !== undefined) return gatherRows(values, unmaskedRows(mask, count), features);
  const space = shape.slice(1, -1);
  const isMap = shape.length > 3;
  if (!isMap || size === undefined || space.every((length) => length <= size)) return { values, rows: count, features };
  let rows = Array.from({ length: shape[0] }, (_, item) => item);
  for (const length of space) {
    const kept = Math.min(length, size);
    const places = Array.from({ length: kept }, (_, place) => Math.floor((place * length) / kept));
    rows = rows.flatMap((row) => places.map((place) => row * length + place));
  }
  return gatherRows(values, rows, features);
}

/**
 * Reads a layer's output for a probe: one row per item, with space averaged down to at most `maxPlaces` places in all (4 x
 * 4 of a map, 16 of a sequence). The papers' probes do so too, because a map of 112 x 112 x 64 has 802,816 features to fit.
 *
 * @param values the output's values, row-major
 * @param shape (N, ...space, C), (N, C, ...space) or (N, C)
 */
export function poolPlaces(
  values: Values,
  shape: readonly number[],
  maxPlaces: number,
  channelsFirst: boolean,
): SampleMatrix {
  const rows = shape[0];
  if (shape.length <= 2) return { values: values.slice(), rows, features: shape[1] ?? 1 };
  const space = channelsFirst ? shape.slice(2) : shape.slice(1, -1);
  const channels = channelsFirst ? shape[1] : shape[shape.length - 1];
  const side = Math.max(1, Math.floor(maxPlaces ** (1 / space.length) + 1e-9));
  const pooledSpace = space.map((length) => Math.min(length, side));
  const places = space.reduce(product, 1);
  const pooled = pooledSpace.reduce(product, 1);
  const features = pooled * channels;
  const result = new (values.constructor as Float32ArrayConstructor)(rows * features);
  // Each place of the map belongs to one pooled place, as evenly as whole places allow.
  const target = Int32Array.from({ length: places }, (_, place) => pooledPlace(place, space, pooledSpace));
  const counts = new Float64Array(pooled);
  for (const at of target) counts[at] += 1;
  for (let row = 0; row < rows; row++) {
    for (let place = 0; place < places; place++) {
      const to = row * features + target[place] * channels;
      const weight = 1 / counts[target[place]];
      for (let channel = 0; channel < channels; channel++) {
        const from = channelsFirst
          ? (row * channels + channel) * places + place
          : (row * places + place) * channels + channel;
        result[to + channel] += weight * values[from];
      }
    }
  }
  return { values: result, rows, features };
}

/** Reads the last step of each sequence that is not masked. @param shape N, T, C */
export function lastSteps(values: Values, shape: readonly number[], mask?: ArrayLike<number>): SampleMatrix {
  const [batch, steps, features] = shape;
  const rows = Array.from({ length: batch }, (_, item) => {
    let step = steps - 1;
    while (mask !== undefined && step > 0 && mask[item * steps + step] === 0) step--;
    return item * steps + step;
  });
  return gatherRows(values, rows, features);
}

/** Copies some of the rows. */
function gatherRows(values: Values, rows: ArrayLike<number>, features: number): SampleMatrix {
  const gathered = new (values.constructor as Float32ArrayConstructor)(rows.length * features);
  for (let row = 0; row < rows.length; row++) {
    const from = rows[row] * features;
    gathered.set(values.subarray(from, from + features) as Float32Array, row * features);
  }
  return { values: gathered, rows: rows.length, features };
}

/** The first `count` rows without those that a mask leaves out. */
export function unmaskedRows(mask: ArrayLike<number>, count: number): number[] {
  const rows: number[] = [];
  for (let row = 0; row < count; row++) if (mask[row] !== 0) rows.push(row);
  return rows;
}

/** How many rows of a range a mask does not leave out. */
function unmaskedIn(mask: ArrayLike<number>, from: number, to: number): number {
  let count = 0;
  for (let row = from; row < to; row++) if (mask[row] !== 0) count++;
  return count;
}

function isSequence(shape: readonly number[], view: ActivationView): boolean {
  return view.kind === 'sequence' && shape.length === 3;
}

/** What the dimensions of a map stand for. */
interface MapLayout {
  images: number;
  space: readonly number[];
  channels: number;
}

function mapLayout(shape: readonly number[], { spatialRank, channelsFirst }: ActivationView): MapLayout {
  // Steps of time before space (TimeDistributed, ConvLSTM2D) make more images, not larger ones.
  const timeAxes = spatialRank > 0 ? Math.max(0, shape.length - 2 - spatialRank) : 0;
  const rest = shape.slice(1 + timeAxes);
  return {
    images: shape.slice(0, 1 + timeAxes).reduce(product, 1),
    space: channelsFirst ? rest.slice(1) : rest.slice(0, -1),
    channels: channelsFirst ? rest[0] : rest[rest.length - 1],
  };
}

function mapSamples(values: Values, layout: MapLayout, view: ActivationView): SampleMatrix {
  const { images, channels } = layout;
  let { space } = layout;
  const { convMethod } = view;
  const isReduced = convMethod === 'mean' || convMethod === 'max' || convMethod === 'median';
  const staysFirst = view.channelsFirst && isReduced && view.downsample === undefined;
  let read =
    view.channelsFirst && !staysFirst ? channelsLast(values, images, channels, space.reduce(product, 1)) : values;
  if (view.downsample !== undefined) {
    const { size, method = 'nearest' } = view.downsample;
    for (let axis = 0; axis < space.length; axis++) {
      if (space[axis] <= size) continue;
      read = resizeAxis(read, [images, ...space, channels], axis + 1, size, method);
      space = space.map((length, at) => (at === axis ? size : length));
    }
  }
  const places = space.reduce(product, 1);
  if (convMethod === 'channelwise') return { values: read, rows: images * places, features: channels };
  if (convMethod === 'flatten') return { values: read, rows: images, features: channels * places };
  const reduced = reducePlaces(read, images, places, channels, staysFirst, convMethod);
  return { values: reduced, rows: images, features: channels };
}

/** Moves the channels of each image behind its places. */
function channelsLast(values: Values, images: number, channels: number, places: number): Values {
  const moved = new (values.constructor as Float32ArrayConstructor)(values.length);
  for (let image = 0; image < images; image++) {
    const base = image * channels * places;
    for (let channel = 0; channel < channels; channel++) {
      for (let place = 0; place < places; place++) {
        moved[base + place * channels + channel] = values[base + channel * places + place];
      }
    }
  }
  return moved;
}

/** Reduces all places of each image to one value per channel: a mean in float64, or a value that occurs. */
function reducePlaces(
  values: Values,
  images: number,
  places: number,
  channels: number,
  channelsFirst: boolean,
  method: 'mean' | 'max' | 'median',
): Float64Array {
  const reduced = new Float64Array(images * channels);
  const column = new Float64Array(places);
  const step = channelsFirst ? 1 : channels;
  for (let image = 0; image < images; image++) {
    for (let channel = 0; channel < channels; channel++) {
      const base = image * places * channels + (channelsFirst ? channel * places : channel);
      let sum = 0;
      let max = Number.NEGATIVE_INFINITY;
      let finite = true;
      for (let place = 0; place < places; place++) {
        const value = values[base + place * step];
        column[place] = value;
        sum += value;
        if (value > max) max = value;
        if (!Number.isFinite(value)) finite = false;
      }
      let result = sum / places;
      if (method === 'max') result = max;
      else if (method === 'median') result = column.sort()[(places - 1) >> 1];
      // A NaN must not get lost in sorting or comparing: it makes the row one that is left out and counted.
      reduced[image * channels + channel] = finite ? result : Number.NaN;
    }
  }
  return reduced;
}

/**
 * Resizes one axis to `size` places as torch.nn.functional.interpolate (align_corners=False) does:
 * https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html
 */
function resizeAxis(
  values: Values,
  shape: readonly number[],
  axis: number,
  size: number,
  method: 'nearest' | 'bilinear',
): Float64Array {
  const before = shape.slice(0, axis).reduce(product, 1);
  const length = shape[axis];
  const after = shape.slice(axis + 1).reduce(product, 1);
  const resized = new Float64Array(before * size * after);
  const scale = length / size;
  for (let to = 0; to < size; to++) {
    const at = method === 'nearest' ? Math.floor(to * scale) : Math.max(0, (to + 0.5) * scale - 0.5);
    const low = Math.min(Math.floor(at), length - 1);
    const high = Math.min(low + 1, length - 1);
    const weight = at - low;
    for (let outer = 0; outer < before; outer++) {
      const lowBase = (outer * length + low) * after;
      const highBase = (outer * length + high) * after;
      const toBase = (outer * size + to) * after;
      for (let inner = 0; inner < after; inner++) {
        const value = values[lowBase + inner];
        resized[toBase + inner] = weight === 0 ? value : value + (values[highBase + inner] - value) * weight;
      }
    }
  }
  return resized;
}

/** The pooled place to which a place of a map belongs; both are counted in row-major order. */
function pooledPlace(place: number, space: readonly number[], pooledSpace: readonly number[]): number {
  let rest = place;
  let stride = 1;
  let at = 0;
  for (let axis = space.length - 1; axis >= 0; axis--) {
    const index = rest % space[axis];
    rest = Math.floor(rest / space[axis]);
    at += Math.floor((index * pooledSpace[axis]) / space[axis]) * stride;
    stride *= pooledSpace[axis];
  }
  return at;
}

function product(a: number, b: number): number {
  return a * b;
}
