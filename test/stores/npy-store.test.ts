import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { decodeEpochCounter, decodeNpy } from '../../src/stores/npy.js';
import { NpyStore } from '../../src/stores/npy-store.js';
import { epochOf, layer } from '../support/epochs.js';

const delveFolder = fileURLToPath(new URL('../fixtures/delve_outputs/run', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'npy-store-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const array = (name: string, epoch: number, run = 'run') =>
  decodeNpy(readFileSync(join(folder, run, name, `${name}_epoch${epoch}.npy`)));
const filesOf = (run = 'run') =>
  readdirSync(join(folder, run), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();

describe('NpyStore', () => {
  it("writes Delve's folders: statistics with a leading _, the user's scalars without", async () => {
    const covariance = Float64Array.of(4, 0, 0, 1);
    const spectrum = Spectrum.of(covariance);
    const embedding = Float64Array.of(1, 2, 3, 4, 5, 6);
    const store = new NpyStore(join(folder, 'run'));
    await store.add(
      epochOf(
        0,
        [layer('fc', 'train', { features: 2, covariance, spectrum, embedding }), layer('fc', 'val')],
        [{ tag: 'train_accuracy', value: 0.5 }],
      ),
    );
    expect(array('train_accuracy', 0)).toEqual({ dtype: 'float64', shape: [], values: Float64Array.of(0.5) });
    expect(array('_train-saturation_fc', 0).values[0]).toBe(0.375);
    expect(array('_eval-intrinsic-dimensionality_fc', 0)).toMatchObject({ dtype: 'int64', shape: [] });
    expect(array('_train-covariance-matrix_fc', 0)).toMatchObject({ shape: [2, 2], values: covariance });
    expect(array('_train-spectrum_fc', 0)).toMatchObject({ shape: [2], values: Float64Array.of(4, 1) });
    expect(array('_train-embedded-sample_fc', 0)).toMatchObject({ shape: [3, 2], values: embedding });
    expect(array('_train-samples_fc', 0).values[0]).toBe(640);
  });

  it("continues a folder that Delve wrote: earlier files untouched, later ones gone, Delve's counter kept true", async () => {
    cpSync(delveFolder, join(folder, 'run'), { recursive: true });
    const store = new NpyStore(join(folder, 'run'));
    await store.resume(2);
    const delve = readdirSync(delveFolder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.name.endsWith('.npy'))
      .map((entry) => entry.name);
    expect(filesOf().filter((name) => name.endsWith('.npy'))).toEqual(
      delve.filter((name) => !name.endsWith('_epoch2.npy')).sort(),
    );
    await store.add(epochOf(2, [layer('fc_one', 'train')]));
    expect(array('_train-saturation_fc_one', 1).values[0]).toBe(0.6);
    expect(array('_train-saturation_fc_one', 2).values[0]).toBe(0.375);
    const counter = decodeEpochCounter(readFileSync(join(folder, 'run/epoch_counter.pkl')))!;
    expect([...counter].slice(0, 2)).toEqual([
      ['train_accuracy', 1],
      ['_train-saturation_fc_one', 2],
    ]);
    expect(counter.get('_eval-saturation_block-0')).toBe(1);
  });

  it('removes what an earlier run left at its first epoch or later, so that no run shows parts of two', async () => {
    const first = new NpyStore(join(folder, 'run'));
    for (const epoch of [0, 1, 2]) await first.add(epochOf(epoch, [layer('fc', 'train')]));
    await new NpyStore(join(folder, 'run')).add(epochOf(0, [layer('fc', 'train')]));
    expect(filesOf().filter((name) => name.includes('saturation'))).toEqual(['_train-saturation_fc_epoch0.npy']);
  });

  it('leaves files alone that are not of its form', async () => {
    await new NpyStore(folder).add(epochOf(0, [layer('fc', 'train')]));
    cpSync(join(delveFolder, '../embed_expected.npy'), join(folder, 'mine_epoch7.npy'));
    await new NpyStore(folder).add(epochOf(0, [layer('fc', 'train')]));
    expect(readdirSync(folder)).toContain('mine_epoch7.npy');
  });

  it.each(['../../out', '/etc/x', 'a/b', 'C:\\x', '..', 'line\nbreak', 'x'.repeat(300)])(
    'keeps layer %o inside its folder',
    async (name) => {
      const store = new NpyStore(join(folder, 'run'));
      await store.add(epochOf(0, [layer(name, 'train')], [{ tag: name, value: 1 }]));
      expect(readdirSync(folder)).toEqual(['run']);
      const entries = readdirSync(join(folder, 'run'), { recursive: true, withFileTypes: true });
      // Five values, each in a folder of its own, and the counter.
      expect(entries.filter((entry) => entry.isDirectory())).toHaveLength(5);
      expect(entries.filter((entry) => entry.isFile())).toHaveLength(6);
    },
  );

  it('saves the last value of a scalar that came several times in an epoch', async () => {
    const store = new NpyStore(join(folder, 'run'));
    const scalars = [1, 2, 3, 4, 5, 6, 7, 8].map((value) => ({ tag: 'lr', value }));
    await store.add(epochOf(0, [layer('fc', 'train')], scalars));
    expect(array('lr', 0).values[0]).toBe(8);
  });

  it('writes a count that is NaN as a float', async () => {
    const values = { intrinsicDimensionality: Number.NaN };
    await new NpyStore(join(folder, 'run')).add(epochOf(0, [layer('fc', 'train', { values })]));
    expect(array('_train-intrinsic-dimensionality_fc', 0)).toMatchObject({ dtype: 'float64' });
    expect(array('_train-intrinsic-dimensionality_fc', 0).values[0]).toBeNaN();
  });

  it('makes no folder before there is something to save', () => {
    new NpyStore(join(folder, 'run'));
    expect(readdirSync(folder)).toEqual([]);
    expect(() => new NpyStore('')).toThrow(TypeError);
  });
});
