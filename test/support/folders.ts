import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A new folder, removed after the test; or after all tests of a file or `describe` block, with `afterAll` for `after`. */
export function temporaryFolder(after: (remove: () => void) => void = onTestFinished): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'delve-test-')));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
