// What a tracker costs per training step, beside Delve's way on torch; writes its section of bench/RESULTS.md.
//
//   npm run bench:saturation                      (after a build; npm run setup:native for the native backend)
//   npm run bench:saturation -- --quick --dry     a quick look that writes nothing
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { digits, median } from './peer.mjs';
import { machine, writeSection } from './results.mjs';

const { values: options } = parseArgs({ options: { dry: { type: 'boolean' }, quick: { type: 'boolean' } } });
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** backend, network, spectra per block, steps per spectrum, rounds, variants */
const jobs = [
  ['tensorflow', 'MLP', 5, 50, 12, ['plain', 'default', 'float64', 'auto']],
  ['tensorflow', 'CNN', 1, 50, 6, ['plain', 'default', 'float64', 'auto']],
  ['tensorflow', 'LSTM', 1, 50, 5, ['plain', 'default', 'float64', 'auto']],
  ['wasm', 'MLP', 1, 20, 5, ['plain', 'default']],
  ['wasm', 'LSTM', 1, 10, 5, ['plain', 'default']],
  ['cpu', 'MLP', 1, 5, 3, ['plain', 'default']],
  ['cpu', 'CNN', 1, 1, 2, ['plain', 'default']],
].map(([backend, network, spectra, steps, rounds, kinds]) =>
  options.quick
    ? [backend, network, 1, Math.min(steps, 5), 2, kinds]
    : [backend, network, spectra, steps, rounds, kinds],
);

const rows = [];
const notes = [];
for (const [backend, network, ...counts] of jobs) {
  const [, steps, , kinds] = counts;
  const result = runJob(backend, network, ...counts);
  if (result === undefined) {
    notes.push(`${network} on ${backend}: not measured.`);
    continue;
  }
  const { plain } = result.times;
  for (const kind of kinds.slice(1)) {
    const ways = result.strategies[kind].join('; ');
    const read = digits((result.bytes[kind] - result.bytes.plain) / 1024);
    rows.push([network, backend, kind, steps, ...ratio(plain, result.times[kind]), read, ways]);
  }
}
const delve = measureDelve();
for (const [network, { plain, hooked }] of Object.entries(delve ?? {})) {
  rows.push([network, 'torch', 'Delve, restated', 50, ...ratio(plain, hooked), '', 'float64 on the main thread, eigh']);
}

const memory = peakMemory();

const head = [
  'network',
  'backend',
  'tracker',
  'steps per spectrum',
  'plain ms/step',
  'hooked / plain',
  'least',
  'most',
  'KB read per step',
  'how',
];
const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
const report = `## Saturation: training-step overhead

\`npm run bench:saturation\`, ${machine()}. MLP 784-512-512-512-10, batch 128; CNN 32-64-pool-64-128-pool on 32x32x3, batch
64; LSTM(128) on 32 steps, batch 64; SGD with momentum in all. Every batch is used. As in a fit, the spectra are solved while
training goes on and waited for before the next ones; a block (5 times 50 steps of the MLP, else as many steps as there are per
spectrum) ends when its last ones are there, inside the timing. Blocks without and with a tracker take turns in one process; the
ratio is the median over the rounds of hooked / plain within a round. "Delve, restated" is bench/delve_restated.py: Delve's accumulation as
published in 0.1.44 and its eigh, on the same networks in torch; not Delve's own package.

${table}

${memory}
${notes.map((note) => `\n- ${note}`).join('')}`;
console.log(`\n${report}`);
if (!options.dry) writeSection('saturation', report);

function runJob(backend, network, spectra, steps, rounds, kinds) {
  const counts = [spectra, steps, rounds].map(String);
  return run(process.execPath, [here('saturation-job.mjs'), backend, network, ...counts, ...kinds]);
}

/** A process of its own for each: what one has allocated the next would find. */
function peakMemory() {
  const parts = ['MLP', 'CNN', 'LSTM'].map((network) => {
    const [plain, hooked] = ['plain', 'default'].map(
      (kind) => runJob('tensorflow', network, 1, options.quick ? 5 : 50, 1, [kind])?.peakMegabytes,
    );
    return `${network} ${plain} without, ${hooked} with a tracker`;
  });
  return `Peak resident memory of a process of 150 steps, MB: ${parts.join('; ')}.`;
}

function ratio(plain, hooked) {
  const ratios = plain.map((time, round) => hooked[round] / time);
  return [median(plain), median(ratios), Math.min(...ratios), Math.max(...ratios)].map(digits);
}

function run(command, args) {
  console.error(`${args.slice(-6).join(' ')} ...`);
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1));
  notes.push(stderr.trim().split('\n').at(-1) ?? `exit code ${status}`);
  return undefined;
}

function measureDelve() {
  const own = here('../.venv-bench/bin/python');
  const rounds = options.quick ? { MLP: 2, CNN: 1, LSTM: 1 } : { MLP: 15, CNN: 5, LSTM: 7 };
  const steps = options.quick ? '5' : '50';
  return run(existsSync(own) ? own : 'python3', [here('delve_restated.py'), steps, JSON.stringify(rounds)]);
}
