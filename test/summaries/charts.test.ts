import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage } from '../../src/encoding/message-codec.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { type CustomScalarsLayout, customScalarsSummary } from '../../src/summaries/custom-scalars.js';
import { bucketize, checkBuckets, histogramSummary } from '../../src/summaries/histogram.js';
import { decodeHparams, type Hparams, type HparamsOptions, hparamsSummaries } from '../../src/summaries/hparams.js';
import type { Numbers } from '../../src/summaries/numbers.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';
import { type PrCounts, prCurveRawSummary, prCurveSummary } from '../../src/summaries/pr-curve.js';
import { base64, doublesOf, floatsOf, fromBase64, reference } from '../support/summary-fixtures.js';

const rowsOf = (buckets: Float64Array) =>
  Array.from({ length: buckets.length / 3 }, (_, i) => Array.from(buckets.subarray(3 * i, 3 * i + 3)));

describe('bucketize', () => {
  it.each(reference.histograms)("equals TensorBoard's own histogram: $name", ({ data, buckets, rows }) => {
    const ours = Array.from(bucketize(data, buckets).buckets);
    expect(ours.length).toBe(rows.length);
    for (let i = 0; i < rows.length; i++) {
      if (i % 3 === 2) expect(ours[i]).toBe(rows[i]);
      else expect(Math.abs(ours[i] - rows[i])).toBeLessThanOrEqual(4e-16 * Math.abs(rows[i]) + 1e-320);
    }
  });

  it('makes 30 buckets by default', () => {
    expect(bucketize([1, 2]).buckets.length).toBe(90);
  });

  it('keeps its edges in order if the widths are subnormal', () => {
    for (const units of [1, 2, 3, 5, 7, 11]) {
      for (const count of [2, 4, 6, 7, 30]) {
        const values = Array.from({ length: units + 1 }, (_, i) => i * Number.MIN_VALUE);
        const { buckets } = bucketize(values, count);
        expect(() => checkBuckets(buckets)).not.toThrow();
        expect(buckets.filter((_, at) => at % 3 === 2).reduce((sum, counted) => sum + counted)).toBe(units + 1);
      }
    }
  });

  it('counts every finite value once, between the least and the greatest, for any values', () => {
    fc.assert(
      fc.property(fc.array(fc.double()), fc.integer({ min: 1, max: 40 }), (values, count) => {
        const { buckets, rejected } = bucketize(values, count);
        const rows = rowsOf(buckets);
        const finite = values.filter(Number.isFinite);
        expect(rows.length).toBe(count);
        expect(rejected).toBe(values.length - finite.length);
        expect(rows.reduce((sum, row) => sum + row[2], 0)).toBe(finite.length);
        if (finite.length === 0) return;
        expect(rows[0][0]).toBe(Math.min(...finite) + 0);
        expect(rows[count - 1][1]).toBe(Math.max(...finite) + 0);
        expect(() => checkBuckets(buckets)).not.toThrow();
      }),
    );
  });

  it('spans ranges that overflow and ranges that underflow', () => {
    const max = Number.MAX_VALUE;
    expect(rowsOf(bucketize([-max, max, 0], 2).buckets)).toEqual([
      [-max, 0, 1],
      [0, max, 2],
    ]);
    const least = Number.MIN_VALUE;
    const rows = rowsOf(bucketize([0, least, 2 * least], 30).buckets);
    expect(rows.reduce((sum, row) => sum + row[2], 0)).toBe(3);
    expect([rows[0][0], rows[0][2], rows[29][1], rows[29][2]]).toEqual([0, 1, 2 * least, 1]);
  });

  it('leaves out NaN and infinities and says how many', () => {
    const { buckets, rejected } = bucketize([1, Number.NaN, 2, Infinity, -Infinity, 3], 2);
    expect(rejected).toBe(3);
    expect(rowsOf(buckets)).toEqual([
      [1, 2, 1],
      [2, 3, 2],
    ]);
    expect(bucketize([Number.NaN], 2)).toEqual({ buckets: new Float64Array(6), rejected: 1 });
  });

  it.each([0, -1, 1.5, Number.NaN, '3'])('refuses %s buckets', (count) => {
    expect(() => bucketize([1], count as number, 'histogram "w"')).toThrow(
      /^histogram "w": expected buckets to be a whole number/,
    );
  });
});

