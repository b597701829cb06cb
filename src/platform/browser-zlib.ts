import type { NativeZlib } from './node-zlib.js';

export type { DeflateEffort } from './node-zlib.js';

/** Browsers have no synchronous native deflate. */
export const nativeZlib: NativeZlib | undefined = undefined;
