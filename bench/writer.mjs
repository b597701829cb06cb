// Our writer and reader beside those that are installed, interleaved on one machine, each measurement in a process of
// its own; writes its section of bench/RESULTS.md.
//
//   npm run bench:writer                   (after a build)
//   npm run bench:writer -- --setup        first makes .venv-bench with torch, tensorboardX, TensorFlow and TensorBoard
//   npm run bench:writer -- --rounds 2 --scale 0.01 --dry    a quick look that writes nothing
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programOptions } from './options.mjs';
import { machine, writeSection } from './results.mjs';

const options = programOptions({
  dry: { type: 'boolean' },
  rounds: { type: 'string', default: '5' },
  scale: { type: 'string', default: '1' },
  setup: { type: 'boolean' },
});
const scale = Number(options.scale);
const rounds = Number(options.rounds);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const venv = here('../.venv-bench');
const python = join(venv, 'bin/python');
const scratch = mkdtempSync(join(tmpdir(), 'delve-bench-'));

const jobs = { scalars: 100_000, histograms: 2000, images: 100, texts: 1000 };
const peers = ['tfjs-node', 'torch', 'tensorboardX', 'tensorflow'];
const skipped = new Map();

if (options.setup) setUp();
const writers = measureWriters();
const memory = measureMemory();
const readers = measureReaders();
rmSync(scratch, { recursive: true, force: true });
const report = render();
console.log(`\n${report}`);
if (!options.dry) writeSection('writer', report);

/** One package at a time, so that one that cannot be had does not cost the others. */
function setUp() {
  if (!existsSync(python)) run('python3', ['-m', 'venv', venv], 'inherit');
  const env = process.env.CI ? { ...process.env, PIP_RETRIES: '0' } : process.env;
  for (const name of ['tensorboard', 'tensorboardX', 'tensorflow-cpu', 'torch']) {
    console.log(`pip install ${name}`);
    spawnSync(python, ['-m', 'pip', 'install', '--quiet', name], { stdio: 'inherit', env });
  }
}

function run(command, args, stdout = 'pipe') {
  return spawnSync(command, args, { stdio: ['ignore', stdout, 'pipe'], encoding: 'utf8', maxBuffer: 2 ** 26 });
}

/** What a measuring process prints on its last line; undefined, and the reason kept, where it cannot be measured. */
function measure(who, command, args) {
  if (skipped.has(who)) return undefined;
  const { error, status, stderr, stdout } = run(command, args);
  if (error || status !== 0) {
    skipped.set(who, (error?.message ?? stderr.trim().split('\n').at(-1)) || `exit code ${status}`);
    return undefined;
  }
  return JSON.parse(stdout.trim().split('\n').at(-1)) ?? undefined;
}

