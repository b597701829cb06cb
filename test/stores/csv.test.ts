import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { CsvStore } from '../../src/stores/csv-store.js';
import { parseDelveColumn } from '../../src/stores/delve-names.js';
import { EpochTable, floatText, integerText, numberOfText } from '../../src/stores/epoch-table.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { encodeNpy } from '../../src/stores/npy.js';
import { NpyStore } from '../../src/stores/npy-store.js';
import { reconstructCsv } from '../../src/stores/reconstruct-csv.js';
import { epochOf, layer, oddNames } from '../support/epochs.js';

describe('CsvStore', () => {
  const delveCsv = readFileSync(new URL('../fixtures/delve_outputs/run.csv', import.meta.url));

  let files: MemoryStoreFiles;
  beforeEach(() => {
    files = new MemoryStoreFiles();
  });
  const text = (path = 'run.csv') => new TextDecoder().decode(files.files.get(path));
  const records = (path?: string) => parse(text(path), { delimiter: ';', columns: true }) as Record<string, string>[];

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

  it("leaves the counts out if asked to, so that the columns are Delve's and no others", async () => {
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

  it('starts again at epoch 0', async () => {
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

  it('accepts the path with or without .csv', () => {
    expect(new CsvStore('a/run', { files }).path).toBe('a/run.csv');
    expect(new CsvStore('a/run.csv', { files }).path).toBe('a/run.csv');
    expect(new CsvStore('a/run/', { files }).path).toBe('a/run.csv');
    expect(() => new CsvStore('', { files })).toThrow(TypeError);
  });
});

describe('EpochTable', () => {
  const delveCsv = readFileSync(new URL('../fixtures/delve_outputs/run.csv', import.meta.url), 'utf8');

  it("gives Delve's file back byte for byte", () => {
    expect(EpochTable.parse(delveCsv).toString()).toBe(delveCsv);
  });

  it("reads Delve's numbers", () => {
    const table = EpochTable.parse(delveCsv);
    const lines = parse(delveCsv, { delimiter: ';' }) as string[][];
    expect(table.epochs).toEqual([0, 1, 2]);
    expect(table.columns).toEqual(lines[0].slice(1));
    for (const [k, column] of table.columns.entries()) {
      expect([...table.values(column)]).toEqual(lines.slice(1).map((cells) => Number(cells[k + 1])));
    }
  });

  it('writes what another csv reader reads, whatever the names', () => {
    const name = fc.string({ unit: 'binary', minLength: 1 });
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 5 }), (names) => {
        const table = new EpochTable();
        for (const [k, column] of names.entries()) table.set(k % 2, column, String(k + 0.5));
        const text = table.toString();
        const [header] = parse(text, { delimiter: ';', bom: false, relax_column_count: true }) as string[][];
        expect(header.slice(1)).toEqual(names);
        const back = EpochTable.parse(text);
        expect(back.columns).toEqual(names);
        names.forEach((column, k) => {
          expect(back.value(k % 2, column)).toBe(k + 0.5);
        });
      }),
    );
  });

  it('pads a column that comes late, and an epoch that lacks one', () => {
    const table = new EpochTable();
    table.set(0, 'a', '1');
    table.set(1, 'b', '2');
    expect(table.toString()).toBe(';a;b\n0;1;\n1;;2\n');
    expect(table.values('b')).toEqual(Float64Array.of(Number.NaN, 2));
  });

  it('drops an epoch and all later ones, with the columns only they had', () => {
    const table = EpochTable.parse(';a;late\n0;1;\n1;2;\n2;3;9\n');
    table.dropFrom(2);
    expect(table.toString()).toBe(';a\n0;1\n1;2\n');
  });

  it('sorts epochs by number', () => {
    const table = new EpochTable();
    for (const epoch of [10, 9, 100]) table.set(epoch, 'a', '1');
    expect(table.epochs).toEqual([9, 10, 100]);
  });

  it('accepts CRLF and a byte order mark from a spreadsheet', () => {
    const table = EpochTable.parse('\ufeff;a;b\r\n0;1;2\r\n');
    expect(table.columns).toEqual(['a', 'b']);
    expect(table.value(0, 'b')).toBe(2);
  });

  it.each([
    ['a comma-separated file', 'epoch,loss\n0,1\n', 'begins with'],
    ['a line with too few cells', ';a;b\n0;1\n', 'line 2'],
    ['an index that is no epoch', ';a\nmean;1\n', 'begin with the string "mean"'],
    ['an open quote', ';"a\n0;1\n', 'quote'],
  ])('refuses %s, naming the file', (_, text, why) => {
    expect(() => EpochTable.parse(text, 'run.csv')).toThrow(RangeError);
    expect(() => EpochTable.parse(text, 'run.csv')).toThrow(why);
  });

  it('refuses epochs that cannot be, and one that comes twice', () => {
    for (const epoch of ['x', '-1', '1.5', '1e300', 'inf', '']) {
      expect(() => EpochTable.parse(`;a\n0;1\n${epoch};2\n`, 'x.csv'), epoch).toThrow(
        /^x\.csv, line 3: expected an epoch/,
      );
    }
    expect(() => EpochTable.parse(';a\n0;1\n0.0;2\n', 'x.csv')).toThrow(
      'line 3: expected each epoch once, got 0 again',
    );
  });

  it('reads a quoted cell of ten million characters', () => {
    const long = '""ab'.repeat(2_500_000);
    expect(EpochTable.parse(`;"${long}"\n0;1\n`).columns[0].length).toBe(7_500_000);
    expect(() => EpochTable.parse(`;"${long}\n0;1\n`)).toThrow('expected a closing quote');
  });

  it('refuses an epoch that is not an integer', () => {
    expect(() => new EpochTable().set(0.5, 'a', '1')).toThrow(RangeError);
  });
});

