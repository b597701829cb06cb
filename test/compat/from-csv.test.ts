import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/folders.js';
import { describeWithTensorBoard, LOADERS, startTensorBoard } from './harness.js';

describeWithTensorBoard.each(LOADERS)('a table that from-csv made event files of, through $loader', ({ fast }) => {
  it('is shown with its numbers', async () => {
    const folder = temporaryFolder();
    const points = Array.from({ length: 200 }, (_, row) => [
      1_700_000_000.25 + row,
      3 * row,
      Math.fround(1 / (row + 1)),
    ]);
    const rows = points.map(([wallTime, step, loss]) => `${step},${wallTime},${loss},${step % 2 === 0 ? -loss : ''}`);
    writeFileSync(join(folder, 'log.csv'), `epoch,wall_time,loss/train,"odd, ""name"""\r\n${rows.join('\r\n')}\r\n`);
    const logdir = join(folder, 'runs');
    execFileSync(process.execPath, [
      'dist/cli.js',
      'from-csv',
      join(folder, 'log.csv'),
      '--out',
      logdir,
      '--run',
      'keras',
    ]);
    const board = await startTensorBoard(logdir, { fast });
    const tags = (await board.ask('scalars/tags', {})) as Record<string, Record<string, unknown>>;
    expect(Object.keys(tags.keras).sort()).toEqual(['loss/train', 'odd, "name"']);
    const shown = (tag: string) => board.ask('scalars/scalars', { run: 'keras', tag });
    expect(await shown('loss/train')).toEqual(points);
    const even = points.filter(([, step]) => step % 2 === 0);
    expect(await shown('odd, "name"')).toEqual(even.map(([wallTime, step, loss]) => [wallTime, step, -loss]));
  });
});
