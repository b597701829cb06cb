import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeEpochCounter, encodeEpochCounter } from '../../src/stores/npy.js';

const delvePickle = readFileSync(new URL('../fixtures/delve_outputs/run/epoch_counter.pkl', import.meta.url));

describe('the epoch counter', () => {
  it('is read from the pickle that Delve wrote, in its order', () => {
    const counter = decodeEpochCounter(delvePickle)!;
    expect(counter.size).toBe(25);
    expect([...counter.keys()].slice(0, 3)).toEqual([
      'train_accuracy',
      '_train-saturation_fc_one',
      '_train-intrinsic-dimensionality_fc_one',
    ]);
    expect(new Set(counter.values())).toEqual(new Set([2]));
  });

  it('comes back from its own pickle', () => {
    const counter = new Map([
      ['größe', 0],
      ['b', 255],
      ['c', 70_000],
    ]);
    expect(decodeEpochCounter(encodeEpochCounter(counter))).toEqual(counter);
  });

  it.each([
    ['no bytes', new Uint8Array()],
    ['a torn file', delvePickle.subarray(0, 100)],
    ['a pickle that would call a function', Uint8Array.from(Buffer.from("cos\nsystem\n(S'true'\ntR."))],
  ])('is undefined for %s', (_, bytes) => {
    expect(decodeEpochCounter(bytes)).toBeUndefined();
  });
});
