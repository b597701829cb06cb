import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryOutput, SaturationRecorder, SaturationWriter, Spectrum, SummaryWriter } from '../../src/index.js';
import { adviceMarkdown, adviseOn, noFindingText } from '../../src/insight/advice.js';
import { readHistories } from '../../src/reports.js';
import type { EpochStatistics } from '../../src/saturation/epoch.js';
import { RunHistory } from '../../src/saturation/run-history.js';
import { epochAt, marksAt } from '../../src/view/judgment.js';
import { packRuns, unpackRuns } from '../../src/view/packed-runs.js';
import {
  dimensionsAt,
  indexAt,
  type LayerData,
  outlineOf,
  pointAt,
  type RunData,
  runsOfHistory,
  type SpectrumPoint,
  stepsOf,
} from '../../src/view/run-data.js';
import { areAlike, mergedLayers } from '../../src/view/scene.js';
import { LiveSource } from '../../src/view/sources.js';
import { estimateAt, estimateNow, estimateWanted, statsOf, valueAt, wantNothing } from '../../src/view/values.js';
import { epochOf, layer } from '../support/epochs.js';
import { temporaryFolder } from '../support/folders.js';
import { normal, uniform } from '../support/random.js';

function point(eigenvalues: ArrayLike<number>, over: Partial<SpectrumPoint> = {}): SpectrumPoint {
  const values = Float64Array.from(eigenvalues);
  const trace = values.reduce((sum, value) => sum + value, 0);
  return {
    step: 1,
    samples: 100,
    rejected: 0,
    eigenvalues: values,
    features: values.length,
    trace,
    isEstimated: false,
    ...over,
  };
}

it('counts directions as Spectrum does, for any spectrum, threshold and rule', () => {
  const spectra = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 });
  const thresholds = fc.double({ min: 1e-6, max: 0.9999, noNaN: true });
  fc.assert(
    fc.property(spectra, thresholds, fc.constantFrom('paper' as const, 'delve' as const), (values, threshold, rule) => {
      const spectrum = Spectrum.fromEigenvalues(values);
      const counted = dimensionsAt(point(spectrum.eigenvalues), threshold, rule);
      expect(counted).toBe(spectrum.intrinsicDimensionality(threshold, rule));
    }),
  );
});

it('counts at most the stored directions and one more where only the leading eigenvalues are stored', () => {
  const part = point([4, 3], { features: 10, trace: 10 });
  expect(dimensionsAt(part, 0.4, 'paper')).toBe(1);
  expect(dimensionsAt(part, 0.7, 'paper')).toBe(2);
  expect(dimensionsAt(part, 0.99, 'paper')).toBe(3);
});

it('finds the last value at or before a step', () => {
  const next = uniform(3);
  const steps = [...new Set(Array.from({ length: 50 }, () => Math.floor(next() * 200)))].sort((a, b) => a - b);
  for (let step = -1; step < 210; step++) {
    expect(indexAt(steps, step)).toBe(steps.filter((one) => one <= step).length - 1);
    const data = { name: 'a', stats: new Map(), points: steps.map((at) => point([1], { step: at })) };
    expect(pointAt(data, step)?.step).toBe(steps.filter((one) => one <= step).at(-1));
  }
});

it('tells experiment and split from the path of a run', () => {
  expect(outlineOf('train')).toEqual({ name: 'train', experiment: '', split: 'train' });
  expect(outlineOf('a/b/val')).toEqual({ name: 'a/b/val', experiment: 'a/b', split: 'val' });
  expect(outlineOf('a/other')).toEqual({ name: 'a/other', experiment: 'a/other', split: 'train' });
  expect(outlineOf('.')).toEqual({ name: '.', experiment: '', split: 'train' });
});

