import { wasmBase64 } from './generated/wasm.js';
import { joinMeans, keepFiniteRows } from './merge-weights.js';
import { type MomentSums, type NumericKernels, type Rows, rowStart, type SymmetricMatrix } from './numeric-kernels.js';
import { largestEntry, scaleFor } from './scaling.js';
import { sortDescending, sortPairsDescending } from './sort.js';

/** Functions of kernels.as.ts; addresses in bytes. */
interface WasmExports {
  sumColumnsFloat32(rows: number, count: number, features: number, shift: number, sums: number): void;
  sumColumnsFloat64(rows: number, count: number, features: number, shift: number, sums: number): void;
  packFloat32(rows: number, count: number, features: number, centre: number, tiles: number, first: number): void;
  packFloat64(rows: number, count: number, features: number, centre: number, tiles: number, first: number): void;
  addOuterProducts(tiles: number, count: number, features: number, packed: number): void;
  tridiagonalize(
    matrix: number,
    size: number,
    stride: number,
    diagonal: number,
    offDiagonal: number,
    tau: number,
    work: number,
  ): void;
  reducePanels(
    matrix: number,
    size: number,
    stride: number,
    diagonal: number,
    offDiagonal: number,
    tau: number,
    work: number,
    keep: number,
  ): number;
  reflectorRows(matrix: number, size: number, stride: number, tau: number, rows: number): void;
  qlEigenvalues(diagonal: number, offDiagonal: number, size: number): number;
  qlEigenvectors(
    diagonal: number,
    offDiagonal: number,
    size: number,
    vectors: number,
    stride: number,
    rotations: number,
    ranges: number,
  ): number;
}

const PAGE_BYTES = 65536;
/** Rows of one block of the moments kernel; one tile more holds the row that merges the means (pack.as.ts). */
const BLOCK_ROWS = 192;
const TILE_BYTES = (BLOCK_ROWS + 1) * 4 * 8;
/** From this size on the reduction works in panels, until PANELS_KEEP rows remain, which stay in the cache. */
const PANELS_FROM = 1024;
const PANELS_KEEP = 512;
/** Vectors that a panel of 32 reflectors works with: V and W, two more, and two packed copies of both. */
const PANEL_VECTORS = 2 * 32 + 2 + 4 * 32;
/** Sweeps that ql.as.ts collects. */
const COLLECTED_SWEEPS = 32;
/** A solver's memory beyond this is given back when it is done: WebAssembly memory cannot shrink. */
const KEPT_BYTES = 64 << 20;

/** Throws where WebAssembly or its SIMD is missing or forbidden. */
export function createWasmKernels(): NumericKernels {
  const module = new WebAssembly.Module(Uint8Array.from(atob(wasmBase64), (c) => c.charCodeAt(0)));
  const scratch = new Scratch(module);
  return {
    name: 'wasm',
    addRows: (moments, rows, first, count) => {
      const block = new MomentsBlock(scratch, moments.features, rows.BYTES_PER_ELEMENT);
      block.load(moments.scatter);
      let rejected = 0;
      for (let done = 0; done < count; done += BLOCK_ROWS) {
        const size = Math.min(BLOCK_ROWS, count - done);
        const start = (first + done) * moments.features;
        const part = rows.subarray(start, start + size * moments.features);
        const kept = block.add(part, size, moments);
        rejected += size - kept;
      }
      block.store(moments.scatter);
      return rejected;
    },
    addOuterProducts: (packed, rows, count, features) => {
      const block = new MomentsBlock(scratch, features, 8);
      block.load(packed);
      for (let done = 0; done < count; done += BLOCK_ROWS) {
        const size = Math.min(BLOCK_ROWS, count - done);
        block.addUncentred(rows.subarray(done * features, (done + size) * features), size);
      }
      block.store(packed);
    },
    eigenvalues: (matrix) => {
      const solver = new Solver(scratch, matrix);
      const diagonal = solver.values();
      scratch.release();
      return sortDescending(diagonal, solver.scale);
    },
    eigen: (matrix) => {
      const solver = new Solver(scratch, matrix);
      const { diagonal, vectors } = solver.valuesAndVectors();
      const sorted = sortPairsDescending(diagonal, vectors, solver.scale);
      scratch.release();
      return sorted;
    },
  };
}

