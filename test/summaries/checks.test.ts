/** What addEvent asks of summaries, and how addX repairs what would do harm. test/compat/harm.test.ts asks TensorBoard. */

import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '../../src/encoding/message-codec.js';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { MemoryOutput } from '../../src/output/output.js';
import { tensorboard as tb } from '../../src/proto/tensorboard.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { decodeRecords } from '../support/event-files.js';

const text = (value: string) => new TextEncoder().encode(value);
const shape = (...sizes: number[]) => ({ dim: sizes.map((size) => ({ size })) });
const float = (...values: number[]) => ({ dtype: 1, tensorShape: shape(values.length), floatVal: values });
const one = { dtype: 1, tensorShape: shape(), floatVal: [1] };
const strings = (sizes: number[], ...values: Uint8Array[]) => ({
  dtype: 7,
  tensorShape: shape(...sizes),
  stringVal: values,
});
const metadata = (pluginName: string, dataClass = 0, content?: Uint8Array) => ({
  pluginData: content === undefined ? { pluginName } : { pluginName, content },
  dataClass,
});
const hparams = (content: tb.IHParamsPluginData) =>
  metadata('hparams', 2, encodeMessage(tb.HParamsPluginData, content));
const layout = 'custom_scalars__config__';
const mesh = (content: tb.IMeshPluginData) => metadata('mesh', 2, encodeMessage(tb.MeshPluginData, content));
const nan = { numberValue: Number.NaN };

/** An event with these summaries. */
const event = (...values: tb.Summary.IValue[]): TensorBoardEvent => ({
  wallTime: 1,
  step: 1,
  summary: values.map((value) => ({
    tag: value.tag ?? '',
    plugin: '',
    value: 0,
    raw: encodeMessage(tb.Summary.Value, value),
  })),
});

function inMemory() {
  const output = new MemoryOutput();
  return { output, writer: new SummaryWriter(output) };
}

