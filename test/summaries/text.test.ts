import { describe, expect, it } from 'vitest';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { type Text, textSummary } from '../../src/summaries/text.js';
import { base64, reference } from '../support/summary-fixtures.js';

const tensorOf = (text: Text) => base64(tensorboard.TensorProto.encode(textSummary(text).tensor).finish());

describe('textSummary', () => {
  it("has the bytes of TensorBoard's own text summary", () => {
    expect(tensorOf('# hi')).toBe(reference.text.one);
    expect(tensorOf(['a', 'b'])).toBe(reference.text.column);
    expect(
      tensorOf([
        ['a', 'b'],
        ['c', 'ü'],
      ]),
    ).toBe(reference.text.table);
  });

  it.each([
    ['rows of different lengths', [['a'], ['b', 'c']], 'row 1: expected 1 cells, got 2'],
    ['no rows', [], 'at least one row'],
    ['no columns', [[]], 'at least one column'],
    ['a number', 3, 'got number 3'],
    ['a number in a cell', [['a', 3]], 'got number 3'],
    ['a string among rows', [['a'], 'b'], 'row 1: expected an array of strings'],
  ])('refuses %s', (_, text, message) => {
    expect(() => textSummary(text as Text, 'text "notes"')).toThrow(message);
    expect(() => textSummary(text as Text, 'text "notes"')).toThrow(/^text "notes"/);
  });
});
