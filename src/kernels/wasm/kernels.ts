import { summedBy } from '../moments.js';
import type { NumericKernels } from '../numeric-kernels.js';
import { sortDescending, sortPairsDescending } from '../symmetric.js';
import { fused, probeBase64, wasm } from './generated/wasm.js';
import { exportsOf, moduleOf, Scratch } from './memory.js';
import { BLOCK_ROWS, MomentsBlock } from './moments.js';
import { project } from './project.js';
import { Solver } from './solver.js';
import { addUnits, sumByClass } from './units.js';

/** From this size on it is faster to find eigenvalues without vectors in two stages, by way of a band; measured. */
const BAND_FROM = 1792;

/**
 * The kernels in WebAssembly: a module that scripts/build.mjs compiles from assembly/ and stores as a string, with a
 * memory that each call lays out afresh. Throws if WebAssembly or its SIMD is missing or forbidden, and for 'wasm-fma' if the
 * engine has no relaxed SIMD or the processor does not fuse.
 *
 * @param bandFrom for tests: the size from which eigenvalues without vectors are found by way of a band
 */
export function createWasmKernels(name: 'wasm' | 'wasm-fma', bandFrom = BAND_FROM): NumericKernels {
  if (name === 'wasm-fma' && !fuses()) throw new Error('relaxed SIMD is missing, or rounds twice');
  const build = name === 'wasm' ? wasm : fused;
  const scratch = new Scratch(build);
  let sharedModule: WebAssembly.Module | undefined;
  const moduleForShared = () => {
    sharedModule ??= moduleOf(build.base64, true);
    return sharedModule;
  };
  return {
    name,
    addRows: (moments, rows, first, count, float32Products) => {
      const block = new MomentsBlock(scratch, moments.features, rows.BYTES_PER_ELEMENT, float32Products);
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
      moments.kernels = summedBy(moments.kernels, name);
      return rejected;
    },
    addOuterProducts: (packed, rows, count, features) => {
      const block = new MomentsBlock(scratch, features, 8);
      block.load(packed);
      for (let done = 0; done < count; done += BLOCK_ROWS) {
        const size = Math.min(BLOCK_ROWS, count - done);
        block.addUncentered(rows.subarray(done * features, (done + size) * features), size);
      }
      block.store(packed);
    },
    project: (rows, count, on) => project(scratch, rows, count, on),
    addUnits: (sums, rows, count) => addUnits(scratch, sums, rows, count),
    sumByClass: (rows, labels, classes) => sumByClass(scratch, rows, labels, classes),
    eigenvalues: (matrix, offer) => {
      const byBand = matrix.size >= bandFrom;
      const isOffered = byBand && offer !== undefined && typeof SharedArrayBuffer === 'function';
      // Memory of its own for each matrix: a thread that is late finds what it was told of.
      const used = isOffered ? new Scratch(build, moduleForShared()) : scratch;
      const solver = new Solver(used, matrix, byBand ? 'valuesByBand' : 'values', isOffered ? offer : undefined);
      const diagonal = solver.values();
      scratch.release();
      return sortDescending(diagonal, solver.scale);
    },
    assist: ({ memory, matrix, size, stride, work, meeting }) =>
      exportsOf(moduleForShared(), memory).assist(matrix, size, stride, work, meeting),
    eigen: (matrix) => {
      const solver = new Solver(scratch, matrix, 'vectors');
      const { diagonal, vectors } = solver.valuesAndVectors();
      const sorted = sortPairsDescending(diagonal, vectors, solver.scale);
      scratch.release();
      return sorted;
    },
  };
}

/** Whether a product and a sum are rounded once. Throws if the engine has no relaxed SIMD. */
function fuses(): boolean {
  const memory = new WebAssembly.Memory({ initial: 0 });
  const { exports } = new WebAssembly.Instance(moduleOf(probeBase64), { env: { memory } });
  const { fusedDifference } = exports as { fusedDifference(a: number, b: number): number };
  return fusedDifference(1 + 2 ** -30, 1 + 2 ** -29) === 2 ** -60;
}
