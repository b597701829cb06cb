import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClosedWriterError, MemoryOutput, type Output, SummaryWriter } from '../../src/index.js';
import { decodeRecords, eventFiles, eventsIn, scalarsOf, stepsIn, temporaryFolder } from '../support/event-files.js';

let warnings: string[];
beforeEach(() => {
  warnings = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((text) => void warnings.push(String(text)));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A writer into memory, and what it has written so far. */
function inMemory() {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  const events = async () => {
    await writer.flush();
    return decodeRecords(output.bytes);
  };
  return { output, writer, events };
}

// Written by Python's protobuf; both of TensorBoard's loaders show it alike (test/fixtures/events/golden.json).
const recommended = readFileSync('test/fixtures/events/recommended/r/events.out.tfevents.1700000000.host.1.0');

test('scalars are written as the recommended encoding has them, byte for byte', async () => {
  const { output, writer } = inMemory();
  writer.addScalar('loss', 1, 0, { wallTime: 1700000001, displayName: 'Loss!', description: '**md**' });
  writer.addScalar('loss', 0.5, 1, { wallTime: 1700000002 });
  await writer.flush();
  const bytes = Buffer.from(output.bytes);
  const first = bytes.length - (2 * 16 + 61 + 33);
  expect(bytes.subarray(first).toString('hex')).toBe(recommended.subarray(48, 48 + 2 * 16 + 61 + 33).toString('hex'));
});

test('a file begins with the version and who wrote it', async () => {
  const { writer, events } = inMemory();
  writer.addScalar('loss', 1, 1);
  const [first] = await events();
  expect(first.fileVersion).toBe('brain.Event:2');
  expect(first.sourceMetadata?.writer).toBe('delve-tensorboard');
  expect(first.wallTime).toBeCloseTo(Date.now() / 1000, -1);
});

test('a tag is described on its first event only, by every method', async () => {
  const { writer, events } = inMemory();
  const options = { displayName: 'name', description: 'text' };
  for (const step of [1, 2]) {
    writer.addScalar('scalar', 1, step, options);
    writer.addHistogram('histogram', [1, 2], step, options);
    writer.addHistogramRaw('raw', [0, 1, 5], step, options);
    writer.addText('text', 'hello', step, options);
  }
  const values = (await events()).slice(1).map(({ summary }) => summary!.value![0]);
  for (const { metadata } of values.slice(0, 4)) {
    expect(metadata).toMatchObject({ displayName: 'name', summaryDescription: 'text' });
  }
  expect(values.slice(0, 4).map(({ metadata }) => [metadata?.pluginData?.pluginName, metadata?.dataClass])).toEqual([
    ['scalars', 1],
    ['histograms', 2],
    ['histograms', 2],
    ['text', 2],
  ]);
  for (const { metadata } of values.slice(4)) expect(metadata ?? undefined).toBeUndefined();
});

test('steps may be negative, beyond 2^31, beyond 2^53, and bigint', async () => {
  const { writer, events } = inMemory();
  const steps = [0, -5, 2 ** 31, 2 ** 53, 2n ** 62n, -(2n ** 63n), 2n ** 63n - 1n];
  for (const step of steps) writer.addScalar('loss', 1, step);
  expect((await events()).slice(1).map(({ step }) => BigInt(String(step)))).toEqual(steps.map(BigInt));
});

test('an array or tensor of one number is a scalar', async () => {
  const { writer, events } = inMemory();
  writer.addScalar('loss', [2], 1);
  writer.addScalar('loss', Float32Array.of(3), 2);
  writer.addScalar('loss', { shape: [], dataSync: () => Float32Array.of(4), data: async () => Float32Array.of(4) }, 3);
  writer.addScalar('loss', [[true]], 4);
  expect(scalarsOf(await events()).map(({ value }) => value)).toEqual([2, 3, 4, 1]);
});

test('a number beyond float32 becomes Infinity, and NaN stays NaN', async () => {
  const { writer, events } = inMemory();
  for (const [step, value] of [1e300, -1e300, Number.NaN, 1e-300].entries()) writer.addScalar('loss', value, step);
  expect(scalarsOf(await events()).map(({ value }) => value)).toEqual([Infinity, -Infinity, NaN, 0]);
});

test('addScalars writes one run per key below the main tag, all with the main tag', async () => {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  writer.addScalars('acc/top1', { train: 0.5, val: [0.25] }, 3, { wallTime: 7 });
  writer.addScalars('acc/top1', { train: 0.75 }, 4);
  await writer.close();
  expect(stepsIn(join(logdir, 'acc/top1/train'), 'acc/top1')).toEqual([3, 4]);
  expect(scalarsOf(eventsIn(join(logdir, 'acc/top1/val')))).toEqual([{ tag: 'acc/top1', step: 3, value: 0.25 }]);
  expect(eventFiles(logdir)).toEqual([]);
});

test('addEvent writes every event of every fixture back as it was', async () => {
  const { readEvents } = await import('../../src/index.js');
  const folder = 'test/fixtures/events';
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('tfevents'));
  expect(files.length).toBeGreaterThan(10);
  for (const name of files) {
    const source = readFileSync(join(folder, name));
    const { writer, output } = inMemory();
    for await (const event of readEvents(new Uint8Array(source))) writer.addEvent(event);
    await writer.flush();
    expect(decodeRecords(output.bytes), name).toEqual(decodeRecords(source));
  }
});

test('a histogram tells once per tag how many values were NaN or infinite; of none at all it is empty', async () => {
  const { writer, events } = inMemory();
  writer.addHistogram('weights', [1, Number.NaN, 2, Infinity], 1, { buckets: 1 });
  writer.addHistogram('weights', [Number.NaN], 2, { buckets: 1 });
  writer.addHistogram('nothing', [], 3, { buckets: 1 });
  expect(warnings).toEqual(['addHistogram "weights": 2 of 4 values are NaN or infinite and were left out']);
  const counts = (await events()).slice(1).map(({ summary }) => {
    const bytes = summary!.value![0].tensor!.tensorContent!;
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(16, true);
  });
  expect(counts).toEqual([2, 0, 0]);
});

test('a step left out is 0, and warned of once, the second time', async () => {
  const { writer, events } = inMemory();
  writer.addScalar('loss', 1);
  writer.addScalar('other', 1);
  expect(warnings).toEqual([]);
  writer.addScalar('loss', 2);
  writer.addScalar('loss', 3);
  expect(warnings).toEqual([expect.stringContaining('addScalar "loss"')]);
  expect((await events()).every(({ step }) => Number(step) === 0)).toBe(true);
});

test('a tag used for two kinds is warned of once, and written all the same', async () => {
  const { writer, events } = inMemory();
  writer.addScalar('x', 1, 1);
  for (const step of [2, 3]) writer.addText('x', 'text', step);
  expect(warnings).toEqual([expect.stringMatching(/'x' holds scalars .* text/)]);
  expect((await events()).length).toBe(4);
});

describe('bad arguments throw from the call, name what is wrong, and write nothing', () => {
  const bad: [string, (writer: SummaryWriter) => void, ErrorConstructor, RegExp][] = [
    ['an empty tag', (w) => w.addScalar('', 1, 1), TypeError, /non-empty/],
    ['a tag that is a number', (w) => w.addScalar(5 as never, 1, 1), TypeError, /string, got number 5/],
    ['no tag', (w) => w.addText(undefined as never, 'x', 1), TypeError, /string, got undefined/],
    ['a fraction as step', (w) => w.addScalar('a', 1, 2.7), RangeError, /addScalar "a".*integer, got 2.7/],
    ['NaN as step', (w) => w.addHistogram('a', [1], Number.NaN), RangeError, /integer, got NaN/],
    ['a string as step', (w) => w.addScalar('a', 1, '1' as never), TypeError, /integer.*got the string "1"/],
    ['null as step', (w) => w.addScalar('a', 1, null as never), TypeError, /integer.*got null/],
    ['a step beyond 64 bits', (w) => w.addScalar('a', 1, 2n ** 63n), RangeError, /64 bits/],
    ['a step far beyond 64 bits', (w) => w.addScalar('a', 1, 1e30), RangeError, /64 bits/],
    ['a string as value', (w) => w.addScalar('a', 'x' as never, 1), TypeError, /addScalar "a"/],
    ['no value', (w) => w.addScalar('a', undefined as never, 1), TypeError, /undefined/],
    ['two numbers as value', (w) => w.addScalar('a', [1, 2], 1), RangeError, /single number/],
    ['NaN as wall time', (w) => w.addScalar('a', 1, 1, { wallTime: Number.NaN }), RangeError, /wallTime.*NaN/],
    ['a Date as wall time', (w) => w.addScalar('a', 1, 1, { wallTime: new Date() as never }), TypeError, /wallTime/],
    ['a number as description', (w) => w.addText('a', 'b', 1, { description: 5 as never }), TypeError, /description/],
    ['no buckets', (w) => w.addHistogram('a', [1], 1, { buckets: 0 }), RangeError, /buckets/],
    ['half a bucket', (w) => w.addHistogramRaw('a', [1, 2], 1), RangeError, /k x 3/],
    ['a number as text', (w) => w.addText('a', 5 as never, 1), TypeError, /string/],
    ['null as scalars', (w) => w.addScalars('a', null as never, 1), TypeError, /object/],
    ['a run without a name', (w) => w.run(''), RangeError, /name/],
    ['a run called by a number', (w) => w.run(5 as never), TypeError, /string/],
    ['nothing as event', (w) => w.addEvent(undefined as never), TypeError, /addEvent/],
  ];
  test.each(bad)('%s', async (_, call, type, message) => {
    const { writer, events, output } = inMemory();
    expect(() => call(writer)).toThrow(type);
    expect(() => call(writer)).toThrow(message);
    expect((await events()).filter(({ summary }) => summary)).toEqual([]);
    expect(output.runs.size).toBe(0);
  });

  test.each([
    [{ maxQueue: 0 }, RangeError],
    [{ maxQueue: Number.NaN }, RangeError],
    [{ flushSecs: -1 }, RangeError],
    [{ flushSecs: '1' as never }, TypeError],
    [{ maxBufferedBytes: 0 }, RangeError],
    [{ filenameSuffix: 5 as never }, TypeError],
    [{ purgeStep: 1.5 }, RangeError],
    [{ handleSignals: 'yes' as never }, TypeError],
  ])('the option %j', (options, type) => {
    expect(() => new SummaryWriter(new MemoryOutput(), options)).toThrow(type);
    expect(() => new SummaryWriter(new MemoryOutput(), options)).toThrow(Object.keys(options)[0]);
  });

  test.each(['', null, 5, {}])('the logdir %j', (logdir) => {
    expect(() => new SummaryWriter(logdir as never)).toThrow(TypeError);
  });

  test('a logdir that is a file', () => {
    const path = join(temporaryFolder(), 'file');
    writeFileSync(path, 'mine');
    expect(() => new SummaryWriter(path)).toThrow(path);
    expect(() => new SummaryWriter(join(path, 'below'))).toThrow(/ENOTDIR/);
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });
});

test('no tag and no run name makes a file outside the logdir', async () => {
  const folder = temporaryFolder();
  const logdir = join(folder, 'logdir');
  const writer = new SummaryWriter(logdir);
  for (const name of ['../out', '/tmp/../out', '..', 'a/../../..', '\0', '\\..\\out', './../x', `${folder}/out`]) {
    writer.addScalar(name, 1, 1);
    writer.run(name).addScalar('loss', 1, 1);
    writer.addScalars(name, { [name]: 1 }, 1);
  }
  await writer.close();
  expect(readdirSync(folder)).toEqual(['logdir']);
  expect(existsSync('/tmp/out')).toBe(false);
});

test('half a character in a tag or description becomes U+FFFD, since text that is not UTF-8 stops a loader', async () => {
  const { writer, output } = inMemory();
  for (const step of [1, 2]) writer.addScalar('a\ud800b', 1, step, { description: '\udc00', displayName: 'x\ud83d' });
  await writer.flush();
  const strict = new TextDecoder('utf-8', { fatal: true });
  const at = Buffer.from(output.bytes).indexOf('a\ufffdb');
  expect(strict.decode(output.bytes.subarray(at, at + 5))).toBe('a\ufffdb');
  expect(
    decodeRecords(output.bytes)
      .slice(1)
      .map(({ summary }) => summary!.value![0].tag),
  ).toEqual(['a\ufffdb', 'a\ufffdb']);
  expect(Buffer.from(output.bytes).includes(Buffer.from([0xed, 0xa0, 0x80]))).toBe(false);
});

test('run gives one writer per name, closed with its parent; a closed one is replaced by another', async () => {
  const { writer, output } = inMemory();
  const train = writer.run('train');
  expect(writer.run('train')).toBe(train);
  expect(writer.run('./train/')).toBe(train);
  train.addScalar('loss', 1, 1);
  await train.close();
  const again = writer.run('train');
  expect(again).not.toBe(train);
  again.addScalar('loss', 2, 2);
  await writer.close();
  expect(again.isClosed).toBe(true);
  expect(scalarsOf(decodeRecords(output.runs.get('train')!.bytes)).map(({ step }) => step)).toEqual([1, 2]);
});

test('a run is of the same class as its writer', () => {
  class Mine extends SummaryWriter {}
  expect(new Mine(new MemoryOutput()).run('train')).toBeInstanceOf(Mine);
});

test('flush and close of a writer are flush and close of its runs, too', async () => {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir, { flushSecs: 1000 });
  writer.run('a/b').addScalar('loss', 1, 1);
  await writer.flush();
  expect(stepsIn(join(logdir, 'a/b'))).toEqual([1]);
  writer.run('a').run('b').addScalar('loss', 2, 2);
  await writer.close();
  expect(stepsIn(join(logdir, 'a/b'))).toEqual([1, 2]);
});

