// Symmetric matrix -> band of the same eigenvalues: the first of two stages (Bischof, Lang & Sun 2000, "A framework for
// symmetric band reduction"). Row by row, every reflector costs a pass over the whole matrix; here one pass serves BAND
// reflectors at once, by products of blocks. Bands become tridiagonal in bulge-chasing.as.ts.
import { makeReflector } from './reflector.as';
import { addTileProduct, HEIGHT, leaveProductsAt, SPREAD_ROW, spreadPair } from './tile-product.as';
import { reflectFour } from './tridiagonal.as';
import { awaitDone, awaitPass, beginPass, endPasses, join, meetAt, setDone, takeRow } from './turns.as';
import { addScaled, dot, get, set } from './vector.as';

/** Couplings that are left on either side of the diagonal; also the rows of a panel and of a block: a multiple of HEIGHT and of 4. */
export const BAND: i32 = HEIGHT == 4 ? 32 : 36;
/** BAND numbers. */
export const ROW: usize = <usize>BAND << 3;
/** BAND x BAND numbers. */
const SQUARE: usize = <usize>BAND * ROW;
/** Bytes per row of a block: an odd number of cache lines, so that a column does not fall into few sets of the cache. */
const BLOCK_ROW: usize = ROW + 64;
/** What a row of the matrix has in the blocks of V, W and V again. */
const PACKED_ROW: usize = 3 * BLOCK_ROW;

// What a panel works with, in the work area. Vectors lie one behind the other, `length` bytes each, BAND a matrix.
/** V, of which column k is the reflector of the panel's k-th row from below; W below it, Y = A V below that. */
let vs: usize = 0;
let ws: usize = 0;
let ys: usize = 0;
let length: usize = 0;
/** V and Y by rows, ROW bytes each. */
let vRows: usize = 0;
let yRows: usize = 0;
/** V by rows, in blocks of BAND, spread; see spreadBlock. */
let vSpread: usize = 0;
/** V, W and V again, in blocks of BAND columns. */
let packed: usize = 0;
/** BAND x BAND matrices; the first is room for an operand of addProduct, twice as large when spread. */
let small: usize = 0;
/** What a thread works with in a pass: a spread operand of 2 BAND columns, and a block behind it. */
let tiles: usize = 0;

/** BAND columns, HEIGHT and HEIGHT: left operand of addProduct, of 2 ROW bytes per row. */
function spreadBlock(from: usize, step: usize, count: i32, to: usize): void {
  for (let i = 0; i < BAND; i += HEIGHT, to += <usize>count * SPREAD_ROW) {
    for (let at = to; at < to + SPREAD_ROW; at += 32, from += 16) spreadPair(from, step, count, at);
  }
}

/** out += left^T right, for `rows` of BAND rows; up to three more columns are done than asked for. */
function addProduct(
  left: usize, right: usize, rightStep: usize, count: i32, rows: i32, columns: i32, out: usize, outStep: usize,
): void {
  for (const end = right + (<usize>columns << 3); right < end; right += 32, out += 32) {
    let from = left, at = out;
    for (let i = rows; i > 0; i -= HEIGHT, from += <usize>count * SPREAD_ROW, at += <usize>HEIGHT * outStep) {
      addTileProduct(from, right, rightStep, count, at, outStep, i);
    }
  }
}

/** out += left^T right for a left operand of BAND x BAND numbers, which is spread here first. */
function addSmallProduct(
  left: usize, leftStep: usize, right: usize, rightStep: usize, columns: i32, out: usize, outStep: usize,
): void {
  spreadBlock(left, leftStep, BAND, small);
  addProduct(small, right, rightStep, BAND, BAND, columns, out, outStep);
}

/** to[j][i] = from[i][j], below the diagonal alone where `lower`. */
function transpose(from: usize, fromStep: usize, to: usize, toStep: usize, rows: i32, columns: i32, lower: bool): void {
  for (let i = 0; i < rows; i++, from += fromStep, to += 8) {
    const stop = from + (<usize>(lower ? i : columns) << 3);
    for (let x = from, at = to; x < stop; x += 8, at += toStep) store<f64>(at, load<f64>(x));
  }
}

