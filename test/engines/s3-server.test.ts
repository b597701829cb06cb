import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readEvents, SummaryWriter } from '../../src/index.js';
import { s3Output, s3Store } from '../../src/object-stores.js';
import { bullmqEngine, objectPartials, runLocal } from '../../src/scale.js';
import { type NpmS3Server, startNpmS3Server } from '../support/npm-s3-server.js';
import { Programs } from '../support/programs.js';
import { cleanUp, local, quick, syntheticPlan, until, WorkerProcess } from './harness.js';
import { type QueueServer, queueServers } from './servers.js';
import { mapSynthetic } from './synthetic.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (found: Uint8Array | undefined) => found && new TextDecoder().decode(found);

let server: NpmS3Server;
const programs = new Programs();
programs.add('src/object-stores.ts');
beforeAll(async () => {
  server = await startNpmS3Server();
});
afterEach(cleanUp);
afterAll(() => {
  server.close();
  programs.remove();
});

/** The steps of the scalars of all event files below a prefix, file by file. */
async function steps(prefix: string): Promise<number[]> {
  const store = s3Store(server.options);
  const { objects } = await store.list(`${prefix}/`, { isFlat: true });
  const found: number[] = [];
  for (const { key } of objects) {
    for await (const { step, summary } of readEvents((await store.get(key))!)) {
      for (const { tag } of summary ?? []) if (tag === 'loss') found.push(Number(step));
    }
  }
  return found;
}

const upTo = (end: number) => Array.from({ length: end }, (_, step) => step);

describe("an S3 server by others, that computes every request's signature", () => {
  it('refuses who has another key', async () => {
    const credentials = { ...server.options.credentials, secretAccessKey: 'another' };
    const store = s3Store({ ...server.options, credentials });
    await expect(store.put('a', bytes('a'))).rejects.toThrow(/expected status 200, got 403 \(SignatureDoesNotMatch/);
    await expect(store.list('')).rejects.toThrow(/SignatureDoesNotMatch/);
  });

  it('keeps, lists, cuts and removes objects under keys of any characters', async () => {
    const store = s3Store(server.options);
    const names = ['a', 'a b+c/ü€😀', '(all) *here*!', 'q?x=1#z', 'a=b;c:d@e,$'].map((key) => `keys/${key}`);
    for (const [i, key] of names.entries()) await store.put(key, bytes(`value ${i}`));
    for (const [i, key] of names.entries()) {
      expect(text(await store.get(key))).toBe(`value ${i}`);
      expect(text(await store.get(key, { from: 2, end: 5 }))).toBe('lue');
      expect(await store.head!(key)).toMatchObject({ key, size: 7 });
    }
    expect((await store.list('keys/')).objects.map(({ key }) => key).sort()).toEqual([...names].sort());
    const flat = await store.list('keys/', { isFlat: true });
    expect(flat.folders).toEqual(['keys/a b+c/']);
    expect(flat.objects).toHaveLength(4);
    for (const key of names) await store.remove!(key);
    expect((await store.list('keys/')).objects).toEqual([]);
    expect(await store.get(names[0])).toBeUndefined();
  });

  it('lists more objects than a page holds', async () => {
    const store = s3Store(server.options);
    const keys = Array.from({ length: 1100 }, (_, i) => `many/${String(i).padStart(5, '0')}`);
    for (let i = 0; i < keys.length; i += 50) {
      await Promise.all(keys.slice(i, i + 50).map((key) => store.put(key, bytes('x'))));
    }
    expect((await store.list('many/')).objects.map(({ key }) => key)).toEqual(keys);
  });

  it('holds a run of 200 flushes in few objects, which every reader and command finds', async () => {
    const prefix = 'runs/first';
    const writer = new SummaryWriter(s3Output({ ...server.options, prefix, uploadSecs: 0, maxObjectBytes: 2000 }));
    for (let flush = 0; flush < 200; flush++) {
      writer.addScalar('loss', flush / 2, flush);
      writer.run('val').addScalar('loss', flush, flush);
      await writer.flush();
    }
    await writer.close();
    expect(await steps(prefix)).toEqual(upTo(200));
    expect(await steps(`${prefix}/val`)).toEqual(upTo(200));
    expect((await s3Store(server.options).list(`${prefix}/`, { isFlat: true })).objects.length).toBeLessThan(10);
    const env = { ...process.env, ...server.environment };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['dist/cli.js', 'inspect', `s3://logs/${prefix}/`, '--json'],
      { cwd: root, env },
    );
    const runs: { run: string; tags: { tag: string; count: number; lastStep: number }[] }[] = JSON.parse(stdout);
    expect(runs.map(({ run }) => run).sort()).toEqual(['.', 'val']);
    for (const { tags } of runs) expect(tags).toMatchObject([{ tag: 'loss', count: 200, lastStep: 199 }]);
  });

  it.each([
    ['process.exit', 'process.exit(3);', { code: 3 }],
    ['an exception', "setTimeout(() => { throw new Error('bug'); });", { code: 1 }],
    ['SIGTERM', "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000);", { signal: 'SIGTERM' }],
  ])('loses nothing at the end of a program: %s', async (name, end, ending) => {
    const prefix = `runs/ended by ${name}`;
    const program = `
      import { s3Output } from './src/object-stores.js';
      const writer = new SummaryWriter(s3Output(JSON.parse(process.argv[2])), { handleSignals: true });
      for (let step = 0; step < 50; step++) writer.addScalar('loss', 1, step);
      await writer.flush();
      for (let step = 50; step < 100; step++) writer.addScalar('loss', 1, step);
      ${end}`;
    expect(await programs.run(program, [JSON.stringify({ ...server.options, prefix })])).toMatchObject(ending);
    expect(await steps(prefix)).toEqual(upTo(100));
  });

  it('holds the partials of a plan, whose root has the bits of one machine', async () => {
    const of = syntheticPlan(9, { features: 32 });
    const store = objectPartials(s3Store(server.options), { prefix: 'local' });
    expect((await runLocal(of, { map: mapSynthetic, store })).digest).toBe((await local(of)).digest);
  });
});

const queue = queueServers.find(({ missing }) => missing === undefined);
describe.skipIf(queue === undefined)('workers of a queue that share a bucket of that server', () => {
  let queueServer: QueueServer;
  beforeAll(async () => {
    queueServer = await queue!.start();
  });
  afterAll(() => queueServer.close());

  it('may die, and the root has the bits of one machine', async () => {
    const of = syntheticPlan(24, { features: 64 });
    const engine = { connection: queueServer.url, ...quick };
    const bucket = server.options;
    await bullmqEngine(engine).submit(of);
    const first = await WorkerProcess.start(of, { engine, bucket, holdAt: 2 });
    await first.hears('held');
    const others = await Promise.all([1, 2].map(() => WorkerProcess.start(of, { engine, bucket, batchMillis: 2 })));
    await until(() => others.some((worker) => worker.count('made') > 2));
    first.kill();
    expect((await bullmqEngine(engine).wait(of)).digest).toBe((await local(of)).digest);
  });
});
