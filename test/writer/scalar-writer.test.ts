import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ClosedWriterError } from '../../src/errors.js';
import {
  listRuns,
  MemoryOutput,
  readEvents,
  ScalarWriter,
  SummaryWriter,
  type TensorBoardEvent,
} from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';

async function eventsOf(source: string | Uint8Array): Promise<TensorBoardEvent[]> {
  const events: TensorBoardEvent[] = [];
  for await (const event of readEvents(source)) events.push(event);
  return events;
}

describe('a ScalarWriter', () => {
  it('writes byte for byte what a SummaryWriter writes', async () => {
    const files = [];
    for (const Writer of [ScalarWriter, SummaryWriter]) {
      const output = new MemoryOutput();
      const writer = new Writer(output);
      for (let step = 0; step < 300; step++) {
        writer.addScalar('loss', 1 / (step + 1), step, { wallTime: 1000 + step });
        writer.addScalar('accuracy/\ud83d\ude00', step === 7 ? Number.NaN : step, BigInt(step) * 2n ** 40n, {
          wallTime: 2000 + step,
        });
      }
      await writer.close();
      // The first record says when it was written.
      const first = 12 + new DataView(output.bytes.buffer, output.bytes.byteOffset).getUint32(0, true) + 4;
      files.push(Buffer.from(output.bytes.subarray(first)).toString('hex'));
    }
    expect(files[0]).toBe(files[1]);
    expect(files[0].length).toBeGreaterThan(600 * 2 * 50);
  });

  it('writes into a folder, and into runs below it, before it is closed', async () => {
    const logdir = temporaryFolder();
    const writer = new ScalarWriter(logdir);
    expect(readdirSync(logdir)).toEqual([]);
    writer.addScalar('loss', 0.5, 1, { wallTime: new Date(2000) });
    writer.run('val').addScalar('loss', 0.25, 1);
    expect(writer.run('val')).toBe(writer.run('val'));
    await writer.flush();
    expect((await listRuns(logdir)).map(({ run }) => run)).toEqual(['.', 'val']);
    const [first, point] = await eventsOf(logdir);
    expect(first).toMatchObject({ fileVersion: 'brain.Event:2', sourceWriter: 'delve-tensorboard' });
    expect(point).toMatchObject({ step: 1, wallTime: 2, summary: [{ tag: 'loss', plugin: 'scalars', value: 0.5 }] });
    await writer.close();
    expect(() => writer.addScalar('loss', 1, 2)).toThrow(ClosedWriterError);
    expect(() => writer.run('other')).toThrow(ClosedWriterError);
  });

  it('says again what a tag is in the file that it begins when its file is gone', async () => {
    const parts: Uint8Array[] = [];
    let isGone = false;
    const output = new (class extends MemoryOutput {
      override write(bytes: Uint8Array) {
        if (isGone) {
          isGone = false;
          parts.length = 0;
          throw Object.assign(new Error('gone'), { code: 'EFBIG' });
        }
        parts.push(bytes.slice());
      }
    })();
    const writer = new ScalarWriter(output);
    writer.addScalar('loss', 1, 1);
    await writer.flush();
    writer.addScalar('loss', 2, 2);
    await writer.flush();
    await writer.close();
    const events = await eventsOf(Buffer.concat(parts));
    expect(events.slice(1).map(({ summary }) => summary?.[0].plugin)).toEqual(['scalars', 'scalars']);
  });

  it.each<[string, (writer: ScalarWriter) => void, string]>([
    ['an empty tag', (writer) => writer.addScalar('', 1, 1), 'expected the tag to be a non-empty string'],
    [
      'no number',
      (writer) => writer.addScalar('x', '1' as never, 1),
      'addScalar "x": expected a number, got the string "1"',
    ],
    ['no step', (writer) => writer.addScalar('x', 1, undefined as never), 'expected step to be an integer'],
    ['milliseconds', (writer) => writer.addScalar('x', 1, 1, { wallTime: Date.now() }), 'looks like milliseconds'],
    [
      'an unknown option',
      (writer) => writer.addScalar('x', 1, 1, { walltime: 1 } as never),
      "did you mean 'wallTime'?",
    ],
    [
      'no logdir',
      () => new ScalarWriter({} as never),
      'ScalarWriter: expected logdir to be a non-empty string or an Output',
    ],
  ])('refuses %s', (_, call, message) => {
    expect(() => call(new ScalarWriter(new MemoryOutput()))).toThrow(message);
  });
});

const programs = new Programs('src/index.ts');
afterAll(() => programs.remove());

it('a program that ends without close loses no scalar', async () => {
  const logdir = temporaryFolder();
  const source = `
    import { ScalarWriter } from ${JSON.stringify(join(programs.folder, 'src/index.js'))};
    const writer = new ScalarWriter(${JSON.stringify(logdir)});
    for (let step = 0; step < 5000; step++) writer.addScalar('loss', step, step);
    process.exit(3);`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 3, stderr: '' });
  expect(await eventsOf(logdir)).toHaveLength(5001);
  expect(readFileSync(join(logdir, readdirSync(logdir)[0])).length).toBeGreaterThan(5000 * 40);
});
