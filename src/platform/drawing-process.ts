import type { ChildProcess } from 'node:child_process';
import { platform as system } from 'node:os';
import { messageOf } from '../errors.js';
import { checkPictureSize, type DrawnSvg } from './platform.js';

/*
 * SVG documents are drawn in a process of their own: a small document can ask its renderer for a terabyte, for a year, or for
 * more stack than there is, in more ways than can be told from its text, and the renderer then ends its whole process.
 */

/** How much drawing one document may cost. */
export interface DrawingLimits {
  /** Processor time, in seconds. */
  readonly seconds: number;
  /** Address space of the process, in bytes, on systems that limit it (Linux). */
  readonly bytes: number;
}

/** After so much processor time, in seconds, the process is replaced: its limit counts from its start. */
const secondsOfUse = 5;
/** An idle process ends after this time, in milliseconds. */
const idleMillis = 2000;

/** What the process answers: that it is there, a document's size, its picture, or why there is none. */
type Answer =
  | { ready: true }
  | { size: [width: number, height: number] }
  | { picture: DrawnSvg; seconds: number }
  | { problem: string };

/** The program of the process. Loading the fonts takes most of the time that reading takes, and no size depends on them. */
const PROGRAM = `
const { Resvg } = require(process.argv[1]);
let svg;
process.on('disconnect', () => process.exit());
process.on('message', (message) => {
  try {
    if (message.svg !== undefined) {
      svg = message.svg;
      const { width, height } = new Resvg(svg, { font: { loadSystemFonts: false } });
      return process.send({ size: [width, height] });
    }
    const fitTo = message.scale === 1 ? { mode: 'original' } : { mode: 'zoom', value: message.scale };
    const picture = new Resvg(svg, { background: 'white', fitTo }).render();
    const { user, system } = process.cpuUsage();
    const drawn = { encoded: new Uint8Array(picture.asPng()), width: picture.width, height: picture.height };
    process.send({ picture: drawn, seconds: (user + system) / 1e6 });
  } catch (error) {
    process.send({ problem: String(error?.message ?? error) });
  }
});
process.send({ ready: true });
`;

/** Thrown if processes cannot be started here. */
export class NoProcessError extends Error {
  override readonly name = 'NoProcessError';
}

/** Draws one document after another in a process that is started at the first and ends when it is idle. */
export class DrawingProcess {
  readonly #renderer: string;
  readonly #limits: DrawingLimits;
  #process: ChildProcess | undefined;
  #isReady = false;
  #answered: ((answer: Answer | Error) => void) | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #idle: NodeJS.Timeout | undefined;

  /** @param renderer path of the package @resvg/resvg-js */
  constructor(renderer: string, limits: DrawingLimits = { seconds: 25, bytes: 2 ** 32 }) {
    this.#renderer = renderer;
    this.#limits = limits;
  }

  /**
   * Draws a document on white.
   *
   * @param scale pixels per unit of the document
   * @throws NoProcessError if no process can be started; Error if the document cannot be drawn, is too large or costs too much
   */
  draw(svg: string, scale: number): Promise<DrawnSvg> {
    this.#waiting++;
    const drawn = this.#last.then(() => this.#draw(svg, scale)).finally(() => this.#release());
    this.#last = drawn.catch(() => {});
    return drawn;
  }

