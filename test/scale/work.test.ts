import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CovarianceAccumulator, Spectrum } from '../../src/index.js';
import { MemoryObjectStore, s3Store } from '../../src/object-stores.js';
import {
  childrenOf,
  folderPartials,
  levelsOf,
  memoryPartials,
  objectPartials,
  type PartialStore,
  PlanError,
  type PlanNode,
  plan,
  planStatus,
  RefusedPartialError,
  readMoments,
  rootOf,
  runLocal,
  type ShardMap,
  type WorkEvent,
  workOn,
} from '../../src/scale.js';
import { temporaryFolder } from '../support/folders.js';
import { wasmBuilds } from '../support/kernels.js';
import { uniform } from '../support/random.js';
import { S3Server } from '../support/s3-server.js';

const shards = Array.from({ length: 23 }, (_, i) => `part-${String(i).padStart(2, '0')}`);
const example = plan({ shards, task: 'test', fanIn: 3 });

/** Rows of a shard in batches: two layers, one row with a NaN. */
function batchesOf(shard: string, mean = 0): Float64Array[] {
  const random = uniform(Number(shard.split('-')[1]) + 1);
  return Array.from({ length: 4 }, (_, batch) => {
    const rows = Float64Array.from({ length: 50 * 12 }, (_, i) => mean + (1 + (i % 12)) * (random() - 0.5));
    if (batch === 1) rows[5] = Number.NaN;
    return rows;
  });
}

const map: ShardMap = async function* (shard, { add }) {
  for (const rows of batchesOf(shard)) {
    add('wide', rows, 12);
    add(
      'narrow',
      rows.filter((_, i) => i % 12 < 3).map((x) => (Number.isNaN(x) ? 0 : x)),
      3,
    );
    yield;
  }
};

const allNodes = () =>
  levelsOf(example).flatMap((nodes, level) => Array.from({ length: nodes }, (_, index) => ({ level, index })));

