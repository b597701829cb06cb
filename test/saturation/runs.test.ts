import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { decodeMessage } from '../../src/encoding/message-codec.js';
import type { TensorValue } from '../../src/event/event.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { readEvents } from '../../src/reader/read-events.js';
import type { EpochStatistics } from '../../src/saturation/epoch.js';
import { packageVersion, type SaturationNote, writeNote } from '../../src/saturation/note.js';
import { readHistories, readHistory } from '../../src/saturation/runs.js';
import { SaturationWriter } from '../../src/saturation/saturation-writer.js';
import { scalarStatNames, scalarStats } from '../../src/saturation/stats.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { EpochTable } from '../../src/stores/epoch-table.js';
import type { SaturationOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { temporaryFolder } from '../support/folders.js';
import { dense, normalTensor } from '../support/models.js';
import { pointsOf, summariesOf } from '../support/read-run.js';
import { RecordingStore } from '../support/recording-store.js';
import { refuse } from '../support/refuse.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();

/** Tracks one pass of so many rows per epoch and split; returns what the tracker measured. */
async function track(
  logdir: string,
  epochs: readonly Partial<Record<'train' | 'val', number>>[],
  options: SaturationOptions = {},
  firstStep?: number,
): Promise<EpochStatistics[]> {
  const recorded = new RecordingStore();
  const model = dense.build();
  const tracker = new SaturationTracker(logdir, model, { ...options, saveTo: ['tensorboard', recorded] });
  for (const [epoch, rows] of epochs.entries()) {
    for (const split of ['train', 'val'] as const) {
      if (rows[split] === undefined) continue;
      const x = normalTensor([rows[split], 6], rows[split]);
      tracker.record(split, () => tf.tidy(() => void model.predictOnBatch(x)));
    }
    await tracker.addSaturations(firstStep === undefined ? undefined : firstStep + epoch);
  }
  await tracker.close();
  return recorded.epochs;
}

/** The notes of a run with their steps, as JSON says them. */
async function notesOf(run: string): Promise<[number, SaturationNote][]> {
  const points = pointsOf(await summariesOf(run), 'saturation-note');
  return points.map(([step, value]) => {
    const [text] = (value as TensorValue).data as Uint8Array[];
    return [step, JSON.parse(new TextDecoder().decode(text))];
  });
}

describe('what a tracker wrote, read back', () => {
  it('is every number, with the width, the samples and the way of each layer', async () => {
    const logdir = temporaryFolder();
    const epochs = [{ train: 60, val: 30 }, { train: 60 }, { train: 80, val: 40 }];
    const measured = await track(logdir, epochs, { stats: [...scalarStatNames], threshold: 0.9, rule: 'delve' });
    const history = await readHistory(logdir);
    expect(history.epochs).toHaveLength(3);
    for (const [index, read] of history.epochs.entries()) {
      const { layers, ...epoch } = measured[index];
      expect(read).toMatchObject({ ...epoch, threshold: 0.9, rule: 'delve' });
      expect(read.layers).toHaveLength(layers.length);
      for (const { spectrum, covariance, ...layer } of layers) {
        const found = read.layers.find((each) => each.split === layer.split && each.layer === layer.layer);
        // TensorBoard has float32.
        const values = Object.fromEntries(Object.entries(layer.values).map(([stat, x]) => [stat, Math.fround(x)]));
        // That nothing trains a layer is for findings, and is not written.
        const { isFrozen: _, ...written } = layer;
        expect(found).toMatchObject({ ...written, values, saturation: Math.fround(layer.saturation) });
        expect(layer.strategy).toMatch(/float64/);
      }
    }
  });

  it('says how many rows were not finite', async () => {
    const logdir = temporaryFolder();
    const model = dense.build();
    const tracker = new SaturationTracker(logdir, model);
    tracker.observe('mine', tf.tensor2d([1, 2, Number.NaN, 4, 3, 7], [3, 2]), 'val');
    await tracker.addSaturations(7);
    await tracker.close();
    const { last } = await readHistory(logdir);
    expect(last).toMatchObject({ step: 7, layers: [{ layer: 'mine', samples: 2, rejected: 1, features: 2 }] });
  });

  it('ends where a training ended that went on from an earlier epoch', async () => {
    const logdir = temporaryFolder();
    // Crashed after six epochs; the checkpoint is that of the third, and the training ends after the fourth.
    await track(
      logdir,
      Array.from({ length: 6 }, (_, epoch) => ({ train: 50 + epoch, val: 20 })),
    );
    const [fourth] = await track(logdir, [{ train: 40, val: 30 }], { initialEpoch: 3 }, 4);
    for (const history of [await readHistory(logdir), (await readHistories(logdir)).get('.')!]) {
      expect(history.epochs.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
      expect(history.last!.layers.map(({ samples }) => samples)).toEqual([40, 40, 30, 30]);
      for (const { layer, saturation, split } of fourth.layers) {
        const found = history.last!.layers.find((each) => each.layer === layer && each.split === split);
        expect(found?.saturation).toBe(Math.fround(saturation));
      }
      expect(history.epochs[2].layers.map(({ samples }) => samples)).toEqual([52, 52, 20, 20]);
    }
    const raw = await readHistory(logdir, { raw: true });
    expect(raw.epochs.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('is read in time, however long the descriptions of its tags are', async () => {
    // Searched for a width with the square of its length in time, this would take hours.
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(join(logdir, 'train'));
    const description = `Width d = 8, first value from n = 90 samples. ${'d = 1 '.repeat(500_000)}`;
    writer.addScalar('saturation/fc', 0.5, 1, { description });
    writer.addScalar('saturation/other', 0.5, 1, { description: 'd = 1 '.repeat(500_000) });
    await writer.close();
    expect((await readHistory(logdir)).last?.layers).toMatchObject([
      { layer: 'fc', features: 8, samples: 90 },
      { layer: 'other', features: Number.NaN },
    ]);
  });

  it('is that of one experiment; those below one logdir are never mixed', async () => {
    const logdir = temporaryFolder();
    const saturations = { fold1: [0.125, 0.125, 0.25], 'deep/fold2': [0.5, 0.75], '.': [1] };
    for (const [experiment, values] of Object.entries(saturations)) {
      for (const split of ['train', 'val']) {
        const writer = new SummaryWriter(join(logdir, experiment, split));
        for (const [epoch, value] of values.entries()) writer.addScalar('saturation/dense', value, epoch + 1);
        await writer.close();
      }
    }
    // No experiment of a tracker's: nobody has to choose because of it.
    const other = new SummaryWriter(join(logdir, 'other/train'));
    other.addScalar('epoch_loss', 1, 1);
    await other.close();
    const histories = await readHistories(pathToFileURL(logdir));
    const read = [...histories].map(([name, { epochs }]) => [name, epochs.map(({ layers }) => layers[0].saturation)]);
    expect(read).toEqual([
      ['.', [1]],
      ['deep/fold2', [0.5, 0.75]],
      ['fold1', [0.125, 0.125, 0.25]],
    ]);
    await expect(readHistory(logdir)).rejects.toThrow(
      `readHistory: expected one experiment below '${logdir}', got 3: '.', 'deep/fold2', 'fold1'; pass the folder of one`,
    );
    const { epochs } = await readHistory(join(logdir, 'deep'));
    expect(epochs.map(({ layers }) => layers.map(({ saturation }) => saturation))).toEqual([
      [0.5, 0.5],
      [0.75, 0.75],
    ]);
  });

  it('goes on past a damaged file, and says so', async () => {
    const logdir = temporaryFolder();
    await track(logdir, [{ train: 60 }]);
    const damaged = join(logdir, 'train/0.tfevents');
    writeFileSync(damaged, 'this is no event file at all');
    const damages: string[] = [];
    const onDamage = (damage: string) => void damages.push(damage);
    expect((await readHistory(logdir, { onDamage })).epochs).toHaveLength(1);
    expect(damages).toEqual([expect.stringContaining(`Damaged record at byte 0 of ${damaged}`)]);
    await readHistory(logdir);
    expect(warnings).toContain(`readHistory: ${damages[0]}`);
  });

  it('holds no layer that the tracker did not measure, whatever tags others wrote beside it', async () => {
    const logdir = temporaryFolder();
    await track(logdir, [{ train: 60 }]);
    const other = new SummaryWriter(join(logdir, 'train'));
    other.addScalar('trace/stack', 5, 1);
    other.addScalar('saturation/color', 0.5, 1);
    await other.close();
    const history = await readHistory(logdir);
    expect(history.layerNames()).toEqual(['hidden', 'output']);
  });

  it('is read past a file that is damaged and one that cannot be read, with a warning for each', async () => {
    const logdir = temporaryFolder();
    await track(logdir, [{ train: 60 }, { train: 60 }]);
    const damaged = join(logdir, 'train/0.tfevents');
    const unread = join(logdir, 'train/1.tfevents');
    for (const path of [damaged, unread]) writeFileSync(path, new Uint8Array(20).fill(7));
    refuse('open', unread);
    const history = await readHistory(logdir);
    expect(history.epochs).toHaveLength(2);
    expect(warnings).toEqual([
      expect.stringMatching(`^readHistory: Damaged record at byte 0 of ${damaged}: its length has the checksum`),
      `readHistory: Unreadable from byte 0 of ${unread}: it cannot be read: EACCES: permission denied`,
    ]);
  });

  it('of version 0.1.0 holds every number too: the sentences of its tags say what notes say today', async () => {
    const folder = fileURLToPath(new URL('../fixtures/tracker-0.1.0', import.meta.url));
    const truth = EpochTable.parse(readFileSync(join(folder, 'expected.csv'), 'utf8'));
    const history = await readHistory(folder);
    expect(history.epochs.map(({ epoch, step }) => [epoch, step])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
    let compared = 0;
    for (const { epoch, threshold, rule, layers } of history.epochs) {
      expect([threshold, rule]).toEqual([0.975, 'delve']);
      expect(layers).toHaveLength(6);
      for (const { split, layer, samples, features, values } of layers) {
        const column = (name: string) => `${split === 'val' ? 'eval' : 'train'}-${name}_${layer}`;
        expect(samples).toBe(truth.value(epoch, column('samples')));
        expect(features).toBe(truth.value(epoch, column('features')));
        for (const stat of scalarStatNames) {
          const name = column(scalarStats[stat].column);
          if (!truth.columns.includes(name) || Number.isNaN(truth.value(epoch, name))) continue;
          expect(values[stat], `epoch ${epoch}, ${name}`).toBe(Math.fround(truth.value(epoch, name)));
          compared++;
        }
      }
    }
    // Six layers, three epochs and twelve statistics, without the drift of the first epoch and with no exponent of five or fewer eigenvalues.
    expect(compared).toBeGreaterThan(6 * 3 * 10);
    expect(history.scalars().map(({ name, split }) => `${split} ${name}`)).toContain('val epoch_loss');
  });
});

describe('the note in a run', () => {
  it('is one JSON object: the layers in order of depth, and how they were measured', async () => {
    const logdir = temporaryFolder();
    await track(logdir, [{ train: 60, val: 30 }], { stats: ['lsat', 'entropyRank', 'spectrum'], threshold: 0.9 });
    const strategy = 'float64 on the host';
    expect(await notesOf(join(logdir, 'val'))).toEqual([
      [
        1,
        {
          version: 1,
          writer: `delve-tensorboard ${packageVersion}`,
          split: 'val',
          threshold: 0.9,
          rule: 'paper',
          sampling: 'all',
          tags: { saturation: 'saturation', entropyRank: 'entropy-rank' },
          layers: [
            { name: 'hidden', features: 8, samples: 30, rejected: 0, strategy },
            { name: 'output', features: 3, samples: 30, rejected: 0, strategy, role: 'output' },
          ],
          // Two dense layers with biases, from 6 inputs to 8 and to 3.
          model: {
            name: expect.any(String),
            layers: 3,
            types: { Dense: 2, Dropout: 1 },
            parameters: 6 * 8 + 8 + 8 * 3 + 3,
          },
        },
      ],
    ]);
  });

  it('without roles, as earlier versions wrote it, or with one that this version does not know, is read all the same', async () => {
    const logdir = temporaryFolder();
    await track(logdir, [{ train: 60 }]);
    const [[, note]] = await notesOf(join(logdir, 'train'));
    for (const role of [undefined, 'gate', 7, null]) {
      const folder = temporaryFolder();
      const writer = new SummaryWriter(join(folder, 'train'));
      writeNote(writer, JSON.stringify({ ...note, layers: note.layers.map((layer) => ({ ...layer, role })) }), 1);
      writer.addScalar('saturation/output', 0.5, 1);
      await writer.close();
      const [layer] = (await readHistory(folder)).last?.layers ?? [];
      expect(layer).toMatchObject({ layer: 'output', features: 3, samples: 60, saturation: 0.5 });
      expect(layer.role).toBeUndefined();
    }
  });

  it('says which network it was, and the events when; a note that says nothing of it, or nonsense, is read all the same', async () => {
    const logdir = temporaryFolder();
    const before = Date.now() / 1000;
    await track(logdir, [{ train: 60, val: 30 }, { train: 60 }]);
    const { model, times } = await readHistory(logdir);
    const [all, ofLayers]: [number[], number[]] = [[], []];
    for (const split of ['train', 'val']) {
      for await (const { summary, wallTime } of readEvents(join(logdir, split))) {
        all.push(wallTime);
        if (summary?.some(({ tag }) => tag.startsWith('saturation/'))) ofLayers.push(wallTime);
      }
    }
    expect(times!.first).toBe(Math.min(...all));
    expect(times!.first).toBeGreaterThanOrEqual(before);
    // Texts and pictures, which are written behind all numbers, are not read.
    expect(times!.last).toBeGreaterThanOrEqual(Math.max(...ofLayers));
    expect(all).toContain(times!.last);
    expect(model).toMatchObject({ layers: 3, types: { Dense: 2, Dropout: 1 }, parameters: 83 });
    const [[, note]] = await notesOf(join(logdir, 'train'));
    for (const wrong of [undefined, 'net', { name: 'net', layers: '2', types: {} }, { name: 'net', layers: 2 }]) {
      const folder = temporaryFolder();
      const writer = new SummaryWriter(join(folder, 'train'));
      writeNote(writer, JSON.stringify({ ...note, model: wrong }), 1);
      writer.addScalar('saturation/output', 0.5, 1);
      await writer.close();
      const history = await readHistory(folder);
      expect(history.last?.layers[0]).toMatchObject({ layer: 'output', features: 3 });
      expect(history.model).toBeUndefined();
    }
  });

  it('a copy of a run, whose file is younger than what it holds, tells the times of what it holds', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(join(folder, 'train'));
    const description = 'Width d = 3, first value from n = 4 samples.';
    writer.addScalar('saturation/output', 0.5, 1, { wallTime: 1_000_000, description });
    writer.addScalar('saturation/output', 0.5, 2, { wallTime: 1_003_000 });
    await writer.close();
    expect((await readHistory(folder)).times).toEqual({ first: 1_000_000, last: 1_003_000 });
  });

  it('comes before the values, with what makes both of TensorBoard’s loaders keep it for a plugin', async () => {
    const logdir = temporaryFolder();
    await track(logdir, [{ train: 60 }]);
    const tags: string[] = [];
    let raw: Uint8Array | undefined;
    for await (const { summary } of readEvents(join(logdir, 'train'))) {
      for (const each of summary ?? []) {
        tags.push(each.tag);
        if (each.tag === 'saturation-note') raw = each.raw;
      }
    }
    expect(tags.indexOf('saturation-note')).toBeLessThan(tags.indexOf('saturation/hidden'));
    const { metadata, tensor } = decodeMessage(tensorboard.Summary.Value, raw!);
    expect(metadata!.pluginData!.pluginName).toBe('saturation');
    expect(JSON.parse(new TextDecoder().decode(metadata!.pluginData!.content!))).toEqual({ version: 1, kind: 'note' });
    expect(metadata!.dataClass).toBe(tensorboard.DataClass.DATA_CLASS_TENSOR);
    expect(tensor!.dtype).toBe(tensorboard.DataType.DT_STRING);
    expect(tensor!.tensorShape!.dim).toEqual([]);
  });

  it('is written once, and again at an epoch that it does not fit', async () => {
    const logdir = temporaryFolder();
    await track(logdir, [{ train: 60, val: 30 }, { train: 60, val: 30 }, { train: 80, val: 30 }, { train: 80 }]);
    const samples = async (split: string) =>
      (await notesOf(join(logdir, split))).map(([step, { layers }]) => [step, layers[0].samples]);
    expect(await samples('train')).toEqual([
      [1, 60],
      [3, 80],
    ]);
    expect(await samples('val')).toEqual([[1, 30]]);
  });

  it('is written anew by a tracker that goes on, so that each program’s values have its own', async () => {
    const logdir = temporaryFolder();
    await track(logdir, [{ train: 60 }, { train: 60 }], { threshold: 0.9 });
    await track(logdir, [{ train: 60 }], { threshold: 0.8, initialEpoch: 1 });
    const history = await readHistory(logdir);
    expect(history.epochs.map(({ step, threshold }) => [step, threshold])).toEqual([
      [1, 0.9],
      [2, 0.8],
    ]);
  });

  it.each([
    ['is no JSON', 'version 1'],
    ['is null', 'null'],
    ['is of a later version', '{"version":2,"threshold":0.5,"rule":"paper","tags":{},"layers":[]}'],
    ['lacks a member', '{"version":1,"threshold":0.5,"rule":"paper","layers":[]}'],
    [
      'holds another type',
      '{"version":1,"threshold":0.5,"rule":"paper","tags":{},"layers":[{"name":"fc","samples":"9"}]}',
    ],
  ])('that %s is passed over: the sentences beside it say the same', async (_, json) => {
    const logdir = temporaryFolder();
    const writer = new SaturationWriter(join(logdir, 'train'));
    writeNote(writer, json, 1);
    writer.addSaturation('fc', Spectrum.fromEigenvalues([5, 3, 2, 0], { samples: 640 }), 1, { threshold: 0.75 });
    await writer.close();
    expect((await readHistory(logdir)).last).toMatchObject({
      threshold: 0.75,
      layers: [{ layer: 'fc', samples: 640, features: 4, saturation: 0.5, intrinsicDimensionality: 2 }],
    });
  });

  it('names the version that package.json has', () => {
    const path = fileURLToPath(new URL('../../package.json', import.meta.url));
    expect(JSON.parse(readFileSync(path, 'utf8')).version).toBe(packageVersion);
  });
});
