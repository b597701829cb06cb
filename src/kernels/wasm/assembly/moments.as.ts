// Packed lower triangle += X^T X, from column tiles (pack.as.ts), in small blocks held in registers.
import { TILE_ROWS } from './pack.as';
import {
  COLUMN_BLOCK, HEIGHT, multiplyTiles, multiplyTilesFloat32, PRODUCT, SPREAD, spreadPair, spreadPairFloat32,
} from './tile-product.as';
import { addScaled, get } from './vector.as';

const TILE_BYTES: usize = <usize>TILE_ROWS << 5;

/** Address of entry (row, 0) of the packed triangle. */
// @ts-ignore: decorator
@inline
function packedRow(packed: usize, row: i32): usize {
  return packed + ((<usize>row * <usize>(row + 1)) << 2);
}

/** packed[i + q][j + c] += PRODUCT[q][c] for HEIGHT rows q and `width` columns c, as far as the triangle has them. */
function addBlock(packed: usize, features: i32, i: i32, j: i32, width: i32): void {
  const rows = min<i32>(HEIGHT, features - i);
  let from = PRODUCT, to = packedRow(packed, i) + (<usize>j << 3);
  for (let q = i; q < i + rows; to += <usize>(q + 1) << 3, q++) {
    const end = from + (<usize>width << 3);
    if (q + 1 < j + width) {
      addScaled(to, 1, from, q + 1 - j);
      from = end;
      continue;
    }
    for (let at = to; from < end; from += 32, at += 32) {
      v128.store(at, f64x2.add(v128.load(at), v128.load(from)));
      v128.store(at, f64x2.add(v128.load(at, 16), v128.load(from, 16)), 16);
    }
  }
}

/** SPREAD = columns i to i + HEIGHT; those beyond the last are whatever follows, of at most one more tile. */
function spreadColumns(tiles: usize, i: i32, count: i32, narrow: bool): void {
  for (let pair = i, to = SPREAD; pair < i + HEIGHT; pair += 2, to += 32) {
    if (narrow) {
      const from = tiles + <usize>(pair >> 3) * TILE_BYTES + (<usize>(pair & 7) << 2);
      spreadPairFloat32(from, 32, count, to);
    } else {
      const from = tiles + <usize>(pair >> 2) * TILE_BYTES + (<usize>(pair & 3) << 3);
      spreadPair(from, 32, count, to);
    }
  }
}

/**
 * packed[i][j] += sum over `count` rows of x[i] x[j], for j <= i < features. Tiles of four float64 columns or, `narrow`,
 * of eight float32 ones: twice as fast, see multiplyTilesFloat32.
 */
export function addOuterProducts(tiles: usize, count: i32, features: i32, packed: usize, narrow: bool): void {
  const logWidth = narrow ? 3 : 2;
  for (let block = 0; block < features; block += COLUMN_BLOCK) {
    for (let i = block; i < features; i += HEIGHT) {
      let left = SPREAD;
      if (narrow && HEIGHT == 4) left = tiles + <usize>(i >> 3) * TILE_BYTES + (<usize>(i & 4) << 2);
      else spreadColumns(tiles, i, count, narrow);
      const stop = min<i32>(block + COLUMN_BLOCK, i + HEIGHT);
      for (let j = block; j < stop; j += 1 << logWidth) {
        const right = tiles + <usize>(j >> logWidth) * TILE_BYTES;
        if (narrow) multiplyTilesFloat32(left, right, count);
        else multiplyTiles(left, right, 32, count);
        addBlock(packed, features, i, j, 1 << logWidth);
      }
    }
  }
}

/** packed += x x^T for one float64 row. */
export function addOuterProduct(row: usize, features: i32, packed: usize): void {
  for (let i = 0; i < features; i++) addScaled(packedRow(packed, i), get(row, i), row, i + 1);
}
