// `npm run example:scale -- --engine redis`: the plan through a queue of BullMQ, on a Redis of our own or on a server that is there.
import { fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bullmqEngine } from 'delve-tensorboard/scale';

/**
 * Lets processes work through a plan, and kills one of them in the middle of a shard.
 *
 * @param connection 'redis' for a Redis of our own, or the URL of a server
 * @returns the report of the root
 */
export async function workThroughQueue({ plan, planFile, folder, workers, connection }) {
  const server = connection === 'redis' ? await startRedis() : undefined;
  const url = server?.url ?? connection;
  const engine = bullmqEngine({ connection: url });
  const children = new Set();
  const known = new Set();
  try {
    await engine.submit(plan);
    let toKill = workers > 1 ? 1 : 0;
    for (let number = 0; number < workers; number++) {
      const child = fork(new URL('queue-worker.mjs', import.meta.url), [planFile, folder, url]);
      children.add(child);
      child.once('exit', () => children.delete(child));
      const batches = new Map();
      child.on('message', ({ kind, node, reason }) => {
        // Whoever merges finds partials that stand; that is told of those only that stood there before.
        const isNews = !known.has(node) && known.add(node);
        if (kind === 'made') console.log(`  ${node} done (worker ${number})`);
        else if (kind === 'found' && isNews) console.log(`  ${node} stood there (worker ${number})`);
        else if (kind === 'stalled') console.log(`  ${node}: its worker has not been heard of; another one takes it`);
        else if (kind === 'failed') console.log(`  ${node} failed: ${reason}`);
        if (kind !== 'batch' || toKill === 0) return;
        batches.set(node, (batches.get(node) ?? 0) + 1);
        if (batches.get(node) < 3) return;
        toKill--;
        console.log(`  worker ${number} is killed after 3 batches of ${node}`);
        child.kill('SIGKILL');
      });
    }
    return await engine.wait(plan);
  } finally {
    for (const child of children) child.disconnect();
    while (children.size > 0) await sleep(20);
    if (server === undefined) await engine.remove(plan);
    else await server.close();
  }
}

/** Starts Redis, or Valkey, on a free port of this machine. */
async function startRedis() {
  const folder = mkdtempSync(join(tmpdir(), 'delve-example-redis-'));
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes', '--save', ''];
  for (const program of ['redis-server', 'valkey-server']) {
    const server = spawn(program, args, { stdio: 'ignore' });
    let hasEnded = false;
    for (const event of ['error', 'exit']) server.once(event, () => (hasEnded = true));
    while (!hasEnded && !(await listens(port))) await sleep(50);
    if (hasEnded) continue;
    console.log(`${program} on port ${port}`);
    process.once('exit', () => server.kill('SIGKILL'));
    const close = async () => {
      server.kill();
      while (!hasEnded) await sleep(20);
      rmSync(folder, { recursive: true, force: true });
    };
    return { url: `redis://127.0.0.1:${port}`, close };
  }
  rmSync(folder, { recursive: true, force: true });
  throw new Error(
    '--engine redis: expected redis-server or valkey-server on the path; or give the URL of one that runs',
  );
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
