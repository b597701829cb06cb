#!/usr/bin/env node
/** The command `delve-tensorboard`. A door to Node only: everything it does is in cli/, which knows no node: module. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { terminalHasColors, writesToTerminal } from '#platform';
import { type CommandLine, cliOptions, main } from './cli/main.js';
import { runTasks } from './cli/run-tasks.js';
import type { RunThread, Terminal } from './cli/terminal.js';
import { didYouMean, messageOf, printableLines } from './errors.js';
import { makeFolders } from './platform/make-folders.js';
import { cacheFolder, ResultIndex } from './platform/result-index.js';
import type { ListedRun } from './reader/run-files.js';

/** Takes a text on its way to a file: a character has 3 bytes at most. */
let textBytes: Buffer = Buffer.alloc(0);

/**
 * Writes all bytes to a file, or throws: one call may write a part only, as on a disk that gets full.
 *
 * @param name the file's name, for the error
 */
function writeWhole(descriptor: number, content: string | Uint8Array, name: string): void {
  let bytes = content as Uint8Array;
  if (typeof content === 'string') {
    // New memory for each piece takes longer than to fill the same again.
    if (textBytes.length < 3 * content.length) textBytes = Buffer.allocUnsafeSlow(3 * content.length);
    bytes = textBytes.subarray(0, textBytes.write(content));
  }
  let written = 0;
  try {
    while (written < bytes.length) {
      const count = writeSync(descriptor, bytes, written);
      if (count === 0) throw new Error('the file takes no more bytes');
      written += count;
    }
  } catch (cause) {
    throw new Error(`cannot write all of '${name}', which is incomplete now: ${messageOf(cause)}`, { cause });
  }
}

const stdout = 1;
// Node's own stream of a file takes a part that was written for the whole.
const writesToFile = isFile(stdout);

function isFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile();
  } catch {
    return false;
  }
}

const terminal: Terminal = {
  write: (text) => void (writesToFile ? writeWhole(stdout, text, 'standard output') : process.stdout.write(text)),
  async drained() {
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
  },
  writeError: (text) => process.stderr.write(text),
  status: writesToTerminal() ? (text) => process.stderr.write(`\r\u001b[K${text}`) : undefined,
  colors: terminalHasColors(),
  size: () =>
    process.stdout.isTTY ? { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 } : undefined,
  ended: () =>
    new Promise((resolve) => {
      const end = () => {
        process.off('SIGINT', end).off('SIGTERM', end);
        resolve();
      };
      process.on('SIGINT', end).on('SIGTERM', end);
    }),
  importModule: (path) => import(pathToFileURL(resolve(path)).href),
  async stdin() {
    const folder = mkdtempSync(join(tmpdir(), 'delve-tensorboard-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'stdin.tfevents');
    const descriptor = openSync(path, 'w');
    try {
      for await (const chunk of process.stdin) writeSync(descriptor, chunk as Buffer);
    } finally {
      closeSync(descriptor);
    }
    return path;
  },
  writeFile(path, content) {
    makeFolders(dirname(path));
    writeFileSync(path, content);
  },
  asset: (name) => readFileSync(new URL(name, import.meta.url)),
  copyFile(from, to) {
    makeFolders(dirname(to));
    copyFileSync(from, to);
    return statSync(to).size;
  },
  secret: () => randomBytes(18).toString('base64url'),
  async serve(served) {
    const { startFileServer } = await import('./platform/file-server.js');
    const server = await startFileServer(served).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      process.stderr.write(`port ${served.port} is taken: another one is used\n`);
      return startFileServer({ ...served, port: 0 });
    });
    return { port: server.port, ended: terminal.ended().then(() => server.close()) };
  },
  threads: {
    // The load is that of the last minute, and 0 on Windows.
    idle: () => Math.max(1, availableParallelism() - Math.round(loadavg()[0])),
    start: startThread,
  },
  index: (where) => new ResultIndex(where === 'folder' ? cacheFolder() : undefined, version()),
  createFile(path) {
    makeFolders(dirname(path));
    const descriptor = openSync(path, 'w');
    return { write: (content) => writeWhole(descriptor, content, path), close: () => closeSync(descriptor) };
  },
  run: (program, args, { environment, quiet = false }) =>
    new Promise((resolve, reject) => {
      const env = { ...process.env, ...environment };
      const child = spawn(program, args, { env, stdio: quiet ? 'ignore' : 'inherit' });
      // A terminal sends ^C to both programs: this one waits for the other's end.
      const interrupted = () => {};
      const terminated = () => child.kill('SIGTERM');
      const done = (code: number | undefined) => {
        process.off('SIGINT', interrupted).off('SIGTERM', terminated);
        resolve(code);
      };
      process.on('SIGINT', interrupted).on('SIGTERM', terminated);
      child.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') done(undefined);
        else reject(error);
      });
      child.on('exit', (code, signal) => done(code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1)));
    }),
  pluginEnvironment() {
    const folder = new URL('.', import.meta.url);
    const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'));
    if (wheel === undefined)
      throw new Error(`the Saturation tab is missing: there is no wheel in ${fileURLToPath(folder)}`);
    const { PYTHONPATH } = process.env;
    const path = fileURLToPath(new URL(wheel, folder));
    return { PYTHONPATH: PYTHONPATH ? `${path}${delimiter}${PYTHONPATH}` : path };
  },
};

