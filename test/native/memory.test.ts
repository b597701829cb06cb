import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

const program = `
  import { createRequire } from 'node:module';
  import * as tf from '@tensorflow/tfjs';
  import { SaturationTracker } from './dist/tfjs.js';
  createRequire(process.cwd() + '/x')('@tensorflow/tfjs-node');
  await tf.setBackend('tensorflow');
  const layer = (units, inputShape) => tf.layers.dense({ units, activation: 'relu', inputShape });
  const model = tf.sequential({ layers: [layer(512, [784]), layer(512), layer(512), layer(10)] });
  model.compile({ optimizer: tf.train.momentum(0.01, 0.9), loss: 'meanSquaredError' });
  const [x, y] = [tf.randomNormal([128, 784]), tf.randomNormal([128, 10])];
  const tracker = new SaturationTracker('unused', model, { saveTo: [{ add() {} }] });
  const train = async (steps) => {
    for (let i = 0; i < steps; i++) {
      tf.dispose(await tracker.record('train', () => model.trainOnBatch(x, y)));
      if (i % 8 === 7) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  await train(100);
  const before = process.resourceUsage().minorPageFault;
  await train(150);
  console.log((process.resourceUsage().minorPageFault - before) / 150);
  await tracker.close();`;

const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };

it.skipIf(header.glibcVersionRuntime === undefined)(
  'steps find the memory of the steps before: they ask no pages of the system',
  () => {
    const said = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
    // The rows that are read of one layer are 64 pages. Without what the tracker does about it, it is 120 to 220 pages a step.
    expect(Number(said.trim().split('\n').at(-1))).toBeLessThan(40);
  },
);
