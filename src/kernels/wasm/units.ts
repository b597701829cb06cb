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
