import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SampleBudget } from '../../src/recording/sample-budget.js';
import {
  type ActivationView,
  effectiveRows,
  outputRows,
  pickRows,
  poolPlaces,
  sampleSize,
  samplesAt,
  toSamples,
} from '../../src/recording/samples.js';
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

  it('picks one row of each of equal parts, and every row in turn', () => {
    const times = new Array(1000).fill(0);
    for (let pass = 0; pass < 2000; pass++) {
      const rows = pickRows(1000, 30, pass * 30);
      expect(new Set(rows).size).toBe(30);
      for (const row of rows) times[row]++;
      const sorted = [...rows].sort((a, b) => a - b);
      const gaps = sorted.map((row, i) => (i === 0 ? row + 1000 - sorted[29] : row - sorted[i - 1]));
      expect(Math.max(...gaps)).toBeLessThan(2 * 34);
    }
    // 60 times each; drawn at random, one row in a thousand would be picked more than 84 times or less than 36.
    expect(Math.max(...times)).toBeLessThan(80);
    expect(Math.min(...times)).toBeGreaterThan(40);
  });

  it.each([2, 3, 5, 8, 10, 13, 21, 25, 34, 40, 50, 55, 89, 100])(
    'picks every phase of a series with a period of %i rows equally often',
    (period) => {
      for (const wanted of [1, 4, 16, 20, 50]) {
        const times = new Array(period).fill(0);
        let picked = 0;
        for (let pass = 0; picked < 100 * period; pass++) {
          for (const row of pickRows(800, wanted, picked)) times[(pass * 800 + row) % period]++;
          picked += wanted;
        }
        expect(Math.max(...times)).toBeLessThan(130);
        expect(Math.min(...times)).toBeGreaterThan(70);
      }
    },
  );

  it('takes the samples with given numbers', () => {
    const values = Float32Array.from({ length: 40 }, (_, i) => i);
    expect([...samplesAt(Int32Array.of(2, 7, 5), values, [20, 2], view).values]).toEqual([4, 5, 14, 15, 10, 11]);
    expect(samplesAt(undefined, values, [20, 2], view)).toEqual({ values, rows: 20, features: 2 });
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

/** Rows that belong to an item each. */
function batchOf(rows: number) {
  return { rows, items: rows };
}

/** Runs one epoch of batches, of each of which every k-th row is used as the budget says. */
function epoch(budget: SampleBudget, samples: Float32Array | Float64Array, features: number, batch: number) {
  const rows = samples.length / features;
  const accumulator = new CovarianceAccumulator(features);
  budget.expect({ rows, items: rows });
  const used: number[] = [];
  for (let start = 0; start < rows; start += batch) {
    const size = Math.min(batch, rows - start);
    const wanted = budget.rowsToUse(batchOf(size));
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
    budget.expect(batchOf(50 * 65_536));
    const taken = Array.from({ length: 50 }, () => budget.rowsToUse(batchOf(65_536)));
    for (const rows of taken) expect(Math.abs(rows - (64 * 128) / 50)).toBeLessThan(1);
    expect(Math.abs(taken.reduce((a, b) => a + b) - 64 * 128)).toBeLessThan(3);
  });

  it('uses all rows of a short epoch, and of a first epoch of unknown length', () => {
    const short = new SampleBudget(64);
    short.expect(batchOf(1000));
    expect(short.rowsToUse(batchOf(1000))).toBe(1000);
    const unknown = new SampleBudget(100);
    const first = Array.from({ length: 10 }, () => unknown.rowsToUse(batchOf(10_000)));
    expect(first).toEqual(new Array(10).fill(10_000));
    unknown.endEpoch();
    const second = Array.from({ length: 10 }, () => unknown.rowsToUse(batchOf(10_000)));
    expect(second.reduce((a, b) => a + b)).toBeLessThan(10_000);
  });

  it('leaves no batch out, and takes of each in proportion to its rows', () => {
    const budget = new SampleBudget(100);
    budget.expect(batchOf(100_000));
    const sizes = Array.from({ length: 300 }, (_, i) => 20 + ((i * 37) % 600));
    const total = sizes.reduce((a, b) => a + b);
    const taken = sizes.map((size) => budget.rowsToUse(batchOf(size)));
    const rate = 6400 / 100_000;
    expect(Math.abs(taken.reduce((a, b) => a + b) - rate * total)).toBeLessThan(10);
    for (const [i, size] of sizes.entries()) expect(Math.abs(taken[i] - rate * size)).toBeLessThanOrEqual(1);
    expect(Math.min(...taken)).toBeGreaterThan(0);
  });

  it('takes a row of every batch of a long epoch, and of a small batch at its end', () => {
    const budget = new SampleBudget(100);
    budget.expect(batchOf(10_000_000));
    const taken = Array.from({ length: 20_000 }, () => budget.rowsToUse(batchOf(500)));
    expect([...new Set(taken)]).toEqual([1]);
    expect(budget.rowsToUse(batchOf(2))).toBe(1);
  });

  it('does not make much of small batches if they are many', () => {
    const budget = new SampleBudget(100);
    budget.expect(batchOf(1_002_000));
    let [large, small] = [0, 0];
    for (let pair = 0; pair < 1000; pair++) {
      large += budget.rowsToUse(batchOf(1000));
      small += budget.rowsToUse(batchOf(2));
    }
    // Their share is 2 in 1002, or 13 of 6,400.
    expect(large + small).toBeGreaterThanOrEqual(6350);
    expect(small).toBeGreaterThan(0);
    expect(small).toBeLessThan(120);
  });

  it('expects an epoch like the shorter of the last two, and starts anew when it is told of another length', () => {
    const budget = new SampleBudget(100);
    const taken = (rows: number) => Array.from({ length: 10 }, () => budget.rowsToUse(batchOf(rows / 10)))[9] * 10;
    const ends = (rows: number) => {
      const used = taken(rows);
      budget.endEpoch();
      return used;
    };
    expect(ends(20_000)).toBe(20_000);
    expect(ends(100_000)).toBe(32_000);
    expect(ends(100_000)).toBe(32_000);
    expect(ends(100_000)).toBe(6400);
    expect(ends(20_000)).toBe(1280);
    budget.expect(batchOf(20_000));
    expect(ends(20_000)).toBe(6400);
    budget.expect(undefined);
    expect(ends(20_000)).toBe(20_000);
  });

  it('counts neighbors in an item as alike: two rows of a map count as one, and few items give as many rows each', () => {
    const used = (items: number, places: number) => {
      const budget = new SampleBudget(100);
      budget.expect({ rows: items * places, items });
      return Array.from({ length: 50 }, () =>
        budget.rowsToUse({ rows: (items * places) / 50, items: items / 50 }),
      ).reduce((a, b) => a + b);
    };
    expect(used(1_000_000, 1)).toBe(6400);
    expect(used(100_000, 16)).toBe(6400);
    expect(used(100_000, 24)).toBeCloseTo(9600, -1);
    expect(used(100_000, 1024)).toBe(12_800);
    expect(used(50, 4000)).toBe(12_800);
  });

  it('learns from the epoch that ended, but changes nothing in one that has begun', () => {
    const budget = new SampleBudget(128);
    expect(budget.rowsToUse(batchOf(100_000))).toBe(100_000);
    budget.endEpoch();
    const next = Array.from({ length: 20 }, () => budget.rowsToUse(batchOf(1000)));
    for (const rows of next) expect(Math.abs(rows - 82)).toBeLessThanOrEqual(1);
    const eigenvalues = Float64Array.from({ length: 128 }, (_, i) => Math.exp(-i / 8));
    budget.adaptTo(Spectrum.fromEigenvalues(eigenvalues, { samples: 6_400_000 }));
    expect(Spectrum.fromEigenvalues(eigenvalues).rowsNeeded()).toBeLessThan(32 * 128);
    expect(budget.target).toBe(32 * 128);
    expect(Math.abs(budget.rowsToUse(batchOf(1000)) - 82)).toBeLessThanOrEqual(1);
    budget.endEpoch();
    const rate = (32 * 128) / 21_000;
    expect(Math.abs(budget.rowsToUse(batchOf(1000)) - 1000 * rate)).toBeLessThanOrEqual(1);
  });

  it('asks for more rows if the spectrum needs more', () => {
    const budget = new SampleBudget(512);
    const flat = Spectrum.fromEigenvalues(
      Float64Array.from({ length: 512 }, (_, i) => 1 / (i + 1)),
      { samples: 1_000_000 },
    );
    budget.adaptTo(flat);
    expect(budget.target).toBe(flat.rowsNeeded({ samples: Number.POSITIVE_INFINITY }));
    expect(budget.target).toBeGreaterThan(32 * 512);
  });

  it.each([
    ['ten spikes on a floor', (i: number) => (i < 10 ? 20 - i : 0.1)],
    ['an eighth above a floor', (i: number) => (i < 16 ? 10 : 0.02)],
    ['flat', () => 1],
    ['two levels', (i: number) => (i < 40 ? 5 : 0.3)],
  ])('stays within 0.01 on a floor of equal eigenvalues: %s', (_, variance) => {
    const features = 128;
    const variances = Float64Array.from({ length: features }, (__, i) => variance(i));
    const sampled = (rows: number, seed: number) => {
      const accumulator = new CovarianceAccumulator(features);
      for (let done = 0, part = 0; done < rows; done += 4096, part++) {
        accumulator.update(gaussianRows(Math.min(4096, rows - done), variances, 1000 * seed + part));
      }
      return Spectrum.of(accumulator);
    };
    const truth = Spectrum.fromEigenvalues(variances).saturation();
    const budget = new SampleBudget(features);
    budget.adaptTo(sampled(budget.target, 1));
    expect(budget.target).toBeLessThanOrEqual(1500 * features);
    expect(Math.abs(sampled(budget.target, 2).saturation() - truth)).toBeLessThanOrEqual(0.0101);
  });

  it('uses all rows if more than half of them would be needed', () => {
    const taken = (expected: number) => {
      const budget = new SampleBudget(100);
      budget.expect(batchOf(expected));
      return Array.from({ length: 100 }, () => budget.rowsToUse(batchOf(expected / 100))).reduce((a, b) => a + b);
    };
    expect(taken(12_000)).toBe(12_000);
    expect(taken(16_000)).toBe(6400);
  });

  it('uses 65,536 rows of a layer so narrow that one direction is more than 0.01, whatever its spectrum', () => {
    const budget = new SampleBudget(64);
    for (const [rows, used] of [
      [100_000, 100_000],
      [100_000, 100_000],
      [1_000_000, 65_536],
    ]) {
      budget.expect(batchOf(rows));
      const taken = Array.from({ length: 100 }, () => budget.rowsToUse(batchOf(rows / 100))).reduce((a, b) => a + b);
      expect(Math.abs(taken - used)).toBeLessThan(3);
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

describe('effectiveRows: of the places of one image, or the steps of one sequence, 16 count at most', () => {
  const sequence: Partial<ActivationView> = { kind: 'sequence', timeseriesMethod: 'tokens' };
  const effective = (
    shape: number[],
    changes: Partial<ActivationView>,
    { mask, items = shape[0], picked }: { mask?: number[]; items?: number; picked?: number[] } = {},
  ) => {
    const changed = { ...view, ...changes };
    const size = sampleSize(shape, changed, mask, items);
    return effectiveRows(shape, changed, mask, items, size, picked && Int32Array.from(picked));
  };

  it.each<[string, number, number[], Partial<ActivationView>]>([
    ['rows of a dense layer', 10, [10, 4], {}],
    ['places of large maps', 3 * 16, [3, 14, 14, 8], {}],
    ['places of small maps', 3 * 9, [3, 3, 3, 8], {}],
    ['one place per map', 3, [3, 1, 1, 8], {}],
    ['channels first', 3 * 16, [3, 8, 14, 14], { channelsFirst: true }],
    ['maps reduced to their mean', 3, [3, 14, 14, 8], { convMethod: 'mean' }],
    ['maps reduced to their maximum', 3, [3, 14, 14, 8], { convMethod: 'max' }],
    ['maps reduced to their median', 3, [3, 14, 14, 8], { convMethod: 'median' }],
    ['whole maps', 3, [3, 14, 14, 8], { convMethod: 'flatten' }],
    ['maps made smaller', 3 * 4, [3, 14, 14, 8], { downsample: { size: 2 } }],
    ['maps made smaller, but not enough', 3 * 16, [3, 14, 14, 8], { downsample: { size: 7 } }],
    ['lines', 3 * 16, [3, 40, 8], { spatialRank: 1 }],
    ['volumes', 2 * 16, [2, 4, 4, 4, 8], { spatialRank: 3 }],
    ['frames of a film, which are alike as well', 2 * 16, [2, 5, 6, 6, 8], {}],
    ['frames of a film, one row each', 2 * 5, [2, 5, 6, 6, 8], { convMethod: 'mean' }],
    ['tokens', 4 * 16, [4, 50, 8], sequence],
    ['tokens of short sequences', 4 * 6, [4, 6, 8], sequence],
    ['last steps', 4, [4, 50, 8], { ...sequence, timeseriesMethod: 'lastTimestep' }],
    ['whole sequences', 4, [4, 50, 8], { ...sequence, timeseriesMethod: 'timestepwise' }],
  ])('%s: %s', (_, expected, shape, changes) => {
    expect(effective(shape, changes)).toBe(expected);
  });

  it('counts each sequence by the steps that its mask leaves', () => {
    const lengths = [30, 17, 16, 5, 1, 0];
    const mask = lengths.flatMap((length) => Array.from({ length: 30 }, (_, step) => (step < length ? 1 : 0)));
    expect(effective([6, 30, 8], sequence, { mask })).toBe(16 + 16 + 16 + 5 + 1);
    expect(effective([6, 30, 8], sequence, { mask, items: 1 })).toBe(16);
    const lastStep: Partial<ActivationView> = { ...sequence, timeseriesMethod: 'lastTimestep' };
    expect(effective([6, 30, 8], lastStep, { mask })).toBe(6);
    // Rows 0 to 29 are of the first sequence, 30 to 46 of the second, 63 to 67 of the fourth.
    const picked = [...Array.from({ length: 20 }, (_, row) => row), 30, 46, 63, 67, 68];
    expect(effective([6, 30, 8], sequence, { mask, picked })).toBe(16 + 2 + 2 + 1);
    const one = lengths.flatMap((_, item) => Array.from({ length: 30 }, () => (item === 3 ? 1 : 0)));
    expect(effective([6, 30, 8], sequence, { mask: one })).toBe(16);
  });

  it('counts the items and rows that are used only', () => {
    expect(effective([10, 14, 14, 8], {}, { items: 3 })).toBe(48);
    expect(effective([10, 4], {}, { items: 3 })).toBe(3);
    expect(effective([10, 4], {}, { picked: [0, 3, 9] })).toBe(3);
    expect(effective([2, 14, 14, 8], {}, { picked: [0, 1, 195, 196] })).toBe(4);
    expect(effective([2, 14, 14, 8], {}, { picked: Array.from({ length: 197 }, (_, row) => row) })).toBe(17);
  });
});
