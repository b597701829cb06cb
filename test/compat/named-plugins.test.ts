import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { concat } from '../../src/encoding/bytes.js';
import { encodeMessage } from '../../src/encoding/message-codec.js';
import { frameRecord } from '../../src/encoding/record.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { temporaryFolder } from '../support/folders.js';
import { eventsOf } from '../support/read-run.js';
import { describeWithTensorBoard, startTensorBoard, type TensorBoard } from './harness.js';

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const values: Record<string, tensorboard.Summary.IValue> = {
  scalars: { simpleValue: 1 },
  histograms: { histo: { min: 0, max: 1, num: 1, sum: 1, sumSquares: 1, bucketLimit: [1], bucket: [1] } },
  images: { image: { width: 1, height: 1, colorspace: 4, encodedImageString: png } },
  audio: { audio: { sampleRate: 8, numChannels: 1, lengthFrames: 1, encodedAudioString: new Uint8Array(44) } },
};
const dashboards = ['scalars', 'histograms', 'images', 'audio', 'text'];

/** A file with a tag for each kind of v1 value and each plugin that its metadata name. */
function fileOf(dataClass: number): Uint8Array {
  const records: tensorboard.IEvent[] = [{ wallTime: 1, fileVersion: 'brain.Event:2' }];
  for (const [own, value] of Object.entries(values)) {
    for (const pluginName of ['custom', ...dashboards]) {
      const tag = `${own} named ${pluginName}`;
      const metadata = { pluginData: { pluginName }, dataClass };
      records.push({ wallTime: 1, step: 1, summary: { value: [{ tag, ...value, metadata }] } });
      records.push({ wallTime: 2, step: 2, summary: { value: [{ tag, ...value }] } });
    }
  }
  return concat(records.map((record) => frameRecord(encodeMessage(tensorboard.Event, record))));
}

/** The tags in each dashboard of TensorBoard. */
async function shownBy(board: TensorBoard): Promise<Record<string, string[]>> {
  const shown: Record<string, string[]> = {};
  for (const plugin of dashboards) {
    const tags = await board.ask<Record<string, object>>(`${plugin}/tags`);
    const found = tags['.'] ?? {};
    shown[plugin] = (Array.isArray(found) ? found : Object.keys(found)).sort();
  }
  return shown;
}

/** The tags of each plugin as the reader has them. */
async function readFrom(file: Uint8Array): Promise<Record<string, string[]>> {
  const found = Object.fromEntries(dashboards.map((plugin) => [plugin, new Set<string>()]));
  for (const { summary = [] } of await eventsOf(file)) for (const { plugin, tag } of summary) found[plugin]?.add(tag);
  return Object.fromEntries(Object.entries(found).map(([plugin, tags]) => [plugin, [...tags].sort()]));
}

describeWithTensorBoard('a v1 value whose metadata name a plugin', () => {
  it('belongs to its own plugin without a data class, for both loaders', async () => {
    const logdir = temporaryFolder();
    const file = fileOf(0);
    writeFileSync(join(logdir, 'events.out.tfevents.1.x'), file);
    const read = await readFrom(file);
    expect(read.scalars.length).toBe(6);
    expect(read.text).toEqual([]);
    for (const fast of [true, false]) expect(await shownBy(await startTensorBoard(logdir, { fast }))).toEqual(read);
  });

  it('belongs to the plugin that is named with a data class, for the Rust loader', async () => {
    const logdir = temporaryFolder();
    const file = fileOf(1);
    writeFileSync(join(logdir, 'events.out.tfevents.1.x'), file);
    const read = await readFrom(file);
    expect(read.scalars).toEqual(
      Object.keys(values)
        .map((own) => `${own} named scalars`)
        .sort(),
    );
    // Of what has the data class of scalars, the dashboard of scalars alone shows anything.
    const { scalars } = await shownBy(await startTensorBoard(logdir, { fast: true }));
    expect(read.scalars).toEqual(expect.arrayContaining(scalars));
    expect(scalars).toContain('scalars named scalars');
  });
});

describeWithTensorBoard('a tag that begins with v1 values and no metadata', () => {
  it('keeps its scalars, whatever tensors it has later, for both loaders', async () => {
    const logdir = temporaryFolder();
    const tensor = { dtype: 1, tensorShape: {}, floatVal: [0.5] };
    const curve = { dtype: 1, tensorShape: { dim: [{ size: 6 }, { size: 1 }] }, floatVal: [1] };
    const named = { pluginData: { pluginName: 'pr_curves' }, dataClass: 2 };
    const records: tensorboard.Summary.IValue[] = [
      { tag: 'plain', simpleValue: 1 },
      { tag: 'plain', tensor },
      { tag: 'plain', simpleValue: 2 },
      { tag: 'curve', simpleValue: 3 },
      { tag: 'curve', tensor: curve, metadata: named },
      { tag: 'curve', simpleValue: 4 },
    ];
    const file = concat(
      [{ wallTime: 1, fileVersion: 'brain.Event:2' } as tensorboard.IEvent]
        .concat(records.map((value, step) => ({ wallTime: 1, step, summary: { value: [value] } })))
        .map((record) => frameRecord(encodeMessage(tensorboard.Event, record))),
    );
    writeFileSync(join(logdir, 'events.out.tfevents.1.x'), file);
    const pointsOf = async (wanted: string) =>
      (await eventsOf(file)).flatMap(({ step, summary = [] }) =>
        summary.flatMap(({ plugin, tag, value }) =>
          plugin === 'scalars' && tag === wanted ? [[Number(step), value]] : [],
        ),
      );
    expect(await pointsOf('plain')).toEqual([
      [0, 1],
      [1, 0.5],
      [2, 2],
    ]);
    for (const [tag, loaders] of [
      ['plain', [true, false]],
      // The Python loader answers to no request for a series that has a curve in it.
      ['curve', [true]],
    ] as const) {
      for (const fast of loaders) {
        const board = await startTensorBoard(logdir, { fast });
        const shown = await board.ask<[number, number, number][]>('scalars/scalars', { run: '.', tag });
        expect(shown.map(([, step, value]) => [step, value])).toEqual(await pointsOf(tag));
      }
    }
  }, 120_000);
});
