// How old the oldest event is that a program loses when it is killed at a random moment; writes its section of
// bench/results.json.
//
//   npm run bench:loss                                     (after a build)
//   npm run bench:loss -- --kills 5 --dry                  a quick look that writes nothing
//   npm run bench:loss -- --also before=../other/dist      beside another build, in turns
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readEvents } from '../dist/index.js';
import { benchOptions } from './options.mjs';
import { beginSection } from './results.mjs';

const options = benchOptions(80, {
  also: { type: 'string', multiple: true, default: [] },
  kills: { type: 'string', default: '100' },
});
const record = beginSection('loss', options);
const kills = options.quick ? 2 : Number(options.kills);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const builds = new Map([['this build', here('../dist')]]);
for (const also of options.also) {
  const [name, path] = also.split('=');
  builds.set(name, resolve(path));
}

/** How long each program may live at most, in milliseconds; it is killed at a random moment. */
const loads = new Map([
  ['one scalar per 50 ms', 2000],
  ['bursts of 1,000 every 100 ms', 2000],
  ['a busy loop', 2000],
  ['steps of 4 s, 5 scalars before each', 8000],
  ['steps of 4 s, 20,000 scalars before each', 8000],
  ['a heap that grows until it is exhausted', undefined],
]);
const signals = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGABRT'];

const scratch = mkdtempSync(join(tmpdir(), 'delve-bench-'));
const found = new Map();
let started = 0;

/** As many at a time as there are processors here, as long as there is time; each load has been killed equally often by then, or once more. */
const queue = [];
for (let kill = 0; kill < kills; kill++) {
  for (const load of loads.keys()) for (const build of builds.keys()) queue.push({ build, load, kill });
}
const total = queue.length;
await Promise.all([work(), work()]);
rmSync(scratch, { recursive: true, force: true });
record({ rows: [...loads.keys()].flatMap((load) => [...builds.keys()].map((build) => rowOf(load, build))) });

async function work() {
  const end = performance.now() + 1000 * options.seconds;
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
    if (performance.now() > end && job.kill >= 2) return;
    process.stderr.write(`\r${total - queue.length}/${total} `);
    const key = `${job.load} / ${job.build}`;
    found.set(key, [...(found.get(key) ?? []), await killOnce(job)]);
  }
}

/** The age of the oldest lost event in milliseconds, 0 if there is none, and how many were lost. */
async function killOnce({ build, load, kill }) {
  const folder = join(scratch, String(started++));
  const journal = `${folder}.journal`;
  const flags = loads.get(load) === undefined ? ['--max-old-space-size=48'] : [];
  const child = spawn(
    process.execPath,
    [...flags, here('./loss-window-job.mjs'), builds.get(build), load, folder, journal],
    { stdio: 'ignore' },
  );
  const ended = new Promise((done) => child.on('exit', () => done(now())));
  while (!statSync(journal, { throwIfNoEntry: false })?.size) await sleep(5);
  let killedAt;
  if (loads.get(load) === undefined) {
    killedAt = await ended;
  } else {
    await sleep(Math.random() * loads.get(load));
    killedAt = now();
    child.kill(signals[kill % signals.length]);
    await ended;
  }
  let steps = 0;
  try {
    for await (const { summary, step } of readEvents(folder)) {
      if (!summary) continue;
      if (Number(step) !== steps) throw new Error(`step ${step} follows step ${steps - 1}`);
      steps++;
    }
  } catch (error) {
    if (steps > 0 || error.code !== 'ENOENT') throw error;
  }
  const bytes = readFileSync(journal);
  const pairs = new Float64Array(new Uint8Array(bytes.subarray(0, bytes.length - (bytes.length % 16))).buffer);
  rmSync(folder, { recursive: true, force: true });
  // The newest entry that is not newer than the first lost event.
  let at = 0;
  let last = 0;
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    if (pairs[i] <= steps) at = i;
    last = pairs[i];
  }
  return {
    age: Number.isNaN(pairs[at + 1]) ? 0 : Math.max(0, killedAt - pairs[at + 1]),
    lost: Math.max(0, last - steps),
  };
}

function now() {
  return Number(process.hrtime.bigint()) / 1e6;
}

function quantile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}

function rowOf(load, build) {
  const results = found.get(`${load} / ${build}`) ?? [];
  const ages = results.map(({ age }) => age).sort((a, b) => a - b);
  const [p50, p99, max] = [0.5, 0.99, 1].map((part) => quantile(ages, part));
  return { load, build, kills: ages.length, whole: ages.filter((age) => age === 0).length, p50, p99, max };
}
