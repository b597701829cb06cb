import type { Files } from './platform.js';

export { defaultStoreFiles } from './browser-folders.js';
export { sourceFiles } from './browser-source-files.js';
export { terminalHasColors, writesToTerminal, writeTerminal } from './browser-terminal.js';

/** A page has no synchronous file system. */
export const files: Files | undefined = undefined;

/** A page does not know its computer's name; its own host stands for it. */
export function hostname(): string {
  return globalThis.location?.hostname ?? '';
}

const pageNumber = Math.floor(Math.random() * 2 ** 31);

/** A page has no process number; one by chance keeps pages and workers apart that write to one folder. */
export function processId(): number {
  return pageNumber;
}

const exitCallbacks = new Set<(final: boolean) => void>();

/** Calls back when the page is hidden for good, or for so long that it may never come back. */
export function onExit(callback: (final: boolean) => void): void {
  if (exitCallbacks.size === 0) {
    globalThis.addEventListener?.('pagehide', () => {
      for (const each of exitCallbacks) each(false);
    });
  }
  exitCallbacks.add(callback);
}

/** A page receives no signals. */
export function handleSignals(): void {}

/** Says something on the console's warning channel. */
export function warn(message: string): void {
  console.warn(`(delve-tensorboard) ${message}`);
}

/** A page's timers never keep it alive. */
export function unref(_timer: ReturnType<typeof setTimeout>): void {}

export { drawSvg } from './browser-svg.js';
export { startWorker, waitForChange } from './browser-workers.js';
export { type DeflateEffort, nativeZlib } from './browser-zlib.js';
