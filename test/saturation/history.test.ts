import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { HistogramValue } from '../../src/event/event.js';
import { MemoryOutput } from '../../src/output/output.js';
import type { Split } from '../../src/saturation/epoch.js';
import { RunHistory } from '../../src/saturation/run-history.js';
import { SaturationWriter } from '../../src/saturation/saturation-writer.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { epochOf, layer } from '../support/epochs.js';
import { temporaryFolder } from '../support/folders.js';
import { gaussianRows } from '../support/random.js';
import { pointsOf, summariesOf } from '../support/read-run.js';

describe('RunHistory', () => {
  const layerOf = (name: string, saturation: number, split: Split = 'train') =>
    layer(name, split, {
      features: 4,
      saturation,
      intrinsicDimensionality: saturation * 4,
      values: { saturation },
    });

  it('a layer that appears late or stays away has gaps, in the order of first appearance', () => {
    const history = new RunHistory();
    history.add(epochOf(0, [layerOf('a', 0.1)]));
    history.add(epochOf(1, [layerOf('a', 0.2), layerOf('b', 0.3)]));
    history.add(epochOf(2, [layerOf('b', 0.4)]));
    const { labels, epochs, values } = history.byEpoch('train', 'saturation');
    expect(labels).toEqual(['a', 'b']);
    expect(epochs).toEqual([1, 2, 3]);
    expect(values).toEqual([
      [0.1, Number.NaN],
      [0.2, 0.3],
      [Number.NaN, 0.4],
    ]);
  });

  it('epochs come in any order, and a resumed run replaces its own', () => {
    const history = new RunHistory();
    history.add(epochOf(1, [layerOf('a', 0.9)]));
    history.add(epochOf(0, [layerOf('a', 0.1)]));
    history.add(epochOf(1, [layerOf('a', 0.2)]));
    expect(history.byEpoch('train', 'saturation').values).toEqual([[0.1], [0.2]]);
    expect(history.last?.epoch).toBe(1);
  });

  it('takes as long for each of many epochs, in whatever order, as for one', () => {
    // With the square of the epochs in time this would take hours.
    const epochs = 200_000;
    const history = new RunHistory();
    const layers = [layerOf('a', 0.5)];
    for (let epoch = 0; epoch < epochs; epoch++) {
      history.add(epochOf(epoch, layers));
      if (history.last?.epoch !== epoch || history.lastOf('train').length !== 1) throw new Error(`at ${epoch}`);
    }
    const shuffled = new RunHistory();
    for (let count = 0; count < epochs; count++) shuffled.add(epochOf((count * 77_773) % epochs, layers));
    expect(shuffled.epochs.map(({ epoch }) => epoch)).toEqual(history.epochs.map(({ epoch }) => epoch));
    expect(history.byEpoch('train', 'saturation').values.length).toBe(epochs);
  });

  it('holds no more for many metrics and layers than their values, until they are asked for', () => {
    // A table of them by epoch would have 10^10 cells.
    const many = 100_000;
    const history = new RunHistory();
    for (let epoch = 0; epoch < many; epoch++) {
      history.add({ ...epochOf(epoch, [layerOf(`l${epoch}`, 0.5)]), scalars: [{ tag: `m${epoch}`, value: epoch }] });
    }
    const series = history.scalars();
    expect(series.length).toBe(many);
    expect(series[7].values.filter((value) => !Number.isNaN(value))).toEqual([7]);
    expect(series[7].values.length).toBe(many);
    expect(history.layerNames().length).toBe(many);
    const { epochs, labels, values } = history.byEpoch('train', 'saturation', 3 * many);
    expect(epochs).toEqual([many - 2, many - 1, many]);
    expect(labels).toEqual([`l${many - 3}`, `l${many - 2}`, `l${many - 1}`]);
    expect(values[1]).toEqual([Number.NaN, 0.5, Number.NaN]);
    expect(history.byEpoch('train', 'saturation', 1).epochs).toEqual([many]);
  });

  it('splits are kept apart; an epoch without validation is no row of it', () => {
    const history = new RunHistory();
    history.add(epochOf(0, [layerOf('a', 0.1), layerOf('a', 0.5, 'val')]));
    history.add(epochOf(1, [layerOf('a', 0.2)]));
    expect(history.splits).toEqual(['train', 'val']);
    expect(history.byEpoch('val', 'saturation')).toEqual({ labels: ['a'], epochs: [1], values: [[0.5]] });
    expect(history.lastOf('val').map(({ values }) => values.saturation)).toEqual([0.5]);
  });

  it('scalars become one series per tag and split, with gaps', () => {
    const history = new RunHistory();
    history.add(
      epochOf(
        0,
        [],
        [
          { tag: 'loss', value: 3, split: 'train' },
          { tag: 'lr', value: 1 },
        ],
      ),
    );
    history.add(
      epochOf(
        1,
        [],
        [
          { tag: 'loss', value: 2, split: 'train' },
          { tag: 'loss', value: 4, split: 'val' },
        ],
      ),
    );
    expect(history.scalars()).toEqual([
      { name: 'loss', split: 'train', values: [3, 2] },
      { name: 'lr', split: undefined, values: [1, Number.NaN] },
      { name: 'loss', split: 'val', values: [Number.NaN, 4] },
    ]);
    expect(history.last).toBeUndefined();
  });
});

