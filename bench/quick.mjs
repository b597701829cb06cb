// The quick benchmark: npm run bench [-- --only <text>]
//   writes bench/results.json and the table of it in bench/RESULTS.md.
// Two checkouts, both built: npm run bench -- --against <other checkout> [--only <text>]
//   says what is slower or faster than there, with confidence, and writes nothing.
// Every job of each checkout is a process of its own; they take turns, portion by portion, until the spread is known.
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programOptions } from './options.mjs';
import { digits, median, medianInterval } from './peer.mjs';
import { jobs } from './quick-jobs.mjs';
import { machine, writeSection } from './results.mjs';
import { startJob } from './turns.mjs';

const values = programOptions({ against: { type: 'string' }, only: { type: 'string', default: '' } });
const here = fileURLToPath(new URL('..', import.meta.url));
/** Rounds at least, milliseconds at most for one job, and how narrow an interval need be. */
const [leastRounds, mostMillis, wanted] = [15, 18_000, 0.02];

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
      if (high / low < 1 + wanted || performance.now() > end) return { times, compared: compared(), low, high };
    }
  } finally {
    for (const each of processes) each.end();
  }
}

const [load] = loadavg();
const names = Object.keys(jobs).filter((name) => name.includes(values.only));
if (names.length === 0) throw new Error(`--only: expected a part of a job's name, got '${values.only}'`);
const rows = [];
for (const name of names) {
  const [units, unit] = jobs[name];
  const { times, compared, low, high } = await measured(
    name,
    values.against ? [here, resolve(values.against)] : [here],
  );
  const perUnit = (millis) => (1000 * millis) / units;
  if (values.against) {
    const ratio = median(compared);
    const verdict = low > 1.02 ? 'SLOWER' : high < 0.98 ? 'faster' : low > 0.9 && high < 1.1 ? 'the same' : 'not known';
    rows.push([
      name,
      digits(perUnit(median(times[0]))),
      digits(perUnit(median(times[1]))),
      digits(ratio),
      `${digits(low)}–${digits(high)}`,
      times[0].length,
      verdict,
    ]);
    console.log(rows.at(-1).join(' | '));
  } else {
    const row = {
      name,
      unit,
      microseconds: perUnit(median(compared)),
      low: perUnit(low),
      high: perUnit(high),
      rounds: compared.length,
    };
    rows.push(row);
    console.log(
      `${name}: ${digits(row.microseconds)} us per ${unit} (${digits(row.low)}–${digits(row.high)}, ${row.rounds} rounds)`,
    );
  }
}

if (values.against) {
  const slower = rows.filter((row) => row.at(-1) === 'SLOWER').length;
  console.log(`\ncolumns: job | us here | us there | here / there | 95 % interval of that | rounds | verdict`);
  console.log(slower === 0 ? 'Nothing is slower.' : `${slower} of ${rows.length} are slower.`);
  process.exitCode = slower === 0 ? 0 : 1;
} else if (values.only === '') {
  const { kernelsName } = await import('../dist/index.js');
  const results = {
    machine: machine(),
    processor: cpus()[0].model.trim(),
    node: process.version,
    load,
    kernels: kernelsName(),
    rows,
  };
  writeFileSync(new URL('./results.json', import.meta.url), `${JSON.stringify(results, null, 2)}\n`);
  const table = rows.map(
    (r) =>
      `| ${r.name} | ${digits(r.microseconds)} | ${digits(r.low)}–${digits(r.high)} | ${digits(1e6 / r.microseconds)} | ${r.rounds} |`,
  );
  writeSection(
    'quick',
    `## The quick benchmark

\`npm run bench\`, ${results.machine}; load average ${digits(load)} on ${cpus().length} processors when it began; kernels '${results.kernels}'. The same numbers are in bench/results.json. Microseconds per event, row or
matrix: the median of portions, and the interval that holds it in 95 % of cases. Numbers of different sessions are not to be compared:
\`npm run bench -- --against <another checkout>\` lets two take turns and says what became slower.

| job | µs | 95 % interval | per second | rounds |
| --- | ---: | ---: | ---: | ---: |
${table.join('\n')}`,
  );
}
