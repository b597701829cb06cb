// What a tracker costs per training step, beside Delve's way on torch; writes its section of bench/RESULTS.md.
//
//   npm run bench:saturation                      (after a build; npm run setup:native for the native backend)
//   npm run bench:saturation -- --quick --dry     a quick look that writes nothing
//   npm run bench:saturation -- --only wasm/MLP   one of them; writes nothing
//   npm run bench:saturation -- --only tensorflow/MLP --kinds plain,default,worker,deterministic   some ways to track
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { programOptions } from './options.mjs';
import { digits, median } from './peer.mjs';
import { machine, writeSection } from './results.mjs';
import { startJob } from './turns.mjs';

const options = programOptions({
  dry: { type: 'boolean' },
  quick: { type: 'boolean' },
  only: { type: 'string' },
  kinds: { type: 'string' },
  verbose: { type: 'boolean' },
});
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** backend, network, steps per turn, turns per spectrum, sets of processes, spectra of each, variants, items in a batch */
const jobs = [
  ['tensorflow', 'MLP', 50, 1, 6, 10, ['plain', 'default', 'worker', 'deterministic', 'health', 'float64', 'auto']],
  // An epoch of 60,000 items, as MNIST has.
  ['tensorflow', 'MLP', 67, 7, 5, 2, ['plain', 'auto']],
  ['tensorflow', 'CNN', 10, 5, 3, 1, ['plain', 'default', 'worker', 'deterministic', 'health', 'float64', 'auto']],
  // Half an epoch of CIFAR-10.
  ['tensorflow', 'CNN', 23, 17, 1, 1, ['plain', 'auto']],
  ['tensorflow', 'LSTM', 10, 5, 2, 1, ['plain', 'default', 'float64', 'auto']],
  ['wasm', 'MLP', 5, 4, 2, 1, ['plain', 'default', 'health']],
  ['wasm', 'LSTM', 5, 4, 2, 1, ['plain', 'default']],
  ['cpu', 'MLP', 2, 5, 2, 1, ['plain', 'default']],
  // A step of 64 images takes eight minutes there.
  ['cpu', 'CNN', 1, 2, 3, 1, ['plain', 'default'], 1],
]
  .filter(([backend, network]) => options.only === undefined || options.only === `${backend}/${network}`)
  .filter((job) => options.kinds === undefined || job[6].length > 2)
  .map((job) => (options.kinds === undefined ? job : [...job.slice(0, 6), options.kinds.split(','), ...job.slice(7)]))
  .map((job) => (options.quick ? [...job.slice(0, 2), Math.min(job[2], 5), 1, 1, 2, ...job.slice(6)] : job));

const rows = [];
const notes = [];
const memory = [];
for (const [backend, network, steps, turns, sets, spectra, kinds, items] of jobs) {
  console.error(`${backend} ${network} ...`);
  const times = Object.fromEntries(kinds.map((kind) => [kind, []]));
  let ends;
  try {
    for (let set = 0; set < sets; set++) {
      const taken = await takeTurns(backend, network, steps, turns, spectra, kinds, items);
      for (const kind of kinds) times[kind].push(...taken.times[kind]);
      ends = taken.ends;
    }
  } catch (error) {
    notes.push(`${network} on ${backend}: not measured (${error.message}).`);
    continue;
  }
  if (options.verbose) console.error(JSON.stringify(times));
  for (const kind of kinds.slice(1)) {
    const read = digits(ends[kind].kilobytesPerStep - ends.plain.kilobytesPerStep);
    const ways = ends[kind].strategies.join('; ');
    const name = items === undefined ? network : `${network}, batch ${items}`;
    rows.push([name, backend, kind, steps * turns, ...ratio(times.plain, times[kind]), read, ways]);
  }
  const peaks = kinds.map((kind) => `${kind} ${ends[kind].peakMegabytes}`).join(', ');
  memory.push(`${network} on ${backend}, ${steps * turns * (spectra + 1)} steps: ${peaks}`);
}
const delve = options.only === undefined || options.only === 'torch' ? measureDelve() : {};
for (const [network, { plain, hooked }] of Object.entries(delve ?? {})) {
  rows.push([network, 'torch', 'Delve, restated', 50, ...ratio(plain, hooked), '', 'float64 on the main thread, eigh']);
}

