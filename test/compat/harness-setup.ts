import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

/** What the tests learn: where a real TensorBoard can be started, or why there is none. */
export type Environment = { python: string } | { missing: string };

declare module 'vitest' {
  export interface ProvidedContext {
    tensorboard: Environment;
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = `${root}.venv-compat`;
const windows = process.platform === 'win32';
const python = `${folder}/${windows ? 'Scripts/python.exe' : 'bin/python'}`;
const stamp = `${folder}/.requirements`;

/** Returns undefined if the command succeeded, otherwise the last lines that it printed. */
function failure(command: string, args: string[], env = process.env): string | undefined {
  const child = spawnSync(command, args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });
  if (child.status === 0) return undefined;
  if (child.error) return child.error.message;
  return `${child.stdout}${child.stderr}`.trim().split('\n').slice(-3).join(' | ');
}

/** A virtual environment for this checkout with the TensorBoard that requirements.txt names. It is made once. */
export function makeEnvironment(): Environment {
  const requirements = readFileSync(new URL('./requirements.txt', import.meta.url), 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === requirements) return { python };
  const system = ['python3', 'python'].find(
    (name) => !failure(name, ['-c', 'import sys; assert sys.version_info >= (3, 9)']),
  );
  if (!system) return { missing: 'no Python 3.9 or newer on the path' };
  rmSync(folder, { recursive: true, force: true });
  const unmade = failure(system, ['-m', 'venv', folder]);
  if (unmade) return { missing: `${system} -m venv failed: ${unmade}` };
  const env: NodeJS.ProcessEnv = { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1' };
  if (process.env.CI) env.PIP_RETRIES = '0';
  const uninstalled = failure(python, ['-m', 'pip', 'install', '-q', '-r', `${root}test/compat/requirements.txt`], env);
  if (uninstalled) return { missing: `pip install failed: ${uninstalled}` };
  writeFileSync(stamp, requirements);
  return { python };
}

/** vitest's globalSetup of the suites that need a real TensorBoard. */
export default function setup(project: TestProject): void {
  const environment = makeEnvironment();
  if ('missing' in environment) console.error(`SKIPPED every test with a real TensorBoard: ${environment.missing}`);
  project.provide('tensorboard', environment);
}
