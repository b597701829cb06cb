import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/folders.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Test runners that give each file an environment of its own, as Jest does, refuse `require` once the file's tests have ended.
 * Threads end, and what is open is written, after that.
 */
it('what runs after a training loads nothing: threads that end, timers, the exit of the program', () => {
  const program = `
    const Module = require('node:module');
    const threads = require('node:worker_threads');
    const workers = [];
    threads.Worker = class extends threads.Worker {
      constructor(...given) {
        super(...given);
        workers.push(this);
      }
    };
    const tf = require('@tensorflow/tfjs');
    const { SaturationTracker, summaryFileWriter, tensorBoard } = require('./dist/node/tfjs.cjs');
    const { SummaryWriter } = require('./dist/node/index.cjs');

    async function main(folder) {
      const layers = [
        tf.layers.dense({ inputShape: [8], units: 64, activation: 'relu', name: 'hidden' }),
        tf.layers.dense({ units: 2, name: 'output' }),
      ];
      const model = tf.sequential({ layers });
      model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
      const [xs, ys] = [tf.randomNormal([256, 8]), tf.randomNormal([256, 2])];
      const tracker = new SaturationTracker(folder + '/closed', model);
      const callbacks = [tracker, tensorBoard(folder + '/board', { histogramFreq: 1 })];
      await model.fit(xs, ys, { epochs: 2, verbose: 0, callbacks });
      await tracker.close();
      const open = new SaturationTracker(folder + '/open', model);
      await model.fit(xs, ys, { epochs: 2, verbose: 0, callbacks: open });
      open.record('train', () => model.predict(xs));
      summaryFileWriter(folder + '/tfjs-node').scalar('loss', 1, 1);
      const writer = new SummaryWriter(folder + '/writer');
      for (let step = 0; step < 10; step++) {
        writer.addScalar('loss', tf.scalar(1), step);
        writer.addImage('image', { data: new Uint8Array(40_000), shape: [100, 100, 4] }, step);
      }
      const late = [];
      const { require: load } = Module.prototype;
      Module.prototype.require = function (name) {
        if (this.filename?.includes('delve') || this.path?.includes('dist')) late.push(name);
        return load.call(this, name);
      };
      process.on('exit', () => console.log(JSON.stringify({ late, workers: workers.length })));
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    main(process.env.TEST_FOLDER);
  `;
  const env = { ...process.env, TEST_FOLDER: temporaryFolder(), NODE_NO_WARNINGS: '1' };
  const { stdout } = spawnSync(process.execPath, ['--eval', program], { cwd: root, encoding: 'utf8', env });
  const { late, workers } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { late: string[]; workers: number };
  expect(workers).toBeGreaterThan(0);
  expect(late).toEqual([]);
});
