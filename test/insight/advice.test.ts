import { describe, expect, it } from 'vitest';
import { type AdviceOptions, adviceMarkdown, adviseOn, type FindingKind } from '../../src/insight/advice.js';
import type { ReceptiveField } from '../../src/insight/receptive-fields.js';
import { tailOf } from '../../src/insight/tail.js';
import type { EpochStatistics, LayerStatistics } from '../../src/saturation/epoch.js';
import { Spectrum } from '../../src/statistics/spectrum.js';

/** Layers l1, l2, ... of 64 features and 100,000 samples, unless `more` says otherwise. */
function epoch(saturations: readonly number[], more: Record<number, Partial<LayerStatistics>> = {}): EpochStatistics {
  const layers = saturations.map((saturation, index): LayerStatistics => {
    const features = more[index]?.features ?? 64;
    const values = { saturation, intrinsicDimensionality: Math.round(saturation * features) };
    const layer = `l${index + 1}`;
    return { split: 'train', layer, samples: 100_000, rejected: 0, features, ...values, values, ...more[index] };
  });
  return { epoch: 4, step: 5, threshold: 0.99, rule: 'paper', layers, scalars: [] };
}

const kinds = (of: EpochStatistics, options?: AdviceOptions) => adviseOn(of, options).map(({ kind }) => kind);
function find(of: EpochStatistics, kind: FindingKind, options?: AdviceOptions) {
  const finding = adviseOn(of, options).find((each) => each.kind === kind);
  if (!finding) throw new Error(`no finding '${kind}' in ${kinds(of, options).join()}`);
  return finding;
}

const healthy = [0.2, 0.35, 0.4, 0.3, 0.9];

describe('adviseOn', () => {
  it('says nothing about a network of which 20 to 40 % is used throughout', () => {
    expect(adviseOn(epoch(healthy))).toEqual([]);
    expect(adviseOn({ ...epoch([]), layers: [] })).toEqual([]);
  });

  it('names a tail with both saturations, and what to try', () => {
    const finding = find(epoch([0.3, 0.75, 0.4, 0.05, 0.03, 0.9]), 'tail');
    expect(finding.layers).toEqual(['l4', 'l5']);
    expect(finding.text).toContain('saturation 0.040 on average, against 0.75 in `l2`');
    expect(finding.text).toMatch(/without them, or give it larger inputs/);
    expect(finding.source.url).toBe('https://arxiv.org/abs/2006.08679');
  });

  it('says, if probes are given, whether the tail adds accuracy', () => {
    const profile = epoch([0.3, 0.75, 0.05, 0.03, 0.9]);
    const probes = (before: number, end: number) => [
      { layer: 'l1', accuracy: 0.5 },
      { layer: 'l2', accuracy: before },
      { layer: 'l4', accuracy: end },
      { layer: 'l3', accuracy: 0.1 },
    ];
    const inOrder = (before: number, end: number) => ({
      probes: probes(before, end).sort((a, b) => a.layer.localeCompare(b.layer)),
    });
    expect(find(profile, 'tail', inOrder(0.84, 0.845)).text).toContain(
      'reads 0.84 from `l2` in front of them and 0.84 from `l4`. They add little',
    );
    expect(find(profile, 'tail', inOrder(0.84, 0.9)).text).toContain('The probe speaks against leaving them out');
  });

  it('names the border, if receptive fields are given, and says whether saturation agrees', () => {
    const field = (layer: string, minBefore: number, min: number): ReceptiveField => ({
      layer,
      className: 'Conv2D',
      min,
      max: min,
      axes: [{ min, max: min, maxFinite: min, stride: 1, kernel: 3, minBefore, strideBefore: 1 }],
      convolutional: true,
    });
    const receptiveFields = [field('l1', 1, 3), field('l2', 3, 5), field('l3', 5, 7), field('l4', 7, 9)];
    const agrees = adviseOn(epoch([0.3, 0.75, 0.05, 0.03, 0.9]), { receptiveFields, inputSize: 5 });
    expect(agrees.map(({ kind }) => kind)).toEqual(['tail', 'border', 'width']);
    expect(agrees[0]!.text).toContain('Their receptive fields are 7 to 9 wide (the input is 5)');
    expect(agrees[1]!.layers).toEqual(['l3', 'l4']);
    expect(agrees[1]!.text).toContain('From `l3` on, 2 convolution(s)');
    expect(agrees[1]!.text).toContain('Saturation agrees for 2 of them');
    expect(find(epoch(healthy), 'border', { receptiveFields, inputSize: 5 }).text).toContain(
      'Saturation shows no tail there',
    );
    expect(kinds(epoch(healthy), { receptiveFields, inputSize: 20 })).toEqual([]);
  });

  it('calls a layer whose output never varies dead', () => {
    const finding = find(epoch([0.3, 0, 0.3, 0.9]), 'dead');
    expect(finding.layers).toEqual(['l2']);
    expect(finding.text).toContain('the same for every one of 100000 samples (no variance in any of 64 features)');
  });

  it('calls a full layer that is no wider than its neighbors a bottleneck, but not a full wide one', () => {
    const full = epoch([0.3, 0.95, 0.3, 0.9], { 1: { features: 16 } });
    expect(find(full, 'bottleneck').text).toContain('`l2` (0.95 of 16 features)');
    expect(kinds(epoch([0.3, 0.95, 0.3, 0.9], { 0: { features: 32 }, 1: { features: 128 } }))).not.toContain(
      'bottleneck',
    );
    // The output layer is narrow by its nature.
    expect(kinds(epoch([0.3, 0.3, 0.3, 1], { 3: { features: 10 } }))).toEqual([]);
    // The layer in front of it is still a bottleneck.
    expect(kinds(epoch([0.3, 0.3, 0.95, 1], { 3: { features: 10 } }))).toContain('bottleneck');
  });

  it('calls fewer than ten samples per dimension found too few', () => {
    // A saturation of 0.3 in 64 features: 19 dimensions.
    expect(kinds(epoch([0.3, 0.3, 0.9], { 0: { samples: 190 } }))).toEqual([]);
    const finding = find(epoch([0.3, 0.3, 0.9], { 0: { samples: 189 } }), 'samples');
    expect(finding.layers).toEqual(['l1']);
    expect(finding.text).toContain('`l1` (189 samples of 64 features)');
  });

  it('reports rows with NaN first, with their number', () => {
    const findings = adviseOn(epoch(healthy, { 1: { rejected: 64, samples: 128 }, 2: { rejected: 3 } }));
    expect(findings[0]!.kind).toBe('nonFinite');
    expect(findings[0]!.text).toContain('64 of 192 rows in `l2`');
  });

  it('says in which direction to scale if the mean saturation, without tail and head, lies outside 20 to 40 %', () => {
    expect(find(epoch([0.1, 0.12, 0.14, 0.9]), 'width').text).toMatch(/is 0\.12;.*20 to 40 %.*narrower/);
    expect(find(epoch([0.6, 0.7, 0.6, 0.9]), 'width').text).toMatch(/is 0\.63;.*wider layers/);
    expect(kinds(epoch([0.3, 0.35, 0.02, 0.02, 0.9]))).toEqual(['tail']);
  });

  it('judges training samples if there are any, otherwise validation samples', () => {
    const both = epoch(healthy);
    const dead = epoch([0, 0]).layers.map((layer): LayerStatistics => ({ ...layer, split: 'val' }));
    expect(kinds({ ...both, layers: [...both.layers, ...dead] })).toEqual([]);
    expect(kinds({ ...both, layers: dead })).toContain('dead');
    expect(kinds({ ...both, layers: [...both.layers, ...dead] }, { split: 'val' })).toContain('dead');
  });
});

