import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readRunContent } from '../../src/dashboard/run-content.js';
import { listRuns } from '../../src/reader/run-files.js';
import { goldenFolder } from '../support/golden.js';
import { describeWithTensorBoard, startTensorBoard } from './harness.js';

type Curves = Record<string, { step: number; precision: number[]; recall: number[] }[]>;

describeWithTensorBoard('the dashboard', () => {
  it.each(['torch', 'tbx'])('has the PR curves of %s as TensorBoard has them', async (writer) => {
    const logdir = join(goldenFolder, writer, 'pr_curve');
    const board = await startTensorBoard(logdir, { fast: true });
    const runs = await listRuns(logdir);
    const lengths: number[] = [];
    for (const { files, run } of runs) {
      const { prCurves } = await readRunContent(run, files);
      for (const [tag, points] of prCurves) {
        const { [run]: shown } = await board.ask<Curves>('pr_curves/pr_curves', { run, tag });
        const found = points.map(({ step, value: { precision, recall } }) => {
          return { step, precision: [...precision], recall: [...recall] };
        });
        expect(found).toEqual(shown.map(({ precision, recall, step }) => ({ step, precision, recall })));
        lengths.push(...found.map(({ precision }) => precision.length));
      }
    }
    // Of 5, 11 and 127 thresholds that are stored.
    expect(lengths.sort((a, b) => a - b)).toEqual([5, 10, 120]);
  });
});
