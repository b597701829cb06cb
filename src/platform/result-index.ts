import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { makeFolders } from './make-folders.js';

/*
 * What commands found in files, kept beside the user's other caches or in memory for as long as the files stay as they are. Event
 * files are never written to, nor is anything put beside them.
 */

/** A file that changed so lately, in milliseconds, may change once more without a trace: times of file systems are coarse. */
const settledMillis = 3000;
/** So many bytes at the end of a file are part of what it is known by. */
const tailBytes = 4096;
/** Longer results are not kept. */
const maxResultBytes = 1 << 22;
/** So many bytes of results are kept in memory, the latest. */
const maxMemoryBytes = 1 << 26;

/** Results by what was asked and of which files; the state of these decides whether a result still holds. */
export class ResultIndex {
  readonly #folder: string | undefined;
  readonly #version: string;
  readonly #memory = new Map<string, Uint8Array>();
  #memoryBytes = 0;

  /**
   * @param folder where results are kept; undefined for memory
   * @param version of the program: what another version found is not taken
   */
  constructor(folder: string | undefined, version: string) {
    this.#folder = folder;
    this.#version = version;
  }

  /**
   * What the files are now: their place on the disk, size, times to the nanosecond, and a digest of their last 4 KiB. Undefined if
   * that cannot be told, or if one of them has only just changed.
   */
  stateOf(files: readonly string[]): string | undefined {
    const hash = createHash('sha256');
    for (const file of files) {
      const state = stateOfFile(file);
      if (state === undefined) return undefined;
      hash.update(`${resolve(file)}\n${state}\n`);
    }
    return hash.digest('hex');
  }

  /** What was found when the files were in this state; undefined if that is not known. */
  find(question: string, files: readonly string[], state: string): unknown {
    const name = this.#nameOf(question, files);
    try {
      const bytes = this.#folder === undefined ? this.#memory.get(name) : readFileSync(join(this.#folder, name));
      if (bytes === undefined) return undefined;
      const kept = deserialize(bytes) as { state?: unknown; result?: unknown };
      return kept.state === state ? kept.result : undefined;
    } catch {
      return undefined; // never kept, or cut off by a full disk
    }
  }

  /** Keeps what was found while the files were in this state, unless they have changed meanwhile. A folder that cannot be written keeps nothing. */
  keep(question: string, files: readonly string[], state: string, result: unknown): void {
    if (this.stateOf(files) !== state) return;
    const bytes = serialize({ state, result });
    if (bytes.length > maxResultBytes) return;
    const name = this.#nameOf(question, files);
    if (this.#folder === undefined) this.#remember(name, bytes);
    else writeWhole(this.#folder, name, bytes);
  }

  #remember(name: string, bytes: Uint8Array): void {
    this.#forget(name);
    this.#memory.set(name, bytes);
    this.#memoryBytes += bytes.length;
    for (const oldest of this.#memory.keys()) {
      if (this.#memoryBytes <= maxMemoryBytes) break;
      this.#forget(oldest);
    }
  }

  #forget(name: string): void {
    this.#memoryBytes -= this.#memory.get(name)?.length ?? 0;
    this.#memory.delete(name);
  }

  /** One name for each question, so that a run that grows does not leave a result behind for each of its lengths. */
  #nameOf(question: string, files: readonly string[]): string {
    const name = JSON.stringify([this.#version, question, files.map((file) => resolve(file))]);
    return createHash('sha256').update(name).digest('hex');
  }
}

/** Writes a file so that it is there whole or not at all. */
function writeWhole(folder: string, name: string, bytes: Uint8Array): void {
  const path = join(folder, name);
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    makeFolders(folder, 0o700);
    try {
      writeFileSync(temporary, bytes, { flag: 'wx', mode: 0o600 });
      renameSync(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
    }
  } catch {
    // Without a cache every look is a first one.
  }
}

/** The folder for caches of this program, by the customs of the system. */
export function cacheFolder(): string {
  const { LOCALAPPDATA, XDG_CACHE_HOME } = process.env;
  const base =
    XDG_CACHE_HOME ||
    (process.platform === 'win32' && LOCALAPPDATA) ||
    join(homedir(), process.platform === 'darwin' ? 'Library/Caches' : '.cache');
  return join(base, 'delve-tensorboard');
}

function stateOfFile(path: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : undefined;
  }
  try {
    const stats = fstatSync(descriptor, { bigint: true });
    const { ctimeMs, ctimeNs, dev, ino, mtimeMs, mtimeNs, size } = stats;
    const latest = Math.max(Number(ctimeMs), Number(mtimeMs));
    if (!stats.isFile() || latest > Date.now() - settledMillis) return undefined;
    const tail = new Uint8Array(Math.min(tailBytes, Number(size)));
    const length = readSync(descriptor, tail, 0, tail.length, Number(size) - tail.length);
    if (length !== tail.length) return undefined;
    const digest = createHash('sha256').update(tail).digest('hex');
    return [dev, ino, size, mtimeNs, ctimeNs, digest].join(' ');
  } finally {
    closeSync(descriptor);
  }
}
