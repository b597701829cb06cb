import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryOutput, SummaryWriter } from '../../src/index.js';
import { writerInMemory } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { catchWarnings } from '../support/warnings.js';

catchWarnings();
/** An image of two pixels, three times. */
const gray = { data: new Uint8Array(6), shape: [3, 1, 2] };
afterEach(() => {
  vi.useRealTimers();
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
    ['no Date as wall time', (w) => w.addScalar('a', 1, 1, { wallTime: new Date('x') }), RangeError, /invalid Date/],
    [
      'milliseconds as wall time',
      (w) => w.addScalar('a', 1, 1, { wallTime: Date.now() }),
      RangeError,
      /addScalar "a": expected wallTime in seconds.*looks like milliseconds: divide it by 1000, or give a Date/,
    ],
    ['microseconds as wall time', (w) => w.addText('a', 'b', 1, { wallTime: 1e15 }), RangeError, /in seconds/],
    ['a bigint as wall time', (w) => w.addText('a', 'b', 1, { wallTime: 1n as never }), TypeError, /bigint 1/],
    [
      'a date as text as wall time',
      (w) => w.addText('a', 'b', 1, { wallTime: '2026' as never }),
      TypeError,
      /or a Date/,
    ],
    ['a number as description', (w) => w.addText('a', 'b', 1, { description: 5 as never }), TypeError, /description/],
    ['no buckets', (w) => w.addHistogram('a', [1], 1, { buckets: 0 }), RangeError, /buckets/],
    ['half a bucket', (w) => w.addHistogramRaw('a', [1, 2], 1), RangeError, /k x 3/],
    ['no buckets that were counted', (w) => w.addHistogramRaw('a', undefined as never, 1), TypeError, /k x 3/],
    [
      'buckets of two numbers',
      (w) =>
        w.addHistogramRaw(
          'a',
          [
            [0, 1, 2],
            [1, 2],
          ],
          1,
        ),
      RangeError,
      /bucket 1: .* count, got/,
    ],
    ['no counts of a curve', (w) => w.addPrCurveRaw('a', undefined as never, 1), TypeError, /truePositives/],
    [
      'some counts of a curve',
      (w) => w.addPrCurveRaw('a', { truePositives: [1, 1] } as never, 1),
      RangeError,
      /falsePositives/,
    ],
    ['a curve of fewer labels', (w) => w.addPrCurve('a', [1], [0.5, 0.5], 1), RangeError, /addPrCurve "a"/],
    ['an object as a cell', (w) => w.addText('a', [['b', {} as never]], 1), TypeError, /every cell/],
    ['the last of some scalars', (w) => w.addScalars('a', { b: 1, c: 'x' as never }, 1), TypeError, /"c"/],
    [
      'too few labels of boxes',
      (w) => w.addImageWithBoxes('a', gray, [[0, 0, 1, 1]], 1, { labels: [] }),
      RangeError,
      /labels/,
    ],
    ['no layout of images', (w) => w.addImages('a', gray, 1, { layout: 'XYZ' as never }), RangeError, /layout/],
    ['no rate of a video', (w) => w.addVideo('a', gray, 1, { fps: 0 }), RangeError, /fps/],
    ['no rate of a sound', (w) => w.addAudio('a', [0, 1], 1, { sampleRate: -1 }), RangeError, /sampleRate/],
    [
      'faces without vertices',
      (w) => w.addMesh('a', [[[0, 0, 0]]], 1, { faces: [[[0, 1, 2]]] }),
      RangeError,
      /faces|face/,
    ],
    ['an empty name of a plugin', (w) => w.addTensor('a', [1], 1, { plugin: '' }), TypeError, /plugin/],
    ['a metric of hparams', (w) => w.addHparams({ lr: 1 }, { loss: 'x' as never }), TypeError, /loss/],
    [
      'a status of hparams',
      (w) => w.addHparams({ lr: 1 }, { loss: 1 }, { status: 'odd' as never }),
      TypeError,
      /status/,
    ],
    ['a layout without charts', (w) => w.addCustomScalars({ a: { b: 5 as never } }), TypeError, /addCustomScalars/],
    ['a number as a model', (w) => w.addGraph(5 as never), TypeError, /addGraph/],
    ['a page as a figure', (w) => w.addFigure('a', '<html/>', 1), TypeError, /SVG/],
    ['a number as text', (w) => w.addText('a', 5 as never, 1), TypeError, /string/],
    ['null as scalars', (w) => w.addScalars('a', null as never, 1), TypeError, /object/],
    ['a run without a name', (w) => w.run(''), RangeError, /name/],
    ['a run called by a number', (w) => w.run(5 as never), TypeError, /string/],
    ['nothing as event', (w) => w.addEvent(undefined as never), TypeError, /addEvent/],
  ];
  it.each(bad)('%s', async (_, call, type, message) => {
    const { writer, events, output } = writerInMemory();
    expect(() => call(writer)).toThrow(type);
    expect(() => call(writer)).toThrow(message);
    expect((await events()).filter(({ summary }) => summary)).toEqual([]);
    expect(output.runs.size).toBe(0);
  });

  const typo = { displayname: 'x' } as object;
  const mistyped: Record<string, (writer: SummaryWriter) => void> = {
    addScalar: (w) => w.addScalar('a', 1, 1, typo),
    addScalars: (w) => w.addScalars('a', { b: 1 }, 1, typo),
    addHistogram: (w) => w.addHistogram('a', [1], 1, typo),
    addHistogramRaw: (w) => w.addHistogramRaw('a', [0, 1, 2], 1, typo),
    addText: (w) => w.addText('a', 'b', 1, typo),
    addImage: (w) => w.addImage('a', [[1]], 1, typo),
    addImages: (w) => w.addImages('a', gray, 1, typo),
    addImageWithBoxes: (w) => w.addImageWithBoxes('a', [[1]], [], 1, typo),
    addFigure: (w) => w.addFigure('a', '<svg/>', 1, typo),
    addVideo: (w) => w.addVideo('a', gray, 1, typo),
    addAudio: (w) => w.addAudio('a', [0], 1, typo),
    addPrCurve: (w) => w.addPrCurve('a', [1], [1], 1, typo),
    addTensor: (w) => w.addTensor('a', [1], 1, typo),
    addMesh: (w) => w.addMesh('a', [[[0, 0, 0]]], 1, typo),
  };
  it.each(Object.entries(mistyped))('%s: an option in other letters', async (name, call) => {
    const { writer, events, output } = writerInMemory();
    expect(() => call(writer)).toThrow(TypeError);
    expect(() => call(writer)).toThrow(
      `${name} "a": expected known options, got 'displayname'; did you mean 'displayName'?`,
    );
    expect((await events()).filter(({ summary }) => summary)).toEqual([]);
    expect(output.runs.size).toBe(0);
  });

  it('options of embeddings and hyperparameters in other letters', () => {
    const writer = new SummaryWriter(temporaryFolder());
    expect(() => writer.addEmbedding('a', [[1]], 1, { metaData: ['x'] } as object)).toThrow(/did you mean 'metadata'/);
    expect(() => writer.addHparams({ lr: 1 }, {}, { Status: 'success' } as object)).toThrow(/did you mean 'status'/);
  });

  it.each([
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

  it.each(['', null, 5, {}])('the logdir %j', (logdir) => {
    expect(() => new SummaryWriter(logdir as never)).toThrow(TypeError);
  });

  it('a logdir that is a file', () => {
    const path = join(temporaryFolder(), 'file');
    writeFileSync(path, 'mine');
    expect(() => new SummaryWriter(path)).toThrow(path);
    expect(() => new SummaryWriter(join(path, 'below'))).toThrow(/ENOTDIR/);
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });
});

it('no tag and no run name makes a file outside the logdir', async () => {
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
