import { describe, expect, it, vi } from 'vitest';
import { MemoryOutput } from '../../src/output/output.js';
import { SaturationRecorder } from '../../src/recording/saturation-recorder.js';
import { healthStats, type ScalarStat, scalarStatNames, scalarStats } from '../../src/saturation/stats.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { solveAccumulator } from '../../src/statistics/threads/solve.js';
import type { UnitMeasures } from '../../src/statistics/unit-sums.js';
import { resolveOptions } from '../../src/tracker/options.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { healthReference, rowsFrom, vector } from '../support/health-reference.js';
import { uniform } from '../support/random.js';
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

  const draw = uniform(7);
  const classifier = Array.from({ length: 5 }, () => vector(draw, from.d, 1));
  const bias = vector(draw, 5, 0.1);
  const labels = Array.from({ length: 300 }, (_, i) => i % 5);
  const predictions = labels.map((_, i) => {
    const row = rows.subarray(i * from.d, (i + 1) * from.d);
    const scores = classifier.map((weight, c) => weight.reduce((sum, w, j) => sum + w * row[j], bias[c]));
    return scores.indexOf(Math.max(...scores));
  });
  const recorded = () => {
    const store = new RecordingStore();
    const output = new SummaryWriter(new MemoryOutput());
    return { store, recorder: new SaturationRecorder(output, { stats: 'health', saveTo: [store] }) };
  };
  const observe = (recorder: SaturationRecorder, start: number, end: number, options: object = {}) =>
    recorder.observe(
      'layer',
      { data: rows.subarray(start * from.d, end * from.d), shape: [end - start, from.d] },
      'train',
      { labels: labels.slice(start, end), ...options },
    );

  it('has all four measures where predictions and the classifier are given, in batches and after a restore', async () => {
    const weights = classifier.flatMap((row) => [...row]);
    const options = (start: number, end: number) => ({
      predictions: predictions.slice(start, end),
      classifier: weights,
    });
    const { store, recorder } = recorded();
    for (let at = 0; at < 300; at += 60) observe(recorder, at, at + 60, options(at, at + 60));
    await recorder.addSaturations();
    observe(recorder, 0, 170, options(0, 170));
    const bytes = recorder.toBytes();
    await recorder.addSaturations();
    await recorder.close();
    const found = store.layer('train', 'layer').values;
    expectReference(found);
    expect(found.collapseNC3).toBeCloseTo(values.nc3, 9);
    expect(found.collapseNC4).toBeCloseTo(values.nc4, 12);

    const later = recorded();
    later.recorder.restore(bytes);
    observe(later.recorder, 170, 300, { classifier: weights });
    await later.recorder.addSaturations();
    await later.recorder.close();
    expectReference(later.store.layer('train', 'layer').values);
    expect(later.store.layer('train', 'layer').values.collapseNC3).toBeCloseTo(values.nc3, 9);
  });

  it('has no NC3 in an epoch in which no classifier is given, also if the one before had one', async () => {
    const { store, recorder } = recorded();
    for (const given of [{ classifier: classifier.flatMap((row) => [...row]) }, {}]) {
      observe(recorder, 0, 300, given);
      await recorder.addSaturations();
    }
    await recorder.close();
    const found = store.epochs.map(({ layers }) => layers[0].values);
    expect(found[0].collapseNC3).toBeCloseTo(values.nc3, 9);
    expect([found[1].collapseNC1, found[1].collapseNC3]).toEqual([found[0].collapseNC1, undefined]);
  });

  it('has no NC1 of rows of which some have no class, no NC3 of another classifier, and says so', async () => {
    const said = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { store, recorder } = recorded();
    observe(recorder, 0, 200);
    observe(recorder, 200, 300, { labels: undefined });
    await recorder.addSaturations();
    observe(recorder, 0, 300, { classifier: [1, 2, 3] });
    await recorder.addSaturations();
    await recorder.close();
    const texts = said.mock.calls.map(([text]) => String(text)).filter((text) => text.startsWith('Neural collapse'));
    said.mockRestore();
    expect(store.layer('train', 'layer', 0).values.collapseNC1).toBeNaN();
    expect(store.layer('train', 'layer', 0).values.collapseNC2Norms).toBeGreaterThan(0);
    expect(store.layer('train', 'layer', 1).values.collapseNC3).toBeNaN();
    expect(texts[0]).toMatch(
      /of layer 'layer' \(train\): collapseNC1: expected the class of each of its 300 rows, got that of 200/,
    );
  });

  it('refuses predictions and a classifier without labels', () => {
    const { recorder } = recorded();
    expect(() => observe(recorder, 0, 2, { labels: undefined, predictions: [0, 1] })).toThrow(
      /observe 'layer': expected labels beside predictions, got none/,
    );
    expect(() => observe(recorder, 0, 2, { labels: undefined, classifier: [0] })).toThrow(/beside a classifier/);
    expect(() => observe(recorder, 0, 2, { classifier: 3 })).toThrow(
      /classifier: expected classes x features weights, got number 3/,
    );
    expect(() => observe(recorder, 0, 2, { predictions: [0, -1] })).toThrow(/predictions: expected 2 integers from 0/);
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

describe('sums per class', () => {
  const { from, values } = healthReference.classes;
  const rows = rowsFrom(from);
  const of = (start: number, end: number, shift = 0) => {
    const accumulator = new CovarianceAccumulator(from.d);
    const part = rows.subarray(start * from.d, end * from.d).map((x) => x + shift);
    accumulator.update(part);
    accumulator.updateClasses(
      part,
      Array.from({ length: end - start }, (_, i) => (start + i) % 5),
    );
    return accumulator;
  };
  const nc1 = (accumulator: CovarianceAccumulator) => solveAccumulator(accumulator, { collapse: true }).collapse?.nc1;

  it('of parts merge into those of the whole, far from zero too, and with themselves', () => {
    const whole = of(0, 101);
    whole.merge(of(101, 300));
    whole.merge(whole);
    expect(nc1(whole)).toBeCloseTo(values.nc1, 10);
    const far = of(0, 7, 1e5);
    far.merge(of(7, 300, 1e5));
    expect(nc1(far)).toBeCloseTo(values.nc1, 7);
  });

  it('survive as bytes, as states, and not damage', () => {
    const restored = CovarianceAccumulator.fromBytes(of(0, 130).toBytes());
    restored.merge(CovarianceAccumulator.fromState(of(130, 300).copyState()));
    expect(nc1(restored)).toBeCloseTo(values.nc1, 10);
    const bytes = of(0, 130).toBytes();
    bytes[44]++;
    expect(() => CovarianceAccumulator.fromBytes(bytes)).toThrow(/fromBytes: expected \d+ undamaged bytes/);
  });

  it('are forgotten with the rows', () => {
    const accumulator = of(0, 300);
    accumulator.reset();
    expect(accumulator.classes).toBeUndefined();
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
