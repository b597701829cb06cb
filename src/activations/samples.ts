/** What stands for a sample in a layer that has a value for every place of a map. */
export type ConvMethod = 'channelwise' | 'mean' | 'max' | 'median' | 'flatten';
/** What stands for a sample in a layer that has a value for every step of a sequence. */
export type TimeseriesMethod = 'lastTimestep' | 'timestepwise' | 'tokens';
/** Makes maps smaller (never larger) before they are read; every side longer than `size` becomes `size`. */
export interface Downsample {
  size: number;
  method?: 'nearest' | 'bilinear';
}

/** How to read one layer's output. */
export interface ActivationView {
  kind: 'map' | 'sequence';
  spatialRank: number;
  channelsFirst: boolean;
  convMethod: ConvMethod;
  timeseriesMethod: TimeseriesMethod;
  downsample?: Downsample;
}

/** Rows are samples, columns are features, row-major. */
export interface SampleMatrix {
  readonly values: Float32Array | Float64Array;
  readonly rows: number;
  readonly features: number;
}

type Values = Float32Array | Float64Array;

/**
 * Reads a layer's output as a matrix of samples x features.
 *
 * Maps (N, ...space, C): `channelwise` makes every place a sample of C features; `mean`, `max` and `median` (the lower of
 * the two middle values, as torch.median) reduce each image to one sample of C features; `flatten` makes C * places
 * features of an image. Sequences (N, T, C): `lastTimestep` takes the last step (the last one that is not masked);
 * `timestepwise` stacks the steps as T * C features; `tokens` makes every step that is not masked a sample.
 *
 * @param values the output's values, row-major
 * @param shape the output's shape, N first
 * @param mask for sequences N x T, 0 where a step is padding
 * @param items how many of the N items to read, from the first
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
  const taken = batch === shape[0] ? values : values.subarray(0, (values.length / shape[0]) * batch);
  if (shape.length === 1) return { values: taken, rows: batch, features: 1 };
  if (shape.length === 2) return { values: taken, rows: batch, features: shape[1] };
  if (view.kind === 'sequence' && shape.length === 3)
    return sequenceSamples(taken, batch, shape[1], shape[2], view, mask);
  return mapSamples(taken, [batch, ...shape.slice(1)], view);
}

function sequenceSamples(
  values: Values,
  batch: number,
  steps: number,
  features: number,
  view: ActivationView,
  mask?: ArrayLike<number>,
): SampleMatrix {
  if (view.timeseriesMethod === 'timestepwise') return { values, rows: batch, features: steps * features };
  if (view.timeseriesMethod === 'tokens') {
    if (mask === undefined) return { values, rows: batch * steps, features };
    const kept: number[] = [];
    for (let row = 0; row < batch * steps; row++) if (mask[row] !== 0) kept.push(row);
    return gatherRows(values, kept, features);
  }
  const last: number[] = [];
  for (let item = 0; item < batch; item++) {
    let step = steps - 1;
    while (mask !== undefined && step > 0 && mask[item * steps + step] === 0) step--;
    last.push(item * steps + step);
  }
  return gatherRows(values, last, features);
}

function gatherRows(values: Values, rows: readonly number[], features: number): SampleMatrix {
  const gathered = new (values.constructor as Float32ArrayConstructor)(rows.length * features);
  for (let row = 0; row < rows.length; row++) {
    const from = rows[row] * features;
    gathered.set(values.subarray(from, from + features) as Float32Array, row * features);
  }
  return { values: gathered, rows: rows.length, features };
}

function mapSamples(values: Values, shape: readonly number[], view: ActivationView): SampleMatrix {
  const extra = view.spatialRank > 0 ? Math.max(0, shape.length - 2 - view.spatialRank) : 0;
  // Steps of time before space (TimeDistributed, ConvLSTM2D) make more images, not larger ones.
  const images = shape.slice(0, 1 + extra).reduce((product, size) => product * size, 1);
  const rest = shape.slice(1 + extra);
  let channels = view.channelsFirst ? rest[0] : rest[rest.length - 1];
  let space = view.channelsFirst ? rest.slice(1) : rest.slice(0, -1);
  let last = view.channelsFirst ? channelsLast(values, images, channels, space.reduce(product, 1)) : values;
  if (view.downsample !== undefined) {
    const { size, method = 'nearest' } = view.downsample;
    for (let axis = 0; axis < space.length; axis++) {
      if (space[axis] <= size) continue;
      last = resizeAxis(last, [images, ...space, channels], axis + 1, size, method);
      space = space.map((length, at) => (at === axis ? size : length));
    }
  }
  const places = space.reduce(product, 1);
  switch (view.convMethod) {
    case 'channelwise':
      return { values: last, rows: images * places, features: channels };
    case 'flatten':
      channels *= places;
      return { values: last, rows: images, features: channels };
    default:
      return {
        values: reducePlaces(last, images, places, channels, view.convMethod),
        rows: images,
        features: channels,
      };
  }
}

function product(a: number, b: number): number {
  return a * b;
}

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

/** Means are float64; maxima and medians are values that occur. */
function reducePlaces(
  values: Values,
  images: number,
  places: number,
  channels: number,
  method: 'mean' | 'max' | 'median',
): Float64Array {
  const reduced = new Float64Array(images * channels);
  const column = new Float64Array(places);
  for (let image = 0; image < images; image++) {
    for (let channel = 0; channel < channels; channel++) {
      const base = image * places * channels + channel;
      let sum = 0;
      let max = Number.NEGATIVE_INFINITY;
      let finite = true;
      for (let place = 0; place < places; place++) {
        const value = values[base + place * channels];
        column[place] = value;
        sum += value;
        if (value > max) max = value;
        if (!Number.isFinite(value)) finite = false;
      }
      let result = sum / places;
      if (method === 'max') result = max;
      else if (method === 'median') result = column.sort()[(places - 1) >> 1];
      // A NaN must not be sorted or compared away: the row is left out and counted.
      reduced[image * channels + channel] = finite ? result : Number.NaN;
    }
  }
  return reduced;
}

