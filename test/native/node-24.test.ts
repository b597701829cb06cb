import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { nodeOf } from '../support/runtimes.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const program = nodeOf(24);

const training = `
import { createRequire } from 'node:module';
const require = createRequire(${JSON.stringify(join(root, 'package.json'))});
const tf = require('@tensorflow/tfjs-node');
const { SaturationTracker } = await import(${JSON.stringify(new URL('../../dist/tfjs.js', import.meta.url).href)});
const model = tf.sequential({ layers: [tf.layers.dense({ units: 8, activation: 'relu', inputShape: [4] }), tf.layers.dense({ units: 1 })] });
model.compile({ optimizer: tf.train.adam(0.05), loss: 'meanSquaredError' });
const x = tf.randomNormal([256, 4], 0, 1, 'float32', 1);
const epochs = [];
const tracker = new SaturationTracker('unused', model, { saveTo: [{ add: (epoch) => void epochs.push(epoch) }] });
const { history } = await model.fit(x, x.sum(1, true), { epochs: 3, verbose: 0, callbacks: [tracker.callback()] });
await tracker.close();
console.log(JSON.stringify({ version: process.versions.node, backend: tf.getBackend(), losses: history.loss, epochs: epochs.length }));
`;

it.skipIf(program === undefined)('tfjs-node trains on Node 24 behind the fix, and not without it', () => {
  const run = (source: string) =>
    spawnSync(program as string, ['--input-type=module', '-e', source], { cwd: root, encoding: 'utf8' });
  const fix = `import ${JSON.stringify(new URL('../../dist/tfjs-node-fix.js', import.meta.url).href)};\n`;
  const { stdout, stderr } = run(fix + training);
  const found = JSON.parse(stdout.trim().split('\n').at(-1) ?? stderr) as {
    version: string;
    backend: string;
    losses: number[];
    epochs: number;
  };
  expect(found).toMatchObject({ version: expect.stringMatching(/^24\./), backend: 'tensorflow', epochs: 3 });
  expect(found.losses[2]).toBeLessThan(found.losses[0]);
  expect(run(training).stderr).toContain('isNullOrUndefined');
});
