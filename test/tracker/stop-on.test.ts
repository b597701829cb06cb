import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { FindingKind } from '../../src/insight/findings.js';
import { resolveOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { temporaryFolder } from '../support/folders.js';
import { normalTensor } from '../support/models.js';

const folder = temporaryFolder(afterAll);
beforeAll(() => tf.setBackend('cpu'));

/** Trains a ReLU network for 12 epochs; returns how many of them ran, and what was warned of. */
async function epochsRun(name: string, learningRate: number, stopOn: FindingKind[] | undefined) {
  const said = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const model = tf.sequential({
    layers: [
      tf.layers.dense({
        name: 'hidden',
        inputShape: [6],
        units: 16,
        activation: 'relu',
        kernelInitializer: tf.initializers.glorotUniform({ seed: 1 }),
      }),
      tf.layers.dense({ units: 1, kernelInitializer: tf.initializers.glorotUniform({ seed: 2 }) }),
    ],
  });
  model.compile({ optimizer: tf.train.sgd(learningRate), loss: 'meanSquaredError' });
  const [x, y] = [normalTensor([64, 6], 3), normalTensor([64, 1], 4)];
  const tracker = new SaturationTracker(join(folder, name), model, { stopOn });
  const { epoch } = await model.fit(x, y, {
    epochs: 12,
    batchSize: 16,
    shuffle: false,
    verbose: 0,
    callbacks: tracker,
  });
  await tracker.close().catch(() => {});
  const warnings = said.mock.calls.map(([text]) => String(text));
  said.mockRestore();
  tf.dispose([x, y]);
  model.dispose();
  return { epochs: epoch.length, warnings };
}

describe('stopOn', () => {
  it('ends a fit whose layer holds NaN, and says why', async () => {
    const { epochs, warnings } = await epochsRun('nan', 1e6, ['NaN', 'dead layer']);
    expect(epochs).toBeLessThan(12);
    expect(warnings.join('\n')).toMatch(
      /SaturationTracker: the training is stopped, as stopOn says\. Layer 'hidden' \(train\), epoch 1: \d+ of 64 rows/,
    );
  });

  it('lets a fit run that nothing is wrong with', async () => {
    const { epochs, warnings } = await epochsRun('well', 0.01, ['NaN', 'dead layer', 'collapse']);
    expect(epochs).toBe(12);
    expect(warnings.join('\n')).not.toContain('stopOn');
  });

  it.each([undefined, [], ['collapse'] as FindingKind[]])(
    'lets a fit run with %j, whatever is found',
    async (stopOn) => {
      expect((await epochsRun(`as it is ${stopOn}`, 1e6, stopOn)).epochs).toBe(12);
    },
  );

  it('ends a fit in the middle of an epoch where units are looked at there, and lets a listener run the model', async () => {
    const said = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const model = tf.sequential({
      layers: [
        tf.layers.dense({
          name: 'hidden',
          inputShape: [6],
          units: 16,
          activation: 'relu',
          biasInitializer: tf.initializers.constant({ value: -100 }),
        }),
        tf.layers.dense({ units: 1 }),
      ],
    });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const [x, y] = [normalTensor([640, 6], 3), normalTensor([640, 1], 4)];
    const tracker = new SaturationTracker(join(folder, 'within'), model, {
      stopOn: ['dead layer'],
      layers: ['hidden'],
      findEvery: 4,
    });
    const told: (number | undefined)[] = [];
    tracker.on('finding', ({ batch }) => {
      told.push(batch);
      tf.dispose(model.predict(x));
    });
    let batches = 0;
    const count = { onBatchEnd: async () => void batches++ };
    await model.fit(x, y, {
      epochs: 3,
      batchSize: 32,
      verbose: 0,
      callbacks: [tracker, count] as unknown as tf.CustomCallbackArgs,
    });
    await tracker.close();
    const texts = said.mock.calls.map(([text]) => String(text)).join('\n');
    said.mockRestore();
    expect([told, batches]).toEqual([[3], 4]);
    expect(texts).toMatch(
      /training is stopped, as stopOn says\. Layer 'hidden' \(train\), epoch 1, batch 4: 100 % of its 16/,
    );
    tf.dispose([x, y]);
    model.dispose();
  });

  it('is checked', () => {
    expect(() => resolveOptions({ stopOn: ['boredom' as 'NaN'] })).toThrow(
      /stopOn: expected one of 'collapse', .*boredom/,
    );
    expect(() => resolveOptions({ stopOn: 'NaN' as never })).toThrow(/stopOn: expected a list of findings, got .*NaN/);
  });
});

describe("a finding 'frozen layer'", () => {
  /** Layers found frozen in three epochs, where `freeze` and `thaw` are called before and after the model is compiled. */
  async function frozenLayers(name: string, freeze: (layer: tf.layers.Layer) => void, thaw = freeze) {
    const dense = (layer: string, units: number) => tf.layers.dense({ name: layer, units, activation: 'tanh' });
    const model = tf.sequential({
      layers: [tf.layers.inputLayer({ inputShape: [6] }), dense('first', 10), dense('second', 9), dense('third', 8)],
    });
    const layer = model.getLayer('second');
    freeze(layer);
    model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
    thaw(layer);
    const said = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const [x, y] = [normalTensor([64, 6], 3), normalTensor([64, 8], 4)];
    const tracker = new SaturationTracker(join(folder, name), model, { stats: ['weightAlpha'] });
    const found: string[] = [];
    tracker.on('finding', (finding) =>
      found.push(`${finding.kind}: ${finding.layer} ${finding.split} ${finding.epoch}`),
    );
    await model.fit(x, y, { epochs: 3, batchSize: 16, verbose: 0, validationSplit: 0.25, callbacks: tracker });
    await tracker.close();
    said.mockRestore();
    tf.dispose([x, y]);
    model.dispose();
    return found;
  }

  it('tells a layer that was set free without compiling again', async () => {
    const found = await frozenLayers(
      'forgotten',
      (layer) => {
        layer.trainable = false;
      },
      (layer) => {
        layer.trainable = true;
      },
    );
    expect(found).toEqual(['frozen layer: second train 1']);
  });

  it('tells nothing of a layer that is frozen on purpose, nor of layers that train', async () => {
    const freeze = (layer: tf.layers.Layer) => {
      layer.trainable = false;
    };
    expect(await frozenLayers('on purpose', freeze)).toEqual([]);
    expect(await frozenLayers('trained', () => {})).toEqual([]);
  });
});
