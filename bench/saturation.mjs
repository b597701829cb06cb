// What a tracker costs per training step, beside Delve's way on torch; writes its section of bench/results.json. Delve's way needs torch
// in .venv-bench, which is made if it is missing.
//
//   npm run bench:saturation                      (after a build; npm run setup:native for the native backend)
//   npm run bench:saturation -- --quick --dry     a quick look that writes nothing
//   npm run bench:saturation -- --only wasm/MLP   one of them, or torch; writes nothing
//   npm run bench:saturation -- --only tensorflow/MLP --kinds plain,default,worker,deterministic   some ways to track
//   npm run bench:saturation -- --only tensorflow/MLP --node 24   on another Node, which is installed for it
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nodeOf } from '../scripts/runtimes.mjs';
import { benchOptions } from './options.mjs';
import { digits, median, spreadOf, untilKnown } from './peer.mjs';
import { python, pythonPackages } from './python.mjs';
import { beginSection, versionOf } from './results.mjs';
import { startJob } from './turns.mjs';

const options = benchOptions(780, {
  only: { type: 'string' },
  kinds: { type: 'string' },
  node: { type: 'string' },
});
const isAll = options.only === undefined && options.kinds === undefined && options.node === undefined;
const record = beginSection('saturation', { ...options, dry: options.dry || !isAll });
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const kinds = options.kinds?.split(',');

/** Steps of a turn, turns per spectrum, spectra of a set of processes, parts of the time; `items` are in a batch where not as usual. */
const jobs = [
  {
    backend: 'tensorflow',
    network: 'MLP',
    steps: 50,
    turns: 1,
    spectra: 8,
    part: 190,
    kinds: ['plain', 'default', 'worker', 'deterministic', 'health', 'float64', 'auto'],
  },
  // An epoch of 60,000 items, as MNIST has.
  { backend: 'tensorflow', network: 'MLP', steps: 67, turns: 7, spectra: 1, part: 70, kinds: ['plain', 'auto'] },
  {
    backend: 'tensorflow',
    network: 'CNN',
    steps: 10,
    turns: 5,
    spectra: 1,
    part: 200,
    kinds: ['plain', 'default', 'worker', 'float64', 'auto'],
  },
  {
    backend: 'tensorflow',
    network: 'LSTM',
    steps: 10,
    turns: 5,
    spectra: 1,
    part: 80,
    kinds: ['plain', 'default', 'auto'],
  },
  { backend: 'wasm', network: 'MLP', steps: 5, turns: 4, spectra: 1, part: 30, kinds: ['plain', 'default'] },
  { backend: 'wasm', network: 'LSTM', steps: 5, turns: 4, spectra: 1, part: 40, kinds: ['plain', 'default'] },
  { backend: 'cpu', network: 'MLP', steps: 2, turns: 5, spectra: 1, part: 40, kinds: ['plain', 'default'] },
  // A step of 64 images takes eight minutes there.
  { backend: 'cpu', network: 'CNN', items: 1, steps: 1, turns: 2, spectra: 1, part: 60, kinds: ['plain', 'default'] },
  // Where products and sums are fused.
  {
    node: 24,
    backend: 'tensorflow',
    network: 'MLP',
    steps: 50,
    turns: 1,
    spectra: 8,
    part: 40,
    kinds: ['plain', 'default'],
  },
  {
    node: 24,
    backend: 'tensorflow',
    network: 'CNN',
    steps: 10,
    turns: 5,
    spectra: 1,
    part: 80,
    kinds: ['plain', 'default'],
  },
]
  .filter(({ backend, network }) => options.only === undefined || options.only === `${backend}/${network}`)
  .filter((job) => options.node === undefined || job.node === undefined)
  .filter((job) => kinds === undefined || job.kinds.length > 2)
  .map((job) => ({ ...job, ...(kinds && { kinds }), ...(options.node && { node: Number(options.node) }) }))
  .map((job) => (options.quick ? { ...job, steps: Math.min(job.steps, 5), turns: 1, spectra: 1 } : job));
const delvePart = 50;
const wantsDelve = isAll || options.only === 'torch';
const parts = jobs.reduce((sum, { part }) => sum + part, wantsDelve ? delvePart : 0);

