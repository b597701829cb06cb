import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type HistogramValue, listRuns, readEvents } from '../../src/index.js';
import { summaryFileWriter, tensorBoard } from '../../src/tfjs.js';
import { useBackend } from '../support/backends.js';
import { temporaryFolder } from '../support/folders.js';
import { dense } from '../support/models.js';

interface TfjsNode {
  node: { tensorBoard: typeof tensorBoard; summaryFileWriter: typeof summaryFileWriter };
}

const folder = temporaryFolder(afterAll);
let theirs: TfjsNode['node'];

beforeAll(async () => {
  await useBackend('tensorflow');
  theirs = (createRequire(import.meta.url)('@tensorflow/tfjs-node') as TfjsNode).node;
});

/** What a logdir holds, by run: tag, plugin, step and value of every summary, in order. `edge` maps buckets' numbers. */
async function contents(logdir: string, edge: (value: number) => number = (value) => value) {
  const runs: Record<string, unknown[]> = {};
  for (const { run } of await listRuns(logdir)) {
    const summaries: unknown[] = [];
    for await (const event of readEvents(join(logdir, run))) {
      for (const { tag, plugin, value } of event.summary ?? []) {
        const counted = plugin === 'histograms' ? Array.from((value as HistogramValue).buckets, edge) : value;
        // TensorFlow.js numbers the weights of each model that it builds.
        summaries.push([tag.replace(/_\d+$/, ''), plugin, event.step, counted]);
      }
    }
    runs[run] = summaries;
  }
  return runs;
}

/** Matches a number that is the same to five digits: the buckets of tfjs-node are computed in float32. */
const nearly = (value: number): number =>
  value === 0 ? 0 : expect.closeTo(value, 4 - Math.floor(Math.log10(Math.abs(value))));

describe('tensorBoard beside tf.node.tensorBoard', () => {
  it.each([
    {},
    { updateFreq: 'batch' as const },
    { histogramFreq: 2 },
    { updateFreq: 'batch' as const, histogramFreq: 1 },
  ])('writes the same runs, tags, steps and values with %o', async (args) => {
    const name = JSON.stringify(args).replace(/\W/g, '') || 'plain';
    const [ours, native] = [join(folder, `${name}-ours`), join(folder, `${name}-native`)];
    const x = dense.inputs(20, 1) as tf.Tensor;
    const y = dense.targets(20, 2) as tf.Tensor;
    for (const [logdir, make] of [
      [ours, tensorBoard],
      [native, theirs.tensorBoard],
    ] as const) {
      const model = dense.build();
      const callbacks = make(logdir, { ...args });
      await model.fit(x, y, { epochs: 3, batchSize: 8, shuffle: false, verbose: 0, validationSplit: 0.2, callbacks });
      model.dispose();
    }
    tf.dispose([x, y]);
    expect(await contents(ours)).toEqual(await contents(native, nearly));
  });
});

describe('summaryFileWriter beside tf.node.summaryFileWriter', () => {
  it('writes the same scalars and histograms', async () => {
    const values = tf.tensor1d([-2, -1, 0, 0, 0.5, 1, 3.25]);
    for (const [name, make] of [
      ['ours', summaryFileWriter],
      ['native', theirs.summaryFileWriter],
    ] as const) {
      const writer = make(join(folder, `writer-${name}`));
      for (const step of [0, 1, 2]) {
        writer.scalar('loss', 1 / (step + 1), step);
        writer.histogram('values', values, step, 10);
      }
      writer.scalar('tensor', tf.scalar(2.5) as never, 7);
      await writer.flush();
    }
    values.dispose();
    const theirContents = await contents(join(folder, 'writer-native'), nearly);
    expect(await contents(join(folder, 'writer-ours'))).toEqual(theirContents);
  });

  it('returns one writer per logdir, as theirs', () => {
    const logdir = join(folder, 'cached');
    expect(summaryFileWriter(logdir, 3)).toBe(summaryFileWriter(logdir, 99, 5));
    expect(theirs.summaryFileWriter(logdir, 3)).toBe(theirs.summaryFileWriter(logdir, 99, 5));
  });

  it('takes what theirs throws at: descriptions, constant histograms, steps beyond 2^31', async () => {
    const logdir = join(folder, 'more');
    const writer = summaryFileWriter(logdir);
    writer.scalar('described', 1, 2 ** 40, 'what it is');
    writer.histogram('constant', tf.ones([5]) as never, 0);
    await writer.flush();
    const seen = Object.values(await contents(logdir)).flat() as unknown[][];
    expect(seen.map(([tag, , step]) => [tag, step])).toEqual([
      ['described', 2 ** 40],
      ['constant', 0],
    ]);
    const native = theirs.summaryFileWriter(join(folder, 'throws'));
    expect(() => native.scalar('described', 1, 0, 'what it is')).toThrow();
    expect(() => native.scalar('late', 1, 2 ** 40)).toThrow();
  });
});
