// `serve` beside TensorBoard on a logdir of 1,000 runs and on a file of 3,000,000 scalars: how long until a person sees
// something, and how much memory the programs take. Needs chromium; TensorBoard is that of .venv-bench, which is made if it is missing.
// Writes its section of bench/results.json. Run: npm run bench:serve
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { SummaryWriter } from '../dist/index.js';
import { benchOptions } from './options.mjs';
import { digits, spreadOf } from './peer.mjs';
import { pythonWith } from './python.mjs';
import { beginSection } from './results.mjs';

const options = benchOptions(90, {
  runs: { type: 'string', default: '1000' },
  events: { type: 'string', default: '3000000' },
});
const record = beginSection('serve', options);
const [runs, events] = [options.runs, options.events].map((text) => Number(text) / (options.quick ? 100 : 1));
const { python, versions, missing } = pythonWith(['tensorboard', 'tensorboard-data-server']);
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'bench-serve-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

async function fill(logdir, count, perRun, tags) {
  for (let run = 0; run < count; run++) {
    const writer = new SummaryWriter(join(logdir, `run${String(run).padStart(4, '0')}`));
    for (let step = 0; step < perRun; step++) {
      for (const tag of tags) writer.addScalar(tag, Math.sin(step / 100 + run), step);
      if (step % 100_000 === 0) await writer.flush();
    }
    await writer.close();
  }
}

/** Most memory that a process and its children have had, in MB. */
function memoryOf(pid) {
  const status = `/proc/${pid}/status`;
  if (!existsSync(status)) return 0;
  const own = Number(/VmHWM:\s*(\d+)/.exec(readFileSync(status, 'utf8'))?.[1] ?? 0) / 1024;
  const tasks = `/proc/${pid}/task`;
  const children = readdirSync(tasks).flatMap((task) =>
    readFileSync(`${tasks}/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return children.reduce((sum, child) => sum + memoryOf(child), own);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--enable-precise-memory-info'],
});

/** Starts a program; resolves to its first address. */
async function start(command, args) {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' },
  });
  const address = await new Promise((resolve) => {
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        said += chunk;
        const found = /http:\/\/[^\s/]+\//.exec(said);
        if (found) resolve(found[0]);
      });
    }
  });
  return { child, address };
}

async function measureServe(logdir, count) {
  const began = performance.now();
  const { child, address } = await start(process.execPath, [cli, 'serve', logdir, '--port', '0']);
  const page = await browser.newPage();
  await page.goto(address);
  await page.locator('.card svg path').first().waitFor({ state: 'attached', timeout: 600_000 });
  const first = performance.now() - began;
  if (count > 6) await page.getByText('show all').click();
  await page.waitForFunction(() => document.querySelector('.status')?.textContent === '', null, { timeout: 600_000 });
  const all = performance.now() - began;
  const heap = await page.evaluate(() => performance.memory.usedJSHeapSize / 2 ** 20);
  const memory = memoryOf(child.pid);
  await page.close();
  child.kill('SIGINT');
  return { first, all, memory: memory + heap };
}

/** TensorBoard's pages ask for the tags of a run first; they are there when the run has been read for the first time. */
async function measureTensorBoard(logdir, count, fast) {
  const began = performance.now();
  const { child, address } = await start(python, [
    '-m',
    'tensorboard.main',
    '--logdir',
    logdir,
    '--port',
    '0',
    `--load_fast=${fast}`,
  ]);
  let first;
  let all;
  while (all === undefined) {
    const answer = await fetch(`${address}data/plugin/scalars/tags`).catch(() => undefined);
    const listed = answer?.ok ? Object.keys(await answer.json()) : [];
    if (listed.length > 0) first ??= performance.now() - began;
    if (listed.length >= count) {
      // The last step of the last run.
      const run = listed.sort().at(-1);
      const points = await (
        await fetch(`${address}data/plugin/scalars/scalars?${new URLSearchParams({ run, tag: 'loss' })}`)
      ).json();
      if (points.at(-1)?.[1] === lastStep) all = performance.now() - began;
    }
    if (performance.now() - began > 600_000) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const memory = memoryOf(child.pid);
  child.kill('SIGINT');
  await new Promise((resolve) => child.once('exit', resolve));
  return { first, all, memory };
}

let lastStep = 0;
/** A way that takes longer is measured once. */
const slowMillis = 10_000;
const rows = [];
for (const [logdirName, count, perRun, tags] of [
  [`${runs.toLocaleString('en')} runs of 5 tags of 100 steps`, runs, 100, ['loss', 'accuracy', 'rate', 'norm', 'time']],
  [`a file of ${events.toLocaleString('en')} scalars`, 1, events, ['loss']],
]) {
  const logdir = join(folder, String(rows.length));
  await fill(logdir, count, perRun, tags);
  lastStep = perRun - 1;
  const hasTensorBoard = !('tensorboard' in missing);
  const ways = new Map([
    ['serve', () => measureServe(logdir, count)],
    ...(hasTensorBoard ? [['TensorBoard, data server', () => measureTensorBoard(logdir, count, 'true')]] : []),
    ...(hasTensorBoard ? [['TensorBoard, Python', () => measureTensorBoard(logdir, count, 'false')]] : []),
  ]);
  const found = new Map([...ways.keys()].map((way) => [way, []]));
  const end = performance.now() + 1000 * options.seconds;
  for (let round = 0; round === 0 || (round < 3 && performance.now() < end); round++) {
    for (const [way, measure] of ways) {
      const earlier = found.get(way);
      if (earlier[0]?.all === undefined ? earlier.length > 0 : earlier[0].all > slowMillis) continue;
      earlier.push(await measure());
      console.log(`${logdirName}, ${way}: ${digits(earlier.at(-1).all / 1000)} s`);
    }
  }
  for (const [program, all] of found) {
    const known = (what, unit) => {
      const numbers = all.flatMap((each) => (each[what] === undefined ? [] : [each[what] / unit]));
      return numbers.length === 0 ? {} : { [what]: spreadOf(numbers) };
    };
    rows.push({ logdir: logdirName, program, ...known('first', 1000), ...known('all', 1000), ...known('memory', 1) });
  }
}
await browser.close();
record({ versions, missing, rows });
