/** What the commands read: runs below a path, and tags that match a pattern. */
import { files as fileSystem, localPath } from '#platform';
import { concat } from '../encoding/bytes.js';
import { recordHeaderBytes } from '../encoding/record.js';
import { messageOf, printable } from '../errors.js';
import type { TensorBoardEvent } from '../event/event.js';
import { boundedTest, SlowPatternError } from '../platform/bounded-pattern.js';
import { isRemote, sourceFiles, sourcePath } from '../reader/places.js';
import { readEvents } from '../reader/read-events.js';
import { isEventFileName, type ListedRun, walkRuns } from '../reader/run-files.js';
import { chunksOfFile } from '../reader/scan.js';
import { type ProjectorEntry, projectorConfigFile, readProjectorConfig } from '../summaries/projector-config.js';
import { type Complaints, cut, plural, type Terminal, UsageError } from './terminal.js';

/**
 * The runs below a logdir, or one event file as a run of its own. Folders that cannot be read become complaints.
 *
 * @throws UsageError if there is nothing to read
 */
export async function findRuns(path: string | undefined, complaints: Complaints): Promise<ListedRun[]> {
  if (path === undefined) throw new UsageError('expected the path of a logdir or of an event file');
  path = typedSource(path);
  const kind = await sourceFiles.kind(path);
  if (kind === undefined) throw new UsageError(`there is no file or folder "${path}"`);
  if (kind === 'file') {
    const size = await sourceFiles.size(path);
    // Too short for the head of a record, and nothing that TensorBoard or a writer has begun.
    if (size !== undefined && size > 0 && size < recordHeaderBytes) {
      complaints.add(`${path}: ${plural(size, 'byte')}, which hold no record: it is no event file`);
    }
    return [{ run: '.', files: [path] }];
  }
  const runs = await walkRuns(path, (_folder, error) => complaints.add(messageOf(error)));
  if (runs.length === 0) {
    throw new UsageError(`there is no event file in "${path}" (its name would contain "tfevents")`);
  }
  return runs.sort((a, b) => inNaturalOrder(a.run, b.run));
}

/** A run that a command was asked for: its name, and the paths of its files. */
export type FoundRun = ListedRun;

/** Paths without those that lead to the place of an earlier one: `a/`, `./a` and a link to `a` are `a`. */
export async function distinctPlaces(paths: readonly string[]): Promise<string[]> {
  const places = new Map<string, string>();
  for (const path of paths) {
    const source = typedSource(path);
    // What is not there is told by whoever reads it.
    const place = await sourceFiles.realPath(source).catch(() => source);
    if (!places.has(place)) places.set(place, path);
  }
  return [...places.values()];
}

/** The runs below several paths, each place once. If there are several, a run's name begins with its path, as it was typed. */
export async function findAllRuns(paths: readonly string[], complaints: Complaints): Promise<FoundRun[]> {
  paths = await distinctPlaces(paths);
  if (paths.length < 2) return findRuns(paths[0], complaints);
  const all: FoundRun[] = [];
  for (const path of paths) {
    const name = path.replace(/(?<=.)[/\\]+$/, '');
    for (const { files, run } of await findRuns(path, complaints)) {
      all.push({ run: folderOfRun(name, run), files });
    }
  }
  return all;
}

/** Made when two names are compared: its tables take as long to load as many a command takes. */
let natural: Intl.Collator | undefined;

/** The order of names that people expect: run2 before run10. */
export function inNaturalOrder(one: string, other: string): number {
  natural ??= new Intl.Collator('en', { numeric: true });
  return natural.compare(one, other) || (one < other ? -1 : one > other ? 1 : 0);
}

