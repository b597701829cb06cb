import { createContext, runInContext } from 'node:vm';
import { expect, it } from 'vitest';
// @ts-expect-error a script without types
import { bundled } from '../../scripts/bundle.mjs';

it('the main door can be imported where there are no coders of UTF-8, as in jsdom', async () => {
  const code: string = await bundled(`import * as door from '../dist/index.js'; globalThis.door = door`);
  const page = createContext({ performance, URL, setTimeout });
  runInContext(code, page);
  expect(typeof page.door.SummaryWriter).toBe('function');
  expect(runInContext('typeof TextEncoder + typeof TextDecoder + typeof crypto', page)).toBe('undefined'.repeat(3));
});
