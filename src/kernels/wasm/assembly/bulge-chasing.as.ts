// Band -> tridiagonal: the second of two stages (Lang 1993, "A parallel algorithm for reducing symmetric banded matrices
// to tridiagonal form", in the blocks of Haidar, Ltaief & Dongarra 2011). From the last row up, a reflector of BAND numbers
// leaves one coupling; the bulge it makes is chased up and out, its worst row by each further reflector.
import { BAND, ROW } from './band-reduction.as';
import { addProducts, multiplyAdd } from './multiply-add.as';
import { makeReflector } from './reflector.as';
import { reflectFour } from './tridiagonal.as';
import { dot, get, set } from './vector.as';

/**
 * band: address of entry (0, 0); entry (i, j) lies i `stride` + 8 j bytes further, for i - j from -BAND to 2 BAND.
 * Diagonal and BAND couplings on either side of it are given, all else is zero, also in 2 BAND rows before the first.
 * work: 6 BAND numbers. Results as tridiagonalize.
 */
export function chaseBulges(
  band: usize, size: i32, stride: usize, diagonal: usize, offDiagonal: usize, work: usize,
): void {
  const u = work + ROW;
  memory.fill(work, 0, ROW);
  for (let r = size - 1; r >= 0; r--) {
    const row = band + <usize>r * stride;
    set(diagonal, r, get(row, r));
    if (r == 0) break;
    let t = makeReflector(row + (<usize>(r - BAND) << 3), BAND, u, offDiagonal + (<usize>(r - 1) << 3));
    for (let end = r; end > 0; end -= BAND) {
      t = chase(band + <usize>(end - BAND) * stride + (<usize>(end - 2 * BAND) << 3), stride, t, u);
    }
  }
}

/**
 * H = I - t u u^T, u behind BAND zeros, on both sides of a diagonal block and from the left on the block before it, where
 * `blocks` begins. The last row of the latter then gets a reflector, u, which is applied from the right. Returns its t.
 */
function chase(blocks: usize, stride: usize, t: f64, u: usize): f64 {
  const z = u + ROW, zd = z + ROW, beta = zd + ROW;
  combineRows(u, blocks, stride, z);
  const correction = 0.5 * t * t * dot(zd, u, BAND);
  for (let i = 0; i < BAND; i++) {
    set(z, i, -t * get(z, i));
    set(zd, i, correction * get(u, i) - t * get(zd, i));
  }
  addTwo(blocks, stride, u, z, zd, u - ROW);
  const last = blocks + <usize>(BAND - 1) * stride;
  const tau = makeReflector(last, BAND, u, beta);
  let at = blocks;
  for (let i = 0; i < BAND; i += 4, at += 4 * stride) reflectFour(at, stride, u, ROW, -tau);
  memory.fill(last, 0, ROW);
  set(last, BAND - 1, load<f64>(beta));
  // What has changed beside the next diagonal block is needed above the diagonal too.
  at = blocks + ROW - 8;
  for (let i = 0; i < BAND; i++, at += stride) set(blocks - stride, BAND + i, load<f64>(at));
  return tau;
}

/** z = u^T of BAND rows of 2 BAND numbers. */
function combineRows(u: usize, rows: usize, stride: usize, z: usize): void {
  for (const end = z + 2 * ROW; z < end; z += 64, rows += 64) {
    let row = rows;
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
    for (let at = u; at < u + ROW; at += 8, row += stride) {
      const f = v128.load64_splat(at);
      s0 = multiplyAdd(s0, f, v128.load(row));
      s1 = multiplyAdd(s1, f, v128.load(row, 16));
      s2 = multiplyAdd(s2, f, v128.load(row, 32));
      s3 = multiplyAdd(s3, f, v128.load(row, 48));
    }
    v128.store(z, s0);
    v128.store(z, s1, 16);
    v128.store(z, s2, 32);
    v128.store(z, s3, 48);
  }
}

/** Row i += f[i] p + g[i] q, for BAND rows of 2 BAND numbers, four at a time. */
function addTwo(rows: usize, stride: usize, f: usize, p: usize, g: usize, q: usize): void {
  for (const end = f + ROW; f < end; f += 32, g += 32, rows += 4 * stride) {
    const f0 = v128.load64_splat(f), f1 = v128.load64_splat(f, 8);
    const f2 = v128.load64_splat(f, 16), f3 = v128.load64_splat(f, 24);
    const g0 = v128.load64_splat(g), g1 = v128.load64_splat(g, 8);
    const g2 = v128.load64_splat(g, 16), g3 = v128.load64_splat(g, 24);
    let a = rows, b = a + stride, c = b + stride, d = c + stride;
    for (let x = p, y = q; x < p + 2 * ROW; x += 16, y += 16, a += 16, b += 16, c += 16, d += 16) {
      const px = v128.load(x), qx = v128.load(y);
      v128.store(a, addProducts(v128.load(a), f0, px, g0, qx));
      v128.store(b, addProducts(v128.load(b), f1, px, g1, qx));
      v128.store(c, addProducts(v128.load(c), f2, px, g2, qx));
      v128.store(d, addProducts(v128.load(d), f3, px, g3, qx));
    }
  }
}
