// @ts-expect-error a script without types
import * as runtimes from '../../scripts/runtimes.mjs';

/** The program of another version of Node; undefined if it cannot be had. */
export const nodeOf: (version: number) => string | undefined = runtimes.nodeOf;

/** The program of Deno or Bun; undefined if it cannot be had. */
export const runtimeOf: (name: 'deno' | 'bun') => string | undefined = runtimes.runtimeOf;
