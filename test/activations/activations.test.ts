import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ActivationView, thin, toSamples } from '../../src/activations/samples.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { decodeNpy } from '../../src/stores/npy.js';

const folder = new URL('../fixtures/numeric/', import.meta.url);
const npy = (path: string) => decodeNpy(readFileSync(new URL(path, folder)), path);
const index = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8'));

const view: ActivationView = {
  kind: 'map',
  spatialRank: 2,
  channelsFirst: false,
  convMethod: 'channelwise',
  timeseriesMethod: 'lastTimestep',
};

/** What a fixture says of one way to read an output. */
function expectFixture(name: string, kind: string, changes: Partial<ActivationView>): void {
  const { views } = index.cases[name];
  const expected = views[kind];
  const { values, shape } = npy(`${name}/x.npy`);
  const samples = toSamples(Float32Array.from(values), shape, { ...view, ...changes });
  expect([samples.rows, samples.features]).toEqual([expected.n, expected.d]);
  const accumulator = new CovarianceAccumulator(samples.features);
  accumulator.update(samples.values);
  const spectrum = Spectrum.of(accumulator);
  const reference = npy(expected.files.eig_twopass).values as Float64Array;
  const largest = reference[0];
  // Torch computed these views in float32; ours are float64.
  const tolerance = kind === 'interp5_bilinear' || kind === 'mean' ? 1e-6 : 1e-10;
  for (let i = 0; i < reference.length; i++) {
    expect(Math.abs(spectrum.eigenvalues[i] - Math.max(0, reference[i])) / largest).toBeLessThan(tolerance);
  }
  for (const [threshold, counts] of Object.entries<Record<string, number>>(expected.idim)) {
    expect(spectrum.intrinsicDimensionality(Number(threshold)), `${kind} at ${threshold}`).toBe(counts.paper_twopass);
  }
}

describe('toSamples', () => {
  it.each(['channelwise', 'mean', 'max', 'median', 'flatten'] as const)(
    'reads a map by %s as Delve does',
    (convMethod) => {
      expectFixture('conv_nhwc', convMethod, { convMethod });
    },
  );

  it.each(['nearest', 'bilinear'] as const)('downsamples a map by %s as torch does', (method) => {
    expectFixture('conv_nhwc', `interp5_${method}`, { downsample: { size: 5, method } });
  });

  it.each([
    ['last_timestep', 'lastTimestep'],
    ['timestepwise', 'timestepwise'],
    ['tokens', 'tokens'],
  ] as const)('reads a sequence by %s as Delve does', (kind, timeseriesMethod) => {
    expectFixture('lstm_btu', kind, { kind: 'sequence', timeseriesMethod });
  });

  it('never upsamples: a side shorter than the size stays (Delve B28 made 64x8 maps 32x32)', () => {
    const samples = toSamples(new Float32Array(1 * 64 * 8 * 3), [1, 64, 8, 3], { ...view, downsample: { size: 32 } });
    expect(samples.rows).toBe(32 * 8);
  });

  it('reads channels first as channels last', () => {
    const last = Float32Array.from({ length: 2 * 3 * 4 * 5 }, (_, i) => Math.sin(i));
    const first = new Float32Array(last.length);
    for (let n = 0; n < 2; n++)
      for (let p = 0; p < 12; p++) for (let c = 0; c < 5; c++) first[(n * 5 + c) * 12 + p] = last[(n * 12 + p) * 5 + c];
    for (const convMethod of ['channelwise', 'mean', 'max', 'median'] as const) {
      const expected = toSamples(last, [2, 3, 4, 5], { ...view, convMethod });
      expect(toSamples(first, [2, 5, 3, 4], { ...view, convMethod, channelsFirst: true })).toEqual(expected);
    }
  });

  it('leaves masked steps out: tokens drop them, the last step is the last that counts', () => {
    const values = Float32Array.from({ length: 2 * 3 * 1 }, (_, i) => i);
    const mask = [1, 1, 0, 1, 0, 0];
    const sequence = { ...view, kind: 'sequence' as const };
    expect([...toSamples(values, [2, 3, 1], { ...sequence, timeseriesMethod: 'tokens' }, mask).values]).toEqual([
      0, 1, 3,
    ]);
    expect([...toSamples(values, [2, 3, 1], sequence, mask).values]).toEqual([1, 3]);
    expect([...toSamples(values, [2, 3, 1], sequence, [1, 1, 1, 0, 0, 0]).values]).toEqual([2, 3]);
  });

  it('thins the samples: even distances, from an offset on; every sample has its turn', () => {
    const samples = { values: Float32Array.from({ length: 40 }, (_, i) => i), rows: 20, features: 2 };
    expect([...thin(samples, { rows: 4, offset: 0.5 }).values]).toEqual([4, 5, 14, 15, 24, 25, 34, 35]);
    expect([...thin(samples, { rows: 3, offset: 0.99 }).values]).toEqual([12, 13, 26, 27, 38, 39]);
    const seen = new Set([0, 0.2, 0.4, 0.6, 0.8].flatMap((offset) => [...thin(samples, { rows: 4, offset }).values]));
    expect(seen.size).toBe(40);
    expect(thin(samples, { rows: 20, offset: 0.9 })).toBe(samples);
    expect(thin(samples, undefined)).toBe(samples);
  });

  it('reads only the first items when told so', () => {
    const values = Float32Array.from({ length: 12 }, (_, i) => i);
    expect([...toSamples(values, [4, 3], view, undefined, 2).values]).toEqual([0, 1, 2, 3, 4, 5]);
    expect(toSamples(values, [3, 2, 1, 2], view, undefined, 1).rows).toBe(2);
  });

  it('takes steps of time before space as more images', () => {
    const values = new Float32Array(2 * 3 * 4 * 4 * 5);
    expect(toSamples(values, [2, 3, 4, 4, 5], { ...view, convMethod: 'mean' }).rows).toBe(6);
    expect(toSamples(values, [2, 3, 4, 4, 5], { ...view, convMethod: 'mean', spatialRank: 3 }).rows).toBe(2);
  });

  it('keeps a NaN visible through mean, max and median, so that its row is left out', () => {
    const values = Float32Array.from([1, Number.NaN, 3, 4]);
    for (const convMethod of ['mean', 'max', 'median'] as const) {
      const { values: reduced } = toSamples(values, [2, 2, 1, 1], { ...view, convMethod });
      expect([Number.isNaN(reduced[0]), Number.isNaN(reduced[1])]).toEqual([true, false]);
    }
  });
});
