import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { readEvents, SaturationWriter, Spectrum, SummaryWriter } from '../../src/index.js';
import { writeNote } from '../../src/saturation/note.js';
import { unpackRuns } from '../../src/view/packed-runs.js';
import { dimensionsAt, type RunData, type RunOutline } from '../../src/view/run-data.js';
import { temporaryFolder } from '../support/folders.js';
import { normal } from '../support/random.js';
import {
  describeWithTensorBoard,
  LOADERS,
  pluginEnvironment,
  runPython,
  startTensorBoard,
  type TensorBoard,
} from './harness.js';

async function load(board: TensorBoard, run: string): Promise<RunData> {
  const { bytes } = await board.bytes('saturation/run', { run });
  return unpackRuns(bytes)[0];
}

/** Names that break careless code, on disk (runs) and in tags (layers). */
const hostileLayers = [
  '</script><img src=x onerror=alert(1)>',
  '"quotes" \'and\' `ticks`',
  '__proto__',
  'a/b/c',
  '層の名前',
  'x'.repeat(300),
];
const hostileRun = '<img src=x onerror=alert(1)> $& %2F';
const steps = 250;

describeWithTensorBoard.each(LOADERS)('the Saturation tab behind $loader', ({ fast }) => {
  let logdir = '';
  const written = new Map<string, Spectrum>();

  beforeAll(async () => {
    logdir = temporaryFolder(() => {});
    const next = normal(4);
    for (const run of ['net/train', 'net/val', `${hostileRun}/train`]) {
      const writer = new SaturationWriter(join(logdir, run));
      for (let step = 1; step <= (run === 'net/train' ? steps : 4); step++) {
        for (const [index, layer] of (run.startsWith('net') ? ['conv10', 'conv2'] : hostileLayers).entries()) {
          const width = 3 + 5 * index;
          const eigenvalues = Array.from({ length: width }, () => next() ** 2);
          const spectrum = Spectrum.fromEigenvalues(step === 3 ? eigenvalues.fill(0) : eigenvalues, {
            samples: 40 + step,
          });
          written.set(`${run} ${layer} ${step}`, spectrum);
          writer.addSaturation(layer, spectrum, step);
        }
        writer.addScalar('epoch_loss', step === 2 ? Number.NaN : 1 / step, step);
      }
      if (run === 'net/val') {
        const layers = [
          { name: 'conv10', features: 3, samples: 44, effectiveSamples: 22, rejected: 0 },
          { name: 'conv2', features: 8, samples: 44, rejected: 0, role: 'output' },
        ];
        const how = { threshold: 0.99, rule: 'paper', sampling: 'all', tags: { saturation: 'saturation' } };
        writeNote(writer, JSON.stringify({ version: 1, writer: 'a test', split: 'val', ...how, layers }), 4);
      }
      await writer.close();
    }
    const other = new SummaryWriter(join(logdir, 'nothing of ours'));
    other.addScalar('loss', 1, 1);
    await other.close();
    return async () => {};
  });

  it('lists the runs that hold saturation, and serves every spectrum with the count that the writer wrote', async () => {
    const board = await startTensorBoard(logdir, { fast, env: pluginEnvironment() });
    const plugins = await board.ask<Record<string, { enabled: boolean; tab_name: string }>>('/data/plugins_listing');
    expect(plugins.saturation).toMatchObject({ enabled: true, tab_name: 'Saturation' });
    const outlines = await board.ask<RunOutline[]>('saturation/runs');
    expect(outlines).toEqual([
      { name: `${hostileRun}/train`, experiment: hostileRun, split: 'train' },
      { name: 'net/train', experiment: 'net', split: 'train' },
      { name: 'net/val', experiment: 'net', split: 'val' },
    ]);
    let checked = 0;
    for (const { name } of outlines) {
      const run = await load(board, name);
      // In the order of depth, which is that of the first calls, and not of the names.
      expect(run.layers.map((layer) => layer.name)).toEqual(
        name.startsWith('net') ? ['conv10', 'conv2'] : hostileLayers,
      );
      expect(run).toMatchObject({ threshold: 0.99, rule: 'paper' });
      for (const layer of run.layers) {
        // All 250: TensorBoard alone keeps 100 (Rust) or 10 (Python) values of a tensor tag.
        expect(layer.points.map(({ step }) => step)).toEqual(
          Array.from({ length: name === 'net/train' ? steps : 4 }, (_, index) => index + 1),
        );
        const saturation = layer.stats.get('saturation');
        for (const [index, point] of layer.points.entries()) {
          const spectrum = written.get(`${name} ${layer.name} ${point.step}`);
          expect([...point.eigenvalues]).toEqual([...(spectrum?.eigenvalues ?? [])].map(Math.fround));
          expect(point).toMatchObject({ samples: 40 + point.step, rejected: 0, isEstimated: false });
          const share = Math.fround(dimensionsAt(point, 0.99, 'paper') / point.features);
          expect(share).toBe(saturation?.values[index]);
          checked++;
        }
      }
      const wallTimes: number[] = [];
      for await (const { summary, wallTime } of readEvents(join(logdir, name))) {
        if (summary?.some(({ plugin }) => plugin === 'saturation')) wallTimes.push(wallTime);
      }
      expect(run.times).toEqual({ first: Math.min(...wallTimes), last: Math.max(...wallTimes) });
      const loss = run.scalars.get('epoch_loss');
      expect(loss?.values.slice(0, 3)).toEqual([1, Number.NaN, Math.fround(1 / 3)]);
    }
    const { layers } = await load(board, 'net/val');
    expect(layers.map(({ role }) => role)).toEqual([undefined, 'output']);
    expect(layers[0].points.at(-1)).toMatchObject({ samples: 44, effectiveSamples: 22 });
    expect(checked).toBe(steps * 2 + 4 * 2 + 4 * hostileLayers.length);
  });

  it('serves its script as TensorBoard wants it, and says no to a run that is not there', async () => {
    const board = await startTensorBoard(logdir, { fast, env: pluginEnvironment() });
    const { type, bytes } = await board.bytes('saturation/index.js');
    expect(type).toMatch(/^text\/javascript/);
    expect(new TextDecoder().decode(bytes.subarray(-400))).toMatch(/render/);
    await expect(load(board, 'net')).rejects.toThrow(/404.*there is no run/s);
    await expect(board.bytes('saturation/run')).rejects.toThrow(/400.*expected the name of a run/s);
  });

  it('keeps as many values as the user asks for', async () => {
    const board = await startTensorBoard(logdir, {
      fast,
      env: pluginEnvironment(),
      args: ['--samples_per_plugin', 'saturation=7'],
    });
    const run = await load(board, 'net/train');
    expect(run.layers.map(({ points }) => points.length)).toEqual([7, 7]);
    expect(run.layers[0].points.at(-1)?.step).toBe(steps);
  });

  it('estimates the spectra of runs that version 0.1.0 wrote, in the order of their profile', async () => {
    const old = fileURLToPath(new URL('../fixtures/tracker-0.1.0', import.meta.url));
    const board = await startTensorBoard(old, { fast, env: pluginEnvironment() });
    const outlines = await board.ask<RunOutline[]>('saturation/runs');
    expect(outlines.length).toBeGreaterThan(0);
    for (const { name } of outlines) {
      const run = await load(board, name);
      for (const layer of run.layers) {
        expect(layer.points.length).toBeGreaterThan(0);
        expect(layer.points.every(({ isEstimated }) => isEstimated)).toBe(true);
        const dimensionality = layer.stats.get('intrinsicDimensionality');
        for (const [index, point] of layer.points.entries()) {
          // 30 buckets tell the count to within a tenth of the width.
          const off = Math.abs(
            dimensionsAt(point, run.threshold, run.rule) - (dimensionality?.values[index] ?? Number.NaN),
          );
          expect(off).toBeLessThanOrEqual(Math.max(1, 0.15 * point.features));
        }
      }
    }
  });

  it.each([
    ['2.12.3', true],
    ['2.9', true],
    ['2.21.0', false],
    ['3.0.0a1', false],
    [undefined, false],
  ])('in TensorBoard %s it may say that it was not tested', (version, says) => {
    const said = runPython(
      `from tensorboard import version
${version === undefined ? '' : `version.VERSION = '${version}'`}
from types import SimpleNamespace
from tensorboard_plugin_saturation import plugin
print(plugin.SaturationLoader().load(SimpleNamespace(data_provider=None)).plugin_name)`,
      pluginEnvironment(),
    );
    expect(said).toContain('saturation\n');
    const warning = `expected TensorBoard 2.21 or newer, got ${version}: the tab was not tested with it`;
    expect(said.includes(warning)).toBe(says);
    if (!says) expect(said).toBe('saturation\n');
  });

  it('is there and says that it has no runs where the logdir has none of ours', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(join(folder, 'a'));
    writer.addScalar('loss', 1, 1);
    await writer.close();
    const board = await startTensorBoard(folder, { fast, env: pluginEnvironment() });
    expect(await board.ask('saturation/runs')).toEqual([]);
    const plugins = await board.ask<Record<string, { enabled: boolean }>>('/data/plugins_listing');
    expect(plugins.saturation.enabled).toBe(false);
  });
});
