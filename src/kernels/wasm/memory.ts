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
  reduceToBand(matrix: number, size: number, stride: number, work: number, meeting: number): void;
  assist(matrix: number, size: number, stride: number, work: number, meeting: number): number;
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

/** The import of a memory as the builds declare it, and of one that threads share, of 65536 pages at most. */
const ownMemory = '\x02\x0f\x01\x03env\x06memory\x02\x00\x00';
const sharedMemory = '\x02\x12\x01\x03env\x06memory\x02\x03\x00\x80\x80\x04';

/** The module of a build, for a memory of its own or, by the same code, for one that threads share. */
export function moduleOf(base64: string, isShared = false): WebAssembly.Module {
  const code = isShared ? atob(base64).replace(ownMemory, sharedMemory) : atob(base64);
  return new WebAssembly.Module(Uint8Array.from(code, (c) => c.charCodeAt(0)));
}

/** The functions of a module, which work in this memory. */
export function exportsOf(module: WebAssembly.Module, memory: WebAssembly.Memory): WasmExports {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as WasmExports;
}

/** A module and its memory, which each call uses afresh. */
export class Scratch {
  readonly build: WasmBuild;
  readonly #module: WebAssembly.Module;
  readonly #isShared: boolean;
  #memory!: WebAssembly.Memory;
  /** The module's functions, which work in this memory; `reserve` may replace them. */
  exports!: WasmExports;

  /** @param sharedModule for a memory that threads share: the build's module for such */
  constructor(build: WasmBuild, sharedModule?: WebAssembly.Module) {
    this.build = build;
    this.#isShared = sharedModule !== undefined;
    this.#module = sharedModule ?? moduleOf(build.base64);
    this.#instantiate(PAGE_BYTES);
  }

  #instantiate(bytes: number): void {
    const initial = Math.ceil(bytes / PAGE_BYTES);
    this.#memory = new WebAssembly.Memory(this.#isShared ? { initial, maximum: initial, shared: true } : { initial });
    this.exports = exportsOf(this.#module, this.#memory);
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
  get memory(): WebAssembly.Memory {
    return this.#memory;
  }

  /** What the memory holds now. */
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
