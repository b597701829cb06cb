import { describe, expect, it } from 'vitest';
import { ConsoleStore } from '../../src/stores/console-store.js';
import { CsvStore } from '../../src/stores/csv-store.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { NpyStore } from '../../src/stores/npy-store.js';
import { storeOf } from '../../src/tracker/store-of.js';
import { epochOf, layer } from '../support/epochs.js';

describe('storeOf', () => {
  it('makes the store of each name', () => {
    expect(storeOf('csv', 'run')).toBeInstanceOf(CsvStore);
    expect(storeOf('npy', 'run')).toBeInstanceOf(NpyStore);
    expect(storeOf('console', 'run')).toBeInstanceOf(ConsoleStore);
    expect(storeOf('print', 'run')).toBeInstanceOf(ConsoleStore);
  });

  it('passes a store of one’s own through', () => {
    const own = { add: () => {} };
    expect(storeOf(own, 'run')).toBe(own);
  });

  it.each(['plot', 'plotcsv', 'csvplot', 'csvplotting'] as const)('draws with %s', async (name) => {
    const files = new MemoryStoreFiles();
    const store = storeOf(name, 'runs/a', { files });
    await store.add(epochOf(0, [layer('fc', 'train'), layer('fc2', 'train')]));
    await store.close?.();
    const pictures = [...files.files].filter(([path]) => path.endsWith('.png'));
    expect(pictures.map(([path]) => path).sort()).toEqual([
      'runs/a_idim_train_epoch_0.png',
      'runs/a_lsat_train_epoch_0.png',
    ]);
    for (const [, bytes] of pictures) expect([...bytes.subarray(1, 4)]).toEqual([...Buffer.from('PNG')]);
    expect(files.files.has('runs/a.csv')).toBe(name !== 'plot');
  });

  it('refuses an unknown name and values that are not stores', () => {
    expect(() => storeOf('sqlite' as 'csv', 'run')).toThrow(/saveTo: expected one of .* got the string "sqlite"/);
    expect(() => storeOf({} as 'csv', 'run')).toThrow(TypeError);
    expect(() => storeOf(null as unknown as 'csv', 'run')).toThrow('got null');
  });
});
