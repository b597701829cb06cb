import { expect, it } from 'vitest';
import { Spectrum } from '../../src/index.js';
import { memoryPartials, plan, publish, readMoments, runLocal } from '../../src/scale.js';
import { temporaryFolder } from '../support/folders.js';
import { gaussianRows } from '../support/random.js';
import { describeWithTensorBoard, LOADERS, startTensorBoard } from './harness.js';

describeWithTensorBoard.each(LOADERS)('the answer of a plan, through $loader', (loader) => {
  it('is shown once, though it was published twice', async () => {
    const made = plan({ shards: ['1', '2', '3'], task: 'test', fanIn: 2 });
    const store = memoryPartials();
    await runLocal(made, {
      store,
      async *map(shard, { add }) {
        add('dense', gaussianRows(200, [9, 4, 1, 0.01], Number(shard)), 4);
        yield;
      },
    });
    const logdir = temporaryFolder();
    await publish(made, store, logdir, { run: 'all', step: 3, wallTime: 1.7e9 });
    await publish(made, store, logdir, { run: 'all', step: 3, wallTime: 1.7e9 });
    const board = await startTensorBoard(logdir, loader);
    const points = await board.askUntil<[number, number, number][]>(
      'scalars/scalars',
      { run: 'all', tag: 'saturation/dense' },
      (shown) => shown.length > 0,
    );
    for await (const [, moments] of readMoments(made, store)) {
      expect(points).toEqual([[1.7e9, 3, Math.fround(Spectrum.of(moments).saturation(0.99))]]);
    }
  });
});
