/** Uniform numbers in [0, 1) that are the same in every run (mulberry32, public domain). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Standard normal numbers (Box & Muller). */
export function normal(seed: number): () => number {
  const next = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

/** The first `count` standard normal numbers of a seed, in float32. */
export function normals(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, normal(seed));
}

/** Rows of independent features whose variances are `variances`, about `mean`. */
export function gaussianRows(rows: number, variances: ArrayLike<number>, seed: number, mean = 0): Float64Array {
  const next = normal(seed);
  const features = variances.length;
  return Float64Array.from({ length: rows * features }, (_, i) => mean + Math.sqrt(variances[i % features]) * next());
}

/** Covariance about the mean in two passes: the definition. */
export function twoPassCovariance(samples: ArrayLike<number>, features: number): Float64Array {
  const rows = samples.length / features;
  const mean = new Float64Array(features);
  for (let i = 0; i < samples.length; i++) mean[i % features] += samples[i] / rows;
  const covariance = new Float64Array(features * features);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < features; i++) {
      const a = samples[r * features + i] - mean[i];
      for (let j = 0; j < features; j++)
        covariance[i * features + j] += (a * (samples[r * features + j] - mean[j])) / rows;
    }
  }
  return covariance;
}

/** Largest absolute difference. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i]));
  return worst;
}

/** sqrt of the sum of squares of the differences over that of b. */
export function relativeDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < a.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return size === 0 ? Math.sqrt(difference) : Math.sqrt(difference / size);
}
