// Packed lower triangle += X^T X, from column tiles (pack.as.ts), in small blocks held in registers.
import { TILE_ROWS } from './pack.as';
import { multiplyTiles, multiplyTilesFloat32, PRODUCT } from './tile-product.as';
import { addScaled, get } from './vector.as';

/** Columns whose tiles stay in the second-level cache while all rows of the product pass by: 64 x 193 x 8 = 97 KB. */
const COLUMN_BLOCK: i32 = 64;
const TILE_BYTES: usize = <usize>TILE_ROWS << 5;

/** Address of entry (row, 0) of the packed triangle. */
// @ts-ignore: decorator
@inline
function packedRow(packed: usize, row: i32): usize {
  return packed + ((<usize>row * <usize>(row + 1)) << 2);
}

/** packed[i + q][j + c] += PRODUCT[q][c] for four rows q and `width` columns c, as far as the triangle has them. */
function addBlock(packed: usize, features: i32, i: i32, j: i32, width: i32): void {
  const rows = min<i32>(4, features - i);
  for (let q = 0; q < rows; q++) {
    const from = PRODUCT + (<usize>(q * width) << 3);
    addScaled(packedRow(packed, i + q) + (<usize>j << 3), 1, from, min<i32>(width, i + q + 1 - j));
  }
}

/** packed[i][j] += sum over `count` rows of x[i] x[j], for j <= i < features; tiles of four float64 columns. */
export function addOuterProducts(tiles: usize, count: i32, features: i32, packed: usize): void {
  for (let block = 0; block < features; block += COLUMN_BLOCK) {
    for (let i = block; i < features; i += 4) {
      const left = tiles + <usize>(i >> 2) * TILE_BYTES;
      const stop = min<i32>(block + COLUMN_BLOCK, i + 4);
      for (let j = block; j < stop; j += 4) {
        multiplyTiles(left, tiles + <usize>(j >> 2) * TILE_BYTES, count);
        addBlock(packed, features, i, j, 4);
      }
    }
  }
}

/** The same from tiles of eight float32 columns: twice as fast, see multiplyTilesFloat32. */
export function addOuterProductsFloat32(tiles: usize, count: i32, features: i32, packed: usize): void {
  for (let block = 0; block < features; block += COLUMN_BLOCK) {
    for (let i = block; i < features; i += 4) {
      const left = tiles + <usize>(i >> 3) * TILE_BYTES + (<usize>(i & 4) << 2);
      const stop = min<i32>(block + COLUMN_BLOCK, i + 4);
      for (let j = block; j < stop; j += 8) {
        multiplyTilesFloat32(left, tiles + <usize>(j >> 3) * TILE_BYTES, count);
        addBlock(packed, features, i, j, 8);
      }
    }
  }
}

/** packed += x x^T for one float64 row. */
export function addOuterProduct(row: usize, features: i32, packed: usize): void {
  for (let i = 0; i < features; i++) addScaled(packedRow(packed, i), get(row, i), row, i + 1);
}
