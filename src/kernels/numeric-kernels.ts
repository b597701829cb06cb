/** Rows of samples as a kernel reads them. */
export type Rows = Float32Array | Float64Array;

/**
 * What is known of a stream of rows: their number, their mean and their scatter about that mean.
 *
 * The scatter is always centred (merged batch by batch, Chan, Golub & LeVeque 1983, "Algorithms for computing the
 * sample variance", eq. 2.1), so neither a mean far from zero nor a drifting one cancels digits.
 */
export interface MomentSums {
  readonly features: number;
  /** Rows used. */
  count: number;
  /**
   * The first finite row. Means are kept relative to it, which makes a feature that never varies exactly zero
   * everywhere instead of zero up to rounding.
   */
  readonly shift: Float64Array;
  /** Mean of the rows minus `shift`. */
  readonly offset: Float64Array;
  /** Sum of (x - mean)(x - mean)^T over the rows: lower triangle by rows, features * (features + 1) / 2 numbers. */
  readonly scatter: Float64Array;
}

/** A symmetric matrix of size x size numbers, of which only the lower triangle is read. */
export interface SymmetricMatrix {
  readonly size: number;
  readonly entries: Float64Array;
  /** True: the lower triangle by rows. False: size x size, row-major. */
  readonly packed: boolean;
}

/** Eigenvalues, descending, with one eigenvector of unit length per eigenvalue. */
export interface SymmetricEigen {
  /** Descending; not clipped, so a covariance may show tiny negative values from rounding. */
  readonly values: Float64Array;
  /** Row k (size numbers from k * size) is the eigenvector of `values[k]`. */
  readonly vectors: Float64Array;
}

/** The two hot loops of this package, in WebAssembly or in TypeScript. */
export interface NumericKernels {
  readonly name: 'wasm' | 'typescript';
  /**
   * Adds `count` rows, starting at row `first` of `rows`, to the moments. Rows with a NaN or an Infinity are left
   * out. `moments.shift` must hold a finite row already. Returns the number of rows left out.
   *
   * @param float32Products float32 rows, centred, may be multiplied in float32 and summed so for 32 rows: twice as fast,
   *   within 1e-7 of the largest eigenvalue whatever the mean. A kernel may always do better.
   */
  addRows(moments: MomentSums, rows: Rows, first: number, count: number, float32Products?: boolean): number;
  /** packed (lower triangle by rows) += sum of x x^T over `count` rows of `features` numbers, as they are. */
  addOuterProducts(packed: Float64Array, rows: Float64Array, count: number, features: number): void;
  /** Eigenvalues, descending. Throws RangeError when an entry of the lower triangle is NaN or infinite. */
  eigenvalues(matrix: SymmetricMatrix): Float64Array;
  /** Eigenvalues and eigenvectors. Throws as `eigenvalues` does. */
  eigen(matrix: SymmetricMatrix): SymmetricEigen;
}

/** Where row `row` of a symmetric matrix starts among its entries. */
export function rowStart(matrix: SymmetricMatrix, row: number): number {
  return matrix.packed ? (row * (row + 1)) / 2 : row * matrix.size;
}
