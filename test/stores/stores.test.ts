import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable } from '../../src/errors.js';
import { ConsoleStore, epochText } from '../../src/stores/console-store.js';
import {
  decodeFileName,
  delveColumn,
  encodeFileName,
  parseDelveColumn,
  scalarColumn,
  storedStat,
} from '../../src/stores/delve-names.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { type Store, StoreList } from '../../src/stores/store.js';
import { epochOf, layer, oddNames } from '../support/epochs.js';

describe('columns', () => {
  it('are named as in a file that Delve wrote', () => {
    expect(delveColumn('train', 'saturation', 'fc_one')).toBe('train-saturation_fc_one');
    expect(delveColumn('val', 'intrinsicDimensionality', 'block-0')).toBe('eval-intrinsic-dimensionality_block-0');
    expect(delveColumn('val', 'determinant', 'fc_one')).toBe('eval-covariance-determinant_fc_one');
    expect(delveColumn('train', 'trace', 'fc_one')).toBe('train-covariance-trace_fc_one');
    expect(delveColumn('train', 'diagonalTrace', 'fc_one')).toBe('train-diagonal-trace_fc_one');
    expect(delveColumn('train', 'covariance', 'fc_one')).toBe('train-covariance-matrix_fc_one');
  });

  it("keep a user's tag, with its split in front if it has one", () => {
    expect(scalarColumn('train_accuracy')).toBe('train_accuracy');
    expect(scalarColumn('loss', 'val')).toBe('eval_loss');
  });

  it('are taken apart again, also with the _ of folder names', () => {
    const parsed = { split: 'val', stat: 'intrinsicDimensionality', layer: 'fc_one' };
    expect(parseDelveColumn('eval-intrinsic-dimensionality_fc_one')).toEqual(parsed);
    expect(parseDelveColumn('_eval-intrinsic-dimensionality_fc_one')).toEqual(parsed);
    expect(parseDelveColumn('train_accuracy')).toBeUndefined();
    expect(parseDelveColumn('train-speed_fc')).toBeUndefined();
  });

  it('are unambiguous for any layer name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        expect(parseDelveColumn(delveColumn('train', 'saturation', name))?.layer).toBe(name);
      }),
    );
  });
});

describe('storedStat', () => {
  it("accepts Delve's short names and ours", () => {
    expect(storedStat('lsat')).toBe('saturation');
    expect(storedStat('entropyRank')).toBe('entropyRank');
  });

  it.each(['sat', 'toString', ''])('refuses %o, listing what there is', (name) => {
    expect(() => storedStat(name)).toThrow(/stats: expected names out of .*lsat/);
  });
});

