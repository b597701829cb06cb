import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { SummaryWriter } from '../../src/index.js';
import type { tensorboard } from '../../src/proto/tensorboard.js';
import { SummaryFileWriter, summaryFileWriter } from '../../src/writer/summary-file-writer.js';
import { eventFiles, eventsIn, scalarsOf, stepsIn } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();

/** What a tf.Scalar or tf.Tensor looks like from here. */
const tensor = (values: number[], shape: number[], dtype = 'float32') => ({
  shape,
  dtype,
  dataSync: () => (dtype === 'float32' ? Float32Array.from(values) : Int32Array.from(values)),
  data: async () => Float32Array.from(values),
});

// tfjs-node/src/tensorboard_test.ts tries the same calls.
it('scalars are numbers and tensors, as in tfjs-node', async () => {
  const logdir = temporaryFolder();
  const writer = summaryFileWriter(logdir);
  writer.scalar('loss', 42, 0);
  writer.scalar('loss', tensor([43], []), 1);
  writer.scalar('loss', tensor([1], [], 'bool'), 2);
  writer.flush();
  expect(scalarsOf(eventsIn(logdir)).map(({ step, value }) => [step, value])).toEqual([
    [0, 42],
    [1, 43],
    [2, 1],
  ]);
  await writer.close();
});

it('what throws in tfjs-node works: a description, a constant histogram, one bucket, a step of 2^31 and more', async () => {
  const logdir = temporaryFolder();
  const writer = summaryFileWriter(logdir);
  writer.scalar('loss', 1, 2 ** 31, 'the **loss**');
  writer.histogram('constant', tensor([2, 2, 2, 2], [2, 2]), 2n ** 40n);
  writer.histogram('one', tensor([1, 2], [2]), 1, 1, 'one bucket');
  await writer.close();
  const [, loss, constant, one] = eventsIn(logdir);
  expect(Number(loss.step)).toBe(2 ** 31);
  expect(loss.summary!.value![0].metadata!.summaryDescription).toBe('the **loss**');
  expect(Number(constant.step)).toBe(2 ** 40);
  const shape = (event: tensorboard.Event) =>
    event.summary!.value![0].tensor!.tensorShape!.dim!.map(({ size }) => Number(size));
  expect(shape(constant)).toEqual([30, 3]);
  expect(shape(one)).toEqual([1, 3]);
  expect(one.summary!.value![0].metadata!.summaryDescription).toBe('one bucket');
});

it('the event file ends in .v2, or in the suffix that is given', async () => {
  const logdir = temporaryFolder();
  for (const [name, suffix] of [
    ['a', undefined],
    ['b', '.mine'],
  ] as const) {
    const writer = summaryFileWriter(join(logdir, name), 10, 1000, suffix);
    writer.scalar('x', 1, 1);
    await writer.close();
  }
  expect(eventFiles(join(logdir, 'a'))[0]).toMatch(/\.v2$/);
  expect(eventFiles(join(logdir, 'b'))[0]).toMatch(/\.mine$/);
});

it('one writer per logdir, whatever its other arguments; a closed one is replaced', async () => {
  const logdir = temporaryFolder();
  const writer = summaryFileWriter(logdir);
  expect(summaryFileWriter(logdir, 1, 1, '.x')).toBe(writer);
  expect(summaryFileWriter(join(logdir, 'other'))).not.toBe(writer);
  await writer.close();
  const next = summaryFileWriter(logdir);
  expect(next).not.toBe(writer);
  next.scalar('loss', 1, 1);
  await next.close();
  expect(stepsIn(logdir)).toEqual([1]);
});

it('maxQueue is an upper bound on what is held back', async () => {
  const logdir = temporaryFolder();
  const writer = summaryFileWriter(logdir, 3);
  for (let step = 0; step < 100; step++) {
    writer.scalar('loss', step, step);
    expect(step + 1 - (eventFiles(logdir).length > 0 ? stepsIn(logdir).length : 0)).toBeLessThan(3);
  }
  await writer.close();
});

it('it is a SummaryWriter, and so are its runs', async () => {
  const logdir = temporaryFolder();
  const writer = summaryFileWriter(logdir);
  expect(writer).toBeInstanceOf(SummaryWriter);
  const run = writer.run('val');
  expect(run).toBeInstanceOf(SummaryFileWriter);
  run.scalar('loss', 1, 1);
  run.addText('note', 'hello', 1);
  await writer.close();
  expect(eventsIn(join(logdir, 'val')).length).toBe(3);
});

it.each([2.7, Number.NaN, '1', undefined, null])('the step %j throws with the words of tfjs-node', (step) => {
  const writer = summaryFileWriter(temporaryFolder());
  expect(() => writer.scalar('loss', 1, step as never)).toThrow(/^step is expected to be an integer, but is instead/);
  expect(() => writer.histogram('loss', [1], step as never)).toThrow(/^step is expected to be an integer/);
});

it.each(['', null, undefined, 5])('the logdir %j throws with the words of tfjs-node', (logdir) => {
  expect(() => summaryFileWriter(logdir as never)).toThrow(
    `Invalid logdir: ${logdir}. Expected a non-empty string for logdir.`,
  );
});

it('a flush that fails and is not awaited is reported, and is not an unhandled rejection', async () => {
  const { rmSync, writeFileSync } = await import('node:fs');
  const logdir = join(temporaryFolder(), 'logs');
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  const writer = summaryFileWriter(logdir);
  rmSync(logdir, { recursive: true });
  writeFileSync(logdir, 'a file in its place');
  writer.scalar('loss', 1, 1);
  writer.flush();
  await new Promise((done) => setTimeout(done, 20));
  process.off('unhandledRejection', unhandled);
  expect(unhandled).not.toHaveBeenCalled();
  expect(warnings).toEqual([expect.stringContaining(logdir)]);
  rmSync(logdir);
  await writer.close();
  expect(stepsIn(logdir)).toEqual([1]);
});
