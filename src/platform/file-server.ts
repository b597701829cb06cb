import { createHash, timingSafeEqual } from 'node:crypto';
import { open, realpath } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, sep } from 'node:path';
import { messageOf } from '../errors.js';
import type { OpenFile, SourceFiles } from './platform.js';

/*
 * The server of the command `serve`: a page, a listing, and byte ranges of the event files below a folder. It is Node's own
 * http with the rules that a program on a developer's computer needs; libraries for static files know neither tokens nor files
 * that grow while they are sent.
 */

/** What a server serves. */
export interface Served {
  /** Address to listen on, such as '127.0.0.1'. */
  readonly host: string;
  /** Port; 0 for any that is free. */
  readonly port: number;
  /** What each request must carry as `?token=`; undefined if the host is this computer alone. */
  readonly token: string | undefined;
  /** The folder whose event files may be read. */
  readonly root: string;
  /** Reads the files below the root if that is not on this computer. */
  readonly files?: SourceFiles | undefined;
  /** Whether a file of this name may be read. */
  isServed(name: string): boolean;
  /** Pages and scripts by their path, such as '/'. */
  readonly pages: ReadonlyMap<string, { readonly type: string; readonly body: string | Uint8Array }>;
  /** The listing, as JSON, when it is asked for; its path is `listingPath`. */
  list(): Promise<string>;
  readonly listingPath: string;
}

/** A server that runs. */
export interface RunningServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Below this path lie the files of the root. */
const dataPath = '/data/';

const policy =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'unsafe-inline'; img-src blob: data:; media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

/**
 * Starts to serve.
 *
 * @throws the system's error if the port is taken or the host is none of this computer's
 */
