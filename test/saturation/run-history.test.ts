import { expect, test } from 'vitest';
import type { EpochStatistics, LayerStatistics, Split } from '../../src/saturation/epoch.js';
import { RunHistory } from '../../src/saturation/run-history.js';

const layer = (name: string, saturation: number, split: Split = 'train'): LayerStatistics => ({
  split,
  layer: name,
  samples: 10,
  rejected: 0,
  features: 4,
  saturation,
  intrinsicDimensionality: saturation * 4,
  values: { saturation },
});
const epoch = (
  number: number,
  layers: LayerStatistics[],
  scalars: EpochStatistics['scalars'] = [],
): EpochStatistics => ({
  epoch: number,
  step: number + 1,
  threshold: 0.99,
  rule: 'paper',
  layers,
  scalars,
});

test('a layer that appears late or stays away has gaps, in the order of first appearance', () => {
  const history = new RunHistory();
  history.add(epoch(0, [layer('a', 0.1)]));
  history.add(epoch(1, [layer('a', 0.2), layer('b', 0.3)]));
  history.add(epoch(2, [layer('b', 0.4)]));
  const { labels, epochs, values } = history.byEpoch('train', 'saturation');
  expect(labels).toEqual(['a', 'b']);
  expect(epochs).toEqual([1, 2, 3]);
  expect(values).toEqual([
    [0.1, Number.NaN],
    [0.2, 0.3],
    [Number.NaN, 0.4],
  ]);
});

test('epochs come in any order, and a resumed run replaces its own', () => {
  const history = new RunHistory();
  history.add(epoch(1, [layer('a', 0.9)]));
  history.add(epoch(0, [layer('a', 0.1)]));
  history.add(epoch(1, [layer('a', 0.2)]));
  expect(history.byEpoch('train', 'saturation').values).toEqual([[0.1], [0.2]]);
  expect(history.last?.epoch).toBe(1);
});

test('splits are kept apart; an epoch without validation is no row of it', () => {
  const history = new RunHistory();
  history.add(epoch(0, [layer('a', 0.1), layer('a', 0.5, 'val')]));
  history.add(epoch(1, [layer('a', 0.2)]));
  expect(history.splits).toEqual(['train', 'val']);
  expect(history.byEpoch('val', 'saturation')).toEqual({ labels: ['a'], epochs: [1], values: [[0.5]] });
  expect(history.lastOf('val').map(({ values }) => values.saturation)).toEqual([0.5]);
});

test('scalars become one series per tag and split, with gaps', () => {
  const history = new RunHistory();
  history.add(
    epoch(
      0,
      [],
      [
        { tag: 'loss', value: 3, split: 'train' },
        { tag: 'lr', value: 1 },
      ],
    ),
  );
  history.add(
    epoch(
      1,
      [],
      [
        { tag: 'loss', value: 2, split: 'train' },
        { tag: 'loss', value: 4, split: 'val' },
      ],
    ),
  );
  expect(history.scalars()).toEqual([
    { name: 'loss', split: 'train', values: [3, 2] },
    { name: 'lr', split: undefined, values: [1, Number.NaN] },
    { name: 'loss', split: 'val', values: [Number.NaN, 4] },
  ]);
  expect(history.last).toBeUndefined();
});
