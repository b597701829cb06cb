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
import { pythonWith } from './python.mjs';
import { beginSection, versionOf } from './results.mjs';
import { startJob } from './turns.mjs';

const options = benchOptions(660, {
  only: { type: 'string' },
  kinds: { type: 'string' },
  node: { type: 'string' },
});
const isAll = options.only === undefined && options.kinds === undefined && options.node === undefined;
const record = beginSection('saturation', { ...options, dry: options.dry || !isAll });
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const kinds = options.kinds?.split(',');

const [all, some] = [
  ['plain', 'kept', 'default', 'worker', 'deterministic', 'health', 'float64', 'auto'],
  ['plain', 'kept', 'default', 'worker', 'float64', 'auto'],
];
const native = ['plain', 'kept', 'default'];
const two = ['plain', 'default'];
/** Steps of a turn, turns per spectrum, rounds of a set of processes, seconds. */
const jobs = [
  { backend: 'tensorflow', network: 'MLP', steps: 50, turns: 1, rounds: 8, seconds: 100, kinds: all },
  // An epoch of 60,000 items, as MNIST has.
  {
    backend: 'tensorflow',
    network: 'MLP',
    steps: 67,
    turns: 7,
    rounds: 2,
    seconds: 50,
    kinds: ['plain', 'kept', 'auto'],
  },
  { backend: 'tensorflow', network: 'CNN', steps: 10, turns: 2, rounds: 3, seconds: 190, kinds: some },
  { backend: 'tensorflow', network: 'LSTM', steps: 10, turns: 5, rounds: 3, seconds: 75, kinds: native },
  { backend: 'wasm', network: 'MLP', steps: 5, turns: 2, rounds: 3, seconds: 30, kinds: two },
  { backend: 'wasm', network: 'LSTM', steps: 5, turns: 2, rounds: 3, seconds: 40, kinds: two },
  { backend: 'cpu', network: 'MLP', steps: 2, turns: 3, rounds: 3, seconds: 30, kinds: two },
  // A step of the large one takes eight minutes there.
  { backend: 'cpu', network: 'small CNN', steps: 2, turns: 2, rounds: 4, seconds: 35, kinds: two },
  // Where products and sums are fused.
  { node: 24, backend: 'tensorflow', network: 'MLP', steps: 50, turns: 1, rounds: 8, seconds: 35, kinds: native },
  { node: 24, backend: 'tensorflow', network: 'CNN', steps: 10, turns: 2, rounds: 3, seconds: 75, kinds: native },
]
  .filter(({ backend, network }) => options.only === undefined || options.only === `${backend}/${network}`)
  .filter((job) => options.node === undefined || job.node === undefined)
  .filter((job) => kinds === undefined || job.kinds.length > 3)
  .map((job) => ({ ...job, ...(kinds && { kinds }), ...(options.node && { node: Number(options.node) }) }))
  .map((job) => (options.quick ? { ...job, steps: Math.min(job.steps, 5), turns: 1 } : job));
const delveSeconds = 40;
const wantsDelve = isAll || options.only === 'torch';
const usual = jobs.reduce((sum, { seconds }) => sum + seconds, wantsDelve ? delveSeconds : 0);
/** A part of the time that was asked for. */
const partOf = (seconds) => (options.seconds * seconds) / usual;