/** Runs of two layers with hostile names, two epochs and everything that a run may hold. */
function someRuns(): RunData[] {
  const history = new RunHistory();
  const next = normal(5);
  for (const epoch of [0, 1]) {
    const layers = (['train', 'val'] as const).flatMap((split) =>
      ['__proto__', '</script>\u2028"\\'].map((name) => {
        const spectrum = Spectrum.fromEigenvalues(
          Array.from({ length: 6 }, () => Math.fround(next() ** 2)),
          { samples: 77 },
        );
        const saturation = spectrum.saturation();
        const values = { saturation, trace: Number.NaN, conditionNumber: Number.POSITIVE_INFINITY };
        return layer(name, split, {
          role: name === '__proto__' ? 'squeeze' : undefined,
          samples: 77,
          rejected: 2,
          features: 6,
          spectrum,
          saturation,
          values,
        });
      }),
    );
    history.add(epochOf(epoch, layers, [{ tag: 'constructor', value: 0.5 - epoch, split: 'val' }]));
  }
  history.model = { name: '</script>', layers: 2, types: { Dense: 1, toString: 1 }, parameters: 1234 };
  history.times = { first: 1_700_000_000.25, last: 1_700_000_060.5 };
  return runsOfHistory(history, 'wide', {
    inputSize: 32,
    layers: [
      {
        layer: '__proto__',
        className: 'Conv2D',
        min: 3,
        max: Number.POSITIVE_INFINITY,
        convolutional: true,
        axes: [
          { min: 3, max: Number.POSITIVE_INFINITY, maxFinite: 7, stride: 1, kernel: 3, minBefore: 1, strideBefore: 1 },
        ],
      },
    ],
  });
}

it('packs runs into bytes and unpacks them whole: names, NaN, Infinity, and float32 eigenvalues bit by bit', () => {
  const runs = someRuns();
  expect(runs.map(({ name }) => name)).toEqual(['wide/train', 'wide/val']);
  const unpacked = unpackRuns(packRuns(runs));
  const float32 = (run: RunData) => ({
    ...run,
    layers: run.layers.map((one) => ({
      ...one,
      points: one.points.map((at) => ({ ...at, trace: 0, eigenvalues: Float32Array.from(at.eigenvalues) })),
    })),
  });
  expect(unpacked.map(float32)).toEqual(runs.map(float32));
  expect(unpacked[0].layers.map(({ role }) => role)).toEqual(['squeeze', undefined]);
  expect(packRuns(unpacked)).toEqual(packRuns(runs));
  // At an odd address, too: a page may hold the bytes anywhere.
  const bytes = packRuns(runs);
  const shifted = new Uint8Array(bytes.length + 1).fill(7);
  shifted.set(bytes, 1);
  expect(unpackRuns(shifted.subarray(1))).toEqual(unpacked);
});

it('refuses bytes that are no packed runs', () => {
  const bytes = packRuns(someRuns());
  for (const broken of [
    new Uint8Array(),
    new Uint8Array(3),
    bytes.slice(0, 60),
    Uint8Array.of(255, 255, 255, 255, 1),
  ]) {
    expect(() => unpackRuns(broken)).toThrow(/unpackRuns: expected/);
  }
  const other = bytes.slice();
  other.set(new TextEncoder().encode('{"version":9'), 4);
  expect(() => unpackRuns(other)).toThrow('unpackRuns: expected version 1, got number 9');
});

it('offers the statistics that runs hold or that their spectra give, and computes those from the spectra', () => {
  const [run] = someRuns();
  const stats = statsOf([run]);
  expect(stats).toEqual(expect.arrayContaining(['saturation', 'intrinsicDimensionality', 'trace', 'stableRank']));
  expect(stats).toContain('conditionNumber');
  expect(stats).not.toContain('drift');
  expect(stepsOf(run)).toEqual([1, 2]);
  const [first] = run.layers;
  const spectrum = Spectrum.fromEigenvalues(first.points[1].eigenvalues);
  const counting = { threshold: 0.9, rule: 'paper' as const };
  expect(valueAt(first, 2, { ...counting, stat: 'stableRank' })).toBe(spectrum.stableRank);
  expect(valueAt(first, 2, { ...counting, stat: 'saturation' })).toBe(spectrum.saturation(0.9));
  expect(valueAt(first, 0, { ...counting, stat: 'saturation' })).toBeNaN();
  expect(valueAt(first, 5, { ...counting, stat: 'conditionNumber' })).toBe(Number.POSITIVE_INFINITY);
});

