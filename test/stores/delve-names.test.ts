import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeFileName,
  delveColumn,
  encodeFileName,
  parseDelveColumn,
  scalarColumn,
  storedStat,
} from '../../src/stores/delve-names.js';

describe('columns', () => {
  it('are named as in a file that Delve wrote', () => {
    expect(delveColumn('train', 'saturation', 'fc_one')).toBe('train-saturation_fc_one');
    expect(delveColumn('val', 'intrinsicDimensionality', 'block-0')).toBe('eval-intrinsic-dimensionality_block-0');
    expect(delveColumn('val', 'determinant', 'fc_one')).toBe('eval-covariance-determinant_fc_one');
    expect(delveColumn('train', 'trace', 'fc_one')).toBe('train-covariance-trace_fc_one');
    expect(delveColumn('train', 'diagonalTrace', 'fc_one')).toBe('train-diagonal-trace_fc_one');
    expect(delveColumn('train', 'covariance', 'fc_one')).toBe('train-covariance-matrix_fc_one');
  });

  it("keep a user's tag, with its split in front where it has one", () => {
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
  it("takes Delve's short names and ours", () => {
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

  it.each(['..', '.', '', '../../etc/passwd', 'a/b', 'a\\b', 'C:', 'a\0b', 'tab\t', 'dot.', 'space ', '%2F', '*?"<>|'])(
    'makes %o one harmless part of a path',
    (name) => {
      const encoded = encodeFileName(name);
      expect(encoded).not.toMatch(/[/\\:*?"<>|\p{Cc}]|^\.{0,2}$|[. ]$/u);
      expect(decodeFileName(encoded)).toBe(name);
    },
  );

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
