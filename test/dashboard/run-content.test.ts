import { expect, it } from 'vitest';
import { hparamsColumns } from '../../src/dashboard/hparams.js';
import { runsOf } from '../../src/dashboard/logdir.js';
import { textRows } from '../../src/dashboard/other-cards.js';
import { readRunContent } from '../../src/dashboard/run-content.js';
import { encodeMessage } from '../../src/encoding/message-codec.js';
import { frameRecord } from '../../src/encoding/record.js';
import { MemoryOutput, readEvents, SummaryWriter } from '../../src/index.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { SaturationWriter } from '../../src/saturation/saturation-writer.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { unpackRuns } from '../../src/view/packed-runs.js';
import { goldenBytes, goldenFiles } from '../support/golden.js';

const fileOf = (bytes: Uint8Array, path = 'a.tfevents') => ({ path, chunks: () => [bytes] });

it('holds the scalars that readEvents finds in files of other writers', async () => {
  let compared = 0;
  for (const { path } of goldenFiles) {
    const bytes = goldenBytes(path);
    const expected = new Map<string, [number, number, number][]>();
    let isWhole = true;
    try {
      for await (const { step, wallTime, summary } of readEvents(bytes)) {
        for (const { tag, value } of summary ?? []) {
          if (typeof value !== 'number') continue;
          if (!expected.has(tag)) expected.set(tag, []);
          expected.get(tag)!.push([Number(step), wallTime, value]);
        }
      }
    } catch {
      isWhole = false;
    }
    if (!isWhole) continue;
    const { scalars, complaints } = await readRunContent('run', [fileOf(bytes)]);
    const found = new Map(
      [...scalars].map(([tag, { steps, wallTimes, values }]) => [
        tag,
        Array.from(steps, (step, i) => [step, wallTimes[i], values[i]]),
      ]),
    );
    expect(found, path).toEqual(expected);
    expect(complaints.filter((text) => text.startsWith('Damaged'))).toEqual([]);
    compared += expected.size;
  }
  expect(compared).toBeGreaterThan(10);
});

it('holds every kind of summary with its step', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  for (const step of [1, 2]) {
    writer.addHistogram('h', [1, 2, 3], step);
    writer.addImage('i', { data: new Uint8Array(12), shape: [2, 2, 3] }, step);
    writer.addAudio('a', [0, 0.5], step);
    writer.addText('t', `# ${step}`, step, { displayName: 'Text' });
    writer.addPrCurve('p', [1, 0], [0.9, 0.1], step, { thresholds: 5 });
  }
  writer.addHparams({ lr: 0.1, name: 'x', deep: true }, { best: 1 });
  await writer.close();
  const content = await readRunContent('run', [fileOf(output.bytes)]);
  for (const { value } of content.histograms.get('h')!) {
    expect(value.buckets.buffer.byteLength).toBe(value.buckets.byteLength);
  }
  const steps = (points: readonly { step: number }[] | undefined) => points?.map(({ step }) => step);
  for (const [kind, tag] of [
    ['histograms', 'h'],
    ['images', 'i'],
    ['audio', 'a'],
    ['text', 't'],
    ['prCurves', 'p'],
  ] as const) {
    expect(steps(content[kind].get(tag)), kind).toEqual([1, 2]);
  }
  // At the last of the 5 thresholds nothing is predicted: TensorBoard leaves it out (test/compat/dashboard.test.ts).
  expect(content.prCurves.get('p')![0].value.recall.length).toBe(4);
  expect(content.texts.get('t')).toEqual({ displayName: 'Text', description: undefined });
  expect(content.hparams).toMatchObject({ hparams: { lr: 0.1, name: 'x', deep: true } });
  expect(content.saturation).toBeUndefined();
});

it('shows a hyperparameter and a metric of one name, each with its own values', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  writer.addHparams({ lr: 0.1, run: 7, status: 'hot' });
  for (const [step, lr] of [0.5, 0.25].entries()) writer.addScalar('lr', lr, step);
  await writer.close();
  const other = new MemoryOutput();
  const plain = new SummaryWriter(other);
  plain.addHparams({ depth: 3 });
  await plain.close();
  const runs = [await readRunContent('a', [fileOf(output.bytes)]), await readRunContent('b', [fileOf(other.bytes)])];
  const columns = hparamsColumns(runs, () => true);
  expect(columns.map(({ title }) => title)).toEqual(['run', 'lr', 'run', 'status', 'depth', 'lr', 'status']);
  expect(new Set(columns.map(({ id }) => id)).size).toBe(columns.length);
  expect(runs.map((run) => columns.map((column) => column.of(run)))).toEqual([
    ['a', 0.1, 7, 'hot', '', 0.25, 'success'],
    ['b', '', '', '', 3, '', 'success'],
  ]);
  const odd = { ...runs[0], hparams: { hparams: { constructor: 'x' } } } as unknown as (typeof runs)[0];
  const [, named] = hparamsColumns([odd, runs[1]], () => true);
  expect([named.title, named.of(odd), named.of(runs[1])]).toEqual(['constructor', 'x', '']);
});