describe('adviceMarkdown', () => {
  it('links the papers and shows the numbers it rests on', () => {
    const text = adviceMarkdown(epoch([0.3, 0.75, 0.05, 0.03, 0.9]), { probes: [{ layer: 'l1', accuracy: 0.5 }] });
    expect(text).toContain('### What saturation suggests after epoch 5');
    expect(text).toContain('(https://arxiv.org/abs/2006.08679)');
    expect(text).toContain('explain 99 % of its variance');
    const lines = text.split('\n').filter((line) => line.startsWith('|'));
    expect(lines[0]).toBe('| layer | features | samples | saturation | intrinsic dimensionality | probe accuracy |');
    expect(lines[2]).toBe('| l1 | 64 | 100000 | 0.300 | 19 | 0.500 |');
    expect(lines).toHaveLength(2 + 5);
  });

  it('says that a network is healthy, and lets no name break the table', () => {
    const text = adviceMarkdown(epoch(healthy, { 0: { layer: 'a|b' } }));
    expect(text).toContain('Nothing stands out');
    expect(text).toContain('| a\\|b | 64 |');
  });

  it('leaves blank what was not measured', () => {
    const text = adviceMarkdown(epoch([0.3, 0.3, 0.9], { 0: { values: { saturation: Number.NaN } } }));
    expect(text).toContain('| l1 | 64 | 100000 |  |  |');
  });
});

it('the shape of a spectrum, if there is one, decides whether the samples are enough', () => {
  // 1/i in 256 dimensions: 256 rows show 172 of the true 241 (measured with Gaussian samples), 10,240 show 240.
  const spectrum = Spectrum.fromEigenvalues(Float64Array.from({ length: 256 }, (_, index) => 1 / (index + 1)));
  const of = (samples: number) => epoch([0.3, 0.3, 0.9], { 1: { features: 256, samples, spectrum } });
  expect(find(of(256), 'samples').layers).toEqual(['l2']);
  expect(kinds(of(10_240))).toEqual([]);
});