/**
 * Resizes one axis as torch.nn.functional.interpolate (align_corners=False) does:
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

/** How many samples of how many features toSamples would read of an output, masks aside, from its shape alone. */
export function sampleSize(
  shape: readonly number[],
  view: ActivationView,
  items: number = shape[0] ?? 0,
): { rows: number; features: number } {
  const batch = Math.min(items, shape[0] ?? 0);
  if (shape.length < 3) return { rows: batch, features: shape[1] ?? 1 };
  if (view.kind === 'sequence' && shape.length === 3) {
    if (view.timeseriesMethod === 'timestepwise') return { rows: batch, features: shape[1] * shape[2] };
    return { rows: view.timeseriesMethod === 'tokens' ? batch * shape[1] : batch, features: shape[2] };
  }
  const extra = view.spatialRank > 0 ? Math.max(0, shape.length - 2 - view.spatialRank) : 0;
  const images = batch * shape.slice(1, 1 + extra).reduce(product, 1);
  const rest = shape.slice(1 + extra);
  const channels = view.channelsFirst ? rest[0] : rest[rest.length - 1];
  const space = view.channelsFirst ? rest.slice(1) : rest.slice(0, -1);
  const size = view.downsample?.size ?? Number.POSITIVE_INFINITY;
  const places = space.reduce((count, length) => count * Math.min(length, size), 1);
  if (view.convMethod === 'channelwise') return { rows: images * places, features: channels };
  return { rows: images, features: view.convMethod === 'flatten' ? channels * places : channels };
}

/** True where the samples are just the output's values, row after row: nothing to gather, reduce or leave out. */
export function isPlainMatrix(shape: readonly number[], view: ActivationView, masked: boolean): boolean {
  if (shape.length < 3) return true;
  if (view.kind === 'sequence' && shape.length === 3) {
    return view.timeseriesMethod === 'timestepwise' || (view.timeseriesMethod === 'tokens' && !masked);
  }
  return view.convMethod === 'channelwise' && !view.channelsFirst && view.downsample === undefined;
}

/** Which of a pass's samples are used, where not all are. */
export interface Thinning {
  /** How many, at even distances. */
  rows: number;
  /**
   * How far along the first distance the first of them lies: at least 0, below 1. It must differ from pass to pass: maps
   * are as regular as the distances, and their edges would be met always or never.
   */
  offset: number;
}

