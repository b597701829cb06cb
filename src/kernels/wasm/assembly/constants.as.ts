// The sizes and addresses that the host must know as well. scripts/build.mjs compiles this file by itself, reads the
// globals and writes their values into generated/wasm.ts: exported by the kernels they would take 62 bytes there.
export { TILE_ROWS } from './pack.as';
export { BAND } from './band-reduction.as';
export { COLLECTED_SWEEPS } from './ql.as';
export { SPREAD_END } from './tile-product.as';
