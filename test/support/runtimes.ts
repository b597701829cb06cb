import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../node_modules/.cache/runtimes', import.meta.url));
const { platform, arch } = process;
const isWindows = platform === 'win32';

/** Installs packages where the tests keep other runtimes, unless they are there; it may fail. */
function install(name: string, spec: string, program: string): string | undefined {
  const path = join(folder, name, 'node_modules', program);
  if (!existsSync(path)) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'package.json'), '{"private":true}');
    const args = ['install', spec, '--no-save', '--no-audit', '--no-fund'];
    spawnSync(isWindows ? 'npm.cmd' : 'npm', args, { cwd: join(folder, name), timeout: 120_000, stdio: 'ignore' });
  }
  if (existsSync(path)) return path;
  console.error(`SKIPPED ${name}: it could not be installed`);
  return undefined;
}

/** The program of another version of Node, from a package that holds it for this system; undefined if it cannot be had. */
export function nodeOf(version: number): string | undefined {
  const name = `node-${isWindows ? 'win' : platform}-${arch}`;
  return install(`node-${version}`, `${name}@${version}`, join(name, 'bin', isWindows ? 'node.exe' : 'node'));
}

/** The program of Deno or Bun; undefined if it cannot be had. */
export function runtimeOf(name: 'deno' | 'bun'): string | undefined {
  return install(name, name, join('.bin', isWindows ? `${name}.cmd` : name));
}
