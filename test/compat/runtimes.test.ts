import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/folders.js';
import { nodeOf, runtimeOf } from '../support/runtimes.js';

const program = fileURLToPath(new URL('../runtimes/program.mjs', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

function printed(runtime: string, args: readonly string[]): unknown {
  const logdir = temporaryFolder();
  const { status, stdout, stderr } = spawnSync(runtime, [...args, program, logdir], {
    encoding: 'utf8',
    cwd: root,
    timeout: 60_000,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(readdirSync(logdir).filter((name) => name.includes('tfevents'))).toHaveLength(1);
  return JSON.parse(stdout);
}

describe('what the package writes, reads and measures is the same to the bit', () => {
  it.each<[string, string | undefined, string[]]>([
    ['Node 22', nodeOf(22), []],
    ['Node 24', nodeOf(24), []],
    ['Node 26', nodeOf(26), []],
    ['Deno, with files only', runtimeOf('deno'), ['run', '--quiet', '--no-prompt', '--allow-read', '--allow-write']],
    ['Bun', runtimeOf('bun'), []],
  ])('in %s', (_name, runtime, args) => {
    if (runtime === undefined) return; // why was said when it could not be installed
    expect(printed(runtime, args)).toEqual(printed(process.execPath, []));
  });
});
