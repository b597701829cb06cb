import { newMoments, packedLength } from '../kernels/moments.js';
import type { MomentSums, Rows } from '../kernels/numeric-kernels.js';

/** What a CovarianceAccumulator consists of. */
export interface AccumulatorState {
  features: number;
  rejected: number;
  moments: MomentSums | undefined;
  /** Rows not yet folded into the moments. */
  rows: Rows | undefined;
}

/*
 * Layout, little-endian. Header of 40 bytes: 8 bytes of ASCII "dtbcov01", then float64 features, rejected, and count
 * (0: no moments), uint32 pending rows, uint32 bytes per number of those rows (4 or 8). Then, where count > 0, float64
 * shift, offset (features each) and scatter (packed lower triangle); then the pending rows.
 */
const MAGIC = 'dtbcov01';
const HEADER_BYTES = 40;

/** Writes the state in a versioned little-endian format. */
export function encodeAccumulator(state: AccumulatorState): Uint8Array {
  const { features, moments, rows } = state;
  const numbers = moments ? 2 * features + packedLength(features) : 0;
  const bytes = new Uint8Array(HEADER_BYTES + numbers * 8 + (rows ? rows.byteLength : 0));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < MAGIC.length; i++) bytes[i] = MAGIC.charCodeAt(i);
  view.setFloat64(8, features, true);
  view.setFloat64(16, state.rejected, true);
  view.setFloat64(24, moments?.count ?? 0, true);
  view.setUint32(32, rows ? rows.length / features : 0, true);
  view.setUint32(36, rows?.BYTES_PER_ELEMENT ?? 4, true);
  let at = HEADER_BYTES;
  for (const part of moments ? [moments.shift, moments.offset, moments.scatter] : []) {
    for (const x of part) {
      view.setFloat64(at, x, true);
      at += 8;
    }
  }
  if (rows instanceof Float32Array) for (const x of rows) view.setFloat32((at += 4) - 4, x, true);
  else if (rows) for (const x of rows) view.setFloat64((at += 8) - 8, x, true);
  return bytes;
}

/** Reads what encodeAccumulator wrote. RangeError when the bytes are something else or were cut. */
export function decodeAccumulator(bytes: Uint8Array): AccumulatorState {
  const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC || bytes.length < HEADER_BYTES) {
    throw new RangeError(`Expected the bytes of a CovarianceAccumulator, starting with "${MAGIC}".`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const features = view.getFloat64(8, true);
  const count = view.getFloat64(24, true);
  const pending = view.getUint32(32, true);
  const width = view.getUint32(36, true);
  const numbers = count > 0 ? 2 * features + packedLength(features) : 0;
  const expected = HEADER_BYTES + numbers * 8 + pending * features * width;
  if (!Number.isSafeInteger(features) || features < 1 || (width !== 4 && width !== 8) || bytes.length !== expected) {
    throw new RangeError(
      `The bytes of a CovarianceAccumulator are damaged: expected ${expected}, got ${bytes.length}.`,
    );
  }
  let at = HEADER_BYTES;
  let moments: MomentSums | undefined;
  if (count > 0) {
    moments = newMoments(features);
    moments.count = count;
    for (const part of [moments.shift, moments.offset, moments.scatter]) {
      for (let i = 0; i < part.length; i++, at += 8) part[i] = view.getFloat64(at, true);
    }
  }
  let rows: Rows | undefined;
  if (pending > 0) {
    rows = width === 4 ? new Float32Array(pending * features) : new Float64Array(pending * features);
    for (let i = 0; i < rows.length; i++, at += width) {
      rows[i] = width === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true);
    }
  }
  return { features, rejected: view.getFloat64(16, true), moments, rows };
}
