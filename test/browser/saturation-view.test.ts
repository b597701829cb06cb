import type * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { MemoryOutput, SummaryWriter } from '../../src/index.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { mountSaturationView } from '../../src/view.js';
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
    await expect.poll(() => element.textContent).toContain('No epoch has ended yet: the first one will be shown here.');
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
    await expect.poll(() => cells(4)).toEqual(train.map(({ intrinsicDimensionality }) => `${intrinsicDimensionality}`));
    const runs = () => [...element.querySelectorAll('.run')].map((run) => run.textContent);
    await expect.poll(runs).toEqual(['train', 'val']);
    view.close();
    expect(element.childNodes).toHaveLength(0);
    element.remove();
    for (const each of [x, y, model]) each.dispose();
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
