import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { adviceMarkdown, adviseOn } from '../../src/insight/advice.js';
import type { AdviceOptions, FindingKind } from '../../src/insight/advice-case.js';
import type { ReceptiveField } from '../../src/insight/receptive-fields.js';
import { tailOf } from '../../src/insight/tail.js';
import { type EpochStatistics, type LayerStatistics, shortNames } from '../../src/saturation/epoch.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { type MpNetPath, mpNetPath, mpNetPaths } from '../support/mpnets.js';

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

it('says what it takes, of what is neither an epoch nor spectra', () => {
  const profile = new Map([['l1', 0.5]]);
  expect(() => adviseOn(profile as never)).toThrow("adviseOn: expected a Spectrum of 'l1', got number 0.5");
  for (const [wrong, got] of [
    [{ epochs: [epoch([0.5])] }, 'an object'],
    [undefined, 'undefined'],
  ] as const) {
    expect(() => adviceMarkdown(wrong as never)).toThrow(
      `adviseOn: expected an epoch, such as \`last\` of a RunHistory, or the spectra that extractSaturation returns, got ${got}`,
    );
  }
});

const healthy = [0.2, 0.35, 0.4, 0.3, 0.9];

describe('adviseOn', () => {
  it('says nothing about a network of which 20 to 40 % is used throughout', () => {
    expect(adviseOn(epoch(healthy))).toEqual([]);
    expect(adviseOn({ ...epoch([]), layers: [] })).toEqual([]);
  });

  describe('where vital signs were recorded', () => {
    /** Five layers of 64 features, the second of which has these statistics, too. */
    const withSigns = (signs: LayerStatistics['values'], more: Partial<LayerStatistics> = {}) =>
      epoch(healthy, { 1: { values: { saturation: 0.35, intrinsicDimensionality: 22, ...signs }, ...more } });

    it('counts dead units from a third on, and says what revives them', () => {
      const finding = find(withSigns({ deadUnits: 24 / 64 }), 'deadUnits');
      expect(finding.layers).toEqual(['l2']);
      expect(finding.text).toContain('A third or more of the units are 0 in over 99 % of the rows: `l2` (24 of 64).');
      expect(finding.text).toMatch(/try a lower learning rate, a warm-up, or a leaky activation/);
      expect(finding.source.url).toContain('s41586-024-07711-7');
      expect(find(withSigns({ deadUnits: 0.5 }), 'deadUnits', { finished: true }).text).toMatch(/can be left out/);
      expect(kinds(withSigns({ deadUnits: 21 / 64 }))).toEqual([]);
    });

    it('leaves dead units of a layer that is dead as a whole, and of outputs, to others', () => {
      const still = { saturation: 0, intrinsicDimensionality: 0, deadUnits: 1 };
      expect(kinds(withSigns(still))).toContain('dead');
      expect(kinds(withSigns(still))).not.toContain('deadUnits');
      expect(kinds(withSigns({ deadUnits: 0.9 }, { role: 'output' }))).not.toContain('deadUnits');
    });

    it('tells a rank that fell by more than half since an earlier epoch, by the best statistic that both have', () => {
      const at = (step: number, signs: LayerStatistics['values']) => ({ ...withSigns(signs), step });
      const now = at(5, { rankMe: 4.9, entropyRank: 9 });
      const finding = find(now, 'collapse', { earlier: at(1, { rankMe: 10, entropyRank: 10 }) });
      expect(finding.layers).toEqual(['l2']);
      expect(finding.text).toContain('fell by more than half since epoch 1: `l2` (from 10.0 to 4.9).');
      expect(finding.source.url).toBe('https://arxiv.org/abs/2210.02885');
      const finished = find(now, 'collapse', { earlier: at(1, { rankMe: 10 }), finished: true });
      expect(finished.text).toMatch(/taken from an earlier checkpoint/);
      // The entropy rank is all that both have.
      expect(kinds(now, { earlier: at(1, { entropyRank: 10 }) })).toEqual([]);
      expect(kinds(now, { earlier: at(1, { entropyRank: 19 }) })).toEqual(['collapse']);
      expect(kinds(now, { earlier: at(1, { rankMe: 9.7 }) })).toEqual([]);
      expect(kinds(now, { earlier: at(5, { rankMe: 100 }) })).toEqual([]);
      expect(kinds(now, { earlier: epoch(healthy) })).toEqual([]);
      expect(kinds(now)).toEqual([]);
    });

    it('tells outlier features by a kurtosis of a quarter of the width, with the largest value if that is known', () => {
      const finding = find(withSigns({ kurtosis: 16, largestActivation: 312.44 }), 'outliers');
      expect(finding.layers).toEqual(['l2']);
      expect(finding.text).toContain('`l2` (kurtosis 16 of 64 units, largest value 312); Gaussian values have');
      expect(finding.source.url).toBe('https://arxiv.org/abs/2208.07339');
      expect(find(withSigns({ kurtosis: 60 }), 'outliers', { finished: true }).text).toMatch(
        /`l2` \(kurtosis 60 of 64 units\).* Before the model is quantized/,
      );
      expect(kinds(withSigns({ kurtosis: 15.9, largestActivation: 1e6 }))).toEqual([]);
      expect(kinds(withSigns({ kurtosis: 16 }, { features: 63 }))).toEqual([]);
    });

    it('names the layers behind the one from which on the nearest class mean decides', () => {
      const mismatches = (nc4: readonly (number | undefined)[], roles: readonly LayerStatistics['role'][] = []) =>
        epoch(
          healthy,
          Object.fromEntries(
            nc4.map((collapseNC4, index) => {
              const values = {
                saturation: 0.3,
                intrinsicDimensionality: 19,
                ...(collapseNC4 !== undefined && { collapseNC4 }),
              };
              return [index, { saturation: 0.3, intrinsicDimensionality: 19, values, role: roles[index] }];
            }),
          ),
        );
      const finding = find(mismatches([0.4, undefined, 0.0123, 0.01, 0]), 'decided');
      expect(finding.layers).toEqual(['l4', 'l5']);
      expect(finding.text).toMatch(
        /From `l3` on the nearest class mean is .* for 98\.7 % .*\(`l4`, `l5`\).*ends there/,
      );
      expect(finding.source.url).toBe('https://arxiv.org/abs/2202.09028');
      expect(find(mismatches([0.02, 0]), 'decided', { finished: true }).text).toMatch(/classifier right behind it/);
      // Not if a later layer undoes it, nor of the last layer or the output alone.
      expect(kinds(mismatches([0, 0, 0.1]))).toEqual([]);
      expect(kinds(mismatches([0.4, 0.01, 0], [undefined, undefined, 'output']))).not.toContain('decided');
      expect(kinds(mismatches([Number.NaN]))).toEqual([]);
    });
  });

  it('names a tail with both saturations, and what to try', () => {
    const finding = find(epoch([0.3, 0.75, 0.4, 0.05, 0.03, 0.9]), 'tail');
    expect(finding.layers).toEqual(['l4', 'l5']);
    expect(finding.text).toContain('At `l4` at the latest, saturation falls: it is 0.040 on average');
    expect(finding.text).toContain('(2 layers), and 0.57 in the layers before');
    expect(finding.text).toMatch(/without them, or, if they are convolutions, give them larger inputs/);
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
      'reads 0.84 from `l2` in front of them and 0.84 from `l4`. They may add little',
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
    // The border is known: saturation need not find a tail.
    expect(agrees.map(({ kind }) => kind)).toEqual(['border', 'width']);
    expect(agrees[0]!.layers).toEqual(['l3', 'l4']);
    expect(agrees[0]!.text).toContain(
      '`l3` and 1 more convolution get what has already seen the whole input (the input is 5)',
    );
    expect(agrees[0]!.text).toContain(
      'Saturation confirms it: 0.040 on average behind this border, 0.75 before it. Try longer sequences',
    );
    expect(find(epoch(healthy), 'border', { receptiveFields, inputSize: 5 }).text).toContain(
      'Saturation does not confirm it (yet): 0.35 on average behind this border, 0.35 before it. Judge by probes',
    );
    const few = epoch([0.3, 0.75, 0.05, 0.03, 0.9], { 1: { samples: 20 } });
    expect(find(few, 'border', { receptiveFields, inputSize: 5 }).text).toContain('is not known: too few layers');
    expect(kinds(epoch(healthy), { receptiveFields, inputSize: 20 })).toEqual([]);
  });

  it('calls a layer whose output never varies dead', () => {
    const finding = find(epoch([0.3, 0, 0.3, 0.9]), 'dead');
    expect(finding.layers).toEqual(['l2']);
    expect(finding.text).toContain('the same for every one of 100000 rows (no variance in any of 64 features)');
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
    // Layers that are as wide and as full as their neighbors are none: all are too narrow, or none is.
    expect(kinds(epoch([0.95, 0.97, 0.95, 0.93, 0.9]))).toEqual(['width']);
    expect(find(epoch([0.95, 0.97, 0.95, 0.93, 0.9], { 2: { features: 16 } }), 'bottleneck').layers).toEqual(['l3']);
  });

  it('calls fewer than ten samples per dimension found too few', () => {
    // A saturation of 0.3 in 64 features: 19 dimensions.
    expect(kinds(epoch([0.3, 0.3, 0.9], { 0: { samples: 190 } }))).toEqual([]);
    const finding = find(epoch([0.3, 0.3, 0.9], { 0: { samples: 189 } }), 'samples');
    expect(finding.layers).toEqual(['l1']);
    expect(finding.text).toContain('`l1` (189 rows of 64 features)');
  });

  it('tells few rows of up to three layers with their numbers, and of more only those of the worst', () => {
    const spectrum = Spectrum.fromEigenvalues(
      Float64Array.from({ length: 64 }, (_, i) => Math.exp(-i / 12)),
      { samples: 128 },
    );
    const few = { samples: 128, spectrum };
    const { saturation, low, high } = spectrum.saturationEstimate();
    const truth = `0.30 shown, ${saturation.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}) with many rows`;
    const three = find(epoch([0.3, 0.3, 0.3, 0.9], { 0: few, 1: few, 2: few }), 'samples').text;
    expect(three.match(/128 rows of 64 features: /g)).toHaveLength(3);
    expect(three).toContain(`\`l2\` (128 rows of 64 features: ${truth})`);
    const layers = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [i, few]));
    const worst = { samples: 300, effectiveSamples: 100, spectrum };
    const many = find(epoch([...new Array(14).fill(0.3), 0.9], { ...layers, 6: worst }), 'samples');
    expect(many.layers).toHaveLength(14);
    expect(many.text).toMatch(
      /^Too few rows to trust the values of 14 layers \(`l1`, .*`l10` and 4 more\), the fewest for their width in `l7` \(300 rows, worth 100 independent ones, of 64 features: 0.30 shown, /,
    );
    expect(many.text.match(/of 64 features/g)).toHaveLength(1);
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

describe('adviseOn with the model', () => {
  const dense = (name: string, units: number, more: object = {}) => tf.layers.dense({ name, units, ...more });
  const relu = { activation: 'relu' } as const;
  function twoHeads(): tf.LayersModel {
    const input = tf.input({ shape: [8] });
    const trunk = dense('l2', 16, relu).apply(dense('l1', 64, relu).apply(input));
    return tf.model({
      inputs: input,
      outputs: [dense('l3', 1).apply(trunk), dense('l4', 3).apply(trunk)] as tf.SymbolicTensor[],
    });
  }
  const widths = { 1: { features: 16 }, 2: { features: 1 }, 3: { features: 3 } };

  it('does not tell an output layer to widen, whichever it is', () => {
    const full = epoch([0.3, 0.3, 1, 1], widths);
    expect(kinds(full, { model: twoHeads() })).toEqual([]);
    // Without the model, a layer of one feature is still no bottleneck.
    expect(kinds(full)).toEqual([]);
    const reversed = { ...full, layers: [...full.layers].reverse() };
    expect(kinds(reversed, { model: twoHeads() })).toEqual([]);
    expect(find(epoch([0.3, 0.95, 1, 1], widths), 'bottleneck', { model: twoHeads() }).layers).toEqual(['l2']);
  });

  it('does not call a layer that is narrow by design a bottleneck', () => {
    const input = tf.input({ shape: [8, 8, 3] });
    const conv = (name: string, filters: number, kernelSize: number, activation: 'relu' | 'linear') =>
      tf.layers.conv2d({ name, filters, kernelSize, padding: 'same', activation });
    let x = conv('l1', 64, 3, 'relu').apply(input);
    x = tf.layers.depthwiseConv2d({ name: 'l2', kernelSize: 3, padding: 'same' }).apply(x);
    x = conv('l3', 16, 1, 'linear').apply(x);
    x = conv('l4', 64, 1, 'relu').apply(x);
    x = dense('l5', 2).apply(tf.layers.globalAveragePooling2d({}).apply(x));
    const model = tf.model({ inputs: input, outputs: x as tf.SymbolicTensor });
    const full = epoch([0.3, 0.3, 0.97, 0.3, 1], { 2: { features: 16 }, 4: { features: 2 } });
    expect(kinds(full)).toContain('bottleneck');
    expect(kinds(full, { model })).not.toContain('bottleneck');
    // Expansions behind projections are wide by design: no advice to scale all widths.
    const low = epoch([0.1, 0.1, 0.3, 0.1, 1], { 2: { features: 16 }, 4: { features: 2 } });
    expect(kinds(low)).toContain('width');
    expect(kinds(low, { model })).not.toContain('width');
  });

  it('takes the receptive fields and the input size from the model', () => {
    const conv = (name: string, more: object = {}) =>
      tf.layers.conv2d({ name, filters: 4, kernelSize: 3, padding: 'same', ...more });
    const model = tf.sequential({
      layers: [
        conv('l1', { inputShape: [7, 7, 1] }),
        conv('l2'),
        conv('l3'),
        conv('l4'),
        conv('l5'),
        tf.layers.flatten(),
        dense('l6', 2),
      ],
    });
    const text = find(epoch([0.3, 0.6, 0.5, 0.2, 0.1, 0.9]), 'border', { model }).text;
    // l3 has seen 7 pixels.
    expect(text).toContain(
      '`l4` and 1 more convolution get what has already seen the whole input (the input is 7 x 7)',
    );
    expect(text).toContain('confirms it: 0.15 on average behind this border, 0.55 before it. Try larger inputs');
    expect(adviceMarkdown(epoch([0.3, 0.6, 0.5, 0.2, 0.1, 0.9]), { model })).toContain(
      '| l4 | 64 | 100000 | 0.200 | 13 | 9 |',
    );
  });

  it('is refused by name if it is none', () => {
    expect(() => adviseOn(epoch(healthy), { model: {} as never })).toThrow(/adviseOn: expected a tf\.LayersModel/);
  });
});

describe('nothing is concluded from layers whose numbers rest on too few rows', () => {
  const few = { samples: 20 };

  it('no tail, no bottleneck and no width', () => {
    // Each with enough rows stands out.
    expect(kinds(epoch([0.3, 0.7, 0.7, 0.1, 0.1, 0.9]))).toEqual(['tail', 'width']);
    expect(kinds(epoch([0.3, 0.7, 0.7, 0.1, 0.1, 0.9], { 3: few, 4: few }))).toEqual(['samples']);
    expect(kinds(epoch([0.3, 0.95, 0.3, 0.9], { 1: { features: 16, ...few } }))).toEqual(['samples']);
    // Of five layers two are left, those of few dimensions: their mean says nothing about the network.
    expect(kinds(epoch([0.7, 0.7, 0.7, 0.7, 0.7, 0.9], { 0: few, 2: few, 3: few }))).toEqual(['samples']);
  });

  it('a narrow layer is not doubted for one direction that lies at the threshold', () => {
    // The seventh of eight directions explains the last hundredth: 9,600 rows find six or seven.
    const spectrum = Spectrum.fromEigenvalues(Float64Array.of(30, 25, 20, 15, 6, 3, 0.99, 0.01), { samples: 9600 });
    expect(spectrum.isReliable({ threshold: 0.99, tolerance: 0.05 })).toBe(false);
    expect(spectrum.isReliable({ threshold: 0.99 })).toBe(true);
    expect(kinds(epoch([0.3, 0.3, 0.9], { 1: { features: 8, samples: 9600, spectrum } }))).toEqual([]);
  });

  it('where a border is known, the width is that of the layers before it', () => {
    const text = find(epoch([0.3, 0.7, 0.7, 0.1, 0.1, 0.9]), 'width').text;
    expect(text).toMatch(/^Mean saturation of the layers before that is 0.57;/);
    expect(find(epoch([0.3, 0.7, 0.7, 0.7, 0.7, 0.1, 0.1, 0.9], { 4: few }), 'width').text).toMatch(
      /^Mean saturation of the 4 layers before that with enough rows is 0.60;/,
    );
  });

  it('what is concluded from the others says so, and what the rows are worth', () => {
    const some = epoch([0.7, 0.7, 0.7, 0.7, 0.9], { 3: { samples: 5000, effectiveSamples: 32 } });
    expect(find(some, 'width').text).toContain('Mean saturation of the 3 layers with enough rows is 0.70');
    expect(find(some, 'samples').text).toContain('`l4` (5000 rows, worth 32 independent ones, of 64 features)');
  });
});

describe('the words for what is trained, and for what is trained already', () => {
  const wide = [0.6, 0.7, 0.6, 0.9];

  it('a classifier has an accuracy, a regression a loss', () => {
    const scalars = (tag: string) => ({ ...epoch(wide), scalars: [{ tag, value: 1 }] });
    expect(find(scalars('epoch_acc'), 'width').text).toContain('if the accuracy is not high enough, wider layers');
    expect(find(scalars('epoch_mse'), 'width').text).toContain('if the loss is not low enough, wider layers');
  });

  it('the metrics of a compiled model tell, too', () => {
    const model = tf.sequential({ layers: [tf.layers.dense({ name: 'l4', units: 2, inputShape: [3] })] });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    expect(find(epoch(wide), 'width', { model }).text).toContain('if the loss is not low enough');
    model.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
    expect(find(epoch(wide), 'width', { model }).text).toContain('if the accuracy is not high enough');
  });

  it('spectra of a trained model: nothing about training it, and no epoch', () => {
    const spectrum = (used: number) =>
      Spectrum.fromEigenvalues(
        Float64Array.from({ length: 64 }, (_, index) => (index < used ? 1 : 1e-9)),
        { samples: 100_000 },
      );
    const spectra = new Map(wide.map((part, index) => [`l${index + 1}`, spectrum(Math.round(part * 64))]));
    expect(adviseOn(spectra).map(({ kind }) => kind)).toEqual(['width']);
    expect(adviseOn(spectra)[0]!.text).toContain('Mean saturation of the 3 layers whose width is free is 0.63');
    const text = adviceMarkdown(spectra);
    expect(text).toContain('### What saturation suggests about the trained model');
    expect(text).toContain('there is little to save by narrower ones');
    expect(text).not.toMatch(/epoch|learning rate|if the loss/);
    expect(adviceMarkdown(epoch(wide), { finished: true })).toContain('about the trained model');
    expect(() => adviseOn(new Map([['l1', 0.5]]) as never)).toThrow(/expected a Spectrum of 'l1'/);
  });
});

describe('names', () => {
  it('what all of them begin with is said once', () => {
    const prefix = 'StatefulPartitionedCall/model/very/long/scope/';
    const named = epoch([0.1, 0.12, 0.14, 0.9]);
    const layers = named.layers.map((layer) => ({ ...layer, layer: `${prefix}${layer.layer}/Relu` }));
    const dead = { ...layers[1]!, values: { saturation: 0, intrinsicDimensionality: 0 } };
    const long = { ...named, layers: [layers[0]!, dead, ...layers.slice(2)] };
    const [finding] = adviseOn(long);
    expect(finding!.text).toMatch(/^`l2\/Relu` put out the same/);
    expect(finding!.layers).toEqual([`${prefix}l2/Relu`]);
    const text = adviceMarkdown(long);
    expect(text).toContain(`Names are shown without \`${prefix}\``);
    expect(text).toContain('| l1/Relu | 64 |');
    expect(text.match(/long/g)).toHaveLength(1);
  });

  it('a node that begins otherwise, as outputs do, does not keep the others long', () => {
    const all = ['a/b/conv_1/Relu', 'a/b/conv_2/Relu', 'a/b/conv_3/Relu', 'Identity'];
    expect(shortNames(all).prefix).toBe('a/b/');
    expect(all.map(shortNames(all).short)).toEqual(['conv_1/Relu', 'conv_2/Relu', 'conv_3/Relu', 'Identity']);
    // Names stay apart, and are never empty.
    expect(shortNames(['a/x', 'a/y', 'a/z', 'x']).prefix).toBe('');
    expect(shortNames(['a/', 'a/b', 'a/c']).prefix).toBe('');
    expect(shortNames(['block/a', 'block/b', 'c', 'd']).prefix).toBe('');
    expect(shortNames(['only/one']).prefix).toBe('');
  });

  it('backticks in a name do not end the code that it is set in', () => {
    const { layers, ...rest } = epoch([0.3, 0, 0.3, 0.9]);
    const odd = layers.map((layer, index) => (index === 1 ? { ...layer, layer: 'a`b' } : layer));
    expect(adviseOn({ ...rest, layers: odd })[0]!.text).toMatch(/^`` a`b `` put out/);
  });
});

describe('adviceMarkdown', () => {
  it('links the papers and shows the numbers it rests on', () => {
    const text = adviceMarkdown(epoch([0.3, 0.75, 0.05, 0.03, 0.9]), { probes: [{ layer: 'l1', accuracy: 0.5 }] });
    expect(text).toContain('### What saturation suggests after epoch 5');
    expect(text).toContain('(https://arxiv.org/abs/2006.08679)');
    expect(text).toContain('explain 99 % of its variance');
    const lines = text.split('\n').filter((line) => line.startsWith('|'));
    expect(lines[0]).toBe('| layer | features | rows | saturation | intrinsic dimensionality | probe accuracy |');
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

describe("the authors' networks on CIFAR-10", () => {
  const pathOf = (name: string) => mpNetPaths.find(({ network, path }) => `${network} ${path}` === name)!;
  const adviceOn = ({ labels, saturations }: MpNetPath, model: tf.LayersModel) => {
    // The models end in an output layer that the notebooks do not list.
    const { layers, ...rest } = epoch(saturations);
    const named = layers.map((layer, index) => ({ ...layer, layer: labels[index]! }));
    return adviseOn({ ...rest, layers: named }, { model, head: 0 }).find(({ kind }) => kind === 'border');
  };

  it('saturation confirms the border of 6 of 7 paths, with both means; a path without a border has none', () => {
    const told = mpNetPaths.map((path) => {
      const means =
        /(confirms it|does not confirm it).*?: ([\d.]+) on average behind this border, ([\d.]+) before/.exec(
          adviceOn(path, mpNetPath(path))?.text ?? '',
        );
      return [`${path.network} ${path.path}`, means?.[1], means && Number(means[2]) / Number(means[3])] as const;
    });
    const ratios = told.flatMap(([, , ratio]) => ratio ?? []).sort((one, other) => one - other);
    // By another program on the same numbers. The means are printed with two digits.
    [0.33, 0.61, 0.63, 0.65, 0.71, 0.73, 1.03].forEach((ratio, at) => {
      expect(Math.abs(ratios[at]! - ratio)).toBeLessThan(0.03);
    });
    expect(ratios).toHaveLength(7);
    expect(told.filter(([, verdict]) => verdict === 'confirms it')).toHaveLength(6);
    expect(told.filter(([, verdict]) => verdict === undefined).map(([name]) => name)).toEqual([
      'MPNet18_2_2_1_7 pathway0',
      'MPNet18_1_4_3_7 pathway0',
      'MPNet18_1_4_1_7 pathway0',
    ]);
  });

  it('a path without a border, told that it has one, is not confirmed', () => {
    const control = pathOf('MPNet18_2_2_1_7 pathway0');
    const bordered = pathOf('MPNet18_4_4_3_7 pathway0');
    const model = mpNetPath({ ...bordered, labels: control.labels });
    expect(adviceOn(control, model)!.text).toContain('Saturation does not confirm it (yet)');
  });

  it('without receptive fields, the fall of saturation is found within two layers of the border', () => {
    const startOf = (name: string) => {
      const { labels, saturations } = pathOf(name);
      return labels.indexOf(tailOf({ labels, values: saturations }, { head: 0, minLength: 1 }).layers[0]!);
    };
    expect(Math.abs(startOf('MPNet18_4_4_3_7 pathway0') - 10)).toBeLessThanOrEqual(2);
    expect(Math.abs(startOf('MPNet36_1_4_3_7 pathway0') - 8)).toBeLessThanOrEqual(2);
    // Of three without a border, one has a tail by default: its last two layers fall to .14.
    const found = ['MPNet18_2_2_1_7', 'MPNet18_1_4_3_7', 'MPNet18_1_4_1_7'].map((network) => {
      const { labels, saturations } = pathOf(`${network} pathway0`);
      return tailOf({ labels, values: saturations }, { head: 0 }).layers.length;
    });
    expect(found).toEqual([2, 0, 0]);
  });
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
    expect(tail.before).toBeCloseTo((0.4 + 0.46 + 0.67 + 0.63 + 0.73 + 0.77 + 0.42) / 7, 12);
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

  it('a slope is no tail, a step of the same depth is one', () => {
    expect(tailOf(of(0.5, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.9)).layers).toEqual([]);
    expect(tailOf(of(0.5, 0.9, 0.85, 0.9, 0.5, 0.45, 0.5, 0.9)).layers).toEqual(['l5', 'l6', 'l7']);
    // A fall far below a third is a tail in any case.
    expect(tailOf(of(0.3, 0.75, 0.4, 0.05, 0.03, 0.9)).layers).toEqual(['l4', 'l5']);
  });

  it('low layers at the beginning are no tail', () => {
    expect(tailOf(of(0.05, 0.04, 0.5, 0.6, 0.9)).layers).toEqual([]);
  });

  it('a dip in the middle is no tail: only what goes on to the end counts', () => {
    expect(tailOf(of(0.6, 0.5, 0.05, 0.05, 0.6, 0.5, 0.1, 0.1, 0.1, 0.1, 0.9)).layers).toEqual([
      'l7',
      'l8',
      'l9',
      'l10',
    ]);
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

  it('the ratio decides how far a profile must fall', () => {
    expect(tailOf(of(0.2, 0.8, 0.8, 0.3, 0.3, 0.9), { ratio: 0.5 }).layers).toEqual(['l4', 'l5']);
    expect(tailOf(of(0.2, 0.8, 0.8, 0.3, 0.3, 0.9), { ratio: 0.25 }).layers).toEqual([]);
  });

  it('dead layers are part of a tail; layers without a value neither belong to it nor end it', () => {
    expect(tailOf(of(0.6, 0.5, 0.1, Number.NaN, 0, 0.9)).layers).toEqual(['l3', 'l5']);
    expect(tailOf(of(0, 0, 0, 0)).layers).toEqual([]);
  });

  it('accepts a Map, also an empty one', () => {
    expect(
      tailOf(
        new Map([
          ['in', 0.5],
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
