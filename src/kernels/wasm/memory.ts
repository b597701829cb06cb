import { wasm } from './generated/wasm.js';

/*
 * The memory of the WebAssembly module: its functions, the buffer they work in, and the layout of that buffer for one call.
 */

/** Functions of kernels.as.ts; addresses in bytes. */
export interface WasmExports {
  sumColumnsFloat32(rows: number, count: number, features: number, shift: number, sums: number): void;
  sumColumnsFloat64(rows: number, count: number, features: number, shift: number, sums: number): void;
  packFloat32(
    rows: number,
    count: number,
    features: number,
    center: number,
    tiles: number,
    first: number,
    narrow: boolean,
  ): void;
  packFloat64(rows: number, count: number, features: number, center: number, tiles: number, first: number): void;
  addOuterProduct(row: number, features: number, packed: number): void;
  addOuterProducts(tiles: number, count: number, features: number, packed: number, narrow: boolean): void;
  centerBlock(rows: number, count: number, columns: number, shift: number, sums: number): number;
  addInnerProducts(rows: number, count: number, directions: number, rank: number, columns: number, out: number): void;
  addUnits(rows: number, count: number, features: number, absolute: number, nonzero: number, counts: number): void;
  addByClass(rows: number, count: number, features: number, labels: number, sums: number): void;
  tridiagonalize(
    matrix: number,
    size: number,
    stride: number,
    diagonal: number,
    offDiagonal: number,
    tau: number,
    work: number,
  ): void;
  reduceToBand(matrix: number, size: number, stride: number, work: number): void;
  chaseBulges(band: number, size: number, stride: number, diagonal: number, offDiagonal: number, work: number): void;
  reflectorRows(matrix: number, size: number, stride: number, tau: number, rows: number): void;
  ql(
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
/** Memory beyond this is given back after solving: the whole memory is replaced, because it cannot shrink. */
const KEPT_BYTES = 64 << 20;

/** A build of the kernels: the module, and what the host must know of it (constants.as.ts). */
export type WasmBuild = typeof wasm;

/** The module of a build. */
export function moduleOf(base64: string): WebAssembly.Module {
  return new WebAssembly.Module(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
}

/** A module and its memory, which each call uses afresh. */
export class Scratch {
  readonly build: WasmBuild;
  readonly #module: WebAssembly.Module;
  #memory!: WebAssembly.Memory;
  /** The module's functions, which work in this memory; `reserve` may replace them. */
  exports!: WasmExports;

  constructor(build: WasmBuild) {
    this.build = build;
    this.#module = moduleOf(build.base64);
    this.#instantiate(PAGE_BYTES);
  }

  #instantiate(bytes: number): void {
    this.#memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
    const instance = new WebAssembly.Instance(this.#module, { env: { memory: this.#memory } });
    this.exports = instance.exports as unknown as WasmExports;
  }

  /**
   * Makes room for `bytes`; the memory's content may be lost. A memory that is too small is replaced, not grown: growing
   * detaches its ArrayBuffer, and from the first such moment on V8 checks for detached buffers in every access to a typed
   * array on this thread (TensorFlow.js' cpu backend, whose products are loops in JavaScript, then takes 15 % longer for a
   * step).
   */
  reserve(bytes: number): ArrayBuffer {
    const size = this.#memory.buffer.byteLength;
    if (bytes + 64 > size) this.#instantiate(Math.max(bytes + 64, Math.min(2 * size, KEPT_BYTES)));
    return this.#memory.buffer;
  }

  /** The memory as it is now; `reserve` may replace it. */
  get buffer(): ArrayBuffer {
    return this.#memory.buffer;
  }

  /** Gives large memory back. */
  release(): void {
    if (this.#memory.buffer.byteLength > KEPT_BYTES) this.#instantiate(PAGE_BYTES);
  }
}

/** Addresses for one call, one behind another, aligned to 64 bytes. */
export class Layout {
  /** Behind what tile-product.as.ts writes, in either build. */
  #next = wasm.SPREAD_END;

  /** The address of the next `bytes` bytes. */
  take(bytes: number): number {
    const address = this.#next;
    this.#next += (bytes + 63) & ~63;
    return address;
  }

  /** How many bytes the memory must have. */
  get bytes(): number {
    return this.#next;
  }
}