const head = [
  'network',
  'backend',
  'tracker',
  'steps per spectrum',
  'plain ms/step',
  'hooked / plain',
  'least',
  'most',
  'KB read per step',
  'how',
];
const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
const report = `## Saturation: training-step overhead

\`npm run bench:saturation\`, ${machine()}. MLP 784-512-512-512-10, batch 128; CNN 32-64-pool-64-128-pool on 32x32x3, batch
64; LSTM(128) on 32 steps, batch 64; SGD with momentum in all. Every batch is used; as in a fit, the spectra are solved while
training goes on and waited for before the next ones. Training without and with a tracker are processes that take turns (of
${jobs.map(([backend, network, steps]) => `${steps} step${steps === 1 ? '' : 's'}: ${network} ${backend}`).join(', ')}); those whose turn it is not are stopped. How
memory happens to lie makes processes of one kind differ, so there are several sets of processes. A ratio is that of the
times between two spectra; median, least and most of these. "Delve, restated" is
bench/delve_restated.py: Delve's accumulation as published in 0.1.44 and its eigh, on the same networks in torch; not Delve's
own package.

${table}

Peak resident memory of each process, MB: ${memory.join('; ')}.
${notes.map((note) => `\n- ${note}`).join('')}`;
console.log(`\n${report}`);
if (!options.dry && options.only === undefined) writeSection('saturation', report);

/** Milliseconds per step between two spectra, and what each process said in the end. */
async function takeTurns(backend, network, steps, turns, spectra, kinds, items) {
  const workers = [];
  try {
    // Whoever starts first is at an advantage of some per cent here.
    for (const at of shuffled(kinds))
      workers[at] = await startJob('saturation-job.mjs', [backend, network, kinds[at], ...(items ? [items] : [])]);
    const times = Object.fromEntries(kinds.map((kind) => [kind, []]));
    // Nobody's first spectrum counts: compilers, caches and the rows that 'auto' wants settle then.
    for (let spectrum = -1; spectrum < spectra; spectrum++) {
      const sums = kinds.map(() => 0);
      for (let turn = 1; turn <= turns; turn++) {
        for (const at of shuffled(kinds)) {
          sums[at] += (await workers[at].ask({ steps, spectra: turn === turns })).milliseconds;
        }
      }
      if (spectrum < 0) continue;
      for (const [at, kind] of kinds.entries()) times[kind].push(sums[at] / (steps * turns));
    }
    const ends = {};
    for (const [at, kind] of kinds.entries()) ends[kind] = await workers[at].ask({ end: true });
    return { times, ends };
  } finally {
    for (const worker of workers) worker?.end();
  }
}

/** The places of a list in a random order, so that no variant always follows the same one. */
function shuffled(list) {
  const places = [...list.keys()];
  for (let i = places.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [places[i], places[j]] = [places[j], places[i]];
  }
  return places;
}

function ratio(plain, hooked) {
  const ratios = plain.map((time, round) => hooked[round] / time);
  return [median(plain), median(ratios), Math.min(...ratios), Math.max(...ratios)].map(digits);
}

function run(command, args) {
  console.error(`${args.slice(-6).join(' ')} ...`);
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1));
  notes.push(stderr.trim().split('\n').at(-1) ?? `exit code ${status}`);
  return undefined;
}

function measureDelve() {
  const own = here('../.venv-bench/bin/python');
  const rounds = options.quick ? { MLP: 2, CNN: 1, LSTM: 1 } : { MLP: 15, CNN: 5, LSTM: 7 };
  const steps = options.quick ? '5' : '50';
  return run(existsSync(own) ? own : 'python3', [here('delve_restated.py'), steps, JSON.stringify(rounds)]);
}
