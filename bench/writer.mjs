// Our writer beside those that are installed, each measurement in a process of its own; writes its section of bench/results.json.
// Python's writers are in .venv-bench, which is made if it is missing.
//
//   npm run bench:writer                      (after a build)
//   npm run bench:writer -- --quick --dry     a quick look that writes nothing
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchOptions } from './options.mjs';
import { median, spreadOf, untilKnown } from './peer.mjs';
import { pythonWith } from './python.mjs';
import { beginSection, versionOf } from './results.mjs';

const options = benchOptions(225);
const record = beginSection('writer', options);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'delve-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** Events of a measurement; Python's writers, which take up to six hundred times as long, add a tenth of them. */
const jobs = { scalars: 100_000, histograms: 5000, images: 100, texts: 5000 };
const withTorch = pythonWith(['tensorboard', 'torch', 'tensorboardX']);
const withTensorFlow = pythonWith(['tensorflow-cpu'], 'tensorflow');
const pythons = { torch: withTorch.python, tensorboardX: withTorch.python, tensorflow: withTensorFlow.python };
const missing = { ...withTorch.missing };
if ('tensorflow-cpu' in withTensorFlow.missing) missing.tensorflow = withTensorFlow.missing['tensorflow-cpu'];
const writers = ['delve', 'tfjs-node', ...Object.keys(pythons)];
const eventsOf = (job, who) => Math.max(20, (jobs[job] * (who in pythons ? 0.1 : 1)) / (options.quick ? 50 : 1));

/** What a measuring process prints on its last line; undefined, and the reason kept, where it cannot be measured. */
function measure(who, job, count) {
  if (who in missing) return undefined;
  const folder = mkdtempSync(join(scratch, 'run-'));
  const script = job === 'memory' ? 'writer-memory.mjs' : who in pythons ? 'writer_peer.py' : 'writer-job.mjs';
  const args = job === 'memory' ? [String(count), folder] : [who, job, String(count), folder];
  const { error, status, stderr, stdout } = spawnSync(pythons[who] ?? process.execPath, [here(script), ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  rmSync(folder, { recursive: true, force: true });
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1)) ?? undefined;
  missing[who] = (error?.message ?? stderr.trim().split('\n').at(-1)) || `exit code ${status}`;
  return undefined;
}

const rest = {};
const found = await untilKnown(
  () => {
    const rates = {};
    for (const job of Object.keys(jobs)) {
      for (const who of writers) {
        process.stderr.write(`\r${job} ${who}          `);
        const count = eventsOf(job, who);
        const result = measure(who, job, count);
        if (result === undefined) continue;
        const key = `${job} ${who}`;
        rates[key] = count / result.seconds;
        (rest[key] ??= []).push(result);
        if (who !== 'delve') rates[`${key} ratio`] = rates[`${job} delve`] / rates[key];
      }
    }
    return rates;
  },
  { seconds: options.seconds },
);
const rows = Object.keys(jobs).flatMap((job) =>
  writers.flatMap((writer) => {
    const key = `${job} ${writer}`;
    if (found[key] === undefined) return [];
    const of = (pick) => median(rest[key].map(pick));
    return {
      job,
      writer,
      events: eventsOf(job, writer),
      rate: spreadOf(found[key]),
      ...(found[`${key} ratio`] && { ratio: spreadOf(found[`${key} ratio`]) }),
      p50: of(({ calls }) => calls[0]),
      p99: of(({ calls }) => calls[1]),
      bytes: of(({ bytes }) => bytes),
      peakBytes: of(({ peakBytes }) => peakBytes),
    };
  }),
);
const events = options.quick ? 100_000 : 10_000_000;
const memory = { events, resident: measure('delve', 'memory', events).resident };
const tfjsNode = rows.some(({ writer }) => writer === 'tfjs-node') && {
  'tfjs-node': versionOf('@tensorflow/tfjs-node'),
};
record({ versions: { ...tfjsNode, ...withTorch.versions, ...withTensorFlow.versions }, missing, rows, memory });
