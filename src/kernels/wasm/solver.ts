import type { OfferWork } from '../numeric-kernels.js';
import { largestEntry, rowStart, type SymmetricMatrix, scaleFor } from '../symmetric.js';
import { bandWork, meetingBytes, tridiagonalizeByBand } from './band.js';
import { Layout, type Scratch } from './memory.js';

/** A symmetric matrix in the module's memory, scaled to a harmless magnitude and reduced to tridiagonal form. */
export class Solver {
  /** By what the matrix was multiplied; divide the eigenvalues by it. */
  readonly scale: number;
  readonly #scratch: Scratch;
  readonly #size: number;
  readonly #stride: number;
  readonly #at: Record<
    'diagonal' | 'offDiagonal' | 'tau' | 'work' | 'meeting' | 'matrix' | 'vectors' | 'ranges' | 'rotations',
    number
  >;

  /**
   * @param aim What is to be found. 'valuesByBand' reduces in two stages, which is faster beyond the size of the cache.
   * @param offer for 'valuesByBand' in shared memory: see NumericKernels.eigenvalues
   */
  constructor(
    scratch: Scratch,
    matrix: SymmetricMatrix,
    aim: 'values' | 'valuesByBand' | 'vectors',
    offer?: OfferWork,
  ) {
    const byBand = aim === 'valuesByBand';
    const { size, entries } = matrix;
    this.scale = scaleFor(largestEntry(matrix));
    this.#scratch = scratch;
    this.#size = size;
    this.#stride = strideOf(size);
    const layout = new Layout();
    const diagonal = layout.take(size * 8);
    const offDiagonal = layout.take(size * 8);
    const tau = layout.take(size * 8);
    const work = layout.take(byBand ? bandWork(scratch.build, size) : 4 * (size + 8) * 8);
    const meeting = layout.take(byBand ? meetingBytes(scratch.build, size) : 0);
    const at = layout.take(size * this.#stride);
    const sweeps = aim === 'vectors' ? scratch.build.COLLECTED_SWEEPS : 0;
    const vectors = layout.take(sweeps > 0 ? (size + 3) * this.#stride : 0);
    const ranges = layout.take(sweeps * 2 * 8);
    const rotations = layout.take(sweeps * 2 * 8 * size);
    this.#at = { diagonal, offDiagonal, tau, work, meeting, matrix: at, vectors, ranges, rotations };
    const memory = new Float64Array(scratch.reserve(layout.bytes));
    for (let i = 0; i < size; i++) {
      const start = rowStart(matrix, i);
      const target = (at + i * this.#stride) / 8;
      memory.set(entries.subarray(start, start + i + 1), target);
      if (this.scale !== 1) for (let j = target; j <= target + i; j++) memory[j] *= this.scale;
    }
    memory[offDiagonal / 8 + size - 1] = 0;
    const { exports } = scratch;
    if (byBand) tridiagonalizeByBand(scratch, { size, stride: this.#stride, ...this.#at }, offer);
    else exports.tridiagonalize(at, size, this.#stride, diagonal, offDiagonal, tau, work);
  }

  /** The eigenvalues of the scaled matrix, in no particular order. */
  values(): Float64Array {
    const { diagonal, offDiagonal } = this.#at;
    if (!this.#scratch.exports.ql(diagonal, offDiagonal, this.#size, 0, 0, 0, 0)) throw notConverged();
    return new Float64Array(this.#scratch.buffer, diagonal, this.#size).slice();
  }

  /** The eigenvalues of the scaled matrix, in no particular order, and the eigenvectors by rows in the same order. */
  valuesAndVectors(): { diagonal: Float64Array; vectors: Float64Array } {
    const { diagonal, offDiagonal, tau, matrix, vectors, ranges, rotations } = this.#at;
    const size = this.#size;
    const stride = this.#stride;
    const { exports } = this.#scratch;
    exports.reflectorRows(matrix, size, stride, tau, vectors);
    if (!exports.ql(diagonal, offDiagonal, size, vectors, stride, rotations, ranges)) throw notConverged();
    const memory = this.#scratch.buffer;
    const rows = new Float64Array(size * size);
    for (let i = 0; i < size; i++) rows.set(new Float64Array(memory, vectors + i * this.#stride, size), i * size);
    return { diagonal: new Float64Array(memory, diagonal, size).slice(), vectors: rows };
  }
}

/** Bytes per row: an odd number of cache lines, so that a column of the matrix is not mapped to few sets of a cache. */
function strideOf(size: number): number {
  return (((size + 7) >> 3) | 1) * 64;
}

function notConverged(): Error {
  return new Error('The eigenvalue iteration did not converge; please report the matrix.');
}
