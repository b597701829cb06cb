import { describe, expect, it } from 'vitest';
import { ConsoleStore, epochText } from '../../src/stores/console-store.js';
import { epochOf, layer } from '../support/epochs.js';

const statistics = epochOf(
  3,
  [
    layer('conv2d', 'train', { samples: 51200, features: 16, values: { saturation: 0.5, intrinsicDimensionality: 8 } }),
    layer('dense', 'val', { rejected: 2, values: { saturation: Number.NaN, intrinsicDimensionality: Number.NaN } }),
  ],
  [
    { tag: 'loss', value: 0.123456 },
    { tag: 'loss', value: 0.25, split: 'val' },
  ],
);

describe('ConsoleStore', () => {
  it('prints a table with n and d beside every value', () => {
    const printed: string[] = [];
    new ConsoleStore({ print: (text) => printed.push(text), colors: false }).add(statistics);
    expect(printed).toEqual([
      [
        'epoch 3, 99 % of the variance (paper rule)',
        '  loss 0.1235   val loss 0.25',
        '  layer   split      n   d           saturation  dims',
        '  conv2d  train  51200  16  ██████······  0.500     8',
        '  dense   val      640   8                    -     -  2 rows with NaN or Infinity left out',
      ].join('\n'),
    ]);
  });

  it('shows every statistic asked for, blank where a layer lacks it', () => {
    const text = epochText(
      epochOf(0, [
        layer('a', 'train', { values: { trace: 1234567, logDeterminant: -Infinity } }),
        layer('b', 'train', { values: { drift: 0.5 } }),
      ]),
    );
    const [, head, a, b] = text.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(head).toEqual(['layer', 'split', 'n', 'd', 'trace', 'log det', 'drift']);
    expect(a).toEqual(['a', 'train', '640', '8', '1235000', '-Infinity']);
    expect(b).toEqual(['b', 'train', '640', '8', '0.5']);
  });

  it('has no escape codes unless colors are wanted', () => {
    expect(epochText(statistics, false)).not.toContain('\u001b');
    expect(epochText(statistics, true)).toContain('\u001b[36m██████\u001b[0m');
  });

  it('does not let a layer name move the cursor', () => {
    expect(epochText(epochOf(0, [layer('a\u001b[2Jb\n', 'train')]))).toContain('a?[2Jb?');
  });

  it('prints an epoch without layers', () => {
    expect(epochText(epochOf(0, []))).toBe('epoch 0, 99 % of the variance (paper rule)');
  });
});
