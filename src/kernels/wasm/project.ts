import type { Directions, Projection } from '../projection.js';
import { Layout, type Scratch } from './memory.js';

/** Columns of a block: 128 float32 sums a lane, and blocks of a few hundred rows stay in the second-level cache. */
const BLOCK_COLUMNS = 512;

/** Projects rows on directions, block of columns by block: see NumericKernels.project. */
export function project(scratch: Scratch, rows: Float32Array, count: number, on: Directions): Projection {
  const { features, rank, vectors, shift } = on;
  const [paddedCount, paddedRank] = [count, rank].map((n) => Math.ceil(n / 3) * 3);
  const layout = new Layout();
  const at = {
    shift: layout.take(BLOCK_COLUMNS * 4),
    sums: layout.take(BLOCK_COLUMNS * 8),
    out: layout.take(paddedCount * paddedRank * 8),
    rows: layout.take(paddedCount * BLOCK_COLUMNS * 4),
    directions: layout.take(paddedRank * BLOCK_COLUMNS * 4),
  };
  const buffer = scratch.reserve(layout.bytes);
  const { exports } = scratch;
  const float32 = new Float32Array(buffer);
  const out = new Float64Array(buffer, at.out, paddedCount * paddedRank).fill(0);
  const blockSums = new Float64Array(buffer, at.sums, BLOCK_COLUMNS);
  const sums = new Float64Array(features);
  let squares = 0;
  for (let from = 0; from < features; from += BLOCK_COLUMNS) {
    const used = Math.min(BLOCK_COLUMNS, features - from);
    const columns = (used + 3) & ~3;
    const load = (source: Float32Array, number: number, target: number) => {
      const start = target / 4;
      if (columns !== used) float32.fill(0, start, start + number * columns);
      for (let i = 0; i < number; i++) {
        const first = i * features + from;
        float32.set(source.subarray(first, first + used), start + i * columns);
      }
    };
    load(rows, count, at.rows);
    load(vectors, rank, at.directions);
    load(shift, 1, at.shift);
    blockSums.fill(0);
    squares += exports.centerBlock(at.rows, count, columns, at.shift, at.sums);
    sums.set(blockSums.subarray(0, used), from);
    exports.addInnerProducts(at.rows, paddedCount, at.directions, paddedRank, columns, at.out);
  }
  const products = new Float64Array(count * rank);
  for (let i = 0; i < count; i++) {
    products.set(out.subarray(i * paddedRank, i * paddedRank + rank), i * rank);
  }
  return { products, sums, squares };
}
