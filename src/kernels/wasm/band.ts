import type { OfferWork } from '../numeric-kernels.js';
import type { Scratch, WasmBuild } from './memory.js';

/*
 * Symmetric matrix -> band -> tridiagonal matrix, in the module's memory: the two stages are band-reduction.as.ts and
 * bulge-chasing.as.ts, and what is done between them stands here. BAND, which each build of the kernels has its own of, is the
 * number of couplings on either side of the band's diagonal.
 */

/** Bytes of the work area of both stages; the band takes the place of the first stage's vectors. */
export function bandWork({ BAND }: WasmBuild, size: number): number {
  const vectors = 11 * BAND * (size + 48);
  const squares = 24 * BAND * BAND;
  return (vectors + squares) * 8;
}

/** Bytes of the place where threads meet: see turns.as.ts. */
export function meetingBytes({ BAND }: WasmBuild, size: number): number {
  return 128 + 64 * Math.ceil(size / BAND);
}

/** Where a matrix and the results lie in the memory: addresses in bytes. */
interface Addresses {
  readonly size: number;
  /** Bytes per row of the matrix. */
  readonly stride: number;
  readonly matrix: number;
  readonly diagonal: number;
  readonly offDiagonal: number;
  readonly work: number;
  readonly meeting: number;
}

/** Reduces the matrix to a band and that to tridiagonal form, with the same eigenvalues; destroys the matrix. */
export function tridiagonalizeByBand(scratch: Scratch, at: Addresses, offer?: OfferWork): void {
  const { buffer, build, exports } = scratch;
  const { BAND } = build;
  // Numbers from an entry of the band to the one below it, in the same column: a row has room for its band and a bulge left of it.
  const stride = 3 * BAND;
  const { size, matrix, diagonal, offDiagonal, work, meeting } = at;
  new Uint8Array(buffer, meeting, meetingBytes(build, size)).fill(0);
  offer?.({ memory: scratch.memory, matrix, size, stride: at.stride, work, meeting });
  exports.reduceToBand(matrix, size, at.stride, work, meeting);
  const memory = new Float64Array(buffer);
  // Behind the vectors that chaseBulges works with come 2 BAND rows of zeros, then the band.
  const zeros = work / 8 + 6 * BAND;
  const origin = zeros + 2 * BAND * (stride + 1);
  memory.fill(0, zeros, origin + size * (stride + 1));
  for (let i = 0; i < size; i++) {
    for (let j = Math.max(0, i - BAND); j <= i; j++) {
      const entry = memory[(matrix + i * at.stride) / 8 + j];
      memory[origin + i * stride + j] = entry;
      memory[origin + j * stride + i] = entry;
    }
  }
  exports.chaseBulges(origin * 8, size, stride * 8, diagonal, offDiagonal, work);
}
