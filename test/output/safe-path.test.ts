import { isAbsolute, resolve } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { safePath } from '../../src/output/output.js';

test.each([
  ['train', 'train'],
  ['loss/train', 'loss/train'],
  ['/abs//path/', 'abs/path'],
  ['../up', '__/up'],
  ['a/../b', 'a/__/b'],
  ['a/./b', 'a/b'],
  ['...', '...'],
  ['c:\\x', 'c:_x'],
  ['nul\0', 'nul_'],
  ['12:30 ä 😀', '12:30 ä 😀'],
])('%j is %j', (name, path) => {
  expect(safePath(name)).toBe(path);
});

test.each(['', '/', '.', './/.'])('%j names nothing', (name) => {
  expect(() => safePath(name)).toThrow(RangeError);
});

test('whatever the name, the path lies below the folder, and is its own safe path', () => {
  const part = fc.constantFrom('..', '.', '/', '\\', '\0', 'a', '~', ' ', '%2e', 'é');
  const names = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(part).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(names, (name) => {
      let path: string;
      try {
        path = safePath(name);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        return;
      }
      expect(isAbsolute(path)).toBe(false);
      expect(resolve('/logdir', path).startsWith('/logdir/')).toBe(true);
      expect(path).not.toContain('\0');
      expect(safePath(path)).toBe(path);
    }),
    { numRuns: 2000 },
  );
});
