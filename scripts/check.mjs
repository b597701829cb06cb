// npm run check — everything that can be said about the code without running it. Every step runs, so that one call
// shows every complaint; the exit status is that of the worst. Steps run side by side, one on each processor, the longest ones
// first. Words name the steps that run: `npm run check -- types lint`. With --publish, as `npm publish` calls it, placeholders are refused.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { text } from 'node:stream/consumers';

if (process.argv.includes('--publish')) {
  const lines = readFileSync('package.json', 'utf8').split('\n');
  const placeholders = lines.flatMap((line, at) =>
    /\bOWNER\b|@example\.org/.test(line) ? [`  line ${at + 1}: ${line.trim()}`] : [],
  );
  if (placeholders.length > 0) {
    console.error(
      `package.json has placeholders, which lead nowhere; fill them in before you publish:\n${placeholders.join('\n')}`,
    );
    process.exit(1);
  }
}

const steps = [
  ['types', 'tsc', ['--noEmit', '-p', 'tsconfig.json']],
  ['lint and format', 'biome', ['check', '--error-on-warnings', '.']],
  [
    'imports: order of rooms, cycles',
    'depcruise',
    ['--config', '.dependency-cruiser.cjs', '--output-type', 'err', 'src'],
  ],
  ['unused files, exports, dependencies', 'knip', []],
  ['documentation of every public name', 'typedoc', []],
  ['ARCHITECTURE.md and what documents name', process.execPath, ['scripts/architecture.mjs', '--check']],
  ['tables of the experiments', process.execPath, ['examples/experiments/science.mjs', '--check']],
  ['RESULTS.md and figures are those of results.json', process.execPath, ['bench/results.mjs', '--check']],
  ['package: publint', 'publint', ['--strict']],
  ['package: types of every export', 'attw', ['--pack', '.', '--profile', 'esm-only']],
  ['lockfile', process.execPath, ['scripts/lockfile.mjs', '--check']],
  ['workflows run what .ci/run runs', process.execPath, ['scripts/compare-ci.mjs']],
];

const npx = process.platform === 'win32' ? 'npx.cmd' : 'npx';
const build = spawnSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
if (build.status !== 0) process.exit(build.status ?? 1);

const atOnce = Math.min(availableParallelism(), 4); // a step takes up to a gigabyte
const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const waiting = steps.filter(([name]) => words.length === 0 || words.some((word) => name.includes(word)));
if (waiting.length === 0) {
  console.error(`expected a word of a step (${steps.map(([name]) => name).join('; ')}), got ${words.join(' ')}`);
  process.exit(1);
}

async function runSteps() {
  for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
    const [name, command, args] = step;
    const [program, rest] = command === process.execPath ? [command, args] : [npx, ['--no-install', command, ...args]];
    const began = performance.now();
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = new Promise((resolve) => {
      child.once('error', ({ message }) => resolve(message));
      child.once('close', (status) => resolve(status === 0 ? undefined : ''));
    });
    const [said, complaint] = await Promise.all([Promise.all([text(child.stdout), text(child.stderr)]), ended]);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    if (complaint !== undefined) process.exitCode = 1;
    console.log(
      complaint === undefined
        ? `ok      ${name}, ${seconds} s`
        : `FAILED  ${name}, ${seconds} s\n${said.join('')}${complaint}`,
    );
  }
}
await Promise.all(Array.from({ length: atOnce }, runSteps));
