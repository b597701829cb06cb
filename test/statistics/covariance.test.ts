import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kernelsName, useKernels } from '../../src/kernels/kernels.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Reservoir } from '../../src/statistics/reservoir.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { numbers, numericCases } from '../support/numeric-fixtures.js';
import { distance, gaussianRows, relativeDistance, twoPassCovariance } from '../support/random.js';

function accumulate(features: number, ...batches: ArrayLike<number>[]): CovarianceAccumulator {
  const accumulator = new CovarianceAccumulator(features);
  for (const batch of batches) accumulator.update(batch);
  return accumulator;
}

describe('CovarianceAccumulator', () => {
  describe.each(numericCases())("numpy's numbers: $name", (reference) => {
    const { samples, d, batch_rows: batches, files } = reference;
    const accumulator = new CovarianceAccumulator(d);
    let start = 0;
    for (const rows of batches) {
      accumulator.update(samples.subarray(start * d, (start + rows) * d));
      start += rows;
    }

    it('count, mean and covariance', () => {
      expect(accumulator.count).toBe(reference.n);
      // Delve has the flattened features in another order, and the fixtures hold no covariance of them.
      const ordered = (mean: Float32Array | Float64Array) => (files.cov_twopass ? mean : mean.sort());
      const scale = 1e-10 * (1 + Math.sqrt(reference.trace_twopass));
      expect(distance(ordered(accumulator.mean()), ordered(numbers(files.mean)))).toBeLessThan(scale);
      const covariance = accumulator.covariance();
      if (files.cov_twopass) {
        expect(relativeDistance(covariance, numbers(files.cov_twopass))).toBeLessThan(1e-10);
      }
      expect(accumulator.trace()).toBeCloseTo(reference.trace_twopass, 9);
    });

    it('eigenvalues, through the covariance and through whatever the accumulator chooses', () => {
      const expected = numbers(files.eig_svd);
      const tolerance = 1e-10 * expected[0];
      expect(distance(Spectrum.of(accumulator).eigenvalues, expected)).toBeLessThanOrEqual(tolerance);
      expect(distance(Spectrum.of(accumulator.covariance()).eigenvalues, expected)).toBeLessThanOrEqual(tolerance);
    });
  });

  it('gives what the whole gives when shards are merged, in any order and of any size', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer(),
        fc.double({ min: -1e5, max: 1e5, noNaN: true }),
        (sizes, features, seed, mean) => {
          const rows = sizes.reduce((a, b) => a + b, 0);
          if (rows === 0) return;
          const samples = gaussianRows(rows, new Float64Array(features).fill(1), seed, mean);
          const merged = new CovarianceAccumulator(features);
          let start = 0;
          for (const size of sizes) {
            merged.merge(accumulate(features, samples.subarray(start * features, (start + size) * features)));
            start += size;
          }
          expect(merged.count).toBe(rows);
          const expected = twoPassCovariance(samples, features);
          expect(relativeDistance(merged.covariance(), expected)).toBeLessThan(1e-9);
          expect(relativeDistance(accumulate(features, samples).covariance(), expected)).toBeLessThan(1e-9);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('leaves the other accumulator as it was when merging, and merges with itself', () => {
    const samples = gaussianRows(900, [1, 4, 9], 1);
    const accumulator = accumulate(3, samples);
    const before = accumulator.toBytes();
    accumulate(3, samples.subarray(0, 30)).merge(accumulator);
    expect(accumulator.toBytes()).toEqual(before);
    accumulator.merge(accumulator);
    expect(accumulator.count).toBe(1800);
    expect(relativeDistance(accumulator.covariance(), twoPassCovariance(samples, 3))).toBeLessThan(1e-12);
    // Also with rows that have been folded and others that still wait.
    const halves = accumulate(3, samples.subarray(0, samples.length - 15));
    halves.mean();
    halves.update(samples.subarray(samples.length - 15));
    halves.merge(halves);
    expect(halves.count).toBe(1800);
    expect(relativeDistance(halves.covariance(), twoPassCovariance(samples, 3))).toBeLessThan(1e-12);
  });

  it('is exact whatever the mean: 1e5 standard deviations away', () => {
    const samples = gaussianRows(3000, [1, 0.25, 0.01, 1e-4], 2, 1e3);
    const shifted = Float64Array.from(samples, (x) => x + 1e5);
    const far = accumulate(4, shifted).covariance();
    expect(relativeDistance(far, twoPassCovariance(shifted, 4))).toBeLessThan(1e-10);
  });

  it('is exact when the mean drifts by 1e5 standard deviations on the way', () => {
    const features = 6;
    const samples = gaussianRows(20_000, new Float64Array(features).fill(1), 3);
    for (let i = 0; i < samples.length; i++) samples[i] += i % features === 0 ? i / 1.2 : 0;
    const batches = Array.from({ length: 200 }, (_, b) =>
      samples.subarray(b * 100 * features, (b + 1) * 100 * features),
    );
    const drifting = accumulate(features, ...batches).covariance();
    const expected = twoPassCovariance(samples, features);
    for (let i = 0; i < features; i++) {
      for (let j = 0; j < features; j++) {
        const scale = Math.sqrt(expected[i * features + i] * expected[j * features + j]);
        const error = Math.abs(drifting[i * features + j] - expected[i * features + j]);
        expect(error / scale).toBeLessThan(1e-10);
      }
    }
  });

  it('is exact when the first rows lie far from all others', () => {
    const samples = gaussianRows(50_000, [1, 1], 4);
    samples[0] = 1e5;
    samples[1] = -1e5;
    expect(relativeDistance(accumulate(2, samples).covariance(), twoPassCovariance(samples, 2))).toBeLessThan(1e-10);
  });

  it('gives the same however the samples are cut into batches', () => {
    const samples = Float32Array.from(gaussianRows(2000, new Float64Array(7).fill(2), 5, 50));
    const whole = accumulate(7, samples).covariance();
    for (const size of [1, 3, 64, 255, 256, 257, 1999]) {
      const parts = new CovarianceAccumulator(7);
      for (let r = 0; r < 2000; r += size) parts.update(samples.subarray(r * 7, Math.min(2000, r + size) * 7));
      expect(parts.count).toBe(2000);
      expect(relativeDistance(parts.covariance(), whole)).toBeLessThan(1e-12);
    }
  });

  it('accepts float32, float64 and plain numbers, also mixed', () => {
    const samples = Float32Array.from(gaussianRows(90, [1, 2, 3], 6));
    const third = (k: number) => samples.subarray(k * 90, (k + 1) * 90);
    const mixed = accumulate(3, third(0), Float64Array.from(third(1)), Array.from(third(2)));
    expect(relativeDistance(mixed.covariance(), twoPassCovariance(samples, 3))).toBeLessThan(1e-12);
    const precise = accumulate(1, Float32Array.of(1), [1 + 1e-12], [1 - 1e-12]);
    expect(precise.covariance()[0]).toBeGreaterThan(0); // float64 rows are not rounded to float32 beside older ones
  });

  it('uses the first rows of a longer array if given their number', () => {
    const accumulator = new CovarianceAccumulator(2);
    accumulator.update(Float32Array.of(1, 2, 3, 4, 99, 99), 2);
    expect(accumulator.count).toBe(2);
    expect(accumulator.mean()).toEqual(Float64Array.of(2, 3));
  });

  it('copies: the array may be reused at once', () => {
    const batch = Float32Array.of(1, 2, 3, 5);
    const accumulator = accumulate(2, batch);
    batch.fill(1000);
    expect(accumulator.mean()).toEqual(Float64Array.of(2, 3.5));
  });

  describe('features that never vary', () => {
    const constants = [0.1, 1 / 3, 1e5 + 0.3, 123456.789, -7.7e-12, 0];
    const varying = gaussianRows(5000, [1], 7);
    const samples = Float64Array.from({ length: 5000 * 7 }, (_, i) =>
      i % 7 === 6 ? varying[Math.floor(i / 7)] : constants[i % 7],
    );
    const isExact = (accumulator: CovarianceAccumulator) => {
      const covariance = accumulator.covariance();
      for (let i = 0; i < 7; i++) {
        for (let j = 0; j < 7; j++) if (i < 6 || j < 6) expect(covariance[i * 7 + j]).toBe(0);
      }
      expect(covariance[48]).toBeGreaterThan(0.9);
      expect(Spectrum.of(accumulator).intrinsicDimensionality(0.9999)).toBe(1);
    };

    it.each([
      ['float64', samples],
      ['float32', Float32Array.from(samples)],
    ])('have exactly zero variance (%s), whatever the batches', (_, rows) => {
      for (const size of [1, 100, 5000]) {
        const accumulator = new CovarianceAccumulator(7);
        for (let r = 0; r < 5000; r += size) accumulator.update(rows.subarray(r * 7, (r + size) * 7));
        isExact(accumulator);
      }
    });

    it('also after merging and through bytes', () => {
      const half = accumulate(7, samples.subarray(0, 2000 * 7));
      const restored = CovarianceAccumulator.fromBytes(half.toBytes());
      restored.merge(accumulate(7, samples.subarray(2000 * 7)));
      isExact(restored);
    });

    it('give a dead or constant layer a saturation of exactly 0', () => {
      const layer = accumulate(
        6,
        Float32Array.from({ length: 600 }, (_, i) => Math.fround(constants[i % 6])),
      );
      const spectrum = Spectrum.of(layer);
      expect(spectrum.trace).toBe(0);
      expect(spectrum.saturation()).toBe(0);
      expect(spectrum.saturation(0.99, 'delve')).toBe(0);
    });
  });

  it('has no spectrum if the variance is only what rounding leaves of the mean', () => {
    const accumulator = new CovarianceAccumulator(2);
    accumulator.updateCentered(100, [1e6, 1e6], [1e-20, 0, 0, 1e-20]);
    expect(Spectrum.of(accumulator).saturation()).toBe(0);
  });

  describe('rows that are not finite', () => {
    it.each([50, 5000])('are left out and counted, wherever they stand among %i', (rows) => {
      const clean = gaussianRows(rows, [1, 2, 3, 4], 8);
      const dirty: number[] = [];
      let bad = 0;
      for (let r = 0; r < rows; r++) {
        if (r % 7 === 0) {
          dirty.push(1, [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY][bad % 3], 2, 3);
          bad++;
        }
        dirty.push(...clean.subarray(r * 4, r * 4 + 4));
      }
      for (const batch of [Float64Array.from(dirty), Float32Array.from(dirty)]) {
        const accumulator = accumulate(4, batch);
        expect(accumulator.count).toBe(rows);
        expect(accumulator.rejected).toBe(bad);
        const expected = twoPassCovariance(batch instanceof Float32Array ? Float32Array.from(clean) : clean, 4);
        expect(relativeDistance(accumulator.covariance(), expected)).toBeLessThan(1e-12);
      }
    });

    it('leave nothing if there are no others', () => {
      const accumulator = accumulate(2, [Number.NaN, 1, 2, Number.POSITIVE_INFINITY]);
      accumulator.update(new Float32Array(2000).fill(Number.NaN));
      expect([accumulator.count, accumulator.rejected]).toEqual([0, 1002]);
      expect(accumulator.covariance()).toEqual(new Float64Array(4).fill(Number.NaN));
      expect(accumulator.mean()).toEqual(new Float64Array(2).fill(Number.NaN));
      expect(() => Spectrum.of(accumulator)).toThrow(RangeError);
    });

    it('are counted through merge and bytes', () => {
      const accumulator = accumulate(1, [1, Number.NaN, 2]);
      accumulator.merge(accumulate(1, [Number.NaN, Number.NaN, 5]));
      expect(CovarianceAccumulator.fromBytes(accumulator.toBytes()).rejected).toBe(3);
      expect(accumulator.count).toBe(3);
    });
  });

  describe('toBytes and fromBytes', () => {
    it('keep whose kernels have summed', () => {
      const before = kernelsName();
      const [one, other] = (['typescript', 'wasm'] as const).map((name) => {
        useKernels(name);
        const accumulator = accumulate(2, gaussianRows(500, [1, 2], 3));
        accumulator.mean(); // until it is asked for something, rows may wait
        expect(accumulator.kernels).toBe(name);
        return accumulator;
      });
      useKernels(before);
      expect(CovarianceAccumulator.fromBytes(other.toBytes()).kernels).toBe('wasm');
      one.merge(other);
      expect(CovarianceAccumulator.fromBytes(one.toBytes()).kernels).toBe('several');
      expect(new CovarianceAccumulator(2).kernels).toBeUndefined();
    });

    it.each([0, 1, 10, 300, 5000])('continue after %i rows as if nothing had happened', (rows) => {
      const samples = Float32Array.from(gaussianRows(rows + 700, [1, 2, 3, 4, 5], 9, 10));
      const straight = accumulate(5, samples.subarray(0, rows * 5));
      const resumed = CovarianceAccumulator.fromBytes(straight.toBytes());
      for (const accumulator of [straight, resumed]) accumulator.update(samples.subarray(rows * 5));
      expect(resumed.covariance()).toEqual(straight.covariance());
      expect(resumed.mean()).toEqual(straight.mean());
    });

    it('refuse bytes that are cut or something else', () => {
      const bytes = accumulate(3, gaussianRows(500, [1, 1, 1], 10)).toBytes();
      for (const wrong of [bytes.subarray(0, 20), bytes.subarray(0, -1), new Uint8Array(100), new Uint8Array(0)]) {
        expect(() => CovarianceAccumulator.fromBytes(wrong)).toThrow(RangeError);
      }
      expect(CovarianceAccumulator.fromBytes(Uint8Array.of(7, ...bytes).subarray(1)).count).toBe(500);
    });

    it.each([10, 500])('refuse each flipped bit among %i rows, and damage of several bytes', (count) => {
      const bytes = accumulate(3, gaussianRows(count, [1, 1, 1], 10)).toBytes();
      const read = (wrong: Uint8Array) => () => CovarianceAccumulator.fromBytes(wrong);
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        // From version 02 to 01 or to another letter: too few or too many bytes, so that it is refused, too.
        const wrong = bytes.slice();
        wrong[bit >> 3] ^= 1 << (bit & 7);
        expect(read(wrong), `bit ${bit}`).toThrow(RangeError);
      }
      // Two signs turned around: both numbers are still possible ones.
      const signs = bytes.slice();
      signs[48 + 7] ^= 0x80;
      signs[48 + 15] ^= 0x80;
      expect(read(signs)).toThrow(/fromBytes: expected undamaged bytes, whose checksum is \d+, got bytes with \d+/);
      const swapped = bytes.slice();
      swapped.set(bytes.subarray(48, 56), 56);
      swapped.set(bytes.subarray(56, 64), 48);
      expect(read(swapped)).toThrow(RangeError);
    });

    it('read version 01, which has no checksum, and refuse later versions by name', () => {
      const accumulator = accumulate(3, gaussianRows(500, [1, 1, 1], 10));
      const old = asVersion01(accumulator.toBytes());
      expect(CovarianceAccumulator.fromBytes(old).covariance()).toEqual(accumulator.covariance());
      const later = accumulator.toBytes();
      later[7] = '3'.charCodeAt(0);
      expect(() => CovarianceAccumulator.fromBytes(later)).toThrow(
        'fromBytes: expected version 01 or 02 of the format "dtbcov", got version 03',
      );
    });
  });

  describe('knows how precise its rows are', () => {
    const rows = gaussianRows(400, [1, 1], 12);

    it('as precise as the coarsest of them, also after merge, fromBytes and a change of thread', () => {
      const precise = accumulate(2, rows);
      const rounded = accumulate(2, Float32Array.from(rows));
      const products = new CovarianceAccumulator(2, { float32Products: true });
      products.update(Float32Array.from(rows.subarray(0, 100)));
      expect(products.precision).toBe('float32 rows');
      products.update(Float32Array.from(rows));
      products.covariance();
      const elsewhere = new CovarianceAccumulator(2);
      elsewhere.updateCentered(2, [0, 0], [1, 0, 0, 1], 0, 'float32 products');
      const accumulators = [new CovarianceAccumulator(2), precise, rounded, products, elsewhere];
      const expected = ['float64', 'float64', 'float32 rows', 'float32 products', 'float32 products'];
      expect(accumulators.map(({ precision }) => precision)).toEqual(expected);
      const restored = accumulators.map((accumulator) => CovarianceAccumulator.fromBytes(accumulator.toBytes()));
      expect(restored.map(({ precision }) => precision)).toEqual(expected);
      const copies = accumulators.map((accumulator) => CovarianceAccumulator.fromState(accumulator.copyState()));
      expect(copies.map(({ precision }) => precision)).toEqual(expected);
      precise.merge(rounded);
      expect(precise.precision).toBe('float32 rows');
      rounded.reset();
      expect(rounded.precision).toBe('float64');
    });

    it('reads what was saved before it knew, and takes float32 rows among that for what they are', () => {
      const bytes = asVersion01(accumulate(2, Float32Array.from(rows.subarray(0, 20))).toBytes());
      bytes[37] = 0; // where the precision stands now
      expect(CovarianceAccumulator.fromBytes(bytes).precision).toBe('float32 rows');
      bytes[37] = 7;
      expect(() => CovarianceAccumulator.fromBytes(bytes)).toThrow(RangeError);
    });
  });

  describe('updateCentered', () => {
    const samples = gaussianRows(1000, [1, 4, 9], 11, 30);
    const moments = (rows: Float64Array) => {
      const count = rows.length / 3;
      const mean = accumulate(3, rows).mean();
      return { count, mean, scatter: twoPassCovariance(rows, 3).map((x) => x * count) };
    };

    it('adds moments computed elsewhere, full or packed', () => {
      const first = moments(samples.subarray(0, 900));
      const second = moments(samples.subarray(900));
      const full = new CovarianceAccumulator(3);
      full.updateCentered(first.count, first.mean, first.scatter);
      full.updateCentered(second.count, second.mean, second.scatter);
      const s = second.scatter;
      const packed = accumulate(3, samples.subarray(0, 900));
      packed.updateCentered(second.count, second.mean, [s[0], s[3], s[4], s[6], s[7], s[8]], 2);
      const expected = twoPassCovariance(samples, 3);
      expect(relativeDistance(full.covariance(), expected)).toBeLessThan(1e-12);
      expect(relativeDistance(packed.covariance(), expected)).toBeLessThan(1e-12);
      expect([full.count, packed.count, packed.rejected]).toEqual([1000, 1000, 2]);
    });

    it('refuses what does not fit', () => {
      const accumulator = new CovarianceAccumulator(3);
      expect(() => accumulator.updateCentered(2, [1, 2], new Float64Array(9))).toThrow(/mean of 3 features, got 2/);
      expect(() => accumulator.updateCentered(2, [1, 2, 3], new Float64Array(8))).toThrow(
        /3 x 3 numbers.*\(6\), got 8/,
      );
      expect(() => accumulator.updateCentered(-1, [1, 2, 3], new Float64Array(9))).toThrow(RangeError);
      expect(() => accumulator.updateCentered(1, [1, Number.NaN, 3], new Float64Array(9), 7)).toThrow(RangeError);
      expect([accumulator.count, accumulator.rejected]).toEqual([0, 0]);
    });
  });

  it('refuses bad features and rows that do not fit', () => {
    for (const features of [0, -1, 1.5, Number.NaN, '3' as unknown as number]) {
      expect(() => new CovarianceAccumulator(features)).toThrow(RangeError);
    }
    const accumulator = new CovarianceAccumulator(3);
    expect(() => accumulator.update([1, 2, 3, 4])).toThrow(/update: expected rows of 3 features, got 4 numbers/);
    expect(() => accumulator.update([1, 2, 3], 2)).toThrow(/2 rows of 3 features, got 3/);
    expect(() => accumulator.merge(new CovarianceAccumulator(4))).toThrow(
      /merge: expected an accumulator of 3 features, got one of 4/,
    );
    accumulator.update([]);
    expect(accumulator.count).toBe(0);
  });

  it('forgets everything on reset', () => {
    const accumulator = accumulate(2, gaussianRows(700, [1, 1], 12), [Number.NaN, 1]);
    accumulator.reset();
    expect([accumulator.count, accumulator.rejected]).toEqual([0, 0]);
    accumulator.update([1, 2, 3, 6]);
    expect(accumulator.covariance()).toEqual(Float64Array.of(1, 2, 2, 4));
  });

  it('keeps no square matrix: 1024 features take the triangle and a few rows', () => {
    const accumulator = new CovarianceAccumulator(1024);
    const batch = new Float32Array(128 * 1024).map((_, i) => Math.sin(i));
    for (let i = 0; i < 12; i++) accumulator.update(batch);
    const { moments, rows } = accumulator.takeState();
    const triangle = (1024 * 1025) / 2;
    expect(moments?.scatter.length).toBe(triangle);
    expect(rows?.buffer.byteLength ?? 0).toBeLessThanOrEqual(256 * 1024 * 4);
  });

  it('keeps the rows while they are few, and solves their Gram matrix instead', () => {
    const accumulator = accumulate(64, numbers('n_lt_d/x.npy'));
    expect(accumulator.spectralMatrix().size).toBe(24);
    expect(Spectrum.of(accumulator).features).toBe(64);
    accumulator.covariance();
    expect(accumulator.spectralMatrix().size).toBe(64);
  });
});

describe('rows that wait in a CovarianceAccumulator', () => {
  it('stay float32 until one batch is float64, and lose nothing then', () => {
    const accumulator = new CovarianceAccumulator(2);
    expect(accumulator.copyState().rows).toBeUndefined();
    accumulator.update(Float32Array.of(0.1, 2));
    expect(accumulator.copyState().rows).toEqual(Float32Array.of(0.1, 2));
    accumulator.update(Float64Array.of(0.1, 3));
    expect(accumulator.copyState().rows).toEqual(Float64Array.of(Math.fround(0.1), 2, 0.1, 3));
    accumulator.update(Float32Array.of(0.5, 4));
    expect(accumulator.copyState().rows).toEqual(Float64Array.of(Math.fround(0.1), 2, 0.1, 3, 0.5, 4));
  });

  it('are taken out if they are not finite, once, and the others keep their order', () => {
    const accumulator = new CovarianceAccumulator(2);
    accumulator.update(Float32Array.of(1, 2, Number.NaN, 3, 4, 5, 6, Number.NEGATIVE_INFINITY));
    expect([accumulator.rejected, accumulator.count]).toEqual([2, 2]);
    expect([accumulator.rejected, accumulator.count]).toEqual([2, 2]);
    accumulator.update(Float32Array.of(7, 8, Number.NaN, 0));
    expect([accumulator.rejected, accumulator.count]).toEqual([3, 3]);
    expect(accumulator.takeState().rows).toEqual(Float32Array.of(1, 2, 4, 5, 7, 8));
  });

  it('have a Gram matrix about their mean, exactly zero for rows that are all alike', () => {
    const of = (features: number, rows: number[]) => {
      const accumulator = new CovarianceAccumulator(features);
      accumulator.update(rows);
      return accumulator;
    };
    const gram = (features: number, rows: number[]) => of(features, rows).spectralMatrix().entries;
    expect(gram(3, [1, 0, 5, 3, 2, 5])).toEqual(Float64Array.of(2, -2, 2));
    expect(gram(4, [0.1, 0.2, 0.3, 0.7, 0.1, 0.2, 0.3, 0.7, 0.1, 0.2, 0.3, 0.7])).toEqual(new Float64Array(6));
    expect(of(3, [1, -9, 2, 3, -11, 2]).meanSoFar()).toEqual(Float64Array.of(2, -10, 2));
    expect(new CovarianceAccumulator(3).meanSoFar()).toEqual(new Float64Array(3));
  });

  it('give large memory back when they are folded, and go on using small memory', () => {
    const bytesAfter = (features: number, rows: number) => {
      const accumulator = new CovarianceAccumulator(features);
      accumulator.update(new Float32Array(rows * features).fill(1));
      accumulator.covariance();
      accumulator.update(new Float32Array(features).fill(7));
      return accumulator.takeState().rows?.buffer.byteLength;
    };
    expect(bytesAfter(3, 100)).toBe(100 * 3 * 4);
    expect(bytesAfter(1000, 500)).toBe(1 * 1000 * 4);
  });
});

/** Rows of two columns: the row's number and its negative. */
const rowsOf = (from: number, to: number) =>
  Float32Array.from({ length: 2 * (to - from) }, (_, i) => (i % 2 === 0 ? 1 : -1) * (from + Math.floor(i / 2)));

const kept = (reservoir: Reservoir) => reservoir.rows().map(([first]) => first);

describe('Reservoir', () => {
  it('keeps every row while there is room, whole and as copies', () => {
    const reservoir = new Reservoir(10, 2);
    const rows = rowsOf(0, 4);
    reservoir.add(rows);
    rows.fill(99);
    reservoir.add(rowsOf(4, 6));
    expect(reservoir.rows().map((row) => [...row])).toEqual([
      [0, -0],
      [1, -1],
      [2, -2],
      [3, -3],
      [4, -4],
      [5, -5],
    ]);
    expect(reservoir.seen).toBe(6);
  });

  it('keeps no more than its capacity, each row once, whole rows only', () => {
    const reservoir = new Reservoir(16, 2);
    for (let from = 0; from < 1000; from += 100) reservoir.add(rowsOf(from, from + 100));
    expect(reservoir.seen).toBe(1000);
    expect(new Set(kept(reservoir)).size).toBe(16);
    for (const [first, second] of reservoir.rows()) expect(second).toBe(-first);
  });

  it('chooses all rows of a stream alike, wherever they stand in it', () => {
    const tenths = new Float64Array(10);
    const runs = 400;
    for (let seed = 1; seed <= runs; seed++) {
      const reservoir = new Reservoir(20, 2, seed);
      for (let from = 0; from < 500; from += 50) reservoir.add(rowsOf(from, from + 50));
      for (const row of kept(reservoir)) tenths[Math.floor(row / 50)]++;
    }
    // Each tenth is expected 2 * runs times; the count's deviation is below sqrt(2 * runs), so five of them are room enough.
    const expected = 2 * runs;
    for (const count of tenths) expect(Math.abs(count - expected)).toBeLessThan(5 * Math.sqrt(expected));
  });

  it('chooses the same for the same stream, something else for another seed', () => {
    const chosen = [1, 1, 2].map((seed) => {
      const reservoir = new Reservoir(8, 2, seed);
      reservoir.add(rowsOf(0, 300));
      return kept(reservoir);
    });
    expect(chosen[1]).toEqual(chosen[0]);
    expect(chosen[2]).not.toEqual(chosen[0]);
  });

  it('passes over rows with a NaN or Infinity, and what is less than a row', () => {
    const reservoir = new Reservoir(8, 2);
    reservoir.add([1, Number.NaN, 2, 2, Number.POSITIVE_INFINITY, 3, 4, 4, 5]);
    expect(kept(reservoir)).toEqual([2, 4]);
    expect(reservoir.seen).toBe(2);
  });
});

/** The same state as version 01 has it: a header of 40 bytes, without a checksum. */
function asVersion01(bytes: Uint8Array): Uint8Array {
  const old = new Uint8Array(bytes.length - 8);
  old.set(bytes.subarray(0, 40));
  old.set(bytes.subarray(48), 40);
  old[7] = '1'.charCodeAt(0);
  return old;
}
