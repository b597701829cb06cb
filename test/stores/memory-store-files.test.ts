import { describe, expect, it } from 'vitest';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';

describe('MemoryStoreFiles', () => {
  it('keeps a copy: later changes of the bytes do not reach it', async () => {
    const files = new MemoryStoreFiles();
    const bytes = Uint8Array.of(1, 2);
    await files.write('a/b', bytes);
    bytes.fill(9);
    expect(await files.read('a/b')).toEqual(Uint8Array.of(1, 2));
  });

  it('lists a folder, not one whose name only begins alike', async () => {
    const files = new MemoryStoreFiles();
    for (const path of ['run/b', 'run/a/c', 'run2/d', 'run.csv']) await files.write(path, new Uint8Array());
    expect(await files.list('run')).toEqual(['a/c', 'b']);
    expect(await files.list('run/')).toEqual(['a/c', 'b']);
    expect(await files.list('none')).toEqual([]);
  });

  it('forgets what is removed', async () => {
    const files = new MemoryStoreFiles();
    await files.write('a', new Uint8Array());
    await files.remove('a');
    await files.remove('never');
    expect(await files.read('a')).toBeUndefined();
  });
});
