import type { Worker as NodeWorker, WorkerOptions } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WorkerAccumulator } from '../../src/activations/accumulate/on-worker.js';
import type { ActivationView } from '../../src/recording/samples.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { RemoteAccumulators } from '../../src/statistics/threads/remote-accumulators.js';
import { solveAccumulator } from '../../src/statistics/threads/solve.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { backends, useBackend } from '../support/backends.js';
import { dense } from '../support/models.js';
import { normals } from '../support/random.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

const { started } = vi.hoisted(() => ({ started: [] as NodeWorker[] }));

/** Threads that can be killed from within, and that have little memory. */
vi.mock('node:worker_threads', async (original) => {
  const module = await original<typeof import('node:worker_threads')>();
  const killing = `
    process.getBuiltinModule('node:worker_threads').parentPort.on('message', (message) => {
      if (message.kill === 'process.exit') process.exit(7);
      if (message.kill === 'an exception') throw new Error('on purpose');
      const rows = [];
      while (message.kill === 'no memory') rows.push(new Array(1e5).fill(rows));
    });`;
  class Worker extends module.Worker {
    constructor(source: string, options: WorkerOptions) {
      super(killing + source, { ...options, resourceLimits: { maxOldGenerationSizeMb: 60 } });
      started.push(this);
    }
  }
  return { ...module, Worker };
});

const warnings = catchWarnings();
const view: ActivationView = {
  kind: 'sequence',
  spatialRank: 0,
  channelsFirst: false,
  convMethod: 'channelwise',
  timeseriesMethod: 'tokens',
};

const open: RemoteAccumulators[] = [];
afterEach(() => {
  for (const thread of open.splice(0)) thread.close();
  started.length = 0;
});

async function startThread(): Promise<RemoteAccumulators> {
  const thread = RemoteAccumulators.start()!;
  open.push(thread);
  await vi.waitFor(() => expect(thread.isRunning).toBe(true), 120_000);
  return thread;
}

/** Adds 20 rows of 4 features; `seed` says which. */
function add(accumulator: WorkerAccumulator, seed: number): void {
  tf.tidy(() => accumulator.add({ output: tf.tensor2d(normals(80, seed), [20, 4]), view, items: 20 }));
}

/** What rows of these seeds come to. */
function expected(...seeds: number[]) {
  const here = new CovarianceAccumulator(4);
  for (const seed of seeds) here.update(Float32Array.from(normals(80, seed)));
  return solveAccumulator(here);
}

const deaths = ['process.exit', 'an exception', 'no memory', 'terminate'];

function kill(worker: NodeWorker, how: string): void {
  if (how === 'terminate') void worker.terminate();
  else worker.postMessage({ type: 'kill', kill: how });
}

