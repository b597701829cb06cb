// How fast files of scalars, histograms, images and texts are read, beside TensorBoard's data server (Rust) and what Python has.
// Every measurement is a process of its own, and they take turns; writes its section of bench/results.json. Python's readers are in
// .venv-bench, which is made if it is missing.
//
//   npm run bench:reading                    (after a build)
//   npm run bench:reading -- --quick --dry   a quick look that writes nothing
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SummaryWriter } from '../dist/index.js';
import { benchOptions } from './options.mjs';
import { median, spreadOf, untilKnown } from './peer.mjs';
import { pythonWith } from './python.mjs';
import { beginSection } from './results.mjs';
import { histogramValues, picture, text } from './writer-inputs.mjs';

const options = benchOptions(140);
const record = beginSection('reading', options);
const scale = options.quick ? 0.01 : 1;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'delve-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** Events of each kind, how one is added, and the part of the time that it gets. */
const kinds = {
  scalars: [10_000_000, 0.7, (writer) => (step) => writer.addScalar('train/loss', step * 0.5, step)],
  histograms: [
    200_000,
    0.1,
    (writer, values = histogramValues()) =>
      (step) =>
        writer.addHistogram('weights', values, step),
  ],
  images: [
    5000,
    0.1,
    (writer, data = picture()) =>
      (step) =>
        writer.addImage('photo', { data, shape: [256, 256, 3] }, step),
  ],
  texts: [1_000_000, 0.1, (writer) => (step) => writer.addText('notes', text(step), step)],
};
/** Python reads scalars alone, and so few of them: it takes a hundred times as long. */
const fewScalars = 200_000;
const packages = {
  'data server': 'tensorboard-data-server',
  EventFileLoader: 'tensorboard',
  EventAccumulator: 'tensorboard',
  tbparse: 'tbparse',
  'tensorboard-reducer': 'tensorboard-reducer',
};
const { python, versions, missing } = pythonWith([...new Set(Object.values(packages))]);

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
  if ((packages[who] ?? who) in missing) return undefined;
  const { error, status, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1));
  missing[packages[who] ?? who] = (error?.message ?? stderr.trim().split('\n').at(-1)) || `exit code ${status}`;
  return undefined;
}

/** Has the data server read a logdir once; it says how long that took. The kernel says how much of it was computing. */
async function runServer(logdir, ...more) {
  if (packages['data server'] in missing) return undefined;
  const found = spawnSync(python, ['-c', 'import tensorboard_data_server as t; print(t.server_binary())'], {
    encoding: 'utf8',
  });
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

const rows = [];
for (const [events, [full, part, adding]] of Object.entries(kinds)) {
  const [count, few] = [full, fewScalars].map((each) => Math.max(100, Math.round(each * scale)));
  const folder = join(scratch, events);
  const file = await fill(folder, count, adding);
  const job = (who, ...how) => [count, () => run(who, process.execPath, [here('reader-job.mjs'), file, ...how])];
  const readers = {
    readEvents: job('readEvents'),
    'readEvents, raw: false': job('values', 'values'),
    inspect: job('inspect', 'inspect'),
    'data server': [count, () => runServer(folder)],
    'data server, --checksum': [count, () => runServer(folder, '--checksum')],
  };
  if (events === 'scalars') {
    const fewFile = await fill(join(scratch, 'few'), few, adding);
    for (const who of Object.keys(packages).slice(1))
      readers[who] = [few, () => run(who, python, [here('writer_peer.py'), who, 'read', '0', fewFile])];
  }
  const peaks = {};
  const found = await untilKnown(
    async () => {
      const taken = {};
      for (const [who, [, measure]] of Object.entries(readers)) {
        process.stderr.write(`\r${events}, ${who}                    `);
        const result = await measure();
        if (result === undefined) continue;
        taken[who] = result.seconds;
        taken[`${who} processor`] = result.processorSeconds;
        (peaks[who] ??= []).push(result.peakBytes);
      }
      return taken;
    },
    { seconds: part * options.seconds },
  );
  const bytes = statSync(file).size / count;
  for (const [reader, [number]] of Object.entries(readers)) {
    if (found[reader] === undefined) continue;
    const [seconds, processorSeconds] = [found[reader], found[`${reader} processor`]].map(spreadOf);
    rows.push({ events, reader, number, bytes, seconds, processorSeconds, peakBytes: median(peaks[reader]) });
  }
  rmSync(folder, { recursive: true });
}
record({ versions, missing, rows });
