// npm run bench:object-stores [-- --dry] — a run in a bucket: what 200 flushes upload, and how long a TensorBoard that has just been
// started needs to show the last step. The server is the strict one of the tests, in this process; TensorBoard is that of the
// compat tests (.venv-compat), with its Python loader.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { SummaryWriter } from '../dist/index.js';
import { s3Output } from '../dist/object-stores.js';
import { machine, writeSection } from './results.mjs';

const flushes = 200;
const eventsPerFlush = 40;
const giveUpSeconds = 240;
const python = fileURLToPath(new URL('../.venv-compat/bin/python', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'delve-bench-'));
const bundle = await rolldown({
  input: fileURLToPath(new URL('../test/support/s3-server.ts', import.meta.url)),
  platform: 'node',
  tsconfig: false,
});
await bundle.write({ file: join(folder, 's3-server.mjs'), format: 'esm' });
await bundle.close();
const { S3Server } = await import(pathToFileURL(join(folder, 's3-server.mjs')).href);

/** Seconds from the start of TensorBoard to the last step of the run, and the requests until then. */
async function coldStart(server, url) {
  const env = {
    ...process.env,
    ...server.environment,
    S3_ENDPOINT: server.endpoint,
    AWS_DEFAULT_REGION: server.region,
  };
  const before = server.seen.length;
  const began = performance.now();
  const args = ['-m', 'tensorboard.main', '--logdir', url, '--host', '127.0.0.1', '--port', '0', '--load_fast=false'];
  const board = spawn(python, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [board.stdout, board.stderr]) stream.on('data', (text) => (printed += text));
  try {
    for (;;) {
      const seconds = (performance.now() - began) / 1000;
      if (seconds > giveUpSeconds) return { seconds: undefined, requests: server.seen.length - before };
      const address = /at (http:\/\/127\.0\.0\.1:\d+)/.exec(printed)?.[1];
      const answer =
        address && (await fetch(`${address}/data/plugin/scalars/scalars?run=.&tag=loss`).catch(() => undefined));
      const points = answer?.ok ? await answer.json() : [];
      if (points.at(-1)?.[1] === flushes * eventsPerFlush - 1)
        return { seconds, requests: server.seen.length - before };
      await sleep(100);
    }
  } finally {
    board.kill('SIGKILL');
  }
}

const lines = [];
for (const [name, options] of [
  ['rolling, objects of 40 kB', { maxObjectBytes: 40_000 }],
  ['rolling, objects of 1 MiB (default)', {}],
  ['growing', { layout: 'growing' }],
  ['an object for each flush', { maxObjectBytes: 1 }],
]) {
  const server = await S3Server.start();
  server.pageSize = 1000;
  const output = s3Output({ ...server.options, prefix: 'runs/bench', uploadSecs: 3600, ...options });
  const writer = new SummaryWriter(output);
  for (let flush = 0; flush < flushes; flush++) {
    for (let i = 0; i < eventsPerFlush; i++) writer.addScalar('loss', Math.random(), flush * eventsPerFlush + i);
    await writer.flush();
  }
  await writer.close();
  const events = server.keys().reduce((sum, key) => sum + server.objects.get(key).length, 0);
  const sent = server.seen.reduce((sum, { bytes }) => sum + bytes, 0);
  const uploads = server.seen.length;
  const { seconds, requests } = await coldStart(server, output.url);
  const kB = (bytes) => (bytes / 1000).toFixed(0);
  const shown = seconds === undefined ? `not after ${giveUpSeconds}` : seconds.toFixed(1);
  lines.push(`| ${[name, server.keys().length, kB(events), kB(sent), uploads, shown, requests].join(' | ')} |`);
  console.log(lines.at(-1));
  await server.close();
}
rmSync(folder, { recursive: true });

const text = `## A run in a bucket

\`npm run bench:object-stores\`, ${machine()}. ${flushes} flushes of ${eventsPerFlush} scalars, to a server on this machine; then TensorBoard
2.21 with its Python loader is started, and asked until it shows the last step ("cold start"; its own start is part of it).

| layout | objects | events kB | uploaded kB | requests | cold start s | its requests |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
${lines.join('\n')}`;
if (process.argv.includes('--dry')) console.log(text);
else writeSection('object-stores', text);