export async function startFileServer(served: Served): Promise<RunningServer> {
  const root = served.files === undefined ? await realpath(served.root) : served.root;
  const server = createServer((request, response) => {
    answer(served, root, request, response).catch((error) => {
      if (!response.headersSent) send(response, 500, messageOf(error));
      else response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(served.port, served.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(served: Served, root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, headers: asked } = request;
  if (method !== 'GET' && method !== 'HEAD') return send(response, 405, 'GET and HEAD only');
  let url: URL;
  try {
    url = new URL(request.url ?? '/', 'http://served');
  } catch {
    return send(response, 400, 'no address');
  }
  // Another site's page may know this port: it neither reads (no CORS) nor embeds, and no name of its own leads here.
  const site = asked['sec-fetch-site'];
  const isNavigation = asked['sec-fetch-mode'] === 'navigate' && asked['sec-fetch-dest'] === 'document';
  if ((site === 'cross-site' || site === 'same-site') && !isNavigation)
    return send(response, 403, 'other sites are refused');
  if (served.token === undefined) {
    if (!isLoopbackName(asked.host)) return send(response, 403, 'this host is refused: use 127.0.0.1 or localhost');
  } else if (!isSame(url.searchParams.get('token') ?? '', served.token)) {
    // Scripts and the worker of the page hold nothing secret, and browsers ask for them without the token.
    const isOpen = url.pathname !== '/' && served.pages.has(url.pathname);
    if (!isOpen) return send(response, 401, 'the address needs the token that was printed when the server started');
  }
  const page = served.pages.get(url.pathname);
  if (page !== undefined) {
    response.writeHead(200, { ...headers, 'content-type': page.type });
    response.end(method === 'HEAD' ? undefined : page.body);
    return;
  }
  if (url.pathname === served.listingPath) {
    const body = await served.list();
    response.writeHead(200, { ...headers, 'content-type': 'application/json' });
    response.end(method === 'HEAD' ? undefined : body);
    return;
  }
  if (url.pathname.startsWith(dataPath)) return sendFile(served, root, url.pathname, request, response);
  send(response, 404, 'there is nothing here');
}

async function sendFile(
  served: Served,
  root: string,
  pathname: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let parts: string[];
  try {
    parts = pathname.slice(dataPath.length).split('/').map(decodeURIComponent);
  } catch {
    return send(response, 400, 'the address is not well-formed');
  }
  const isPlain = parts.every((part) => part !== '' && part !== '.' && part !== '..' && !/[/\\\0]/.test(part));
  if (!isPlain || !served.isServed(parts[parts.length - 1])) return send(response, 404, 'there is no such event file');
  const found = await (served.files === undefined ? openBelow(root, parts) : openElsewhere(served.files, root, parts));
  if (!('file' in found)) return send(response, found.status, found.reason);
  const { file, size } = found;
  try {
    const range = rangeOf(request.headers.range, size);
    if (range === 'none') {
      response.writeHead(416, { ...headers, 'content-range': `bytes */${size}` });
      response.end();
      return;
    }
    const [from, end] = range ?? [0, size];
    response.writeHead(range === undefined ? 200 : 206, {
      ...headers,
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      'content-length': end - from,
      ...(range === undefined ? {} : { 'content-range': `bytes ${from}-${end - 1}/${size}` }),
    });
    if (request.method === 'HEAD' || end === from) {
      response.end();
      return;
    }
    const chunk = Buffer.alloc(Math.min(2 ** 18, end - from));
    for (let at = from; at < end; ) {
      const bytesRead = await file.read(chunk.subarray(0, Math.min(chunk.length, end - at)), at);
      // The file has become shorter meanwhile: what was promised cannot be sent.
      if (bytesRead === 0) {
        response.destroy();
        return;
      }
      at += bytesRead;
      const isFull = !response.write(Buffer.from(chunk.subarray(0, bytesRead)));
      if (isFull && !(await drained(response))) return;
    }
    response.end();
  } finally {
    await file.close();
  }
}

/** An open event file, or why there is none. */
type Found = { file: OpenFile; size: number } | { status: number; reason: string };

async function openBelow(root: string, parts: readonly string[]): Promise<Found> {
  let path: string;
  try {
    // Links are followed to where they lead, which must lie below the root.
    path = await realpath(join(root, ...parts));
  } catch {
    return { status: 404, reason: 'there is no such event file' };
  }
  if (!path.startsWith(root.endsWith(sep) ? root : root + sep))
    return { status: 403, reason: 'the file lies elsewhere' };
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return { status: 404, reason: 'the file cannot be read' };
  const stats = await file.stat();
  if (!stats.isFile()) {
    await file.close();
    return { status: 404, reason: 'there is no such event file' };
  }
  const read = async (buffer: Uint8Array, position: number) =>
    (await file.read(buffer, 0, buffer.length, position)).bytesRead;
  return { file: { read, close: () => file.close() }, size: stats.size };
}

async function openElsewhere(files: SourceFiles, root: string, parts: readonly string[]): Promise<Found> {
  const path = [root, ...parts].join('/');
  const size = await files.size(path);
  if (size === undefined || !Number.isFinite(size)) return { status: 404, reason: 'there is no such event file' };
  return { file: await files.open(path), size };
}

/** Resolves to whether the reader takes more. */
function drained(response: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (takesMore: boolean) => {
      response.off('drain', taken).off('close', gone);
      resolve(takesMore);
    };
    const taken = () => done(true);
    const gone = () => done(false);
    response.once('drain', taken).once('close', gone);
  });
}

/** One range of bytes, its end excluded; undefined if the whole file is asked for, 'none' if the file has no such bytes. */
function rangeOf(asked: string | undefined, size: number): [number, number] | 'none' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(asked ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  if (match[1] === '') {
    const count = Math.min(size, Number(match[2]));
    return count === 0 ? 'none' : [size - count, size];
  }
  const from = Number(match[1]);
  const end = match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
  return from >= size || end <= from ? 'none' : [from, end];
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { ...headers, 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${text}\n`);
}

/** Whether a Host header names this computer itself. A page of another name that leads here is not let in. */
function isLoopbackName(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d+$/, '').toLowerCase();
  return name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name);
}

/** Compares without telling by its time how much is the same. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