/** Explained variance .5, .8, 1: by hand, one direction explains half, two four fifths. */
const spectrum = Spectrum.fromEigenvalues([5, 3, 2, 0], { samples: 640 });

describe('SaturationWriter', () => {
  it('writes saturation, intrinsic dimensionality and the spectrum of a layer, without TensorFlow.js', async () => {
    const logdir = temporaryFolder();
    const writer = new SaturationWriter(logdir);
    writer.addSaturation('conv/1', spectrum, 3, { threshold: 0.75 });
    await writer.close();
    const summaries = await summariesOf(logdir);
    expect(summaries.map(({ tag, plugin, step }) => [tag, plugin, step])).toEqual([
      ['saturation/conv/1', 'scalars', 3],
      ['intrinsic-dimensionality/conv/1', 'scalars', 3],
      ['spectrum/conv/1', 'histograms', 3],
      ['eigenvalues/conv/1', 'saturation', 3],
    ]);
    expect(summaries[3].value).toMatchObject({
      dtype: 'float32',
      shape: [6],
      data: Float32Array.of(640, 0, 5, 3, 2, 0),
    });
    expect(pointsOf(summaries, 'saturation/conv/1')).toEqual([[3, 0.5]]);
    expect(pointsOf(summaries, 'intrinsic-dimensionality/conv/1')).toEqual([[3, 2]]);
  });

  it('says in the description what was counted, from how many samples, of how many directions', async () => {
    const output = new MemoryOutput();
    const writer = new SaturationWriter(output);
    writer.addSaturation('fc', spectrum, 0, { threshold: 0.975, rule: 'delve' });
    await writer.close();
    const [saturation, , histogram] = await summariesOf(output.bytes);
    expect(saturation.description).toMatch(/97\.5 %, delve rule.*d = 4,.*n = 640 samples/);
    expect(histogram.description).toMatch(/log10 of the 4 eigenvalues/);
  });

  it('puts log10 of the eigenvalues above rounding into the histogram', async () => {
    const output = new MemoryOutput();
    const writer = new SaturationWriter(output);
    writer.addSaturation('fc', Spectrum.fromEigenvalues([1000, 10, 0.1, 0]), 1);
    // Rank 2 of 6: the other eigenvalues of the covariance are 0 up to rounding, about 1e-16.
    const rows = gaussianRows(500, [4, 1], 1);
    const accumulator = new CovarianceAccumulator(6);
    accumulator.update(
      Float64Array.from({ length: 3000 }, (_, i) => rows[Math.floor(i / 6) * 2 + (i % 2)] * (1 + (i % 6))),
    );
    writer.addSaturation('low rank', Spectrum.of(accumulator), 1);
    await writer.close();
    const summaries = await summariesOf(output.bytes);
    const buckets = (tag: string) => (pointsOf(summaries, tag)[0][1] as HistogramValue).buckets;
    const known = buckets('spectrum/fc');
    expect([known[0], known[known.length - 2]]).toEqual([-1, 3]);
    expect(counts(known)).toBe(3);
    expect(counts(buckets('spectrum/low rank'))).toBe(2);
  });

  it('shows eigenvalues down to a millionth of the largest, by whatever they are, and names the axis', async () => {
    const output = new MemoryOutput();
    const writer = new SaturationWriter(output);
    for (const scale of [1e-9, 1, 1e9]) {
      const eigenvalues = [1, 1e-3, 1.1e-6, 0.9e-6, 1e-12].map((eigenvalue) => scale * eigenvalue);
      writer.addSaturation(`fc${scale}`, Spectrum.fromEigenvalues(eigenvalues), 1);
    }
    await writer.close();
    for (const { tag, value, displayName } of await summariesOf(output.bytes)) {
      if (!tag.startsWith('spectrum/')) continue;
      const { buckets } = value as HistogramValue;
      expect(counts(buckets)).toBe(3);
      expect(buckets.at(-2)! - buckets[0]).toBeCloseTo(-Math.log10(1.1e-6), 9);
      expect(displayName).toBe(`${tag.slice('spectrum/'.length)}: log10 of eigenvalues`);
    }
  });

  it('writes the profile as one bucket per layer in the order given', async () => {
    const output = new MemoryOutput();
    const writer = new SaturationWriter(output);
    const dead = Spectrum.fromEigenvalues([0, 0]);
    writer.addSaturationProfile(
      new Map([
        ['first', spectrum],
        ['second', Spectrum.fromEigenvalues([1, 1])],
        ['third', dead],
      ]),
      7,
      { threshold: 0.8 },
    );
    await writer.close();
    const [profile] = await summariesOf(output.bytes);
    expect([profile.tag, profile.plugin, profile.step]).toEqual(['saturation-profile', 'histograms', 7]);
    expect(profile.description).toMatch(/0 first, 1 second, 2 third/);
    expect([...(profile.value as HistogramValue).buckets]).toEqual([0, 1, 0.5, 1, 2, 1, 2, 3, 0]);
  });

  it('counts by the rule that is asked for, 0.99 and the paper by default', async () => {
    const output = new MemoryOutput();
    const writer = new SaturationWriter(output);
    const flat = Spectrum.fromEigenvalues(Array(100).fill(1));
    writer.addSaturation('paper', flat, 0);
    writer.addSaturation('delve', flat, 0, { rule: 'delve' });
    await writer.close();
    const summaries = await summariesOf(output.bytes);
    // delve.md, B02: equal x 100 at .99 gives 98 in Delve, 99 by the definition.
    expect(pointsOf(summaries, 'intrinsic-dimensionality/paper')).toEqual([[0, 99]]);
    expect(pointsOf(summaries, 'intrinsic-dimensionality/delve')).toEqual([[0, 98]]);
  });

  it('is a SummaryWriter whose runs know saturation, too', async () => {
    const logdir = temporaryFolder();
    const writer = new SaturationWriter(logdir);
    const run = writer.run('val');
    expect(run).toBeInstanceOf(SaturationWriter);
    run.addSaturation('fc', spectrum, 1);
    await writer.close();
    expect(readdirSync(logdir)).toEqual(['val']);
    expect(await summariesOf(join(logdir, 'val'))).toHaveLength(4);
  });

  it('refuses thresholds outside (0, 1] and rules it does not know', () => {
    const writer = new SaturationWriter(new MemoryOutput());
    for (const threshold of [0, -1, 1.01, 99, Number.NaN]) {
      expect(() => writer.addSaturation('fc', spectrum, 0, { threshold })).toThrow(RangeError);
      expect(() => writer.addSaturationProfile(new Map([['fc', spectrum]]), 0, { threshold })).toThrow(/threshold/);
    }
    expect(() => writer.addSaturation('fc', spectrum, 0, { rule: 'mine' as never })).toThrow(
      /rule: expected 'paper' or 'delve', got the string "mine"/,
    );
  });
});

function counts(buckets: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 2; at < buckets.length; at += 3) sum += buckets[at];
  return sum;
}