const rows = [];
const missing = {};
for (const job of jobs) {
  const { backend, network, steps, turns, items, part } = job;
  const name = items === undefined ? network : `${network}, batch ${items}`;
  console.error(`${backend} ${name} ${job.node ?? ''} ...`);
  const execPath = job.node === undefined ? process.execPath : nodeOf(job.node);
  if (execPath === undefined) {
    missing[`${name} on ${backend}, Node ${job.node}`] = 'that Node could not be installed';
    continue;
  }
  // tfjs-node does not start on Node 23 and later by itself.
  const execArgv =
    job.node === undefined ? [] : ['--import', new URL('../dist/tfjs-node-fix.js', import.meta.url).href];
  const runtime = `Node ${spawnSync(execPath, ['--version'], { encoding: 'utf8' }).stdout.trim()}`;
  let ends;
  let found;
  try {
    found = await untilKnown(
      async () => {
        const taken = await takeTurns(job, { execPath, execArgv });
        ends = taken.ends;
        const { plain } = taken.times;
        const ratios = job.kinds.map((kind) => [kind, median(taken.times[kind].map((time, at) => time / plain[at]))]);
        return { ...Object.fromEntries(ratios), plain: median(plain) };
      },
      { seconds: (options.seconds * part) / parts },
    );
  } catch (error) {
    missing[`${name} on ${backend}, ${runtime}`] = error.message;
    continue;
  }
  for (const tracker of job.kinds.filter((kind) => kind !== 'plain')) {
    rows.push({
      network: name,
      backend,
      tracker,
      runtime,
      steps: steps * turns,
      plain: spreadOf(found.plain),
      ratio: spreadOf(found[tracker]),
      kilobytes: ends[tracker].kilobytesPerStep - ends.plain.kilobytesPerStep,
      plainMB: ends.plain.peakMegabytes,
      hookedMB: ends[tracker].peakMegabytes,
      how: ends[tracker].strategies.join('; '),
    });
    console.error(`  ${tracker}: ${digits(rows.at(-1).ratio.median)}`);
  }
}
const { versions } = wantsDelve ? await measureDelve() : { versions: {} };
const native = rows.some(({ backend }) => backend === 'tensorflow') && {
  'tfjs-node': versionOf('@tensorflow/tfjs-node'),
};
record({ versions: { 'TensorFlow.js': versionOf('@tensorflow/tfjs'), ...native, ...versions }, missing, rows });

/** Milliseconds per step between two spectra, and what each process said in the end. */
async function takeTurns({ backend, network, steps, turns, spectra, kinds, items }, runtime) {
  const workers = [];
  try {
    // Whoever starts first is at an advantage of some per cent here.
    for (const at of shuffled(kinds))
      workers[at] = await startJob(
        'saturation-job.mjs',
        [backend, network, kinds[at], ...(items ? [items] : [])],
        runtime,
      );
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

async function measureDelve() {
  const installed = pythonPackages('torch', 'numpy');
  if ('torch' in installed.missing) {
    missing['Delve, restated'] = installed.missing.torch;
    return installed;
  }
  const steps = options.quick ? 5 : 50;
  const plain = {};
  const found = await untilKnown(
    () => {
      const rounds = options.quick ? { MLP: 2, CNN: 1, LSTM: 1 } : { MLP: 4, CNN: 1, LSTM: 3 };
      const args = [here('delve_restated.py'), String(steps), JSON.stringify(rounds)];
      const { status, stdout, stderr } = spawnSync(python, args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr.trim().split('\n').at(-1));
      const results = Object.entries(JSON.parse(stdout.trim().split('\n').at(-1)));
      return Object.fromEntries(
        results.map(([network, times]) => {
          (plain[network] ??= []).push(median(times.plain));
          return [network, median(times.hooked.map((time, at) => time / times.plain[at]))];
        }),
      );
    },
    { seconds: (options.seconds * delvePart) / parts },
  );
  for (const [network, ratios] of Object.entries(found)) {
    rows.push({
      network,
      backend: 'torch',
      tracker: 'Delve, restated',
      runtime: 'Python',
      steps,
      plain: spreadOf(plain[network]),
      ratio: spreadOf(ratios),
      how: 'float64 on the main thread, eigh',
    });
  }
  return installed;
}
