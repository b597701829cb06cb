import { expect, it } from 'vitest';
import { type Found, Soon } from '../../src/platform/soon.js';

/** A value that is there when the test says so, or when it must be. */
function given<T>(value: T) {
  let come!: () => void;
  let found: Found<T> | undefined;
  const ready = new Promise<void>((resolve) => {
    come = () => {
      found = { value };
      resolve();
    };
  });
  return { come, soon: Soon.from(ready, 12, (must) => (must ? { value } : found)) };
}

it('is found when it is there, and earlier if it must be', async () => {
  const { soon, come } = given(3);
  expect([soon.find(false), soon.find(true)]).toEqual([undefined, { value: 3 }]);
  come();
  expect(soon.find(false)).toEqual({ value: 3 });
  expect(await soon).toBe(3);
});

it('changes once, whoever asks first', async () => {
  const { soon, come } = given(3);
  let changes = 0;
  const changed = soon.map((value) => value + ++changes);
  expect([changed.find(false), changed.bytes]).toEqual([undefined, 12]);
  expect(changed.find(true)).toEqual({ value: 4 });
  come();
  expect([await changed, changed.find(false), changes]).toEqual([4, { value: 4 }, 1]);
});

it('a change that fails fails for all, and nobody need look', async () => {
  const { soon, come } = given(3);
  const changed = soon.map(() => {
    throw new RangeError('too large');
  });
  come();
  await new Promise((done) => setTimeout(done));
  expect(() => changed.find(false)).toThrow(RangeError);
  await expect(changed).rejects.toThrow('too large');
});

it('then gives a promise like any other', async () => {
  const { soon, come } = given(3);
  const next = soon.then((value) => value + 1);
  expect(next instanceof Soon).toBe(false);
  come();
  expect(await next).toBe(4);
});