describe('histogramSummary', () => {
  it('is float64 [k, 3]', () => {
    const { plugin, dataClass, tensor } = histogramSummary(Float64Array.of(0, 1, 5, 1, 2, 7));
    expect([plugin, dataClass, tensor.dtype, tensor.tensorShape]).toEqual([
      'histograms',
      2,
      2,
      { dim: [{ size: 2 }, { size: 3 }] },
    ]);
    expect(doublesOf(tensor.tensorContent as Uint8Array)).toEqual([0, 1, 5, 1, 2, 7]);
  });
});

describe('checkBuckets', () => {
  it('accepts buckets with gaps, with fractions, and none', () => {
    expect(Array.from(checkBuckets([0, 1, 0.5, 2, 3, 0]))).toEqual([0, 1, 0.5, 2, 3, 0]);
    expect(checkBuckets([]).length).toBe(0);
  });

  it.each([
    ['not k x 3', [0, 1], 'expected k x 3 numbers (left, right, count), got 2'],
    ['left above right', [1, 0, 1], 'bucket 0: expected left <= right'],
    ['overlap', [0, 2, 1, 1, 3, 1], 'bucket 1: expected it to begin at or after 2'],
    ['negative count', [0, 1, -1], 'bucket 0: expected a count of at least 0, got -1'],
    ['NaN edge', [Number.NaN, 1, 1], 'bucket 0: expected finite edges'],
    ['infinite edge', [0, Infinity, 1], 'bucket 0: expected finite edges'],
    ['infinite count', [0, 1, Infinity], 'bucket 0: expected a count of at least 0'],
  ])('refuses %s', (_, buckets, message) => {
    expect(() => checkBuckets(buckets, 'histogram "w"')).toThrow(RangeError);
    expect(() => checkBuckets(buckets, 'histogram "w"')).toThrow(`histogram "w": ${message}`);
  });
});

