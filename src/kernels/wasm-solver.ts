import { rowStart, type SymmetricMatrix } from './numeric-kernels.js';
import { largestEntry, scaleFor } from './scaling.js';
import { Layout, type Scratch } from './wasm-memory.js';

/** From this size on the reduction works in panels, until PANELS_KEEP rows remain, which stay in the cache. */
const PANELS_FROM = 1024;
const PANELS_KEEP = 512;
/** Vectors that a panel of 32 reflectors works with: V and W, two more, and two packed copies of both. */
const PANEL_VECTORS = 2 * 32 + 2 + 4 * 32;
/** Sweeps that ql.as.ts collects. */
const COLLECTED_SWEEPS = 32;
/** A symmetric matrix in the module's memory, scaled to a harmless magnitude. */
export class Solver {
  readonly scale: number;
  readonly #scratch: Scratch;
  readonly #size: number;
  readonly #stride: number;
  readonly #at: { diagonal: number; offDiagonal: number; tau: number; work: number; matrix: number; vectors: number };

  constructor(scratch: Scratch, matrix: SymmetricMatrix, withVectors = false) {
    const { size, entries } = matrix;
    this.scale = scaleFor(largestEntry(matrix));
    this.#scratch = scratch;
    this.#size = size;
    this.#stride = strideOf(size);
    const layout = new Layout();
    const diagonal = layout.take(size * 8);
    const offDiagonal = layout.take(size * 8);
    const tau = layout.take(size * 8);
    const work = layout.take((size >= PANELS_FROM ? PANEL_VECTORS : 4) * (size + 8) * 8);
    const at = layout.take(size * this.#stride);
    this.#at = { diagonal, offDiagonal, tau, work, matrix: at, vectors: layout.bytes };
    // The rows of vectors, ranges and rotations, behind one another.
    const vectorBytes = (size + 3) * this.#stride + COLLECTED_SWEEPS * 2 * 8 * (size + 1);
    const memory = new Float64Array(scratch.reserve(layout.bytes + (withVectors ? vectorBytes : 0)));
    for (let i = 0; i < size; i++) {
      const start = rowStart(matrix, i);
      const target = (at + i * this.#stride) / 8;
      memory.set(entries.subarray(start, start + i + 1), target);
      if (this.scale !== 1) for (let j = target; j <= target + i; j++) memory[j] *= this.scale;
    }
    memory[offDiagonal / 8 + size - 1] = 0;
    this.#tridiagonalize();
  }

  values(): Float64Array {
    const { diagonal, offDiagonal } = this.#at;
    if (!this.#scratch.exports.qlEigenvalues(diagonal, offDiagonal, this.#size)) throw notConverged();
    return new Float64Array(this.#scratch.buffer, diagonal, this.#size).slice();
  }

  valuesAndVectors(): { diagonal: Float64Array; vectors: Float64Array } {
    const { diagonal, offDiagonal, tau, matrix, vectors } = this.#at;
    const size = this.#size;
    const stride = this.#stride;
    const ranges = vectors + (size + 3) * stride;
    const rotations = ranges + COLLECTED_SWEEPS * 2 * 8;
    const { exports } = this.#scratch;
    exports.reflectorRows(matrix, size, stride, tau, vectors);
    if (!exports.qlEigenvectors(diagonal, offDiagonal, size, vectors, stride, rotations, ranges)) throw notConverged();
    const memory = this.#scratch.buffer;
    const rows = new Float64Array(size * size);
    for (let i = 0; i < size; i++) rows.set(new Float64Array(memory, vectors + i * this.#stride, size), i * size);
    return { diagonal: new Float64Array(memory, diagonal, size).slice(), vectors: rows };
  }

  #tridiagonalize(): void {
    const { diagonal, offDiagonal, tau, work, matrix } = this.#at;
    const { exports } = this.#scratch;
    const size = this.#size;
    let rest = size;
    if (size >= PANELS_FROM) {
      rest = exports.reducePanels(matrix, size, this.#stride, diagonal, offDiagonal, tau, work, PANELS_KEEP);
    }
    exports.tridiagonalize(matrix, rest, this.#stride, diagonal, offDiagonal, tau, work);
  }
}

/** Bytes per row: an odd number of cache lines, so that a column of the matrix does not fall into few sets of a cache. */
function strideOf(size: number): number {
  return (((size + 7) >> 3) | 1) * 64;
}

function notConverged(): Error {
  return new Error('The eigenvalue iteration did not converge; please report the matrix.');
}
