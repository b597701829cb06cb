import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { folderPartials, readMoments } from '../../src/scale.js';
import { cleanUp, standing, syntheticPlan, temporaryFolder, until } from './harness.js';
import { type QueueServer, queueServers } from './servers.js';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const synthetic = new URL('./synthetic.mjs', import.meta.url).href;

const children = new Set<ChildProcess>();

function command(...args: string[]) {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  const said = { out: '', err: '' };
  child.stdout!.on('data', (text) => (said.out += text));
  child.stderr!.on('data', (text) => (said.err += text));
  const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) =>
    child.once('close', (code) => {
      children.delete(child);
      resolve({ code, ...said });
    }),
  );
  return { child, said, ended };
}

describe.each(queueServers)('the commands on $name', ({ start, missing }) => {
  const test = it.skipIf(missing !== undefined);
  let server: QueueServer;
  beforeAll(async () => {
    if (missing === undefined) server = await start();
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await cleanUp();
  });
  afterAll(() => server?.close());

  test('scale submit, work and status do a plan, and ^C gives back what is under way', async () => {
    const of = syntheticPlan(12, { features: 16, batches: 20, rows: 4 });
    const folder = temporaryFolder();
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const map = file(
      'map.mjs',
      `import { setTimeout as sleep } from 'node:timers/promises';
      import { mapSynthetic } from '${synthetic}';
      export async function* map(shard, context) {
        for await (const _ of mapSynthetic(shard, context)) yield sleep(20);
      }`,
    );
    const plan = ['--plan', file('plan.json', JSON.stringify(of))];
    const queue = ['--queue', server.url];
    const store = ['--store', folder];
    const work = ['scale', 'work', ...plan, ...queue, ...store, '--map', map];

    const early = command(...work); // workers may come before the plan
    expect(await command('scale', 'submit', ...plan, ...queue).ended).toMatchObject({
      code: 0,
      out: `plan ${of.id} is in the queue: 15 nodes\n`,
    });
    await until(async () => (await standing(of, folder)).length >= 2);
    const status = await command('scale', 'status', ...plan, ...queue, ...store, '--once').ended;
    expect(status).toMatchObject({ code: 0, out: expect.stringMatching(/queue: 1 node under way, \d+ to take/) });
    early.child.kill('SIGINT');
    expect(await early.ended).toMatchObject({
      code: 130,
      err: 'told to end; what was under way goes back to the queue\n',
    });
    const after = await command('scale', 'status', ...plan, ...queue, ...store, '--json').ended;
    expect(JSON.parse(after.out)).toMatchObject([{ queue: { root: 'waiting', active: 0 } }]);

    const another = command(...work); // with a lock of a minute, it would wait long for what was not given back
    expect(await another.ended).toMatchObject({ code: 0, out: `plan ${of.id} is done\n`, err: '' });
    for await (const [, { count, rejected }] of readMoments(of, folderPartials(folder))) {
      expect([count, rejected]).toEqual([12 * (20 * 4 - 1), 12]);
    }
  });

  test('scale work and status tell what the queue has given up', async () => {
    const of = syntheticPlan(3, { features: 16, batches: 4, rows: 4 });
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'plan.json'), JSON.stringify(of));
    const map = join(folder, 'map.mjs');
    writeFileSync(
      map,
      `import { mapSynthetic } from '${synthetic}';
      export async function* map(shard, context) {
        if (shard === 's-000001') throw new Error('no such file');
        yield* mapSynthetic(shard, context);
      }`,
    );
    const args = ['--plan', join(folder, 'plan.json'), '--queue', server.url];
    await command('scale', 'submit', ...args).ended;
    const worker = await command('scale', 'work', ...args, '--store', folder, '--map', map).ended;
    expect(worker.code).toBe(1);
    expect(worker.err.split('\n')).toEqual([
      ...[1, 2, 3].map((attempt) => `map-000001, attempt ${attempt}: no such file`),
      expect.stringMatching(/^merge-1-000000, attempt/),
      "given up: 's-000001': no such file",
      '',
    ]);
    const status = await command('scale', 'status', ...args, '--store', folder, '--once').ended;
    expect(status.code).toBe(1);
    expect(status.out).toContain("given up: 's-000001': no such file");
  });
});

it('a queue is a URL', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'plan.json'), JSON.stringify(syntheticPlan(1)));
  const args = ['scale', 'submit', '--plan', join(folder, 'plan.json')];
  expect(await command(...args).ended).toMatchObject({
    code: 2,
    err: expect.stringContaining('--queue: expected redis://'),
  });
  expect(await command(...args, '--queue', 'localhost:6379').ended).toMatchObject({
    code: 2,
    err: expect.stringContaining('--queue: expected redis://<host>:<port> or postgres://…, got "localhost:6379"'),
  });
});
