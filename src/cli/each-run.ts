/** Work on many runs: on this thread or on several, or not at all if its result is known. */
import { isRemote, sourceFiles } from '../reader/places.js';
import { type FoundRun, Progress, projectorConfigOf } from './runs.js';
import { type Complaints, type RunThread, type Terminal, UsageError } from './terminal.js';

/** Options of commands that look at each run by itself, as typed. */
export interface EachRunOptions {
  threads?: string;
  cache?: boolean;
}

/** What `eachRun` may be told besides what was typed. */
interface EachRunSettings extends EachRunOptions {
  /** Whether nothing is said of how far the reading is. */
  silent?: boolean;
  /** For each thread so many results at most are there before the first of them is taken. They are small by default. */
  ahead?: number;
}

/** What the work on a run tells while it goes on. */
export interface RunReports {
  /** Something cannot be read. */
  complain(message: string): void;
  /** So many bytes were read. */
  read(bytes: number): void;
}

/**
 * Work on one run. Options and result are data that other threads and a file take: numbers, texts, typed arrays, and lists and
 * objects of them.
 */
export type RunTask<Options, Result> = (run: FoundRun, options: Options, reports: RunReports) => Promise<Result>;

/** Fewer bytes than this are not worth the start of threads. */
const worthThreads = 64e6;
/** More threads than this wait for the disk. */
const mostThreads = 8;

/**
 * Does a task for each of the runs. Results come in the order of the runs, each behind its complaints, whichever thread is first.
 *
 * @param task its name in run-tasks.ts, by which other threads find it, and its function
 * @param take is given each result, and is awaited before the next; may read the run again, and tells `read` of the bytes
 * @throws UsageError if `--threads` is no whole number above 0
 */
export async function eachRun<Options, Result>(
  terminal: Terminal,
  runs: readonly FoundRun[],
  [name, work]: readonly [name: string, work: RunTask<Options, Result>],
  options: Options,
  { ahead = Infinity, cache, silent, threads: asked }: EachRunSettings,
  complaints: Complaints,
  take: (run: FoundRun, result: Result, index: number, read: RunReports['read']) => void | Promise<void>,
): Promise<void> {
  const count = await threadCount(terminal, runs, asked);
  const progress = silent ? undefined : await Progress.of(terminal, runs);
  const read = progress?.read ?? (() => {});
  const index = cache ? terminal.index?.('folder') : undefined;
  const question = JSON.stringify([name, options]);
  const done: ({ result: Result; complaints: readonly string[] } | undefined)[] = [];
  let next = 0;
  let taken = 0;
  let isTaking = false;
  /** Threads that wait until more results are taken. */
  const waiting: (() => void)[] = [];

  const workOn = async (run: FoundRun, thread: RunThread | undefined) => {
    if (thread !== undefined) {
      const answer = await thread.ask(name, run, options, read);
      // What failed there may have failed with the thread; what fails here, too, is the caller's.
      if (answer !== undefined) return answer as { result: Result; complaints: string[] };
    }
    const said: string[] = [];
    return { result: await work(run, options, { read, complain: (message) => said.push(message) }), complaints: said };
  };
  const lookAt = async (run: FoundRun, thread: RunThread | undefined) => {
    const isHere = index !== undefined && !run.files.some(isRemote);
    const files = isHere ? [...run.files, projectorConfigOf(run.files).config] : [];
    const state = isHere ? index.stateOf(files) : undefined;
    const known = state === undefined ? undefined : index!.find(question, files, state);
    if (known !== undefined) return { result: known as Result, complaints: [] };
    const answer = await workOn(run, thread);
    // What was complained of may be about the disk rather than the file.
    if (state !== undefined && answer.complaints.length === 0) index!.keep(question, files, state, answer.result);
    return answer;
  };
  const takeInOrder = async () => {
    if (isTaking) return;
    isTaking = true;
    for (let first = done[taken]; first !== undefined; first = done[taken]) {
      done[taken] = undefined;
      for (const message of first.complaints) complaints.add(message);
      await take(runs[taken], first.result, taken, read);
      taken++;
      for (const go of waiting.splice(0)) go();
    }
    isTaking = false;
  };
  const workInTurn = async (thread?: RunThread) => {
    for (let at = next++; at < runs.length; at = next++) {
      while (at >= taken + ahead * count) await new Promise<void>((go) => waiting.push(go));
      done[at] = await lookAt(runs[at], thread);
      await takeInOrder();
    }
  };
  const threads = Array.from({ length: count > 1 ? count : 0 }, () => terminal.threads!.start());
  try {
    await (threads.length === 0 ? workInTurn() : Promise.all(threads.map(workInTurn)));
  } finally {
    for (const thread of threads) thread.end();
    progress?.clear();
  }
}

/** How many threads work: as many as were asked for, or as are worth while and have a processor to themselves. */
async function threadCount(terminal: Terminal, runs: readonly FoundRun[], typed: string | undefined): Promise<number> {
  const asked = typed === undefined ? undefined : Number(typed);
  if (asked !== undefined && (!Number.isSafeInteger(asked) || asked < 1 || typed!.trim() === '')) {
    throw new UsageError(`--threads: expected a whole number from 1 on, got "${typed}"`);
  }
  const { threads } = terminal;
  if (threads === undefined || runs.length < 2) return 1;
  if (asked !== undefined) return Math.min(asked, runs.length);
  const most = Math.min(mostThreads, runs.length, threads.idle());
  if (most < 2) return 1;
  let bytes = 0;
  for (const { files } of runs) {
    for (const file of files) {
      if (isRemote(file)) return 1;
      bytes += (await sourceFiles.size(file)) ?? 0;
    }
  }
  return bytes >= worthThreads ? most : 1;
}
