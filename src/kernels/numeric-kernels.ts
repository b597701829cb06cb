import type { KernelsName, MomentSums, Rows } from './moments.js';
import type { Directions, Projection } from './projection.js';
import type { SymmetricEigen, SymmetricMatrix } from './symmetric.js';
import type { UnitSums } from './units.js';

/** Work on a matrix in memory that threads share: addresses in bytes, `stride` bytes per row. It travels between threads. */
export interface SharedWork {
  readonly memory: WebAssembly.Memory;
  readonly matrix: number;
  readonly size: number;
  readonly stride: number;
  readonly work: number;
  readonly meeting: number;
}

/** Learns of work when it begins; it is done when `eigenvalues` returns. */
export type OfferWork = (work: SharedWork) => void;

/**
 * The two hot loops of this package: sums over rows of samples, and eigenvalues of symmetric matrices. wasm/ and
 * typescript/ both implement them; kernels.ts chooses.
 */
export interface NumericKernels {
  /** Which implementation this is. */
  readonly name: KernelsName;
  /**
   * Adds `count` rows, starting at row `first` of `rows`, to the moments. Rows with a NaN or an Infinity are left
   * out. `moments.shift` must hold a finite row already. Returns the number of rows left out.
   *
   * @param float32Products whether float32 rows, once centered, may be multiplied in float32 and summed in float32 for 32
   *   rows: twice as fast, within 1e-7 of the largest eigenvalue whatever the mean. A kernel may always be more precise.
   */
  addRows(moments: MomentSums, rows: Rows, first: number, count: number, float32Products?: boolean): number;
  /** packed (lower triangle by rows) += sum of x x^T over `count` rows of `features` numbers, as they are. */
  addOuterProducts(packed: Float64Array, rows: Float64Array, count: number, features: number): void;
  /** Projects the first `count` rows on directions, in float32 with float64 sums of 512 products each. A kernel may be more precise. */
  project(rows: Float32Array, count: number, on: Directions): Projection;
  /** Adds the first `count` rows to sums per unit. Rows with a NaN or an Infinity are left out. */
  addUnits(sums: UnitSums, rows: Rows, count: number): void;
  /**
   * The sum of the rows of each class, in float64: classes x features, row-major. A NaN or an Infinity makes a sum NaN or infinite.
   *
   * @param labels the class of each row, below `classes`; there is one at least
   */
  sumByClass(rows: Float32Array, labels: Int32Array, classes: number): Float64Array;
  /**
   * Eigenvalues, descending. Throws RangeError if an entry of the lower triangle is NaN or infinite.
   *
   * @param offer is told of work that a second thread can share, where the matrix is large enough and memory can be shared
   */
  eigenvalues(matrix: SymmetricMatrix, offer?: OfferWork): Float64Array;
  /**
   * Does a part of work that another thread with the same kernels has offered, until that is done; changes no bit of it.
   *
   * @returns how many parts it did; 0 if it came too late
   */
  assist(work: SharedWork): number;
  /** Eigenvalues and eigenvectors. Throws as `eigenvalues` does. */
  eigen(matrix: SymmetricMatrix): SymmetricEigen;
}