test('after close every call is a ClosedWriterError that names it; close and flush stay what they were', async () => {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  writer.addScalar('loss', 1, 1);
  const closed = writer.close();
  expect(writer.close()).toBe(closed);
  await closed;
  await writer.flush();
  const calls: ((w: SummaryWriter) => void)[] = [
    (w) => w.addScalar('loss', 1, 2),
    (w) => w.addScalars('loss', { a: 1 }, 2),
    (w) => w.addHistogram('loss', [1], 2),
    (w) => w.addText('loss', 'x', 2),
    (w) => w.run('loss'),
    (w) => w.addEvent({ wallTime: 0, step: 0 }),
  ];
  for (const call of calls) {
    expect(() => call(writer)).toThrow(ClosedWriterError);
    expect(() => call(writer)).toThrow(logdir);
  }
  expect(stepsIn(logdir)).toEqual([1]);
});

test('await using closes', async () => {
  const logdir = temporaryFolder();
  {
    await using writer = new SummaryWriter(logdir, { flushSecs: 1000 });
    writer.addScalar('loss', 1, 1);
  }
  expect(stepsIn(logdir)).toEqual([1]);
});

test('flush() has written by the time it returns', () => {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir, { flushSecs: 1000 });
  writer.addScalar('loss', 1, 1);
  expect(eventFiles(logdir)).toEqual([]);
  void writer.flush();
  expect(stepsIn(logdir)).toEqual([1]);
});

test('a writer that got no event makes no file', async () => {
  const logdir = join(temporaryFolder(), 'logdir');
  const writer = new SummaryWriter(logdir);
  await writer.flush();
  await writer.close();
  expect(readdirSync(logdir)).toEqual([]);
});

test('logdir is as it was given, below it for runs, and does not move with the working directory', async () => {
  const folder = temporaryFolder();
  const before = process.cwd();
  process.chdir(folder);
  const writer = new SummaryWriter('logs');
  process.chdir(before);
  expect(writer.logdir).toBe('logs');
  expect(writer.run('a/b').logdir).toBe(join('logs', 'a/b'));
  writer.run('a').addScalar('loss', 1, 1);
  await writer.close();
  expect(stepsIn(join(folder, 'logs/a'))).toEqual([1]);
});

test('an Output without runs or companion files says so', async () => {
  const output: Output = { write() {}, async flush() {}, async close() {} };
  const writer = new SummaryWriter(output);
  expect(() => writer.run('train')).toThrow(/no runs/);
  await writer.close();
});
