import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, { types?: { require?: string } }>;
};
/** The doors that declare types for `require`: all but ./view, which is for pages. */
const doors = Object.keys(exports).filter((door) => exports[door].types?.require !== undefined);

/** What a CommonJS program prints, as JSON, where `require` takes CommonJS only: as in Jest, and before Node 20.19. */
function answerOf(program: string): unknown {
  const args = ['--no-experimental-require-module', '--no-warnings', '--eval', program];
  const { stderr, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

describe('require', () => {
  it('knows every door but ./view', () => {
    expect(Object.keys(exports).filter((door) => !doors.includes(door))).toEqual(['./view', './package.json']);
  });

  it.each(doors)('%s gives CommonJS, and the very things that import gives', (door) => {
    const [required, differing] = answerOf(`
      const required = require('delve-tensorboard${door.slice(1)}');
      import('delve-tensorboard${door.slice(1)}').then((imported) => {
        const names = new Set([...Object.keys(required), ...Object.keys(imported)]);
        const differing = [...names].filter((name) => required[name] !== imported[name]);
        console.log(JSON.stringify([Object.keys(required).length, differing]));
      });
    `) as [number, string[]];
    expect(differing).toEqual([]);
    expect(required > 0).toBe(door !== './tfjs-node-fix');
  });

  it('./tfjs-node-fix puts back what Node removed, and no other door does', () => {
    const others = doors.filter((door) => door !== './tfjs-node-fix');
    expect(
      answerOf(`
        const util = require('node:util');
        delete util.isArray;
        for (const door of ${JSON.stringify(others)}) Object.keys(require('delve-tensorboard' + door.slice(1)));
        const { MemoryOutput, SummaryWriter } = require('delve-tensorboard');
        new SummaryWriter(new MemoryOutput()).addScalar('loss', 1, 0);
        const before = typeof util.isArray;
        require('delve-tensorboard/tfjs-node-fix');
        console.log(JSON.stringify([before, util.isArray([])]));
      `),
    ).toEqual(['undefined', true]);
  });
});
