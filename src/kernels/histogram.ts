import { histogramBase64 } from './wasm/generated/histogram-wasm.js';
import { moduleOf } from './wasm/memory.js';

/*
 * The two passes of a histogram: its extremes, and how many values fall into each row. A small module of WebAssembly does them
 * where it runs and the values are many, TypeScript does them else: by the same operations, so with the same results.
 */

/** Fewer values than this are not worth the way into the module. */
const leastValues = 128;
/** Values are copied into the module's memory by so many bytes. */
const blockBytes = 1 << 18;
/** More rows than this are counted in TypeScript: the module's tables have no room for them. */
const mostRows = 1023;

/** Functions of histogram.as.ts; addresses in bytes. */
interface HistogramExports {
  extremesFloat32(values: number, length: number, out: number): void;
  extremesFloat64(values: number, length: number, out: number): void;
  countRowsFloat32(values: number, length: number, start: number, width: number, last: number, tables: number): void;
  countRowsFloat64(values: number, length: number, start: number, width: number, last: number, tables: number): void;
}

/** The module with its memory: a block of values, then extremes, then tables of counts. */
class HistogramModule {
  readonly exports: HistogramExports;
  readonly extremes: Float64Array;
  readonly tables: Int32Array;
  readonly #float32: Float32Array;
  readonly #float64: Float64Array;

  constructor() {
    const tableBytes = 4 * 4 * (mostRows + 1);
    const memory = new WebAssembly.Memory({ initial: Math.ceil((blockBytes + 64 + tableBytes) / 65536) });
    const instance = new WebAssembly.Instance(moduleOf(histogramBase64), { env: { memory } });
    this.exports = instance.exports as unknown as HistogramExports;
    this.#float32 = new Float32Array(memory.buffer, 0, blockBytes / 4);
    this.#float64 = new Float64Array(memory.buffer, 0, blockBytes / 8);
    this.extremes = new Float64Array(memory.buffer, blockBytes, 4);
    this.tables = new Int32Array(memory.buffer, blockBytes + 64, tableBytes / 4);
  }

  /** Brings values into the memory, block by block, as float32 if they are that and else as float64. */
  each(values: NumberArray, visit: (length: number, isFloat32: boolean) => void): void {
    const isFloat32 = values instanceof Float32Array;
    const block = isFloat32 ? this.#float32 : this.#float64;
    for (let start = 0; start < values.length; start += block.length) {
      const part = values.length <= block.length ? values : values.subarray(start, start + block.length);
      block.set(part);
      visit(part.length, isFloat32);
    }
  }
}

/** A typed array of numbers, as far as it is needed here. */
type NumberArray = ArrayLike<number> & { subarray(start: number, end: number): ArrayLike<number> };

/** Made when it is first needed; null where it does not run. */
let made: HistogramModule | null | undefined;

/** The module, if it is worth while for such values. */
function moduleFor(values: ArrayLike<number>): HistogramModule | undefined {
  if (values.length < leastValues || !ArrayBuffer.isView(values)) return undefined;
  if (made === undefined) {
    try {
      made = new HistogramModule();
    } catch {
      made = null; // an old browser, or a content security policy without 'wasm-unsafe-eval'
    }
  }
  return made ?? undefined;
}

/** The smallest and the largest value; both are NaN if some value is NaN or infinite. */
export function extremesOf(values: ArrayLike<number>): { min: number; max: number } {
  const module = moduleFor(values);
  if (module === undefined) return extremesInTypeScript(values);
  const { exports, extremes } = module;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  module.each(values as unknown as NumberArray, (length, isFloat32) => {
    if (isFloat32) exports.extremesFloat32(0, length, extremes.byteOffset);
    else exports.extremesFloat64(0, length, extremes.byteOffset);
    min = Math.min(min, extremes[0]);
    max = Math.max(max, extremes[1]);
  });
  return { min, max };
}

function extremesInTypeScript(values: ArrayLike<number>): { min: number; max: number } {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  const { length } = values;
  const fours = length - (length % 4);
  // Four at a time, which are hardly ever new extremes: every comparison with NaN is false.
  for (let i = 0; i < length; ) {
    if (i < fours) {
      const a = values[i];
      const b = values[i + 1];
      const c = values[i + 2];
      const d = values[i + 3];
      if (a >= min && a <= max && b >= min && b <= max && c >= min && c <= max && d >= min && d <= max) {
        i += 4;
        continue;
      }
    }
    for (const end = i < fours ? i + 4 : length; i < end; i++) {
      const value = values[i];
      if (value - value !== 0) return { min: Number.NaN, max: Number.NaN };
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return { min, max };
}

/** Tables of counts for as many rows as are usual: making new ones takes as long as counting a thousand values. */
const fewCounts = new Int32Array(128);

/**
 * How many values fall into each row: floor((value - start) / width), from 0 to `count`.
 *
 * @param values all finite, none below `start`, none beyond the row `count`; a row has 2^31 values at most
 * @param width above 0, and large enough for a quotient to be exact up to rounding (no subnormal number)
 * @param count below 2^30
 * @returns count + 1 rows; memory that the next call uses again
 */
export function countRows(values: ArrayLike<number>, start: number, width: number, count: number): Int32Array {
  const rows = count + 1;
  const module = count <= mostRows ? moduleFor(values) : undefined;
  let tables: Int32Array;
  if (module !== undefined) {
    const { exports } = module;
    tables = module.tables.fill(0, 0, 4 * rows);
    module.each(values as unknown as NumberArray, (length, isFloat32) => {
      if (isFloat32) exports.countRowsFloat32(0, length, start, width, count, tables.byteOffset);
      else exports.countRowsFloat64(0, length, start, width, count, tables.byteOffset);
    });
  } else {
    tables = 4 * rows <= fewCounts.length ? fewCounts.fill(0) : new Int32Array(4 * rows);
    countInTypeScript(values, start, width, rows, tables);
  }
  for (let row = 0; row < rows; row++)
    tables[row] += tables[rows + row] + tables[2 * rows + row] + tables[3 * rows + row];
  return tables.subarray(0, rows);
}

function countInTypeScript(
  values: ArrayLike<number>,
  start: number,
  width: number,
  rows: number,
  tables: Int32Array,
): void {
  // Adjacent values often fall into the same row. Four tables spare each count from waiting for the previous one.
  const [second, third, fourth] = [rows, 2 * rows, 3 * rows];
  const fours = values.length - (values.length % 4);
  for (let i = 0; i < fours; i += 4) {
    const a = ((values[i] - start) / width) | 0;
    const b = ((values[i + 1] - start) / width) | 0;
    const c = ((values[i + 2] - start) / width) | 0;
    const d = ((values[i + 3] - start) / width) | 0;
    tables[a]++;
    tables[second + b]++;
    tables[third + c]++;
    tables[fourth + d]++;
  }
  for (let i = fours; i < values.length; i++) tables[((values[i] - start) / width) | 0]++;
}
