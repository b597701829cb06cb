// How fast `reduce` takes the scalars of several runs together, beside tensorboard-reducer and a script with TensorBoard and pandas.
// Every measurement is a process of its own, from its start to its end, and they take turns; writes its section of bench/RESULTS.md.
//
//   npm run bench:reading -- --setup           once: makes .venv-bench with TensorBoard and tensorboard-reducer
//   node bench/reduce.mjs                      (after a build)
//   node bench/reduce.mjs --steps 500 --rounds 1 --dry    a quick look that writes nothing
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { frameRecord } from '../dist/encoding/record.js';
import { messageType } from '../dist/proto.js';
import { programOptions } from './options.mjs';
import { digits, median } from './peer.mjs';
import { machine, writeSection } from './results.mjs';

const options = programOptions({
  dry: { type: 'boolean' },
  rounds: { type: 'string', default: '3' },
  runs: { type: 'string', default: '10' },
  // tensorboard-reducer keeps a random sample of 10,000 points of a scalar, and has wrong numbers of more.
  steps: { type: 'string', default: '10000' },
  tags: { type: 'string', default: '10' },
});
const [rounds, runs, steps, tags] = [options.rounds, options.runs, options.steps, options.tags].map(Number);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const environments = [here('../.venv-bench/bin/python'), here('../.venv-compat/bin/python')];
const python = environments.find((path) => existsSync(path)) ?? 'python3';
const scratch = mkdtempSync(join(tmpdir(), 'delve-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** A run as torch writes it, an event for each value: tensorboard-reducer passes over the form of TensorBoard 2. */
function writeRun(seed) {
  const Event = messageType('Event');
  const frame = (event) => frameRecord(Event.encode(Event.fromObject(event)).finish());
  const records = [frame({ wallTime: 1.7e9, fileVersion: 'brain.Event:2' })];
  for (let step = 0; step < steps; step++) {
    for (let tag = 0; tag < tags; tag++) {
      const simpleValue = Math.exp(-step / steps) + ((7 * seed + 3 * tag + step) % 11) / 100;
      const summary = { value: [{ tag: `train/metric-${tag}`, simpleValue }] };
      records.push(frame({ wallTime: 1.7e9 + step + seed / 100, step, summary }));
    }
  }
  const folder = join(scratch, `runs/seed-${seed}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'events.out.tfevents.1700000000.bench'), Buffer.concat(records));
  return folder;
}

const folders = Array.from({ length: runs }, (_, seed) => writeRun(seed));
const peer = (who, out) => [python, [here('reduce_peer.py'), who, out, ...folders]];
const programs = {
  'reduce --format csv': (out) => [
    process.execPath,
    [here('../dist/cli.js'), 'reduce', ...folders, '--format', 'csv', '--out', out],
  ],
  'tensorboard-reducer': (out) => peer('tensorboard-reducer', out),
  'EventAccumulator and pandas': (out) => peer('EventAccumulator', out),
};

/** The numbers of a table by tag and step, in the order mean, std, min, max, median. */
function numbersOf(path) {
  const [head, ...rows] = readFileSync(path, 'utf8').trim().split(/\r?\n/);
  const columns = ['tag', 'step', 'mean', 'std', 'min', 'max', 'median'].map((name) => head.split(',').indexOf(name));
  return new Map(
    rows.map((row) => {
      const cells = row.split(',');
      const [tag, step, ...numbers] = columns.map((column) => cells[column]);
      return [`${tag} ${step}`, numbers.map(Number)];
    }),
  );
}

const [load] = loadavg();
const seconds = new Map(Object.keys(programs).map((who) => [who, []]));
const missing = new Map();
for (let round = 0; round < rounds; round++) {
  for (const [who, command] of Object.entries(programs)) {
    if (missing.has(who)) continue;
    process.stderr.write(`\rround ${round + 1}/${rounds}: ${who}                    `);
    const start = performance.now();
    const { status, stderr } = spawnSync(...command(join(scratch, `${who}.csv`)), { encoding: 'utf8' });
    if (status === 0) seconds.get(who).push((performance.now() - start) / 1000);
    else missing.set(who, stderr.trim().split('\n').at(-1));
  }
}
process.stderr.write('\n');

const [ours, ...others] = Object.keys(programs);
const expected = numbersOf(join(scratch, `${ours}.csv`));
const medianOf = (who) => median(seconds.get(who));
const table = Object.keys(programs).flatMap((who) => {
  if (missing.has(who)) return [];
  const found = numbersOf(join(scratch, `${who}.csv`));
  if (found.size !== expected.size) throw new Error(`${who}: ${found.size} rows, ${ours}: ${expected.size}`);
  let greatest = 0;
  for (const [key, numbers] of found) {
    for (const [i, number] of numbers.entries()) greatest = Math.max(greatest, Math.abs(number - expected.get(key)[i]));
  }
  return [[who, digits(medianOf(who)), digits(medianOf(who) / medianOf(ours)), greatest.toExponential(1)]];
});
const head = ['', 'seconds', 'times', 'greatest difference'];
const report = `## Several runs reduced to one

\`node bench/reduce.mjs\`, ${machine()}; load average ${digits(load)} when it began. ${(runs * steps * tags).toLocaleString('en')} scalars of ${runs} runs with ${tags} tags, in the form that torch writes, to a
CSV file of mean, std, min, max and median of each step. Medians of ${rounds} rounds in turn, each a process of its own, from its start to its end.

${[head, head.map((_, column) => (column < 1 ? '---' : '---:')), ...table].map((row) => `| ${row.join(' | ')} |`).join('\n')}${others
  .filter((who) => missing.has(who))
  .map((who) => `\n\nNot measured: ${who} (${missing.get(who)}).`)
  .join('')}`;
console.log(report);
if (!options.dry) writeSection('reduce', report);