const of = (...values: number[]) => ({ labels: values.map((_, index) => `l${index + 1}`), values });

describe('tailOf, on profiles worked out by hand', () => {
  it('VGG-16 on CIFAR-10 as published: conv9 to conv13 and the dense layer, behind a peak in conv7', () => {
    // Read off the figure in Delve's README (epoch 88, 92.57 %); the last value is the output layer.
    const values = [0.14, 0.4, 0.46, 0.67, 0.63, 0.73, 0.77, 0.42, 0.19, 0.13, 0.05, 0.045, 0.045, 0.02, 0.7];
    const labels = [...Array.from({ length: 13 }, (_, index) => `conv${index + 1}`), 'fc1', 'fc2'];
    const tail = tailOf({ labels, values });
    expect(tail.layers).toEqual(['conv9', 'conv10', 'conv11', 'conv12', 'conv13', 'fc1']);
    expect(tail.peak).toEqual({ layer: 'conv7', saturation: 0.77 });
    expect(tail.limit).toBeCloseTo(0.77 / 3, 12);
    expect(tail.saturation).toBeCloseTo((0.19 + 0.13 + 0.05 + 0.045 + 0.045 + 0.02) / 6, 12);
  });

  it('ResNet-18 at 32 pixels as in the README: .65 to .75, then 0.02', () => {
    expect(tailOf(of(0.65, 0.7, 0.75, 0.7, 0.68, 0.02, 0.02, 0.02, 0.6)).layers).toEqual(['l6', 'l7', 'l8']);
  });

  it('a network whose layers all work has no tail', () => {
    expect(tailOf(of(0.2, 0.4, 0.5, 0.45, 0.4, 0.35, 0.8)).layers).toEqual([]);
  });

  it('a pyramid that narrows down to half is healthy', () => {
    expect(tailOf(of(0.6, 0.5, 0.4, 0.3, 0.25, 0.9)).layers).toEqual([]);
  });

  it('low layers at the beginning are no tail', () => {
    expect(tailOf(of(0.05, 0.04, 0.5, 0.6, 0.9)).layers).toEqual([]);
  });

  it('a dip in the middle is no tail: only what goes on to the end counts', () => {
    expect(tailOf(of(0.6, 0.05, 0.05, 0.5, 0.1, 0.1, 0.9)).layers).toEqual(['l5', 'l6']);
    expect(tailOf(of(0.6, 0.05, 0.05, 0.5, 0.9)).layers).toEqual([]);
  });

  it('one low layer in front of the output is not called a tail unless asked', () => {
    expect(tailOf(of(0.6, 0.5, 0.05, 0.9)).layers).toEqual([]);
    expect(tailOf(of(0.6, 0.5, 0.05, 0.9), { minLength: 1 }).layers).toEqual(['l3']);
  });

  it('the head is not judged, however many layers it has', () => {
    expect(tailOf(of(0.6, 0.5, 0.1, 0.1), { head: 0 }).layers).toEqual(['l3', 'l4']);
    expect(tailOf(of(0.6, 0.5, 0.1, 0.1, 0.5, 0.9), { head: 2 }).layers).toEqual(['l3', 'l4']);
    expect(tailOf(of(0.6), { head: 3 }).layers).toEqual([]);
  });

  it('the ratio decides how far below the peak a tail is', () => {
    expect(tailOf(of(0.8, 0.3, 0.3, 0.9), { ratio: 0.5 }).layers).toEqual(['l2', 'l3']);
    expect(tailOf(of(0.8, 0.3, 0.3, 0.9), { ratio: 0.25 }).layers).toEqual([]);
  });

  it('dead layers are part of a tail; layers without a value neither belong to it nor end it', () => {
    expect(tailOf(of(0.6, 0.1, Number.NaN, 0, 0.9)).layers).toEqual(['l2', 'l4']);
    expect(tailOf(of(0, 0, 0, 0)).layers).toEqual([]);
  });

  it('accepts a Map, also an empty one', () => {
    expect(
      tailOf(
        new Map([
          ['a', 0.9],
          ['b', 0.1],
          ['c', 0.1],
          ['out', 1],
        ]),
      ).layers,
    ).toEqual(['b', 'c']);
    const none = tailOf(new Map());
    expect(none.layers).toEqual([]);
    expect(none.saturation).toBeNaN();
  });

  it('errors name bad options', () => {
    expect(() => tailOf(of(1), { ratio: 1 })).toThrow(/ratio in \(0, 1\), got 1/);
    expect(() => tailOf(of(1), { head: -1 })).toThrow(/head.*-1/);
    expect(() => tailOf(of(1), { minLength: 0 })).toThrow(/minLength.*0/);
    expect(() => tailOf({ labels: ['a'], values: [] })).toThrow(/1 labels and 0 values/);
  });
});
