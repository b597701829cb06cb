// npm run bench:scale [-- --dry] — what plans cost: in the queues of BullMQ, in merges, in bytes; and what follows from that for more
// data than one machine reads. Redis and PostgreSQL are started on loopback ports, where they are installed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';
import { rolldown } from 'rolldown';
import { CovarianceAccumulator, useKernels } from '../dist/index.js';
import { bullmqEngine, levelsOf, memoryPartials, plan, rootOf, runLocal, workOn } from '../dist/scale.js';
import { machine, writeSection } from './results.mjs';

const folder = mkdtempSync(join(tmpdir(), 'delve-bench-'));
const bundle = await rolldown({
  input: fileURLToPath(new URL('../test/engines/servers.ts', import.meta.url)),
  platform: 'node',
  tsconfig: false,
  external: ['pg-native'],
});
await bundle.write({ dir: folder, entryFileNames: 'servers.mjs', format: 'esm' });
await bundle.close();
const { queueServers } = await import(pathToFileURL(join(folder, 'servers.mjs')).href);
useKernels('wasm');

const fixed = (value, digits = 1) =>
  value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const MB = (bytes) => bytes / 1e6;
const nodesOf = (of) => levelsOf(of).reduce((sum, nodes) => sum + nodes, 0);
const planOf = (shards, fanIn = 16) =>
  plan({
    task: `bench ${process.pid}`,
    shards: Array.from({ length: shards }, (_, i) => String(i).padStart(7, '0')),
    fanIn,
  });
async function* map(shard, { add }) {
  add('tiny', [1, 2, Number(shard), 4], 2);
  yield;
}

/** CPU milliseconds of what is done. */
async function cpu(act) {
  const before = process.cpuUsage();
  await act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

// ------------------------------------------------------------------------------------------------------------- queues

/** A plan through a queue, in one process with eight nodes at a time. The shards hold two rows, so the queue is what takes time. */
async function throughQueue(server, of, look = () => {}) {
  const engine = bullmqEngine({ connection: server.url, concurrency: 8 });
  const began = performance.now();
  await engine.submit(of);
  const submit = performance.now() - began;
  const timer = setInterval(look, 100);
  const workers = await engine.work(of, { map, store: memoryPartials() });
  await engine.wait(of);
  clearInterval(timer);
  const run = performance.now() - began - submit;
  await workers.close();
  return { submit, run };
}

const small = planOf(10_000);
const began = performance.now();
await runLocal(small, { map });
const alone = (performance.now() - began) / nodesOf(small);
const queueLines = [];
let perJob;
for (const { name, start, missing } of queueServers) {
  if (missing !== undefined) {
    queueLines.push(`| ${name} | not measured: ${missing} | | | | |`);
    continue;
  }
  const server = await start();
  const { submit, run } = await throughQueue(server, small);
  const job = run / nodesOf(small);
  perJob ??= job;
  queueLines.push(
    `| ${[name, submit / 1000, run / 1000].map((cell) => (typeof cell === 'string' ? cell : fixed(cell))).join(' | ')} | ${[(submit + run) / 10_000, job, Math.max(0, job - alone)].map((cell) => fixed(cell, 2)).join(' | ')} |`,
  );
  console.log(queueLines.at(-1));
  await server.close();
}

// ------------------------------------------------------------------------------------------------------- a large plan

const large = planOf(100_000);
let largeText = 'There was no Redis to enter 100,000 shards into.';
const [redis] = queueServers;
if (redis.missing === undefined) {
  const server = await redis.start();
  const client = new Redis(server.url);
  await client.config('SET', 'slowlog-log-slower-than', '5000');
  await client.config('SET', 'slowlog-max-len', '100000');
  let most = 0;
  const look = async () => {
    most = Math.max(most, Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1]));
  };
  const { submit, run } = await throughQueue(server, large, look);
  const slowest = Math.max(5, ...(await client.slowlog('GET', '-1')).map(([, , micros]) => micros / 1000));
  client.disconnect();
  await server.close();
  largeText = `A plan of 100,000 shards (${fixed(nodesOf(large), 0)} nodes, fan-in 16) is submitted in ${fixed(submit / 1000)} s and done in ${fixed(run / 1000, 0)} s. Redis needs ${fixed(MB(most))} MB at
most, and ${slowest <= 5 ? 'no command takes 5 ms' : `its slowest command takes ${fixed(slowest, 0)} ms`}: nodes enter the queue in pieces, as they are worked on, and leave it when they are done.`;
  console.log(largeText);
}

// ------------------------------------------------------------------------------------------------------------- merges