function layOut(size: i32, work: usize): void {
  length = <usize>((size + BAND - 1) / BAND) * ROW + 64;
  const vectors = <usize>BAND * length;
  vs = work;
  ws = vs + vectors;
  ys = ws + vectors;
  vRows = ys + vectors;
  yRows = vRows + vectors;
  vSpread = yRows + vectors;
  packed = vSpread + 2 * vectors;
  small = packed + 4 * vectors;
  tiles = small + 12 * SQUARE;
}

/**
 * Reduces the lower triangle of `matrix` to its diagonal and the BAND couplings left of it. Right of the diagonal is
 * scratch. work: 11 BAND vectors of size + 48 numbers and 24 BAND x BAND matrices. meeting: see turns.as.ts, a row per BAND.
 */
export function reduceToBand(matrix: usize, size: i32, stride: usize, work: usize, meeting: usize): void {
  layOut(size, work);
  meetAt(meeting);
  let n = size, pass = 0;
  for (; n > BAND; n -= BAND) {
    const rest = n - BAND;
    reducePanel(matrix + <usize>rest * stride, rest, stride, pass > 0);
    beginPass(++pass);
    passRows(matrix, rest, stride, pass);
    const rows = rowsOf(rest);
    awaitDone(pass, rows - 1, rows);
    finishUpdate(rest);
  }
  endPasses();
  if (pass > 0) passRow(matrix, n, stride, pass + 1, 0);
}

/** Takes rows of blocks of a reduceToBand that another thread is in, until that is done. Returns how many it took. */
export function assist(matrix: usize, size: i32, stride: usize, work: usize, meeting: usize): i32 {
  layOut(size, work);
  tiles += 6 * SQUARE;
  leaveProductsAt(tiles + 6 * SQUARE - 64 * HEIGHT);
  join(meeting);
  let taken = 0;
  for (let pass = awaitPass(0); pass > 0; pass = awaitPass(pass)) {
    taken += passRows(matrix, size - pass * BAND, stride, pass);
  }
  return taken;
}

// @ts-ignore: decorator
@inline
function rowsOf(rest: i32): i32 {
  return (rest + BAND - 1) / BAND;
}

/** A panel of BAND rows gets the update that is `pending` and reflectors, which leave `rest` - k numbers in row k from below. */
function reducePanel(panel: usize, rest: i32, stride: usize, pending: bool): void {
  if (pending) {
    const column = <usize>rest << 3;
    addSmallProduct(vs + column, length, ws, length, rest + BAND, panel, stride);
    addSmallProduct(ws + column, length, vs, length, rest + BAND, panel, stride);
  }
  memory.fill(vs, 0, <usize>(3 * BAND) * length);
  memory.fill(small, 0, 12 * SQUARE);
  const tau = small + 11 * SQUARE;
  let v = vs;
  for (let count = rest, r = BAND - 1; r >= 0 && count > 1; r--, count--, v += length) {
    const row = panel + <usize>r * stride;
    const t = makeReflector(row, count, v, small);
    set(tau, BAND - 1 - r, -t);
    // Rows below are zero where the reflector is not, so they may be among the four.
    for (let i = 0; i < r; i += 4) reflectFour(panel + <usize>i * stride, stride, v, <usize>count << 3, -t);
    memory.fill(row, 0, <usize>count << 3);
    set(row, count - 1, load<f64>(small));
  }
  transpose(vs, length, vRows, ROW, BAND, rest, false);
  for (let i = 0; i < rest; i += BAND) {
    spreadBlock(vRows + <usize>i * ROW, ROW, min<i32>(BAND, rest - i), vSpread + <usize>i * (2 * ROW));
  }
}

/**
 * One pass over the leading `rest` rows: the update that is pending, A += V W^T + W V^T, and Y = A V for the next. The first
 * pass has no update yet. Threads take the rows of blocks in turns; returns how many this one took.
 */
