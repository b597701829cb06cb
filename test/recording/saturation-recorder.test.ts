import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { rolldown } from 'rolldown';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Activations, MemoryOutput, SaturationRecorder, SummaryWriter } from '../../src/index.js';
import type { RecorderOptions } from '../../src/recording/options.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { SaturationTracker } from '../../src/tfjs.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';
import { gaussianRows, normals, relativeDistance, twoPassCovariance } from '../support/random.js';
import { eventsOf } from '../support/read-run.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** A recorder that saves to a store in memory. */
function recorder(options: RecorderOptions = {}): { recorder: SaturationRecorder; store: RecordingStore } {
  const store = new RecordingStore();
  return { recorder: new SaturationRecorder('unused', { saveTo: store, ...options }), store };
}

/** The eigenvalues of what one call of observe adds. */
async function eigenvaluesOf(
  activations: Activations,
  observing: Parameters<SaturationRecorder['observe']>[3] = {},
  options: RecorderOptions = {},
): Promise<Float64Array> {
  const made = recorder(options);
  await made.recorder.observe('x', activations, 'train', observing);
  await made.recorder.addSaturations();
  await made.recorder.close();
  return made.store.epochs[0].layers[0].spectrum?.eigenvalues as Float64Array;
}

/** Every event of a folder of runs, by file, without what a clock says. */
async function contentOf(logdir: string): Promise<Record<string, unknown>> {
  const content: Record<string, unknown> = {};
  for (const run of ['train', 'val', '.']) {
    for (const file of readdirSync(join(logdir, run)).filter((name) => name.includes('tfevents'))) {
      const events = await eventsOf(join(logdir, run, file));
      content[run] = events.map(({ wallTime, summary, ...rest }) => ({
        ...rest,
        summary: summary?.map(({ raw, ...each }) => each),
      }));
    }
  }
  return content;
}

describe('a recorder writes what a tracker writes', () => {
  it.each<[string, RecorderOptions]>([
    ['by default', {}],
    [
      'with every statistic',
      {
        stats: [
          'saturation',
          'intrinsicDimensionality',
          'trace',
          'determinant',
          'covariance',
          'spectrum',
          'saturationCorrected',
        ],
        averageSaturation: true,
        profileHistogram: true,
      },
    ],
    [
      'with other samples',
      {
        convMethod: 'mean',
        timeseriesMethod: 'lastTimestep',
        rule: 'delve',
        threshold: 0.9,
        logInterval: 2,
        maxSamples: 70,
      },
    ],
    ['of few rows', { sampling: 'auto', downsample: { size: 3, method: 'bilinear' } }],
  ])('%s', async (_name, options) => {
    const folders = [temporaryFolder(), temporaryFolder()];
    const byTracker = new SaturationTracker(folders[0], [tf.layers.dense({ units: 3, inputShape: [2] })], options);
    const byRecorder = new SaturationRecorder(folders[1], options);
    for (let epoch = 0; epoch < 3; epoch++) {
      for (let batch = 0; batch < 4; batch++) {
        for (const split of ['train', 'val'] as const) {
          const seed = 100 * epoch + 10 * batch + (split === 'val' ? 1 : 0);
          for (const [name, shape] of [
            ['dense', [40, 12]],
            ['map', [20, 5, 5, 6]],
            ['sequence', [30, 7, 4]],
          ] as const) {
            const data = normals(
              shape.reduce((a: number, b) => a * b, 1),
              seed,
            );
            const tensor = tf.tensor(data, [...shape]);
            byTracker.observe(name, tensor, split);
            tensor.dispose();
            byRecorder.observe(name, { data, shape }, split);
          }
        }
      }
      for (const each of [byTracker, byRecorder]) {
        each.addScalar('mine', epoch);
        await each.addSaturations();
      }
    }
    expect(byRecorder.toBytes()).toEqual(byTracker.toBytes());
    await byTracker.close();
    await byRecorder.close();
    const [expected, found] = [await contentOf(folders[0]), await contentOf(folders[1])];
    expect(Object.keys(found)).toEqual(['train', 'val', '.']);
    expect((found.train as unknown[]).length).toBeGreaterThan(20);
    expect(found).toEqual(expected);
  });
});

