import { describe, expect, it } from 'vitest';
import { MemoryOutput } from '../../src/output/output.js';
import { SaturationRecorder } from '../../src/recording/saturation-recorder.js';
import { healthStats, type ScalarStat, scalarStatNames, scalarStats } from '../../src/saturation/stats.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import type { UnitMeasures } from '../../src/statistics/unit-sums.js';
import { resolveOptions } from '../../src/tracker/options.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { healthReference, rowsFrom } from '../support/health-reference.js';
import { RecordingStore } from '../support/recording-store.js';

// The expected numbers are those of the reference implementations: test/fixtures/health/reference.py says which. TwoNN looks at
// rows that were rounded to float32, and the reference of alpha-ReQ rounds its weights to float32.

const isHealth = (stat: ScalarStat) => healthStats.includes(stat);

/** The vital signs of rows that a recorder was given in batches. */
async function measured(rows: Float64Array, features: number, batches: number) {
  const store = new RecordingStore();
  const recorder = new SaturationRecorder(new SummaryWriter(new MemoryOutput()), {
    stats: ['health'],
    saveTo: [store],
  });
  const count = rows.length / features;
  for (let k = 0; k < batches; k++) {
    const [start, end] = [Math.floor((k * count) / batches), Math.floor(((k + 1) * count) / batches)];
    const data = rows.subarray(start * features, end * features);
    await recorder.observe('layer', { data, shape: [end - start, features] }, 'train');
  }
  await recorder.addSaturations();
  await recorder.close();
  return store.layer('train', 'layer', 0).values;
}

describe.each(Object.entries(healthReference.rows))('of rows %s', (_name, { from, values }) => {
  const rows = rowsFrom(from);
  it.each([1, 7])('equal the reference implementations, in %i batches', async (batches) => {
    const found = await measured(rows, from.d, batches);
    for (const [stat, value] of Object.entries(values)) {
      if (!(stat in scalarStats)) continue;
      expect(Math.abs((found[stat as ScalarStat] ?? Number.NaN) / (value || 1) - (value ? 1 : 0)), stat).toBeLessThan(
        stat === 'twoNN' ? 1e-6 : 1e-8,
      );
    }
  });
});

describe('stats', () => {
  it("'health' means the vital signs beside the default statistics", () => {
    const { scalars, spectrum, correctsOnlyFew } = resolveOptions({ stats: 'health' });
    const standard = resolveOptions();
    expect(scalars).toEqual(scalarStatNames.filter((stat) => isHealth(stat) || standard.scalars.includes(stat)));
    expect([spectrum, correctsOnlyFew]).toEqual([true, true]);
  });

  it("a list with 'health' means the vital signs and what else it names", () => {
    const { scalars, spectrum } = resolveOptions({ stats: ['lsat', 'health'] });
    expect(scalars).toEqual(scalarStatNames.filter((stat) => isHealth(stat) || stat === 'saturation'));
    expect(spectrum).toBe(false);
  });

  it('refuses other words', () => {
    expect(() => resolveOptions({ stats: 'sickness' as 'health' })).toThrow(/stats: .* or 'health', got .*sickness/);
  });
});

