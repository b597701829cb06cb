// How much faster images are written where there are more processors: programs that may use one and programs that may use several take
// turns. Needs taskset (Linux). Writes its section of bench/results.json.
//
//   npm run bench:images          (after a build)
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchOptions } from './options.mjs';
import { digits, spreadOf, untilKnown } from './peer.mjs';
import { beginSection } from './results.mjs';

const options = benchOptions(60);
const record = beginSection('images', options);
const job = fileURLToPath(new URL('./images-job.mjs', import.meta.url));
const count = options.quick ? 20 : 600;
const all = availableParallelism();
const processors = [...new Set([1, 2, 4, all])].filter((n) => n <= all).sort((a, b) => a - b);

function measure(n) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  const args = ['--cpu-list', `0-${n - 1}`, process.execPath, job, folder, String(count)];
  const { error, status, stderr, stdout } = spawnSync('taskset', args, { encoding: 'utf8' });
  rmSync(folder, { recursive: true, force: true });
  if (status !== 0) throw error ?? new Error(stderr);
  return JSON.parse(stdout);
}

const found = await untilKnown(
  () => {
    const numbers = {};
    for (const n of processors) {
      const { processor, rate } = measure(n);
      numbers[`${n} rate`] = rate;
      numbers[`${n} processor`] = processor;
      numbers[`${n} gain`] = rate / numbers['1 rate'];
    }
    return numbers;
  },
  { seconds: options.seconds },
);
const rows = processors.map((n) => ({
  processors: n,
  rate: spreadOf(found[`${n} rate`]),
  gain: spreadOf(found[`${n} gain`]),
  processor: spreadOf(found[`${n} processor`]),
}));
for (const row of rows)
  console.log(`${row.processors}: ${digits(row.rate.median)} images/s, ${digits(row.gain.median)} x`);
record({ images: count, rows });
