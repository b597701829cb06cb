import { cpSync } from 'node:fs';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/folders.js';
import { describeWithTensorBoard, LOADERS, startTensorBoard } from './harness.js';

describeWithTensorBoard.each(LOADERS)('a TensorBoard with $loader', ({ fast }) => {
  it('is really that loader, lists the runs it was given, and shows their scalars', async () => {
    const logdir = temporaryFolder();
    cpSync('test/fixtures/events/tbx/scalar', `${logdir}/one`, { recursive: true });
    cpSync('test/fixtures/events/tbx/scalar', `${logdir}/deep/two`, { recursive: true });
    const board = await startTensorBoard(logdir, { fast });
    expect((await board.ask<string[]>('/data/runs')).sort()).toEqual(['deep/two', 'one']);
    const tags = await board.ask<Record<string, object>>('scalars/tags');
    expect(Object.keys(tags).sort()).toEqual(['deep/two', 'one']);
  });

  it('answers an unknown run with an error that names the question', async () => {
    const board = await startTensorBoard(temporaryFolder(), { fast });
    await expect(board.ask('scalars/scalars', { run: 'none', tag: 'loss' })).rejects.toThrow(/404 to .*run=none/);
  });
});
