// Entry of the WebAssembly module (AssemblyScript, SIMD, float64). The host owns the memory and passes addresses in
// bytes, aligned to 16; src/kernels/wasm/ (memory.ts, moments.ts, solver.ts, band.ts) lays them out.
export { packFloat32, packFloat64, sumColumnsFloat32, sumColumnsFloat64 } from './pack.as';
export { addOuterProduct, addOuterProducts } from './moments.as';
export { multiplyPartFloat32 } from './tile-product.as';
export { addInnerProducts, centerBlock } from './project.as';
export { addByClass, addUnits } from './units.as';
export { tridiagonalize, reflectorRows } from './tridiagonal.as';
export { ql } from './ql.as';
export { assist, reduceToBand } from './band-reduction.as';
export { chaseBulges } from './bulge-chasing.as';
