import type * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { type EpochStatistics, MemoryOutput, SaturationRecorder, SummaryWriter } from '../../src/index.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { LiveSource, mountSaturationView } from '../../src/view.js';
import { dense } from '../support/models.js';
import { RecordingStore } from '../support/recording-store.js';
import { useBackend } from './backends.js';
import { allowWarnings } from './console.js';

describe('mountSaturationView', () => {
  beforeAll(() => useBackend('cpu'));

  it('shows each epoch of a tracker as it comes, and leaves the page as it was when it is closed', async () => {
    allowWarnings(/rows are few for/);
    const element = document.createElement('div');
    document.body.append(element);
    const model = dense.build();
    const x = dense.inputs(24, 1) as tf.Tensor;
    const y = dense.targets(24, 2) as tf.Tensor;
    const writer = new SummaryWriter(new MemoryOutput());
    const store = new RecordingStore();
    const tracker = new SaturationTracker(writer, model, { saveTo: ['tensorboard', store] });
    const view = mountSaturationView(element, tracker);
    await expect.poll(() => element.textContent).toContain('No epoch has come yet: each one that ends is shown here.');
    await model.fit(x, y, {
      epochs: 2,
      batchSize: 8,
      verbose: 0,
      validationSplit: 0.25,
      callbacks: tracker.callback(),
    });
    await tracker.close();
    await writer.close();
    const cells = (column: number) =>
      [...element.querySelectorAll(`#saturation-table tbody td:nth-child(${column})`)].map((cell) => cell.textContent);
    const train = store.epochs[1].layers.filter(({ split }) => split === 'train');
    await expect.poll(() => element.querySelector('output')?.textContent).toBe('2 of 2');
    await expect.poll(() => cells(1)).toEqual(train.map(({ layer }) => layer));
    await expect.poll(() => cells(5)).toEqual(train.map(({ intrinsicDimensionality }) => `${intrinsicDimensionality}`));
    const runs = () => [...element.querySelectorAll('.run')].map((run) => run.textContent);
    await expect.poll(runs).toEqual(['train', 'val']);
    view.close();
    expect(element.childNodes).toHaveLength(0);
    element.remove();
    for (const each of [x, y, model]) each.dispose();
  });

  it('shows the epochs that a worker posts, as the epochs themselves', async () => {
    const element = document.createElement('div');
    document.body.append(element);
    const source = new LiveSource();
    const view = mountSaturationView(element, source);
    const worker = new Worker(new URL('./training-worker.ts', import.meta.url), { type: 'module' });
    const epochs: EpochStatistics[] = [];
    worker.onmessage = ({ data }) => {
      epochs.push(data.epoch);
      source.add(data.epoch);
    };
    await expect.poll(() => element.querySelector('output')?.textContent).toBe('2 of 2');
    const row = () => [...element.querySelectorAll('#saturation-table tbody tr td')].map((cell) => cell.textContent);
    const [{ saturation, intrinsicDimensionality }] = epochs[1].layers;
    await expect
      .poll(() => row().slice(0, 5))
      .toEqual(['hidden', saturation.toFixed(3), '16', '640', `${intrinsicDimensionality}`]);
    expect(element.textContent).not.toMatch(/undefined|NaN/);
    worker.terminate();
    view.close();
    element.remove();
  });

  it('begins with the epochs that have ended, however often and late it is mounted', async () => {
    const element = document.createElement('div');
    document.body.append(element);
    const writer = new SummaryWriter(new MemoryOutput());
    const recorder = new SaturationRecorder(writer, { saveTo: [] });
    const end = (seed: number) => {
      const data = Float64Array.from({ length: 640 * 16 }, (_, i) => Math.sin(seed * i * i));
      recorder.observe('hidden', { data, shape: [640, 16] }, 'train');
      return recorder.addSaturations();
    };
    const steps = () => element.querySelector('output')?.textContent;
    await end(1);
    await end(2);
    let view = mountSaturationView(element, recorder);
    await expect.poll(steps).toBe('2 of 2');
    view.close();
    await end(3);
    view = mountSaturationView(element, recorder);
    await expect.poll(steps).toBe('3 of 3');
    const other = document.createElement('div');
    document.body.append(other);
    const second = mountSaturationView(other, recorder);
    await end(4);
    await recorder.close();
    for (const one of [element, other]) {
      await expect.poll(() => one.querySelector('output')?.textContent).toBe('4 of 4');
    }
    for (const each of [view, second]) each.close();
    mountSaturationView(element, recorder);
    await expect.poll(steps).toBe('4 of 4');
    await writer.close();
    for (const one of [element, other]) one.remove();
  });

  it('shows a training that was closed before it was mounted', async () => {
    const element = document.createElement('div');
    document.body.append(element);
    const recorder = new SaturationRecorder(new SummaryWriter(new MemoryOutput()), { saveTo: [] });
    const data = Float64Array.from({ length: 640 * 16 }, (_, i) => Math.sin(i * i));
    recorder.observe('hidden', { data, shape: [640, 16] }, 'train');
    await recorder.addSaturations();
    await recorder.close();
    mountSaturationView(element, recorder);
    await expect.poll(() => element.querySelector('output')?.textContent).toBe('1 of 1');
    element.remove();
  });

  it('says what it takes when it is given something else', () => {
    expect(() => mountSaturationView(undefined as never, [])).toThrow(
      /mountSaturationView: expected an element of the page/,
    );
    expect(() => mountSaturationView(document.createElement('div'), 5 as never)).toThrow(
      /expected a tracker, a RunHistory, a list of runs or a source of runs, got/,
    );
  });
});