describe('floatText', () => {
  // What pandas 3.0 writes for these float64 values with DataFrame.to_csv.
  it.each([
    [0.5, '0.5'],
    [1, '1.0'],
    [0, '0.0'],
    [-0, '-0.0'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1.5e22, '1.5e+22'],
    [1e-4, '0.0001'],
    [1.2977484391337238e-6, '1.2977484391337238e-06'],
    [5e-324, '5e-324'],
    [1e100, '1e+100'],
    [-2.5e-10, '-2.5e-10'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [Number.NaN, ''],
  ])('writes %d as pandas does', (value, text) => {
    expect(floatText(value)).toBe(text);
  });

  it('reads back exactly', () => {
    fc.assert(fc.property(fc.double(), (value) => Object.is(numberOfText(floatText(value)), value)));
  });
});

describe('integerText', () => {
  it('writes a count without a point, and nothing for NaN', () => {
    expect(integerText(3)).toBe('3');
    expect(integerText(Number.NaN)).toBe('');
  });
});

describe('numberOfText', () => {
  it('reads an empty cell and what is not a number as NaN', () => {
    expect(numberOfText('')).toBeNaN();
    expect(numberOfText(undefined)).toBeNaN();
    expect(numberOfText('nan')).toBeNaN();
    expect(numberOfText('-inf')).toBe(-Infinity);
  });
});

describe('reconstructCsv', () => {
  const delveFolder = fileURLToPath(new URL('../fixtures/delve_outputs/run', import.meta.url));
  const delveCsv = readFileSync(`${delveFolder}.csv`, 'utf8');

  /** A run of two epochs of one layer with the spectrum 8, 4, 2, 1 and whatever else a test needs. */
  async function savedRun(what: Parameters<typeof layer>[2] = {}) {
    const files = new MemoryStoreFiles();
    const store = new NpyStore('run', { files });
    for (const epoch of [0, 1]) await store.add(epochOf(epoch, [layer('fc', 'train', { features: 4, ...what })]));
    return files;
  }
  const diagonal = Float64Array.of(8, 0, 0, 0, 0, 4, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1);

  it("gives Delve's csv byte for byte from the files its npy writer saved", async () => {
    expect((await reconstructCsv(delveFolder)).toString()).toBe(delveCsv);
  });

  it("computes what Delve computed from the saved covariances at Delve's threshold and rule", async () => {
    const table = await reconstructCsv(delveFolder, { threshold: 0.99, rule: 'delve' });
    expect(table.toString()).toBe(delveCsv);
  });

  // numpy 2.4: c = eigvalsh(covariance of fc_one, train, epoch 0), descending, cumulated, divided by its sum; then
  // argmax(c >= threshold) + 1 for the paper's rule and (c < threshold).sum() for Delve's.
  it.each([
    [0.5, 1, 0],
    [0.9, 3, 2],
    [0.999, 4, 3],
    [0.99999, 5, 4],
  ])('applies any other threshold to them, as numpy does: %d', async (threshold, paper, delve) => {
    for (const [rule, dimensions] of [
      ['paper', paper],
      ['delve', delve],
    ] as const) {
      const table = await reconstructCsv(delveFolder, { threshold, rule, stats: ['idim', 'lsat'] });
      expect(table.value(0, 'train-intrinsic-dimensionality_fc_one')).toBe(dimensions);
      expect(table.value(0, 'train-saturation_fc_one')).toBe(dimensions / 5);
    }
  });

  it('never lowers a dimensionality when the threshold rises', async () => {
    let before = 0;
    for (const threshold of [0.1, 0.5, 0.8, 0.9, 0.97, 0.99, 0.999, 1]) {
      const table = await reconstructCsv(delveFolder, { threshold });
      const now = table.value(2, 'eval-intrinsic-dimensionality_block-0');
      expect(now).toBeGreaterThanOrEqual(before);
      before = now;
    }
    expect(before).toBe(4);
  });

  it('uses saved eigenvalues if no covariance was saved', async () => {
    const files = await savedRun({ spectrum: Spectrum.of(diagonal) });
    const table = await reconstructCsv('run', { threshold: 0.8, files });
    expect(table.value(1, 'train-intrinsic-dimensionality_fc')).toBe(2);
    expect(table.value(1, 'train-saturation_fc')).toBe(0.5);
  });

  it('computes statistics that were not saved, when asked', async () => {
    const files = await savedRun({ values: {}, covariance: diagonal });
    const table = await reconstructCsv('run', {
      stats: ['trc', 'det', 'logDeterminant', 'participationRatio', 'dtrc'],
      files,
    });
    expect(table.columns).toEqual([
      'train-covariance-trace_fc',
      'train-covariance-determinant_fc',
      'train-covariance-log-determinant_fc',
      'train-participation-ratio_fc',
      'train-diagonal-trace_fc',
    ]);
    expect(table.value(0, 'train-covariance-trace_fc')).toBe(15);
    expect(table.value(0, 'train-covariance-determinant_fc')).toBeCloseTo(64, 10);
    expect(table.value(0, 'train-covariance-log-determinant_fc')).toBeCloseTo(6 * Math.LN2, 12);
    expect(table.value(0, 'train-participation-ratio_fc')).toBeCloseTo(225 / 85, 12);
  });

  it('leaves out a saturation saved at another threshold that cannot be computed at this one', async () => {
    const files = await savedRun({ spectrum: Spectrum.of(diagonal) });
    await new NpyStore('other', { files }).add(epochOf(0, [layer('bare', 'train')]));
    for (const [path, bytes] of files.files) {
      if (path.startsWith('other/_')) files.files.set(path.replace('other/', 'run/'), bytes);
    }
    const table = await reconstructCsv('run', { threshold: 0.8, files });
    expect(table.columns).toContain('train-saturation_fc');
    expect(table.columns).not.toContain('train-saturation_bare');
  });

  it('gives layers their own names back', async () => {
    const files = new MemoryStoreFiles();
    await new NpyStore('run', { files }).add(epochOf(0, [layer('../a/b:c', 'val')]));
    expect((await reconstructCsv('run', { files })).columns[0]).toBe('eval-saturation_../a/b:c');
  });

  it('gives back every name that a layer or a metric may have, from csv and from npy files', async () => {
    const layers = oddNames.flatMap((name) => [layer(name, 'train'), layer(name, 'val')]);
    const epoch = epochOf(
      0,
      layers,
      oddNames.map((tag) => ({ tag: `metric ${tag}`, value: 1 })),
    );
    const files = new MemoryStoreFiles();
    await new CsvStore('run', { files }).add(epoch);
    await new NpyStore('run', { files }).add(epoch);
    const read = EpochTable.parse(new TextDecoder().decode(await files.read('run.csv')));
    // The names of files are cut if they are too long for a file system, and end in a checksum.
    const short = oddNames.filter((name) => Buffer.byteLength(name) < 100);
    expect(short.length).toBeGreaterThan(oddNames.length - 4);
    for (const [table, names] of [
      [read, oddNames],
      [await reconstructCsv('run', { files }), short],
    ] as const) {
      const parsed = table.columns.map(parseDelveColumn);
      const found = parsed.filter((column) => column?.stat === 'saturation').map((column) => column?.layer);
      expect(found).toEqual(expect.arrayContaining(names.flatMap((name) => [name, name])));
      expect(found.length).toBe(2 * oddNames.length);
      for (const name of names) {
        expect(table.value(0, `train-saturation_${name}`)).toBe(0.375);
        expect(table.value(0, `metric ${name}`)).toBe(1);
      }
    }
    for (const path of files.files.keys()) {
      expect(path).toMatch(/^run(\.csv$|\/)/);
      expect(path.split('/').every((part) => Buffer.byteLength(part) <= 255 && part !== '..')).toBe(true);
    }
  });

  it('leaves the cell of an epoch without that file empty', async () => {
    const files = await savedRun();
    files.files.delete('run/_train-saturation_fc/_train-saturation_fc_epoch1.npy');
    expect((await reconstructCsv('run', { files })).values('train-saturation_fc')).toEqual(
      Float64Array.of(0.375, Number.NaN),
    );
  });

  it('writes the table to the path asked for', async () => {
    const files = await savedRun();
    const table = await reconstructCsv('run/', { savefile: 'tables/again.csv', files });
    const written = new TextDecoder().decode(files.files.get('tables/again.csv'));
    expect(EpochTable.parse(written).toString()).toBe(table.toString());
  });

  it.each([
    [{ threshold: 0 }, 'threshold: expected a number in (0, 1], got number 0'],
    [{ threshold: 1.5 }, 'threshold: expected a number in (0, 1], got number 1.5'],
    [{ rule: 'mine' as 'paper' }, "rule: expected 'paper' or 'delve'"],
    [{ stats: ['sat'] }, 'got the string "sat"'],
    [{ stats: ['drift'] }, "got 'drift'"],
    [{ threshold: 0.9 }, 'saved covariances or eigenvalues, got neither'],
  ])('refuses %o, saying why', async (options, why) => {
    const files = await savedRun();
    await expect(reconstructCsv('run', { ...options, files })).rejects.toThrow(why);
  });

  it.each<[string, number[], number[], RegExp]>([
    ['_train-saturation_a', [2], [0.5, 0.25], /expected one number, got the shape \[2\]/],
    ['_train-saturation_a', [0], [], /expected one number, got the shape \[0\]/],
    ['_train-covariance-matrix_a', [2, 2], [1, 0, 0, -1], /variances >= 0, got -1/],
    ['_train-covariance-matrix_a', [2, 2], [1, Number.NaN, 0, 1], /got NaN/],
    ['_train-covariance-matrix_a', [2, 3], [1, 0, 0, 1, 0, 0], /square covariance/],
    ['_train-spectrum_a', [2], [1, -0.5], /variances >= 0, got -0.5/],
    ['_train-spectrum_a', [2], [Infinity, 1], /got Infinity/],
  ])('refuses what cannot be: %s of shape %j with %j', async (name, shape, values, message) => {
    const files = new MemoryStoreFiles();
    const array = encodeNpy({ dtype: 'float64', shape, values: Float64Array.from(values) });
    await files.write(`run/${name}/${name}_epoch0.npy`, array);
    const read = reconstructCsv('run', { files, ...(name.includes('-saturation') ? {} : { threshold: 0.9 }) });
    await expect(read).rejects.toThrow(RangeError);
    await expect(read).rejects.toThrow(message);
  });

  it('refuses a folder without such files, naming it', async () => {
    await expect(reconstructCsv('nowhere', { files: new MemoryStoreFiles() })).rejects.toThrow("'nowhere'");
  });
});
