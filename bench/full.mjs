// All benchmarks, one after another, in at most 40 minutes; each writes its section of bench/results.json. A part that fails is named in
// the end, with exit code 1, and does not stop the others. Before each part it waits up to a minute for the machine to become quiet.
//
//   npm run bench:full                          on a machine that does nothing else (npm run setup:native for the native backend)
//   npm run bench:full -- --only writer,reading some of them
//   npm run bench:full -- --quick --into look   everything once and small, into a folder of its own
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sections } from './drawings.mjs';
import { programOptions } from './options.mjs';
import { busyShare } from './results.mjs';

/** A program by its section, and how many seconds it takes in all on two cores, what it installs left out. */
const parts = {
  quick: ['bench/quick.mjs', 150],
  writer: ['bench/writer.mjs', 240],
  reading: ['bench/reading.mjs', 180],
  reduce: ['bench/reduce.mjs', 75],
  eigenvalues: ['bench/eigenvalues.mjs', 90],
  threads: ['bench/threads.mjs', 85],
  moments: ['bench/moments.mjs', 45],
  fma: ['bench/fma.mjs', 125],
  saturation: ['bench/saturation.mjs', 670],
  scaling: ['bench/saturation-scaling.mjs', 100],
  health: ['bench/health.mjs', 130],
  extract: ['bench/extract.mjs', 205],
  onnx: ['bench/onnx.mjs', 75],
  loss: ['bench/loss-window.mjs', 85],
  'object-stores': ['bench/object-stores.mjs', 85],
  scale: ['bench/scale.mjs', 80],
  serve: ['bench/serve.mjs', 105],
  images: ['bench/images.mjs', 65],
  start: ['bench/start.mjs', 65],
  sizes: ['scripts/sizes.mjs', 20],
};
const options = programOptions({
  only: { type: 'string', default: Object.keys(parts).join(',') },
  quick: { type: 'boolean', default: false },
  dry: { type: 'boolean', default: false },
  into: { type: 'string' },
});
const wanted = options.only.split(',');
const unknown = wanted.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`--only: expected some of ${Object.keys(parts).join(', ')}, got ${unknown.join(', ')}`);
  process.exit(2);
}

function waitUntilQuiet() {
  const end = performance.now() + (options.quick ? 0 : 60_000);
  let share = busyShare();
  while (share > 0.1 && performance.now() < end) share = busyShare();
  return share;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const more = [
  ...(options.quick ? ['--quick'] : []),
  ...(options.dry ? ['--dry'] : []),
  ...(options.into ? ['--into', resolve(options.into)] : []),
];
const failed = [];
const begun = performance.now();
const minutes = (seconds) => (seconds / 60).toFixed(1);
for (const [at, name] of wanted.entries()) {
  const left = wanted.slice(at).reduce((sum, each) => sum + parts[each][1], 0);
  const [program, seconds] = parts[name];
  const share = waitUntilQuiet();
  console.log(
    `\n=== ${at + 1} of ${wanted.length}: ${sections[name].title}; the processors are ${(100 * share).toFixed(0)} % busy, load average ${loadavg()[0].toFixed(2)}; ` +
      `${minutes((performance.now() - begun) / 1000)} minutes gone${options.quick ? '' : `, about ${minutes(left)} left`}`,
  );
  const began = performance.now();
  const child = spawn(process.execPath, [program, ...more], { cwd: root, stdio: 'inherit' });
  const alarm = setTimeout(() => child.kill('SIGKILL'), 3000 * seconds + 300_000);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(alarm);
  if (code !== 0) failed.push(`${name} (${signal === null ? `exit code ${code}` : signal})`);
  console.log(
    `=== ${name}: ${code === 0 ? 'done' : 'FAILED'} in ${minutes((performance.now() - began) / 1000)} minutes`,
  );
}
console.log(
  `\n${minutes((performance.now() - begun) / 1000)} minutes. ${failed.length === 0 ? 'All parts were measured.' : `Failed: ${failed.join(', ')}.`}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
