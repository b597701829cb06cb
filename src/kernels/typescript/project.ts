import type { Directions, Projection } from '../projection.js';

/** TypeScript twin of the WebAssembly projection: see NumericKernels.project. */
export function project(rows: Float32Array, count: number, on: Directions): Projection {
  const { features, rank, vectors, shift } = on;
  const products = new Float64Array(count * rank);
  const sums = new Float64Array(features);
  const centered = new Float64Array(features);
  let squares = 0;
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < features; c++) {
      const x = rows[i * features + c] - shift[c];
      centered[c] = x;
      sums[c] += x;
      squares += x * x;
    }
    for (let j = 0; j < rank; j++) {
      let product = 0;
      for (let c = 0, at = j * features; c < features; c++, at++) product += centered[c] * vectors[at];
      products[i * rank + j] = product;
    }
  }
  return { products, sums, squares };
}