describe('encodeFileName', () => {
  it("leaves Delve's names alone", () => {
    for (const name of ['_train-saturation_fc_one', '_eval-covariance-matrix_block-0', 'train_accuracy']) {
      expect(encodeFileName(name)).toBe(name);
    }
  });

  it.each([
    '..',
    '.',
    '',
    '../../etc/passwd',
    'a/b',
    'a\\b',
    'C:',
    'a\0b',
    'tab\t',
    'dot.',
    'space ',
    '%2F',
    '*?"<>|',
    'CON',
    'nul.txt',
    'Com1',
  ])('makes %o one harmless part of a path', (name) => {
    const encoded = encodeFileName(name);
    expect(encoded).not.toMatch(/[/\\:*?"<>|\p{Cc}]|^\.{0,2}$|[. ]$|^(con|nul|com1)(\.|$)/iu);
    expect(decodeFileName(encoded)).toBe(name);
  });

  it('is reversible and free of separators for any name of ordinary length', () => {
    const ordinary = fc.string({ unit: 'binary', maxLength: 15 });
    fc.assert(
      fc.property(ordinary, (name) => {
        const encoded = encodeFileName(name);
        expect(encoded).not.toMatch(/[/\\]/);
        expect(encoded).not.toMatch(/^\.{0,2}$/);
        expect(decodeFileName(encoded)).toBe(name);
      }),
    );
  });

  it('keeps long names apart and short enough for a file', () => {
    const long = '層'.repeat(300);
    const [a, b] = [encodeFileName(`${long}a`), encodeFileName(`${long}b`)];
    expect(a).not.toBe(b);
    for (const encoded of [a, b, encodeFileName('/'.repeat(300))]) {
      expect(Buffer.byteLength(`.${encoded}_epoch1000000.npy.tmp`)).toBeLessThanOrEqual(255);
      expect(encoded).not.toMatch(/%.?~/);
    }
  });
});

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

  it('shows every statistic asked for, blank if a layer lacks it', () => {
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

  it('names the folders once that most names begin with', () => {
    const names = ['model/mid/block_1/conv', 'model/mid/block_2/conv', 'model/mid/top', 'fc'];
    const lines = epochText(
      epochOf(
        0,
        names.map((name) => layer(name, 'train', { values: { trace: 1 } })),
      ),
    ).split('\n');
    expect(lines[1]).toBe('  names without model/mid/');
    const shown = lines.slice(3).map((line) => line.trim().split(' ')[0]);
    expect(shown).toEqual(['block_1/conv', 'block_2/conv', 'top', 'fc']);
    // Two layers must not get one name.
    const alike = epochText(
      epochOf(0, [layer('a/x', 'train'), layer('a/y', 'train'), layer('a/z', 'val'), layer('x', 'val')]),
    );
    expect(alike).not.toContain('names without');
    expect(alike).toContain('a/x');
  });

  it('has no escape codes unless colors are asked for', () => {
    expect(epochText(statistics, false)).not.toContain('\u001b');
    // Train is orange and val blue, as TensorBoard's first two runs and the plots are.
    expect(epochText(statistics, true)).toContain('\u001b[38;5;208m██████\u001b[0m');
    const val = epochOf(0, [layer('a', 'val', { values: { saturation: 0.5 } })]);
    expect(epochText(val, true)).toContain('\u001b[38;5;33m██████\u001b[0m');
  });

  it('does not let a layer name command the terminal', () => {
    expect(epochText(epochOf(0, [layer('a\u001b[2Jb\n', 'train')]))).toContain('a\\u001b[2Jb\\u000a');
  });

  it('prints every name on a line of its own, whatever is in it', () => {
    const text = epochText(
      epochOf(
        0,
        oddNames.map((name) => layer(name, 'train')),
      ),
    );
    expect(text.split('\n').length).toBe(2 + oddNames.length);
    for (const name of oddNames) expect(text).toContain(`  ${printable(name)}`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u2028\u202e]/);
  });

  it('prints an epoch without layers', () => {
    expect(epochText(epochOf(0, []))).toBe('epoch 0, 99 % of the variance (paper rule)');
  });
});

describe('MemoryStoreFiles', () => {
  it('keeps a copy: later changes of the bytes do not reach it', async () => {
    const files = new MemoryStoreFiles();
    const bytes = Uint8Array.of(1, 2);
    await files.write('a/b', bytes);
    bytes.fill(9);
    expect(await files.read('a/b')).toEqual(Uint8Array.of(1, 2));
  });

  it('lists a folder, but not one whose name only begins alike', async () => {
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

class Recorder implements Store {
  readonly calls: string[] = [];
  constructor(readonly fails = false) {}
  resume(initialEpoch: number): void {
    this.note(`resume ${initialEpoch}`);
  }
  add({ epoch }: { epoch: number }): void {
    this.note(`add ${epoch}`);
  }
  close(): void {
    this.note('close');
  }
  private note(call: string): void {
    this.calls.push(call);
    if (this.fails) throw new Error(`cannot ${call}`);
  }
}

describe('StoreList', () => {
  it('gives everything to every store, whatever becomes of the others', async () => {
    const stores = [new Recorder(true), new Recorder()];
    const list = new StoreList(stores);
    await expect(list.resume(2)).rejects.toThrow('cannot resume 2');
    await expect(list.add(epochOf(2, []))).rejects.toThrow('cannot add 2');
    await expect(list.close()).rejects.toThrow('cannot close');
    for (const store of stores) expect(store.calls).toEqual(['resume 2', 'add 2', 'close']);
  });

  it('names every failure', async () => {
    const list = new StoreList([new Recorder(true), new Recorder(true)]);
    await expect(list.close()).rejects.toThrow('2 stores failed: cannot close; cannot close');
  });

  it('accepts stores that cannot resume or close', async () => {
    const list = new StoreList([{ add: () => {} }]);
    await expect(list.resume(1)).resolves.toBeUndefined();
    await expect(list.close()).resolves.toBeUndefined();
  });
});
