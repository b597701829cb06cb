import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { makeFolders } from '../../src/platform/make-folders.js';
import { temporaryFolder } from '../support/folders.js';

/** A folder with what may stand in the way of others. */
function furnished(): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'there', 'below'), { recursive: true });
  writeFileSync(join(folder, 'file'), '');
  symlinkSync(join(folder, 'there'), join(folder, 'link'));
  symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'));
  return folder;
}

/** What an attempt leaves below its folder, or the code of its error. */
function outcome(make: (path: string) => void, path: string): unknown {
  const folder = furnished();
  try {
    make(join(folder, path));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
  return readdirSync(folder, { recursive: true }).sort();
}

describe('makeFolders', () => {
  it.each(['a', 'a/b/c', 'there', 'there/below/c/d', 'link/c', './a/../b/c', 'a/', 'file', 'file/a', 'file/a/b'])(
    'makes of %j what Node makes of it',
    (path) => {
      expect(outcome(makeFolders, path)).toEqual(outcome((path) => mkdirSync(path, { recursive: true }), path));
    },
  );

  it('refuses a link to nowhere, and what would lie behind it', () => {
    expect(outcome(makeFolders, 'dangling')).toBe('EEXIST');
    expect(outcome(makeFolders, 'dangling/a/b')).toBe('EEXIST');
  });

  it.skipIf(process.platform === 'win32')('gives the folders it makes a mode, and no others', () => {
    const folder = temporaryFolder();
    const before = statSync(folder).mode;
    makeFolders(join(folder, 'a', 'b'), 0o700);
    expect([folder, join(folder, 'a'), join(folder, 'a', 'b')].map((path) => statSync(path).mode & 0o777)).toEqual([
      before & 0o777,
      0o700,
      0o700,
    ]);
  });

  it.skipIf(!existsSync('/proc/self'))('ends where the system says ENOENT of a folder whose parent is there', () => {
    // In a program of its own, since one that tries for ever cannot be interrupted.
    const door = pathToFileURL(join(import.meta.dirname, '../../dist/index.js')).href;
    const text = `const { SummaryWriter } = await import(${JSON.stringify(door)});
      try { new SummaryWriter('/proc/nope/x'); } catch (error) { console.log(error.message); }`;
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('ENOENT') });
    expect(stdout).toContain('/proc/nope/x');
  });
});
