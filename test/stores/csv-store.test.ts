import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { beforeEach, describe, expect, it } from 'vitest';
import { CsvStore } from '../../src/stores/csv-store.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { epochOf, layer } from '../support/epochs.js';

const delveCsv = readFileSync(new URL('../fixtures/delve_outputs/run.csv', import.meta.url));

let files: MemoryStoreFiles;
beforeEach(() => {
  files = new MemoryStoreFiles();
});
const text = (path = 'run.csv') => new TextDecoder().decode(files.files.get(path));
const records = (path?: string) => parse(text(path), { delimiter: ';', columns: true }) as Record<string, string>[];

describe('CsvStore', () => {
  it("writes Delve's columns, each layer's counts behind its values, the user's scalars first", async () => {
    const store = new CsvStore('run', { files });
    await store.add(
      epochOf(0, [layer('fc', 'train'), layer('fc', 'val', { samples: 64 })], [{ tag: 'train_accuracy', value: 0.5 }]),
    );
    expect(text().split('\n')).toEqual([
      ';train_accuracy;train-saturation_fc;train-intrinsic-dimensionality_fc;train-samples_fc;train-features_fc;eval-saturation_fc;eval-intrinsic-dimensionality_fc;eval-samples_fc;eval-features_fc',
      '0;0.5;0.375;3;640;8;0.375;3;64;8',
      '',
    ]);
  });

  it("leaves the counts out where asked, so that the columns are Delve's and no others", async () => {
    const store = new CsvStore('run', { files, counts: false });
    await store.add(epochOf(0, [layer('fc', 'train')]));
    expect(text()).toBe(';train-saturation_fc;train-intrinsic-dimensionality_fc\n0;0.375;3\n');
  });

  it('writes every scalar statistic under its own column', async () => {
    const values = {
      saturation: 1,
      intrinsicDimensionality: 2,
      trace: 3,
      determinant: 4,
      logDeterminant: -Infinity,
      diagonalTrace: 6,
      participationRatio: 7,
      entropyRank: 8,
      simpsonIndex: 9,
      powerLawExponent: 10,
      conditionNumber: Infinity,
      drift: 12,
    };
    await new CsvStore('run', { files }).add(epochOf(0, [layer('fc', 'train', { values })]));
    const [record] = records();
    expect(record['train-covariance-determinant_fc']).toBe('4.0');
    expect(record['train-covariance-log-determinant_fc']).toBe('-inf');
    expect(record['train-diagonal-trace_fc']).toBe('6.0');
    expect(Object.values(record)).toEqual([
      '0',
      '1.0',
      '2',
      '3.0',
      '4.0',
      '-inf',
      '6.0',
      '7.0',
      '8.0',
      '9.0',
      '10.0',
      'inf',
      '12.0',
      '640',
      '8',
    ]);
  });

  it('leaves NaN empty, as pandas does', async () => {
    const values = { saturation: Number.NaN, intrinsicDimensionality: Number.NaN };
    await new CsvStore('run', { files }).add(epochOf(0, [layer('fc', 'train', { values })]));
    expect(records()[0]).toMatchObject({ 'train-saturation_fc': '', 'train-intrinsic-dimensionality_fc': '' });
  });

  it('continues a file that Delve wrote: its rows stay byte for byte, new columns join', async () => {
    files.files.set('run.csv', delveCsv);
    const store = new CsvStore('run', { files });
    await store.resume(3);
    await store.add(epochOf(3, [layer('fc_one', 'train')], [{ tag: 'train_accuracy', value: 0.8 }]));
    const [before, after] = [delveCsv.toString().split('\n'), text().split('\n')];
    expect(after[0]).toBe(`${before[0]};train-samples_fc_one;train-features_fc_one`);
    for (const k of [1, 2, 3]) expect(after[k]).toBe(`${before[k]};;`);
    expect(records()[3]).toMatchObject({
      '': '3',
      train_accuracy: '0.8',
      'train-saturation_fc_one': '0.375',
      'eval-saturation_fc_one': '',
    });
  });

  it('continues from the epoch it is given when nobody called resume', async () => {
    files.files.set('run.csv', delveCsv);
    await new CsvStore('run', { files }).add(epochOf(2, [layer('fc_one', 'train')]));
    expect(records().map((record) => record[''])).toEqual(['0', '1', '2']);
    expect(records()[1]['train-saturation_fc_one']).toBe('0.6');
    expect(records()[2]['train-saturation_fc_one']).toBe('0.375');
  });

  it('begins anew at epoch 0', async () => {
    files.files.set('run.csv', delveCsv);
    await new CsvStore('run', { files }).add(epochOf(0, [layer('other', 'train')]));
    expect(records()).toHaveLength(1);
    expect(text()).not.toContain('fc_one');
  });

  it('does not touch a file that is not such a table', async () => {
    files.files.set('run.csv', Buffer.from('name,age\nx,1\n'));
    await expect(new CsvStore('run', { files }).add(epochOf(0, []))).rejects.toThrow(/run\.csv: expected a table/);
    expect(text()).toBe('name,age\nx,1\n');
  });

  it('saves epochs handed over at once in their order', async () => {
    const store = new CsvStore('run', { files });
    await Promise.all([0, 1, 2].map((epoch) => store.add(epochOf(epoch, [layer('fc', 'train')]))));
    expect(records().map((record) => record[''])).toEqual(['0', '1', '2']);
  });

  it('goes on after an epoch that could not be written', async () => {
    const store = new CsvStore('run', { files });
    const write = files.write;
    files.write = () => Promise.reject(new Error('disk full'));
    await expect(store.add(epochOf(0, [layer('fc', 'train')]))).rejects.toThrow('disk full');
    files.write = write;
    await store.add(epochOf(1, [layer('fc', 'train')]));
    expect(records().map((record) => record[''])).toEqual(['0', '1']);
  });

  it('joins what is added to the same epoch twice', async () => {
    const store = new CsvStore('run', { files });
    await store.add(epochOf(0, [layer('fc', 'train')]));
    await store.add(epochOf(0, [layer('fc', 'val')]));
    expect(records()).toHaveLength(1);
    expect(records()[0]).toMatchObject({ 'train-saturation_fc': '0.375', 'eval-saturation_fc': '0.375' });
  });

  it('takes the path with or without .csv', () => {
    expect(new CsvStore('a/run', { files }).path).toBe('a/run.csv');
    expect(new CsvStore('a/run.csv', { files }).path).toBe('a/run.csv');
    expect(new CsvStore('a/run/', { files }).path).toBe('a/run.csv');
    expect(() => new CsvStore('', { files })).toThrow(TypeError);
  });
});
