import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = (...args: string[]) => spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });

describe('experiments and benchmarks', () => {
  const experiments = readdirSync(`${root}/examples/experiments`).filter((name) => /^(\d|science).*\.mjs$/.test(name));

  it.each([
    ...experiments.map((name) => `examples/experiments/${name}`),
    'bench/writer.mjs',
    'bench/quick.mjs',
    'bench/full.mjs',
  ])('%s --help says what it is and lists its options', (program) => {
    const { status, stderr, stdout } = run(program, '--help');
    expect(stderr).not.toContain('Error');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\S.*\n(.*\n)*\nOptions:\n( {2}--\w.*\n)+$/);
  });

  it('an option that a program does not have is named without a stack', () => {
    const { status, stderr } = run('bench/writer.mjs', '--rouns');
    expect(stderr).toBe("Unknown option '--rouns'; --help lists the options\n");
    expect(status).toBe(2);
  });
});