describe('a summary that would stop a loader, or a dashboard for other tags and runs, is refused', () => {
  it.each<[string, tb.Summary.IValue, RegExp]>([
    ['no tag', { simpleValue: 1 }, /no tag/],
    ['two values', { tag: 'a', simpleValue: 1, image: {} }, /two values/],
    [
      'a v1 histogram of unequal lists',
      { tag: 'h', histo: { bucketLimit: [1], bucket: [1, 1] } },
      /1 bucket limits and 2/,
    ],
    [
      'audio [1, 0] without data class',
      { tag: 'a', metadata: metadata('audio'), tensor: strings([1, 0]) },
      /audio of the shape \[1, 0\]/,
    ],
    ['audio [2, 3, 0]', { tag: 'a', metadata: metadata('audio'), tensor: strings([2, 3, 0]) }, /audio/],
    ['metadata of scalars and no value', { tag: 's', metadata: metadata('scalars', 1) }, /holds no value/],
    ['the plugin scalars alone and no value', { tag: 's', metadata: metadata('scalars') }, /holds no value/],
    [
      'metadata of images and an old histogram',
      { tag: 'i', metadata: metadata('images', 3), obsoleteOldStyleHistogram: text('x') },
      /no value/,
    ],
    ['any data class and no value', { tag: 'x', metadata: metadata('unknown', 2) }, /holds no value/],
    [
      'hyperparameters with data class and no value',
      { tag: '_hparams_/session_start_info', metadata: hparams({ sessionStartInfo: {} }) },
      /no value/,
    ],
    [
      'a number described as an image',
      { tag: 'i', metadata: metadata('images', 3), simpleValue: 1 },
      /a value of 'scalars' described as one of 'images'/,
    ],
    [
      'two numbers as a scalar',
      { tag: 's', metadata: metadata('scalars', 1), tensor: float(1, 2) },
      /expected one number, got a float32 tensor of the shape \[2\]/,
    ],
    [
      'a text as a scalar',
      { tag: 's', metadata: metadata('scalars'), tensor: strings([], text('1')) },
      /expected one number/,
    ],
    [
      'a histogram of one row',
      { tag: 'h', metadata: metadata('histograms', 2), tensor: float(1, 2, 3) },
      /expected k x 3 numbers/,
    ],
    [
      'a PR curve of one row',
      { tag: 'p', metadata: metadata('pr_curves', 2), tensor: float(1, 2, 3) },
      /expected 6 x n numbers/,
    ],
    [
      'a PR curve that counts NaN',
      {
        tag: 'p',
        metadata: metadata('pr_curves', 2),
        tensor: { ...float(0, 0, 0, Number.NaN, 1, 1), tensorShape: shape(6, 1) },
      },
      /counts, got NaN/,
    ],
    [
      'a tensor that claims 2^40 elements',
      { tag: 'i', metadata: metadata('images', 3), tensor: strings([2 ** 40], text('1')) },
      /claims 1099511627776 elements/,
    ],
    ['one that claims them with signs', { tag: 'i', tensor: strings([-(2 ** 20), -(2 ** 20)], text('1')) }, /claims/],
    ['a mesh that states no shape', { tag: 'm', metadata: mesh({ name: 'm' }), tensor: float(1) }, /states no shape/],
    [
      'a mesh of a name that is no text',
      { tag: 'm', metadata: metadata('mesh', 2, Uint8Array.of(0x12, 1, 0xff)), tensor: one },
      /field 2 of mesh.MeshPluginData is not UTF-8/,
    ],
    [
      'a garbage layout',
      { tag: layout, metadata: metadata('custom_scalars', 2), tensor: strings([], Uint8Array.of(0xff)) },
      /Layout/,
    ],
    [
      'a layout of half an emoji',
      {
        tag: layout,
        metadata: metadata('custom_scalars', 2),
        tensor: strings([], Uint8Array.of(0x12, 5, 0x0a, 3, 0xed, 0xa0, 0xbd)),
      },
      /field 1 of Category is not UTF-8/,
    ],
    [
      'a layout that is a number',
      { tag: layout, metadata: metadata('custom_scalars', 2), tensor: one },
      /expected a layout/,
    ],
    [
      'two layouts',
      { tag: layout, metadata: metadata('custom_scalars', 2), tensor: strings([2], text(''), text('')) },
      /expected a layout/,
    ],
    [
      'garbage hyperparameters',
      { tag: '_hparams_/experiment', metadata: metadata('hparams', 2, Uint8Array.of(0x12)), tensor: one },
      /hparams.HParamsPluginData/,
    ],
    [
      'no hyperparameters',
      { tag: '_hparams_/session_start_info', metadata: metadata('hparams', 2), tensor: one },
      /without sessionStartInfo/,
    ],
    [
      'a session end as its start',
      { tag: '_hparams_/session_start_info', metadata: hparams({ sessionEndInfo: {} }), tensor: one },
      /without sessionStartInfo/,
    ],
    [
      'hyperparameters of a later version',
      { tag: '_hparams_/session_end_info', metadata: hparams({ version: 1, sessionEndInfo: {} }), tensor: one },
      /version 1/,
    ],
    [
      'NaN in a domain',
      {
        tag: '_hparams_/experiment',
        metadata: hparams({ experiment: { hparamInfos: [{ domainDiscrete: { values: [nan] } }] } }),
        tensor: one,
      },
      /NaN among hyperparameters/,
    ],
    [
      'NaN in a list of a hyperparameter',
      {
        tag: '_hparams_/session_start_info',
        metadata: hparams({
          sessionStartInfo: { hparams: { a: { listValue: { values: [{ listValue: { values: [nan] } }] } } } },
        }),
        tensor: one,
      },
      /NaN/,
    ],
    [
      'Infinity in an object of a hyperparameter',
      {
        tag: '_hparams_/session_start_info',
        metadata: hparams({
          sessionStartInfo: { hparams: { a: { structValue: { fields: { b: { numberValue: -Infinity } } } } } },
        }),
        tensor: one,
      },
      /-Infinity/,
    ],
  ])('%s', (_, value, reason) => {
    const { writer } = inMemory();
    expect(() => writer.addEvent(event(value))).toThrow(TypeError);
    expect(() => writer.addEvent(event(value))).toThrow(reason);
  });

  it('whatever the tag’s first summary said counts, in one event, in several, and from addX', () => {
    const { writer } = inMemory();
    const described = { tag: 'a', metadata: metadata('audio'), tensor: strings([1, 2], text('wav'), text('')) };
    expect(() => writer.addEvent(event(described, { tag: 'a', tensor: strings([1, 0]) }))).toThrow(/audio/);
    // Nothing of an event that was refused counts.
    const { writer: another } = inMemory();
    expect(() => another.addEvent(event(described, { tag: '', simpleValue: 1 }))).toThrow(/no tag/);
    another.addEvent(event({ tag: 'a', tensor: strings([1, 0]) }));
    writer.addEvent(event(described));
    expect(() => writer.addEvent(event({ tag: 'a', tensor: strings([1, 0]) }))).toThrow(/audio/);
    writer.addScalar('s', 1, 1);
    expect(() => writer.addEvent(event({ tag: 's' }))).toThrow(/holds no value/);
    expect(() => writer.addEvent(event({ tag: 's', image: {} }))).toThrow(
      /a value of 'images' under a tag of 'scalars'/,
    );
    const runMetadata = { tag: 's', bytes: new Uint8Array(0) };
    expect(() => writer.addEvent({ wallTime: 1, step: 1, runMetadata })).toThrow(/expected one number/);
    writer.addEvent(event({ tag: 'silent', tensor: one }));
    expect(() => writer.addEvent(event({ tag: 'silent', metadata: metadata('scalars', 1), tensor: one }))).toThrow(
      /there are summaries already/,
    );
    expect(() => writer.addEvent(event({ tag: 's', tensor: float(1, 2) }))).toThrow(/one number/);
    writer.addEvent(event({ tag: 'v1', simpleValue: 1 }));
    expect(() => writer.addEvent(event({ tag: 'v1', tensor: float(1, 2) }))).toThrow(/one number/);
  });
});

