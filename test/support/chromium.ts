import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, onTestFinished } from 'vitest';

/** Chromium on this machine; undefined if there is none. */
export const executablePath = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout?.trim())
  .find(Boolean);

let started: Promise<Browser> | undefined;
afterAll(async () => (await started)?.close());

/** A page, and what it complained about and asked of other hosts than its own. */
export async function openPage(
  options: { width?: number; height?: number; dark?: boolean; scripts?: boolean } = {},
): Promise<{ page: Page; complaints: string[]; foreign: string[] }> {
  const { width = 1400, height = 1000, dark = false, scripts = true } = options;
  started ??= chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  const page = await (await started).newPage({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    javaScriptEnabled: scripts,
  });
  onTestFinished(() => page.close());
  const complaints: string[] = [];
  const foreign: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith('http') && hostname !== '127.0.0.1' && hostname !== 'view.test')
      foreign.push(request.url());
  });
  return { page, complaints, foreign };
}

/**
 * What axe-core finds: every rule of WCAG 2.2 A and AA, and its best practices.
 *
 * @param root selector of what is looked at
 */
export async function violationsIn(
  page: Page,
  frame: { evaluate: Page['evaluate'] } = page,
  root = '.saturation-view',
): Promise<string[]> {
  const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
  await frame.evaluate(readFileSync(axe, 'utf8'));
  return frame.evaluate(async (selector) => {
    const { axe: tool } = globalThis as unknown as {
      axe: { run(root: Element): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await tool.run(document.querySelector(selector) as Element);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
  }, root);
}

/**
 * The elements that would show a horizontal scrollbar, with how wide they are and what they hold.
 *
 * @param meant selector of what may be scrolled sideways
 */
export async function sidewaysIn(page: Page, meant: string): Promise<string[]> {
  return page.evaluate((selector) => {
    const all = [...document.querySelectorAll('*')].filter((element) => {
      const isScrolled =
        /auto|scroll/.test(getComputedStyle(element).overflowX) || element === document.documentElement;
      return isScrolled && element.scrollWidth > element.clientWidth && element.clientWidth > 0;
    });
    return all
      .filter((element) => !element.matches(selector))
      .map((element) => `${element.tagName}.${element.className}: ${element.scrollWidth} in ${element.clientWidth}`);
  }, meant);
}