const curvesOf = (summary: unknown) => {
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

  const floats = (text: string) => new Float32Array(fromBase64(text).buffer);

  it.each(reference.float32_pr_curves)(
    "equals TensorBoard's own curve of float32 predictions on and beside the thresholds: $name",
    ({ labels, predictions, thresholds, weights, rows }) => {
      const options = { thresholds, ...(weights === null ? undefined : { weights: floats(weights) }) };
      const curveOf = (numbers: Numbers) =>
        (prCurveSummary(fromBase64(labels), numbers, options) as PluginSummary).tensor.tensorContent as Uint8Array;
      const array = floats(predictions);
      expect(base64(curveOf(array))).toBe(rows);
      // A tensor whose values come as plain numbers says itself that they are float32.
      const tensor = {
        shape: [array.length],
        dtype: 'float32',
        dataSync: () => Array.from(array),
        data: async () => [],
      };
      expect(base64(curveOf(tensor))).toBe(rows);
    },
  );

  it('takes predictions that exceed 0 or 1 by the rounding of a softmax for 0 and 1', () => {
    const curves = curvesOf(prCurveSummary([1, 0], Float32Array.of(1 + 2 ** -23, -1e-8), { thresholds: 3 }));
    expect(curves.tp).toEqual([1, 1, 1]);
    expect(curves.fp).toEqual([1, 0, 0]);
  });

  it('counts every label at every threshold', () => {
    const example = fc.record({ label: fc.boolean(), prediction: fc.double({ min: 0, max: 1, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(example, { minLength: 1 }), fc.integer({ min: 2, max: 300 }), (examples, thresholds) => {
        const labels = examples.map(({ label }) => label);
        const { tp, fp, tn, fn } = curvesOf(
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
    expect(curvesOf(await prCurveSummary(late([1, 0]), late([0.9, 0.1]), { thresholds: 3 }))).toMatchObject({
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

  it('computes precision and recall if they are left out', () => {
    const rows = curvesOf(prCurveRawSummary(counts));
    expect(rows.tp).toEqual([4, 2, 0]);
    expect(rows.precision).toEqual([0.4, 2 / 3, 0].map(Math.fround));
    expect(rows.recall).toEqual([1, 0.5, 0]);
  });

  it('uses the precision and recall that it is given', () => {
    const { precision, recall } = curvesOf(
      prCurveRawSummary({ ...counts, precision: [0.5, 0.5, 1], recall: [1, 1, 0] }),
    );
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
    expect(() => prCurveRawSummary({} as PrCounts)).toThrow('expected truePositives, got undefined');
    expect(() => prCurveRawSummary({ ...counts, truePositives: [1] })).toThrow('at least 2 thresholds, got number 1');
  });
});

const layoutOf = (layout: CustomScalarsLayout) => base64(customScalarsSummary(layout).tensor.stringVal?.[0]);
const charts = [
  { title: 'lines', multiline: ['loss.*', 'acc'] },
  { title: 'band', margin: [{ value: 'm', lower: 'lo', upper: 'up' }] },
];

describe('customScalarsSummary', () => {
  it("has the bytes of TensorBoard's own layout", () => {
    expect(layoutOf({ categories: [{ title: 'all', closed: true, charts }] })).toBe(reference.layout);
  });

  it("reads tensorboardX's form", () => {
    const tuples: CustomScalarsLayout = {
      all: { lines: ['Multiline', ['loss.*', 'acc']], band: ['Margin', ['m', 'lo', 'up']] },
    };
    expect(layoutOf(tuples)).toBe(layoutOf({ categories: [{ title: 'all', charts }] }));
  });

  it.each([
    ['no layout', null, 'expected a layout, got null'],
    ['no title', { categories: [{ charts }] }, 'categories[0].title: expected a text, got undefined'],
    ['no charts', { categories: [{ title: 'a' }] }, 'categories[0].charts: expected an array, got undefined'],
    [
      'an empty chart',
      { categories: [{ title: 'a', charts: [{ title: 'b' }] }] },
      'charts[0]: expected either multiline or margin',
    ],
    [
      'a chart of both kinds',
      { categories: [{ title: 'a', charts: [{ title: 'b', multiline: [], margin: [] }] }] },
      'either multiline or margin',
    ],
    [
      'a margin without its tags',
      { categories: [{ title: 'a', charts: [{ title: 'b', margin: [{ value: 'v' }] }] }] },
      'margin[0].lower: expected a text',
    ],
    ['an unknown kind', { a: { b: ['Bars', ['x']] } }, "a: b: expected ['Multiline', tags] or ['Margin'"],
    ['a margin of 2', { a: { b: ['Margin', ['x', 'y']] } }, 'expected the 3 tags value, lower, upper, got 2'],
  ])('refuses %s', (_, layout, message) => {
    expect(() => customScalarsSummary(layout as CustomScalarsLayout, 'addCustomScalars')).toThrow(message);
    expect(() => customScalarsSummary(layout as CustomScalarsLayout, 'addCustomScalars')).toThrow(/^addCustomScalars/);
  });
});

const contentsOf = (hparams: Hparams, metrics?: string[], options?: HparamsOptions) =>
  Object.fromEntries(
    hparamsSummaries(hparams, metrics, options).map(({ tagSuffix, content }) => [tagSuffix, content as Uint8Array]),
  );
const decode = (content: Uint8Array) => decodeMessage(tensorboard.HParamsPluginData, content);
/** The order in protobuf maps is arbitrary, so bytes are compared after decoding. */
const plain = (content: Uint8Array) => JSON.parse(JSON.stringify(decode(content)));

describe('hparamsSummaries', () => {
  it("starts a session as TensorBoard's own writer does, with booleans as booleans", () => {
    const { session_start_info: start } = contentsOf(reference.hparams.values, [], {
      name: 'group',
      startTime: 1700000000,
    });
    expect(plain(start)).toEqual(plain(fromBase64(reference.hparams.start['_hparams_/session_start_info'])));
    expect(decode(start).sessionStartInfo?.hparams?.bn).toMatchObject({ boolValue: true });
  });

  it("describes an experiment as TensorBoard's own writer does", () => {
    const domains = { lr: { min: 0, max: 1 }, optimizer: ['adam', 'sgd'], bn: [false, true] };
    const { experiment } = contentsOf({ lr: 0.5 }, ['accuracy'], { domains, startTime: 1700000000 });
    expect(base64(experiment)).toBe(reference.hparams.experiment['_hparams_/experiment']);
  });

  it('names hyperparameters without a domain in the experiment too', () => {
    const { experiment } = contentsOf({ lr: 0.5, bn: true }, [], { domains: { lr: [0.5] } });
    const infos = decode(experiment).experiment?.hparamInfos ?? [];
    expect(infos.map(({ name, type }) => [name, type])).toEqual([
      ['lr', 3],
      ['bn', 2],
    ]);
  });

  it('writes no experiment unless it is asked to, and no end while the session runs', () => {
    expect(Object.keys(contentsOf({ lr: 1 }))).toEqual(['session_start_info', 'session_end_info']);
    expect(Object.keys(contentsOf({ lr: 1 }, [], { status: 'running' }))).toEqual(['session_start_info']);
    const end = contentsOf({ lr: 1 }, [], { status: 'failure', endTime: 5 }).session_end_info;
    expect(decode(end).sessionEndInfo).toMatchObject({ status: 2, endTimeSecs: 5 });
  });

  it('leaves out null and undefined, as torch leaves out None', () => {
    const { session_start_info: start } = contentsOf({ lr: 0.5, warmup: null, decay: undefined });
    expect(Object.keys(decode(start).sessionStartInfo?.hparams ?? {})).toEqual(['lr']);
    const { experiment } = contentsOf({ lr: 0.5, warmup: null }, [], { domains: { warmup: [1, 2] } });
    expect(decode(experiment).experiment?.hparamInfos?.map(({ name }) => name)).toEqual(['warmup', 'lr']);
  });

  it('takes the hyperparameters that are named like members of objects for what they are', () => {
    const hparams = JSON.parse('{ "constructor": 1, "toString": "x", "__proto__": true, "hasOwnProperty": 2 }');
    const { experiment, session_start_info: start } = contentsOf(hparams, ['valueOf'], {
      domains: { toString: ['x'] },
    });
    const names = Object.keys(decode(start).sessionStartInfo?.hparams ?? {});
    expect(names.sort()).toEqual(['__proto__', 'constructor', 'hasOwnProperty', 'toString']);
    const { hparamInfos, metricInfos } = decode(experiment).experiment ?? {};
    expect(hparamInfos?.map(({ name, type }) => [name, type])).toEqual([
      ['toString', 1],
      ['constructor', 3],
      ['__proto__', 2],
      ['hasOwnProperty', 3],
    ]);
    expect(metricInfos?.map(({ name }) => name?.tag)).toEqual(['valueOf']);
  });

  it('takes Dates for times', () => {
    const options = { startTime: new Date(1_700_000_000_500), endTime: new Date(1_700_000_001_000) };
    const { session_start_info: start, session_end_info: end } = contentsOf({ a: 1 }, [], options);
    expect(decode(start).sessionStartInfo?.startTimeSecs).toBe(1_700_000_000.5);
    expect(decode(end).sessionEndInfo?.endTimeSecs).toBe(1_700_000_001);
  });

  it("names hyperparameters and metrics for display as TensorBoard's own writer does, and reads the names back", () => {
    const domains = {
      lr: { min: 0, max: 1, displayName: 'Learning rate', description: 'of *Adam*' },
      optimizer: { values: ['adam', 'sgd'], displayName: 'Optimizer' },
      seed: { description: 'Any number' },
    };
    const metricTexts = { loss: { displayName: 'Loss', description: 'per sample' }, later: { displayName: 'Later' } };
    const options = { domains, metricTexts, startTime: 1700000000 };
    const { experiment } = contentsOf({ lr: 0.5 }, ['loss', 'accuracy'], options);
    expect(base64(experiment)).toBe(reference.hparams.displayed['_hparams_/experiment']);
    const tensor = { dtype: 'float32', shape: [0], data: new Float32Array(0) };
    expect(decodeHparams(tensor, experiment)?.experiment).toEqual({
      hparams: [
        {
          name: 'lr',
          type: 'number',
          displayName: 'Learning rate',
          description: 'of *Adam*',
          domain: { min: 0, max: 1 },
        },
        { name: 'optimizer', type: 'string', displayName: 'Optimizer', domain: ['adam', 'sgd'] },
        { name: 'seed', type: 'unset', description: 'Any number' },
      ],
      metrics: ['loss', 'accuracy', 'later'],
      metricTexts,
    });
  });

  it('describes metrics without any domain', () => {
    const { experiment } = contentsOf({ lr: 0.5 }, ['loss'], { metricTexts: { loss: { displayName: 'Loss' } } });
    const { hparamInfos, metricInfos } = decode(experiment).experiment ?? {};
    expect(hparamInfos?.map(({ name, type }) => [name, type])).toEqual([['lr', 3]]);
    expect(metricInfos?.map(({ name, displayName }) => [name?.tag, displayName])).toEqual([['loss', 'Loss']]);
  });

  it('holds an empty float tensor, as TF2 writes it', () => {
    const [{ plugin, dataClass, tensor }] = hparamsSummaries({ a: 1 });
    expect([plugin, dataClass, tensor.dtype, tensor.tensorShape]).toEqual(['hparams', 2, 1, { dim: [{ size: 0 }] }]);
  });

  it.each([
    ['NaN', { lr: Number.NaN }, {}, RangeError, 'lr: expected a finite number, got NaN'],
    ['a bigint', { n: 3n }, {}, TypeError, 'n: expected a string, number or boolean, got bigint 3'],
    ['Infinity', { lr: Infinity }, {}, RangeError, 'lr: expected a finite number, got Infinity'],
    ['a function', { act: () => 1 }, {}, TypeError, 'act: expected a string, number or boolean, got a function'],
    ['a list of hyperparameters', [1], {}, TypeError, 'expected an object of hyperparameters, got an array of 1'],
    [
      'a map of hyperparameters',
      new Map([['lr', 1]]),
      {},
      TypeError,
      'expected an object of hyperparameters, got an object of class Map',
    ],
    ['a name that is no text', { a: 1 }, { name: 7 }, TypeError, 'expected name to be a string, got number 7'],
    [
      'a start in milliseconds',
      { a: 1 },
      { startTime: 1_790_000_000_000 },
      RangeError,
      'expected startTime in seconds since 1970, got 1790000000000, which looks like milliseconds',
    ],
    [
      'a start that is no time',
      { a: 1 },
      { startTime: '1' },
      TypeError,
      'expected startTime to be a number of seconds',
    ],
    ['an end that is no time', { a: 1 }, { endTime: new Date(Number.NaN) }, RangeError, 'got an invalid Date'],
    ['an unknown status of another type', { a: 1 }, { status: 1 }, TypeError, "expected status 'success'"],
    ['a status named by an object', { a: 1 }, { status: 'toString' }, TypeError, "expected status 'success'"],
    [
      'half a range',
      { lr: 2 },
      { domains: { lr: { min: 1 } } },
      RangeError,
      'domain of lr: expected values or { min, max } with min <= max',
    ],
    [
      'a name for display that is none',
      { lr: 2 },
      { domains: { lr: { min: 1, max: 3, displayName: 5 } } },
      TypeError,
      'domain of lr: expected displayName to be a string',
    ],
    [
      'a text of a metric that is none',
      { lr: 2 },
      { metricTexts: { loss: 'Loss' } },
      TypeError,
      'metricTexts of loss: expected { displayName, description }, got the string "Loss"',
    ],
    ['nested values', { net: { depth: 3 } }, {}, TypeError, 'net: expected a string, number or boolean, got an object'],
    ['lists', { layers: [1, 2] }, {}, TypeError, 'got an array of 2'],
    ['no object', null, {}, TypeError, 'expected an object of hyperparameters, got null'],
    [
      'an unknown status',
      { a: 1 },
      { status: 'done' },
      TypeError,
      "expected status 'success', 'failure' or 'running', got the string \"done\"",
    ],
    [
      'a value outside its range',
      { lr: 2 },
      { domains: { lr: { min: 0, max: 1 } } },
      RangeError,
      'lr: expected a number from 0 to 1, got number 2',
    ],
    ['a value outside its list', { lr: 2 }, { domains: { lr: [1, 3] } }, RangeError, 'lr: expected one of 1, 3, got 2'],
    ['an empty domain', { lr: 2 }, { domains: { lr: [] } }, RangeError, 'domain of lr: expected at least one value'],
    [
      'a domain of two types',
      { lr: 2 },
      { domains: { lr: [2, 'x'] } },
      TypeError,
      'domain of lr: expected values of one type',
    ],
    ['a domain backwards', { lr: 2 }, { domains: { lr: { min: 3, max: 1 } } }, RangeError, 'domain of lr'],
  ])('refuses %s', (_, hparams, options, type, message) => {
    const call = () => hparamsSummaries(hparams as never, [], options as HparamsOptions, 'addHparams');
    expect(call).toThrow(type);
    expect(call).toThrow(message);
    expect(call).toThrow(/^addHparams/);
  });
});