describe('observe takes the activations of any runtime', () => {
  const shape = [50, 4];
  const values = Float32Array.from(gaussianRows(50, [9, 4, 1, 0.25], 7, 1), Math.fround);
  const covariance = twoPassCovariance(values, 4);
  const expected = Spectrum.of(covariance).eigenvalues;
  const later = <T>(value: T) => new Promise<T>((resolve) => setTimeout(() => resolve(value), 5));
  const halfOf = (value: number) => Math.round(value * 64) / 64;
  /** The bits of a half of at most 11 significant bits. */
  const halfBits = (value: number): number => {
    if (value === 0) return 0;
    const exponent = Math.floor(Math.log2(Math.abs(value)));
    return (
      (value < 0 ? 0x8000 : 0) + ((exponent + 15) << 10) + Math.round((Math.abs(value) / 2 ** exponent - 1) * 1024)
    );
  };

  it.each<[string, Activations, number]>([
    ['a typed array with a shape', { data: values, shape }, 1e-14],
    ['float64', { data: Float64Array.from(values), shape }, 1e-14],
    ['numbers with a shape', { data: [...values], shape }, 1e-14],
    ['nested arrays', Array.from({ length: 50 }, (_, i) => [...values.slice(4 * i, 4 * i + 4)]), 1e-14],
    ['rows of typed arrays', Array.from({ length: 50 }, (_, i) => values.slice(4 * i, 4 * i + 4)), 1e-14],
    ['a tensor of TensorFlow.js', tf.tensor2d(values, [50, 4]), 1e-14],
    ['a tensor that is read later', { shape, dtype: 'float32', data: () => later(values) }, 1e-14],
    ['a tensor of onnxruntime', { dims: shape, type: 'float32', data: values }, 1e-14],
    [
      'a tensor of onnxruntime on a GPU',
      {
        dims: shape,
        type: 'float32',
        get data(): unknown {
          throw new Error('The data is not on CPU. Use `getData()` to download GPU data to CPU');
        },
        getData: () => later(values),
      },
      1e-14,
    ],
    [
      'bfloat16',
      {
        dims: shape,
        type: 'bfloat16',
        data: Uint16Array.from(new Uint32Array(values.buffer), (bits) => (bits + 0x8000) >>> 16),
      },
      0.02,
    ],
  ])('%s', async (_name, activations, within) => {
    expect(relativeDistance(await eigenvaluesOf(activations), expected)).toBeLessThan(within);
  });

  it.each<[string, Activations, number[]]>([
    [
      'float16',
      { dims: shape, type: 'float16', data: Uint16Array.from(values, (value) => halfBits(halfOf(value))) },
      [...values].map(halfOf),
    ],
    [
      'int64',
      { dims: shape, type: 'int64', data: BigInt64Array.from(values, (value) => BigInt(Math.round(1e12 * value))) },
      [...values].map((value) => Math.round(1e12 * value)),
    ],
    [
      'int8',
      { data: Int8Array.from(values, (value) => 10 * value), shape },
      [...Int8Array.from(values, (value) => 10 * value)],
    ],
    [
      '16-bit integers',
      { data: Uint16Array.from(values, (value) => 1000 + 100 * value), shape },
      [...Uint16Array.from(values, (value) => 1000 + 100 * value)],
    ],
    [
      'bool',
      { dims: shape, type: 'bool', data: Uint8Array.from(values, (value) => Number(value > 1)) },
      [...values].map((value) => Number(value > 1)),
    ],
  ])('%s, whose values are what they stand for', async (_name, activations, meant) => {
    const exact = Spectrum.of(twoPassCovariance(meant, 4)).eigenvalues;
    expect(relativeDistance(await eigenvaluesOf(activations), exact)).toBeLessThan(1e-12);
  });

  it.each<[string, unknown, RegExp]>([
    ['complex numbers', { dims: shape, type: 'complex64', data: values }, /observe 'x': .*dtype complex64/],
    ['strings', { dims: [2], type: 'string', data: ['a', 'b'] }, /observe 'x': .*dtype string/],
    [
      'packed integers',
      { dims: shape, type: 'int4', data: new Uint8Array(100) },
      /observe 'x': .*int4, which packs two/,
    ],
    ['an array without a shape', values, /observe 'x': expected activations with a shape, such as \{ data, shape/],
    ['a row without a batch', [1, 2, 3], /observe 'x': expected activations with a shape/],
    ['a number', 5, /observe 'x': expected activations with a shape/],
    ['nothing', undefined, /observe 'x': .*got undefined/],
    ['too few values', { data: values, shape: [50, 5] }, /observe 'x': expected 250 values .*got 200/],
    ['ragged rows', [[1, 2], [3]], /observe 'x': expected every row on axis 0 to hold 2/],
    ['a scalar', { data: [1], shape: [] }, /observe 'x': expected activations of one dimension at least/],
    [
      'a disposed tensor',
      (() => {
        const t = tf.tensor2d([[1]]);
        t.dispose();
        return t;
      })(),
      /observe 'x': expected a tensor that is not disposed/,
    ],
  ])('%s are refused by name', async (_name, activations, message) => {
    const { recorder: made } = recorder();
    expect(() => made.observe('x', activations as Activations, 'train')).toThrow(message);
    await made.close();
  });

  it.each<[string, unknown[], RegExp]>([
    ['a name', ['', [[1]], 'train'], /name: expected a non-empty string/],
    ['a split', ['x', [[1]], 'test'], /split: expected 'train' or 'val', got .*test/],
    ['an option', ['x', [[1]], 'train', { maks: [1] }], /observe 'x': .*got 'maks'; did you mean 'mask'/],
    [
      'a layout',
      ['x', [[1]], 'train', { layout: 'NCHW' }],
      /layout: expected 'channelsLast' or 'channelsFirst', got .*NCHW/,
    ],
    ['a kind', ['x', [[1]], 'train', { kind: 'image' }], /kind: expected 'map' or 'sequence', got .*image/],
    ['a mask of a matrix', ['x', [[1]], 'train', { mask: [1] }], /mask: expected a sequence N x T x C/],
    ['a short mask', ['x', [[[1], [2]]], 'train', { mask: [1] }], /mask: expected 1 x 2 values, got 1/],
    [
      'a sequence of another layout',
      ['x', [[[1], [2]]], 'train', { kind: 'sequence', layout: 'channelsFirst' }],
      /expected a sequence as N x T x C/,
    ],
  ])('%s that is wrong is named', (_name, args, message) => {
    const { recorder: made } = recorder();
    expect(() => made.observe(...(args as Parameters<typeof made.observe>))).toThrow(message);
  });
});

describe('layouts', () => {
  const [items, channels, height, width] = [6, 5, 7, 4];
  const first = normals(items * channels * height * width, 3);
  const last = new Float32Array(first.length);
  for (let n = 0; n < items; n++) {
    for (let c = 0; c < channels; c++) {
      for (let at = 0; at < height * width; at++) {
        last[(n * height * width + at) * channels + c] = first[(n * channels + c) * height * width + at];
      }
    }
  }

  it.each<[string, RecorderOptions]>([
    ['by places', {}],
    ['by means', { convMethod: 'mean' }],
    ['by maxima', { convMethod: 'max' }],
    ['by medians', { convMethod: 'median' }],
    ['whole', { convMethod: 'flatten' }],
    ['smaller', { downsample: { size: 2, method: 'bilinear' } }],
    ['means of smaller ones', { convMethod: 'mean', downsample: { size: 3 } }],
    ['of some items', { maxSamples: 3, convMethod: 'max' }],
  ])('channels first show what channels last show, %s', async (_name, options) => {
    const a = await eigenvaluesOf(
      { data: first, shape: [items, channels, height, width] },
      { layout: 'channelsFirst' },
      options,
    );
    const b = await eigenvaluesOf({ data: last, shape: [items, height, width, channels] }, {}, options);
    expect(a).toEqual(b);
    expect(a[0]).toBeGreaterThan(0);
  });

  it('a map with one dimension of space has rank 3', async () => {
    const shape = [items, channels, height * width];
    const a = await eigenvaluesOf({ data: first, shape }, { layout: 'channelsFirst' });
    const b = await eigenvaluesOf({ data: last, shape: [items, height * width, channels] }, { kind: 'map' });
    expect(a).toEqual(b);
  });

  it('a mask leaves padding out', async () => {
    const data = normals(3 * 4 * 2, 1);
    const mask = BigInt64Array.of(1n, 1n, 0n, 0n, 1n, 1n, 1n, 1n, 1n, 0n, 0n, 0n);
    const kept = [0, 1, 4, 5, 6, 7, 8].flatMap((row) => [...data.slice(2 * row, 2 * row + 2)]);
    const found = await eigenvaluesOf({ data, shape: [3, 4, 2] }, { mask });
    expect(relativeDistance(found, Spectrum.of(twoPassCovariance(kept, 2)).eigenvalues)).toBeLessThan(1e-14);
  });
});

describe('a recorder in a training', () => {
  const row = (value: number): number[][] => [
    [value, 2 * value],
    [1, value],
    [0, 3],
  ];

  it('counts activations that arrive later with the epoch in which they were observed', async () => {
    const { recorder: made, store } = recorder();
    let arrive: (values: Float32Array) => void = () => {};
    const slow = { shape: [3, 2], data: () => new Promise<Float32Array>((resolve) => (arrive = resolve)) };
    const read = made.observe('x', slow, 'train');
    const first = made.addSaturations();
    made.observe('x', row(5), 'train');
    arrive(Float32Array.from(row(1).flat()));
    await read;
    await first;
    await made.addSaturations();
    await made.close();
    const [a, b] = store.epochs.map(({ layers }) => layers[0].spectrum?.eigenvalues as Float64Array);
    expect(relativeDistance(a, Spectrum.of(twoPassCovariance(row(1).flat(), 2)).eigenvalues)).toBeLessThan(1e-14);
    expect(relativeDistance(b, Spectrum.of(twoPassCovariance(row(5).flat(), 2)).eigenvalues)).toBeLessThan(1e-14);
  });

  it('observe after close records nothing, and says so', async () => {
    const { recorder: made, store } = recorder();
    made.observe('x', [[1, 2], [3, 5]], 'train'); // biome-ignore format: a matrix
    await made.addSaturations();
    await made.close();
    made.observe('x', [[1, 2]], 'train');
    const told = warnings.filter((text) => text.includes('expected an open recorder'));
    expect(told).toEqual([
      expect.stringContaining("observe 'x': expected an open recorder, got one after its close()"),
    ]);
    expect(store.epochs).toHaveLength(1);
  });

  it('a layer that cannot be read ends nothing: close says it', async () => {
    const { recorder: made, store } = recorder();
    const lost = { shape: [3, 2], data: () => Promise.reject(new Error('device lost')) };
    await made.observe('gone', lost, 'train');
    made.observe('x', row(5), 'train');
    await made.addSaturations();
    expect(store.epochs[0].layers.map(({ layer }) => layer)).toEqual(['x']);
    await expect(made.close()).rejects.toThrow(/layer 'gone': .*device lost/);
    expect(warnings.filter((text) => text.includes('device lost'))).toHaveLength(1);
  });

  it('values of a device are read only if they count', async () => {
    const { recorder: made } = recorder({ logInterval: 3 });
    let reads = 0;
    const tensor = { shape: [3, 2], data: () => Promise.resolve(Float32Array.from([++reads, 1, 2, 3, 4, 5])) };
    for (let batch = 0; batch < 7; batch++) await made.observe('x', tensor, 'train');
    expect(reads).toBe(3);
    made.stop();
    await made.observe('x', tensor, 'train');
    expect([reads, made.isRecording]).toEqual([3, false]);
    made.resume();
    await made.observe('x', tensor, 'val');
    expect(reads).toBe(4);
    await made.addSaturations();
    await made.close();
  });

  it('goes on in another process', async () => {
    const rows = normals(200 * 8, 5);
    const { recorder: whole, store: expected } = recorder();
    whole.observe('x', { data: rows, shape: [200, 8] }, 'train');
    await whole.addSaturations();
    const { recorder: before } = recorder();
    before.observe('x', { data: rows.subarray(0, 800), shape: [100, 8] }, 'train');
    const { recorder: after, store } = recorder();
    after.restore(before.toBytes());
    expect(after.layerNames).toEqual(['x']);
    after.observe('x', { data: rows.subarray(800), shape: [100, 8] }, 'train');
    await after.addSaturations();
    expect(store.epochs[0].layers[0].samples).toBe(200);
    const [a, b] = [store, expected].map(({ epochs }) => epochs[0].layers[0].spectrum?.eigenvalues as Float64Array);
    expect(relativeDistance(a, b)).toBeLessThan(1e-14);
    await Promise.all([whole, after].map((each) => each.close()));
  });

  it('measures layers that are too wide for a covariance within bounds, of some rows of each batch', async () => {
    const features = 4200;
    const directions = normals(20 * features, 1);
    const rowsOf = (seed: number) => {
      const amounts = normals(400 * 20, seed);
      return Float32Array.from({ length: 400 * features }, (_, at) => {
        const [row, column] = [Math.floor(at / features), at % features];
        let sum = 0;
        for (let k = 0; k < 20; k++) sum += (amounts[row * 20 + k] * directions[k * features + column]) / (k + 1);
        return sum;
      });
    };
    const { recorder: made, store } = recorder({
      stats: [
        'spectrum',
        'covariance',
        'drift',
        'stableRank',
        'effectiveRank',
        'deadUnits',
        'twoNN',
        'embedding',
        'participationRatio',
      ],
    });
    for (let epoch = 0; epoch < 2; epoch++) {
      made.observe('wide', { data: rowsOf(2 + epoch), shape: [400, features] }, 'train');
      made.observe('narrow', row(epoch), 'train');
      await made.addSaturations();
    }
    await made.close();
    const [first, second] = store.epochs.map(({ layers }) => layers.find(({ layer }) => layer === 'wide')!);
    // 1.25 million numbers of a batch.
    expect([first.samples, second.samples]).toEqual([297, 297]);
    for (const { bounds, saturation, intrinsicDimensionality, strategy, covariance, spectrum } of [first, second]) {
      expect(strategy).toMatch(/^sketch of 128 directions/);
      expect(intrinsicDimensionality).toBeGreaterThan(9);
      expect(intrinsicDimensionality).toBeLessThanOrEqual(20);
      expect(bounds).toEqual({ low: saturation, high: saturation });
      expect(covariance).toBeUndefined();
      expect(spectrum?.isSketch).toBe(true);
    }
    expect(store.epochs[0].layers.find(({ layer }) => layer === 'narrow')).not.toHaveProperty('bounds');
  });

  it('says what is missing', async () => {
    const { recorder: made } = recorder({ maxWidth: 10, wideLayers: 'leaveOut' });
    await made.addSaturations();
    made.observe('wide', { data: new Float32Array(40), shape: [2, 20] }, 'train');
    made.observe('x', row(1), 'train');
    await made.close();
    const said = warnings.join('\n');
    expect(said).toContain('addSaturations: expected activations, got none: call observe() before');
    expect(said).toMatch(/more than maxWidth = 10 features are left out: 'wide' \(20 features\)/);
    expect(said).toContain('close: expected addSaturations() first, got rows that are in no epoch yet');
    expect(() => made.addScalar('a', 1)).toThrow(/addScalar "a"/);
    await expect(made.addSaturations()).rejects.toThrow(/addSaturations/);
    expect(() => made.addStore({} as never)).toThrow(/addStore: expected an object with a method add/);
  });

  it('an abort ends the recording', async () => {
    const abort = new AbortController();
    const { recorder: made, store } = recorder({ signal: abort.signal });
    made.observe('x', row(1), 'train');
    abort.abort();
    made.observe('x', row(100), 'train');
    expect(made.isRecording).toBe(false);
    await made.addSaturations();
    expect(store.epochs[0].layers[0].samples).toBe(3);
    await made.close();
  });

  it('writes into a writer that stays open', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const made = new SaturationRecorder(writer);
    made.observe('x', row(1), 'train');
    await made.addSaturations();
    await made.close();
    writer.addScalar('mine', 1, 1);
    await writer.close();
    expect([...output.runs.keys()]).toEqual(['train']);
  });

  it.each<[string, unknown, unknown, RegExp]>([
    ['no logdir', undefined, {}, /SaturationRecorder\(logdir\): expected a folder or a SummaryWriter/],
    ['an empty one', '', {}, /logdir: expected a non-empty string/],
    ['an option of a tracker', 'x', { layers: ['a'] }, /SaturationRecorder: expected known options, got 'layers'/],
    ['a number', 5, {}, /expected a folder or a SummaryWriter as logdir, got number 5/],
    [
      'an Output',
      new MemoryOutput(),
      {},
      /SummaryWriter as logdir, got an object .*: pass new SummaryWriter\(output\)$/,
    ],
  ])('%s is refused', (_name, logdir, options, message) => {
    expect(() => new SaturationRecorder(logdir as string, options as RecorderOptions)).toThrow(message);
  });

  it('rows that no epoch has are told at exit', async () => {
    const programs = new Programs();
    onTestFinished(() => programs.remove());
    const ending = await programs.run(
      `import { SaturationRecorder } from './src/index.js';
      const recorder = new SaturationRecorder(process.argv[2]);
      recorder.observe('x', [[1, 2], [3, 5]], 'train');
      recorder.addSaturations();
      recorder.observe('x', [[1, 2], [3, 5]], 'train');
      process.exit();`,
      [temporaryFolder()],
    );
    expect(ending.stderr).toContain('At exit the rows that were recorded for epoch 2 are in no file');
  });
});

it('a bundle with the recorder has nothing of TensorFlow.js in it', async () => {
  const bundle = await rolldown({
    input: new URL('../../src/recording/saturation-recorder.ts', import.meta.url).pathname,
    platform: 'browser',
    logLevel: 'silent',
    resolve: { alias: { '#platform': new URL('../../src/platform/browser.ts', import.meta.url).pathname } },
  });
  const { output } = await bundle.generate({ format: 'esm' });
  await bundle.close();
  const modules = output.flatMap((chunk) => (chunk.type === 'chunk' ? [...chunk.moduleIds, ...chunk.imports] : []));
  expect(modules.length).toBeGreaterThan(50);
  expect(modules.filter((id) => id.includes('@tensorflow'))).toEqual([]);
});
