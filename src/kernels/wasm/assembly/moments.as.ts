// Packed lower triangle += X^T X, from column tiles (pack.as.ts), in small blocks held in registers.
import { TILE_ROWS } from './pack.as';
import { addTileProduct, COLUMN_BLOCK, multiplyTilesFloat32, PRODUCT, SPREAD, spreadTile } from './tile-product.as';
import { addScaled, get } from './vector.as';

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

/**
 * packed[i][j] += sum over `count` rows of x[i] x[j], for j <= i < features. Tiles of four float64 columns or, `narrow`,
 * of eight float32 ones: twice as fast, see multiplyTilesFloat32.
 */
export function addOuterProducts(tiles: usize, count: i32, features: i32, packed: usize, narrow: bool): void {
  const logWidth = narrow ? 3 : 2;
  for (let block = 0; block < features; block += COLUMN_BLOCK) {
    for (let i = block; i < features; i += 4) {
      const left = tiles + <usize>(i >> logWidth) * TILE_BYTES;
      if (!narrow) spreadTile(left, 32, count, SPREAD);
      const stop = min<i32>(block + COLUMN_BLOCK, i + 4);
      for (let j = block; j < stop; j += 1 << logWidth) {
        const right = tiles + <usize>(j >> logWidth) * TILE_BYTES;
        if (narrow) multiplyTilesFloat32(left + (<usize>(i & 4) << 2), right, count);
        else {
          memory.fill(PRODUCT, 0, 128);
          addTileProduct(SPREAD, right, 32, count, PRODUCT, 32, 4);
        }
        addBlock(packed, features, i, j, 1 << logWidth);
      }
    }
  }
}

/** packed += x x^T for one float64 row. */
export function addOuterProduct(row: usize, features: i32, packed: usize): void {
  for (let i = 0; i < features; i++) addScaled(packedRow(packed, i), get(row, i), row, i + 1);
}
