/** The tasks that threads of the command line do: each on one run. */
import type { RunTask } from './each-run.js';
import { inspectRun } from './inspect.js';
import { lintRun } from './lint.js';
import { pointsOfRun } from './reduce.js';

/** By the names that commands give to `eachRun`. */
export const runTasks: Readonly<Record<string, RunTask<never, unknown>>> = {
  inspect: inspectRun,
  lint: lintRun,
  reduce: pointsOfRun,
};
