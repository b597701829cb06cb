import { describe, expect, it } from 'vitest';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Reservoir } from '../../src/statistics/reservoir.js';
import { CovarianceSketch } from '../../src/statistics/sketch.js';
import { gaussianRows, uniform } from '../support/random.js';

/** A choice of rows of one number each: `from`, `from + 1`, … */
function choiceOf(from: number, count: number, capacity: number, seed: number): Reservoir {
  const reservoir = new Reservoir(capacity, 1, seed);
  reservoir.add(Float64Array.from({ length: count }, (_, i) => from + i));
  return reservoir;
}

describe('choices of rows from streams', () => {
  it('merge to a uniform choice of both streams, and go on as one', () => {
    const [capacity, rounds] = [10, 1500];
    const lengths = [30, 300, 70];
    const chosen = [0, 0, 0];
    for (let seed = 1; seed <= rounds; seed++) {
      const merged = choiceOf(0, lengths[0], capacity, seed);
      merged.merge(choiceOf(1000, lengths[1], capacity, seed + 1e6));
      merged.add(Float64Array.from({ length: lengths[2] }, (_, i) => 2000 + i));
      if (merged.seen !== 400 || merged.rows().length !== capacity) throw new Error(`${merged.seen} rows were seen`);
      for (const [value] of merged.rows()) chosen[Math.floor(value / 1000)]++;
    }
    for (const [i, count] of chosen.entries()) {
      const share = lengths[i] / 400;
      // Five standard deviations of a binomial; rows chosen without replacement vary less.
      const deviation = Math.sqrt((share * (1 - share)) / (capacity * rounds));
      expect(Math.abs(count / (capacity * rounds) - share)).toBeLessThan(5 * deviation);
    }
  });

  it('keep every row while there is room, and choose each row of one stream as often as any other', () => {
    const small = choiceOf(0, 4, 10, 1);
    small.merge(choiceOf(100, 3, 10, 1));
    expect(
      small
        .rows()
        .map(([value]) => value)
        .sort((a, b) => a - b),
    ).toEqual([0, 1, 2, 3, 100, 101, 102]);
    const times = new Float64Array(40);
    for (let seed = 1; seed <= 2000; seed++) {
      const merged = choiceOf(0, 20, 5, seed);
      merged.merge(choiceOf(20, 20, 5, seed + 1e6));
      for (const [value] of merged.rows()) times[value]++;
    }
    // 250 each.
    for (const count of times) expect(Math.abs(count - 250)).toBeLessThan(5 * Math.sqrt(250));
  });

  it('keep what stays with each row', () => {
    const tagged = (from: number, count: number, seed: number) => {
      const reservoir = new Reservoir(20, 1, seed);
      const rows = Float64Array.from({ length: count }, (_, i) => from + i);
      reservoir.add(rows, rows);
      return reservoir;
    };
    const merged = tagged(0, 90, 1);
    merged.merge(Reservoir.fromBytes(tagged(100, 50, 2).toBytes()));
    expect(merged.tags()).toEqual(merged.rows().map(([value]) => value));
    expect(merged.tags().some((tag) => tag >= 100)).toBe(true);
  });

  it('come back from bytes and choose the same rows as without that', () => {
    const straight = choiceOf(0, 100, 8, 3);
    const restored = Reservoir.fromBytes(straight.toBytes());
    for (const each of [straight, restored]) each.add(Float64Array.from({ length: 5000 }, (_, i) => 100 + i));
    expect(restored.toBytes()).toEqual(straight.toBytes());
    expect(() => straight.merge(new Reservoir(9, 1))).toThrow(
      /expected a choice of 8 rows of 1 features, got one of 9/,
    );
  });
});

describe('a sketch of wide rows', () => {
  const features = 300;
  const rowsOf = (count: number, seed: number) =>
    Float32Array.from(
      gaussianRows(
        count,
        Float64Array.from({ length: features }, (_, i) => Math.exp(-i / 4)),
        seed,
        2,
      ),
    );
  const sketchOf = (...batches: Float32Array[]) => {
    const sketch = new CovarianceSketch(features);
    for (const batch of batches) sketch.update(batch);
    return sketch;
  };

  it('goes on from bytes with the same bits, before and after it follows directions', () => {
    for (const count of [20, 500]) {
      const straight = sketchOf(rowsOf(count, 1));
      const restored = CovarianceSketch.fromBytes(straight.toBytes());
      for (const each of [straight, restored]) each.update(rowsOf(400, 2));
      expect(restored.solve()).toEqual(straight.solve());
      expect(restored.toBytes()).toEqual(straight.toBytes());
    }
  });

  it('takes the rows of another that has few, in either order, and of one along the same directions', () => {
    const few = rowsOf(30, 3);
    few[7] = Number.NaN;
    const [many, more] = [rowsOf(600, 4), rowsOf(500, 5)];
    const expected = sketchOf(many, few).solve();
    for (const [a, b] of [
      [sketchOf(many), sketchOf(few)],
      [sketchOf(few), sketchOf(many)],
    ]) {
      const before = b.toBytes();
      a.merge(b);
      expect(b.toBytes()).toEqual(before);
      const solved = a.solve();
      expect([solved.count, solved.rejected]).toEqual([629, 1]);
      expect([a.count, a.rejected]).toEqual([629, 1]);
      for (let i = 0; i < 20; i++) expect(Math.abs(solved.eigenvalues[i] - expected.eigenvalues[i])).toBeLessThan(1e-5);
    }
    const early = sketchOf(few);
    early.merge(sketchOf(rowsOf(100, 6)));
    early.merge(sketchOf(rowsOf(100, 7)));
    expect(early.solve()).toEqual(sketchOf(few, rowsOf(100, 6), rowsOf(100, 7)).solve());
    const base = sketchOf(many);
    const fork = CovarianceSketch.fromBytes(base.toBytes()).next();
    fork.update(more);
    const other = base.next();
    other.update(many);
    if (!fork.isEmpty) other.merge(fork);
    expect(other.count).toBe(1100);
    expect(() => sketchOf(many).merge(sketchOf(more))).toThrow(/expected a sketch along the same directions, got one/);
  });
});

