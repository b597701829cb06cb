import { describe, expect, it } from 'vitest';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { type Hparam, type HparamsOptions, hparamsSummaries } from '../../src/summaries/hparams.js';
import { base64, reference } from '../support/summary-fixtures.js';

const contentsOf = (hparams: Record<string, Hparam>, metrics?: string[], options?: HparamsOptions) =>
  Object.fromEntries(
    hparamsSummaries(hparams, metrics, options).map(({ tagSuffix, content }) => [tagSuffix, content as Uint8Array]),
  );
const decode = (content: Uint8Array) => tensorboard.HParamsPluginData.decode(content);
/** Order in protobuf maps is free, so bytes are compared after decoding. */
const plain = (content: Uint8Array) => JSON.parse(JSON.stringify(decode(content)));
const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));

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

  it('holds an empty float tensor, as TF2 writes it', () => {
    const [{ plugin, dataClass, tensor }] = hparamsSummaries({ a: 1 });
    expect([plugin, dataClass, tensor.dtype, tensor.tensorShape]).toEqual(['hparams', 2, 1, { dim: [{ size: 0 }] }]);
  });

  it.each([
    ['NaN', { lr: Number.NaN }, {}, RangeError, 'lr: expected a finite number, got NaN'],
    ['undefined', { lr: undefined }, {}, TypeError, 'lr: expected a string, number or boolean, got undefined'],
    ['null', { lr: null }, {}, TypeError, 'lr: expected a string, number or boolean, got null'],
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