const merges = [];
let wide;
for (const features of [256, 1024]) {
  const rows = new Float32Array(2048 * features).map(() => Math.random() - 0.5);
  const accumulator = new CovarianceAccumulator(features);
  accumulator.update(rows.slice(0, 512 * features));
  const update = await cpu(() => accumulator.update(rows));
  const bytes = accumulator.toBytes();
  const of = plan({
    task: `merge ${process.pid}`,
    shards: Array.from({ length: 16 }, (_, i) => String(i).padStart(2, '0')),
    fanIn: 16,
  });
  const store = memoryPartials();
  const shard = async function* (_, { merge }) {
    merge('layer', CovarianceAccumulator.fromBytes(bytes));
    yield;
  };
  const seal = [];
  for (let index = 0; index < 16; index++) {
    seal.push(await cpu(() => workOn(of, { level: 0, index }, { map: shard, store })));
  }
  const merge = (await cpu(() => workOn(of, rootOf(of), { map: shard, store }))) / 16;
  const median = seal.sort((a, b) => a - b)[8];
  const measured = { features, bytes: bytes.length, rowsPerSecond: 2048 / (update / 1000), seal: median, merge };
  merges.push(
    `| ${features} | ${fixed(MB(bytes.length), 2)} | ${fixed(measured.rowsPerSecond, 0)} | ${fixed(median)} | ${fixed(merge)} |`,
  );
  console.log(merges.at(-1));
  if (features === 1024) wide = measured;
}

// ------------------------------------------------------------------------------------------------------- what follows

const samples = 1e9;
const layers = 60;
const workers = 1000;
const shards = 4000;
const fanIn = 16;
const bandwidth = 125e6;
const bytesPerNode = layers * wide.bytes;
const levels = levelsOf(planOf(shards, fanIn));
const nodes = levels.reduce((sum, each) => sum + each, 0);
const shardSeconds = ((samples / shards) * layers) / wide.rowsPerSecond;
const duration = (seconds) =>
  seconds < 120
    ? `${fixed(seconds, 0)} s`
    : seconds < 7200
      ? `${fixed(seconds / 60, 0)} min`
      : `${fixed(seconds / 3600, 1)} h`;
const mergeSeconds = (children) => (children * layers * wide.merge) / 1000;
const transfer = (children) => (children * bytesPerNode) / bandwidth;
const table = [
  [
    'moments, one-core workers',
    `${fixed((samples * layers) / wide.rowsPerSecond / 3600, 0)} core hours: ${duration(shardSeconds * (shards / workers))} on each`,
  ],
  ['a shard, which is what a dead worker costs', `${fixed(samples / shards, 0)} samples, ${duration(shardSeconds)}`],
  ['partials written', `${fixed((nodes * bytesPerNode) / 1e12, 2)} TB, ${fixed(MB(bytesPerNode), 0)} MB by a node`],
  [
    'through the busiest machine, in a tree',
    `${fixed((fanIn * bytesPerNode) / 1e9, 1)} GB, ${duration(transfer(fanIn))} a level at 1 Gbit/s`,
  ],
  ['  and its CPU', `${duration(mergeSeconds(fanIn))} a level`],
  ['  after the last shard', duration((levels.length - 1) * (transfer(fanIn) + mergeSeconds(fanIn)))],
  [
    'through one coordinator, without a tree',
    `${fixed((shards * bytesPerNode) / 1e12, 2)} TB, ${duration(transfer(shards))}`,
  ],
  ['  and its CPU', duration(mergeSeconds(shards))],
  ...(perJob === undefined
    ? []
    : [
        [
          'the queue',
          `${fixed(nodes, 0)} jobs, ${duration((nodes * perJob) / 1000)} of it in all, ${fixed(workers / 30, 0)} locks renewed a second`,
        ],
      ]),
];
rmSync(folder, { recursive: true });

const text = `## Plans of many shards

\`npm run bench:scale\`, ${machine()}.

10,000 shards of two rows, fan-in 16, ${fixed(nodesOf(small), 0)} nodes, in one process with eight nodes at a time. Without a queue a node takes
${fixed(alone, 2)} ms.

| queue | submit s | run s | ms per shard | ms per node | of it the queue's |
| --- | ---: | ---: | ---: | ---: | ---: |
${queueLines.join('\n')}

${largeText}

Of one layer, in CPU time on one core: rows of float32 to moments; a shard's moments to a partial in memory (encode, SHA-256); and a
partial read, checked and merged.

| features | MB per partial | rows/s | seal ms | merge ms |
| ---: | ---: | ---: | ---: | ---: |
${merges.join('\n')}

What follows for ${fixed(samples, 0)} samples of ${layers} layers of ${wide.features} features on ${fixed(workers, 0)} workers, ${fixed(shards, 0)} shards, fan-in ${fanIn}
(${levels.join(' → ')}). Forward passes come on top; computed from the figures above, not measured.

| | |
| --- | --- |
${table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}`;
if (process.argv.includes('--dry')) console.log(text);
else writeSection('scale', text);
process.exit();
