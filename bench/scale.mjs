// What plans cost: in the queues of BullMQ, in merges, in bytes; and what follows from that for more data than one machine reads. Redis and
// PostgreSQL are started on loopback ports, where they are installed. Writes its section of bench/results.json. Run: npm run bench:scale
import { Redis } from 'ioredis';
import { CovarianceAccumulator, useKernels } from '../dist/index.js';
import { bullmqEngine, levelsOf, memoryPartials, plan, rootOf, runLocal, workOn } from '../dist/scale.js';
import { benchOptions } from './options.mjs';
import { digits, median, spreadOf, untilKnown } from './peer.mjs';
import { beginSection, versionOf } from './results.mjs';
import { importTypeScript } from './typescript.mjs';

const options = benchOptions(30);
const record = beginSection('scale', options);
const { queueServers } = await importTypeScript('test/engines/servers.ts', ['pg-native']);
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

/** Shards of a plan for each queue; PostgreSQL takes fifteen times as long as Redis. */
const shardsOf = { Redis: 10_000, PostgreSQL: 2000 };
const sized = (shards) => (options.quick ? shards / 100 : shards);
const missing = {};
const small = planOf(sized(10_000));
const began = performance.now();
await runLocal(small, { map });
const alone = (performance.now() - began) / nodesOf(small);
const queues = [];
for (const { name, start, missing: why } of queueServers) {
  if (why !== undefined) {
    missing[name] = why;
    continue;
  }
  const server = await start();
  const shards = sized(shardsOf[name]);
  const of = planOf(shards);
  const { submit, run } = await throughQueue(server, of);
  queues.push({ queue: name, shards, nodes: nodesOf(of), submitSeconds: submit / 1000, runSeconds: run / 1000 });
  console.log(`${name}: ${digits(run / shards)} ms per shard`);
  await server.close();
}
const perJob = queues.length === 0 ? undefined : (1000 * queues[0].runSeconds) / queues[0].nodes;

// ------------------------------------------------------------------------------------------------------- a large plan

let large;
const [redis] = queueServers;
if (redis.missing === undefined) {
  const of = planOf(sized(100_000));
  const server = await redis.start();
  const client = new Redis(server.url);
  await client.config('SET', 'slowlog-log-slower-than', '5000');
  await client.config('SET', 'slowlog-max-len', '100000');
  let most = 0;
  const look = async () => {
    most = Math.max(most, Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1]));
  };
  const { submit, run } = await throughQueue(server, of, look);
  const slowestMs = Math.max(5, ...(await client.slowlog('GET', '-1')).map(([, , micros]) => micros / 1000));
  client.disconnect();
  await server.close();
  large = {
    shards: of.shards.length,
    nodes: nodesOf(of),
    submitSeconds: submit / 1000,
    runSeconds: run / 1000,
    redisBytes: most,
    slowestMs,
  };
}

// ------------------------------------------------------------------------------------------------------------- merges

const merges = [];
for (const features of [256, 1024]) {
  const rows = new Float32Array(2048 * features).map(() => Math.random() - 0.5);
  const accumulator = new CovarianceAccumulator(features);
  accumulator.update(rows);
  const bytes = accumulator.toBytes();
  const of = plan({
    task: `merge ${process.pid}`,
    shards: Array.from({ length: 16 }, (_, i) => String(i).padStart(2, '0')),
    fanIn: 16,
  });
  const shard = async function* (_, { merge }) {
    merge('layer', CovarianceAccumulator.fromBytes(bytes));
    yield;
  };
  const found = await untilKnown(
    async () => {
      const store = memoryPartials();
      const update = await cpu(() => accumulator.update(rows));
      const seal = [];
      for (let index = 0; index < 16; index++)
        seal.push(await cpu(() => workOn(of, { level: 0, index }, { map: shard, store })));
      const merge = (await cpu(() => workOn(of, rootOf(of), { map: shard, store }))) / 16;
      return { rowsPerSecond: 2048 / (update / 1000), seal: median(seal), merge };
    },
    { seconds: options.seconds / 2 },
  );
  const known = Object.entries(found).map(([name, numbers]) => [name, spreadOf(numbers)]);
  merges.push({ features, bytes: bytes.length, ...Object.fromEntries(known) });
}
const widest = merges.at(-1);
const wide = { ...widest, rowsPerSecond: widest.rowsPerSecond.median, merge: widest.merge.median };

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
record({
  versions: { bullmq: versionOf('bullmq') },
  missing,
  alone,
  queues,
  large,
  merges,
  estimate: {
    samples,
    layers,
    features: wide.features,
    workers,
    shards,
    fanIn,
    levels: levels.join(' → '),
    rows: table.map(([what, follows]) => ({ what, follows })),
  },
});
process.exit();
