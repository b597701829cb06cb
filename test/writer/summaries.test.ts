import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodeMessage } from '../../src/encoding/message-codec.js';
import { ClosedWriterError } from '../../src/errors.js';
import { MemoryOutput, type Output } from '../../src/output/output.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { readEvents } from '../../src/reader/read-events.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { Run } from '../../src/writer/run.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { decodeRecords, eventFiles, eventsIn, scalarsOf, stepsIn, writerInMemory } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { catchWarnings } from '../support/warnings.js';

describe('events', () => {
  const warnings = catchWarnings();
  afterEach(() => {
    vi.useRealTimers();
  });

  // Written by Python's protobuf; both of TensorBoard's loaders show it alike (test/fixtures/events/golden.json).
  const recommended = readFileSync('test/fixtures/events/recommended/r/events.out.tfevents.1700000000.host.1.0');

  it('scalars are written as the recommended encoding has them, byte for byte', async () => {
    const { output, writer } = writerInMemory();
    writer.addScalar('loss', 1, 0, { wallTime: 1700000001, displayName: 'Loss!', description: '**md**' });
    writer.addScalar('loss', 0.5, 1, { wallTime: 1700000002 });
    await writer.flush();
    const bytes = Buffer.from(output.bytes);
    const first = bytes.length - (2 * 16 + 61 + 33);
    expect(bytes.subarray(first).toString('hex')).toBe(recommended.subarray(48, 48 + 2 * 16 + 61 + 33).toString('hex'));
  });

  it('a file begins with the version and who wrote it', async () => {
    const begun = Date.now() / 1000;
    const { writer, events } = writerInMemory();
    writer.addScalar('loss', 1, 1);
    const [first] = await events();
    expect(first.fileVersion).toBe('brain.Event:2');
    expect(first.sourceMetadata?.writer).toBe('delve-tensorboard');
    expect(first.wallTime).toBeGreaterThanOrEqual(begun - 1);
    expect(first.wallTime).toBeLessThanOrEqual(Date.now() / 1000 + 1);
  });

  it('a tag is described on its first event only, by every method', async () => {
    const { writer, events } = writerInMemory();
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

  it('steps may be negative, beyond 2^31, beyond 2^53, and bigint', async () => {
    const { writer, events } = writerInMemory();
    const steps = [0, -5, 2 ** 31, 2 ** 53, 2n ** 62n, -(2n ** 63n), 2n ** 63n - 1n];
    for (const step of steps) writer.addScalar('loss', 1, step);
    expect((await events()).slice(1).map(({ step }) => BigInt(String(step)))).toEqual(steps.map(BigInt));
  });

  it('an array or tensor of one number is a scalar', async () => {
    const { writer, events } = writerInMemory();
    writer.addScalar('loss', [2], 1);
    writer.addScalar('loss', Float32Array.of(3), 2);
    writer.addScalar(
      'loss',
      { shape: [], dataSync: () => Float32Array.of(4), data: async () => Float32Array.of(4) },
      3,
    );
    writer.addScalar('loss', [[true]], 4);
    expect(scalarsOf(await events()).map(({ value }) => value)).toEqual([2, 3, 4, 1]);
  });

  it('a number beyond float32 becomes Infinity, and NaN stays NaN', async () => {
    const { writer, events } = writerInMemory();
    for (const [step, value] of [1e300, -1e300, Number.NaN, 1e-300].entries()) writer.addScalar('loss', value, step);
    expect(scalarsOf(await events()).map(({ value }) => value)).toEqual([Infinity, -Infinity, NaN, 0]);
  });

  it('addScalars writes one run per key below the main tag, all with the main tag', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addScalars('acc/top1', { train: 0.5, val: [0.25] }, 3, { wallTime: 7 });
    writer.addScalars('acc/top1', { train: 0.75 }, 4);
    await writer.close();
    expect(stepsIn(join(logdir, 'acc/top1/train'), 'acc/top1')).toEqual([3, 4]);
    expect(scalarsOf(eventsIn(join(logdir, 'acc/top1/val')))).toEqual([{ tag: 'acc/top1', step: 3, value: 0.25 }]);
    expect(eventFiles(logdir)).toEqual([]);
  });

  it('addScalars writes keys of any length, each to a run of its own', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const long = 'lr=0.1,'.repeat(40);
    writer.addScalars('grp', { [long]: 1, [`${long}b`]: 2, short: 3 }, 1);
    await writer.close();
    const runs = readdirSync(join(logdir, 'grp'));
    expect(runs.length).toBe(3);
    expect(runs.filter((name) => name.startsWith('lr=0.1,lr=0.1,')).length).toBe(2);
    expect(runs.flatMap((name) => stepsIn(join(logdir, 'grp', name), 'grp'))).toEqual([1, 1, 1]);
  });

  it.each<[string, Record<string, unknown>]>([
    ['a value that is no number', { a: 1, b: 'x' }],
    ['an array of two', { a: 1, b: [1, 2] }],
    [
      'a value beside one that comes later',
      { a: { shape: [1], dtype: 'float32', data: async () => Float32Array.of(1) }, b: null },
    ],
    ['a key that names nothing', { a: 1, '': 2 }],
    ['a key that is no folder', { a: 1, './/': 2 }],
    ['two keys that name one folder', { 'a/b': 1, 'a//b': 2 }],
  ])('addScalars writes nothing at all if it refuses %s', async (_, values) => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    expect(() => writer.addScalars('main', values as Record<string, number>, 1)).toThrow(
      /addScalars "main"|run "main|name:/,
    );
    await writer.close();
    const files = readdirSync(logdir, { recursive: true, encoding: 'utf8' });
    expect(files.filter((name) => name.includes('tfevents'))).toEqual([]);
  });

  it.each<[string, Parameters<SummaryWriter['addHparams']>]>([
    ['a metric that is no number', [{ lr: 1 }, { loss: 1, acc: '2' as never }]],
    ['a tag that is none', [{ lr: 1 }, { loss: 1, '': 2 }]],
    ['a step that is none', [{ lr: 1 }, { loss: 1 }, { step: 1.5 }]],
    ['a hyperparameter that is none', [{ lr: 1, deep: {} as never }, { loss: 1 }]],
  ])('addHparams writes nothing at all if it refuses %s, and takes what is right afterwards', async (_, args) => {
    const { writer, events } = writerInMemory();
    expect(() => writer.addHparams(...args)).toThrow('addHparams');
    writer.addHparams({ other: 1 }, { loss: 1 });
    const found = (await events()).flatMap(({ summary }) => summary?.value?.map(({ tag }) => tag) ?? []);
    expect(found).toEqual(['_hparams_/session_start_info', '_hparams_/session_end_info', 'loss']);
  });

  it('addEvent takes every event that readEvents yields of files of other writers, whatever it makes of them', async () => {
    const folder = 'test/fixtures';
    const all = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const files = all.filter((name) => name.includes('tfevents'));
    expect(files.length).toBeGreaterThan(20);
    for (const name of files) {
      const { writer, output } = writerInMemory();
      const [read, again]: unknown[][] = [[], []];
      for await (const event of readEvents(join(folder, name), { onCorrupt: () => {} })) {
        read.push(event);
        writer.addEvent(event);
      }
      await writer.flush();
      for await (const event of readEvents(output.bytes.slice())) again.push(event);
      expect(again, name).toEqual(read);
    }
  });

  it('addEvent writes every event of every fixture back as it was', async () => {
    const { readEvents } = await import('../../src/index.js');
    const folder = 'test/fixtures/events';
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('tfevents'),
    );
    expect(files.length).toBeGreaterThan(10);
    for (const name of files) {
      const source = readFileSync(join(folder, name));
      const { writer, output } = writerInMemory();
      for await (const event of readEvents(new Uint8Array(source))) writer.addEvent(event);
      await writer.flush();
      expect(decodeRecords(output.bytes), name).toEqual(decodeRecords(source));
    }
  });

  it('a histogram reports once per tag how many values were NaN or infinite; without finite values it is empty', async () => {
    const { writer, events } = writerInMemory();
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

  it('arrays whose memory is gone are refused by everything that takes numbers or bytes', async () => {
    const lost = new Uint8Array(12);
    structuredClone(lost, { transfer: [lost.buffer] });
    const writer = new SummaryWriter(temporaryFolder());
    const calls: (() => void)[] = [
      () => writer.addScalar('x', lost, 1),
      () => writer.addHistogram('x', lost, 1),
      () => writer.addHistogramRaw('x', lost, 1),
      () => writer.addImage('x', { data: lost, shape: [2, 2, 3] }, 1),
      () => writer.addImage('x', { data: lost, width: 1, height: 3 }, 1),
      () => writer.addImage('x', { encoded: lost }, 1),
      () => writer.addImages('x', { data: lost, shape: [0, 2, 3] }, 1),
      () => writer.addImageWithBoxes('x', { data: new Uint8Array(4), shape: [2, 2] }, lost, 1),
      () => writer.addVideo('x', { data: lost, shape: [1, 4, 3] }, 1),
      () => writer.addAudio('x', lost, 1),
      () => writer.addPrCurve('x', lost, [], 1),
      () => writer.addPrCurve('x', [], lost, 1),
      () => writer.addPrCurve('x', [], [], 1, { weights: lost }),
      () =>
        writer.addPrCurveRaw(
          'x',
          { truePositives: lost, falsePositives: [], trueNegatives: [], falseNegatives: [] },
          1,
        ),
      () => writer.addMesh('x', { data: lost, shape: [0, 3] }, 1),
      () => writer.addMesh('x', [[1, 2, 3]], 1, { faces: { data: lost, shape: [0, 3] } }),
      () => writer.addEmbedding('x', [lost], 1),
      () => writer.addEmbedding('x', [[1]], 1, { metadata: lost }),
      () => writer.addEmbedding('x', [[1]], 1, { metadata: [lost] }),
      () => writer.addEmbedding('x', [[1]], 1, { labelImages: { data: lost, shape: [0, 2, 2] } }),
      () => writer.addGraph(lost),
      () => writer.addEvent({ wallTime: 1, step: 1, graph: lost }),
      () => writer.addEvent({ wallTime: 1, step: 1, summary: [{ tag: 'x', plugin: '', value: 1, raw: lost }] }),
      () => new CovarianceAccumulator(3).update(lost),
      () => Spectrum.fromEigenvalues(lost),
      () => Spectrum.of(lostCovariance),
    ];
    const lostCovariance = new Float64Array(4);
    structuredClone(lostCovariance, { transfer: [lostCovariance.buffer] });
    for (const call of calls) {
      expect(call, String(call)).toThrow(TypeError);
      expect(call, String(call)).toThrow(/Array whose buffer was transferred or shrunk$/);
    }
    await writer.close();
  });

  it('a wall time may be a Date', async () => {
    const { writer, events } = writerInMemory();
    writer.addScalar('x', 1, 1, { wallTime: new Date(1_700_000_000_250) });
    writer.addScalar('x', 1, 2, { wallTime: new Date(1_700_000_001_500) });
    writer.addText('y', 'z', 3, { wallTime: 1_700_000_002 });
    expect((await events()).slice(1).map(({ wallTime }) => wallTime)).toEqual([
      1_700_000_000.25, 1_700_000_001.5, 1_700_000_002,
    ]);
  });

  it('an event of a file keeps its wall time, whatever it is', async () => {
    const { writer, events } = writerInMemory();
    writer.addEvent({ wallTime: 1_700_000_000_250, step: 1, fileVersion: 'brain.Event:2' });
    expect((await events()).at(-1)?.wallTime).toBe(1_700_000_000_250);
  });

  describe('values of another range than expected, most of which are clamped, are warned of once per tag', () => {
    const noise = (length: number, of: (i: number) => number) => Float32Array.from({ length }, (_, i) => of(i));
    const floats = noise(192, (i) => (i * 37) % 256);
    /** Mostly black, as digits are. */
    const digit = noise(784, (i) => (i % 28 > 11 && i % 28 < 15 ? 253 - (i % 7) : 0));
    const tanh = noise(768, (i) => Math.sin(i * 12.9898) * 0.9);
    const cases: [string, (writer: SummaryWriter, step: number) => void, RegExp][] = [
      [
        'floats of 0..255 as an image',
        (w, step) => w.addImage('x', { data: floats, shape: [8, 8, 3] }, step),
        /^addImage "x": about \d+% of the values that are not 0 lie outside 0\.\.1 \(they reach from 0 to 255\) and were clamped: give pixels of 0\.\.255 as a Uint8Array/,
      ],
      ['a digit of 0..255', (w, step) => w.addImage('x', { data: digit, shape: [28, 28] }, step), /from 0 to 253/],
      ['a plain array of 0..255', (w, step) => w.addImage('x', [[0, 128, 255]], step), /^addImage "x": about 100%/],
      [
        'pixels of -1..1',
        (w, step) => w.addImages('x', { data: tanh, shape: [4, 8, 8, 3] }, step),
        /scale \[-1, 1\] by \(x \+ 1\) \/ 2/,
      ],
      [
        'pixels of 16 bits',
        (w, step) => w.addImage('x', { data: Uint16Array.from(floats, (x) => 257 * x), shape: [8, 8, 3] }, step),
        /lie outside 0\.\.255 .* scale integer pixels to 0\.\.255/,
      ],
      [
        'a frame of a video',
        (w, step) => w.addVideo('x', { data: floats, shape: [2, 12, 8] }, step),
        /^addVideo "x": .* outside 0\.\.1/,
      ],
      [
        'an image with boxes',
        (w, step) => w.addImageWithBoxes('x', { data: floats, shape: [8, 8, 3] }, [[1, 1, 2, 2]], step),
        /^addImageWithBoxes "x": .* outside 0\.\.1/,
      ],
      [
        'images of an embedding',
        (w, step) => w.addEmbedding('x', [[1], [2]], step, { labelImages: { data: floats, shape: [2, 12, 8] } }),
        /^addEmbedding "x": .* outside 0\.\.1/,
      ],
      [
        'samples of 16 bits in floats',
        (w, step) =>
          w.addAudio(
            'x',
            noise(4000, (i) => Math.round(20_000 * Math.sin(i / 9)) / 2),
            step,
          ),
        /^addAudio "x": .* outside -1\.\.1 .* were clipped: give samples of 16 bits as an Int16Array, or divide them by 32768/,
      ],
      [
        'samples of 16 bits in a tensor of int32, the smallest integers that there are',
        (w, step) => w.addAudio('x', { data: Int32Array.of(0, 500, -600, 31_000), shape: [4, 1] }, step),
        /Int16Array/,
      ],
    ];
    it.each(cases)('%s', async (_, call, message) => {
      const writer = new SummaryWriter(temporaryFolder());
      for (const step of [1, 2, 3]) call(writer, step);
      expect(warnings).toEqual([expect.stringMatching(message)]);
      await writer.close();
    });

    it('a tensor that comes later is warned of as well', async () => {
      const { writer } = writerInMemory();
      writer.addImage('x', { shape: [8, 8, 3], data: async () => floats }, 1);
      expect(warnings).toEqual([]);
      await writer.flush();
      expect(warnings.length).toBe(1);
      writer.addImage('y', { data: floats, shape: [8, 8, 3] }, 1);
      expect(warnings.length).toBe(2);
    });

    it.each<[string, (writer: SummaryWriter) => void]>([
      ['bytes', (w) => w.addImage('x', { data: Uint8Array.from(floats), shape: [8, 8, 3] }, 1)],
      ['integers of 0..255', (w) => w.addImage('x', { data: Int32Array.from(floats), shape: [8, 8, 3] }, 1)],
      ['floats of 0..1', (w) => w.addImage('x', { data: floats.map((x) => x / 255), shape: [8, 8, 3] }, 1)],
      ['floats that overshoot by rounding', (w) => w.addImage('x', [[1.0019, -0.0019, 1.001, -1e-9]], 1)],
      ['few pixels that overshoot', (w) => w.addImage('x', [[0.2, 0.4, 0.9, 0.7, 1.2]], 1)],
      ['a black image', (w) => w.addImage('x', { data: new Float32Array(64), shape: [8, 8] }, 1)],
      ['NaN', (w) => w.addImage('x', [[Number.NaN, Number.NaN]], 1)],
      ['booleans', (w) => w.addImage('x', [[true, false]], 1)],
      [
        'a sine',
        (w) =>
          w.addAudio(
            'x',
            noise(4000, (i) => Math.sin(i / 9)),
            1,
          ),
      ],
      [
        'loud sound, of which little is clipped',
        (w) =>
          w.addAudio(
            'x',
            noise(4000, (i) => 1.05 * Math.sin(i / 9)),
            1,
          ),
      ],
      ['PCM of 16 bits', (w) => w.addAudio('x', Int16Array.of(-30_000, 20_000), 1)],
      ['PCM of 8 bits', (w) => w.addAudio('x', Uint8Array.of(3, 200), 1)],
      ['silence', (w) => w.addAudio('x', new Float32Array(50), 1)],
    ])('no warning: %s', (_, call) => {
      call(writerInMemory().writer);
      expect(warnings).toEqual([]);
    });
  });

  it('a step left out is 0, and warned of once, the second time', async () => {
    const { writer, events } = writerInMemory();
    writer.addScalar('loss', 1);
    writer.addScalar('other', 1);
    expect(warnings).toEqual([]);
    writer.addScalar('loss', 2);
    writer.addScalar('loss', 3);
    expect(warnings).toEqual([expect.stringContaining('addScalar "loss"')]);
    expect((await events()).every(({ step }) => Number(step) === 0)).toBe(true);
  });

  it('a tag used for two kinds is warned of once, and each kind has a tag of its own', async () => {
    const { writer, events } = writerInMemory();
    writer.addScalar('x', 1, 1);
    for (const step of [2, 3]) writer.addText('x', 'text', step);
    writer.addHistogram('x/text', [1, 2], 4);
    writer.addScalar('x', 2, 5);
    writer.addText('y', 'text', 6);
    for (const step of [7, 8]) writer.addScalar('y', step, step);
    expect(warnings).toEqual([
      expect.stringMatching(/'x' holds scalars .* as text is written as 'x\/text'/),
      expect.stringMatching(/'x\/text' holds text .* as histograms is written as 'x\/text\/histograms'/),
      expect.stringMatching(/'y' holds text .* as scalars is written as 'y\/scalars'/),
    ]);
    const written = (await events()).flatMap(({ summary }) => summary?.value ?? []);
    expect(written.map(({ tag, metadata }) => [tag, metadata?.pluginData?.pluginName ?? ''])).toEqual([
      ['x', 'scalars'],
      ['x/text', 'text'],
      ['x/text', ''],
      ['x/text/histograms', 'histograms'],
      ['x', ''],
      ['y', 'text'],
      ['y/scalars', 'scalars'],
      ['y/scalars', ''],
    ]);
  });

  describe('a scalar whose step is no int32, beside hyperparameters', () => {
    const wide = 2 ** 31;
    const hparams = (w: SummaryWriter) => w.addHparams({ lr: 1 });
    const loss = (step: number | bigint) => (w: SummaryWriter) => w.addScalar('loss', 1, step);
    it.each<[string, ...((w: SummaryWriter) => void)[]]>([
      ['at a known tag', loss(1), hparams, loss(wide)],
      ['at a new tag', hparams, loss(BigInt(wide))],
      ['before them', loss(wide), hparams],
      ['as a metric', (w) => w.addHparams({ lr: 1 }, { loss: 1 }, { step: wide })],
      ['below zero', hparams, loss(-wide - 1)],
      ['in a run below', hparams, (w) => loss(wide)(w.run('a').run('b'))],
    ])('is warned of once: %s', (_, ...acts) => {
      const { writer } = writerInMemory();
      for (const act of acts) act(writer);
      writer.addScalar('loss', 1, wide + 1);
      expect(warnings.filter((text) => text.includes('no table'))[0]).toMatch(/'loss' is at step -?214748364[89] /);
      expect(warnings.length).toBeLessThanOrEqual(2);
    });

    it('is not warned of if it is one, or there are none', () => {
      const { writer } = writerInMemory();
      writer.addScalar('loss', 1, wide);
      writer.run('a').addHparams({ lr: 1 });
      writer.run('a').addScalar('loss', 1, wide - 1);
      writer.run('a').addScalar('loss', 1, -wide);
      writer.run('a').addHistogram('values', [1], wide);
      expect(warnings).toEqual([]);
    });
  });

  it('half a character in a tag or description becomes U+FFFD, since text that is not UTF-8 stops a loader', async () => {
    const { writer, output } = writerInMemory();
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
});

describe('summaries', () => {
  let folder: string;
  beforeEach(() => {
    folder = temporaryFolder();
  });

  async function summariesIn(source: string | Uint8Array) {
    const found: {
      tag: string;
      plugin: string;
      step: number | bigint;
      value: object | number;
      displayName?: string;
    }[] = [];
    for await (const { step, summary } of readEvents(source)) {
      for (const { tag, plugin, value, displayName } of summary ?? [])
        found.push({ tag, plugin, step, value, displayName });
    }
    return found;
  }

  /** A tensor whose values come later, as those of WebGPU do. */
  const late = (shape: number[], values: number[], dtype = 'float32') => ({
    shape,
    dtype,
    dataSync() {
      throw new Error('WebGPU cannot');
    },
    data: () => new Promise<number[]>((resolve) => setTimeout(() => resolve(values), 20)),
  });

  describe('every addX of SummaryWriter', () => {
    it('reads back as the kind it was written as, with its tag, step and display name', async () => {
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      const options = { displayName: 'shown' };
      const pixels = { data: new Uint8Array(12), shape: [2, 2, 3] };
      const counts = { truePositives: [1, 0], falsePositives: [1, 0], trueNegatives: [0, 1], falseNegatives: [0, 1] };
      writer.addImage('image', pixels, 1, options);
      writer.addImages('images', { data: new Uint8Array(8), shape: [2, 2, 2] }, 2, options);
      writer.addImageWithBoxes('boxes', pixels, [[0, 0, 1, 1]], 3, options);
      writer.addFigure('figure', '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="5"/>', 4, options);
      writer.addVideo('video', { data: new Uint8Array(8), shape: [2, 2, 2] }, 5, options);
      writer.addAudio('audio', [0, 1], 6, options);
      writer.addPrCurve('curve', [1, 0], [0.5, 0.5], 7, options);
      writer.addPrCurveRaw('raw', counts, 8, options);
      writer.addMesh('mesh', [[0, 0, 0]], 9, { ...options, faces: [[0, 0, 0]] });
      writer.addHparams({ lr: 1 });
      writer.addCustomScalars({ categories: [] });
      await writer.close();
      const found = await summariesIn(output.bytes);
      expect(found.map(({ tag, plugin, step, displayName }) => [tag, plugin, step, displayName])).toEqual([
        ['image', 'images', 1, 'shown'],
        ['images', 'images', 2, 'shown'],
        ['boxes', 'images', 3, 'shown'],
        ['figure', 'images', 4, 'shown'],
        ['video', 'images', 5, 'shown'],
        ['audio', 'audio', 6, 'shown'],
        ['curve', 'pr_curves', 7, 'shown'],
        ['raw', 'pr_curves', 8, 'shown'],
        ['mesh_VERTEX', 'mesh', 9, 'shown'],
        ['mesh_FACE', 'mesh', 9, 'shown'],
        ['_hparams_/session_start_info', 'hparams', 0, undefined],
        ['_hparams_/session_end_info', 'hparams', 0, undefined],
        ['custom_scalars__config__', 'custom_scalars', 0, undefined],
      ]);
      expect(found.find(({ tag }) => tag === 'figure')?.value).toMatchObject({ width: 7, height: 5 });
    });

    it('keeps its place while its values are on their way', async () => {
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      writer.addImage('a', late([1, 1], [1]), 0);
      writer.addScalar('b', 1, 0);
      writer.addAudio('c', late([2], [0, 1]), 0);
      writer.addPrCurve('d', late([2], [1, 0]), [0.5, 0.1], 0);
      writer.addMesh('e', late([1, 3], [1, 2, 3]), 0);
      writer.addVideo('f', late([1, 1, 1], [1]), 0);
      writer.addImageWithBoxes('g', late([2, 2], [0, 0, 0, 0]), late([1, 4], [0, 0, 1, 1]), 0);
      writer.addScalar('b', 2, 1);
      await writer.close();
      const tags = (await summariesIn(output.bytes)).map(({ tag }) => tag);
      expect(tags).toEqual(['a', 'b', 'c', 'd', 'e_VERTEX', 'f', 'g', 'b']);
    });

    it('names the call and the tag in every error', () => {
      const writer = new SummaryWriter(new MemoryOutput());
      const calls: [string, () => void][] = [
        ['addImage "x"', () => writer.addImage('x', [[[[1]]]])],
        ['addImages "x"', () => writer.addImages('x', [[1]])],
        ['addImageWithBoxes "x"', () => writer.addImageWithBoxes('x', [[1]], [[1]])],
        ['addFigure "x"', () => writer.addFigure('x', 'no svg')],
        ['addVideo "x"', () => writer.addVideo('x', [[1]])],
        ['addAudio "x"', () => writer.addAudio('x', 1)],
        ['addPrCurve "x"', () => writer.addPrCurve('x', [2], [1])],
        ['addPrCurveRaw "x"', () => writer.addPrCurveRaw('x', {} as never)],
        ['addMesh "x"', () => writer.addMesh('x', [1])],
        ['addEmbedding "x"', () => writer.addEmbedding('x', [1])],
        ['addGraph', () => writer.addGraph({} as never)],
        ['addHparams', () => writer.addHparams({ a: Number.NaN })],
        ['addCustomScalars', () => writer.addCustomScalars(null as never)],
        ['addHparams: metric "m"', () => writer.addHparams({ a: 1 }, { m: '1' as never })],
      ];
      for (const [start, call] of calls) expect(call).toThrow(new RegExp(`^${start}`));
    });

    it('throws ClosedWriterError after close', async () => {
      const writer = new SummaryWriter(new MemoryOutput());
      await writer.close();
      expect(() => writer.addImage('x', [[1]])).toThrow(ClosedWriterError);
      expect(() => writer.addEmbedding('x', [[1]])).toThrow(ClosedWriterError);
      expect(() => writer.addGraph(encodeMessage(tensorboard.GraphDef, { node: [{ name: 'a' }] }))).toThrow(
        ClosedWriterError,
      );
      expect(() => writer.addHparams({ a: 1 })).toThrow(ClosedWriterError);
    });
  });

  describe('addGraph', () => {
    it('writes the graph into an event of its own', async () => {
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      const graph = encodeMessage(tensorboard.GraphDef, { node: [{ name: 'a', op: 'Const' }] });
      writer.addGraph(graph);
      await writer.close();
      const graphs = [];
      for await (const event of readEvents(output.bytes)) if (event.graph) graphs.push(event.graph);
      expect(graphs.map((bytes) => Array.from(bytes))).toEqual([Array.from(graph)]);
    });
  });

  describe('addHparams', () => {
    it("adds metrics at the step of the tag's latest point, so that none before is hidden", async () => {
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      for (let step = 0; step < 3; step++) writer.addScalar('loss', 1, step);
      writer.addHparams({ lr: 0.1 }, { loss: 0.5, fresh: 2 });
      await writer.close();
      const scalars = (await summariesIn(output.bytes)).filter(({ plugin }) => plugin === 'scalars');
      expect(scalars.slice(3).map(({ tag, step, value }) => [tag, step, value])).toEqual([
        ['loss', 2, 0.5],
        ['fresh', 0, 2],
      ]);
    });

    it('counts points that were copied, that a purge kept, and that still come', async () => {
      const lossesOf = async (bytes: Uint8Array) =>
        (await summariesIn(bytes)).filter(({ tag }) => tag === 'loss').map(({ step }) => step);
      const first = new MemoryOutput();
      const source = new SummaryWriter(first);
      for (let step = 0; step < 3; step++) source.addScalar('loss', 1, step);
      await source.close();

      const copy = new MemoryOutput();
      const copier = new SummaryWriter(copy);
      for await (const event of readEvents(first.bytes)) copier.addEvent(event);
      copier.addHparams({ lr: 0.1 }, { loss: 0.5 });
      await copier.close();
      expect(await lossesOf(copy.bytes)).toEqual([0, 1, 2, 2]);

      const crashed = new SummaryWriter(folder);
      for (let step = 0; step < 9; step++) crashed.addScalar('loss', 1, step);
      await crashed.close();
      const resumed = new SummaryWriter(folder, { purgeStep: 5 });
      resumed.addHparams({ lr: 0.1 }, { loss: 0.5 });
      await resumed.close();
      const steps = [];
      for await (const { step, summary } of readEvents(folder)) if (summary?.[0].tag === 'loss') steps.push(step);
      expect(steps.slice(9)).toEqual([4, 4]);

      const waiting = new MemoryOutput();
      const writer = new SummaryWriter(waiting);
      writer.addScalar('loss', late([], [1]), 6);
      writer.addScalar('loss', 1, 7);
      writer.addHparams({ lr: 0.1 }, { loss: 0.5 });
      await writer.flush();
      writer.addScalar('loss', 1, 8);
      await writer.close();
      expect(await lossesOf(waiting.bytes)).toEqual([6, 7, 7, 8]);
    });

    it('adds them at the step that it is given', async () => {
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      writer.addHparams({ lr: 0.1 }, { loss: 0.5 }, { step: 9 });
      await writer.close();
      expect((await summariesIn(output.bytes)).at(-1)).toMatchObject({ tag: 'loss', step: 9 });
    });

    it('ends a session that was running, and refuses what TensorBoard would not show', async () => {
      const writer = new SummaryWriter(new MemoryOutput());
      writer.addHparams({ lr: 0.1 }, {}, { status: 'running' });
      expect(() => writer.addHparams({ lr: 0.2 })).toThrow(RangeError);
      writer.addHparams({ lr: 0.1 });
      expect(() => writer.addHparams({ lr: 0.1 })).toThrow('its session has ended');
      writer.run('other').addHparams({ lr: 0.2 });
    });
  });

  describe('addEmbedding', () => {
    const configOf = (run: string) => readFileSync(join(run, 'projector_config.pbtxt'), 'utf8');

    it('writes its files at once, beside an event file that makes the run exist', async () => {
      const writer = new SummaryWriter(folder);
      writer.addEmbedding('words', [[1, 2]], 3, { metadata: ['a'] });
      expect(readFileSync(join(folder, '00003/words/tensors.tsv'), 'utf8')).toBe('1\t2\n');
      expect(readFileSync(join(folder, '00003/words/metadata.tsv'), 'utf8')).toBe('a\n');
      expect(configOf(folder)).toContain('tensor_path: "00003/words/tensors.tsv"');
      await writer.close();
      const events = [];
      for await (const event of readEvents(folder)) events.push(event);
      expect(events.length).toBe(1);
    });

    it('keeps the embeddings of earlier calls, earlier writers and vectors that come later', async () => {
      const first = new SummaryWriter(folder);
      first.addEmbedding('a', late([1, 2], [5, 6]), 0);
      first.addEmbedding('b', [[1]], 0);
      await first.close();
      const second = new SummaryWriter(folder);
      second.addEmbedding('c', [[1]], 0);
      await second.close();
      expect([...configOf(folder).matchAll(/tensor_name: "(.*)"/g)].map(([, name]) => name).sort()).toEqual([
        'a:00000',
        'b:00000',
        'c:00000',
      ]);
      expect(readFileSync(join(folder, '00000/a/tensors.tsv'), 'utf8')).toBe('5\t6\n');
    });

    it('refuses an Output that takes no files', () => {
      const output: Output = { write() {}, flush: async () => {}, close: async () => {} };
      expect(() => new SummaryWriter(output).addEmbedding('a', [[1]], 0)).toThrow(
        'addEmbedding "a": this Output takes no companion files',
      );
    });
  });

  describe('a figure that cannot be drawn', () => {
    catchWarnings();

    it('rejects flush and loses nothing else', async () => {
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      writer.addFigure('f', '<svg><g></svg>', 0);
      writer.addScalar('s', 1, 0);
      await expect(writer.flush()).rejects.toThrow('addFigure "f": the SVG could not be drawn');
      await writer.close().catch(() => {});
      expect((await summariesIn(output.bytes)).map(({ tag }) => tag)).toEqual(['s']);
    });
  });
});

describe('addHparams of one run', () => {
  it('lets a running session end, in whichever order its hyperparameters are given', () => {
    const writer = new SummaryWriter(new MemoryOutput());
    writer.addHparams({ a: 1, b: true }, {}, { status: 'running' });
    writer.addHparams({ b: true, a: 1 }, {}, { status: 'failure' });
    expect(() => writer.addHparams({ a: 1, b: true }, {}, { status: 'success' })).toThrow('its session has ended');
  });

  it('refuses other hyperparameters, which TensorBoard would never show, and says what to do', () => {
    const writer = new SummaryWriter(new MemoryOutput());
    writer.addHparams({ lr: 1 });
    expect(() => writer.addHparams({ lr: 2 })).toThrow(RangeError);
    expect(() => writer.addHparams({ lr: 2 })).toThrow("writer.run('name')");
    expect(() => new SummaryWriter(new MemoryOutput()).addHparams({ lr: 2 })).not.toThrow();
  });

  it('is shared by all writers of one Output', async () => {
    const output = new MemoryOutput();
    const [first, second] = [new SummaryWriter(output), new SummaryWriter(output)];
    first.addHparams({ lr: 1 }, {}, { status: 'running' });
    expect(() => second.addHparams({ lr: 2 })).toThrow(RangeError);
    second.addHparams({ lr: 1 });
    expect(() => first.addHparams({ lr: 1 })).toThrow('its session has ended');
    await Promise.all([first.close(), second.close()]);
  });
});

describe("a run's projector configuration", () => {
  const entry = (name: string) => ({ tensorName: name, config: `embeddings {\n  tensor_name: "${name}"\n}\n` });
  const configOf = (output: MemoryOutput) => new TextDecoder().decode(output.files.get('projector_config.pbtxt'));
  const policy = { maxQueue: 100, flushMillis: 1000, maxBufferedBytes: 1000, maxUnwrittenBytes: 1000 };

  it('holds all embeddings of a run, in whichever order they come', async () => {
    const output = new MemoryOutput();
    const run = new Run(output, policy);
    run.addEmbedding({ files: [], entry: Promise.resolve(entry('late')) });
    run.addEmbedding({ files: [], entry: entry('early') });
    expect(configOf(output)).toBe(entry('early').config);
    await run.flush();
    expect(configOf(output)).toBe(entry('early').config + entry('late').config);
  });

  it('continues the configuration that an earlier program left in the folder', async () => {
    const output = new MemoryOutput();
    await output.file('projector_config.pbtxt', new TextEncoder().encode(entry('before').config));
    new Run(output, policy).addEmbedding({ files: [], entry: entry('now') });
    expect(configOf(output)).toBe(entry('before').config + entry('now').config);
  });

  it('remembers what it wrote if the Output cannot be read', () => {
    const written: string[] = [];
    const output: Output = {
      write() {},
      flush: async () => {},
      close: async () => {},
      file: async (_, bytes) => void written.push(new TextDecoder().decode(bytes)),
    };
    const run = new Run(output, policy);
    run.addEmbedding({ files: [], entry: entry('a') });
    run.addEmbedding({ files: [], entry: entry('b') });
    expect(written.at(-1)).toBe(entry('a').config + entry('b').config);
  });
});
