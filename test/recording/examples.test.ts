import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { listRuns } from '../../src/index.js';
import { readHistory, reportHtml } from '../../src/reports.js';
import { packRuns, unpackRuns } from '../../src/view/packed-runs.js';
import { runsOfHistory } from '../../src/view/run-data.js';
import { temporaryFolder } from '../support/folders.js';
import { pointsOf, summariesOf } from '../support/read-run.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

// Each trains a network with another library, or with none.
it.each<[string, Record<string, number>, string[], string, number]>([
  ['by-hand', { hidden1: 48, hidden2: 48, digits: 10 }, ['train', 'val'], 'loss', 5],
  ['brain', { hidden1: 32, hidden2: 16, digits: 10 }, ['train', 'val'], 'error', 4],
  ['jax', { hidden1: 64, hidden2: 32 }, ['train'], 'loss', 5],
])(
  'examples/recorder/%s.mjs learns and writes the saturation of its layers',
  async (name, widths, splits, loss, epochs) => {
    const logdir = temporaryFolder();
    const { stdout } = await promisify(execFile)(process.execPath, [`examples/recorder/${name}.mjs`, logdir], {
      cwd: root,
    });
    expect(stdout.match(/^epoch \d: /gm)).toHaveLength(epochs);
    expect((await listRuns(logdir)).map(({ run }) => run).sort()).toEqual(['.', ...splits]);
    const losses = pointsOf(await summariesOf(logdir), loss).map(([, value]) => value as number);
    expect(losses).toHaveLength(epochs);
    expect(losses[epochs - 1]).toBeLessThan(losses[0]);
    for (const split of splits) {
      const summaries = await summariesOf(`${logdir}/${split}`);
      for (const [layer, width] of Object.entries(widths)) {
        const points = pointsOf(summaries, `saturation/${layer}`);
        expect(points.map(([step]) => step)).toEqual(Array.from({ length: epochs }, (_, epoch) => epoch + 1));
        for (const [, value] of points) {
          // A whole number of directions, in float32.
          const directions = (value as number) * width;
          expect(Math.abs(directions - Math.round(directions))).toBeLessThan(1e-5);
          expect(Math.round(directions)).toBeGreaterThan(1);
        }
      }
    }
  },
);

it('examples/recorder/wide.mjs measures a layer as wide as a vocabulary within bounds', async () => {
  const logdir = temporaryFolder();
  const { stdout } = await promisify(execFile)(process.execPath, ['examples/recorder/wide.mjs', logdir], { cwd: root });
  expect(stdout).toMatch(/^512 samples of 8000 words: 12 directions;$/m);
  expect(stdout).toMatch(/^the saturation is certainly from 0.0015 to 0.0015$/m);
  const history = await readHistory(logdir);
  const [{ layers }] = history.epochs;
  expect(layers).toMatchObject([{ layer: 'vocabulary', features: 8000, bounds: { low: 0.0015, high: 0.0015 } }]);
  const [run] = unpackRuns(packRuns(runsOfHistory(history)));
  expect(run.layers[0].isSketch).toBe(true);
  expect(await reportHtml(history)).toContain('8000, estimate');
});

it('examples/onnx/digits.mjs measures the layers of a trained model', async () => {
  const logdir = temporaryFolder();
  const { stdout } = await promisify(execFile)(process.execPath, ['examples/onnx/digits.mjs', logdir], { cwd: root });
  // As forward hooks on the torch modules saw it for other digits: see test/fixtures/onnx/digits.json.
  expect(stdout).toMatch(/^conv2: 1[67] of 32 directions, 0\.5/m);
  const tags = (await summariesOf(`${logdir}/val`)).map(({ tag }) => tag);
  for (const layer of ['conv1', 'enc/layers.0/linear1', 'fc2']) expect(tags).toContain(`saturation/${layer}`);
});

it('examples/distributed.mjs trains in three processes, and writes the saturation of what all of them saw', async () => {
  const logdir = temporaryFolder();
  const { stdout } = await promisify(execFile)(process.execPath, ['examples/distributed.mjs', logdir], { cwd: root });
  expect((await listRuns(logdir)).map(({ run }) => run).sort()).toEqual(['.', 'train']);
  const losses = [...stdout.matchAll(/^epoch \d: loss ([\d.]+)$/gm)].map(([, loss]) => Number(loss));
  expect(losses).toHaveLength(3);
  expect(losses[2]).toBeLessThan(losses[0]);
  const { epochs } = await readHistory(logdir);
  expect(epochs.map(({ step }) => step)).toEqual([1, 2, 3]);
  const lines = [
    ...stdout.matchAll(/^ {2}(\w+): ([\d.]+) of (\d+) rows; each alone ([\d., ]+), whose mean is ([\d.]+)$/gm),
  ];
  expect(lines).toHaveLength(9);
  for (const [i, [, layer, merged, rows, each, mean]] of lines.entries()) {
    const written = epochs[Math.floor(i / 3)].layers[i % 3];
    expect([written.layer, written.samples, `${rows}`]).toEqual([layer, 1536, '1536']);
    expect(written.values.saturation).toBeCloseTo(Number(merged), 3);
    expect(each.split(', ').map(Number)).toHaveLength(3);
    // Fewer rows show fewer directions.
    if (layer === 'hidden1') expect(Number(merged)).toBeGreaterThan(Number(mean) + 0.01);
  }
  const [, , whole, , alone] = lines[0];
  for (const path of ['docs/distributed.md', 'docs/scale.md']) {
    const text = readFileSync(`${root}/${path}`, 'utf8').replace(/\s+/g, ' ');
    expect(text, path).toContain(`say ${alone.replace(/, (?=[^,]*$)/, ' and ')} `);
    expect(text, path).toContain(`say${path.includes('scale') ? 's' : ''} ${whole}`);
  }
});
