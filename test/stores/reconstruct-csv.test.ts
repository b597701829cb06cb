import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { EpochTable } from '../../src/stores/epoch-table.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { NpyStore } from '../../src/stores/npy-store.js';
import { reconstructCsv } from '../../src/stores/reconstruct-csv.js';
import { epochOf, layer } from '../support/epochs.js';

const delveFolder = fileURLToPath(new URL('../fixtures/delve_outputs/run', import.meta.url));
const delveCsv = readFileSync(`${delveFolder}.csv`, 'utf8');

/** A run of two epochs of one layer with spectrum 8, 4, 2, 1 and whatever else a test wants. */
async function savedRun(what: Parameters<typeof layer>[2] = {}) {
  const files = new MemoryStoreFiles();
  const store = new NpyStore('run', { files });
  for (const epoch of [0, 1]) await store.add(epochOf(epoch, [layer('fc', 'train', { features: 4, ...what })]));
  return files;
}
const diagonal = Float64Array.of(8, 0, 0, 0, 0, 4, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1);

describe('reconstructCsv', () => {
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

  it('takes saved eigenvalues where no covariance was saved', async () => {
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

  it('leaves the cell of an epoch without that file empty', async () => {
    const files = await savedRun();
    files.files.delete('run/_train-saturation_fc/_train-saturation_fc_epoch1.npy');
    expect((await reconstructCsv('run', { files })).values('train-saturation_fc')).toEqual(
      Float64Array.of(0.375, Number.NaN),
    );
  });

  it('writes the table where asked', async () => {
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

  it('refuses a folder without such files, naming it', async () => {
    await expect(reconstructCsv('nowhere', { files: new MemoryStoreFiles() })).rejects.toThrow("'nowhere'");
  });
});
