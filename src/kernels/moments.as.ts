// Packed lower triangle += X^T X, from column tiles (pack.as.ts), in 4 x 4 blocks held in registers.
import { TILE_ROWS } from './pack.as';

/** Columns whose tiles stay in the second-level cache while all rows of the product pass by: 64 x 193 x 8 = 97 KB. */
const COLUMN_BLOCK: i32 = 64;

// @ts-ignore: decorator
@inline
function addPair(at: usize, pair: v128): void {
  v128.store(at, f64x2.add(v128.load(at), pair));
}

// @ts-ignore: decorator
@inline
function addFirst(at: usize, pair: v128): void {
  store<f64>(at, load<f64>(at) + f64x2.extract_lane(pair, 0));
}

/** Address of entry (row, 0) of the packed triangle. */
// @ts-ignore: decorator
@inline
function packedRow(packed: usize, row: i32): usize {
  return packed + ((<usize>row * <usize>(row + 1)) << 2);
}

/** packed[i][j] += sum over `count` rows of x[i] x[j], for j <= i < features. */
export function addOuterProducts(tiles: usize, count: i32, features: i32, packed: usize): void {
  const tileBytes = <usize>TILE_ROWS << 5;
  for (let block = 0; block < features; block += COLUMN_BLOCK) {
    for (let i = block; i < features; i += 4) {
      const left = tiles + <usize>(i >> 2) * tileBytes;
      const end = left + (<usize>count << 5);
      const stop = min<i32>(block + COLUMN_BLOCK, i + 4);
      for (let j = block; j < stop; j += 4) {
        let l = left;
        let r = tiles + <usize>(j >> 2) * tileBytes;
        let c00 = f64x2.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        while (l < end) {
          const b0 = v128.load(r), b1 = v128.load(r, 16);
          let a = v128.load64_splat(l);
          c00 = f64x2.add(c00, f64x2.mul(a, b0));
          c01 = f64x2.add(c01, f64x2.mul(a, b1));
          a = v128.load64_splat(l, 8);
          c10 = f64x2.add(c10, f64x2.mul(a, b0));
          c11 = f64x2.add(c11, f64x2.mul(a, b1));
          a = v128.load64_splat(l, 16);
          c20 = f64x2.add(c20, f64x2.mul(a, b0));
          c21 = f64x2.add(c21, f64x2.mul(a, b1));
          a = v128.load64_splat(l, 24);
          c30 = f64x2.add(c30, f64x2.mul(a, b0));
          c31 = f64x2.add(c31, f64x2.mul(a, b1));
          l += 32;
          r += 32;
        }
        const column = <usize>j << 3;
        const rows = features - i;
        let at = packedRow(packed, i) + column;
        if (i != j) {
          addPair(at, c00);
          addPair(at + 16, c01);
          if (rows > 1) {
            at = packedRow(packed, i + 1) + column;
            addPair(at, c10);
            addPair(at + 16, c11);
          }
          if (rows > 2) {
            at = packedRow(packed, i + 2) + column;
            addPair(at, c20);
            addPair(at + 16, c21);
          }
          if (rows > 3) {
            at = packedRow(packed, i + 3) + column;
            addPair(at, c30);
            addPair(at + 16, c31);
          }
        } else {
          // On the diagonal row i + q has q + 1 entries here.
          addFirst(at, c00);
          if (rows > 1) addPair(packedRow(packed, i + 1) + column, c10);
          if (rows > 2) {
            at = packedRow(packed, i + 2) + column;
            addPair(at, c20);
            addFirst(at + 16, c21);
          }
          if (rows > 3) {
            at = packedRow(packed, i + 3) + column;
            addPair(at, c30);
            addPair(at + 16, c31);
          }
        }
      }
    }
  }
}
