import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultStoreFiles } from '../../src/platform/node-files.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'store-files-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const bytes = (text: string) => new TextEncoder().encode(text);

describe('defaultStoreFiles', () => {
  it('makes the folders of a file, replaces it and leaves nothing else behind', async () => {
    const files = defaultStoreFiles();
    await files.write(`${folder}/a/b/c.csv`, bytes('one'));
    await files.write(`${folder}/a/b/c.csv`, bytes('two'));
    expect(readFileSync(join(folder, 'a/b/c.csv'), 'utf8')).toBe('two');
    expect(readdirSync(join(folder, 'a/b'))).toEqual(['c.csv']);
  });

  it('keeps the old content when the new one cannot be written', async () => {
    const files = defaultStoreFiles();
    await files.write(`${folder}/c.csv`, bytes('old'));
    // A folder stands where the new content would be prepared.
    mkdirSync(join(folder, '.c.csv.tmp'));
    await expect(files.write(`${folder}/c.csv`, bytes('new'))).rejects.toThrow('EISDIR');
    expect(readFileSync(join(folder, 'c.csv'), 'utf8')).toBe('old');
  });

  it('has the old or the new content at every moment, never a part', async () => {
    const files = defaultStoreFiles();
    const path = `${folder}/c.csv`;
    const contents = ['a', 'b'].map((letter) => letter.repeat(200_000));
    await files.write(path, bytes(contents[0]));
    let writing = true;
    const writes = (async () => {
      for (let k = 1; k < 30; k++) await files.write(path, bytes(contents[k % 2]));
      writing = false;
    })();
    while (writing) expect(contents).toContain(new TextDecoder().decode(await files.read(path)));
    await writes;
  });

  it('lists files at any depth, with / between the parts', async () => {
    mkdirSync(join(folder, 'x/y'), { recursive: true });
    writeFileSync(join(folder, 'x/y/2.npy'), '');
    writeFileSync(join(folder, '1.npy'), '');
    expect(await defaultStoreFiles().list(folder)).toEqual(['1.npy', 'x/y/2.npy']);
  });

  it('takes what is not there for nothing', async () => {
    const files = defaultStoreFiles();
    expect(await files.read(`${folder}/none`)).toBeUndefined();
    expect(await files.list(`${folder}/none`)).toEqual([]);
    await expect(files.remove(`${folder}/none`)).resolves.toBeUndefined();
  });

  it('stays where it was made when the working directory changes', async () => {
    const before = process.cwd();
    try {
      process.chdir(folder);
      const files = defaultStoreFiles();
      process.chdir(tmpdir());
      await files.write('here.csv', bytes(''));
    } finally {
      process.chdir(before);
    }
    expect(existsSync(join(folder, 'here.csv'))).toBe(true);
  });

  it.skipIf(process.getuid?.() === 0)('rejects with the reason where it may not write', async () => {
    chmodSync(folder, 0o500);
    await expect(defaultStoreFiles().write(`${folder}/c.csv`, bytes(''))).rejects.toThrow('EACCES');
  });
});
