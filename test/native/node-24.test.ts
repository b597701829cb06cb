import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Node 24, as a package that holds the program for this system; undefined if it cannot be had. */
function node24(): string | undefined {
  const { platform, arch } = process;
  const name = `node-${platform === 'win32' ? 'win' : platform}-${arch}`;
  const folder = join(root, 'node_modules/.cache/node-24');
  const program = join(folder, 'node_modules', name, 'bin', platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"private":true}');
    const npm = platform === 'win32' ? 'npm.cmd' : 'npm';
    const args = ['install', `${name}@24`, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
    spawnSync(npm, args, { cwd: folder, timeout: 120_000, stdio: 'ignore' });
  }
  return existsSync(program) ? program : undefined;
}

const program = node24();
if (program === undefined) console.error('SKIPPED Node 24: it could not be installed');

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
