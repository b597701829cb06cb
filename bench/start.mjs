// What an import costs a program of Node: the time of a whole process that imports a door, less that of one that imports nothing. All take
// turns; processor time counts where other programs run beside it. Writes its section of bench/results.json.
//
//   npm run bench:start          (after a build)
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { benchOptions } from './options.mjs';
import { digits, spreadOf, untilKnown } from './peer.mjs';
import { beginSection } from './results.mjs';

const options = benchOptions(60);
const record = beginSection('start', options);
const root = fileURLToPath(new URL('..', import.meta.url));
const doors = [
  'delve-tensorboard',
  'delve-tensorboard/object-stores',
  'delve-tensorboard/reports',
  'protobufjs/light.js',
];
const after =
  'const { systemCPUTime, userCPUTime } = process.resourceUsage(); console.log(userCPUTime + systemCPUTime);';

/** Milliseconds of a process that runs a module: by the clock, and of processors. */
function processOf(code) {
  const start = performance.now();
  const args = ['--input-type=module', '--eval', `${code}\n${after}`];
  const { status, stderr, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const wall = performance.now() - start;
  if (status !== 0) throw new Error(stderr);
  return { wall, processor: Number(stdout) / 1000 };
}

const names = ['nothing', ...doors];
const codes = new Map(names.map((name) => [name, name === 'nothing' ? '' : `import '${name}';`]));
for (const code of codes.values()) processOf(code); // from then on the files are in the system's cache
const found = await untilKnown(
  (round) => {
    const numbers = {};
    // Whoever is first in a round may find the processor's caches empty.
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      const { processor, wall } = processOf(codes.get(name));
      numbers[`${name} wall`] = wall;
      numbers[`${name} processor`] = processor;
    }
    for (const name of doors) {
      for (const kind of ['wall', 'processor']) numbers[`${name} ${kind}`] -= numbers[`nothing ${kind}`];
    }
    return numbers;
  },
  { seconds: options.seconds },
);
const rows = names.map((name) => ({
  name,
  wall: spreadOf(found[`${name} wall`]),
  processor: spreadOf(found[`${name} processor`]),
}));
for (const { name, wall, processor } of rows) {
  console.log(`${name}: ${digits(wall.median)} ms, of processors ${digits(processor.median)} ms`);
}
record({ rows });
