// How fast `reduce` takes the scalars of several runs together, beside tensorboard-reducer and a script with TensorBoard and pandas.
// Every measurement is a process of its own, from its start to its end, and they take turns; writes its section of bench/results.json.
// The Python programs are in .venv-bench, which is made if it is missing.
//
//   npm run bench:reduce                     (after a build)
//   npm run bench:reduce -- --quick --dry    a quick look that writes nothing
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { frameRecord } from '../dist/encoding/record.js';
import { messageType } from '../dist/proto.js';
import { benchOptions } from './options.mjs';
import { spreadOf, untilKnown } from './peer.mjs';
import { pythonWith } from './python.mjs';
import { beginSection } from './results.mjs';

const options = benchOptions(70, {
  runs: { type: 'string', default: '10' },
  // tensorboard-reducer keeps a random sample of 10,000 points of a scalar, and has wrong numbers of more.
  steps: { type: 'string', default: '10000' },
  tags: { type: 'string', default: '10' },
});
const record = beginSection('reduce', options);
const [runs, fullSteps, tags] = [options.runs, options.steps, options.tags].map(Number);
const steps = options.quick ? 500 : fullSteps;
const { python, versions, missing } = pythonWith(['tensorboard', 'pandas', 'tensorboard-reducer']);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
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

const [ours] = Object.keys(programs);

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

const found = await untilKnown(
  () => {
    const seconds = {};
    for (const [who, command] of Object.entries(programs)) {
      if (who in missing) continue;
      process.stderr.write(`\r${who}                    `);
      const start = performance.now();
      const { status, stderr } = spawnSync(...command(join(scratch, `${who}.csv`)), { encoding: 'utf8' });
      if (status === 0) seconds[who] = (performance.now() - start) / 1000;
      else missing[who] = stderr.trim().split('\n').at(-1);
    }
    const ratios = Object.entries(seconds).map(([who, each]) => [`${who} ratio`, each / seconds[ours]]);
    return { ...seconds, ...Object.fromEntries(ratios) };
  },
  { seconds: options.seconds },
);
const expected = numbersOf(join(scratch, `${ours}.csv`));
const rows = Object.keys(programs).flatMap((program) => {
  if (found[program] === undefined) return [];
  const numbers = numbersOf(join(scratch, `${program}.csv`));
  if (numbers.size !== expected.size) throw new Error(`${program}: ${numbers.size} rows, ${ours}: ${expected.size}`);
  let difference = 0;
  for (const [key, each] of numbers)
    for (const [i, number] of each.entries())
      difference = Math.max(difference, Math.abs(number - expected.get(key)[i]));
  return [{ program, seconds: spreadOf(found[program]), ratio: spreadOf(found[`${program} ratio`]), difference }];
});
record({ versions, missing, runs, steps, tags, rows });