describe('bytes of accumulators', () => {
  /** Waiting rows of both widths, folded ones, sums per unit and per class. */
  const states = [
    { rows: 3, folds: false },
    { rows: 3, folds: true },
    { rows: 500, folds: false },
  ].flatMap(({ rows, folds }) =>
    [false, true].map((units) => {
      const accumulator = new CovarianceAccumulator(3, { units });
      const data = gaussianRows(rows, [1, 2, 3], rows, 4);
      accumulator.update(units ? data : Float32Array.from(data));
      if (units)
        accumulator.updateClasses(
          data,
          Array.from({ length: rows }, (_, i) => i % 2),
        );
      return accumulator.toBytes({ withoutRows: folds });
    }),
  );

  it('are refused after 100,000 changes, or the same', () => {
    const random = uniform(21);
    const below = (count: number) => Math.floor(random() * count);
    let same = 0;
    for (let round = 0; round < 100_000; round++) {
      const original = states[round % states.length];
      let changed = original.slice();
      for (let changes = 1 + below(3); changes > 0; changes--) {
        const at = random() < 0.5 ? below(48) : below(changed.length);
        const kind = below(8);
        if (kind < 3) changed[at] ^= 1 << below(8);
        else if (kind < 5) changed[at] = below(256);
        else if (kind === 5) changed.copyWithin(at, below(changed.length), below(changed.length));
        else if (kind === 6) changed = changed.slice(0, changed.length - 8 * below(3));
        else if (round % 7 === 0) changed = Uint8Array.of(...changed, ...original.subarray(0, 8 * below(2)));
      }
      let accepted: Uint8Array;
      try {
        accepted = CovarianceAccumulator.fromBytes(changed).toBytes();
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        continue;
      }
      if (Buffer.compare(accepted, original) !== 0) throw new Error(`round ${round}: other bytes were taken`);
      same++;
    }
    expect(same).toBeGreaterThan(100);
    expect(same).toBeLessThan(20_000);
  });

  it('with and without rows hold the same covariance, and go on alike', () => {
    const data = Float32Array.from(gaussianRows(700, [1, 2, 3], 5, 1e4));
    for (const rows of [2, 300]) {
      const [plain, bare] = [new CovarianceAccumulator(3), new CovarianceAccumulator(3)].map((accumulator, i) => {
        accumulator.update(data.subarray(0, 3 * rows));
        const restored = CovarianceAccumulator.fromBytes(accumulator.toBytes({ withoutRows: i === 1 }));
        restored.update(data.subarray(3 * rows));
        return restored;
      });
      expect(bare.count).toBe(700);
      const [expected, found] = [plain.covariance(), bare.covariance()];
      for (const [i, x] of expected.entries()) expect(Math.abs(found[i] - x)).toBeLessThan(1e-10);
    }
    // A feature that never varied still has no variance at all.
    const constant = new CovarianceAccumulator(2);
    constant.update(Float64Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 0.1 : Math.sin(i))));
    const other = CovarianceAccumulator.fromBytes(constant.toBytes({ withoutRows: true }));
    other.merge(constant);
    expect(other.variances()[0]).toBe(0);
  });
});

describe('bytes of choices and sketches', () => {
  const sketch = new CovarianceSketch(200);
  sketch.update(Float32Array.from(gaussianRows(150, new Float64Array(200).fill(1), 2)));

  it.each([
    ['choice', choiceOf(0, 100, 4, 1).toBytes(), (bytes: Uint8Array) => Reservoir.fromBytes(bytes).toBytes()],
    ['sketch', sketch.toBytes(), (bytes: Uint8Array) => CovarianceSketch.fromBytes(bytes).toBytes()],
  ] as const)('are refused or the same after any change: %s', (_, bytes, through) => {
    expect(through(bytes)).toEqual(bytes);
    const random = uniform(9);
    for (let round = 0; round < 2000; round++) {
      const changed = bytes.slice();
      for (let k = 0; k <= random() * 3; k++)
        changed[Math.floor(random() * Math.min(bytes.length, 400))] = random() * 256;
      if (Buffer.compare(changed, bytes) === 0) continue;
      expect(() => through(changed)).toThrow(RangeError);
    }
    for (const cut of [0, 7, 15, 24, bytes.length - 8]) {
      expect(() => through(bytes.subarray(0, cut))).toThrow(RangeError);
    }
  });
});