describe('a summary that harms its own tag at most is written as it is', () => {
  it.each<[string, tb.Summary.IValue]>([
    [
      'hyperparameters without a value, as tensorboardX writes them',
      { tag: '_hparams_/session_start_info', metadata: { pluginData: hparams({ sessionStartInfo: {} }).pluginData } },
    ],
    [
      'NaN as a hyperparameter',
      {
        tag: '_hparams_/session_start_info',
        metadata: hparams({ sessionStartInfo: { hparams: { a: nan } } }),
        tensor: one,
      },
    ],
    [
      'anything under another tag of hparams',
      { tag: 'x', metadata: metadata('hparams', 2, encodeMessage(tb.HParamsPluginData, { version: 7 })), tensor: one },
    ],
    ['a scalar in one row', { tag: 's', metadata: metadata('scalars'), tensor: float(1) }],
    [
      'an empty histogram',
      { tag: 'h', metadata: metadata('histograms', 2), tensor: { dtype: 2, tensorShape: shape(0, 3) } },
    ],
    [
      'early JSON as content',
      { tag: 'h', metadata: metadata('histograms', 2, text('{}')), tensor: { dtype: 2, tensorShape: shape(0, 3) } },
    ],
    [
      'audio with labels, as TF2 writes it',
      { tag: 'a', metadata: metadata('audio'), tensor: strings([1, 2], text('wav'), text('')) },
    ],
    ['audio [1, 0] with a data class', { tag: 'a', metadata: metadata('audio', 3), tensor: strings([1, 0]) }],
    [
      'a mesh without vertices',
      { tag: 'm', metadata: mesh({ name: 'm', shape: [1, 0, 3] }), tensor: { dtype: 1, tensorShape: shape(1, 0, 3) } },
    ],
    [
      'a million elements of one value',
      { tag: 't', metadata: metadata('tensor'), tensor: { ...one, tensorShape: shape(2 ** 20) } },
    ],
    [
      'a shape that disagrees with what is stored',
      { tag: 't', metadata: metadata('tensor'), tensor: { ...float(1, 2), tensorShape: shape(-1) } },
    ],
    ['an old histogram', { tag: 'o', obsoleteOldStyleHistogram: text('x') }],
    ['metadata of no plugin', { tag: 'o', metadata: {}, tensor: one }],
    ['a layout under another tag', { tag: 'l', metadata: metadata('custom_scalars', 2), tensor: one }],
  ])('%s', async (_, value) => {
    const { output, writer } = inMemory();
    writer.addEvent(event(value));
    await writer.flush();
    expect(decodeRecords(output.bytes)[1].summary!.value).toEqual([
      decodeMessage(tb.Summary.Value, encodeMessage(tb.Summary.Value, value)),
    ]);
  });
});

