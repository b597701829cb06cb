import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { countRows, extremesOf } from '../../src/kernels/histogram.js';

/** What both passes must find, from their definitions. */
function expected(values: ArrayLike<number>, count: number) {
  const list = Array.from(values);
  const min = list.reduce((least, value) => Math.min(least, value), Infinity);
  const max = list.reduce((most, value) => Math.max(most, value), -Infinity);
  const width = (max - min) / count;
  const rows: number[] = new Array(count + 1).fill(0);
  for (const value of list) rows[Math.floor((value - min) / width)]++;
  return { min, max, width, rows };
}

const kinds = [Float32Array, Float64Array, Int32Array, Uint8Array, Int16Array] as const;

/** Numbers of all sizes, of which many lie on the edges of rows. */
function numbersOf(length: number, seed: number, kind: (typeof kinds)[number] = Float64Array) {
  let state = seed;
  const uniform = () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
  return kind.from(Array.from({ length }, (_, i) => (i % 3 === 0 ? Math.round(30 * uniform()) : 100 * uniform() ** 3)));
}

describe('the passes of a histogram', () => {
  it.each(kinds)('are those of the definition for a %o of any length', (kind) => {
    for (const length of [127, 128, 129, 130, 131, 1000, 4099]) {
      for (const count of [1, 7, 30, 1023, 1024]) {
        const values = numbersOf(length, length + count, kind);
        const { min, max, width, rows } = expected(values, count);
        expect(extremesOf(values)).toEqual({ min, max });
        expect(Array.from(countRows(values, min, width, count))).toEqual(rows);
      }
    }
  });

  it('are the same for numbers beyond a block of memory', () => {
    for (const kind of [Float32Array, Float64Array]) {
      const values = numbersOf(3 * 65536 + 5, 11, kind);
      values[values.length - 2] = 4000;
      const { min, max, width, rows } = expected(values, 30);
      expect(extremesOf(values)).toEqual({ min, max: 4000 });
      expect(max).toBe(4000);
      expect(Array.from(countRows(values, min, width, 30))).toEqual(rows);
    }
  });

  it('are the same in TypeScript, which plain arrays take, for any numbers', () => {
    const numbers = fc
      .float({ noNaN: true, noDefaultInfinity: true, min: -(2 ** 99), max: 2 ** 99 })
      .map((value) => value + 0);
    fc.assert(
      fc.property(
        fc.array(numbers, { minLength: 128, maxLength: 300 }),
        fc.integer({ min: 1, max: 60 }),
        (plain, count) => {
          const { min, max } = extremesOf(plain);
          const width = (max - min) / count;
          fc.pre(width > 1e-290);
          const inTypeScript = Array.from(countRows(plain, min, width, count));
          for (const kind of [Float32Array, Float64Array]) {
            expect(extremesOf(kind.from(plain))).toEqual({ min, max });
            expect(Array.from(countRows(kind.from(plain), min, width, count))).toEqual(inTypeScript);
          }
        },
      ),
    );
  });

  it.each([Number.NaN, Infinity, -Infinity])('find %d wherever it stands', (odd) => {
    for (const kind of [Float32Array, Float64Array]) {
      for (let at = 0; at < 139; at++) {
        const values = numbersOf(139, 3, kind);
        values[at] = odd;
        expect(extremesOf(values)).toEqual({ min: Number.NaN, max: Number.NaN });
      }
    }
  });

  it('stay in their tables if shared memory changes between them', () => {
    const values = new Float32Array(new SharedArrayBuffer(4 * 200));
    values.fill(1e30);
    values.set([Number.NaN, -1e30, Infinity, -Infinity], 7);
    const rows = countRows(values, 0, 1, 30);
    expect(rows.length).toBe(31);
    expect(rows.reduce((sum, n) => sum + n)).toBe(200);
    // Nothing was written beside them: the next count begins with empty ones.
    expect(Array.from(countRows(new Float32Array(200), 0, 1, 30))).toEqual([200, ...new Array(30).fill(0)]);
  });
});

describe('without WebAssembly', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  it('both passes are done in TypeScript', async () => {
    vi.resetModules();
    vi.stubGlobal('WebAssembly', undefined);
    const alone = await import('../../src/kernels/histogram.js');
    const values = numbersOf(1000, 5, Float32Array);
    const { min, max, width, rows } = expected(values, 30);
    expect(alone.extremesOf(values)).toEqual({ min, max });
    expect(Array.from(alone.countRows(values, min, width, 30))).toEqual(rows);
  });
});
