import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Numbers } from '../../src/summaries/numbers.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';
import { type PrCounts, prCurveRawSummary, prCurveSummary } from '../../src/summaries/pr-curve.js';
import { base64, floatsOf, reference } from '../support/summary-fixtures.js';

const rowsOf = (summary: unknown) => {
  const numbers = floatsOf((summary as PluginSummary).tensor.tensorContent as Uint8Array);
  const n = numbers.length / 6;
  const [tp, fp, tn, fn, precision, recall] = Array.from({ length: 6 }, (_, i) => numbers.slice(i * n, (i + 1) * n));
  return { tp, fp, tn, fn, precision, recall };
};

describe('prCurveSummary', () => {
  it.each(reference.pr_curves)(
    "equals TensorBoard's own curve: $name thresholds",
    ({ labels, predictions, thresholds, weights, rows, content }) => {
      const summary = prCurveSummary(labels, predictions, {
        thresholds,
        weights: weights ?? undefined,
      }) as PluginSummary;
      expect([summary.plugin, summary.dataClass, summary.tensor.dtype]).toEqual(['pr_curves', 2, 1]);
      expect(summary.tensor.tensorShape).toEqual({ dim: [{ size: 6 }, { size: thresholds }] });
      expect(base64(summary.content)).toBe(content);
      const ours = floatsOf(summary.tensor.tensorContent as Uint8Array);
      expect(Math.max(...ours.map((value, i) => Math.abs(value - rows[i])))).toBeLessThan(1e-5);
      if (weights === null) expect(ours).toEqual(rows);
    },
  );

  it('counts every label at every threshold', () => {
    const example = fc.record({ label: fc.boolean(), prediction: fc.double({ min: 0, max: 1, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(example, { minLength: 1 }), fc.integer({ min: 2, max: 300 }), (examples, thresholds) => {
        const labels = examples.map(({ label }) => label);
        const { tp, fp, tn, fn } = rowsOf(
          prCurveSummary(
            labels,
            examples.map(({ prediction }) => prediction),
            { thresholds },
          ),
        );
        const positives = labels.filter(Boolean).length;
        for (let i = 0; i < thresholds; i++) {
          expect(tp[i] + fn[i]).toBe(positives);
          expect(fp[i] + tn[i]).toBe(labels.length - positives);
        }
        expect([tp[0], fp[0]]).toEqual([positives, labels.length - positives]);
      }),
    );
  });

  it('waits for tensors that come later', async () => {
    const late = (values: number[]) => ({ shape: [values.length], data: async () => values });
    expect(rowsOf(await prCurveSummary(late([1, 0]), late([0.9, 0.1]), { thresholds: 3 }))).toMatchObject({
      tp: [1, 1, 0],
      fp: [1, 0, 0],
    });
  });

  it.each([
    ['labels other than 0 and 1', [0, 2], [0, 1], {}, 'labels[1]: expected 0, 1 or a boolean, got 2'],
    ['predictions above 1', [0, 1], [0, 1.5], {}, 'predictions[1]: expected a number from 0 to 1, got 1.5'],
    ['NaN predictions', [0], [Number.NaN], {}, 'predictions[0]'],
    ['fewer predictions', [0, 1], [0], {}, 'as many predictions as labels, got 1 and 2'],
    ['fewer weights', [0, 1], [0, 1], { weights: [1] }, 'one weight or as many as labels, got 1 and 2'],
    ['negative weights', [0], [1], { weights: -1 }, 'weights[0]: expected a number of at least 0'],
    ['a single threshold', [0], [1], { thresholds: 1 }, 'at least 2 thresholds, got number 1'],
  ])('refuses %s', (_, labels, predictions, options, message) => {
    const call = () => prCurveSummary(labels as Numbers, predictions as Numbers, options, 'addPrCurve "pr"');
    expect(call).toThrow(RangeError);
    expect(call).toThrow(message);
    expect(call).toThrow(/^addPrCurve "pr"/);
  });
});

describe('prCurveRawSummary', () => {
  const counts = {
    truePositives: [4, 2, 0],
    falsePositives: [6, 1, 0],
    trueNegatives: [0, 5, 6],
    falseNegatives: [0, 2, 4],
  };

  it('computes precision and recall where they are left out', () => {
    const rows = rowsOf(prCurveRawSummary(counts));
    expect(rows.tp).toEqual([4, 2, 0]);
    expect(rows.precision).toEqual([0.4, 2 / 3, 0].map(Math.fround));
    expect(rows.recall).toEqual([1, 0.5, 0]);
  });

  it('takes the precision and recall it is given', () => {
    const { precision, recall } = rowsOf(prCurveRawSummary({ ...counts, precision: [0.5, 0.5, 1], recall: [1, 1, 0] }));
    expect([precision, recall]).toEqual([
      [0.5, 0.5, 1],
      [1, 1, 0],
    ]);
  });

  it('refuses rows of different lengths and impossible numbers', () => {
    expect(() => prCurveRawSummary({ ...counts, falsePositives: [1] })).toThrow(
      'expected 3 falsePositives, got an array of 1',
    );
    expect(() => prCurveRawSummary({ ...counts, precision: [2, 0, 0] })).toThrow(
      'precision[0]: expected a number from 0 to 1, got number 2',
    );
    expect(() => prCurveRawSummary({ ...counts, trueNegatives: [-1, 0, 0] })).toThrow('trueNegatives[0]');
    expect(() => prCurveRawSummary({} as PrCounts)).toThrow('at least 2 thresholds, got undefined');
  });
});
