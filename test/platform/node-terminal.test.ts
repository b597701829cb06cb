import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { terminalHasColors as browserHasColors } from '../../src/platform/browser.js';
import { terminalHasColors } from '../../src/platform/node.js';

describe('terminalHasColors', () => {
  const { isTTY, hasColors } = process.stdout;
  afterEach(() => {
    Object.assign(process.stdout, { isTTY, hasColors });
    vi.unstubAllEnvs();
  });

  /** Makes standard output a terminal as Node has them. */
  const asTerminal = async () => {
    const { WriteStream } = await import('node:tty');
    const { hasColors: real, getColorDepth } = WriteStream.prototype;
    Object.assign(process.stdout, { isTTY: true, hasColors: real, getColorDepth });
    vi.stubEnv('FORCE_COLOR', undefined);
    vi.stubEnv('NO_COLOR', undefined);
    // Node takes an unknown CI for a place without colours.
    vi.stubEnv('CI', undefined);
    vi.stubEnv('TERM', 'xterm-256color');
  };

  it('is true on a terminal', async () => {
    await asTerminal();
    expect(terminalHasColors()).toBe(true);
  });

  it('is false where NO_COLOR asks for none, and on a dumb terminal', async () => {
    await asTerminal();
    vi.stubEnv('NO_COLOR', '1');
    expect(terminalHasColors()).toBe(false);
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('TERM', 'dumb');
    vi.stubEnv('COLORTERM', undefined);
    expect(terminalHasColors()).toBe(false);
  });

  it('is false in a file or pipe', async () => {
    await asTerminal();
    process.stdout.isTTY = false;
    expect(terminalHasColors()).toBe(false);
    const piped = spawnSync(process.execPath, ['-e', 'console.log(process.stdout.isTTY)'], { encoding: 'utf8' });
    expect(piped.stdout.trim()).toBe('undefined');
  });

  it('is false in a browser', () => {
    expect(browserHasColors()).toBe(false);
  });
});