const rows = [];
const missing = {};
for (const job of jobs) {
  const { backend, network, steps, turns, seconds } = job;
  console.error(`${backend} ${network} ${job.node ?? ''} ...`);
  const execPath = job.node === undefined ? process.execPath : nodeOf(job.node);
  if (execPath === undefined) {
    missing[`${network} on ${backend}, Node ${job.node}`] = 'that Node could not be installed';
    continue;
  }
  // tfjs-node does not start on Node 23 and later by itself.
  const execArgv =
    job.node === undefined ? [] : ['--import', new URL('../dist/tfjs-node-fix.js', import.meta.url).href];
  const runtime = `Node ${spawnSync(execPath, ['--version'], { encoding: 'utf8' }).stdout.trim()}`;
  const training = trainingOf(job, { execPath, execArgv });
  let ends;
  let found;
  try {
    found = await untilKnown(
      async () => {
        const times = await training.round();
        const beside = (name, other) => job.kinds.map((kind) => [name(kind), times[kind] / other]);
        const own = times.kept === undefined ? [] : beside((kind) => `own ${kind}`, times.kept);
        return { ...Object.fromEntries([...beside((kind) => kind, times.plain), ...own]), plain: times.plain };
      },
      { seconds: partOf(seconds) },
    );
    ends = await training.ends();
  } catch (error) {
    missing[`${network} on ${backend}, ${runtime}`] = error.message;
    continue;
  } finally {
    training.stop();
  }
  for (const tracker of job.kinds.filter((kind) => kind !== 'plain')) {
    rows.push({
      network,
      backend,
      tracker,
      runtime,
      steps: steps * turns,
      plain: spreadOf(found.plain),
      ratio: spreadOf(found[tracker]),
      own: found.kept && tracker !== 'kept' ? spreadOf(found[`own ${tracker}`]) : undefined,
      kilobytes: ends[tracker].kilobytesPerStep - ends.plain.kilobytesPerStep,
      plainMB: ends.plain.peakMegabytes,
      hookedMB: ends[tracker].peakMegabytes,
      how: ends[tracker].strategies.join('; '),
    });
    console.error(`  ${tracker}: ${digits(rows.at(-1).ratio.median)}`);
  }
}
const { versions } = wantsDelve ? await measureDelve() : { versions: {} };
const tfjsNode = rows.some(({ backend }) => backend === 'tensorflow') && {
  'tfjs-node': versionOf('@tensorflow/tfjs-node'),
};
record({ versions: { 'TensorFlow.js': versionOf('@tensorflow/tfjs'), ...tfjsNode, ...versions }, missing, rows });

/** Sets of processes that train; a new set takes the place of one that has had its rounds. */
function trainingOf({ backend, network, steps, turns, rounds, kinds }, runtime) {
  let workers = [];
  let left = 0;
  const stop = () => {
    for (const worker of workers) worker?.end();
    workers = [];
  };
  const start = async () => {
    stop();
    // Whoever starts first is at an advantage of some per cent here.
    for (const at of shuffled(kinds)) {
      workers[at] = await startJob('saturation-job.mjs', [backend, network, kinds[at]], runtime);
    }
    // Compilers and caches settle before the first round, and the rows that 'auto' wants of as many steps.
    for (const at of shuffled(kinds)) {
      const isAuto = kinds[at] === 'auto';
      // The second epoch has begun before the first one's spectrum says how many rows are needed.
      for (let epoch = 0; epoch < (isAuto ? 2 : 1); epoch++)
        await workers[at].ask({ steps: isAuto ? steps * turns : steps, spectra: true });
    }
    left = rounds;
  };
  return {
    stop,
    /** Milliseconds per step between two spectra, by kind. */
    async round() {
      if (left === 0) await start();
      left--;
      const sums = kinds.map(() => 0);
      for (let turn = 1; turn <= turns; turn++) {
        for (const at of shuffled(kinds))
          sums[at] += (await workers[at].ask({ steps, spectra: turn === turns })).milliseconds;
      }
      return Object.fromEntries(kinds.map((kind, at) => [kind, sums[at] / (steps * turns)]));
    },
    /** What each process of the last set says in the end, by kind. */
    async ends() {
      const ends = {};
      for (const [at, kind] of kinds.entries()) ends[kind] = await workers[at].ask({ end: true });
      return ends;
    },
  };
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
  const installed = pythonWith(['torch', 'numpy']);
  if ('torch' in installed.missing) {
    missing['Delve, restated'] = installed.missing.torch;
    return installed;
  }
  const steps = options.quick ? 5 : 50;
  const plain = {};
  const found = await untilKnown(
    () => {
      const rounds = options.quick ? { MLP: 2, CNN: 1, LSTM: 1 } : { MLP: 3, CNN: 1, LSTM: 2 };
      const args = [here('delve_restated.py'), String(steps), JSON.stringify(rounds)];
      const { status, stdout, stderr } = spawnSync(installed.python, args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr.trim().split('\n').at(-1));
      const results = Object.entries(JSON.parse(stdout.trim().split('\n').at(-1)));
      return Object.fromEntries(
        results.map(([network, times]) => {
          (plain[network] ??= []).push(median(times.plain));
          return [network, median(times.hooked.map((time, at) => time / times.plain[at]))];
        }),
      );
    },
    { seconds: partOf(delveSeconds) },
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