describe('half a character', () => {
  // An emoji that slice() has cut in half.
  const half = 'batch 🙂'.slice(0, -1);
  const whole = 'batch \ufffd';
  const values = (output: MemoryOutput) => decodeRecords(output.bytes).flatMap(({ summary }) => summary?.value ?? []);

  it('in hyperparameters becomes U+FFFD', async () => {
    const { output, writer } = inMemory();
    writer.addHparams({ [half]: half, lr: 1 }, { [half]: 2 }, { name: half, domains: { [half]: [half, 'b'] } });
    await writer.flush();
    const [experiment, start, end, metric] = values(output);
    const contentOf = (value: tb.Summary.IValue) =>
      decodeMessage(tb.HParamsPluginData, value.metadata!.pluginData!.content!);
    expect(contentOf(experiment).experiment).toMatchObject({
      hparamInfos: [
        { name: whole, domainDiscrete: { values: [{ stringValue: whole }, { stringValue: 'b' }] } },
        { name: 'lr' },
      ],
      metricInfos: [{ name: { tag: whole } }],
    });
    expect(contentOf(start).sessionStartInfo).toMatchObject({
      groupName: whole,
      hparams: { [whole]: { stringValue: whole }, lr: { numberValue: 1 } },
    });
    expect(contentOf(end).sessionEndInfo).toBeDefined();
    expect(metric.tag).toBe(whole);
  });

  it('that is all in which two hyperparameters differ is refused', () => {
    const { writer } = inMemory();
    expect(() => writer.addHparams({ 'a\ud83d': 1, 'a\ud83e': 2 })).toThrow(RangeError);
  });

  it('in a layout, a mesh and the names of a model’s layers becomes U+FFFD', async () => {
    const { output, writer } = inMemory();
    writer.addCustomScalars({
      categories: [
        {
          title: half,
          charts: [
            { title: half, multiline: [half] },
            { title: 'm', margin: [{ value: half, lower: half, upper: half }] },
          ],
        },
      ],
    });
    writer.addMesh(half, [[0, 0, 0]], 1, { config: { note: half } });
    writer.addGraph({
      layers: [],
      toJSON: () => ({ config: { layers: [{ class_name: half, config: { name: half, [half]: half } }] } }),
    });
    await writer.flush();
    const [stored, mesh] = values(output);
    expect(decodeMessage(tb.Layout, stored.tensor!.stringVal![0]).category).toMatchObject([
      {
        title: whole,
        chart: [
          { title: whole, multiline: { tag: [whole] } },
          { margin: { series: [{ value: whole, lower: whole, upper: whole }] } },
        ],
      },
    ]);
    expect(decodeMessage(tb.MeshPluginData, mesh.metadata!.pluginData!.content!).name).toBe(whole);
    const graph = decodeRecords(output.bytes).at(-1)!.graphDef!;
    expect(decodeMessage(tb.GraphDef, graph).node.at(-1)).toMatchObject({
      name: whole,
      op: whole,
      input: [`${whole}_input`],
    });
  });
});
