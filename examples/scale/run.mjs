// npm run example:scale — the saturation of 10,000 digits, measured by several processes that share a folder. One of them is killed
// in the middle of its work. Then one process does the same plan alone, and the answers are compared bit by bit.
//   --workers <number>   processes; 3
//   --engine <name>      who says which node is next: this program ('levels'), a queue on a Redis that it starts ('redis'), or
//                        one at a URL (redis://, postgres://)
//   --logdir <folder>    where the answer goes, for TensorBoard; runs/examples/scale
//   --keep               go on with what an earlier call has left in <logdir>-partials
import { fork } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  folderPartials,
  levelsOf,
  nameOf,
  plan,
  planStatus,
  publish,
  rootOf,
  runLocal,
  workOn,
} from 'delve-tensorboard/scale';
import { digits, map } from './digits.mjs';
import { workThroughQueue } from './queue.mjs';

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '3' },
    engine: { type: 'string', default: 'levels' },
    logdir: { type: 'string', default: 'runs/examples/scale' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  const engines = '[--engine levels|redis|<URL>]';
  console.log(`Usage: npm run example:scale -- [--workers 3] ${engines} [--logdir runs/examples/scale] [--keep]`);
  process.exit(0);
}
const workers = Number(values.workers);
if (!Number.isInteger(workers) || workers < 1) {
  console.error(`--workers: expected an integer >= 1, got "${values.workers}"`);
  process.exit(2);
}
if (!/^(levels|redis|(rediss?|postgres(ql)?):\/\/.*)$/.test(values.engine)) {
  console.error(`--engine: expected levels, redis or a URL of Redis or PostgreSQL, got "${values.engine}"`);
  process.exit(2);
}
const { logdir } = values;
const folder = `${logdir}-partials`;
if (!values.keep) {
  rmSync(folder, { recursive: true, force: true });
  rmSync(logdir, { recursive: true, force: true });
}
mkdirSync(folder, { recursive: true });

const made = plan(digits);
const planFile = `${folder}/plan.json`;
writeFileSync(planFile, JSON.stringify(made));
const store = folderPartials(folder);
const levels = levelsOf(made);
console.log(
  `plan ${made.id}: ${made.shards.length} shards, a tree of ${levels.join(' -> ')} nodes, ${workers} workers`,
);

let toKill = 1;
if (values.engine === 'levels') {
  // A level is done before the next begins. Engines that know dependencies need not wait so long.
  for (const [level, nodes] of levels.entries()) {
    const waiting = Array.from({ length: nodes }, (_, index) => ({ level, index }));
    await Promise.all(Array.from({ length: Math.min(workers, nodes) }, (_, number) => work(number, waiting)));
  }
} else {
  await workThroughQueue({ plan: made, planFile, folder, workers, connection: values.engine });
}

/** Lets a process do nodes until none waits. If it dies, another one takes its place, and its node. */
async function work(number, waiting) {
  let node = waiting.shift();
  while (node !== undefined) {
    const child = fork(new URL('worker.mjs', import.meta.url), [planFile, folder]);
    let batches = 0;
    await new Promise((resolve, reject) => {
      child.on('message', ({ kind, isOwn, reason }) => {
        if (kind === 'failed') {
          child.kill();
          reject(new Error(reason));
        } else if (kind === 'batch') {
          batches++;
          if (batches < 3 || toKill === 0 || node.index < 2) return;
          toKill--;
          console.log(`  worker ${number} is killed after ${batches} batches of ${nameOf(node)}`);
          child.kill('SIGKILL');
        } else if (kind === 'end' || kind === 'up') {
          if (kind === 'end') {
            console.log(`  ${nameOf(node)} ${isOwn ? 'done' : 'stood there'} (worker ${number})`);
            node = waiting.shift();
          }
          if (node === undefined) child.disconnect();
          else child.send(node);
          batches = 0;
        }
      });
      child.on('exit', resolve);
    });
    if (node !== undefined) console.log(`  another process goes on in its place with ${nameOf(node)}`);
  }
}

const root = await workOn(made, rootOf(made), { map, store });
const { bytes } = await planStatus(made, store);
const { spectra, path } = await publish(made, store, logdir);
for (const [layer, spectrum] of spectra) {
  const { features, samples } = spectrum;
  console.log(`${layer}: saturation ${spectrum.saturation(0.99).toFixed(3)} of ${features} features, ${samples} rows`);
}
const again = await publish(made, store, logdir);
console.log(`published as ${logdir}/${path}${again.isOwn ? ', twice' : ', once, though it was asked for twice'}`);

console.log(`the same plan in one process ...`);
const local = await runLocal(made, { map });
if (local.digest !== root.digest) {
  console.log(`DIFFERENT: ${root.digest} with ${workers} workers, ${local.digest} in one process`);
  process.exit(1);
}
console.log(`bit-identical: ${root.digest.slice(0, 16)} (${(bytes / 1e6).toFixed(1)} MB of partials in ${folder})`);
console.log(`tensorboard --logdir ${logdir}`);
