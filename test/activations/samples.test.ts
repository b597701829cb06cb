import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SampleBudget } from '../../src/activations/sample-budget.js';
import { type ActivationView, outputRows, poolPlaces, thin, toSamples } from '../../src/activations/samples.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { decodeNpy } from '../../src/stores/npy.js';
import { numericCases } from '../support/numeric-fixtures.js';
import { gaussianRows } from '../support/random.js';

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

/** Compares one way to read an output with a fixture. */
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

  it('reads a map with channels first like the same map with channels last', () => {
    const last = Float32Array.from({ length: 2 * 3 * 4 * 5 }, (_, i) => Math.sin(i));
    const first = new Float32Array(last.length);
    for (let n = 0; n < 2; n++)
      for (let p = 0; p < 12; p++) for (let c = 0; c < 5; c++) first[(n * 5 + c) * 12 + p] = last[(n * 12 + p) * 5 + c];
    for (const convMethod of ['channelwise', 'mean', 'max', 'median'] as const) {
      const expected = toSamples(last, [2, 3, 4, 5], { ...view, convMethod });
      expect(toSamples(first, [2, 5, 3, 4], { ...view, convMethod, channelsFirst: true })).toEqual(expected);
    }
  });

  it('leaves masked steps out: tokens drop them, the last step is the last one that is not masked', () => {
    const values = Float32Array.from({ length: 2 * 3 * 1 }, (_, i) => i);
    const mask = [1, 1, 0, 1, 0, 0];
    const sequence = { ...view, kind: 'sequence' as const };
    expect([...toSamples(values, [2, 3, 1], { ...sequence, timeseriesMethod: 'tokens' }, mask).values]).toEqual([
      0, 1, 3,
    ]);
    expect([...toSamples(values, [2, 3, 1], sequence, mask).values]).toEqual([1, 3]);
    expect([...toSamples(values, [2, 3, 1], sequence, [1, 1, 1, 0, 0, 0]).values]).toEqual([2, 3]);
  });

  it('thins the samples at even distances from an offset, so that every sample has its turn', () => {
    const samples = { values: Float32Array.from({ length: 40 }, (_, i) => i), rows: 20, features: 2 };
    expect([...thin(samples, { rows: 4, offset: 0.5 }).values]).toEqual([4, 5, 14, 15, 24, 25, 34, 35]);
    expect([...thin(samples, { rows: 3, offset: 0.99 }).values]).toEqual([12, 13, 26, 27, 38, 39]);
    const seen = new Set([0, 0.2, 0.4, 0.6, 0.8].flatMap((offset) => [...thin(samples, { rows: 4, offset }).values]));
    expect(seen.size).toBe(40);
    expect(thin(samples, { rows: 20, offset: 0.9 })).toBe(samples);
    expect(thin(samples, undefined)).toBe(samples);
  });

  it('reads only the first items if asked to', () => {
    const values = Float32Array.from({ length: 12 }, (_, i) => i);
    expect([...toSamples(values, [4, 3], view, undefined, 2).values]).toEqual([0, 1, 2, 3, 4, 5]);
    expect(toSamples(values, [3, 2, 1, 2], view, undefined, 1).rows).toBe(2);
  });

  it('reads time steps in front of the spatial axes as more images', () => {
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

const counting = (length: number) => Float32Array.from({ length }, (_, k) => k);

describe('outputRows', () => {
  it('uses dense outputs and small maps as they are', () => {
    const values = counting(12);
    expect(outputRows(values, [3, 4], 1).values).toBe(values);
    expect(outputRows(values, [1, 2, 3, 2], 4).values).toBe(values);
  });

  it('picks the nearest places of a large map, as torch.nn.functional.interpolate does', () => {
    // torch 2.13: interpolate(arange(25).reshape(1, 1, 5, 5), size=3, mode='nearest') = rows 0, 1, 3 of columns 0, 1, 3.
    expect([...outputRows(counting(25), [1, 5, 5, 1], 3).values]).toEqual([0, 1, 3, 5, 6, 8, 15, 16, 18]);
  });

  it('shortens only the long side and invents no row (Delve row B28)', () => {
    const { values, rows } = outputRows(counting(2 * 64 * 8 * 3), [2, 64, 8, 3], 32);
    expect(rows).toBe(2 * 32 * 8);
    expect(values.length / 3).toBe(2 * 32 * 8);
    expect([...values.subarray(0, 3)]).toEqual([0, 1, 2]);
    expect(new Set(values).size).toBe(values.length);
  });

  it('shortens maps of three dimensions, and every item of the batch', () => {
    expect([...outputRows(counting(16), [2, 2, 2, 2, 1], 1).values]).toEqual([0, 8]);
  });

  it('does not shorten sequences', () => {
    const values = counting(20);
    expect(outputRows(values, [1, 10, 2], 3).values).toBe(values);
  });

  it('leaves masked steps out', () => {
    expect([...outputRows(counting(8), [2, 2, 2], undefined, [1, 0, 0, 1]).values]).toEqual([0, 1, 6, 7]);
  });
});

describe('poolPlaces', () => {
  it('averages a map of 4 x 4 down to 2 x 2, channel by channel', () => {
    const values = Float32Array.from({ length: 32 }, (_, at) => (at % 2 === 0 ? at / 2 : 100));
    // Places 0..15 row by row: {0 1 4 5} {2 3 6 7} {8 9 12 13} {10 11 14 15}.
    expect([...poolPlaces(values, [1, 4, 4, 2], 4, false).values]).toEqual([2.5, 100, 4.5, 100, 10.5, 100, 12.5, 100]);
  });

  it('gives the same rows for channels first', () => {
    const first = Float32Array.from([0, 1, 2, 3, 100, 100, 100, 100]);
    expect(poolPlaces(first, [1, 2, 2, 2], 1, true)).toEqual({
      values: Float32Array.of(1.5, 100),
      rows: 1,
      features: 2,
    });
  });

  it('handles sides that do not divide evenly, sides that are already small, and vectors', () => {
    // Five places in two: 0 1 2 | 3 4.
    expect([...poolPlaces(Float32Array.of(1, 2, 3, 10, 20), [1, 5, 1], 2, false).values]).toEqual([2, 15]);
    expect([...poolPlaces(Float32Array.of(1, 2, 3), [1, 3, 1], 16, false).values]).toEqual([1, 2, 3]);
    expect(poolPlaces(Float32Array.of(1, 2, 3, 4), [2, 2], 16, false)).toEqual({
      values: Float32Array.of(1, 2, 3, 4),
      rows: 2,
      features: 2,
    });
  });
});

/** Runs one epoch of batches, of each of which every k-th row is used as the budget says. */
function epoch(budget: SampleBudget, samples: Float32Array | Float64Array, features: number, batch: number) {
  const rows = samples.length / features;
  const accumulator = new CovarianceAccumulator(features);
  budget.beginEpoch(rows);
  const used: number[] = [];
  for (let start = 0; start < rows; start += batch) {
    const size = Math.min(batch, rows - start);
    const wanted = budget.rowsToUse(size);
    used.push(wanted);
    for (let k = 0; k < wanted; k++) {
      const row = start + Math.floor((k * size) / wanted);
      accumulator.update(samples.subarray(row * features, (row + 1) * features));
    }
  }
  const spectrum = Spectrum.of(accumulator);
  budget.endEpoch();
  budget.adaptTo(spectrum);
  return { spectrum, used };
}

describe('SampleBudget', () => {
  it.each(numericCases())('stays within 0.01 of all rows of the fixture $name, in every epoch', ({ samples, d }) => {
    const whole = new CovarianceAccumulator(d);
    whole.update(samples);
    for (const threshold of [0.9, 0.99]) {
      const expected = Spectrum.of(whole).saturation(threshold);
      const budget = new SampleBudget(d, { threshold });
      for (let e = 0; e < 3; e++) {
        const { spectrum } = epoch(budget, samples, d, 64);
        expect(Math.abs(spectrum.saturation(threshold) - expected)).toBeLessThanOrEqual(0.01);
      }
    }
  });

  describe.each([
    ['1/i', (i: number) => 1 / i],
    ['i^-2', (i: number) => i ** -2],
    ['exp(-i/8)', (i: number) => Math.exp(-i / 8)],
  ])('spectrum %s, 40 000 rows of 100 features', (_, decay) => {
    const features = 100;
    const samples = Float32Array.from(
      gaussianRows(
        100_000,
        Float64Array.from({ length: features }, (_, i) => decay(i + 1)),
        1,
      ),
    );
    const whole = new CovarianceAccumulator(features);
    whole.update(samples);
    const expected = Spectrum.of(whole).saturation();

    it('stays within 0.01 of all rows over five epochs and uses fewer', () => {
      const budget = new SampleBudget(features);
      for (let e = 0; e < 5; e++) {
        const { spectrum, used } = epoch(budget, samples, features, 200);
        expect(Math.abs(spectrum.saturation() - expected)).toBeLessThanOrEqual(0.0100001);
        expect(used.reduce((a, b) => a + b)).toBeLessThan(30_000);
      }
    });

    it('spreads the rows over the whole epoch', () => {
      const { used } = epoch(new SampleBudget(features), samples, features, 200);
      const quarter = used.length / 4;
      const shares = [0, 1, 2, 3].map((q) => used.slice(q * quarter, (q + 1) * quarter).reduce((a, b) => a + b));
      expect(Math.max(...shares)).toBeLessThanOrEqual(1.3 * Math.min(...shares));
    });
  });

  it('uses a part of a batch that holds more rows than are needed', () => {
    const budget = new SampleBudget(128);
    budget.beginEpoch(50 * 65_536);
    const taken = Array.from({ length: 50 }, () => budget.rowsToUse(65_536));
    expect(Math.max(...taken)).toBe(512);
    expect(taken.filter((rows) => rows > 0).length).toBeGreaterThanOrEqual(16);
    expect(taken.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(64 * 128);
  });

  it('uses all rows of a short epoch, and of a first epoch of unknown length', () => {
    const short = new SampleBudget(64);
    short.beginEpoch(1000);
    expect(short.rowsToUse(1000)).toBe(1000);
    const unknown = new SampleBudget(100);
    unknown.beginEpoch();
    const first = Array.from({ length: 10 }, () => unknown.rowsToUse(10_000));
    expect(first).toEqual(new Array(10).fill(10_000));
    unknown.endEpoch();
    const second = Array.from({ length: 10 }, () => unknown.rowsToUse(10_000));
    expect(second.reduce((a, b) => a + b)).toBeLessThan(10_000);
  });

  it('learns from the epoch that ended after the next one has begun, even if its rows have neighbors that were not counted', () => {
    const budget = new SampleBudget(128);
    budget.beginEpoch();
    expect(budget.rowsToUse(100_000)).toBe(100_000);
    budget.endEpoch();
    const next = Array.from({ length: 20 }, () => budget.rowsToUse(1000));
    expect(next).toContain(0);
    const eigenvalues = Float64Array.from({ length: 128 }, (_, i) => Math.exp(-i / 8));
    const needed = Spectrum.fromEigenvalues(eigenvalues).rowsNeeded();
    budget.adaptTo(Spectrum.fromEigenvalues(eigenvalues, { samples: 6_400_000 }));
    expect(budget.target).toBe(Math.max(128, needed));
    expect(needed).toBeLessThan(20_000);
  });

  it('uses all rows if more than half of them would be needed', () => {
    const taken = (expected: number) => {
      const budget = new SampleBudget(100);
      budget.beginEpoch(expected);
      return Array.from({ length: 100 }, () => budget.rowsToUse(expected / 100)).reduce((a, b) => a + b);
    };
    expect(taken(12_000)).toBe(12_000);
    expect(taken(16_000)).toBeLessThan(10_000);
  });

  it('uses 65,536 rows of a layer so narrow that one direction is more than 0.01, whatever its spectrum', () => {
    const budget = new SampleBudget(64);
    // If some rows are left out, a sixteenth of the wanted ones is used at a time.
    for (const [rows, least, most] of [
      [100_000, 100_000, 100_000],
      [100_000, 100_000, 100_000],
      [1_000_000, 65_536, 65_536 + 4096],
    ]) {
      budget.beginEpoch(rows);
      const taken = Array.from({ length: 100 }, () => budget.rowsToUse(rows / 100)).reduce((a, b) => a + b);
      expect(taken).toBeGreaterThanOrEqual(least);
      expect(taken).toBeLessThanOrEqual(most);
      budget.endEpoch();
      budget.adaptTo(
        Spectrum.fromEigenvalues(
          Float64Array.from({ length: 64 }, (_, i) => 2 ** -i),
          { samples: rows },
        ),
      );
    }
  });
});
