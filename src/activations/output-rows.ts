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
