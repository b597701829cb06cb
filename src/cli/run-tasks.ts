/** The tasks that threads of the command line do: each on one run. */
import type { RunTask } from './each-run.js';

/** By the names that commands give to `eachRun`; each is loaded when a thread is asked for it. */
export const runTasks: Readonly<Record<string, () => Promise<RunTask<never, unknown>>>> = {
  export: async () => (await import('./export.js')).textOfRun,
  inspect: async () => (await import('./inspect.js')).inspectRun,
  lint: async () => (await import('./lint.js')).lintRun,
  reduce: async () => (await import('./reduce.js')).pointsOfRun,
};