  async #draw(svg: string, scale: number): Promise<DrawnSvg> {
    clearTimeout(this.#idle);
    if (!this.#isReady) await this.#start();
    this.#process?.ref();
    this.#process?.channel?.ref();
    const [width, height] = (await this.#ask({ svg }, 'size')).size;
    checkPictureSize(Math.ceil(width * scale), Math.ceil(height * scale));
    const { picture, seconds } = await this.#ask({ scale }, 'picture');
    if (seconds > secondsOfUse) this.#end();
    return picture;
  }

  /** Starts the process; without limits if the system's shell cannot set them. */
  async #start(): Promise<void> {
    const { seconds, bytes } = this.#limits;
    const program = [process.execPath, '-e', PROGRAM, this.#renderer];
    const limits = `-c 0; ulimit -t ${Math.ceil(seconds)}; ulimit -v ${Math.ceil(bytes / 1024)}`;
    const limited = ['/bin/sh', '-c', `{ ulimit ${limits}; } 2>/dev/null; exec "$0" "$@"`, ...program];
    const ways = system() === 'win32' ? [program] : [limited, program];
    let problem: unknown;
    for (const [command, ...args] of ways) {
      try {
        const answer = this.#nextAnswer();
        this.#launch(command, args);
        await answer;
        this.#isReady = true;
        return;
      } catch (error) {
        problem = error;
      }
    }
    throw new NoProcessError(`no process could be started: ${messageOf(problem)}`, { cause: problem });
  }

  #launch(command: string, args: string[]): void {
    // The program's own flags could open a debugger or load what the program loads.
    const { NODE_OPTIONS, ...env } = process.env;
    const { spawn } = process.getBuiltinModule('node:child_process'); // few programs draw
    const child = spawn(command, args, {
      env: { ...env, ELECTRON_RUN_AS_NODE: '1' },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'advanced',
      windowsHide: true,
    });
    this.#process = child;
    const kill = () => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.on('message', (answer) => {
      if (this.#process === child) this.#answered?.(answer as Answer);
    });
    child.on('error', (error) => this.#lost(child, error));
    child.on('exit', (code, signal) => {
      process.off('exit', kill);
      this.#lost(child, new Error(this.#reasonOf(code, signal)));
    });
  }

  /** Why a process ended, in words about the document. */
  #reasonOf(code: number | null, signal: NodeJS.Signals | null): string {
    const { seconds, bytes } = this.#limits;
    const most = `expected a document that takes at most ${seconds} s and ${Math.round(bytes / 2 ** 20)} MB to draw`;
    const how = signal === 'SIGXCPU' || signal === 'SIGKILL' ? 'one that takes longer' : 'one that ended its process';
    return `${most}, got ${how} (${signal ?? `exit code ${code}`})`;
  }

  #lost(child: ChildProcess, error: Error): void {
    if (this.#process !== child) return;
    this.#process = undefined;
    this.#isReady = false;
    this.#answered?.(error);
  }

  #nextAnswer(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#answered = (answer) => {
        this.#answered = undefined;
        if (answer instanceof Error) reject(answer);
        else if ('problem' in answer) reject(new Error(answer.problem));
        else resolve(answer);
      };
    });
  }

  /** Sends a message; the answer has `key`. Where the system sets no limits, the wall clock does. */
  async #ask<Key extends 'size' | 'picture'>(
    message: object,
    key: Key,
  ): Promise<Extract<Answer, Record<Key, unknown>>> {
    const child = this.#process;
    if (child === undefined) throw new NoProcessError('the process has ended');
    const answer = this.#nextAnswer();
    const timer = setTimeout(() => child.kill('SIGKILL'), 10 * this.#limits.seconds * 1000);
    try {
      child.send(message, (error) => error && this.#lost(child, error));
      const found = await answer;
      if (!(key in found)) throw new Error(`expected the ${key} of a document from the process, got another answer`);
      return found as Extract<Answer, Record<Key, unknown>>;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The last document is done: the process waits a while for another, without keeping the program alive. */
  #release(): void {
    this.#waiting--;
    clearTimeout(this.#idle);
    if (this.#waiting > 0 || this.#process === undefined) return;
    this.#process.unref();
    this.#process.channel?.unref();
    this.#idle = setTimeout(() => this.#end(), idleMillis);
    this.#idle.unref?.(); // jsdom's, in tests, has none
  }

  #end(): void {
    const child = this.#process;
    this.#process = undefined;
    this.#isReady = false;
    child?.kill('SIGKILL');
  }
}
