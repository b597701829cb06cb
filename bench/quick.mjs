// The quick benchmark: npm run bench [-- --only <text>]
//   writes its section of bench/results.json.
// Two checkouts, both built: npm run bench -- --against <other checkout> [--only <text>]
//   says what is slower or faster than there, with confidence, and writes nothing.
// Every job of each checkout is a process of its own; they take turns, portion by portion, until the spread is known.
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchOptions } from './options.mjs';
import { digits, median, medianInterval, spreadOf } from './peer.mjs';
import { jobs } from './quick-jobs.mjs';
import { beginSection } from './results.mjs';
import { startJob } from './turns.mjs';

const values = benchOptions(150, { against: { type: 'string' }, only: { type: 'string', default: '' } });
const here = fileURLToPath(new URL('..', import.meta.url));
/** Rounds at least, and how narrow an interval need be. */
const [leastRounds, wanted] = values.quick ? [2, 0.02] : [15, 0.02];

async function measured(name, checkouts) {
  const processes = [];
  try {
    for (const checkout of checkouts) processes.push(await startJob('./quick-job.mjs', [checkout, name]));
    const times = checkouts.map(() => []);
    const compared = () => (checkouts.length === 1 ? times[0] : times[0].map((time, round) => time / times[1][round]));
    for (const end = performance.now() + mostMillis; ; ) {
      const isOdd = times[0].length % 2 === 1; // whoever is first may find the caches empty
      for (const k of isOdd ? [...checkouts.keys()].reverse() : checkouts.keys()) {
        times[k].push(await processes[k].ask('go'));
      }
      if (times[0].length < leastRounds) continue;
      const [low, high] = medianInterval(compared());
      if (high / low < 1 + wanted || performance.now() > end) return { times, compared: compared() };
    }
  } finally {
    for (const each of processes) each.end();
  }
}

const isCompared = values.against !== undefined;
const record = beginSection('quick', { ...values, dry: values.dry || isCompared || values.only !== '' });
const names = Object.keys(jobs).filter((name) => name.includes(values.only));
if (names.length === 0) throw new Error(`--only: expected a part of a job's name, got '${values.only}'`);
const mostMillis = (1000 * values.seconds) / names.length;
const rows = [];
for (const name of names) {
  const [units, unit] = jobs[name];
  const { times, compared } = await measured(name, isCompared ? [here, resolve(values.against)] : [here]);
  const perUnit = (millis) => (1000 * millis) / units;
  if (!isCompared) {
    rows.push({ name, unit, microseconds: spreadOf(compared.map(perUnit)) });
    console.log(`${name}: ${digits(rows.at(-1).microseconds.median)} us per ${unit}`);
    continue;
  }
  const { median: ratio, low, high } = spreadOf(compared);
  const verdict = low > 1.02 ? 'SLOWER' : high < 0.98 ? 'faster' : low > 0.9 && high < 1.1 ? 'the same' : 'not known';
  rows.push([
    name,
    ...times.map((each) => digits(perUnit(median(each)))),
    digits(ratio),
    `${digits(low)}–${digits(high)}`,
    times[0].length,
    verdict,
  ]);
  console.log(rows.at(-1).join(' | '));
}

if (isCompared) {
  const slower = rows.filter((row) => row.at(-1) === 'SLOWER').length;
  console.log(`\ncolumns: job | us here | us there | here / there | 95 % interval of that | rounds | verdict`);
  console.log(slower === 0 ? 'Nothing is slower.' : `${slower} of ${rows.length} are slower.`);
  process.exitCode = slower === 0 ? 0 : 1;
} else {
  const { kernelsName } = await import('../dist/index.js');
  record({ kernels: kernelsName(), rows });
}