async function rootBytes(store: PartialStore) {
  const hash = createHash('sha256');
  for await (const [layer, moments] of readMoments(example, store)) hash.update(layer).update(moments.toBytes());
  return hash.digest('hex');
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = uniform(seed);
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

const reference = memoryPartials();
const local = runLocal(example, { map, store: reference });

describe('the answer of a plan', () => {
  it('is that of one stream up to rounding, with all rows and rejected rows', async () => {
    await local;
    for (const mean of [0, 1e5]) {
      const stream = new CovarianceAccumulator(12);
      for (const shard of shards) for (const rows of batchesOf(shard, mean)) stream.update(rows);
      const store = memoryPartials();
      await runLocal(example, {
        store,
        async *map(shard, { add }) {
          for (const rows of batchesOf(shard, mean)) {
            add('wide', rows, 12);
            yield;
          }
        },
      });
      for await (const [, moments] of readMoments(example, store)) {
        expect(moments.count).toBe(23 * 199);
        expect(moments.rejected).toBe(23);
        const expected = stream.covariance();
        const largest = Math.max(...expected);
        const worst = Math.max(...moments.covariance().map((x, i) => Math.abs(x - expected[i])));
        expect(worst / largest).toBeLessThan(mean === 0 ? 1e-14 : 1e-10);
        expect(Spectrum.of(moments).intrinsicDimensionality(0.99)).toBe(
          Spectrum.of(stream).intrinsicDimensionality(0.99),
        );
      }
    }
  });

  it.each([1, 2, 3])('has the same bytes whatever the order of nodes is (%i)', async (seed) => {
    const store = memoryPartials();
    for (const node of shuffled(allNodes(), seed)) await workOn(example, node, { map, store });
    const root = await workOn(example, rootOf(example), { map, store });
    expect(root.isOwn).toBe(false);
    expect(root.digest).toBe((await local).digest);
    expect(await rootBytes(store)).toBe(await rootBytes(reference));
  });

  it('has the same bytes with several workers at once, that do everything twice, in a folder and in a bucket', async () => {
    const server = await S3Server.start();
    try {
      const stores = [
        folderPartials(temporaryFolder()),
        objectPartials(s3Store(server.options), { prefix: 'a/b' }),
        objectPartials(new MemoryObjectStore()),
      ];
      for (const store of stores) {
        const events: WorkEvent[] = [];
        const worker = async (seed: number) => {
          for (const node of shuffled(allNodes(), seed))
            await workOn(example, node, { map, store, onEvent: (event) => events.push(event) });
        };
        await Promise.all([worker(1), worker(2), worker(3)]);
        const root = await workOn(example, rootOf(example), { map, store });
        expect(root.digest).toBe((await local).digest);
        expect(await rootBytes(store)).toBe(await rootBytes(reference));
        expect(events.filter((event) => event.kind === 'differs')).toEqual([]);
        expect(events.filter(({ kind }) => kind === 'made' || kind === 'found').length).toBeGreaterThanOrEqual(
          3 * allNodes().length,
        );
        expect((await planStatus(example, store)).isDone).toBe(true);
      }
    } finally {
      await server.close();
    }
  });

  it('is made by the root alone, from what is missing alone', async () => {
    const store = memoryPartials();
    const mapped: string[] = [];
    const counting: ShardMap = (shard, context) => {
      mapped.push(shard);
      return map(shard, context);
    };
    for (const index of [3, 4, 7]) await workOn(example, { level: 0, index }, { map, store });
    const root = await workOn(example, rootOf(example), { map: counting, store });
    expect(root.digest).toBe((await local).digest);
    expect(mapped).toEqual(shards.filter((_, i) => ![3, 4, 7].includes(i)));
    expect(root.shards).toEqual([0, 23]);
    expect(root.layers.map(({ layer, rows, rejected }) => [layer, rows, rejected])).toEqual([
      ['wide', 23 * 199, 23],
      ['narrow', 23 * 200, 0],
    ]);
  });

  it('may have layers that only some shards have, and shards without rows', async () => {
    const few = plan({ shards: ['a', 'b', 'c'], task: 'few', fanIn: 2 });
    const store = memoryPartials();
    const root = await runLocal(few, {
      store,
      async *map(shard, { add }) {
        if (shard !== 'a') add('x', [1, 2, 3, 5], 2);
        if (shard === 'c') add('y', [1, 2], 1);
        yield;
      },
    });
    expect(root.layers.map(({ layer, rows }) => [layer, rows])).toEqual([
      ['x', 4],
      ['y', 2],
    ]);
  });

  it('is a map alone if there is one shard', async () => {
    const one = plan({ shards: ['part-00'], task: 'one' });
    expect(rootOf(one)).toEqual({ level: 0, index: 0 });
    const root = await runLocal(one, { map });
    expect(root.layers[0].rows).toBe(199);
  });

  it('takes accumulators, too', async () => {
    const merging = memoryPartials();
    await runLocal(example, {
      store: merging,
      async *map(shard, { merge }) {
        for (const rows of batchesOf(shard)) {
          const part = new CovarianceAccumulator(12);
          part.update(rows);
          merge('wide', part);
          yield;
        }
      },
    });
    for await (const [, moments] of readMoments(example, merging)) expect(moments.count).toBe(23 * 199);
  });

  it('takes accumulators as they are, whatever their owner does with them afterwards', async () => {
    const store = memoryPartials();
    const one = plan({ shards: ['part-00'], task: 'reuse' });
    await runLocal(one, {
      store,
      async *map(shard, { add, merge }) {
        const reused = new CovarianceAccumulator(12);
        for (const rows of batchesOf(shard)) {
          reused.update(rows);
          merge('reset each time', reused);
          reused.reset();
          yield;
        }
        reused.update(new Float64Array(12 * 3));
        merge('a', reused);
        merge('b', reused);
        add('a', new Float64Array(12 * 2), 12);
      },
    });
    const counts = new Map<string, number>();
    for await (const [layer, moments] of readMoments(one, store)) counts.set(layer, moments.count);
    expect(Object.fromEntries(counts)).toEqual({ 'reset each time': 199, a: 5, b: 3 });
  });
});

describe('what is lost or damaged', () => {
  const nodes: PlanNode[] = [
    { level: 0, index: 5 },
    { level: 1, index: 2 },
    { level: 2, index: 1 },
  ];
  const files = (folder: string, node: PlanNode) => {
    const name = node.level === 0 ? `map-00000${node.index}` : `merge-${node.level}-00000${node.index}`;
    return join(folder, example.id, name);
  };

  async function withoutRoot(): Promise<string> {
    const folder = temporaryFolder();
    const store = folderPartials(folder);
    for (const node of allNodes().slice(0, -1)) await workOn(example, node, { map, store });
    return folder;
  }

  const damages: [string, (path: string) => void, string][] = [
    ['a flipped bit in a layer', (path) => change(path, '.moments', (bytes) => (bytes[200] ^= 4)), 'digest'],
    ['a layer cut short', (path) => change(path, '.moments', (bytes) => bytes.subarray(0, 100)), 'has 100 bytes'],
    ['an empty layer', (path) => change(path, '.moments', () => new Uint8Array(0)), 'has 0 bytes'],
    ['a manifest cut short', (path) => change(path, '.json', (bytes) => bytes.subarray(0, 50)), 'manifest is damaged'],
    ['an empty manifest', (path) => change(path, '.json', () => new Uint8Array(0)), 'manifest is damaged'],
    ['a manifest of null', (path) => change(path, '.json', () => Buffer.from('null')), 'has the format undefined'],
    ['another number of rows', (path) => replace(path, /"rows":\d+/, '"rows":7'), 'not 7 of'],
    ['a negative number', (path) => replace(path, /"rejected":\d+/, '"rejected":-1'), 'list of layers is damaged'],
    ['other shards', (path) => replace(path, /"shards":\[\d+/, '"shards":[1'), 'stands for the shards'],
    ['another plan', (path) => replace(path, example.id, '0123456789'), 'of the plan 0123456789'],
    ["another node's manifest", (path) => replace(path, /"node":"[^"]*"/, '"node":"map-000001"'), 'is map-000001'],
    ['a layer twice', (path) => replace(path, /"layers":\[(\{[^}]*\})/, '"layers":[$1,$1'), 'list of layers'],
  ];
  function change(path: string, end: string, how: (bytes: Uint8Array) => Uint8Array | number) {
    const name = join(path, readdirSync(path).find((file) => file.endsWith(end))!);
    const bytes = readFileSync(name);
    const changed = how(bytes);
    writeFileSync(name, typeof changed === 'number' ? bytes : changed);
  }
  function replace(path: string, pattern: string | RegExp, by: string) {
    change(path, '.json', (bytes) => {
      const text = Buffer.from(bytes).toString();
      expect(text.replace(pattern, by)).not.toBe(text);
      return Buffer.from(text.replace(pattern, by));
    });
  }

  it.each(damages)('is made again: %s', async (_, damage, reason) => {
    const folder = await withoutRoot();
    // Only what the root itself reads can be seen by it; deeper ones when their parents are made again.
    damage(files(folder, nodes[2]));
    const events: WorkEvent[] = [];
    const onEvent = (event: WorkEvent) => events.push(event);
    const root = await workOn(example, rootOf(example), { map, store: folderPartials(folder), onEvent });
    expect(root.digest).toBe((await local).digest);
    expect(events).toContainEqual({ kind: 'damaged', node: nodes[2], reason: expect.stringContaining(reason) });
    expect(await rootBytes(folderPartials(folder))).toBe(await rootBytes(reference));
  });

  it('is made again at all levels at once, and what is swapped is not merged', async () => {
    const folder = await withoutRoot();
    for (const node of nodes) change(files(folder, node), '.moments', (bytes) => (bytes[150] ^= 1));
    // The manifest of one shard in the place of another's.
    writeFileSync(
      join(files(folder, { level: 0, index: 2 }), 'manifest.json'),
      readFileSync(join(files(folder, { level: 0, index: 1 }), 'manifest.json')),
    );
    change(files(folder, { level: 1, index: 0 }), '.json', () => new Uint8Array(3));
    change(files(folder, { level: 1, index: 1 }), '.json', () => new Uint8Array(3));
    change(files(folder, { level: 2, index: 0 }), '.json', () => new Uint8Array(3));
    const damaged: string[] = [];
    const root = await workOn(example, rootOf(example), {
      map,
      store: folderPartials(folder),
      onEvent: (event) => event.kind === 'damaged' && damaged.push(`${event.node.level}/${event.node.index}`),
    });
    expect(root.digest).toBe((await local).digest);
    expect(damaged.sort()).toEqual(['0/2', '0/5', '1/0', '1/1', '1/2', '2/0', '2/1']);
  });

  it('is given up where the store damages everything', async () => {
    const honest = memoryPartials();
    const store: PartialStore = {
      ...honest,
      async get(key) {
        const bytes = await honest.get(key);
        if (bytes !== undefined && key.endsWith('.moments')) bytes[60] ^= 1;
        return bytes;
      },
    };
    await expect(workOn(example, rootOf(example), { map, store })).rejects.toThrow(
      "partial map-000000: layer 'wide' is damaged: its digest does not fit",
    );
  });

  it('is refused if it is forged, and says whose key differs', async () => {
    vi.stubEnv('DELVE_PARTIAL_KEY', 'a secret');
    const folder = temporaryFolder();
    const store = folderPartials(folder);
    for (const node of allNodes().slice(0, 23)) await workOn(example, node, { map, store });
    const path = files(folder, { level: 0, index: 5 });
    const digest = 'a'.repeat(64);
    replace(path, /"sha256":"[^"]*"/, `"sha256":"${digest}"`);
    const root = () => workOn(example, rootOf(example), { map, store });
    await expect(root()).rejects.toThrow(RefusedPartialError);
    await expect(root()).rejects.toThrow('partial map-000005: its signature does not fit: it is forged, or');
    replace(path, /,"mac":"[^"]*"/, '');
    await expect(root()).rejects.toThrow('partial map-000005: is not signed, and DELVE_PARTIAL_KEY is set here');
    vi.stubEnv('DELVE_PARTIAL_KEY', 'another');
    await expect(root()).rejects.toThrow('partial merge-1-000000: its signature does not fit');
  });
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('is refused if it was summed with other numerics', async () => {
    const { useKernels } = await import('../../src/index.js');
    const other = plan({ shards, task: 'test', fanIn: 3, numerics: { kernels: 'typescript' } });
    const store = memoryPartials();
    const node = { level: 0, index: 0 };
    const made: ShardMap = async function* (_, { add }) {
      useKernels('wasm');
      add(
        'wide',
        Float64Array.from({ length: 40_000 }, (_, i) => Math.sin(i)),
        40,
      ); // enough rows that they are summed at once
      yield;
    };
    const asked = () => workOn(other, node, { map: made, store });
    await expect(asked()).rejects.toThrow(
      "partial map-000000: layer 'wide' was summed with the kernels 'wasm', the plan says 'typescript'",
    );
    const float32: ShardMap = async function* (_, { merge }) {
      const sums = new CovarianceAccumulator(2, { float32Products: true });
      sums.update(Float32Array.from({ length: 40_000 }, (_, i) => Math.sin(i)));
      merge('x', sums);
      yield;
    };
    await expect(workOn(example, node, { map: float32, store })).rejects.toThrow(
      "layer 'x' was summed with float32 products, the plan says float64 products",
    );
  });
});

describe('failures', () => {
  it('name the shard and the cause; the others are done, and a second run does one shard', async () => {
    const store = memoryPartials();
    const mapped: string[] = [];
    const poisoned = (isMended: boolean): ShardMap =>
      async function* (shard, context) {
        mapped.push(shard);
        if (shard === 'part-07' && !isMended) throw new Error('the file is no JPEG');
        yield* map(shard, context);
      };
    const failing = runLocal(example, { map: poisoned(false), store });
    await expect(failing).rejects.toThrow(PlanError);
    await expect(failing).rejects.toThrow(`plan ${example.id}: shard 'part-07': the file is no JPEG`);
    await expect(workOn(example, rootOf(example), { map: poisoned(false), store })).rejects.toMatchObject({
      name: 'PlanError',
      shards: ['part-07'],
      message: expect.stringContaining('the file is no JPEG'),
    });
    const status = await planStatus(example, store);
    expect(status.levels[0]).toEqual({ nodes: 23, done: 22 });
    expect(status.isDone).toBe(false);
    expect(status.failed).toMatchObject([{ shard: 'part-07', cause: 'the file is no JPEG' }]);
    mapped.length = 0;
    const root = await runLocal(example, { map: poisoned(true), store });
    expect(mapped).toEqual(['part-07']);
    expect(root.digest).toBe((await local).digest);
    const done = await planStatus(example, store);
    expect(done.failed).toEqual([]);
    expect(done.levels.map(({ nodes, done }) => nodes - done)).toEqual([0, 0, 0, 0]);
    expect(done.bytes).toBeGreaterThan(30 * 12 * 6.5 * 8);
  });

  it('name what a map adds wrongly', async () => {
    const shard = (add: ShardMap) => runLocal(plan({ shards: ['s'], task: 't' }), { map: add });
    await expect(
      shard(async function* (_, { add }) {
        add('x', [1, 2], 2);
        yield;
        add('x', [1, 2, 3], 3);
      }),
    ).rejects.toThrow("shard 's': add: expected 2 features of layer 'x', got number 3");
    await expect(
      shard(async function* (_, { add }) {
        add(3 as never, [1, 2], 2);
        yield;
      }),
    ).rejects.toThrow("shard 's': add: expected the name of a layer, got number 3");
    await expect(
      shard(async function* (_, { add }) {
        add('x', [1, 2, 3], 2);
        yield;
      }),
    ).rejects.toThrow("shard 's': ");
    const two = plan({ shards: ['a', 'b'], task: 't' });
    await expect(
      runLocal(two, {
        async *map(name, { add }) {
          add('x', name === 'a' ? [1, 2] : [1, 2, 3], name === 'a' ? 2 : 3);
          yield;
        },
      }),
    ).rejects.toThrow("partial map-000001: expected 2 features of layer 'x' as in the shards before, got 3");
  });

  it('of the store are tried again, and nothing is lost', async () => {
    const honest = memoryPartials();
    let calls = 0;
    const failing = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
      return async (...args: A) => {
        if (++calls % 3 === 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        const answer = await call(...args);
        // The answer gets lost on its way, though the store did what it was asked for.
        if (calls % 7 === 0) throw new Error('503 Slow Down');
        return answer;
      };
    };
    const store: PartialStore = {
      get: failing(honest.get),
      putIfAbsent: failing(honest.putIfAbsent),
      setAside: failing(honest.setAside),
    };
    const small = plan({ shards: shards.slice(0, 4), task: 'test', fanIn: 2 });
    const retries: string[] = [];
    const root = await runLocal(small, {
      map,
      store,
      onEvent: (event) => event.kind === 'retry' && retries.push(event.reason!),
    });
    expect(root.digest).toBe((await runLocal(small, { map })).digest);
    expect(new Set(retries)).toEqual(new Set(['ENOSPC: no space left on device', '503 Slow Down']));
  });

  it('of a store that stays dead are told', async () => {
    const dead: PartialStore = { ...memoryPartials(), get: () => Promise.reject(new Error('no route to host')) };
    await expect(workOn(example, { level: 0, index: 0 }, { map, store: dead })).rejects.toThrow('no route to host');
  });

  it('a signal stops between batches, and nothing is written', async () => {
    const store = memoryPartials();
    const stop = new AbortController();
    let batches = 0;
    const stopped = workOn(example, rootOf(example), {
      store,
      map,
      signal: stop.signal,
      onEvent: (event) => event.kind === 'batch' && ++batches === 6 && stop.abort(new Error('told to stop')),
    });
    await expect(stopped).rejects.toThrow('told to stop');
    expect(batches).toBe(6);
    expect((await planStatus(example, store)).levels[0].done).toBe(1);
    expect((await planStatus(example, store)).failed).toEqual([]);
  });

  it('lets others run between batches', async () => {
    let beats = 0;
    const heart = setInterval(() => beats++, 0);
    await workOn(example, rootOf(example), { map, store: memoryPartials() });
    clearInterval(heart);
    expect(beats).toBeGreaterThan(5);
  });

  it('of a worker that has another version of the package, or not the kernels', async () => {
    const { id: _, ...content } = example;
    const other = { ...example, version: '0.0.1' };
    await expect(workOn(other, rootOf(other), { map, store: memoryPartials() })).rejects.toThrow(
      `workOn: expected a plan of this version, ${content.version}, got one of 0.0.1`,
    );
    if (wasmBuilds.includes('wasm-fma')) return;
    const fused = plan({ shards, task: 'test', numerics: { kernels: 'wasm-fma' } });
    await expect(workOn(fused, rootOf(fused), { map, store: memoryPartials() })).rejects.toThrow(
      "useKernels: expected kernels that run here ('wasm', 'typescript'), got \"wasm-fma\"",
    );
  });

  it('no such node', async () => {
    const ask = (node: PlanNode) => workOn(example, node, { map, store: memoryPartials() });
    await expect(ask({ level: 4, index: 0 })).rejects.toThrow('workOn: expected a level from 0 to 3, got number 4');
    await expect(ask({ level: 1, index: 8 })).rejects.toThrow('expected an index from 0 to 7 at level 1, got number 8');
    await expect(readMoments(example, memoryPartials()).next()).rejects.toThrow('merge-3-000000 of the plan');
    expect(childrenOf(example, { level: 1, index: 7 })).toEqual([
      { level: 0, index: 21 },
      { level: 0, index: 22 },
    ]);
  });
});

describe('a folder of partials', () => {
  it('gives a key to one of many writers, and never a part of what they write', async () => {
    const folder = temporaryFolder();
    const store = folderPartials(folder);
    const written = Array.from({ length: 8 }, (_, i) => new Uint8Array(300_000).fill(i + 1));
    const won = await Promise.all(written.map((bytes) => store.putIfAbsent('a/b', bytes)));
    expect(won.filter(Boolean)).toHaveLength(1);
    expect(await store.get('a/b')).toEqual(Buffer.from(written[won.indexOf(true)]));
    expect(readdirSync(join(folder, 'a'))).toEqual(['b']);
    await store.setAside('a/b');
    await store.setAside('a/b');
    expect(await store.get('a/b')).toBeUndefined();
    expect(await store.putIfAbsent('a/b', written[0])).toBe(true);
    expect((await store.list!('a/')).map(({ size }) => size)).toEqual([300_000, 300_000]);
    expect(await store.list!('nothing/')).toEqual([]);
  });

  it('says what a place must be', () => {
    expect(() => folderPartials('s3://bucket')).toThrow('use objectPartials for object stores');
    mkdirSync(temporaryFolder(), { recursive: true });
  });

  it('in a bucket whose client cannot remove says so', async () => {
    const objects = new MemoryObjectStore();
    const store = objectPartials({
      put: objects.put.bind(objects),
      get: objects.get.bind(objects),
      list: objects.list.bind(objects),
      head: objects.head.bind(objects),
    });
    await store.putIfAbsent('a', new Uint8Array(3));
    await expect(store.setAside('a')).rejects.toThrow('expected a store with remove');
  });
});
