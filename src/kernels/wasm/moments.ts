import { joinMeans, keepFiniteRows, type MomentSums, type Rows } from '../moments.js';
import { wasm } from './generated/wasm.js';
import { Layout, type Scratch, type WasmExports } from './memory.js';

/** Rows of one block of the moments kernel. A tile's last row holds what merges the means (pack.as.ts). */
export const BLOCK_ROWS = wasm.TILE_ROWS - 1;
const TILE_BYTES = wasm.TILE_ROWS * 4 * 8;

/**
 * One block of rows and the scatter it is added to, in the module's memory: the scatter is loaded, blocks of rows are
 * added, and the scatter is stored again.
 */
export class MomentsBlock {
  readonly #exports: WasmExports;
  readonly #features: number;
  readonly #isFloat64: boolean;
  readonly #float32Products: boolean;
  /** The memory's front, which holds the four vectors of `#at`. */
  readonly #vectors: Float64Array;
  readonly #scatter: Float64Array;
  readonly #rows: Rows;
  /** Addresses in bytes. */
  readonly #at: { shift: number; center: number; sums: number; gain: number; tiles: number };

  /** @param float32Products whether float32 rows are multiplied in float32: see NumericKernels.addRows */
  constructor(scratch: Scratch, features: number, bytesPerNumber: number, float32Products = false) {
    const layout = new Layout();
    const shift = layout.take(features * 8);
    const center = layout.take(features * 8);
    const sums = layout.take(features * 8);
    const gain = layout.take(features * 8);
    const scatterLength = (features * (features + 1)) / 2;
    const scatter = layout.take(scatterLength * 8);
    const tiles = layout.take((Math.ceil(features / 4) + 1) * TILE_BYTES); // a left operand begins two columns before a tile's end
    const rows = layout.take(BLOCK_ROWS * features * bytesPerNumber + 64); // the last columns' tile is read whole
    const buffer = scratch.reserve(layout.bytes);
    this.#exports = scratch.exports;
    this.#features = features;
    this.#isFloat64 = bytesPerNumber === 8;
    this.#float32Products = float32Products && !this.#isFloat64;
    this.#vectors = new Float64Array(buffer, 0, (gain >> 3) + features);
    this.#scatter = new Float64Array(buffer, scatter, scatterLength);
    this.#rows = this.#isFloat64
      ? new Float64Array(buffer, rows, BLOCK_ROWS * features)
      : new Float32Array(buffer, rows, BLOCK_ROWS * features);
    this.#at = { shift, center, sums, gain, tiles };
  }

  /** Copies a packed scatter into the memory. */
  load(scatter: Float64Array): void {
    this.#scatter.set(scatter);
  }

  /** Copies the scatter out of the memory. */
  store(scatter: Float64Array): void {
    scatter.set(this.#scatter);
  }

  /**
   * Merges at most BLOCK_ROWS rows into the moments and returns how many of them were finite. Of the moments, this updates
   * all but the scatter; the scatter in the memory is updated instead.
   */
  add(rows: Rows, count: number, moments: MomentSums): number {
    const features = this.#features;
    const { shift } = moments;
    const { center, gain, tiles } = this.#at;
    this.#rows.set(rows);
    this.#vectors.set(shift, this.#at.shift >> 3);
    let kept = count;
    let means = this.#means(kept);
    if (!means.every(Number.isFinite)) {
      kept = keepFiniteRows(this.#rows, count, features);
      if (kept === 0) return 0;
      means = this.#means(kept);
    }
    for (let j = 0; j < features; j++) this.#vectors[(center >> 3) + j] = shift[j] + means[j];
    this.#pack(kept);
    this.#vectors.set(joinMeans(moments, means, kept), gain >> 3);
    if (this.#float32Products) {
      // What the movement of the mean adds is exact in float64, however far it has moved.
      this.#exports.addOuterProducts(tiles, kept, features, this.#scatter.byteOffset, true);
      this.#exports.addOuterProduct(gain, features, this.#scatter.byteOffset);
      return kept;
    }
    this.#vectors.fill(0, center >> 3, (center >> 3) + features);
    this.#exports.packFloat64(gain, 1, features, center, tiles, kept);
    this.#exports.addOuterProducts(tiles, kept + 1, features, this.#scatter.byteOffset, false);
    return kept;
  }

  /** Adds the outer products of at most BLOCK_ROWS rows, as they are, to the scatter in the memory. */
  addUncentered(rows: Rows, count: number): void {
    const { center, tiles } = this.#at;
    this.#rows.set(rows);
    this.#vectors.fill(0, center >> 3, (center >> 3) + this.#features);
    this.#pack(count);
    this.#exports.addOuterProducts(tiles, count, this.#features, this.#scatter.byteOffset, false);
  }

  #means(count: number): Float64Array {
    const { shift, sums } = this.#at;
    const sum = this.#isFloat64 ? this.#exports.sumColumnsFloat64 : this.#exports.sumColumnsFloat32;
    sum(this.#rows.byteOffset, count, this.#features, shift, sums);
    return this.#vectors.slice(sums >> 3, (sums >> 3) + this.#features).map((s) => s / count);
  }

  #pack(count: number): void {
    const { center, tiles } = this.#at;
    const { byteOffset } = this.#rows;
    if (this.#isFloat64) this.#exports.packFloat64(byteOffset, count, this.#features, center, tiles, 0);
    else this.#exports.packFloat32(byteOffset, count, this.#features, center, tiles, 0, this.#float32Products);
  }
}
