// Other runtimes and packages that tests and benchmarks ask for by name, kept beside node_modules' other caches.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../node_modules/.cache/runtimes', import.meta.url));
const { platform, arch } = process;
const isWindows = platform === 'win32';

/**
 * Installs a package in a folder of its own, without its peers, unless it is there.
 * @param {string} name the folder
 * @param {string} spec what npm is asked for
 * @param {string} wanted a path below node_modules that is there afterwards
 * @returns {string | undefined} its absolute path; undefined if it cannot be had
 */
export function installed(name, spec, wanted) {
  const path = join(folder, name, 'node_modules', wanted);
  if (!existsSync(path)) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'package.json'), '{"private":true}');
    const args = ['install', spec, '--no-save', '--no-audit', '--no-fund', '--legacy-peer-deps'];
    spawnSync(isWindows ? 'npm.cmd' : 'npm', args, { cwd: join(folder, name), timeout: 120_000, stdio: 'ignore' });
  }
  if (existsSync(path)) return path;
  console.error(`SKIPPED ${name}: it could not be installed`);
  return undefined;
}

/**
 * The program of another version of Node, from a package that holds it for this system; undefined if it cannot be had.
 * @param {number} version
 */
export function nodeOf(version) {
  const name = `node-${isWindows ? 'win' : platform}-${arch}`;
  return installed(`node-${version}`, `${name}@${version}`, join(name, 'bin', isWindows ? 'node.exe' : 'node'));
}

/**
 * The program of Deno or Bun; undefined if it cannot be had.
 * @param {'deno' | 'bun'} name
 */
export function runtimeOf(name) {
  return installed(name, name, join('.bin', isWindows ? `${name}.cmd` : name));
}
