import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  MemoryOutput,
  openBrowserFolder,
  readEvents,
  SaturationTracker,
  summaryFileWriter,
  tensorBoard,
} from '../../src/tfjs.js';
import { dense } from '../support/models.js';
import { RecordingStore } from '../support/recording-store.js';
import { allowWarnings } from './console.js';

async function pointsIn(source: Blob | Uint8Array): Promise<Record<string, [number, unknown][]>> {
  const points: Record<string, [number, unknown][]> = {};
  for await (const { step, summary } of readEvents(source)) {
    for (const { tag, value } of summary ?? []) (points[tag] ??= []).push([Number(step), value]);
  }
  return points;
}

async function trained(callbacks: tf.Callback[]) {
  const model = dense.build();
  const x = dense.inputs(40, 1) as tf.Tensor;
  const y = dense.targets(40, 2) as tf.Tensor;
  const { history } = await model.fit(x, y, {
    epochs: 2,
    batchSize: 8,
    verbose: 0,
    validationSplit: 0.25,
    callbacks,
  });
  tf.dispose([x, y]);
  model.dispose();
  return history as Record<string, number[]>;
}

const stepped = (values: number[]) => values.map((value, epoch) => [epoch + 1, Math.fround(value)]);

describe('in a page, on the cpu backend,', () => {
  beforeAll(async () => {
    await tf.setBackend('cpu');
  });

  it('a path is refused before anything trains, and openBrowserFolder is named', () => {
    expect(() => tensorBoard('runs/x')).toThrow("pass an Output instead, such as await openBrowserFolder('runs/x')");
    expect(() => tensorBoard()).toThrow("openBrowserFolder('./logs')");
    expect(() => new SaturationTracker('runs/x', dense.build())).toThrow("openBrowserFolder('runs/x')");
  });

  it('tensorBoard writes metrics, saturation and graph to the runs of an Output', async () => {
    allowWarnings(/rows are few for/);
    const output = new MemoryOutput();
    const history = await trained([tensorBoard(output, { saturation: true, graph: true, histogramFreq: 1 }) as never]);
    expect([...output.runs.keys()].sort()).toEqual(['train', 'val']);
    const train = await pointsIn(output.runs.get('train')!.bytes);
    const val = await pointsIn(output.runs.get('val')!.bytes);
    expect(train.epoch_loss).toEqual(stepped(history.loss));
    expect(val.epoch_loss).toEqual(stepped(history.val_loss));
    expect(train['saturation/hidden'].map(([step]) => step)).toEqual([1, 2]);
    expect(val['saturation/output'].map(([step]) => step)).toEqual([1, 2]);
    // One event file for each run: metrics, saturation and graph of train share one first record.
    const versions = [];
    const graphs = [];
    for await (const { fileVersion, graph } of readEvents(output.runs.get('train')!.bytes)) {
      if (fileVersion !== undefined) versions.push(fileVersion);
      if (graph !== undefined) graphs.push(graph);
    }
    expect([versions.length, graphs.length]).toEqual([1, 1]);
  });

  it("tensorBoard and summaryFileWriter write to the browser's folder", async () => {
    const folder = await openBrowserFolder('logs');
    const history = await trained([tensorBoard(folder) as never]);
    const writer = summaryFileWriter(folder);
    expect(summaryFileWriter(folder)).toBe(writer);
    writer.scalar('mine', 0.5, 7);
    await writer.close();
    const files = await folder.list();
    expect(files.map(({ path }) => path.replace(/events.*/, ''))).toEqual(['', 'train/', 'val/']);
    expect((await pointsIn(files[0].file)).mine).toEqual([[7, 0.5]]);
    expect((await pointsIn(files[2].file)).epoch_loss).toEqual(stepped(history.val_loss));
  });

  it("the tracker's own files are in the origin private file system", async () => {
    allowWarnings(/rows are few for/);
    const store = new RecordingStore();
    const model = dense.build();
    const x = dense.inputs(40, 1) as tf.Tensor;
    const tracker = new SaturationTracker('experiments/first', model, { saveTo: ['csv', 'npy', store] });
    tracker.record('train', () => tf.tidy(() => void model.apply(x)));
    await tracker.addSaturations();
    await tracker.close();
    x.dispose();
    model.dispose();
    const files = await (await openBrowserFolder('experiments')).list();
    const csv = files.find(({ path }) => path === 'first.csv');
    const [header, row] = (await csv!.file.text())
      .trim()
      .split('\n')
      .map((line) => line.split(';'));
    const column = header.indexOf('train-saturation_hidden');
    expect(Number(row[column])).toBeCloseTo(store.layer('train', 'hidden').values.saturation!, 12);
    expect(files.filter(({ path }) => path.endsWith('.npy')).length).toBeGreaterThan(0);
  });
});
