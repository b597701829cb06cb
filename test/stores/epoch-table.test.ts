import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EpochTable } from '../../src/stores/epoch-table.js';

const delveCsv = readFileSync(new URL('../fixtures/delve_outputs/run.csv', import.meta.url), 'utf8');

describe('EpochTable', () => {
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

  it('takes CRLF and a byte order mark from a spreadsheet', () => {
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

  it('refuses an epoch that is not an integer', () => {
    expect(() => new EpochTable().set(0.5, 'a', '1')).toThrow(RangeError);
  });
});
