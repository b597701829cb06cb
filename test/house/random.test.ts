import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/folders.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Where code, without its comments, asks `Math` for `random`, or hands `Math` on to be asked under another name. */
function drawsIn(code: string): string[] {
  const withoutComments = code.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|\s\/\/ .*$/gm, '');
  return withoutComments.match(/\bMath\s*(?:\?\.|\.|\[\s*['"`])\s*random\b|[=(,:]\s*Math\s*[;,)}]/g) ?? [];
}

it('no source draws from Math.random, by which TensorFlow.js shuffles and initializes', () => {
  const names = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
  const sources = names.filter((name) => /\.ts$/.test(name) && !/\.as\.ts$|\bgenerated\b/.test(name));
  expect(sources.length).toBeGreaterThan(100);
  const draws = sources.flatMap((name) =>
    drawsIn(readFileSync(join(root, 'src', name), 'utf8')).map((draw) => `${name}: ${draw}`),
  );
  expect(draws).toEqual([]);
});

it('the search finds what it looks for', () => {
  expect(drawsIn('const a = Math.random(); // Math.random\n/* Math.random */')).toEqual(['Math.random']);
  expect(drawsIn("const { random } = Math; Math['random']; Math.max(1);")).toEqual(['= Math;', "Math['random"]);
});

it('imports, writers, stores and readers draw none', () => {
  const program = `
    await import('@tensorflow/tfjs'); // which draws one itself
    let draws = 0;
    Math.random = () => ++draws / 1e9;
    const doors = ['', '/tfjs', '/object-stores', '/onnx', '/reports', '/scale', '/view'];
    const [{ listRuns, readEvents, SaturationRecorder, SummaryWriter }] = await Promise.all(
      doors.map((door) => import('delve-tensorboard' + door)),
    );
    const folder = process.env.TEST_FOLDER;
    const writer = new SummaryWriter(folder + '/written');
    writer.addScalar('loss', 1, 0);
    writer.addHistogram('values', [1, 2, 3], 0);
    writer.addImage('image', [[1]], 0);
    writer.addEmbedding('points', [[1, 2], [3, 4]], 0);
    await writer.close();
    const stats = ['saturation', 'embedding', 'twoNN'];
    const recorder = new SaturationRecorder(folder + '/recorded', { saveTo: ['tensorboard', 'csv', 'npy'], stats });
    const data = Float32Array.from({ length: 200 }, (_, i) => Math.sin(i * i));
    recorder.observe('hidden', { data, shape: [100, 2] }, 'train');
    await recorder.addSaturations();
    await recorder.close();
    let events = 0;
    for (const { run } of await listRuns(folder)) for await (const _ of readEvents(folder + '/' + run)) events++;
    console.log(JSON.stringify({ draws, events: events > 5 }));
  `;
  const args = ['--input-type=module', '--eval', program];
  const env = { ...process.env, TEST_FOLDER: temporaryFolder() };
  const { stderr, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', env });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ draws: 0, events: true });
});