it('estimates what many samples would show at any threshold, of whole spectra, in pieces of time', () => {
  const next = normal(8);
  const points = Array.from({ length: 6 }, (_, index) => {
    const eigenvalues = Float64Array.from({ length: 40 }, () => next() ** 2)
      .sort()
      .reverse();
    return point(eigenvalues, { step: index + 1, samples: 80, effectiveSamples: index < 3 ? undefined : 60 });
  });
  const one: LayerData = { name: 'a', points, stats: new Map() };
  expect(statsOf([{ ...someRuns()[0], layers: [one] }])).toEqual(expect.arrayContaining(['saturationLow']));
  wantNothing();
  for (const { step } of points) {
    expect(valueAt(one, step, { stat: 'saturationCorrected', threshold: 0.99, rule: 'paper' })).toBeNaN();
  }
  expect(estimateWanted(0)).toBe(false);
  expect(estimateWanted(Number.POSITIVE_INFINITY)).toBe(true);
  for (const at of points) {
    const { eigenvalues, samples, effectiveSamples } = at;
    const spectrum = Spectrum.fromEigenvalues(eigenvalues, { samples, effectiveSamples });
    for (const counted of [
      { threshold: 0.99, rule: 'paper' },
      { threshold: 0.9, rule: 'delve' },
    ] as const) {
      const expected = spectrum.saturationEstimate(counted);
      expect(estimateAt(at, counted)).toEqual(expected);
      expect(valueAt(one, at.step, { stat: 'saturationCorrected', ...counted })).toBe(expected.saturation);
      expect(valueAt(one, at.step, { stat: 'saturationLow', ...counted })).toBe(expected.low);
      expect(valueAt(one, at.step, { stat: 'saturationHigh', ...counted })).toBe(expected.high);
    }
  }
});

it('holds an estimate however many spectra come after it, and makes none of a part of a spectrum', () => {
  const counted = { threshold: 0.99, rule: 'paper' as const };
  const wide = (index: number) =>
    point(
      Float64Array.from({ length: 4096 }, (_, i) => 1 / (i + 1 + index)),
      { samples: 6000 },
    );
  const points = Array.from({ length: 300 }, (_, index) => wide(index));
  const first = estimateNow(points[0], counted);
  for (const one of points) estimateNow(one, counted);
  expect(estimateAt(points[0], counted)).toEqual(first);
  wantNothing();
  // Its spectrum is no longer at hand: another threshold is computed later.
  expect(estimateAt(points[0], { ...counted, threshold: 0.5 })).toBeUndefined();
  expect(estimateAt(points[299], { ...counted, threshold: 0.5 })?.saturation).toBeGreaterThan(0);
  expect(estimateWanted(Number.POSITIVE_INFINITY)).toBe(true);
  expect(estimateAt(points[0], { ...counted, threshold: 0.5 })?.saturation).toBeGreaterThan(0);
  for (const over of [{ samples: undefined }, { isEstimated: true }, { features: 5000 }]) {
    expect(estimateAt(point([2, 1], over), counted)).toBeUndefined();
  }
  expect(estimateWanted(0)).toBe(true);
});

