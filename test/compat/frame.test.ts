import { expect, it } from 'vitest';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { temporaryFolder } from '../support/folders.js';
import { describeWithTensorBoard, LOADERS, startTensorBoard } from './harness.js';

/** Every number below is exact in float32, the precision of scalars in TensorBoard. */
const runs = { train: [2, 1.5, 0.25], val: [2.5, 1.75, 0.5] };
const wallTime = 1_700_000_000;

/** Two runs as a training would leave them: losses, a histogram, a note, and one chart for both. */
async function writeRuns(): Promise<string> {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  writer.addCustomScalars({
    categories: [{ title: 'saturation', charts: [{ title: 'all layers', multiline: ['^saturation/'] }] }],
  });
  for (const [name, losses] of Object.entries(runs)) {
    const run = writer.run(name);
    losses.forEach((loss, i) => {
      run.addScalar('epoch_loss', loss, i + 1, { wallTime: wallTime + i });
      run.addScalar('saturation/conv1', loss / 4, i + 1, { wallTime: wallTime + i });
    });
    run.addScalar('steps', -1, -5, { wallTime });
    run.addScalar('steps', 1, 2n ** 40n, { wallTime });
    run.addScalar('strange', Number.NaN, 0, { wallTime });
    run.addScalar('strange', Number.POSITIVE_INFINITY, 1, { wallTime });
    run.addHistogram('weights', [0, 0.5, 1, 2, 3], 1, { wallTime, buckets: 3 });
    run.addHistogramRaw('uniform', [0, 1, 10, 1, 2, 10, 2, 3, 10, 3, 4, 10], 1, { wallTime });
    run.addText('note', `**bold** ${name}`, 3, { wallTime });
  }
  await writer.close();
  return logdir;
}

describeWithTensorBoard.each(LOADERS)('what SummaryWriter writes, shown through $loader', ({ fast }) => {
  it('comes back run by run, tag by tag, value by value', async () => {
    const board = await startTensorBoard(await writeRuns(), { fast });

    expect(await board.ask<string[]>('/data/runs')).toEqual(expect.arrayContaining(['train', 'val']));
    const tags = await board.ask<Record<string, Record<string, object>>>('scalars/tags');
    for (const [run, losses] of Object.entries(runs)) {
      expect(Object.keys(tags[run]).sort()).toEqual(['epoch_loss', 'saturation/conv1', 'steps', 'strange']);
      const points = (scale: number) => losses.map((loss, i) => [wallTime + i, i + 1, loss * scale]);
      expect(await board.ask('scalars/scalars', { run, tag: 'epoch_loss' })).toEqual(points(1));
      expect(await board.ask('scalars/scalars', { run, tag: 'saturation/conv1' })).toEqual(points(0.25));
      expect(await board.ask('scalars/scalars', { run, tag: 'steps' })).toEqual([
        [wallTime, -5, -1],
        [wallTime, 2 ** 40, 1],
      ]);
      expect(await board.ask('scalars/scalars', { run, tag: 'strange' })).toEqual([
        [wallTime, 0, 'NaN'],
        [wallTime, 1, 'Infinity'],
      ]);

      type Histograms = [number, number, number[][]][];
      const [[time, step, buckets]] = await board.ask<Histograms>('histograms/histograms', { run, tag: 'weights' });
      expect([time, step]).toEqual([wallTime, 1]);
      expect(buckets).toEqual([
        [0, 1, 2],
        [1, 2, 1],
        [2, 3, 2],
      ]);

      const [[, , quantiles]] = await board.ask<Histograms>('distributions/distributions', { run, tag: 'uniform' });
      // Evenly filled buckets from 0 to 4: the value at p ten-thousandths of the weight is 4 p / 10000.
      expect(quantiles.map(([points]) => points)).toEqual([0, 668, 1587, 3085, 5000, 6915, 8413, 9332, 10000]);
      for (const [points, value] of quantiles) expect(value).toBeCloseTo((4 * points) / 10000, 6);

      const [note] = await board.ask<{ step: number; text: string }[]>('text/text', { run, tag: 'note' });
      expect(note).toMatchObject({ step: 3, text: `<p><strong>bold</strong> ${run}</p>` });
    }
  });

  it('draws the tags of both runs in the one chart of the custom-scalars layout', async () => {
    const board = await startTensorBoard(await writeRuns(), { fast });
    type Layout = { category: { title: string; chart: { title: string; multiline: { tag: string[] } }[] }[] };
    const { category } = await board.ask<Layout>('custom_scalars/layout');
    expect(category).toMatchObject([
      { title: 'saturation', chart: [{ title: 'all layers', multiline: { tag: ['^saturation/'] } }] },
    ]);
    for (const [run, losses] of Object.entries(runs)) {
      const answer = await board.ask('custom_scalars/scalars', { run, tag: '^saturation/' });
      const points = losses.map((loss, i) => [wallTime + i, i + 1, loss / 4]);
      expect(answer).toEqual({ regex_valid: true, tag_to_events: { 'saturation/conv1': points } });
    }
  });
});
