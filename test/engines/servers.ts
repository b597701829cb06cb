import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

/** A server of our own on a free loopback port, whose files lie in a temporary folder. */
export interface QueueServer {
  readonly url: string;
  /** Ends it as a machine that loses its power does. */
  kill(): Promise<void>;
  /** Starts it again, with the files that it had, at the same address. */
  restart(): Promise<void>;
  /** Makes it forget every job. */
  forget(): Promise<void>;
  /** Ends it and removes its files. */
  close(): Promise<void>;
}

/** The servers that queues can be on; `missing` says why one cannot be started here. */
export const queueServers = [
  { name: 'Redis', start: startRedis, missing: redisProgram() ? undefined : 'no redis-server or valkey-server here' },
  { name: 'PostgreSQL', start: startPostgres, missing: postgresFolder() ? undefined : 'no PostgreSQL here' },
];

/** Starts Redis, or Valkey, with settings for queues: every second to disk, nothing evicted. */
async function startRedis(): Promise<QueueServer> {
  const program = redisProgram();
  if (program === undefined) throw new Error('no redis-server or valkey-server on the path');
  const folder = mkdtempSync(join(tmpdir(), 'delve-redis-'));
  const port = await freePort();
  const settings = { appendonly: 'yes', appendfsync: 'everysec', save: '', 'maxmemory-policy': 'noeviction' };
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
  for (const [name, value] of Object.entries(settings)) args.push(`--${name}`, value);
  const start = () => spawn(program, args, { stdio: 'ignore' });
  const server = await startServer(folder, start, () => answers(port, 'PING\r\n', '+PONG'));
  const forget = async () => void (await answers(port, 'FLUSHALL\r\n', '+OK'));
  return { ...server, url: `redis://127.0.0.1:${port}`, forget };
}

/** Starts PostgreSQL, as another user if this one is root, whom it refuses. */
async function startPostgres(): Promise<QueueServer> {
  const programs = postgresFolder();
  if (programs === undefined) throw new Error('no PostgreSQL on the path or in /usr/lib/postgresql');
  const folder = mkdtempSync(join(tmpdir(), 'delve-postgres-'));
  const user = process.getuid?.() === 0 ? otherUser() : {};
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid!);
  const cluster = join(folder, 'cluster');
  execFileSync(join(programs, 'initdb'), ['-D', cluster, '-U', 'delve', '-A', 'trust', '--no-sync', '-E', 'UTF8'], {
    ...user,
    cwd: folder,
    stdio: 'ignore',
  });
  const port = await freePort();
  const settings = ['listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`, 'max_connections=200'];
  const args = ['-D', cluster, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
  const start = () => spawn(join(programs, 'postgres'), args, { ...user, cwd: folder, stdio: 'ignore' });
  const url = `postgres://delve@127.0.0.1:${port}/postgres`;
  // A start-up packet, which any PostgreSQL that takes connections answers with a request for authentication.
  const startUp = Buffer.from('\0\0\0\0\0\x03\0\0user\0delve\0database\0postgres\0\0', 'latin1');
  startUp.writeInt32BE(startUp.length);
  const server = await startServer(folder, start, () => answers(port, startUp, 'R'));
  const forget = async () => {
    const client = new Client(url);
    await client.connect();
    await client.query('TRUNCATE bullmq.job CASCADE');
    await client.end();
  };
  return { ...server, url, forget };
}

async function startServer(
  folder: string,
  start: () => ChildProcess,
  isReady: () => Promise<boolean>,
): Promise<Pick<QueueServer, 'kill' | 'restart' | 'close'>> {
  let running: ChildProcess;
  const end = async (signal: NodeJS.Signals) => {
    if (running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill(signal);
    await ended;
  };
  const stop = () => running.kill('SIGKILL');
  const run = async () => {
    running = start();
    while (!(await isReady())) {
      if (running.exitCode !== null) throw new Error(`${running.spawnfile} ended with code ${running.exitCode}`);
      await sleep(50);
    }
  };
  await run();
  process.once('exit', stop);
  return {
    kill: () => end('SIGKILL'),
    restart: run,
    async close() {
      process.off('exit', stop);
      await end('SIGINT');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Whether what listens on a port answers with these characters. */
function answers(port: number, question: string | Buffer, answer: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(question));
    const settle = (isReady: boolean) => {
      socket.destroy();
      resolve(isReady);
    };
    socket.once('data', (data) => settle(data.toString('latin1').startsWith(answer)));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function redisProgram(): string | undefined {
  return onPath('redis-server') ?? onPath('valkey-server');
}

/** The folder of PostgreSQL's programs: on the path, or where Debian keeps them. */
function postgresFolder(): string | undefined {
  const postgres = onPath('postgres');
  if (postgres !== undefined && onPath('initdb') !== undefined) return join(postgres, '..');
  const versions = '/usr/lib/postgresql';
  if (!existsSync(versions)) return undefined;
  const newest = readdirSync(versions).sort((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? undefined : join(versions, newest, 'bin');
}

function onPath(program: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

function otherUser(): { uid?: number; gid?: number } {
  const id = (option: string) => Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