/** The module's memory, used afresh by each call. */
class Scratch {
  readonly #module: WebAssembly.Module;
  #memory!: WebAssembly.Memory;
  exports!: WasmExports;

  constructor(module: WebAssembly.Module) {
    this.#module = module;
    this.#instantiate();
  }

  #instantiate(): void {
    this.#memory = new WebAssembly.Memory({ initial: 1 });
    const instance = new WebAssembly.Instance(this.#module, { env: { memory: this.#memory } });
    this.exports = instance.exports as unknown as WasmExports;
  }

  /** Makes room for `bytes`. The first 64 bytes stay unused. */
  reserve(bytes: number): ArrayBuffer {
    const missing = bytes + 64 - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
    return this.#memory.buffer;
  }

  get buffer(): ArrayBuffer {
    return this.#memory.buffer;
  }

  release(): void {
    if (this.#memory.buffer.byteLength > KEPT_BYTES) this.#instantiate();
  }
}

/** Hands out addresses one behind the other, aligned to 64 bytes. */
class Layout {
  #next = 64;

  take(bytes: number): number {
    const address = this.#next;
    this.#next += (bytes + 63) & ~63;
    return address;
  }

  get bytes(): number {
    return this.#next;
  }
}

/** One block of rows and the scatter it is added to, in the module's memory. */
class MomentsBlock {
  readonly #exports: WasmExports;
  readonly #features: number;
  readonly #wide: boolean;
  readonly #vectors: Float64Array;
  readonly #scatter: Float64Array;
  readonly #rows: Rows;
  readonly #at: { shift: number; centre: number; sums: number; gain: number; tiles: number };

  constructor(scratch: Scratch, features: number, bytesPerNumber: number) {
    const layout = new Layout();
    const shift = layout.take(features * 8);
    const centre = layout.take(features * 8);
    const sums = layout.take(features * 8);
    const gain = layout.take(features * 8);
    const scatterLength = (features * (features + 1)) / 2;
    const scatter = layout.take(scatterLength * 8);
    const tiles = layout.take(Math.ceil(features / 4) * TILE_BYTES);
    const rows = layout.take(BLOCK_ROWS * features * bytesPerNumber);
    const buffer = scratch.reserve(layout.bytes);
    this.#exports = scratch.exports;
    this.#features = features;
    this.#wide = bytesPerNumber === 8;
    this.#vectors = new Float64Array(buffer, 0, (gain >> 3) + features);
    this.#scatter = new Float64Array(buffer, scatter, scatterLength);
    this.#rows = this.#wide
      ? new Float64Array(buffer, rows, BLOCK_ROWS * features)
      : new Float32Array(buffer, rows, BLOCK_ROWS * features);
    this.#at = { shift, centre, sums, gain, tiles };
  }

  load(scatter: Float64Array): void {
    this.#scatter.set(scatter);
  }

