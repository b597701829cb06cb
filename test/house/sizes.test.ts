import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
// @ts-expect-error a script without types
import { bundled } from '../../scripts/bundle.mjs';

// What pages load, in bytes. Not the time that anything takes.
it.each([
  ['a reader', 'readEvents', 15 * 1024],
  ['a writer of scalars', 'ScalarWriter', 15 * 1024],
  ['a writer of everything', 'SummaryWriter', 57_000],
])('%s (%s) takes few bytes in a bundle', async (_, name, most) => {
  const code: string = await bundled(`export { ${name} } from '../dist/index.js'`);
  expect(gzipSync(code, { level: 9 }).length).toBeLessThan(most);
});
