import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readEvents } from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';
import { nodeOf, runtimeOf } from '../support/runtimes.js';

interface Printed {
  kernels: string;
  saturation: number;
  eigenvalues: number[];
}

const program = fileURLToPath(new URL('../runtimes/program.mjs', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

/** @param kernels those that runtimes can have in common; the fastest differ by rounding */
function printed(runtime: string, args: readonly string[], kernels = 'wasm'): Printed {
  const logdir = temporaryFolder();
  const { status, stdout, stderr } = spawnSync(runtime, [...args, program, logdir, kernels], {
    encoding: 'utf8',
    cwd: root,
    timeout: 60_000,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(readdirSync(logdir).filter((name) => name.includes('tfevents'))).toHaveLength(1);
  return JSON.parse(stdout);
}

describe('what the package writes, reads and measures is the same to the bit with the same kernels', () => {
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

describe('a runtime that', () => {
  it('is too old is told which Node the package needs, also by the command', () => {
    const node = nodeOf(18);
    if (node === undefined) return;
    for (const path of [program, `${root}/dist/cli.js`]) {
      const { status, stderr } = spawnSync(node, [path, temporaryFolder()], { encoding: 'utf8', cwd: root });
      expect(status).toBe(1);
      expect(stderr).toMatch(/delve-tensorboard: expected Node 20\.19 or newer, got v18\.\d/);
    }
  });

  it.each([
    ['Deno', runtimeOf('deno'), ['run', '--quiet', '--no-prompt', '--allow-read', '--allow-write']],
    ['Bun', runtimeOf('bun'), []],
  ] as const)('does not catch an exception loses no event: %s', async (_name, runtime, args) => {
    if (runtime === undefined) return;
    const folder = temporaryFolder();
    const path = program.replace('program.mjs', 'throws.mjs');
    const { status, stderr } = spawnSync(runtime, [...args, path, folder], { encoding: 'utf8', cwd: root });
    expect(stderr).toContain('on purpose');
    expect(status).toBe(1);
    const steps = [];
    for await (const { step, summary } of readEvents(folder)) if (summary) steps.push(step);
    expect(steps).toEqual(Array.from({ length: 50 }, (_, step) => step));
  });
});

describe('kernels that fuse products and sums', () => {
  it.each([22, 24, 26])(
    'are chosen in Node %i where the processor fuses, and differ from others by rounding',
    (version) => {
      const node = nodeOf(version);
      if (node === undefined) return;
      const [fast, plain] = ['', 'wasm'].map((kernels) => printed(node, [], kernels));
      expect(plain.kernels).toBe('wasm');
      expect(fast.kernels).toMatch(/^wasm(-fma)?$/);
      expect(fast.saturation).toBe(plain.saturation);
      const largest = plain.eigenvalues[0];
      fast.eigenvalues.forEach((x, i) => {
        expect(Math.abs(x - plain.eigenvalues[i])).toBeLessThan(1e-13 * largest);
      });
    },
  );

  it.each([22, 24])(
    'pass the tests of the kernels in Node %i, with the same bounds',
    (version) => {
      const node = nodeOf(version);
      if (node === undefined) return;
      const { status, stdout } = spawnSync(
        node,
        ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', 'test/kernels', '--reporter', 'dot'],
        // A report of its own would take the place of the unit tests' one.
        { encoding: 'utf8', cwd: root, env: { ...process.env, CI: '' } },
      );
      expect({ status, stdout }).toMatchObject({ status: 0 });
    },
    600_000,
  );
});