  store(scatter: Float64Array): void {
    scatter.set(this.#scatter);
  }

  /** Merges at most BLOCK_ROWS rows into the moments, all but whose scatter is updated; returns the rows used. */
  add(rows: Rows, count: number, moments: MomentSums): number {
    const features = this.#features;
    const { shift } = moments;
    const { centre, gain, tiles } = this.#at;
    this.#rows.set(rows);
    this.#vectors.set(shift, this.#at.shift >> 3);
    let kept = count;
    let means = this.#means(kept);
    if (!means.every(Number.isFinite)) {
      kept = keepFiniteRows(this.#rows, count, features);
      if (kept === 0) return 0;
      means = this.#means(kept);
    }
    for (let j = 0; j < features; j++) this.#vectors[(centre >> 3) + j] = shift[j] + means[j];
    this.#pack(kept);
    this.#vectors.set(joinMeans(moments, means, kept), gain >> 3);
    this.#vectors.fill(0, centre >> 3, (centre >> 3) + features);
    this.#exports.packFloat64(gain, 1, features, centre, tiles, kept);
    this.#exports.addOuterProducts(tiles, kept + 1, features, this.#scatter.byteOffset);
    return kept;
  }

  addUncentred(rows: Rows, count: number): void {
    const { centre, tiles } = this.#at;
    this.#rows.set(rows);
    this.#vectors.fill(0, centre >> 3, (centre >> 3) + this.#features);
    this.#pack(count);
    this.#exports.addOuterProducts(tiles, count, this.#features, this.#scatter.byteOffset);
  }

  #means(count: number): Float64Array {
    const { shift, sums } = this.#at;
    const sum = this.#wide ? this.#exports.sumColumnsFloat64 : this.#exports.sumColumnsFloat32;
    sum(this.#rows.byteOffset, count, this.#features, shift, sums);
    return this.#vectors.slice(sums >> 3, (sums >> 3) + this.#features).map((s) => s / count);
  }

  #pack(count: number): void {
    const { centre, tiles } = this.#at;
    const pack = this.#wide ? this.#exports.packFloat64 : this.#exports.packFloat32;
    pack(this.#rows.byteOffset, count, this.#features, centre, tiles, 0);
  }
}

/** A symmetric matrix in the module's memory, scaled to a harmless magnitude. */
class Solver {
  readonly scale: number;
  readonly #scratch: Scratch;
  readonly #size: number;
  readonly #stride: number;
  readonly #at: { diagonal: number; offDiagonal: number; tau: number; work: number; matrix: number; vectors: number };

  constructor(scratch: Scratch, matrix: SymmetricMatrix) {
    const { size, entries } = matrix;
    this.scale = scaleFor(largestEntry(matrix));
    this.#scratch = scratch;
    this.#size = size;
    this.#stride = strideOf(size);
    const layout = new Layout();
    const diagonal = layout.take(size * 8);
    const offDiagonal = layout.take(size * 8);
    const tau = layout.take(size * 8);
    const work = layout.take((size >= PANELS_FROM ? PANEL_VECTORS : 4) * (size + 8) * 8);
    const at = layout.take(size * this.#stride);
    this.#at = { diagonal, offDiagonal, tau, work, matrix: at, vectors: layout.bytes };
    const memory = new Float64Array(scratch.reserve(layout.bytes));
    for (let i = 0; i < size; i++) {
      const start = rowStart(matrix, i);
      const target = (at + i * this.#stride) / 8;
      memory.set(entries.subarray(start, start + i + 1), target);
      if (this.scale !== 1) for (let j = target; j <= target + i; j++) memory[j] *= this.scale;
    }
    memory[offDiagonal / 8 + size - 1] = 0;
    this.#tridiagonalize();
  }

  values(): Float64Array {
    const { diagonal, offDiagonal } = this.#at;
    if (!this.#scratch.exports.qlEigenvalues(diagonal, offDiagonal, this.#size)) throw notConverged();
    return new Float64Array(this.#scratch.buffer, diagonal, this.#size).slice();
  }

  valuesAndVectors(): { diagonal: Float64Array; vectors: Float64Array } {
    const { diagonal, offDiagonal, tau, matrix, vectors } = this.#at;
    const size = this.#size;
    const stride = this.#stride;
    const ranges = vectors + (size + 3) * stride;
    const rotations = ranges + COLLECTED_SWEEPS * 2 * 8;
    this.#scratch.reserve(rotations + COLLECTED_SWEEPS * 2 * size * 8);
    const { exports } = this.#scratch;
    exports.reflectorRows(matrix, size, stride, tau, vectors);
    if (!exports.qlEigenvectors(diagonal, offDiagonal, size, vectors, stride, rotations, ranges)) throw notConverged();
    const memory = this.#scratch.buffer;
    const rows = new Float64Array(size * size);
    for (let i = 0; i < size; i++) rows.set(new Float64Array(memory, vectors + i * this.#stride, size), i * size);
    return { diagonal: new Float64Array(memory, diagonal, size).slice(), vectors: rows };
  }

  #tridiagonalize(): void {
    const { diagonal, offDiagonal, tau, work, matrix } = this.#at;
    const { exports } = this.#scratch;
    const size = this.#size;
    let rest = size;
    if (size >= PANELS_FROM) {
      rest = exports.reducePanels(matrix, size, this.#stride, diagonal, offDiagonal, tau, work, PANELS_KEEP);
    }
    exports.tridiagonalize(matrix, rest, this.#stride, diagonal, offDiagonal, tau, work);
  }
}

/** Bytes per row: an odd number of cache lines, so that a column of the matrix does not fall into few sets of a cache. */
function strideOf(size: number): number {
  return (((size + 7) >> 3) | 1) * 64;
}

function notConverged(): Error {
  return new Error('The eigenvalue iteration did not converge; please report the matrix.');
}