it('the advice of the view counts independent rows, as the tracker did', () => {
  const eigenvalues = Array.from({ length: 32 }, (_, i) => Math.exp(-i / 5));
  const run = (effectiveSamples?: number): RunData => ({
    ...someRuns()[0],
    layers: ['a', 'b'].map((name) => ({
      name,
      points: [point(eigenvalues, { samples: 30_000, effectiveSamples })],
      stats: new Map(),
    })),
  });
  const kinds = (effectiveSamples?: number) =>
    adviseOn(epochAt(run(effectiveSamples), 1, 0.99)).map(({ kind, layers }) => [kind, layers]);
  expect(kinds(32)).toContainEqual(['samples', ['a', 'b']]);
  expect(kinds().map(([kind]) => kind)).not.toContain('samples');
  const few = run(32);
  // Where an accuracy was recorded, the words are of accuracy.
  const wide = { ...run(), scalars: new Map([['epoch_acc', { steps: [1], values: [0.9] }]]) };
  expect(adviseOn(epochAt(run(), 1, 0.9999), {})[0].text).toContain('loss');
  expect(adviseOn(epochAt(wide, 1, 0.9999), {})[0].text).toContain('accuracy');
  const counting = { stat: 'saturation', threshold: 0.99, rule: 'paper' } as const;
  // Marks come when they are estimated.
  expect(marksAt(few, 1, counting).size).toBe(0);
  estimateWanted(Number.POSITIVE_INFINITY);
  expect([...marksAt(few, 1, counting)]).toEqual([
    ['a', 'fewSamples'],
    ['b', 'fewSamples'],
  ]);
});

it('merges the layers of networks that share names, and tells networks apart', () => {
  const of = (...names: string[]): RunData => ({
    ...outlineOf(names.join()),
    threshold: 0.99,
    rule: 'paper',
    layers: names.map((name) => ({ name, points: [], stats: new Map() })),
    scalars: new Map(),
  });
  expect(mergedLayers([of('a', 'b', 'd'), of('a', 'c', 'd', 'e')])).toEqual(['a', 'c', 'b', 'd', 'e']);
  expect(areAlike([of('a', 'b', 'c'), of('a', 'b', 'c', 'd')])).toBe(true);
  expect(areAlike([of('a', 'b', 'c'), of('x', 'y', 'z')])).toBe(false);
});

it('whole spectra come back from a logdir, as float32 has them', async () => {
  const logdir = temporaryFolder();
  const writer = new SaturationWriter(`${logdir}/net/train`);
  const next = normal(9);
  const written: Spectrum[] = [];
  for (const step of [1, 2, 3]) {
    for (const name of ['b', 'a/c']) {
      const spectrum = Spectrum.fromEigenvalues(
        Array.from({ length: 20 }, () => next() ** 2),
        { samples: 500 },
      );
      written.push(spectrum);
      writer.addSaturation(name, spectrum, step);
    }
  }
  await writer.close();
  const history = (await readHistories(logdir)).get('net');
  const read = history?.epochs.flatMap(({ layers }) => layers);
  expect(read?.map(({ layer: name }) => name)).toEqual(['b', 'a/c', 'b', 'a/c', 'b', 'a/c']);
  expect(read?.map(({ spectrum }) => spectrum?.eigenvalues)).toEqual(
    written.map(({ eigenvalues }) => eigenvalues.map(Math.fround)),
  );
  expect(read?.every(({ spectrum, samples }) => spectrum?.samples === 500 && samples === 500)).toBe(true);
});

it('a value of eigenvalues/<layer> that is none is left out, and the rest is read', async () => {
  const logdir = temporaryFolder();
  const run = new SummaryWriter(`${logdir}/train`);
  const plugin = { plugin: 'saturation', content: '{"version":1,"width":2,"stored":2}' };
  run.addTensor('eigenvalues/short', Float32Array.of(9, 0), 1, plugin);
  run.addTensor('eigenvalues/part', Float32Array.of(9, 0, 1), 1, plugin);
  run.addTensor('eigenvalues/negative', Float32Array.of(9, 0, -1, 2), 1, plugin);
  run.addTensor('eigenvalues/nan', Float32Array.of(9, 0, Number.NaN, 2), 1, plugin);
  run.addTensor('eigenvalues/double', Float64Array.of(9, 0, 2, 1), 1, plugin);
  run.addTensor('eigenvalues/later', Float32Array.of(9, 0, 2, 1), 1, { ...plugin, content: '{"version":2}' });
  run.addTensor('eigenvalues/good', Float32Array.of(9, 1, 2, 1), 1, plugin);
  await run.close();
  const layers = (await readHistories(logdir)).get('.')?.last?.layers;
  expect(layers?.map(({ layer: name }) => name)).toEqual(['good']);
  expect(layers?.[0]).toMatchObject({ samples: 9, rejected: 1, features: 2 });
});

