import { decode } from 'fast-png';
import { describe, expect, test } from 'vitest';
import { PlotStore } from '../../src/reports/plot-store.js';
import type { EpochStatistics, LayerStatistics } from '../../src/saturation/epoch.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';

function layer(name: string, split: 'train' | 'val', more: Partial<LayerStatistics> = {}): LayerStatistics {
  const values = {
    saturation: 0.25,
    intrinsicDimensionality: 4,
    trace: 2,
    determinant: 0.5,
    diagonalTrace: 2,
    entropyRank: 3,
  };
  const { saturation, intrinsicDimensionality } = values;
  return {
    split,
    layer: name,
    samples: 100,
    rejected: 0,
    features: 16,
    saturation,
    intrinsicDimensionality,
    values,
    ...more,
  };
}

const epoch = (number: number, layers: LayerStatistics[]): EpochStatistics => ({
  epoch: number,
  step: number + 1,
  threshold: 0.99,
  rule: 'paper',
  layers,
  scalars: [{ tag: 'accuracy', value: 0.9, split: 'train' }],
});

describe('PlotStore', () => {
  test("names its files as Delve's plot writer does, one per statistic, split and epoch", async () => {
    const files = new MemoryStoreFiles();
    const store = new PlotStore('runs/vgg', { files });
    await store.add(epoch(0, [layer('a', 'train'), layer('b', 'train'), layer('a', 'val')]));
    await store.add(epoch(1, [layer('a', 'train')]));
    const stats = ['lsat', 'idim', 'trc', 'det', 'dtrc', 'entropyRank'];
    const expected = [
      ...stats.map((stat) => `runs/vgg_${stat}_train_epoch_0.png`),
      ...stats.map((stat) => `runs/vgg_${stat}_eval_epoch_0.png`),
      ...stats.map((stat) => `runs/vgg_${stat}_train_epoch_1.png`),
    ];
    expect([...files.files.keys()].sort()).toEqual(expected.sort());
    for (const bytes of files.files.values()) expect(decode(bytes).width).toBeGreaterThan(300);
  });

  test('layers, metric, split, epoch and accuracy are in the picture', async () => {
    const files = new MemoryStoreFiles();
    await new PlotStore('x', { files, format: 'svg' }).add(epoch(3, [layer('conv_1', 'train'), layer('fc', 'train')]));
    const svg = new TextDecoder().decode(files.files.get('x_lsat_train_epoch_3.svg'));
    for (const text of ['conv_1', 'fc', 'Saturation by depth, train, epoch 3', 'accuracy 0.9'])
      expect(svg).toContain(text);
  });

  test('embeddings of a split come in one picture, also beside layers without one', async () => {
    const files = new MemoryStoreFiles();
    const embedded = layer('a', 'train', { values: {}, embedding: Float64Array.of(1, 2, 3, 4) });
    await new PlotStore('x', { files, format: 'svg' }).add(epoch(0, [embedded, layer('b', 'train', { values: {} })]));
    expect([...files.files.keys()]).toEqual(['x_embed_train_epoch_0.svg']);
  });

  test('a layer that saw no finite row leaves a gap and no error', async () => {
    const files = new MemoryStoreFiles();
    const silent = layer('b', 'train', { samples: 0, values: { saturation: Number.NaN } });
    await new PlotStore('x', { files, format: 'svg' }).add(
      epoch(0, [layer('a', 'train', { values: { saturation: 1 } }), silent]),
    );
    expect([...files.files.keys()]).toEqual(['x_lsat_train_epoch_0.svg']);
  });

  test('an epoch without layers writes nothing', async () => {
    const files = new MemoryStoreFiles();
    await new PlotStore('x', { files }).add(epoch(0, []));
    expect(files.files.size).toBe(0);
  });

  test('bad options are named', () => {
    expect(() => new PlotStore('')).toThrow(/savefile to be a path/);
    expect(() => new PlotStore('x', { format: 'gif' as never })).toThrow(/'png' or 'svg', got 'gif'/);
  });
});
