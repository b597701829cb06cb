// What the vital signs (stats: 'health') add to a training step, beside the saturation alone, in CPU time of all threads, which depends
// less on what else the machine does than wall time. Processes take turns, each with a spectrum after every round. Writes its section of
// bench/RESULTS.md.
//
//   npm run bench:health                                 (after npm run setup:native)
//   npm run bench:health -- --only tensorflow/MLP --dry  one of them; writes nothing
//   npm run bench:health -- --stats deadUnits,kurtosis   what some of the vital signs add; writes nothing
import { programOptions } from './options.mjs';
import { digits, median, medianInterval } from './peer.mjs';
import { machine, writeSection } from './results.mjs';
import { startJob } from './turns.mjs';

const options = programOptions({
  only: { type: 'string' },
  dry: { type: 'boolean' },
  stats: { type: 'string' },
  rounds: { type: 'string', default: '12' },
  sets: { type: 'string', default: '9' },
});
const [rounds, sets] = [Number(options.rounds), Number(options.sets)];
const some = options.stats && JSON.stringify({ stats: ['saturation', ...options.stats.split(',')] });
const kinds = ['plain', 'default', some ?? 'health'];
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

const rows = [];
for (const [backend, network, steps] of jobs) {
  const found = Object.fromEntries(kinds.map((kind) => [kind, { steps: [], walls: [], ends: [] }]));
  for (let set = 0; set < sets; set++) {
    const processes = [];
    try {
      for (const kind of kinds) processes.push(await startJob('./saturation-job.mjs', [backend, network, kind]));
      // What compilers and caches do first does not count.
      for (let round = -5; round < rounds; round++) {
        for (const at of orders[(round + orders.length) % orders.length]) {
          const { cpu, milliseconds } = await processes[at].ask({ steps });
          if (round < 0) continue;
          found[kinds[at]].steps.push(cpu / steps);
          found[kinds[at]].walls.push(milliseconds / steps);
        }
      }
      for (let end = 0; end < 2; end++) {
        for (const at of [1, 2]) {
          // The spectra are solved beside the next step, and are waited for by the one after.
          const before = await processes[at].ask({ steps: 1, spectra: true });
          const after = await processes[at].ask({ steps: 1, spectra: true });
          const step = median(found[kinds[at]].steps);
          if (end > 0) found[kinds[at]].ends.push((before.cpu + after.cpu) / 2 - step);
        }
      }
    } finally {
      for (const each of processes) each.end();
    }
  }
  const [plain, standard, health] = kinds.map((kind) => found[kind].steps);
  // Processes of one kind differ by how their memory lies, which no number of rounds shows: a set of processes is one sample.
  const adds = (times, than) => {
    const added = times.map((time, at) => 100 * (time / than[at] - 1));
    const ofSets = Array.from({ length: sets }, (_, set) => median(added.slice(set * rounds, (set + 1) * rounds)));
    const [low, high] = medianInterval(ofSets);
    return `${median(ofSets).toFixed(1)} % (${low.toFixed(1)} to ${high.toFixed(1)})`;
  };
  const [, standardWalls, healthWalls] = kinds.map((kind) => found[kind].walls);
  const least = (times) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 10)];
  rows.push(
    `| ${network} | ${backend} | ${digits(median(plain))} | ${digits(median(standard))} | ${digits(median(health))} | ${adds(health, standard)} | ${(100 * (least(health) / least(standard) - 1)).toFixed(1)} % | ${adds(healthWalls, standardWalls)} | ${Math.round(median(found.default.ends))} | ${Math.round(median(found[kinds[2]].ends))} |`,
  );
  console.log(rows.at(-1));
}
const report = `## Vital signs: what they add to a training step

\`npm run bench:health${options.only === undefined ? '' : ` -- --only ${options.only}`}\`, ${machine()}. CPU time of all threads in ms; MLP 784-512-512-512-10, batch 128; CNN
32-64-pool-64-128-pool on 32x32x3, batch 64; the classes of the items are known. Processes without a tracker, with the saturation alone and with
all vital signs take turns (${rounds * sets} rounds in ${sets} sets of processes). What vital signs add is the median over the sets of each set's median
round, with the interval that holds it in 95 % of cases; beside it what it adds to the tenth of all rounds that the rest of the machine disturbed least, and what it adds to the wall time. The end of an epoch is the CPU time of a spectrum of each layer, in another thread.

| network | backend | plain | saturation | health | health adds | of the least | wall time | end of an epoch, saturation | health |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${rows.join('\n')}`;
console.log(`\n${report}`);
if (!options.dry && options.only === undefined && some === undefined) writeSection('health', report);