it('addTensor refuses plugins of TensorBoard and options of the wrong type', () => {
  const writer = new SummaryWriter(temporaryFolder());
  expect(() => writer.addTensor('a', [1], 1, { plugin: 'histograms' })).toThrow(
    /expected a plugin of your own, got TensorBoard's 'histograms'/,
  );
  expect(() => writer.addTensor('a', [1], 1, { plugin: '' })).toThrow(
    /addTensor "a": expected plugin to be a non-empty string/,
  );
  expect(() => writer.addTensor('a', [1], 1, { content: 5 as never })).toThrow(
    /expected content to be text or a Uint8Array, got number 5/,
  );
});

describe('an epoch that postMessage brought from a worker', () => {
  async function recorded(): Promise<EpochStatistics> {
    const recorder = new SaturationRecorder(new SummaryWriter(new MemoryOutput()), { saveTo: [], stats: 'health' });
    recorder.observe('hidden', { data: Float64Array.from({ length: 640 * 16 }, normal(1)), shape: [640, 16] }, 'train');
    recorder.addScalar('loss', 0.5);
    await recorder.addSaturations();
    await recorder.close();
    return recorder.pastEpochs[0];
  }

  it('is shown as the epoch itself', async () => {
    const epoch = await recorded();
    const [direct, posted] = [new LiveSource(), new LiveSource()];
    direct.add(epoch);
    posted.add(structuredClone(epoch));
    const shown = await posted.load('train');
    expect(shown).toEqual(await direct.load('train'));
    const [{ features, trace, eigenvalues }] = shown.layers[0].points;
    expect({ features, trace, count: eigenvalues.length }).toEqual({
      features: 16,
      trace: epoch.layers[0].spectrum!.trace,
      count: 16,
    });
  });

  it('is refused by name if it is something else, and nothing of it is shown', async () => {
    const epoch = await recorded();
    const source = new LiveSource();
    const refused = (given: unknown) => {
      try {
        source.add(given as EpochStatistics);
      } catch (error) {
        return (error as Error).message;
      }
    };
    const said = (got: string) =>
      `LiveSource.add: expected an epoch as a store gets it, or its structured clone, got ${got}`;
    expect(refused(undefined)).toBe(said('undefined'));
    expect(refused({ epoch })).toBe(said('epoch: an object of class Object'));
    expect(refused(JSON.parse(JSON.stringify(epoch)))).toBe(said("alphaReq of the layer 'hidden': null"));
    const [layer] = epoch.layers;
    expect(refused({ ...epoch, layers: [{ ...layer, features: undefined }] })).toBe(
      said("features of the layer 'hidden': undefined"),
    );
    expect(refused({ ...epoch, layers: [null] })).toBe(said('layers[0]: null'));
    expect(await source.list()).toEqual([]);
  });
});

it('does not say that nothing stands out where there are no values', () => {
  const healthy = layer('dense', 'train');
  expect(noFindingText([healthy])).toMatch(/^Nothing stands out/);
  expect(noFindingText([{ ...healthy, saturation: Number.NaN }])).toMatch(/^Nothing can be said/);
  expect(adviceMarkdown(epochOf(0, []))).toContain('Nothing can be said: no layer has a saturation here.');
});