function inFolder(use) {
  const folder = mkdtempSync(join(scratch, 'run-'));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function measureWriters() {
  const found = new Map();
  for (let round = 0; round < rounds; round++) {
    for (const [job, full] of Object.entries(jobs)) {
      const count = Math.max(20, Math.round(full * scale));
      for (const who of ['delve', ...peers]) {
        process.stderr.write(`\rround ${round + 1}/${rounds}: ${job} ${who}          `);
        const isNode = who === 'delve' || who === 'tfjs-node';
        const script = here(isNode ? './writer-job.mjs' : './writer_peer.py');
        const result = inFolder((folder) =>
          measure(who, isNode ? process.execPath : python, [script, who, job, String(count), folder]),
        );
        if (!result) continue;
        const key = `${job} ${who}`;
        found.set(key, [...(found.get(key) ?? []), { ...result, rate: count / result.seconds }]);
      }
    }
  }
  process.stderr.write('\n');
  return found;
}

function measureMemory() {
  const count = Math.max(1000, Math.round(1e7 * scale));
  return inFolder((folder) => ({
    count,
    ...measure('delve', process.execPath, [here('./writer-memory.mjs'), String(count), folder]),
  }));
}

function measureReaders() {
  const count = Math.max(1000, Math.round(1e6 * scale));
  return inFolder((folder) => {
    measure('delve', process.execPath, [here('./writer-memory.mjs'), String(count), folder]);
    const file = join(
      folder,
      readdirSync(folder).find((name) => name.includes('tfevents')),
    );
    const found = new Map();
    for (let round = 0; round < rounds; round++) {
      for (const who of ['readEvents', 'EventFileLoader', 'EventAccumulator']) {
        process.stderr.write(`\rround ${round + 1}/${rounds}: reading, ${who}          `);
        const result =
          who === 'readEvents'
            ? measure(who, process.execPath, [here('./reader-job.mjs'), file])
            : measure(who, python, [here('./writer_peer.py'), who, 'read', '0', file]);
        if (result) found.set(who, [...(found.get(who) ?? []), { ...result, rate: count / result.seconds }]);
      }
    }
    process.stderr.write('\n');
    return { count, found };
  });
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function digits(number) {
  return number >= 1000 ? Math.round(number).toLocaleString('en') : String(Number(number.toPrecision(3)));
}

function rows(table) {
  return table.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function render() {
  const table = [
    ['job', 'writer', 'events/s', 'spread', 'ours is', 'p50 µs', 'p99 µs', 'bytes/event', 'peak MB'],
    ['---', '---', '---:', '---:', '---:', '---:', '---:', '---:', '---:'],
  ];
  for (const job of Object.keys(jobs)) {
    const ours = writers.get(`${job} delve`);
    for (const who of ['delve', ...peers]) {
      const results = writers.get(`${job} ${who}`);
      if (!results) continue;
      const of = (pick) => median(results.map(pick));
      const rates = results.map(({ rate }) => rate);
      const ratio = who === 'delve' || !ours ? '' : `${digits(median(ours.map(({ rate }) => rate)) / median(rates))} x`;
      table.push([
        job,
        who === 'delve' ? '**delve-tensorboard**' : who,
        digits(median(rates)),
        `${digits(Math.min(...rates))}–${digits(Math.max(...rates))}`,
        ratio,
        digits(of(({ calls }) => calls[0])),
        digits(of(({ calls }) => calls[1])),
        digits(of(({ bytes }) => bytes)),
        digits(of(({ peakBytes }) => peakBytes) / 1e6),
      ]);
    }
  }
  const readTable = [
    ['reader', 'events/s', 'ours is', 'peak MB'],
    ['---', '---:', '---:', '---:'],
  ];
  const ourRate = median((readers.found.get('readEvents') ?? [{ rate: Number.NaN }]).map(({ rate }) => rate));
  for (const [who, results] of readers.found) {
    const rate = median(results.map((result) => result.rate));
    const ratio = who === 'readEvents' ? '' : `${digits(ourRate / rate)} x`;
    const peak = median(results.map(({ peakBytes }) => peakBytes)) / 1e6;
    readTable.push([who === 'readEvents' ? '**readEvents**' : who, digits(rate), ratio, digits(peak)]);
  }
  const counts = Object.entries(jobs).map(([job, count]) => `${digits(count * scale)} ${job}`);
  const resident = (memory.resident ?? []).map((bytes) => digits(bytes / 1e6));
  const missing = [...skipped].map(([who, why]) => `- ${who}: ${why}`);
  return [
    '## Writer and reader',
    '',
    `${machine()}. Command: \`npm run bench:writer\`; ${rounds} interleaved rounds, medians; every measurement is a process of its own.`,
    `Per measurement: ${counts.join(', ')} (histograms of 10,000 float32 values, pictures of 256 x 256 x 3 bytes), from the`,
    'first call to the end of close (tfjs-node: flush), then up to 100,000 calls timed one by one.',
    '',
    rows(table),
    '',
    'A scalar takes 7 bytes more than with tfjs-node and torch because it is written in the form of TensorBoard 2, as a tensor, which has a',
    "name and a description and is read by all its plugins; the others write TensorBoard 1's `simple_value`. TensorFlow 2 writes the former, too. A histogram is, as TensorFlow 2's, 30 rows of three",
    'float64, with the left edge of each; tfjs-node leaves out left edges and empty rows at the ends, torch writes several hundred buckets.',
    '',
    `Memory while ${digits(memory.count)} scalars are added, resident MB after every tenth of them: ${resident.join(', ')}.`,
    '',
    `Reading a file of ${digits(readers.count)} scalar events:`,
    '',
    rows(readTable),
    ...(missing.length > 0 ? ['', 'Not measured:', '', ...missing] : []),
  ].join('\n');
}