it.each([
  [[3], ['a', 'b', 'c'], [['a'], ['b'], ['c']]],
  [
    [2, 1],
    ['a', 'b'],
    [['a'], ['b']],
  ],
  [[1, 2, 3], [...'abcdef'], [[...'abc'], [...'def']]],
  [[0, 3], [], []],
  [[2, 0], [], []],
])('shows texts of the shape %j as a table', (shape, strings, rows) => {
  expect(textRows({ shape, strings })).toEqual(rows);
});

it('knows how a session ended, also if the file that says so is read first', async () => {
  const recordOf = (tag: string, info: tensorboard.IHParamsPluginData) => {
    const metadata = {
      pluginData: { pluginName: 'hparams', content: encodeMessage(tensorboard.HParamsPluginData, info) },
    };
    const value = [{ tag: `_hparams_/${tag}`, metadata }];
    return frameRecord(encodeMessage(tensorboard.Event, { wallTime: 1, summary: { value } }));
  };
  const start = fileOf(recordOf('session_start_info', { sessionStartInfo: { hparams: { lr: { numberValue: 0.5 } } } }));
  const end = fileOf(recordOf('session_end_info', { sessionEndInfo: { status: 2 } }));
  expect((await readRunContent('run', [end, start])).hparams).toEqual({ hparams: { lr: 0.5 }, status: 'failure' });
  expect((await readRunContent('run', [end])).hparams).toBeUndefined();
});

it('holds what TensorBoard shows where steps go back, and nothing twice', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  writer.addHparams({ lr: 0.1 }, { best: 1 });
  for (const [value, step] of [0, 1, 2, 1, 2].entries()) {
    writer.addScalar('s', value, step);
    writer.addText('t', `# ${value}`, step);
  }
  await writer.close();
  const content = await readRunContent('run', [fileOf(output.bytes)]);
  expect([...content.scalars.get('s')!.steps]).toEqual([0, 1, 2]);
  expect([...content.scalars.get('s')!.values]).toEqual([0, 3, 4]);
  expect(content.text.get('t')?.map(({ value }) => value.strings)).toEqual([['# 0'], ['# 3'], ['# 4']]);
  expect(content.hparams).toMatchObject({ hparams: { lr: 0.1 } });
  expect(content.complaints).toEqual([]);
});

it('holds the saturation for the view, under the name of the run', async () => {
  const output = new MemoryOutput();
  const writer = new SaturationWriter(output);
  writer.addSaturation('fc', Spectrum.fromEigenvalues([4, 2, 1, 0.5], { samples: 100 }), 3);
  await writer.close();
  const { saturation } = await readRunContent('deep/run/val', [fileOf(output.bytes)]);
  const [run] = unpackRuns(saturation!);
  expect([run.name, run.experiment, run.split]).toEqual(['deep/run/val', 'deep/run', 'val']);
  expect([...run.layers[0].points[0].eigenvalues]).toEqual([4, 2, 1, 0.5]);
});

it('thins pictures evenly and keeps the last one, and complains of what is damaged', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  for (let step = 0; step < 500; step++) writer.addImage('i', { data: new Uint8Array(1), shape: [1, 1] }, step);
  writer.addScalar('s', 1, 1);
  await writer.close();
  const bytes = output.bytes.slice();
  bytes[bytes.length - 20] ^= 1;
  const { images, scalars, complaints } = await readRunContent('run', [fileOf(bytes, 'bad.tfevents')]);
  const steps = images.get('i')!.map(({ step }) => step);
  expect(steps.length).toBeLessThanOrEqual(61);
  expect([steps[0], steps.at(-1)]).toEqual([0, 499]);
  const gaps = new Set(steps.slice(1, -1).map((step, i) => step - steps[i]));
  expect(gaps.size).toBe(1);
  expect(scalars.size).toBe(0);
  expect(complaints).toEqual([expect.stringMatching(/^Damaged record at byte \d+ of bad.tfevents/)]);
});

it('keeps numbers evenly of a tag that has more than a chart can show, the first and the last among them', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  for (let step = 0; step < 300_001; step++) writer.addScalar('s', step / 2, step);
  await writer.close();
  const { scalars } = await readRunContent('run', [fileOf(output.bytes)]);
  const { steps, values } = scalars.get('s')!;
  expect(steps.length).toBeLessThanOrEqual(2 ** 17 + 1);
  expect([steps[0], steps.at(-1), values.at(-1)]).toEqual([0, 300_000, 150_000]);
  expect(new Set(Array.from(steps.subarray(1, -1), (step, i) => step - steps[i]))).toEqual(new Set([4]));
});

it('takes folders with event files for runs, sorted as TensorBoard reads them', () => {
  const files = [
    'b/x.tfevents.2',
    'b/x.tfevents.1',
    'readme.txt',
    'tfevents',
    'a/b/events.out.tfevents.9.h',
    'a/notes/tfevents.d/x',
  ];
  expect(runsOf(files.map((path) => ({ path, size: 1 })))).toEqual([
    { run: '.', files: [{ path: 'tfevents', size: 1 }] },
    { run: 'a/b', files: [{ path: 'a/b/events.out.tfevents.9.h', size: 1 }] },
    {
      run: 'b',
      files: [
        { path: 'b/x.tfevents.1', size: 1 },
        { path: 'b/x.tfevents.2', size: 1 },
      ],
    },
  ]);
});
