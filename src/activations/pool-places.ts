import type { SampleRows } from '../probes/logistic-regression.js';

type Values = Float32Array | Int32Array | Uint8Array;

/**
 * A layer's output as one row per item, its space averaged down to at most `maxPlaces` places in all: 4 x 4 of a map, 16
 * of a sequence. The papers' probes do so too, because a map of 112 x 112 x 64 has 802,816 features to fit.
 *
 * @param shape (N, ...space, C), or (N, C)
 */
export function poolPlaces(
  values: Values,
  shape: readonly number[],
  maxPlaces: number,
  channelsFirst: boolean,
): SampleRows {
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