function passRows(matrix: usize, rest: i32, stride: usize, pass: i32): i32 {
  const rows = rowsOf(rest);
  let taken = 0;
  for (let row = takeRow(pass, rows); row >= 0; row = takeRow(pass, rows), taken++) {
    passRow(matrix, rest, stride, pass, row);
  }
  return taken;
}

/** A row of blocks up to the diagonal. A block left of it stands for the one above it too, and adds to Y in both places. */
function passRow(matrix: usize, rest: i32, stride: usize, pass: i32, row: i32): void {
  const left = tiles, buffer = tiles + 4 * SQUARE;
  const i = row * BAND, rows = min<i32>(BAND, rest - i);
  const pending = pass > 1;
  if (pending) spreadBlock(packed + <usize>i * PACKED_ROW, BLOCK_ROW, 2 * BAND, left);
  let ahead = row == 0 ? 1 : 0;
  for (let column = 0; column <= row; column++) {
    if (ahead <= column && ahead < row) ahead = awaitDone(pass, row - 1, min<i32>(column + 1, row));
    const j = column * BAND, columns = min<i32>(BAND, rest - j);
    const block = matrix + <usize>i * stride + (<usize>j << 3);
    if (pending) {
      const right = packed + <usize>j * PACKED_ROW + <usize>BAND * BLOCK_ROW;
      addProduct(left, right, BLOCK_ROW, 2 * BAND, rows, columns, block, stride);
    }
    if (column == row) {
      transpose(block, stride, block, stride, rows, columns, true);
    } else {
      transpose(block, stride, buffer, BLOCK_ROW, rows, columns, false);
      const v = vSpread + <usize>j * (2 * ROW);
      addProduct(v, buffer, BLOCK_ROW, BAND, BAND, rows, ys + (<usize>i << 3), length);
    }
    addProduct(vSpread + <usize>i * (2 * ROW), block, stride, rows, BAND, columns, ys + (<usize>j << 3), length);
    setDone(pass, row, column + 1);
  }
}

/**
 * W from V and Y. The product of the panel's reflectors is I + V T V^T, T upper triangular (Schreiber & Van Loan 1989,
 * "A storage-efficient WY representation for products of Householder transformations"), and W = Y T + V (T^T V^T Y T) / 2.
 */
function finishUpdate(rest: i32): void {
  const gram = small + 6 * SQUARE, p = gram + SQUARE, t = p + SQUARE, pt = t + SQUARE, s = pt + SQUARE;
  const tau = s + SQUARE, half = gram;
  transpose(ys, length, yRows, ROW, BAND, rest, false);
  for (let i = 0; i < rest; i += BAND) {
    const v = vSpread + <usize>i * (2 * ROW), count = min<i32>(BAND, rest - i);
    addProduct(v, vRows + <usize>i * ROW, ROW, count, BAND, BAND, gram, ROW);
    addProduct(v, yRows + <usize>i * ROW, ROW, count, BAND, BAND, p, ROW);
  }
  for (let k = 0; k < BAND; k++) {
    const factor = get(tau, k);
    for (let q = 0; q < k; q++) {
      const row = t + <usize>q * ROW;
      set(row, k, factor * dot(row, gram + <usize>k * ROW, k));
    }
    set(t + <usize>k * ROW, k, factor);
  }
  addSmallProduct(p, ROW, t, ROW, BAND, pt, ROW);
  addSmallProduct(t, ROW, pt, ROW, BAND, s, ROW);
  memory.fill(half, 0, SQUARE);
  addScaled(half, 0.5, s, BAND * BAND);
  addSmallProduct(t, ROW, ys, length, rest, ws, length);
  addSmallProduct(half, ROW, vs, length, rest, ws, length);
  let to = packed;
  for (let i = 0; i < rest; i += BAND) {
    for (let k = 0; k < 3 * BAND; k++, to += BLOCK_ROW) {
      memory.copy(to, vs + <usize>(k % (2 * BAND)) * length + (<usize>i << 3), ROW);
    }
  }
}
