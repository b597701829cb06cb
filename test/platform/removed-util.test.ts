import util from 'node:util';
import { expect, it, vi } from 'vitest';

const functions = util as unknown as Record<string, unknown>;

it('puts back what Node 23 removed of util, and leaves what is there', async () => {
  const before = { isArray: functions.isArray, isNullOrUndefined: functions.isNullOrUndefined };
  const own = () => true;
  functions.isArray = own;
  functions.isNullOrUndefined = undefined;
  try {
    vi.resetModules();
    await import('../../src/tfjs-node-fix.js');
    expect(functions.isArray).toBe(own);
    const isNothing = functions.isNullOrUndefined as (value: unknown) => boolean;
    expect([null, undefined, 0, '', false, []].map(isNothing)).toEqual([true, true, false, false, false, false]);
    functions.isArray = undefined;
    vi.resetModules();
    await import('../../src/tfjs-node-fix.js');
    const isArray = functions.isArray as (value: unknown) => boolean;
    expect([[], new Float32Array(1), 'a'].map(isArray)).toEqual([true, false, false]);
  } finally {
    Object.assign(functions, before);
  }
});
