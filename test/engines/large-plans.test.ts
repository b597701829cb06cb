import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bullmqEngine, memoryPartials, type Plan, plan, runLocal, type ShardMap } from '../../src/scale.js';
import { cleanUp, local, quick, standing, syntheticPlan, temporaryFolder, until, WorkerProcess } from './harness.js';
import { type QueueServer, queueServers } from './servers.js';

/** Two rows of two features, made from the shard's name. */
const mapTiny: ShardMap = async function* (shard, { add }) {
  add('tiny', [1, 2, Number(shard), 4], 2);
  yield;
};

function tinyPlan(shards: number, fanIn: number): Plan {
  return plan({ shards: Array.from({ length: shards }, (_, i) => String(i).padStart(6, '0')), task: 'tiny', fanIn });
}

describe.each(queueServers)(
  'a plan with more nodes than enter the queue of $name at once',
  ({ name, start, missing }) => {
    const test = it.skipIf(missing !== undefined);
    let server: QueueServer;
    beforeAll(async () => {
      if (missing === undefined) server = await start();
    });
    afterEach(cleanUp);
    afterAll(() => server?.close());

    test.each([
      ['deep', 1500, 6],
      ['flat', 1500, 2000],
    ])('has the local answer: %s', async (_, shards, fanIn) => {
      const of = tinyPlan(shards, fanIn);
      const engine = bullmqEngine({ connection: server.url, concurrency: 4 });
      await engine.submit(of);
      const mapped: string[] = [];
      const map: ShardMap = (shard, context) => {
        mapped.push(shard);
        return mapTiny(shard, context);
      };
      const workers = await engine.work(of, { map, store: memoryPartials() });
      expect((await engine.wait(of)).digest).toBe((await runLocal(of, { map: mapTiny })).digest);
      expect(mapped.sort()).toEqual(of.shards);
      await workers.close();
    });

    test('survives workers that die wherever they are', async () => {
      const of = syntheticPlan(1100, { features: 16, batches: 4, rows: 1, fanIn: 10 });
      const engine = { connection: server.url, ...quick, lockDuration: 1000 };
      const folder = temporaryFolder();
      await bullmqEngine(engine).submit(of);
      for (let death = 1; death <= 6; death++) {
        const worker = await WorkerProcess.start(of, { engine, folder });
        await until(async () => (await standing(of, folder)).length >= death * 97);
        worker.kill();
      }
      await Promise.all([1, 2].map(() => WorkerProcess.start(of, { engine, folder })));
      expect((await bullmqEngine(engine).wait(of)).digest).toBe((await local(of)).digest);
    });

    test('names a shard that fails far below', async () => {
      const of = tinyPlan(1500, 6);
      const engine = bullmqEngine({
        connection: server.url,
        concurrency: 4,
        attempts: 2,
        backoff: 1,
        queue: 'poisoned',
      });
      await engine.submit(of);
      const map: ShardMap = (shard, context) => {
        if (shard === '000777') throw new Error('no such file');
        return mapTiny(shard, context);
      };
      const workers = await engine.work(of, { map, store: memoryPartials() });
      await expect(engine.wait(of)).rejects.toThrow(`plan ${of.id}: shard '000777': no such file`);
      await workers.close();
    });

    if (name === 'Redis')
      test('of 100,000 shards enters soon, needs little memory, and never keeps Redis busy for long', async () => {
        const of = tinyPlan(100_000, 16);
        const client = new Redis(server.url);
        await client.config('SET', 'slowlog-log-slower-than', '1000000');
        await client.slowlog('RESET');
        const engine = bullmqEngine({ connection: server.url, concurrency: 8 });
        const began = performance.now();
        await engine.submit(of);
        expect(performance.now() - began).toBeLessThan(180_000);
        const enough = new AbortController();
        let mapped = 0;
        let largest = 0;
        const map: ShardMap = (shard, context) => {
          if (++mapped === 10_000) enough.abort();
          return mapTiny(shard, context);
        };
        const workers = await engine.work(of, { map, store: memoryPartials() });
        while (!enough.signal.aborted) {
          largest = Math.max(largest, Number(/used_memory:(\d+)/.exec(await client.info('memory'))![1]));
          await engine.status(of);
        }
        await workers.close();
        // What is done leaves the queue, so the other nine tenths need no more.
        expect(largest).toBeLessThan(30e6);
        expect(await client.slowlog('GET', '10')).toEqual([]);
        client.disconnect();
      });
  },
);
