// What the vital signs (stats: 'health') add to a training step, beside the saturation alone, in CPU time of all threads, which depends
// less on what else the machine does than wall time. Processes take turns, each with a spectrum after every round. Writes its section of
// bench/results.json.
//
//   npm run bench:health                                 (after npm run setup:native)
//   npm run bench:health -- --only tensorflow/MLP --dry  one of them; writes nothing
//   npm run bench:health -- --stats deadUnits,kurtosis   what some of the vital signs add; writes nothing
import { benchOptions } from './options.mjs';
import { digits, median, spreadOf, untilKnown } from './peer.mjs';
import { beginSection, versionOf } from './results.mjs';
import { startJob } from './turns.mjs';

const options = benchOptions(125, { only: { type: 'string' }, stats: { type: 'string' } });
const isAll = options.only === undefined && options.stats === undefined;
const record = beginSection('health', { ...options, dry: options.dry || !isAll });
const some = options.stats && JSON.stringify({ stats: ['saturation', ...options.stats.split(',')] });
const kinds = ['plain', 'default', some ?? 'health'];
const rounds = options.quick ? 2 : 12;
/** backend, network, steps of a turn */
const jobs = [
  ['tensorflow', 'CNN', 1],
  ['tensorflow', 'MLP', 20],
].filter(([backend, network]) => options.only === undefined || options.only === `${backend}/${network}`);

/** Each comes first, second and last equally often, as often after either other one, and never after itself, which would find its caches warm. */
const orders = [
  [0, 1, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
  [1, 0, 2],
  [0, 2, 1],
];

/** CPU and wall milliseconds of the steps of a set of processes, of each kind, and of the end of an epoch. */
async function measureSet(backend, network, steps) {
  const found = kinds.map(() => ({ steps: [], walls: [], end: Number.NaN }));
  const processes = [];
  try {
    for (const kind of kinds) processes.push(await startJob('./saturation-job.mjs', [backend, network, kind]));
    // What compilers and caches do first does not count.
    for (let round = options.quick ? -1 : -5; round < rounds; round++) {
      for (const at of orders[(round + orders.length) % orders.length]) {
        const { cpu, milliseconds } = await processes[at].ask({ steps });
        if (round < 0) continue;
        found[at].steps.push(cpu / steps);
        found[at].walls.push(milliseconds / steps);
      }
    }
    for (let end = 0; end < 2; end++) {
      for (const at of [1, 2]) {
        // The spectra are solved beside the next step, and are waited for by the one after.
        const before = await processes[at].ask({ steps: 1, spectra: true });
        const after = await processes[at].ask({ steps: 1, spectra: true });
        found[at].end = (before.cpu + after.cpu) / 2 - median(found[at].steps);
      }
    }
  } finally {
    for (const each of processes) each.end();
  }
  return found;
}

const rows = [];
for (const [backend, network, steps] of jobs) {
  const all = kinds.map(() => []);
  // Processes of one kind differ by how their memory lies, which no number of turns shows: a set of processes is one round.
  const found = await untilKnown(
    async () => {
      const set = await measureSet(backend, network, steps);
      for (const [at, each] of set.entries()) all[at].push(...each.steps);
      const [plain, standard, health] = set;
      const adds = (what) => median(health[what].map((time, at) => 100 * (time / standard[what][at] - 1)));
      return {
        plain: median(plain.steps),
        saturation: median(standard.steps),
        health: median(health.steps),
        added: adds('steps'),
        addedWall: adds('walls'),
        endSaturation: standard.end,
        endHealth: health.end,
      };
    },
    { seconds: options.seconds / jobs.length, least: 9 },
  );
  const least = (times) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 10)];
  const known = Object.entries(found).map(([name, numbers]) => [name, spreadOf(numbers)]);
  const addedToLeast = 100 * (least(all[2]) / least(all[1]) - 1);
  rows.push({ network, backend, ...Object.fromEntries(known), addedToLeast });
  console.log(`${network}: ${digits(rows.at(-1).added.median)} %`);
}
record({ versions: { 'tfjs-node': versionOf('@tensorflow/tfjs-node') }, rows });
