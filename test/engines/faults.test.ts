import { setTimeout as sleep } from 'node:timers/promises';
import { createPostgresBackend, Queue } from 'bullmq';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bullmqEngine, nameOf, type Plan, PlanError, type PlanNode } from '../../src/scale.js';
import { S3Server } from '../support/s3-server.js';
import { cleanUp, local, quick, standing, syntheticPlan, temporaryFolder, until, WorkerProcess } from './harness.js';
import { type QueueServer, queueServers } from './servers.js';

const nameOfShard = (shard: string) => nameOf({ level: 0, index: Number(shard.slice(2)) });

describe.each(queueServers)('workers of a queue on $name', ({ name, start, missing }) => {
  const test = it.skipIf(missing !== undefined);
  let server: QueueServer;
  beforeAll(async () => {
    if (missing === undefined) server = await start();
  });
  afterEach(cleanUp);
  afterAll(() => server?.close());

  /** Enters nodes once more, beside the plan, as an engine that delivers at least once may. */
  async function enterAgain(of: Plan, nodes: readonly PlanNode[]): Promise<void> {
    const queue =
      name === 'Redis'
        ? new Queue(`delve-${of.id}`, { connection: { url: server.url } })
        : (new Queue(`delve-${of.id}`, { connection: server.url }, createPostgresBackend) as unknown as Queue);
    for (const [i, node] of nodes.entries()) await queue.add('again', node, { jobId: `again-${i}` });
    await queue.close();
  }

  test('may die in a shard, fall asleep for longer than their lock, and be given nodes twice', async () => {
    const of = syntheticPlan(64);
    const engine = { connection: server.url, ...quick };
    const folder = temporaryFolder();
    await bullmqEngine(engine).submit(of);
    await enterAgain(
      of,
      [3, 3, 40].map((index) => ({ level: 0, index })),
    );
    await enterAgain(of, [{ level: 1, index: 2 }]);
    const waiting = bullmqEngine(engine).wait(of);

    const held = { engine, folder, holdAt: 5 };
    const [first, second, sleeper] = await Promise.all([1, 2, 3].map(() => WorkerProcess.start(of, held)));
    const last = await WorkerProcess.start(of, { engine, folder, batchMillis: 5 });
    const shards = [];
    for (const worker of [first, second, sleeper]) shards.push((await worker.hears('held')).shard);
    first.kill();
    second.kill();
    sleeper.kill('SIGSTOP');
    const missed = nameOfShard(shards[2]);
    await until(() => last.told.find((told) => told.kind === 'made' && nameOf(told.node) === missed));
    sleeper.kill('SIGCONT');
    sleeper.process.send('go');

    await sleeper.hears('same'); // its partial is the one that stands already
    const root = await waiting;
    expect(root.digest).toBe((await local(of)).digest);
    // Locks run out one after the other, and workers tell it over a channel of their own.
    const hasStalled = (node: string) =>
      [last, sleeper].some(({ told }) => told.some((each) => each.kind === 'stalled' && each.node === node));
    for (const shard of shards) await until(() => hasStalled(nameOfShard(shard)));
    expect(root.layers).toMatchObject([
      { layer: 'dense', features: 256, rows: 64 * 399, rejected: 64 },
      { layer: 'head', features: 10, rows: 64 * 399, rejected: 64 },
    ]);
  });

  test('outlive the server of the queue, twice', async () => {
    const of = syntheticPlan(64);
    const engine = { connection: server.url, ...quick };
    const folder = temporaryFolder();
    await bullmqEngine(engine).submit(of);
    const waiting = bullmqEngine(engine).wait(of);
    const settings = { engine, folder, batchMillis: 10 };
    const workers = await Promise.all([1, 2].map(() => WorkerProcess.start(of, settings)));
    for (const atLeast of [10, 30]) {
      await until(async () => (await standing(of, folder)).length >= atLeast);
      await server.kill();
      await sleep(1000); // long enough that they notice
      await server.restart();
    }
    expect((await waiting).digest).toBe((await local(of)).digest);
    expect(workers.flatMap(({ told }) => told).some(({ kind }) => kind === 'connection')).toBe(true);
  });

  test('compute what is missing when the queue has forgotten the plan and it is submitted again', async () => {
    const of = syntheticPlan(64);
    const engine = { connection: server.url, ...quick };
    const folder = temporaryFolder();
    await bullmqEngine(engine).submit(of);
    const forgotten = bullmqEngine(engine).wait(of);
    forgotten.catch(() => {});
    const settings = { engine, folder, batchMillis: 10 };
    const workers = await Promise.all([1, 2].map(() => WorkerProcess.start(of, settings)));
    await until(async () => (await standing(of, folder)).length >= 20);
    await server.forget();
    const stood = new Set(await standing(of, folder));
    await expect(forgotten).rejects.toThrow(/does not have the plan. Submit it/);

    await bullmqEngine(engine).submit(of);
    expect((await bullmqEngine(engine).wait(of)).digest).toBe((await local(of)).digest);
    const mapped = workers.flatMap(({ told }) => told.flatMap((each) => (each.kind === 'map' ? [each.shard] : [])));
    expect(stood.size).toBeLessThan(64);
    for (const shard of of.shards) {
      if (stood.has(nameOfShard(shard))) expect(mapped.filter((each) => each === shard)).toHaveLength(1);
    }
    expect(new Set(mapped).size).toBe(64);
  });

  test('go on the next day, when queue and workers are gone', async () => {
    const of = syntheticPlan(24);
    const folder = temporaryFolder();
    const yesterday = await start();
    const before = { connection: yesterday.url, ...quick };
    await bullmqEngine(before).submit(of);
    const worker = await WorkerProcess.start(of, { engine: before, folder, batchMillis: 5 });
    await until(async () => (await standing(of, folder)).length >= 10);
    worker.kill();
    await yesterday.close();
    const maps = (await standing(of, folder)).filter((node) => node.startsWith('map-'));

    const engine = { connection: server.url, ...quick };
    await bullmqEngine(engine).submit(of);
    const another = await WorkerProcess.start(of, { engine, folder });
    expect((await bullmqEngine(engine).wait(of)).digest).toBe((await local(of)).digest);
    expect(another.count('map')).toBe(24 - maps.length);
  });

  test('agree to the bit, however many they are, in whatever order nodes come and wherever partials lie', async () => {
    const of = syntheticPlan(24, { features: 64 });
    const { digest } = await local(of);
    for (const count of [1, 2, 4, 7]) {
      const engine = { connection: server.url, ...quick };
      const folder = temporaryFolder();
      await bullmqEngine(engine).submit(of);
      const workers = await Promise.all(
        Array.from({ length: count }, () => WorkerProcess.start(of, { engine, folder })),
      );
      expect((await bullmqEngine(engine).wait(of)).digest).toBe(digest);
      await Promise.all(workers.map((each) => each.close()));
      await bullmqEngine(engine).remove(of);
    }

    const bucket = await S3Server.start();
    const engine = { connection: server.url, ...quick };
    // Every node in a fixed order that is none: 7 has no factor in common with 24.
    const shuffled = Array.from({ length: 24 }, (_, i) => ({ level: 0, index: (i * 7 + 5) % 24 }));
    await enterAgain(of, [{ level: 1, index: 2 }, ...shuffled]);
    const workers = await Promise.all([1, 2].map(() => WorkerProcess.start(of, { engine, bucket: bucket.options })));
    await until(() => workers.some((worker) => worker.count('made') > 5));
    await bullmqEngine(engine).submit(of);
    expect((await bullmqEngine(engine).wait(of)).digest).toBe(digest);
    await bucket.close();
  });

  test('name the shard that fails, and its cause; repaired, only that one is computed', async () => {
    const of = syntheticPlan(32, { features: 32 });
    const engine = { connection: server.url, ...quick };
    const folder = temporaryFolder();
    const poison = of.shards[17];
    const worker = await WorkerProcess.start(of, { engine, folder, poison });
    await bullmqEngine(engine).submit(of);
    const error = await bullmqEngine(engine)
      .wait(of)
      .then(
        () => undefined,
        (reason) => reason,
      );
    expect(error).toBeInstanceOf(PlanError);
    expect(error.shards).toEqual([poison]);
    expect(error.message).toContain(`shard '${poison}': the disk of ${poison} is broken`);
    expect(worker.told.filter((told) => told.kind === 'map' && told.shard === poison)).toHaveLength(3);
    await until(async () => (await standing(of, folder)).filter((node) => node.startsWith('map-')).length === 31);
    const { root, failed } = await bullmqEngine(engine).status(of);
    expect(root).toBe('failed');
    expect(failed).toEqual([{ node: { level: 0, index: 17 }, cause: `the disk of ${poison} is broken` }]);
    await worker.close();

    const repaired = await WorkerProcess.start(of, { engine, folder });
    await bullmqEngine(engine).submit(of);
    expect((await bullmqEngine(engine).wait(of)).digest).toBe((await local(of)).digest);
    expect(repaired.told.filter(({ kind }) => kind === 'map')).toEqual([{ kind: 'map', shard: poison }]);
  });

  test('end a shard over which five of them died, and give up one that kills them all', async () => {
    const of = syntheticPlan(1, { features: 32 });
    const folder = temporaryFolder();
    const engine = { connection: server.url, ...quick, lockDuration: 1000 };
    await bullmqEngine(engine).submit(of);
    for (let death = 0; death < 5; death++) {
      const worker = await WorkerProcess.start(of, { engine, folder, holdAt: 2 });
      await worker.hears('held');
      worker.kill();
    }
    await WorkerProcess.start(of, { engine, folder });
    expect((await bullmqEngine(engine).wait(of)).digest).toBe((await local(of)).digest);

    const deadly = syntheticPlan(1, { features: 32 });
    const strict = { ...engine, maxStalledCount: 1 };
    await bullmqEngine(strict).submit(deadly);
    for (let death = 0; death < 2; death++) {
      const worker = await WorkerProcess.start(deadly, { engine: strict, folder, holdAt: 2 });
      await worker.hears('held');
      worker.kill();
    }
    await WorkerProcess.start(deadly, { engine: strict, folder });
    await expect(bullmqEngine(strict).wait(deadly)).rejects.toThrow(/more than 1 workers died or were blocked/);
  });

  test('give their shard back when they are told to stop', async () => {
    const of = syntheticPlan(1, { features: 32 });
    const folder = temporaryFolder();
    // Whoever waited for this lock to run out would not come to an end.
    const engine = { connection: server.url, lockDuration: 3_600_000 };
    await bullmqEngine(engine).submit(of);
    const worker = await WorkerProcess.start(of, { engine, folder, holdAt: 2 });
    await worker.hears('held');
    expect(await bullmqEngine(engine).status(of)).toEqual({ root: 'active', active: 1, waiting: 0, failed: [] });
    await worker.close();
    expect(worker.process.exitCode).toBe(0);
    expect(await bullmqEngine(engine).status(of)).toEqual({ root: 'waiting', active: 0, waiting: 1, failed: [] });
    expect(await standing(of, folder)).toEqual([]);
    const another = await WorkerProcess.start(of, { engine, folder });
    expect((await bullmqEngine(engine).wait(of)).digest).toBe((await local(of)).digest);
    expect(another.count('map')).toBe(1);
  });

  test('can be told to stop while the server of the queue is away', async () => {
    const of = syntheticPlan(1, { features: 32 });
    const folder = temporaryFolder();
    const engine = { connection: server.url, ...quick };
    await bullmqEngine(engine).submit(of);
    const worker = await WorkerProcess.start(of, { engine, folder, holdAt: 2 });
    await worker.hears('held');
    await server.kill();
    await worker.close();
    expect(worker.process.exitCode).toBe(0);
    await server.restart();
    await WorkerProcess.start(of, { engine, folder });
    expect((await bullmqEngine(engine).wait(of)).digest).toBe((await local(of)).digest);
  });
});
