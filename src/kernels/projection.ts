/** What rows of float32 numbers come to that are projected on directions: see NumericKernels.project. */
export interface Projection {
  /** count x rank, row-major: the inner product of each row, less the shift, with each direction. */
  readonly products: Float64Array;
  /** Sum of the rows less the shift, per feature. */
  readonly sums: Float64Array;
  /** Sum of the squares of all numbers less the shift; not finite if one of them is not. */
  readonly squares: number;
}

/** Directions, and what is subtracted from rows before they are projected. */
export interface Directions {
  readonly features: number;
  readonly rank: number;
  /** rank x features, row-major. */
  readonly vectors: Float32Array;
  /** One number per feature. */
  readonly shift: Float32Array;
}