describe('a worker thread that dies', () => {
  beforeAll(() => useBackend('cpu'));

  describe.each(deaths)('by %s', (how) => {
    it('takes the statistics of the period with it, which is said, and the next ones are right', async () => {
      const thread = await startThread();
      const accumulator = new WorkerAccumulator(thread, 'layer', false);
      const idle = new WorkerAccumulator(thread, 'idle', false);
      add(accumulator, 1);
      expect((await accumulator.solve({}, true).result)?.solved).toEqual(expected(1));
      add(accumulator, 2);
      expect(accumulator.snapshot()?.used).toBe(20);
      kill(started[0], how);
      add(accumulator, 3);
      await vi.waitFor(() => expect(thread.failure).toBeDefined(), 120_000);
      expect(thread.isRunning).toBe(false);
      add(accumulator, 4);
      add(idle, 4);
      expect(() => accumulator.snapshot()).toThrow(/expected the sums of a worker thread, which is lost/);
      const lost = accumulator.solve({}, true);
      await expect(lost.result).rejects.toThrow(/which is lost \(.*\): there are none of the rows so far/);
      expect(() => lost.now(0)).toThrow(/which is lost/);
      expect((await idle.solve({}, true).result)?.solved).toEqual(expected(4));
      add(accumulator, 5);
      add(accumulator, 6);
      expect(accumulator.snapshot()?.used).toBe(40);
      expect(accumulator.strategy).toBe('float64 on the host');
      expect((await accumulator.solve({}, true).result)?.solved).toEqual(expected(5, 6));
      expect(await accumulator.solve({}, true).result).toBeUndefined();
    });

    it('is noticed by who waits for its answer, and a sample that grows goes on from there', async () => {
      const thread = await startThread();
      const accumulator = new WorkerAccumulator(thread, 'layer', false);
      add(accumulator, 1);
      kill(started[0], how);
      await expect(accumulator.solve({}, false).result).rejects.toThrow();
      add(accumulator, 2);
      await expect(accumulator.solve({}, false).result).rejects.toThrow(/which is lost/);
      add(accumulator, 3);
      expect((await accumulator.solve({}, false).result)?.solved).toEqual(expected(2, 3));
      add(accumulator, 4);
      expect((await accumulator.solve({}, false).result)?.solved).toEqual(expected(2, 3, 4));
    });
  });

  it('loses rows that were merged into it, and says so', async () => {
    const thread = RemoteAccumulators.start()!;
    open.push(thread);
    const accumulator = new WorkerAccumulator(thread, 'layer', false);
    add(accumulator, 1); // before the thread runs
    await vi.waitFor(() => expect(thread.isRunning).toBe(true), 120_000);
    add(accumulator, 2);
    expect((await accumulator.solve({}, false).result)?.solved.count).toBe(40);
    kill(started[0], 'terminate');
    await vi.waitFor(() => expect(thread.failure).toBeDefined(), 120_000);
    await expect(accumulator.solve({}, true).result).rejects.toThrow(/which is lost/);
  });
});

// Layers are accumulated in a thread on the native backend only.
describe.runIf(backends.includes('tensorflow'))('a training whose worker thread dies', () => {
  beforeAll(() => useBackend('tensorflow'));

  it.each(deaths)('by %s goes on, with all epochs but that one', async (how) => {
    const model = dense.build();
    const [x, y] = [dense.inputs(64, 1), dense.targets(64, 2)] as tf.Tensor[];
    const store = new RecordingStore();
    const start = vi.spyOn(RemoteAccumulators, 'start');
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    const threads = () => start.mock.results.map(({ value }) => value as RemoteAccumulators);
    const killing = {
      // On a busy machine a thread takes long to start, and is not sent anything before.
      onEpochBegin: (epoch: number) =>
        vi.waitFor(() => {
          for (const { failure, isRunning } of threads()) expect(isRunning || failure !== undefined).toBe(true);
          expect(store.epochs.length).toBeGreaterThanOrEqual(Math.min(epoch, 2));
        }, 120_000),
      onBatchEnd: async (batch: number) => {
        if (store.epochs.length < 2 || batch !== 1 || started.length === 0) return;
        const [worker] = started.splice(0);
        const exit = new Promise((resolve) => worker.once('exit', resolve));
        kill(worker, how);
        await exit;
      },
    };
    const { history } = await model.fit(x, y, { epochs: 6, batchSize: 8, verbose: 0, callbacks: [tracker, killing] });
    expect(history.loss).toHaveLength(6);
    await expect(tracker.close()).rejects.toThrow(/which is lost/);
    const rows = store.epochs.map(({ layers }) => layers.map(({ samples }) => samples));
    expect(rows.filter((each) => each.length === 0)).toHaveLength(1);
    expect(rows.at(-1)).toEqual([64, 64]);
    for (const each of rows) if (each.length > 0) expect(each).toEqual([64, 64]);
    expect(warnings.filter((warning) => warning.includes('which is lost'))).toHaveLength(2);
    start.mockRestore();
    tf.dispose([x, y]);
    model.dispose();
  });
});
