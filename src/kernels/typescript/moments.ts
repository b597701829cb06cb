import { joinMeans, keepFiniteRows, type MomentSums, type Rows, summedBy } from '../moments.js';

/** Rows of one block: enough to make the merge of the means negligible, few enough to stay in the cache. */
const BLOCK_ROWS = 128;

/** TypeScript twin of the WebAssembly moments kernel: see NumericKernels.addRows. */
export function addRows(moments: MomentSums, rows: Rows, first: number, count: number): number {
  const { features } = moments;
  const centered = new Float64Array(Math.min(BLOCK_ROWS, count) * features);
  let rejected = 0;
  for (let done = 0; done < count; done += BLOCK_ROWS) {
    const size = Math.min(BLOCK_ROWS, count - done);
    const start = (first + done) * features;
    centered.set(rows.subarray(start, start + size * features));
    const kept = addBlock(moments, centered, size);
    rejected += size - kept;
  }
  moments.kernels = summedBy(moments.kernels, 'typescript');
  return rejected;
}

function addBlock(moments: MomentSums, block: Float64Array, size: number): number {
  const { features, shift } = moments;
  let kept = size;
  let means = columnMeans(block, kept, features, shift);
  if (!means.every(Number.isFinite)) {
    kept = keepFiniteRows(block, size, features);
    if (kept === 0) return 0;
    means = columnMeans(block, kept, features, shift);
  }
  for (let j = 0; j < features; j++) {
    const center = shift[j] + means[j];
    for (let p = j, end = kept * features; p < end; p += features) block[p] -= center;
  }
  addOuterProducts(moments.scatter, block, kept, features);
  addOuterProducts(moments.scatter, joinMeans(moments, means, kept), 1, features);
  return kept;
}

function columnMeans(rows: Float64Array, count: number, features: number, shift: Float64Array): Float64Array {
  const means = new Float64Array(features);
  for (let i = 0, p = 0; i < count; i++) {
    for (let j = 0; j < features; j++, p++) means[j] += rows[p] - shift[j];
  }
  for (let j = 0; j < features; j++) means[j] /= count;
  return means;
}

/**
 * packed += rows^T rows: see NumericKernels.addOuterProducts. It takes four rows at a time, so that each sum is loaded and
 * stored once for four products.
 */
export function addOuterProducts(packed: Float64Array, rows: Float64Array, count: number, features: number): void {
  let row = 0;
  for (; row + 4 <= count; row += 4) {
    const a = row * features;
    const b = a + features;
    const c = b + features;
    const d = c + features;
    for (let i = 0, p = 0; i < features; i++) {
      const ai = rows[a + i];
      const bi = rows[b + i];
      const ci = rows[c + i];
      const di = rows[d + i];
      for (let j = 0; j <= i; j++, p++) {
        packed[p] += ai * rows[a + j] + bi * rows[b + j] + (ci * rows[c + j] + di * rows[d + j]);
      }
    }
  }
  for (; row < count; row++) {
    const a = row * features;
    for (let i = 0, p = 0; i < features; i++) {
      const ai = rows[a + i];
      for (let j = 0; j <= i; j++, p++) packed[p] += ai * rows[a + j];
    }
  }
}
