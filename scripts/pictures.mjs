// npm run pictures [-- --only tensorboard|dashboard|onnx] — draws the pictures of README and docs/ again, from the demos' runs as they are
// now: docs/tensorboard.png (the Saturation tab) and docs/dashboard.png (the page of `serve`) from that of `npm run demo`, and
// docs/onnx.png from that of `npm run demo:onnx`. It needs chromium and, for the first, tensorboard.
//   --logdir <folder>   a run of the demo that is there, in the place of a new one; with --only onnx of the other demo
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values } = parseArgs({ options: { only: { type: 'string' }, logdir: { type: 'string' } } });
const root = fileURLToPath(new URL('..', import.meta.url));
const executablePath = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout?.trim())
  .find(Boolean);
if (!executablePath) throw new Error('pictures need chromium on the path');

const temporary = mkdtempSync(join(tmpdir(), 'delve-pictures-'));
const children = [];
try {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  const wanted = (name) => (values.only ?? name) === name;
  if (wanted('tensorboard') || wanted('dashboard')) {
    const logdir = resolve(values.logdir ?? join(temporary, 'runs'));
    if (values.logdir === undefined) run('examples/demo/demo.js', '--backend', 'wasm', '--logdir', logdir);
    if (wanted('tensorboard')) await drawTab(browser, logdir);
    if (wanted('dashboard')) await drawDashboard(browser, logdir);
  }
  if (wanted('onnx')) {
    const given = values.only === 'onnx' ? values.logdir : undefined;
    if (given === undefined) npm('ci', '--prefix', 'examples/onnx', '--silent');
    if (given === undefined) run('examples/onnx/demo.mjs', join(temporary, 'onnx'));
    await drawOnnx(browser, resolve(given ?? join(temporary, 'onnx')));
  }
  await browser.close();
} finally {
  for (const child of children) child.kill();
  rmSync(temporary, { recursive: true, force: true });
}

async function drawTab(browser, logdir) {
  const port = await freePort();
  start(dirname(logdir), 'board', basename(logdir), '--port', String(port));
  const page = await browser.newPage({ viewport: { width: 1440, height: 1320 } });
  await whenUp(page, `http://127.0.0.1:${port}/#saturation`);
  const frame = page.frameLocator('iframe');
  await frame.locator('.saturation-view svg').first().waitFor({ timeout: 120_000 });
  await frame.locator('.saturation-view canvas').first().waitFor({ timeout: 120_000 });
  await frame.getByLabel('Layer of the spectrum').selectOption('dense2');
  await page.waitForTimeout(2000); // so that everything is drawn
  await page.screenshot({ path: join(root, 'docs/tensorboard.png') });
}

async function drawDashboard(browser, logdir) {
  const port = await freePort();
  start(dirname(logdir), 'serve', basename(logdir), '--port', String(port));
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await whenUp(page, `http://127.0.0.1:${port}/`);
  await page.locator('canvas, svg').first().waitFor({ timeout: 120_000 });
  await page.waitForTimeout(3000);
  await page.screenshot({ path: join(root, 'docs/dashboard.png') });
}

async function drawOnnx(browser, logdir) {
  const report = join(temporary, 'onnx.html');
  run('dist/cli.js', 'report', logdir, '--out', report);
  const page = await browser.newPage({ viewport: { width: 1024, height: 900 } });
  await page.goto(pathToFileURL(report).href);
  const card = page.locator('.card', { hasText: 'Saturation by depth' }).first();
  await card.locator('svg').first().waitFor();
  await page.waitForTimeout(1000);
  await card.screenshot({ path: join(root, 'docs/onnx.png') });
}

/** Runs a program of this checkout to its end. */
function run(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${args[0]} failed`);
}

function npm(...args) {
  const { status } = spawnSync(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed`);
}

/** In the folder of the logdir, so that its name is short in the pictures. */
function start(cwd, ...args) {
  children.push(spawn(process.execPath, [join(root, 'dist/cli.js'), ...args], { cwd, stdio: 'inherit' }));
}

async function whenUp(page, address) {
  for (let tries = 0; ; tries++) {
    try {
      await page.goto(address);
      return;
    } catch (error) {
      if (tries > 120) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
