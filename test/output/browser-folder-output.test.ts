import { expect, it } from 'vitest';
import { openBrowserFolder } from '../../src/index.js';

// What it does in a page is tested in one: test/browser/browser-folder-output.test.ts.
it('says where there is no browser to write to', async () => {
  await expect(openBrowserFolder('runs/a')).rejects.toThrow(TypeError);
  await expect(openBrowserFolder('runs/a')).rejects.toThrow(/'runs\/a': there is no origin private file system here/);
});
