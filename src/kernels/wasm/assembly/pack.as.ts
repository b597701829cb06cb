// Rows of samples -> column tiles of 32 bytes per row, centered in float64: four float64 columns or eight float32 ones.

/** Rows a tile has room for: a block of 192 and one more for the merge of the means. An odd number, so that the same
 * row of neighboring tiles does not fall into the same set of the cache. */
export const TILE_ROWS: i32 = 193;
/** Rows packed together: as many as an 8-way first-level cache holds when their distance is a power of two. */
const STRIPE: i32 = 8;

// @ts-ignore: decorator
@inline
function loadLow<T>(at: usize): v128 {
  if (sizeof<T>() == 4) return f64x2.promote_low_f32x4(v128.load64_zero(at));
  return v128.load(at);
}

// @ts-ignore: decorator
@inline
function loadHigh<T>(at: usize): v128 {
  if (sizeof<T>() == 4) return f64x2.promote_low_f32x4(v128.load64_zero(at, 8));
  return v128.load(at, 16);
}

/** sums[j] = sum over the rows of (x[j] - shift[j]). Any NaN or Infinity in the rows makes a sum NaN or infinite. */
function sumColumns<T>(rows: usize, count: i32, features: i32, shift: usize, sums: usize): void {
  const stride = <usize>features * sizeof<T>();
  const whole = features & ~3;
  memory.fill(sums, 0, <usize>features << 3);
  for (let r = 0; r < count; r++) {
    let at = rows + <usize>r * stride;
    let s = sums, m = shift;
    const end = sums + (<usize>whole << 3);
    for (; s < end; s += 32, m += 32, at += 4 * sizeof<T>()) {
      v128.store(s, f64x2.add(v128.load(s), f64x2.sub(loadLow<T>(at), v128.load(m))));
      v128.store(s, f64x2.add(v128.load(s, 16), f64x2.sub(loadHigh<T>(at), v128.load(m, 16))), 16);
    }
    for (let j = whole; j < features; j++, s += 8, m += 8, at += sizeof<T>()) {
      store<f64>(s, load<f64>(s) + (<f64>load<T>(at) - load<f64>(m)));
    }
  }
}

/**
 * tiles[j / w][first + r][j % w] = x[r][j] - center[j], w = 4 columns of float64 or, `narrow`, 8 of float32.
 * Columns beyond the last are whatever follows in the memory (at most 64 bytes are read there); nothing is made of them.
 */
function pack<T>(
  rows: usize, count: i32, features: i32, center: usize, tiles: usize, first: i32, narrow: bool,
): void {
  const stride = <usize>features * sizeof<T>();
  const logWidth = narrow ? 3 : 2;
  const inTile = (1 << logWidth) - 1;
  const padded = (features + inTile) & ~inTile;
  for (let r0 = 0; r0 < count; r0 += STRIPE) {
    const size = min<i32>(STRIPE, count - r0);
    for (let j = 0; j < padded; j += 4) {
      let from = rows + <usize>r0 * stride + <usize>j * sizeof<T>();
      let to = tiles + (<usize>((j >> logWidth) * TILE_ROWS + first + r0) << 5) + (<usize>(j & inTile) << 2);
      const c = center + (<usize>j << 3);
      const low = v128.load(c), high = v128.load(c, 16);
      for (let r = 0; r < size; r++, from += stride, to += 32) {
        const x = f64x2.sub(loadLow<T>(from), low), y = f64x2.sub(loadHigh<T>(from), high);
        if (narrow) {
          v128.store64_lane(to, f32x4.demote_f64x2_zero(x), 0);
          v128.store64_lane(to, f32x4.demote_f64x2_zero(y), 0, 8);
        } else {
          v128.store(to, x);
          v128.store(to, y, 16);
        }
      }
    }
  }
}

export function sumColumnsFloat32(rows: usize, count: i32, features: i32, shift: usize, sums: usize): void {
  sumColumns<f32>(rows, count, features, shift, sums);
}

export function sumColumnsFloat64(rows: usize, count: i32, features: i32, shift: usize, sums: usize): void {
  sumColumns<f64>(rows, count, features, shift, sums);
}

export function packFloat32(
  rows: usize, count: i32, features: i32, center: usize, tiles: usize, first: i32, narrow: bool,
): void {
  pack<f32>(rows, count, features, center, tiles, first, narrow);
}

export function packFloat64(rows: usize, count: i32, features: i32, center: usize, tiles: usize, first: i32): void {
  pack<f64>(rows, count, features, center, tiles, first, false);
}
