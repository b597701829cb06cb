// npm run pictures [-- --only tensorboard|dashboard] — draws the pictures of README and docs/ again, from the demo's run as it is now:
// docs/tensorboard.png (the Saturation tab) and docs/dashboard.png (the page of `serve`). It needs chromium and, for the first, tensorboard.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
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
  const logdir = resolve(values.logdir ?? join(temporary, 'runs'));
  if (values.logdir === undefined) {
    const trained = spawnSync(process.execPath, ['examples/demo/demo.js', '--backend', 'wasm', '--logdir', logdir], {
      cwd: root,
      stdio: 'inherit',
    });
    if (trained.status !== 0) throw new Error('the demo failed');
  }
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  if (values.only !== 'dashboard') await drawTab(browser, logdir);
  if (values.only !== 'tensorboard') await drawDashboard(browser, logdir);
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
