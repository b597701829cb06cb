// How old the oldest event is that a program loses when it is killed at a random moment; writes its section of
// bench/RESULTS.md.
//
//   npm run bench:loss                                     (after a build)
//   npm run bench:loss -- --kills 20 --dry                 a quick look that writes nothing
//   npm run bench:loss -- --also before=../other/dist      beside another build, in turns
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readEvents } from '../dist/index.js';
import { programOptions } from './options.mjs';
import { machine, writeSection } from './results.mjs';

const options = programOptions({
  also: { type: 'string', multiple: true, default: [] },
  dry: { type: 'boolean' },
  kills: { type: 'string', default: '100' },
  note: { type: 'string' },
});
const kills = Number(options.kills);
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

/** As many at a time as there are processors here. */
const queue = [];
for (let kill = 0; kill < kills; kill++) {
  for (const load of loads.keys()) for (const build of builds.keys()) queue.push({ build, load, kill });
}
const total = queue.length;
await Promise.all([work(), work()]);
rmSync(scratch, { recursive: true, force: true });
const report = render();
console.log(`\n${report}`);
if (!options.dry) writeSection('loss', report);

async function work() {
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
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

function digits(number) {
  return number >= 100 ? Math.round(number).toLocaleString('en') : String(Number(number.toPrecision(2)));
}

function render() {
  const table = [
    ['load', 'build', 'kills', 'lost nothing', 'p50 ms', 'p99 ms', 'max ms'],
    ['---', '---', '---:', '---:', '---:', '---:', '---:'],
  ];
  for (const load of loads.keys()) {
    for (const build of builds.keys()) {
      const results = found.get(`${load} / ${build}`) ?? [];
      const ages = results.map(({ age }) => age).sort((a, b) => a - b);
      const whole = results.filter(({ age }) => age === 0).length;
      table.push([load, build, ages.length, whole, ...[0.5, 0.99, 1].map((part) => digits(quantile(ages, part)))]);
    }
  }
  return [
    '## What a killed program loses',
    '',
    `${machine()}. Command: \`npm run bench:loss\`. Programs that add scalars to a folder are killed at a random moment (by`,
    'SIGKILL, SIGTERM, SIGINT and SIGABRT in turn; the last load ends by itself). The age of the oldest event that is not in',
    'the file, at the kill; 0 if none is missing. Ages are upper bounds: the programs note the time before each scalar (in the',
    'bursts before every 50th, in the busy loop before every 256th, before the steps of 4 s before every 500th of 20,000).',
    ...(options.note ? [options.note] : []),
    '',
    ...table.map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
}