/** A path or `file:` URL that a user typed. @throws UsageError if it leads elsewhere */
export function typedPath(path: string, option: string): string {
  try {
    return localPath(path, option, 'copy the files there first');
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

/** What a user typed as a place to read from: a path of this computer, a bucket, an address. @throws UsageError if it is none */
export function typedSource(path: string): string {
  try {
    return sourcePath(path, 'the path', 'copy the files there first');
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

/** What a user typed as a logdir, which is there. @throws UsageError if it is not, or is a file */
export async function typedLogdir(path: string): Promise<string> {
  const logdir = typedSource(path);
  const kind = await sourceFiles.kind(logdir);
  if (kind === undefined) throw new UsageError(`there is no file or folder "${path}"`);
  if (kind === 'file') throw new UsageError(`expected a logdir, which is a folder, got the file "${path}"`);
  return logdir;
}

/** The folder of a run, and where its projector's configuration is if there is one. @param files of the run */
export function projectorConfigOf(files: readonly string[]): { folder: string; config: string } {
  const folder = files[0].replace(/[/\\]?[^/\\]*$/, '') || '.';
  return { folder, config: `${folder}/${projectorConfigFile}` };
}

/** An embedding of a run, with the tag and the step that its writer put into its name. */
export interface FoundEmbedding extends ProjectorEntry {
  readonly tag: string;
  readonly step: number;
}

/**
 * The embeddings of a run: the entries of the projector's configuration in its folder.
 *
 * @param files of the run
 * @param tags an embedding is wanted by its tag or by its whole name
 */
export async function embeddingsOf(
  files: readonly string[],
  tags: (tag: string) => boolean = () => true,
): Promise<{ folder: string; config: string; entries: FoundEmbedding[] }> {
  const { folder, config } = projectorConfigOf(files);
  if ((await sourceFiles.kind(config)) !== 'file') return { folder, config, entries: [] };
  const entries = readProjectorConfig(new TextDecoder().decode(await readWhole(config))).map((entry) => {
    const [, tag, step] = /^(.*):(-?\d+)$/s.exec(entry.tensorName) ?? [undefined, entry.tensorName, '0'];
    return { ...entry, tag, step: Number(step) };
  });
  return { folder, config, entries: entries.filter(({ tag, tensorName }) => tags(tag) || tags(tensorName)) };
}

/** The folder of a run below the folder of its logdir. */
export function folderOfRun(logdir: string, run: string): string {
  return run === '.' ? logdir : `${logdir}/${run}`;
}

/** Says that the embeddings of a run, which are files beside its event files, are not copied with them. */
export async function noteEmbeddings(
  terminal: Terminal,
  run: string,
  files: readonly string[],
  tags?: (tag: string) => boolean,
): Promise<void> {
  // The files of a run that was merged lie in several folders.
  const oneOfEach = new Map(files.map((file) => [projectorConfigOf([file]).config, file])).values();
  for (const file of oneOfEach) {
    const { config, entries } = await embeddingsOf([file], tags);
    if (entries.length === 0) continue;
    const what = `run "${run}": not copied: ${plural(entries.length, 'embedding')}, in ${config} and the files that it names`;
    terminal.writeError(`${printable(what)}\n`);
  }
}

/**
 * Refuses a folder to be written that lies in one that is read.
 *
 * @param why what would come of it
 * @throws UsageError if it does
 */
export function checkOutside(out: string, paths: readonly string[], why: string): void {
  const resolve = (path: string) => fileSystem?.resolve(path).replaceAll('\\', '/').replace(/\/+$/, '') ?? path;
  const target = resolve(typedPath(out, '--out'));
  for (const path of paths) {
    const source = typedSource(path);
    if (isRemote(source) || !`${target}/`.startsWith(`${resolve(source)}/`)) continue;
    throw new UsageError(`--out: expected a folder outside of "${path}", got "${out}": ${why}`);
  }
}

/** Refuses the folder of a run to be written which has event files already: TensorBoard would show both as one run. */
export async function checkNoEvents(folder: string): Promise<void> {
  if ((await sourceFiles.kind(folder)) !== 'folder') return;
  const entries = await sourceFiles.list(folder);
  if (entries.some(({ kind, name }) => kind === 'file' && isEventFileName(name))) {
    throw new UsageError(
      `--out: expected a folder without event files, got "${folder}", which has some: they would be mixed`,
    );
  }
}

/** The bytes of a file, which is small. */
export async function readWhole(path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunksOfFile(path)) parts.push(chunk.slice());
  return concat(parts);
}

/** So long the searches of one pattern may take together, in milliseconds: nobody waits for one that never ends. */
const patternTime = 2000;

/**
 * A filter of tags (or of runs) from a regular expression that a user typed behind an option.
 *
 * @returns throws UsageError if the expression takes too long
 * @throws UsageError if it is none
 */
export function tagFilter(pattern: string | undefined, option = '--tags'): (tag: string) => boolean {
  if (pattern === undefined) return () => true;
  let expression: RegExp;
  try {
    expression = new RegExp(pattern, 'u');
  } catch (error) {
    throw new UsageError(`${option}: ${messageOf(error)}`);
  }
  const matches = boundedTest(expression, patternTime);
  return (tag) => {
    try {
      return matches(tag);
    } catch (error) {
      if (!(error instanceof SlowPatternError)) throw error;
      throw new UsageError(
        `${option}: expected a regular expression that is found or not within ${patternTime / 1000} s, got "${cut(pattern, 200)}", which takes longer on "${cut(tag, 100)}"; repetitions within repetitions, as in (a+)+, take this long`,
      );
    }
  };
}

/** So long a command is silent, and so often it says how far it is, in milliseconds. */
const [silence, sayEvery] = [1000, 200];

/** Says how far the reading of runs is, where somebody sees it and it takes more than a second. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #total: number;
  #done = 0;
  #next = Date.now() + silence;
  #isShown = false;

  private constructor(terminal: Terminal, total: number) {
    this.#terminal = terminal;
    this.#total = total;
  }

  /** @param readings how many times each byte is read */
  static async of(terminal: Terminal, runs: readonly FoundRun[], readings = 2): Promise<Progress> {
    let total = 0;
    if (terminal.status !== undefined) {
      for (const { files } of runs) for (const file of files) total += (await sourceFiles.size(file)) ?? 0;
    }
    return new Progress(terminal, total * readings);
  }

  /** So many bytes were read. */
  readonly read = (bytes: number): void => {
    this.#done += bytes;
    if (this.#terminal.status === undefined || Date.now() < this.#next) return;
    this.#next = Date.now() + sayEvery;
    this.#isShown = true;
    const share = this.#total > 0 && Number.isFinite(this.#total) ? this.#done / this.#total : Number.NaN;
    const megabytes = `${(this.#done / 2e6).toFixed(1)} MB`;
    this.#terminal.status(`reading: ${share <= 1 ? `${Math.floor(100 * share)} %` : megabytes}`);
  };

  /** Takes away what is shown: something is written. */
  clear(): void {
    if (this.#isShown) this.#terminal.status?.('');
    this.#isShown = false;
  }
}

/** What is told of runs that are followed. */
export interface Follower {
  /** A run is there that was not there before. */
  begin(run: string): void;
  /** An event of a run has come. */
  take(run: string, event: TensorBoardEvent): void;
  /** Something cannot be read, or is damaged: what else there is comes all the same. */
  complain(message: string): void;
}

/**
 * Follows the runs below a folder, also those that come later, or one event file as a run of its own, until the signal aborts.
 *
 * @returns looks for new runs; call it now and then
 */
export function followRuns(
  path: string,
  tags: (tag: string) => boolean,
  signal: AbortSignal,
  follower: Follower,
): () => Promise<void> {
  const known = new Set<string>();
  // A signal of its own for each run: Node warns of one that more than ten listen to.
  const stops = new Set<AbortController>();
  const abortAll = () => {
    for (const stop of stops) stop.abort();
  };
  signal.addEventListener('abort', abortAll, { once: true });
  const follow = async (run: string) => {
    const source = folderOfRun(path, run); // of a file: itself
    const stop = new AbortController();
    stops.add(stop);
    try {
      const onCorrupt = (damage: Error) => follower.complain(damage.message);
      for await (const event of readEvents(source, { tags, onCorrupt, follow: true, signal: stop.signal })) {
        follower.take(run, event);
      }
    } catch (error) {
      if (!signal.aborted) follower.complain(`${run}: ${messageOf(error)}`);
    } finally {
      stops.delete(stop);
    }
  };
  return async () => {
    try {
      const isFile = (await sourceFiles.kind(path)) === 'file';
      for (const { run } of isFile ? [{ run: '.' }] : await walkRuns(path, () => {})) {
        if (known.has(run)) continue;
        known.add(run);
        follower.begin(run);
        void follow(run);
      }
    } catch (error) {
      follower.complain(messageOf(error));
    }
  };
}

/** Resolves to false when so many milliseconds have passed. */
export function pause(milliseconds: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), milliseconds));
}
