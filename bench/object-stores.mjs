// A run in a bucket: what 200 flushes upload, and how long a TensorBoard that has just been started needs to show the last step. The server
// is the strict one of the tests, in this process; TensorBoard is that of .venv-bench, which is made if it is missing, with its Python
// loader. Writes its section of bench/results.json. Run: npm run bench:object-stores
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { SummaryWriter } from '../dist/index.js';
import { s3Output } from '../dist/object-stores.js';
import { benchOptions } from './options.mjs';
import { digits, spreadOf, untilKnown } from './peer.mjs';
import { pythonWith } from './python.mjs';
import { beginSection } from './results.mjs';
import { importTypeScript } from './typescript.mjs';

const options = benchOptions(75);
const record = beginSection('object-stores', options);
const flushes = options.quick ? 10 : 200;
const eventsPerFlush = 40;
const giveUpSeconds = 120;
const { python, versions, missing } = pythonWith(['tensorboard', 'boto3']);
const { S3Server } = await importTypeScript('test/support/s3-server.ts');

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

const rows = [];
for (const [layout, more] of [
  ['rolling, objects of 40 kB', { maxObjectBytes: 40_000 }],
  ['rolling, objects of 1 MiB (default)', {}],
  ['growing', { layout: 'growing' }],
  ['an object for each flush', { maxObjectBytes: 1 }],
]) {
  const server = await S3Server.start();
  server.pageSize = 1000;
  const output = s3Output({ ...server.options, prefix: 'runs/bench', uploadSecs: 3600, ...more });
  const writer = new SummaryWriter(output);
  for (let flush = 0; flush < flushes; flush++) {
    for (let i = 0; i < eventsPerFlush; i++) writer.addScalar('loss', Math.random(), flush * eventsPerFlush + i);
    await writer.flush();
  }
  await writer.close();
  const row = {
    layout,
    objects: server.keys().length,
    bytes: server.keys().reduce((sum, key) => sum + server.objects.get(key).length, 0),
    uploadedBytes: server.seen.reduce((sum, { bytes }) => sum + bytes, 0),
    uploads: server.seen.length,
  };
  if (Object.keys(missing).length === 0) {
    const { seconds } = await untilKnown(
      async () => {
        const shown = await coldStart(server, output.url);
        row.requests = shown.requests;
        return { seconds: shown.seconds };
      },
      { seconds: options.seconds / 4 },
    );
    if (seconds !== undefined) row.seconds = spreadOf(seconds);
  }
  rows.push(row);
  console.log(`${layout}: ${digits(row.seconds?.median)} s`);
  await server.close();
}
record({ versions, missing, flushes, eventsPerFlush, giveUpSeconds, rows });