describe('neural collapse of labelled rows', () => {
  const { from, values } = healthReference.classes;
  const rows = rowsFrom(from);
  const expectReference = (found: Record<string, number | undefined>) => {
    expect(found.collapseNC1).toBeCloseTo(values.nc1, 9);
    expect(found.collapseNC2Norms).toBeCloseTo(values.nc2Norms, 9);
    expect(found.collapseNC2Angles).toBeCloseTo(values.nc2Angles, 9);
  };

  it('equals the reference, also where each place of a map is a row', async () => {
    const store = new RecordingStore();
    const recorder = new SaturationRecorder(new SummaryWriter(new MemoryOutput()), {
      stats: 'health',
      saveTo: [store],
    });
    const labels = BigInt64Array.from({ length: 300 }, (_, i) => BigInt(i % 5));
    recorder.observe('flat', { data: rows, shape: [300, from.d] }, 'train', { labels });
    // Each item is a map of two places, both of its class.
    const pairs = new Float64Array(2 * rows.length);
    for (let i = 0; i < 300; i++) {
      const row = rows.subarray(i * from.d, (i + 1) * from.d);
      pairs.set(row, 2 * i * from.d);
      pairs.set(row, (2 * i + 1) * from.d);
    }
    recorder.observe('map', { data: pairs, shape: [300, 2, 1, from.d] }, 'train', { labels });
    recorder.observe('unlabelled', { data: rows, shape: [300, from.d] }, 'train');
    await recorder.addSaturations();
    await recorder.close();
    expectReference(store.layer('train', 'flat').values);
    expectReference(store.layer('train', 'map').values);
    expect(store.layer('train', 'unlabelled').values).not.toHaveProperty('collapseNC1');
  });

  it('refuses labels that are none of as many items', () => {
    const recorder = new SaturationRecorder(new SummaryWriter(new MemoryOutput()));
    const observe = (labels: unknown) => () =>
      recorder.observe('layer', { data: rows, shape: [300, from.d] }, 'train', { labels: labels as number[] });
    expect(observe([1, 2])).toThrow(/observe 'layer': labels: expected 300 integers from 0 on, one per item, got 2/);
    expect(observe(new Array(300).fill(0.5))).toThrow(/labels: expected 300 integers from 0 on, one per item, got 0.5/);
    expect(observe(3)).toThrow(/labels: expected 300 integers from 0 on, one per item, got .*3/);
  });
});

describe('sums per unit', () => {
  const { from, values } = healthReference.rows.relu;
  const rows = rowsFrom(from);
  const half = Math.floor(from.n / 3) * from.d;
  const of = (part: Float64Array) => {
    const accumulator = new CovarianceAccumulator(from.d, { units: true });
    accumulator.update(part);
    return accumulator;
  };
  const found = (accumulator: CovarianceAccumulator) => accumulator.unitMeasures() as UnitMeasures;
  const expectReference = (accumulator: CovarianceAccumulator) => {
    const { dead, dormant, kurtosis, largest } = found(accumulator);
    expect([dead, dormant, largest]).toEqual([values.deadUnits, values.dormantUnits, values.largestActivation]);
    expect(kurtosis).toBeCloseTo(values.kurtosis, 10);
  };

  it('of parts merge into those of the whole', () => {
    const whole = of(rows.subarray(0, half));
    whole.merge(of(rows.subarray(half)));
    expectReference(whole);
  });

  it('survive as bytes', () => {
    const restored = CovarianceAccumulator.fromBytes(of(rows.subarray(0, half)).toBytes());
    restored.update(rows.subarray(half));
    expectReference(restored);
    const bytes = of(rows).toBytes();
    new DataView(bytes.buffer).setFloat64(bytes.length - 8 * from.d * 2, -1, true);
    expect(() => CovarianceAccumulator.fromBytes(bytes)).toThrow();
  });

  it('leave out rows that hold a NaN or Infinity, and merge with themselves', () => {
    const accumulator = of(rows);
    accumulator.update([...new Float64Array(from.d - 1), Number.POSITIVE_INFINITY]);
    accumulator.update([Number.NaN, ...new Float64Array(from.d - 1)]);
    accumulator.merge(accumulator);
    expectReference(accumulator);
  });

  it('are forgotten with the rows', () => {
    const accumulator = of(rows);
    accumulator.reset();
    expect(accumulator.unitMeasures()).toBeUndefined();
    expect(new CovarianceAccumulator(3).unitMeasures()).toBeUndefined();
  });
});

describe('rows that say nothing', () => {
  it('have ranks of 0 if all are 0, and no exponent', async () => {
    const found = await measured(new Float64Array(200), 20, 1);
    expect(found).toMatchObject({ stableRank: 0, entropyRank: 0, effectiveRank: 0, rankMe: 0, alphaReq: Number.NaN });
    expect(found).toMatchObject({ deadUnits: 1, dormantUnits: 1, kurtosis: Number.NaN, largestActivation: 0 });
  });

  it('have an effective rank of 1 if all are the same', async () => {
    const found = await measured(new Float64Array(200).fill(3), 20, 1);
    expect(found.effectiveRank).toBeCloseTo(1, 6);
    expect(found.entropyRank).toBe(0);
  });
});
