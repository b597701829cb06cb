import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, inject, onTestFinished } from 'vitest';

/** TensorBoard's two ways to read event files: the Rust server (its default) and the Python one. */
export const LOADERS = [
  { loader: 'the Rust loader', fast: true },
  { loader: 'the Python loader', fast: false },
] as const;

/** Seconds after which TensorBoard reads its logdir again. */
const RELOAD_INTERVAL = 1;

export type Params = Record<string, string | number | boolean>;

const environment = inject('tensorboard');

/** describe, or a skipped describe whose name says why: without Python there is no TensorBoard to ask. */
export const describeWithTensorBoard: typeof describe | typeof describe.skip =
  'missing' in environment ? describe.skip : describe;

/** The environment in which TensorBoard finds the wheel that the build has made. */
export function pluginEnvironment(): Record<string, string> {
  const dist = fileURLToPath(new URL('../../dist', import.meta.url));
  const wheel = readdirSync(dist).find((name) => name.endsWith('.whl'));
  return { PYTHONPATH: join(dist, wheel ?? 'no wheel in dist') };
}

/** What a Python program prints, in TensorBoard's environment. */
export function runPython(program: string, env: Record<string, string>): string {
  if ('missing' in environment) throw new Error(environment.missing);
  const { stdout, stderr } = spawnSync(environment.python, ['-c', program], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return stdout + stderr;
}

/** The same while this process goes on, for programs that ask a server in it. */
export async function runPythonMeanwhile(program: string, env: Record<string, string>): Promise<string> {
  if ('missing' in environment) throw new Error(environment.missing);
  const child = spawn(environment.python, ['-c', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return stdout + stderr;
}

/** The runs below a logdir: every folder that holds an event file, named as TensorBoard names it ('.' is the logdir itself). */
function runsOf(logdir: string): Set<string> {
  if (logdir.includes('://')) return new Set(); // whoever writes there knows what to wait for
  const files = readdirSync(logdir, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('tfevents'));
  return new Set(files.map((name) => relative(logdir, dirname(join(logdir, name))) || '.'));
}

/** A running TensorBoard. */
export class TensorBoard {
  readonly url: string;
  readonly #child: ChildProcess;

  constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  async #fetch(path: string, params: Params, init?: RequestInit): Promise<Response> {
    const query = new URLSearchParams(Object.entries(params).map(([key, value]) => [key, String(value)]));
    const prefix = path.startsWith('/') ? path : `/data/plugin/${path}`;
    const mark = prefix.includes('?') ? '&' : '?';
    const response = await fetch(`${this.url}${prefix}${query.size > 0 ? mark + query : ''}`, init);
    if (!response.ok)
      throw new Error(`TensorBoard answered ${response.status} to ${prefix}${mark}${query}: ${await response.text()}`);
    return response;
  }

  /** GET, JSON. A path without a leading slash is a plugin's: ask('scalars/scalars', { run: 'train', tag: 'loss' }). Any status but 2xx throws. */
  async ask<Answer = unknown>(path: string, params: Params = {}): Promise<Answer> {
    return (await (await this.#fetch(path, params)).json()) as Answer;
  }

  /** POST, JSON back: an object goes as JSON, URLSearchParams as a form. */
  async post<Answer = unknown>(path: string, body: object | URLSearchParams): Promise<Answer> {
    const form = body instanceof URLSearchParams;
    const init = form ? { body } : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    return (await (await this.#fetch(path, {}, { method: 'POST', ...init })).json()) as Answer;
  }

  /** GET, bytes, with their content type: images, audio, mesh and projector payloads. */
  async bytes(path: string, params: Params = {}): Promise<{ type: string; bytes: Uint8Array }> {
    const response = await this.#fetch(path, params);
    return { type: response.headers.get('content-type') ?? '', bytes: new Uint8Array(await response.arrayBuffer()) };
  }

  /** Asks again, every half second, until the answer passes; for files that grow while TensorBoard reads. */
  async askUntil<Answer>(
    path: string,
    params: Params,
    passes: (answer: Answer) => boolean,
    seconds = 20,
  ): Promise<Answer> {
    const deadline = Date.now() + seconds * 1000;
    let last: unknown;
    while (Date.now() < deadline) {
      try {
        const answer = await this.ask<Answer>(path, params);
        if (passes(answer)) return answer;
        last = JSON.stringify(answer);
      } catch (error) {
        last = error;
      }
      await sleep(500);
    }
    throw new Error(`${path} ${JSON.stringify(params)} still unsatisfied after ${seconds} s; last answer: ${last}`);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(late);
  }
}

/** The address TensorBoard prints once it listens; with --port 0 the system chose the port. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = '';
    const look = (chunk: Buffer) => {
      printed += chunk;
      const address = /at (http:\/\/127\.0\.0\.1:\d+)/.exec(printed)?.[1];
      if (address) resolve(address);
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`TensorBoard ended with status ${code}:\n${printed}`)));
    const late = setTimeout(() => reject(new Error(`TensorBoard did not listen within 60 s:\n${printed}`)), 60_000);
    late.unref();
  });
}

/**
 * Starts a real TensorBoard on a free loopback port and waits until it has read every run that is there by now.
 * It is stopped when the running test has finished (or by stop()).
 */
export async function startTensorBoard(
  logdir: string,
  options: { fast: boolean; args?: string[]; env?: Record<string, string> },
): Promise<TensorBoard> {
  if ('missing' in environment) throw new Error(environment.missing);
  const child = spawn(
    environment.python,
    [
      ...['-m', 'tensorboard.main', '--logdir', logdir, '--host', '127.0.0.1', '--port', '0'],
      ...['--load_fast', String(options.fast), '--reload_interval', String(RELOAD_INTERVAL), ...(options.args ?? [])],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.env } },
  );
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const board = new TensorBoard(await listening(child), child);
  try {
    onTestFinished(() => board.stop());
  } catch {
    // Started from a hook, not from a test: the caller stops it.
  }
  const provider = options.fast ? 'GrpcDataProvider' : 'MultiplexerDataProvider';
  type About = { debug: { data_provider: string } };
  await board.askUntil<About>('/data/environment', {}, ({ debug }) => debug.data_provider.startsWith(provider));
  const expected = runsOf(logdir);
  await board.askUntil<string[]>('/data/runs', {}, (runs) => [...expected].every((run) => runs.includes(run)));
  // A run is listed as soon as its first event is read; its other events are there after one more reload.
  await sleep((RELOAD_INTERVAL + 1) * 1000);
  return board;
}
