// How fast files of scalars, histograms, images and texts are read, beside TensorBoard's data server (Rust) and what Python has.
// Every measurement is a process of its own, and they take turns; writes its section of bench/RESULTS.md.
//
//   npm run bench:reading                    (after a build)
//   npm run bench:reading -- --setup         first makes .venv-bench with TensorBoard, its data server, tbparse and tensorboard-reducer
//   npm run bench:reading -- --scale 0.01 --rounds 2 --dry    a quick look that writes nothing
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SummaryWriter } from '../dist/index.js';
import { programOptions } from './options.mjs';
import { digits, median } from './peer.mjs';
import { machine, writeSection } from './results.mjs';
import { histogramValues, picture, text } from './writer-inputs.mjs';

const options = programOptions({
  dry: { type: 'boolean' },
  rounds: { type: 'string', default: '3' },
  scale: { type: 'string', default: '1' },
  setup: { type: 'boolean' },
});
const [rounds, scale] = [options.rounds, options.scale].map(Number);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const python = here('../.venv-bench/bin/python');
const scratch = mkdtempSync(join(tmpdir(), 'delve-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** Events of each kind, and how one is added. */
const kinds = {
  scalars: [10_000_000, (writer) => (step) => writer.addScalar('train/loss', step * 0.5, step)],
  histograms: [
    200_000,
    (writer, values = histogramValues()) =>
      (step) =>
        writer.addHistogram('weights', values, step),
  ],
  images: [
    5000,
    (writer, data = picture()) =>
      (step) =>
        writer.addImage('photo', { data, shape: [256, 256, 3] }, step),
  ],
  texts: [1_000_000, (writer) => (step) => writer.addText('notes', text(step), step)],
};
/** Python reads scalars alone, and so few of them: it takes a hundred times as long. */
const fewScalars = 1_000_000;
const pythonReaders = ['EventFileLoader', 'EventAccumulator', 'tbparse', 'tensorboard-reducer'];
const missing = new Map();

if (options.setup) {
  if (!existsSync(python)) spawnSync('python3', ['-m', 'venv', here('../.venv-bench')], { stdio: 'inherit' });
  for (const name of ['tensorboard', 'tensorboard-data-server', 'tbparse', 'tensorboard-reducer'])
    spawnSync(python, ['-m', 'pip', 'install', '--quiet', name], { stdio: 'inherit' });
}

async function fill(logdir, count, adding) {
  const writer = new SummaryWriter(logdir);
  const add = adding(writer);
  for (let step = 0; step < count; step++) {
    add(step);
    if (step % 10_000 === 0) await writer.flush();
  }
  await writer.close();
  return join(logdir, readdirSync(logdir)[0]);
}

/** What a measuring process prints on its last line; undefined, and the reason kept, where it cannot be measured. */
function run(who, command, args) {
  if (missing.has(who)) return undefined;
  const { error, status, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (error || status !== 0) {
    missing.set(who, (error?.message ?? stderr.trim().split('\n').at(-1)) || `exit code ${status}`);
    return undefined;
  }
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** Has the data server read a logdir once; it says how long that took. The kernel says how much of it was computing. */
async function runServer(logdir, ...more) {
  const who = 'data server';
  if (missing.has(who)) return undefined;
  const found = spawnSync(python, ['-c', 'import tensorboard_data_server as t; print(t.server_binary())'], {
    encoding: 'utf8',
  });
  if (found.error || found.status !== 0) {
    missing.set(who, found.error?.message ?? found.stderr.trim().split('\n').at(-1));
    return undefined;
  }
  const args = ['--logdir', logdir, '--port', '0', '--reload', 'once', '-v', ...more];
  const server = spawn(found.stdout.trim(), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  const seconds = await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.on('exit', () => reject(new Error(`the data server ended: ${said.slice(-200)}`)));
    server.stderr.on('data', (chunk) => {
      said += chunk;
      const [, amount, unit] = /Finished load cycle \(([\d.]+)(s|ms|µs)\)/.exec(said) ?? [];
      if (amount !== undefined) resolve(Number(amount) / { s: 1, ms: 1e3, µs: 1e6 }[unit]);
    });
  });
  const [user, system] = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13);
  const peak = /VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1];
  server.removeAllListeners('exit');
  server.kill();
  return { seconds, processorSeconds: (Number(user) + Number(system)) / 100, peakBytes: 1024 * Number(peak) };
}

const [load] = loadavg();
const table = [];
for (const [kind, [full, adding]] of Object.entries(kinds)) {
  const count = Math.max(100, Math.round(full * scale));
  const few = Math.max(100, Math.round(fewScalars * scale));
  const folder = join(scratch, kind);
  const file = await fill(folder, count, adding);
  const fewFile = kind === 'scalars' ? await fill(join(scratch, 'few'), few, adding) : undefined;
  const readers = {
    readEvents: [count, () => run('readEvents', process.execPath, [here('reader-job.mjs'), file])],
    'readEvents, raw: false': [count, () => run('values', process.execPath, [here('reader-job.mjs'), file, 'values'])],
    inspect: [count, () => run('inspect', process.execPath, [here('reader-job.mjs'), file, 'inspect'])],
    'data server': [count, () => runServer(folder)],
    'data server, --checksum': [count, () => runServer(folder, '--checksum')],
  };
  if (fewFile !== undefined) {
    for (const who of pythonReaders)
      readers[who] = [few, () => run(who, python, [here('writer_peer.py'), who, 'read', '0', fewFile])];
  }
  const found = new Map(Object.keys(readers).map((who) => [who, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [who, [, measure]] of Object.entries(readers)) {
      process.stderr.write(`\rround ${round + 1}/${rounds}: ${kind}, ${who}                    `);
      const result = await measure();
      if (result !== undefined) found.get(who).push(result);
    }
  }
  const bytes = statSync(file).size / count;
  for (const [who, [events]] of Object.entries(readers)) {
    const results = found.get(who);
    if (results.length === 0) continue;
    const of = (pick) => median(results.map(pick));
    const [seconds, processor] = [of((r) => r.seconds), of((r) => r.processorSeconds ?? r.seconds)];
    table.push([
      kind,
      who,
      events.toLocaleString('en'),
      digits(bytes),
      digits(seconds),
      digits(processor),
      digits((1e6 * processor) / events),
      digits((events * bytes) / processor / 1e6),
      digits(of((r) => r.peakBytes) / 1e6),
    ]);
  }
}
process.stderr.write('\n');

const head = [
  'events',
  'reader',
  'number',
  'bytes each',
  'seconds',
  'processor seconds',
  'processor µs each',
  'MB per processor second',
  'peak MB',
];
const report = `## Reading

\`npm run bench:reading${options.scale === '1' ? '' : ` -- --scale ${options.scale}`}\`, ${machine()}; load average ${digits(load)} when it began. Medians of ${rounds} rounds of all readers in turn, each a process of its own,
from its first byte to its last; the command inspect from the loading of its first module. Processor seconds are those of all threads: they count where other programs run beside it. TensorBoard's data
server (Rust) keeps a sample of the points of each tag and looks at checksums only if told to; the other readers look at all of both. Python's readers
are given fewer scalars.

${[head, head.map((_, column) => (column < 2 ? '---' : '---:')), ...table].map((row) => `| ${row.join(' | ')} |`).join('\n')}${[...missing].map(([who, why]) => `\n\nNot measured: ${who} (${why}).`).join('')}`;
console.log(`\n${report}`);
if (!options.dry) writeSection('reading', report);
