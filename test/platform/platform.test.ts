import { expect, expectTypeOf, test, vi } from 'vitest';
import * as browser from '../../src/platform/browser.js';
import * as node from '../../src/platform/node.js';
import type { Platform } from '../../src/platform/platform.js';

test('Node and browsers both have what Platform lists, and nothing beside it, says the compiler', () => {
  expectTypeOf({ ...node } satisfies Platform).toHaveProperty('files');
  expectTypeOf({ ...browser } satisfies Platform).toHaveProperty('files');
  expectTypeOf<keyof typeof node>().toEqualTypeOf<keyof Platform>();
  expectTypeOf<keyof typeof browser>().toEqualTypeOf<keyof Platform>();
});

test('Node and browsers offer the same primitives, of the same kind', () => {
  const kinds = (platform: object) =>
    Object.entries(platform)
      .map(([name, value]) => [name, value === undefined ? 'absent' : typeof value])
      .sort();
  const nodeKinds = new Map(kinds(node) as [string, string][]);
  const browserKinds = new Map(kinds(browser) as [string, string][]);
  expect([...browserKinds.keys()]).toEqual([...nodeKinds.keys()]);
  for (const [name, kind] of browserKinds) if (kind !== 'absent') expect(kind, name).toBe(nodeKinds.get(name));
});

test('a page that is hidden writes what is buffered', () => {
  const listeners = new Map<string, () => void>();
  vi.stubGlobal('addEventListener', (type: string, listener: () => void) => listeners.set(type, listener));
  const calls: boolean[] = [];
  browser.onExit((final) => calls.push(final));
  browser.onExit((final) => calls.push(final));
  vi.unstubAllGlobals();
  listeners.get('pagehide')!();
  // A page may come back from the cache it is kept in.
  expect(calls).toEqual([false, false]);
});
