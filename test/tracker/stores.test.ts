import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { TextValue } from '../../src/event/event.js';
import { storeOf } from '../../src/recording/store-of.js';
import { PlotStore } from '../../src/reports/plot-store.js';
import { ReportStore } from '../../src/reports/report-store.js';
import { correctedStats, scalarStatNames, scalarStats } from '../../src/saturation/stats.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { ConsoleStore } from '../../src/stores/console-store.js';
import { CsvStore } from '../../src/stores/csv-store.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { NpyStore } from '../../src/stores/npy-store.js';
import type { SaturationOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { epochOf, layer } from '../support/epochs.js';
import { temporaryFolder } from '../support/folders.js';
import { dense, normalTensor } from '../support/models.js';
import { pointsOf, summariesOf } from '../support/read-run.js';
import { RecordingStore } from '../support/recording-store.js';

describe('storeOf', () => {
  it('makes the store of each name', () => {
    expect(storeOf('csv', 'run')).toBeInstanceOf(CsvStore);
    expect(storeOf('npy', 'run')).toBeInstanceOf(NpyStore);
    expect(storeOf('console', 'run')).toBeInstanceOf(ConsoleStore);
    expect(storeOf('print', 'run')).toBeInstanceOf(ConsoleStore);
  });

  it('passes a store of one’s own through', () => {
    const own = { add: () => {} };
    expect(storeOf(own, 'run')).toBe(own);
  });

  it.each(['plot', 'plotcsv', 'csvplot', 'csvplotting'] as const)('draws with %s', async (name) => {
    const files = new MemoryStoreFiles();
    const store = storeOf(name, 'runs/a', { files });
    await store.add(epochOf(0, [layer('fc', 'train'), layer('fc2', 'train')]));
    await store.close?.();
    const pictures = [...files.files].filter(([path]) => path.endsWith('.png'));
    expect(pictures.map(([path]) => path).sort()).toEqual([
      'runs/a_idim_train_epoch_0.png',
      'runs/a_lsat_train_epoch_0.png',
    ]);
    for (const [, bytes] of pictures) expect([...bytes.subarray(1, 4)]).toEqual([...Buffer.from('PNG')]);
    expect(files.files.has('runs/a.csv')).toBe(name !== 'plot');
  });

  it('refuses an unknown name and values that are not stores', () => {
    expect(() => storeOf('sqlite' as 'csv', 'run')).toThrow(/saveTo: expected one of .* got the string "sqlite"/);
    expect(() => storeOf({} as 'csv', 'run')).toThrow(TypeError);
    expect(() => storeOf(null as unknown as 'csv', 'run')).toThrow('got null');
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the end of an epoch', () => {
  it('counts the directions of each layer once, whatever is written and wherever', async () => {
    const counts = vi.spyOn(Spectrum.prototype, 'intrinsicDimensionality');
    const fractions = vi.spyOn(Spectrum.prototype, 'saturation');
    const files = new MemoryStoreFiles();
    const recorded = new RecordingStore();
    const model = dense.build();
    const tracker = new SaturationTracker(join(temporaryFolder(), 'run'), model, {
      stats: [...scalarStatNames, 'spectrum'],
      // Judgments of the sample size count by the other rule.
      rule: 'delve',
      averageSaturation: true,
      saveTo: [
        'tensorboard',
        'csv',
        'npy',
        recorded,
        new ConsoleStore({ print: () => {} }),
        new PlotStore('plot', { format: 'svg', files }),
        new ReportStore('report.html', { files }),
      ],
    });
    for (const split of ['train', 'val'] as const) {
      const x = normalTensor([3000, 6], 1);
      tracker.record(split, () => tf.tidy(() => void model.predictOnBatch(x)));
    }
    const results = await tracker.addSaturations();
    await tracker.close();
    expect(results.map(({ split, layer }) => `${split}/${layer}`)).toEqual([
      'train/hidden',
      'val/hidden',
      'train/output',
      'val/output',
    ]);
    expect(counts.mock.calls.filter(([, rule]) => rule === 'delve')).toHaveLength(results.length);
    expect(fractions).not.toHaveBeenCalled();
    for (const { split, layer, saturation, intrinsicDimensionality } of results) {
      expect(recorded.layer(split, layer)).toMatchObject({
        saturation,
        intrinsicDimensionality,
        values: { saturation, intrinsicDimensionality },
      });
    }
  });

  it('corrects the saturation of layers whose rows are few, then in every epoch, or of all if it was asked for', async () => {
    const model = dense.build();
    const valuesOf = async (options: SaturationOptions) => {
      const recorded = new RecordingStore();
      const tracker = new SaturationTracker('unused', model, { ...options, saveTo: [recorded] });
      for (const rows of [3000, 12, 3000]) {
        const x = normalTensor([rows, 6], 1);
        tracker.record('val', () => tf.tidy(() => void model.predictOnBatch(x)));
        await tracker.addSaturations();
      }
      await tracker.close();
      return [0, 1, 2].map((epoch) => recorded.layer('val', 'hidden', epoch).values);
    };
    const [before, few, after] = await valuesOf({});
    for (const stat of correctedStats) expect(stat in before).toBe(false);
    expect(few.saturationCorrected).toBeGreaterThanOrEqual(few.saturation!);
    expect(few.saturationLow).toBeLessThanOrEqual(few.saturationCorrected!);
    expect(few.saturationHigh).toBeGreaterThanOrEqual(few.saturationCorrected!);
    for (const stat of correctedStats) expect(after[stat]).toBeDefined();
    const [always] = await valuesOf({ stats: ['saturationCorrected', 'saturationLow', 'saturationHigh'] });
    expect(always.saturationLow).toBeLessThanOrEqual(always.saturationCorrected!);
    expect(always.saturationHigh).toBeGreaterThanOrEqual(always.saturationCorrected!);
  });

  it('what many samples would show stands beside the saturation of few, with its interval, wherever that is shown', async () => {
    const logdir = temporaryFolder();
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ name: 'hidden', units: 24, inputShape: [24] }),
        tf.layers.dense({ name: 'output', units: 3 }),
      ],
    });
    const printed: string[] = [];
    const files = new MemoryStoreFiles();
    const recorded = new RecordingStore();
    const tracker = new SaturationTracker(logdir, model, {
      saveTo: [
        'tensorboard',
        new CsvStore('run.csv', { files }),
        new NpyStore('npy', { files }),
        new ConsoleStore({ print: (text) => printed.push(text), colors: false }),
        new PlotStore('plots/run', { files, format: 'svg' }),
        new ReportStore('report.html', { files }),
        recorded,
      ],
    });
    tracker.record('train', () => tf.tidy(() => void model.predictOnBatch(normalTensor([48, 24], 1))));
    await tracker.addSaturations();
    await tracker.close();

    const { values } = recorded.layer('train', 'hidden');
    const [shown, corrected, low, high] = (['saturation', ...correctedStats] as const).map((stat) => values[stat]!);
    expect(corrected).toBeGreaterThan(shown);
    const interval = `${corrected.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
    const summaries = await summariesOf(join(logdir, 'train'));
    for (const [stat, value] of [
      ['saturationCorrected', corrected],
      ['saturationLow', low],
      ['saturationHigh', high],
    ] as const) {
      const { tagGroup, column, head } = scalarStats[stat];
      expect(pointsOf(summaries, `${tagGroup}/hidden`)).toEqual([[1, Math.fround(value)]]);
      const csv = new TextDecoder()
        .decode(files.files.get('run.csv'))
        .split('\n')
        .map((line) => line.split(';'));
      expect(Number(csv[1][csv[0].indexOf(`train-${column}_hidden`)])).toBe(value);
      const npy = `_train-${column}_hidden`;
      expect(files.files.has(`npy/${npy}/${npy}_epoch0.npy`)).toBe(true);
      expect(printed[0]).toContain(head);
      expect(printed[0]).toContain(String(Number(value.toPrecision(4))));
    }
    const textOf = (tag: string) => (pointsOf(summaries, tag) as [number, TextValue][])[0][1].strings.join('\n');
    expect(textOf('saturation-summary')).toContain(
      `\`hidden\` (48 rows of 24 features: ${shown.toFixed(2)} shown, ${interval} with many rows)`,
    );
    expect(textOf('saturation-summary')).toContain(`| ${interval} |`);
    const page = new TextDecoder().decode(files.files.get('report.html'));
    expect(page).toContain(interval);
    const picture = new TextDecoder().decode(files.files.get('plots/run_lsat_train_epoch_0.svg'));
    // The bar of the one layer of few rows.
    expect(picture).toMatch(/stroke-width="5"[^>]*opacity="0.28"|opacity="0.28"[^>]*stroke-width="5"/);
  });

  it('knows the saturation also if it was not asked for', async () => {
    const recorded = new RecordingStore();
    const model = dense.build();
    const tracker = new SaturationTracker('unused', model, { stats: ['trace'], saveTo: [recorded] });
    const x = normalTensor([3000, 6], 1);
    tracker.record('val', () => tf.tidy(() => void model.predictOnBatch(x)));
    const [result] = await tracker.addSaturations();
    await tracker.close();
    expect(Object.keys(recorded.layer('val', 'hidden').values)).toEqual(['trace']);
    expect(recorded.layer('val', 'hidden').saturation).toBe(result.saturation);
    expect(result.saturation).toBe(result.intrinsicDimensionality / result.features);
  });
});
