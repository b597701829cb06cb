import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/folders.js';

/** What `npm publish` runs first, in a folder with nothing but this package.json. */
function publish(description: object) {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'package.json'), JSON.stringify(description, null, 2));
  const args = [resolve('scripts/check.mjs'), '--publish'];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  return { status, stderr };
}

it('npm publish is refused while package.json has placeholders, line by line', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  expect(scripts.prepublishOnly).toBe('npm run check --silent -- --publish');
  const refused = publish({ homepage: 'https://github.com/OWNER/x', author: 'A <a@example.org>', license: 'MIT' });
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain('line 2: "homepage": "https://github.com/OWNER/x"');
  expect(refused.stderr).toContain('line 3: "author": "A <a@example.org>"');
  expect(refused.stderr).not.toContain('license');
  // Without them it goes on, to a build that this folder does not have.
  expect(publish({ homepage: 'https://github.com/someone/x' }).stderr).toContain('scripts/build.mjs');
});
