import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** What package.json has of doors: files, by conditions within conditions. */
type Doors = string | { readonly [condition: string]: Doors };

const filesOf = (doors: Doors): string[] =>
  typeof doors === 'string' ? [doors] : Object.values(doors).flatMap(filesOf);

const root = fileURLToPath(new URL('../..', import.meta.url));

it('the package holds what its doors and commands need, and nothing of the workshop', () => {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { stdout, stderr, status } = spawnSync(npm, ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  const listed: unknown = JSON.parse(stdout);
  const [{ files }] = (Array.isArray(listed) ? listed : Object.values(listed as object)) as {
    files: { path: string }[];
  }[];
  const paths = files.map(({ path }) => path);
  const { exports, bin, imports } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as {
    exports: Doors;
    bin: Doors;
    imports: Doors;
  };
  const doors = [exports, bin, imports].flatMap(filesOf);
  expect(doors).toContain('./dist/node/tfjs.d.cts');
  for (const door of doors) expect(paths).toContain(door.replace(/^\.\//, ''));
  for (const needed of [
    'LICENSE',
    'NOTICE',
    'README.md',
    'CHANGELOG.md',
    'proto/event.proto',
    'dist/delve-tensorboard.min.js',
    'dist/delve-tensorboard-tfjs.min.js',
    'dist/dashboard/page.js',
    'dist/dashboard/worker.js',
    'dist/view/generated/report-script.js',
    'dist/proto/tensorboard.js',
  ]) {
    expect(paths).toContain(needed);
  }
  expect(paths.filter((path) => path.endsWith('.whl'))).toHaveLength(1);
  // Declarations, scripts, protos and the wheel: no sources, tests, maps or leftovers.
  const known =
    /^(LICENSE|NOTICE|README\.md|CHANGELOG\.md|package\.json|proto\/.*\.proto|dist\/node\/.*\.cjs|dist\/node\/.*\.d\.cts|dist\/.*(\.js|\.d\.ts|\.whl))$/;
  expect(paths.filter((path) => !known.test(path))).toEqual([]);
});