/** `delve-tensorboard export ... | head` ends when head has seen enough. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  fail(error, 1);
  process.exit();
});

function fail(error: unknown, code: number): void {
  process.stderr.write(`delve-tensorboard: ${printableLines(messageOf(error)).replaceAll('\n', '\n  ')}\n`);
  process.exitCode = code;
}

/** What a thread is asked. */
interface Question {
  task: string;
  run: ListedRun;
  options: unknown;
}

/** What a thread says: bytes that it has read, or in the end what was found; nothing was if the task failed. */
type Answer = { read: number } | { found: { result: unknown; complaints: string[] } | undefined };

/** By this a thread of this program knows that it is one. */
const threadMark = 'delve-tensorboard: a thread for runs';

/** Starts a thread of this program that works on runs. */
function startThread(): RunThread {
  const worker = new Worker(new URL(import.meta.url), { workerData: threadMark });
  worker.on('error', () => {}); // and then 'exit'
  let hasEnded = false;
  worker.on('exit', () => (hasEnded = true));
  return {
    ask: (task, run, options, read) =>
      new Promise((resolve) => {
        if (hasEnded) {
          resolve(undefined);
          return;
        }
        const done = (found: Extract<Answer, { found: unknown }>['found']) => {
          worker.off('message', take).off('exit', gone);
          resolve(found);
        };
        const gone = () => done(undefined);
        const take = (answer: Answer) => ('read' in answer ? read(answer.read) : done(answer.found));
        worker.on('message', take).on('exit', gone);
        worker.postMessage({ task, run, options } satisfies Question);
      }),
    end: () => void worker.terminate(),
  };
}

/** Bytes that a thread has read are told in pieces of this size. */
const toldBytes = 1 << 20;

/** Works on runs, as the thread that started this one asks. */
function workOnRuns(): void {
  const say = (answer: Answer) => parentPort!.postMessage(answer);
  parentPort!.on('message', async ({ task, run, options }: Question) => {
    const complaints: string[] = [];
    let untold = 0;
    const read = (bytes: number) => {
      untold += bytes;
      if (Math.abs(untold) < toldBytes) return;
      say({ read: untold });
      untold = 0;
    };
    try {
      const reports = { read, complain: (message: string) => void complaints.push(message) };
      const work = await runTasks[task]();
      const result = await work(run, options as never, reports);
      say({ read: untold });
      say({ found: { result, complaints } });
    } catch {
      say({ found: undefined });
    }
  });
}

if (workerData === threadMark) workOnRuns();
else runCommand();

function version(): string {
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;
}

/** The name of an option with a value that was typed twice, of which one would be lost. */
function givenTwice({ tokens }: TypedLine): string | undefined {
  const seen = new Set<string>();
  for (const { kind, name, value } of tokens ?? []) {
    if (kind !== 'option' || name === undefined || value === undefined) continue;
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

/** A command line, and the options in the order in which they were typed. */
interface TypedLine extends CommandLine {
  tokens?: readonly { kind: string; name?: string; value?: string }[];
}

function runCommand(): void {
  let commandLine: TypedLine;
  try {
    const args = process.argv.slice(2);
    // The options of board are TensorBoard's.
    commandLine =
      args[0] === 'board' && args[1] !== '--help' && args[1] !== '-h'
        ? { values: {}, positionals: args }
        : parseArgs({ options: cliOptions, allowPositionals: true, tokens: true });
    const twice = givenTwice(commandLine);
    if (twice !== undefined) {
      fail(new Error(`--${twice}: expected it once, got it twice`), 2);
      return;
    }
  } catch (error) {
    // Node goes on about arguments that begin with a dash.
    const [said] = messageOf(error).split('. To specify');
    const typed = /^Unknown option '(--[^'=]+)/.exec(said)?.[1];
    const options = Object.keys(cliOptions).map((name) => `--${name}`);
    fail(new Error(`${said}${didYouMean(typed, options, 'delve-tensorboard <command> --help lists the options')}`), 2);
    return;
  }
  main(terminal, commandLine, version()).then(
    (code) => {
      process.exitCode = code;
    },
    (error) => fail(error, 1),
  );
}
