import { messageOf } from '../errors.js';
import type { RunFile } from '../reader/scan.js';
import { type ListedFile, ServedLogdir } from './logdir.js';
import { type RunContent, readRunContent } from './run-content.js';

/*
 * The worker of the dashboard: it fetches the files of a run, keeps what it has of them, and reads them, so that the page stays
 * at hand. A file that has grown is asked for its new bytes only.
 */

/** What the page asks for. */
export interface WorkerRequest {
  readonly id: number;
  readonly run: string;
  readonly files: readonly ListedFile[];
  /** The files' bytes, if the page has them itself. */
  readonly dropped?: readonly Blob[];
  /** Address of the folder of the listing, and what the server wants to be told with each address. */
  readonly base: string;
  readonly query: string;
}

/** What it is answered. */
export type WorkerAnswer =
  | { readonly id: number; readonly content: RunContent }
  | { readonly id: number; readonly problem: string };

interface Held {
  readonly chunks: Uint8Array[];
  length: number;
}

/** Files of up to so many bytes are kept, and only asked for what is new. */
const mostHeld = 2 ** 26;
/** So many bytes of longer ones are asked for at a time. */
const pieceBytes = 2 ** 23;

const held = new Map<string, Held>();
let logdir: Promise<ServedLogdir> | undefined;

self.onmessage = ({ data }: MessageEvent<WorkerRequest>) => {
  const { id } = data;
  contentOf(data).then(
    (content) => self.postMessage({ id, content } satisfies WorkerAnswer),
    (error) => self.postMessage({ id, problem: messageOf(error) } satisfies WorkerAnswer),
  );
};

async function contentOf({ run, files, dropped, base, query }: WorkerRequest): Promise<RunContent> {
  if (dropped !== undefined) {
    const sources = files.map(({ path }, index) => ({ path, chunks: () => chunksOf(dropped[index]) }));
    return readRunContent(run, sources);
  }
  logdir ??= ServedLogdir.open(base, query).catch((error) => {
    logdir = undefined;
    throw error;
  });
  const source = await logdir;
  const lost: string[] = [];
  for (const file of files) {
    try {
      if (file.size <= mostHeld) await update(source, file);
      else held.delete(file.path);
    } catch (error) {
      lost.push(messageOf(error));
    }
  }
  const content = await readRunContent(
    run,
    files.flatMap((file): RunFile[] => {
      const { path } = file;
      if (file.size > mostHeld) return [{ path, chunks: () => piecesOf(source, file) }];
      const bytes = held.get(path);
      return bytes === undefined ? [] : [{ path, chunks: () => bytes.chunks }];
    }),
  );
  return lost.length === 0 ? content : { ...content, complaints: [...lost, ...content.complaints] };
}

async function* chunksOf(file: Blob): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.size; at += pieceBytes) {
    yield new Uint8Array(await file.slice(at, at + pieceBytes).arrayBuffer());
  }
}

/** A file that is too long to be held, piece by piece. */
async function* piecesOf(source: ServedLogdir, { path, size }: ListedFile): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size; ) {
    const piece = await source.read({ path, size: Math.min(size, at + pieceBytes) }, at);
    if (piece === undefined || piece.length === 0) return;
    yield piece;
    at += piece.length;
  }
}

/** Fetches what is new of a file; all of it if it has become shorter. */
async function update(source: ServedLogdir, file: ListedFile): Promise<void> {
  let known = held.get(file.path);
  let bytes = await source.read(file, known?.length ?? 0);
  if (bytes === undefined) {
    known = undefined;
    bytes = await source.read(file, 0);
  }
  if (known === undefined) held.set(file.path, (known = { chunks: [], length: 0 }));
  if (bytes === undefined || bytes.length === 0) return;
  known.chunks.push(bytes);
  known.length += bytes.length;
}
