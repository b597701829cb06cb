/** The commands `serve` and `share`: the dashboard's page for a logdir, by a server of its own or as a folder for any. */
import { hostname } from '#platform';
import { type ListedRun, type Listing, listingName } from '../dashboard/logdir.js';
import { printable } from '../errors.js';
import { isRemote, sourceFiles } from '../reader/places.js';
import { isEventFileName, listRuns } from '../reader/run-files.js';
import { checkOutside, readWhole, typedLogdir, typedPath } from './runs.js';
import { plural, type Terminal, UsageError } from './terminal.js';

/** How often a logdir on another computer is looked at, at most: every look costs requests. */
const remoteLookMillis = 15_000;

/** Options of `serve`, as typed. */
interface ServeOptions {
  host?: string;
  port?: string;
}

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>delve-tensorboard</title>
<link rel="icon" href="data:,">
</head>
<body>
<div id="dashboard"><noscript>This page reads event files in the browser, by a script.</noscript></div>
<script type="module" src="./page.js"></script>
</body>
</html>
`;

/** The files of the page, by name. */
function assets(terminal: Terminal): Map<string, { type: string; body: string | Uint8Array }> {
  const type = 'text/javascript; charset=utf-8';
  return new Map([
    ['index.html', { type: 'text/html; charset=utf-8', body: page }],
    ['page.js', { type, body: terminal.asset('dashboard/page.js') }],
    ['worker.js', { type, body: terminal.asset('dashboard/worker.js') }],
  ]);
}

/** The runs of a logdir with the sizes of their files; a file that is gone again is left out. */
async function listed(logdir: string): Promise<ListedRun[]> {
  const runs: ListedRun[] = [];
  for (const { run, files } of await listRuns(logdir)) {
    // Below the logdir, whose own path may be written in many ways: ./runs, runs/../runs.
    const known = await Promise.all(
      files.map(async (path) => {
        const name = path.replace(/^.*[/\\]/, '');
        return { path: run === '.' ? name : `${run}/${name}`, size: (await sourceFiles.size(path)) ?? -1 };
      }),
    );
    runs.push({ run, files: known.filter(({ size }) => Number.isFinite(size) && size >= 0) });
  }
  return runs;
}

/**
 * `serve`: serves the page and the event files below a logdir until the program is ended.
 *
 * @returns 0 when it was ended
 */
export async function serve(
  terminal: Terminal,
  logdir: string | undefined,
  { host, port = '6006' }: ServeOptions,
): Promise<number> {
  if (logdir === undefined) throw new UsageError("expected a logdir, as in 'serve runs'");
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new UsageError(`--port: expected a number from 0 to 65535, got "${port}"`);
  }
  const root = await typedLogdir(logdir);
  const token = host === undefined ? undefined : terminal.secret();
  const pages = new Map([...assets(terminal)].map(([name, body]) => [name === 'index.html' ? '/' : `/${name}`, body]));
  const look = async () =>
    JSON.stringify({ version: 1, name: root, grows: true, runs: await listed(root) } satisfies Listing);
  const list = isRemote(root) ? atMostEvery(remoteLookMillis, look) : look;
  await list();
  const files = isRemote(root) ? sourceFiles : undefined;
  const served = { root, files, token, pages, list, listingPath: `/${listingName}`, isServed: isEventFileName };
  const { ended, port: taken } = await terminal.serve({ ...served, host: host ?? '127.0.0.1', port: Number(port) });
  const isEverywhere = host === '0.0.0.0' || host === '::';
  const address = (name: string) =>
    `http://${name.includes(':') ? `[${name}]` : name}:${taken}/${token === undefined ? '' : `?token=${token}`}`;
  terminal.write(
    `${printable(root)} is shown at ${address(host === undefined || isEverywhere ? '127.0.0.1' : host)}\n` +
      (isEverywhere ? `On other computers: ${address(hostname())}, or this computer's address in its place.\n` : '') +
      'Stop with ^C.\n',
  );
  await ended;
  return 0;
}

/** Makes a call once in so many milliseconds, and returns the last result in between. */
function atMostEvery<T>(milliseconds: number, call: () => Promise<T>): () => Promise<T> {
  let last: { at: number; result: Promise<T> } | undefined;
  return () => {
    if (last === undefined || performance.now() - last.at >= milliseconds) {
      const now = { at: performance.now(), result: call() };
      last = now;
      now.result.catch(() => {
        if (last === now) last = undefined;
      });
    }
    return last.result;
  };
}

/** `share`: writes the page with a logdir's event files into a folder that any web server shows. */
export async function share(terminal: Terminal, logdir: string | undefined, out: string | undefined): Promise<number> {
  if (logdir === undefined) throw new UsageError("expected a logdir, as in 'share runs --out site'");
  if (out === undefined) throw new UsageError('--out: expected the folder to write the page to');
  const root = await typedLogdir(logdir);
  const target = typedPath(out, '--out').replace(/(?<=.)\/+$/, '');
  checkOutside(out, [logdir], 'the copies would be runs of the logdir, too');
  const runs = await listed(root);
  if (runs.length === 0) throw new UsageError(`there is no event file in "${logdir}"`);
  let bytes = 0;
  const copied: ListedRun[] = [];
  for (const { run, files } of runs) {
    const copies = [];
    for (const { path } of files) {
      const [from, to] = [`${root.replace(/\/+$/, '')}/${path}`, `${target}/data/${path}`];
      const size = isRemote(from) ? await download(terminal, from, to) : terminal.copyFile(from, to);
      bytes += size;
      copies.push({ path, size });
    }
    copied.push({ run, files: copies });
  }
  const name = root.split('/').filter(Boolean).at(-1) ?? root;
  const listing: Listing = { version: 1, name, grows: false, runs: copied };
  terminal.writeFile(`${target}/${listingName}`, JSON.stringify(listing));
  for (const [file, { body }] of assets(terminal)) terminal.writeFile(`${target}/${file}`, body);
  const size = bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  terminal.write(`${plural(runs.length, 'run')}, ${size}, in ${printable(target)}: put it on any web server\n`);
  return 0;
}

/** Copies a file of another computer. Returns its length in bytes. */
async function download(terminal: Terminal, from: string, to: string): Promise<number> {
  const bytes = await readWhole(from);
  terminal.writeFile(to, bytes);
  return bytes.length;
}