/** Some of the samples; all of them where there are no more. */
export function thinned(samples: SampleMatrix, thinning: Thinning | undefined): SampleMatrix {
  if (thinning === undefined || thinning.rows >= samples.rows) return samples;
  const { rows, offset } = thinning;
  const kept = Array.from({ length: rows }, (_, index) => Math.floor(((index + offset) * samples.rows) / rows));
  return gatherRows(samples.values, kept, samples.features);
}

/**
 * The rows (samples) that a layer's output holds: one per place of a map, per step of a sequence, per item of a batch.
 *
 * @param values The output's numbers, row-major, features last.
 * @param size Longest side of a map that is taken as it is: of a longer side `size` places are taken, the nearest to
 *   evenly spaced ones, as PyTorch's `interpolate(mode='nearest')` does. Shorter sides are left alone, never stretched.
 * @param mask For a sequence: which of its N x T steps count.
 */
export function outputRows(
  values: Float32Array,
  shape: readonly number[],
  size?: number,
  mask?: ArrayLike<number>,
): Float32Array {
  const features = shape[shape.length - 1];
  const isMap = shape.length > 3;
  if (mask) {
    const kept: number[] = [];
    for (let row = 0; row < mask.length; row++) if (mask[row]) kept.push(row);
    return pick(values, kept, features);
  }
  if (!isMap || size === undefined || shape.slice(1, -1).every((length) => length <= size)) return values;
  let rows = Array.from({ length: shape[0] }, (_, k) => k);
  for (const length of shape.slice(1, -1)) {
    const places =
      length <= size
        ? Array.from({ length }, (_, k) => k)
        : Array.from({ length: size }, (_, k) => Math.floor((k * length) / size));
    rows = rows.flatMap((row) => places.map((place) => row * length + place));
  }
  return pick(values, rows, features);
}

function pick(values: Float32Array, rows: readonly number[], features: number): Float32Array {
  const picked = new Float32Array(rows.length * features);
  for (const [k, row] of rows.entries()) {
    picked.set(values.subarray(row * features, (row + 1) * features), k * features);
  }
  return picked;
}

type OutputValues = Float32Array | Int32Array | Uint8Array;

/**
 * A layer's output as one row per item, its space averaged down to at most `maxPlaces` places in all: 4 x 4 of a map, 16
 * of a sequence. The papers' probes do so too, because a map of 112 x 112 x 64 has 802,816 features to fit.
 *
 * @param shape (N, ...space, C), or (N, C)
 */
export function poolPlaces(
  values: OutputValues,
  shape: readonly number[],
  maxPlaces: number,
  channelsFirst: boolean,
): SampleMatrix {
  const rows = shape[0]!;
  if (shape.length <= 2) return { values: Float32Array.from(values), rows, features: shape[1] ?? 1 };
  const space = channelsFirst ? shape.slice(2) : shape.slice(1, -1);
  const channels = channelsFirst ? shape[1]! : shape.at(-1)!;
  const side = Math.max(1, Math.floor(maxPlaces ** (1 / space.length) + 1e-9));
  const pooledSpace = space.map((length) => Math.min(length, side));
  const places = space.reduce((product, length) => product * length, 1);
  const pooled = pooledSpace.reduce((product, length) => product * length, 1);
  const features = pooled * channels;
  const result = new Float32Array(rows * features);
  // Each place of the map belongs to one pooled place, as evenly as whole places allow.
  const target = Int32Array.from({ length: places }, (_, place) => pooledPlace(place, space, pooledSpace));
  const counts = new Float64Array(pooled);
  for (const at of target) counts[at]! += 1;
  for (let row = 0; row < rows; row++) {
    for (let place = 0; place < places; place++) {
      const to = row * features + target[place]! * channels;
      const weight = 1 / counts[target[place]!]!;
      for (let channel = 0; channel < channels; channel++) {
        const from = channelsFirst
          ? (row * channels + channel) * places + place
          : (row * places + place) * channels + channel;
        result[to + channel]! += weight * values[from]!;
      }
    }
  }
  return { values: result, rows, features };
}

function pooledPlace(place: number, space: readonly number[], pooledSpace: readonly number[]): number {
  let rest = place;
  let stride = 1;
  let at = 0;
  for (let axis = space.length - 1; axis >= 0; axis--) {
    const index = rest % space[axis]!;
    rest = Math.floor(rest / space[axis]!);
    at += Math.floor((index * pooledSpace[axis]!) / space[axis]!) * stride;
    stride *= pooledSpace[axis]!;
  }
  return at;
}
