import type { Rows } from '../moments.js';
import type { UnitSums } from '../units.js';
import { Layout, type Scratch } from './memory.js';
import { BLOCK_ROWS } from './moments.js';

/** Adds rows to sums per unit: see NumericKernels.addUnits. */
export function addUnits(scratch: Scratch, sums: UnitSums, rows: Rows, count: number): void {
  const features = sums.absolute.length;
  const layout = new Layout();
  const at = { counts: layout.take(4 * 8), absolute: layout.take(features * 8), nonzero: layout.take(features * 8) };
  const size = Math.min(count, BLOCK_ROWS);
  const block = layout.take(size * features * 8);
  const buffer = scratch.reserve(layout.bytes);
  const parts = (['counts', 'absolute', 'nonzero'] as const).map((name) => {
    return { part: sums[name], held: new Float64Array(buffer, at[name], sums[name].length) };
  });
  for (const { part, held } of parts) held.set(part);
  const held = new Float64Array(buffer, block, size * features);
  for (let done = 0; done < count; done += size) {
    const used = Math.min(size, count - done);
    held.set(rows.subarray(done * features, (done + used) * features));
    scratch.exports.addUnits(block, used, features, at.absolute, at.nonzero, at.counts);
  }
  for (const { part, held } of parts) part.set(held);
}

/** Sums rows by class: see NumericKernels.sumByClass. */
export function sumByClass(scratch: Scratch, rows: Float32Array, labels: Int32Array, classes: number): Float64Array {
  const features = rows.length / labels.length;
  const layout = new Layout();
  const [sums, classOf, held] = [
    layout.take(classes * features * 8),
    layout.take(labels.length * 4),
    layout.take(rows.length * 4),
  ];
  const buffer = scratch.reserve(layout.bytes);
  const result = new Float64Array(buffer, sums, classes * features).fill(0);
  new Int32Array(buffer, classOf, labels.length).set(labels);
  new Float32Array(buffer, held, rows.length).set(rows);
  scratch.exports.addByClass(held, labels.length, features, classOf, sums);
  return result.slice();
}
