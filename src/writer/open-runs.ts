/**
 * The Runs that are open in this program (or thread), and who shares them: writers of one real folder, by whatever path,
 * and writers of one Output object share one Run. When the program ends, every open Run is flushed from here.
 */
import { handleSignals, isExiting, onExit } from '#platform';
import { DirectoryOutput } from '../output/directory-output.js';
import type { Output } from '../output/output.js';
import type { BufferPolicy } from './record-buffer.js';
import { Run } from './run.js';

/** How a Run is opened. */
export interface RunOptions extends BufferPolicy {
  /** Whether SIGINT and SIGTERM flush the open Runs. */
  handleSignals: boolean;
}

/** One writer's share of a Run. */
export interface RunShare {
  readonly run: Run;
  /** Flushes the Run; the last writer to call it closes the Run. */
  release(): Promise<void>;
}

interface SharedRun {
  readonly run: Run;
  writers: number;
}

/** The Runs that a new writer may share: by the real path of a folder, or by the Output. */
const shared = new Map<string | Output, SharedRun>();
/** All Runs that are not closed yet. A Run that is being closed is in this set only. */
const open = new Set<Run>();

/**
 * Opens the Run of an Output, or shares it if it is open. The strictest limits that any of its writers asks for count.
 *
 * @param mustExist if the Output is a folder that cannot be made, throw; otherwise that shows when events are written
 */
export function shareRun(
  output: Output,
  { handleSignals: handlesSignals, ...policy }: RunOptions,
  mustExist: boolean,
): RunShare {
  const key = output instanceof DirectoryOutput ? realFolder(output, mustExist) : output;
  let entry = shared.get(key);
  if (entry === undefined) {
    entry = { run: new Run(output, policy), writers: 0 };
    shared.set(key, entry);
    if (open.size === 0) onExit(flushAll);
    open.add(entry.run);
    if (isExiting()) entry.run.flushSync(true);
  } else {
    entry.run.tighten(policy);
  }
  if (handlesSignals) handleSignals();
  entry.writers++;
  const { run } = entry;
  return {
    run,
    release() {
      entry.writers--;
      if (entry.writers > 0) return run.flush();
      shared.delete(key);
      return run.close().finally(() => open.delete(run));
    },
  };
}

/**
 * The real path of a folder, by which writers recognize that they write to the same one.
 *
 * @throws RangeError if a link leads it out of its logdir
 */
export function realFolder(output: DirectoryOutput, mustExist: boolean): string {
  try {
    return output.makeFolder();
  } catch (error) {
    if (mustExist || error instanceof RangeError) throw error;
    return output.folder;
  }
}

function flushAll(final: boolean): void {
  for (const run of open) run.flushSync(final);
}
