import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventsIn, type Point, scalarsOf } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';

let programs: Programs;
/** The run of a program that awaits its two epochs, with which those that end early are compared. */
let awaited: string;
beforeAll(async () => {
  programs = new Programs('src/tfjs.ts');
  programs.add('src/index.ts');
  awaited = temporaryFolder(afterAll);
  await programs.run(`${program()} await epoch(1); await epoch(10); await tracker.close();`, [awaited]);
});
afterAll(() => programs.remove());

/** Tracks activations of its own making, which are the same each time; `epoch` records those of an epoch and ends it. */
const program = (options = '{}') => `
  import * as tf from '@tensorflow/tfjs-core';
  import '@tensorflow/tfjs-backend-cpu';
  import * as layers from '@tensorflow/tfjs-layers';
  import { SaturationTracker } from './src/tfjs.js';
  await tf.setBackend('cpu');
  const dense = layers.layers.dense({ units: 4, inputShape: [4] });
  const model = layers.sequential({ layers: [dense] });
  const tracker = new SaturationTracker(process.argv[2], model, ${options});
  const epoch = (seed, features = 64) => {
    for (const name of ['a', 'b']) {
      for (const split of ['train', 'val']) tracker.observe(name, tf.randomNormal([200, features], 0, 1, 'float32', seed++), split);
    }
    return tracker.addSaturations();
  };
`;

const saturations = (logdir: string, run: string): Point[] =>
  existsSync(join(logdir, run))
    ? scalarsOf(eventsIn(join(logdir, run))).filter(({ tag }) => tag.startsWith('saturation/'))
    : [];

describe.each([
  ['process.exit()', 'process.exit(3);', 3],
  ['an uncaught exception', "throw new Error('on purpose');", 1],
  ['process.exit() in a listener of exit', "process.on('exit', () => process.exit(5)); process.exit(3);", 5],
])('at %s', (_, end, code) => {
  it.each([
    ['epochs that are being solved before the worker thread runs', 'epoch(1); epoch(10);'],
    ['an epoch that the worker thread is solving', 'await epoch(1); epoch(10);'],
    [
      'an epoch whose answer has come and was not heard',
      'await epoch(1); epoch(10); for (const end = Date.now() + 200; Date.now() < end; );',
    ],
  ])('%s are written as they would be otherwise', async (_, act) => {
    const logdir = temporaryFolder();
    const ending = await programs.run(program() + act + end, [logdir]);
    expect(ending.code).toBe(code);
    for (const run of ['train', 'val']) {
      const expected = saturations(awaited, run);
      expect(expected.length).toBe(4);
      expect(saturations(logdir, run)).toEqual(expected);
    }
    expect(ending.stderr).not.toContain('At exit');
  });
});

it.each(['SIGINT', 'SIGTERM'])(
  'with handleSignals, %s ends the program when the epochs that are being solved are written',
  async (signal) => {
    const logdir = temporaryFolder();
    const { signal: ended } = await programs.run(
      `${program('{ handleSignals: true }')} epoch(1); epoch(10); setInterval(() => {}, 1000); process.kill(process.pid, '${signal}');`,
      [logdir],
    );
    expect(ended).toBe(signal);
    for (const run of ['train', 'val']) {
      expect(saturations(awaited, run)).toHaveLength(4);
      expect(saturations(logdir, run)).toEqual(saturations(awaited, run));
    }
  },
);

it.each([
  ['recorded, never ended', "tracker.record('train', () => model.predict(tf.ones([9, 4])));", true],
  ['observed, never ended', "tracker.observe('a', tf.ones([9, 4]), 'val');", true],
  [
    'recorded behind the last epoch',
    "await epoch(1); tracker.record('val', () => model.predict(tf.ones([9, 4])));",
    true,
  ],
  ['ended', 'epoch(1);', false],
  ['left out by close, which says so itself', "tracker.observe('a', tf.ones([9, 4]), 'val'); tracker.close();", false],
  [
    'none: the tracker was stopped',
    "tracker.stop(); tracker.record('val', () => model.predict(tf.ones([9, 4])));",
    false,
  ],
])('rows that were %s are told of at exit if they are lost', async (_, act, isTold) => {
  for (const end of ['', 'process.exit(0);']) {
    const { stderr } = await programs.run(program() + act + end, [temporaryFolder()]);
    const told = /At exit the rows that were recorded for epoch [12] are in no file: addSaturations\(\) ends/;
    if (isTold) expect(stderr).toMatch(told);
    else expect(stderr).not.toMatch(told);
  }
});

it('spectra that would take longer than a second are reported by number and name, and the others are written', async () => {
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `${program("{ stats: ['lsat', 'embedding'] }")}
    tracker.observe('wide', tf.randomNormal([8, 1500], 0, 1, 'float32', 1), 'train');
    tracker.observe('wide', tf.randomNormal([8, 1500], 0, 1, 'float32', 1), 'val');
    epoch(1, 16);
    process.exit(0);`,
    [logdir],
  );
  expect(ending.stderr).toContain(
    "At exit 2 spectra of epoch 1 would have taken more than a second to solve, and there is no saturation of 'wide' (train), 'wide' (val)",
  );
  expect(saturations(logdir, 'train').map(({ tag }) => tag)).toEqual(['saturation/a', 'saturation/b']);
});

it('stores that need not be awaited get the epochs, and the others are named', async () => {
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `${program("{ saveTo: ['tensorboard', 'csv', 'console'] }")}
    await epoch(1);
    epoch(10);
    epoch(20);
    process.exit(0);`,
    [logdir],
  );
  for (const number of [0, 1, 2]) expect(ending.stdout).toContain(`epoch ${number}`);
  expect(ending.stderr).toContain("At exit the store 'csv' had not saved epochs 2, 3: await close()");
  expect(ending.stderr).not.toContain("'console'");
  expect(readFileSync(`${logdir}.csv`, 'utf8').trim().split('\n').length).toBe(2);
});

it('nothing is said of a tracker that is closed, nor of one that has no epoch to write', async () => {
  const ending = await programs.run(`${program()} await epoch(1); await tracker.close(); process.exit(0);`, [
    temporaryFolder(),
  ]);
  expect(ending.stderr).not.toContain('At exit');
  const idle = await programs.run(`${program()} await epoch(1); process.exit(0);`, [temporaryFolder()]);
  expect(idle.stderr).not.toContain('At exit');
});
