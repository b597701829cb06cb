import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SummaryWriter } from '../../src/index.js';
import { gcsOutput, MemoryObjectStore, ObjectOutput, type S3OutputOptions, s3Output } from '../../src/object-stores.js';
import { Programs } from '../support/programs.js';
import { eventsOf, pointsOf, repeated, summariesOf } from '../support/read-run.js';
import { S3Server } from '../support/s3-server.js';
import { catchWarnings } from '../support/warnings.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
let server: S3Server;
beforeEach(async () => {
  server = await S3Server.start();
});
afterEach(() => server.close());

const outputOf = (options: Partial<S3OutputOptions> = {}) =>
  s3Output({ ...server.options, prefix: 'runs/first', uploadSecs: 0, ...options });

/** What the objects of a run hold, one after the other. */
const contentOf = (folder: string) => {
  const keys = server
    .keys(folder)
    .filter((key) => key.slice(folder.length).includes('tfevents') && !key.slice(folder.length).includes('/'));
  return Buffer.concat(keys.map((key) => server.objects.get(key)!));
};
const summaries = (folder = 'runs/first/') => summariesOf(contentOf(folder));
const steps = async (folder?: string) => pointsOf(await summaries(folder), 'loss').map(([step]) => step);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('an Output in an object store', () => {
  const warnings = catchWarnings();

  it.each(['rolling', 'growing'] as const)('holds every event once, in order: %s', async (layout) => {
    const writer = new SummaryWriter(outputOf({ layout, maxObjectBytes: 2000 }));
    for (let step = 0; step < 200; step++) {
      writer.addScalar('loss', step / 2, step);
      if (step % 3 === 0) await writer.flush();
    }
    await writer.close();
    expect(pointsOf(await summaries(), 'loss')).toEqual(upTo(200).map((step) => [step, step / 2]));
    expect((await eventsOf(contentOf('runs/first/')))[0].fileVersion).toBe('brain.Event:2');
  });

  it('sends at most the newest object again, and makes no more objects than there are caps', async () => {
    const cap = 4096;
    const writer = new SummaryWriter(outputOf({ maxObjectBytes: cap }));
    for (let flush = 0; flush < 200; flush++) {
      for (let i = 0; i < 4; i++) writer.addScalar('loss', 1, 4 * flush + i);
      await writer.flush();
    }
    await writer.close();
    const total = contentOf('runs/first/').length;
    const sent = server.seen.filter(({ kind }) => kind === 'put').reduce((sum, { bytes }) => sum + bytes, 0);
    expect(sent).toBeLessThanOrEqual(200 * cap + total);
    expect(server.keys().length).toBeLessThanOrEqual(Math.ceil(total / cap));
    expect(server.count('put')).toBeLessThanOrEqual(201);
    expect(await steps()).toEqual(upTo(800));
  });

  it('grows one object from 5 MiB on by what is new', async () => {
    const writer = new SummaryWriter(outputOf({ layout: 'growing' }));
    const text = 'x'.repeat(2 ** 20);
    for (let step = 0; step < 10; step++) {
      writer.addText('text', `${step} ${text}`, step);
      await writer.flush();
    }
    await writer.close();
    expect(server.keys()).toHaveLength(1);
    expect(server.openUploads).toBe(0);
    const parts = server.seen.filter(({ kind }) => kind === 'part');
    expect(parts.length).toBeGreaterThanOrEqual(4);
    for (const { bytes } of parts) expect(bytes).toBeLessThan(1.1 * 2 ** 20);
    expect((await summaries()).map(({ step }) => step)).toEqual(upTo(10));
  });

  it('grows by compose in Google Cloud Storage', async () => {
    server.token = 'ya29';
    const { bucket, endpoint } = server.options;
    const output = gcsOutput({
      bucket,
      endpoint,
      token: () => 'ya29',
      prefix: 'runs/first',
      layout: 'growing',
      uploadSecs: 0,
    });
    expect(output.url).toBe('gs://logs/runs/first/');
    const writer = new SummaryWriter(output);
    for (let step = 0; step < 8; step++) {
      writer.addText('text', `${step} ${'x'.repeat(2 ** 20)}`, step);
      await writer.flush();
    }
    await writer.close();
    expect(server.keys()).toHaveLength(1);
    expect(server.count('compose')).toBeGreaterThanOrEqual(2);
    expect((await summaries()).map(({ step }) => step)).toEqual(upTo(8));
  });

  it('has runs below it and companion files, as a folder has', async () => {
    const writer = new SummaryWriter(outputOf());
    writer.addScalars('both', { a: 1, b: 2 }, 0);
    writer.run('../val').addScalar('loss', 3, 1);
    writer.addEmbedding(
      'points',
      [
        [1, 2],
        [3, 4],
      ],
      0,
      { metadata: ['x', 'y'] },
    );
    await writer.close();
    const again = new SummaryWriter(outputOf());
    again.addEmbedding(
      'others',
      [
        [1, 2],
        [3, 4],
      ],
      1,
    );
    await again.close();
    const keys = server.keys();
    expect(keys.every((key) => key.startsWith('runs/first/'))).toBe(true);
    expect(pointsOf(await summaries('runs/first/both/a/'), 'both')).toEqual([[0, 1]]);
    expect(keys.filter((key) => key.includes('/__/') || key.includes('/__-'))).toHaveLength(1);
    const config = String(server.objects.get('runs/first/projector_config.pbtxt'));
    expect(config.match(/tensor_name/g)).toHaveLength(2);
    for (const [, path] of config.matchAll(/_path: "([^"]*)"/g)) expect(keys).toContain(`runs/first/${path}`);
  });

  it('purges what an earlier program wrote, as in a folder', async () => {
    const crashed = new SummaryWriter(outputOf({ maxObjectBytes: 500 }));
    for (let step = 0; step < 30; step++) {
      crashed.addScalar('loss', step, step);
      if (step % 5 === 0) await crashed.flush();
    }
    await crashed.close();
    const resumed = new SummaryWriter(outputOf(), { purgeStep: 20 });
    resumed.addScalar('loss', 100, 20);
    await resumed.close();
    const events = await eventsOf(contentOf('runs/first/'));
    const at = events.findIndex(({ sessionLog }) => sessionLog !== undefined);
    const after = events
      .slice(at)
      .map(({ step, sessionLog, summary }) => [step, sessionLog?.status ?? summary![0].value]);
    expect(after).toEqual([
      [20, 'start'],
      [20, 'start'],
      [19, 19],
      [20, 100],
    ]);
  });

  it('gives each writer an object of its own, which sorts behind those that are there', async () => {
    const late = `runs/first/events.out.tfevents.9000000000.zzz.1.00000`;
    server.objects.set(late, Buffer.alloc(0));
    const writers = [0, 1, 2].map(() => new SummaryWriter(outputOf()));
    for (const [i, writer] of writers.entries()) writer.addScalar('loss', i, i);
    await Promise.all(writers.map((writer) => writer.close()));
    const keys = server.keys();
    expect(keys).toHaveLength(4);
    expect(keys[0]).toBe(late);
    expect(await steps()).toHaveLength(3);
  });

  it('loses and repeats nothing when answers are lost, late or 5xx', async () => {
    let count = 0;
    server.fault = ({ kind }) => {
      if (kind !== 'put' && kind !== 'list') return undefined;
      return (['lost', 503, undefined, 'silence', 500, 'cut', 'lost'] as const)[count++ % 7];
    };
    const writer = new SummaryWriter(outputOf({ maxObjectBytes: 1000, timeoutSecs: 0.3, attempts: 2 }));
    for (let step = 0; step < 60; step++) {
      writer.addScalar('loss', 1, step);
      if (step % 10 === 0) await writer.flush().catch(() => {});
    }
    let attempts = 0;
    while (writer.pendingBytes > 0 && attempts++ < 50) await writer.flush().catch(() => {});
    server.fault = () => undefined;
    await writer.close();
    expect(repeated(await summaries())).toEqual([]);
    expect(await steps()).toEqual(upTo(60));
    expect(warnings.every((text) => text.startsWith('Cannot upload events: '))).toBe(true);
  });

  it('says once that it cannot write, keeps everything, and never stops the program', async () => {
    server.fault = () => 403;
    const writer = new SummaryWriter(outputOf());
    for (let step = 0; step < 100; step++) writer.addScalar('loss', 1, step);
    await expect(writer.flush()).rejects.toThrow(
      /^Cannot upload events: (GET|PUT) s3:\/\/logs\/.*expected status 200, got 403/,
    );
    for (let step = 100; step < 200; step++) writer.addScalar('loss', 1, step);
    await expect(writer.flush()).rejects.toThrow('got 403');
    expect(writer.pendingBytes).toBeGreaterThan(0);
    server.fault = () => undefined;
    await writer.close();
    expect(await steps()).toEqual(upTo(200));
    expect(warnings).toHaveLength(2); // one when the first upload failed, one when `flush` did
    for (const text of warnings) expect(text).toMatch(/^Cannot upload events: .* kept in memory/);
  });

  it('uploads while the program computes without a pause', async () => {
    // The thread and this server share nothing with the busy program.
    const { stdout } = await programs.run(
      `${prelude()}
      writer.addScalar('loss', 1, 0);
      writer.ownRun.writeOut();
      const { spawnSync } = await import('node:child_process');
      const end = Date.now() + 60_000;
      const list = () => spawnSync(process.execPath, ['-e', 'fetch(process.argv[1]).then((r) => r.text()).then(console.log)', process.argv[3]], { encoding: 'utf8' }).stdout;
      let found = '';
      while (Date.now() < end && !(found = list()).includes('1')) {}
      console.log(found.trim());
      process.exit();`,
      [JSON.stringify(programOptions()), await countingServer()],
    );
    expect(stdout.trim()).toBe('1');
  });

  it('asks its program for keys that it gets from a function', async () => {
    let asked = 0;
    const credentials = async () => {
      asked++;
      return server.options.credentials;
    };
    const writer = new SummaryWriter(outputOf({ credentials }));
    writer.addScalar('loss', 1, 0);
    await writer.close();
    expect(await steps()).toEqual([0]);
    expect(asked).toBe(1);
    const failing = new SummaryWriter(outputOf({ credentials: () => Promise.reject(new Error('the vault is shut')) }));
    failing.addScalar('loss', 1, 0);
    await expect(failing.flush()).rejects.toThrow('the vault is shut');
    await failing.close().catch(() => {});
  });

  it('takes the functions of any client', async () => {
    const store = new MemoryObjectStore();
    const { put, get, list, head } = store;
    const four = { put: put.bind(store), get: get.bind(store), list: list.bind(store), head: head.bind(store) };
    const writer = new SummaryWriter(new ObjectOutput(four, { prefix: 'runs/a' }));
    for (let step = 0; step < 10; step++) writer.addScalar('loss', 1, step);
    await writer.close();
    const [[key, content]] = [...store.objects];
    expect(key).toMatch(/^runs\/a\/events\.out\.tfevents\.\d{10}\./);
    expect(pointsOf(await summariesOf(content), 'loss')).toHaveLength(10);
    expect(() => new ObjectOutput(four, { layout: 'growing' })).toThrow('expected a store that can append');
  });

  it('says how to look at it', () => {
    const root = outputOf({ prefix: '' });
    expect(root.url).toBe('s3://logs/');
    expect(outputOf({ prefix: '/runs/a/' }).tensorboardCommand).toBe(
      'tensorboard --logdir s3://logs/runs/a/ --load_fast=false --reload_interval 60',
    );
  });

  it('is what an error names if a URL is passed instead', () => {
    const refused = (place: string) => expect(() => new SummaryWriter(place));
    refused('s3://bucket/runs/1').toThrow(
      `got "s3://bucket/runs/1": pass s3Output({ bucket: 'bucket', prefix: 'runs/1' }) instead, which 'delve-tensorboard/object-stores' exports`,
    );
    refused('gs://bucket/').toThrow("pass gcsOutput({ bucket: 'bucket' }) instead");
    refused('hdfs://node/x').toThrow('write elsewhere through an Output of your own');
  });

  it('names the option that is wrong', () => {
    expect(() => outputOf({ layout: 'segments' as never })).toThrow(
      "s3Output: expected layout to be 'rolling' or 'growing'",
    );
    expect(() => outputOf({ prefix: 'a/../b' })).toThrow(
      's3Output: prefix: expected parts that are not empty, . or ..',
    );
    expect(() => outputOf({ uploadSeconds: 1 } as never)).toThrow("did you mean 'uploadSecs'?");
    expect(() => outputOf({ maxObjectBytes: 0 })).toThrow('expected maxObjectBytes to be a positive integer');
  });
});

const programs = new Programs();
programs.add('src/object-stores.ts');
afterAll(() => programs.remove());

const programOptions = (options: Partial<S3OutputOptions> = {}) => ({
  ...server.options,
  prefix: 'runs/first',
  uploadSecs: 3600,
  ...options,
});
const prelude = (writerOptions = '{}') => `
  import { s3Output } from './src/object-stores.js';
  const writer = new SummaryWriter(s3Output(JSON.parse(process.argv[2])), ${writerOptions});`;

/** A server that says how many objects there are: programs that stand still ask it from a process of their own. */
async function countingServer(): Promise<string> {
  const { createServer } = await import('node:http');
  const counter = createServer((_request, response) => response.end(String(server.keys().length)));
  await new Promise<void>((resolve) => counter.listen(0, '127.0.0.1', resolve));
  afterEach(() => void counter.close());
  return `http://127.0.0.1:${(counter.address() as { port: number }).port}`;
}

describe('the end of a program', () => {
  const writes = `
    for (let step = 0; step < 50; step++) writer.addScalar('loss', 1, step);
    await writer.flush();
    for (let step = 50; step < 100; step++) writer.addScalar('loss', 1, step);
    writer.run('val').addScalar('loss', 1, 0);`;

  it.each([
    ['process.exit', 'process.exit(3);', 3],
    ['an exception', "setTimeout(() => { throw new Error('bug'); });", 1],
    ['an unhandled rejection', "Promise.reject(new Error('bug'));", 1],
    ['nothing left to do', '', 0],
  ])('loses nothing: %s', async (_name, end, code) => {
    const ending = await programs.run(`${prelude()}${writes}${end}`, [JSON.stringify(programOptions())]);
    expect(ending.code).toBe(code);
    expect(await steps()).toEqual(upTo(100));
    expect(await steps('runs/first/val/')).toEqual([0]);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('loses nothing: %s', async (signal) => {
    const { child, ended } = programs.start(
      `${prelude('{ handleSignals: true }')}${writes}
      setInterval(() => {}, 1000);
      console.log('ready');`,
      [JSON.stringify(programOptions())],
    );
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    child.kill(signal);
    expect((await ended).signal).toBe(signal);
    expect(await steps()).toEqual(upTo(100));
    expect(await steps('runs/first/val/')).toEqual([0]);
  });

  it('writes companion files and the configuration that names them', async () => {
    const first = `${prelude()} writer.addEmbedding('a', [[1, 2], [3, 4]], 0); process.exit();`;
    await programs.run(first, [JSON.stringify(programOptions())]);
    await programs.run(first.replace("'a'", "'b'"), [JSON.stringify(programOptions())]);
    const config = String(server.objects.get('runs/first/projector_config.pbtxt'));
    expect(config.match(/tensor_name/g)).toHaveLength(2);
    for (const [, path] of config.matchAll(/_path: "([^"]*)"/g)) expect(server.keys()).toContain(`runs/first/${path}`);
  });

  it('survives a store that fails for a while', async () => {
    const faults = [500, 503, 503] as number[];
    server.fault = ({ kind }) => (kind === 'put' ? faults.shift() : undefined);
    const ending = await programs.run(
      `${prelude()} for (let step = 0; step < 50; step++) writer.addScalar('loss', 1, step); process.exit();`,
      [JSON.stringify(programOptions())],
    );
    expect(ending.code).toBe(0);
    expect(await steps()).toEqual(upTo(50));
  });

  it('says what is lost if nobody answers', async () => {
    const options = programOptions({ endpoint: 'http://127.0.0.1:9', attempts: 1 });
    const ending = await programs.run(`${prelude()} writer.addScalar('loss', 1, 0); process.exit();`, [
      JSON.stringify(options),
    ]);
    expect(ending.code).toBe(0);
    expect(ending.stderr).toMatch(
      /At exit \d+ bytes of events could not be uploaded: Cannot upload events: .*127\.0\.0\.1:9/,
    );
  });
});

it('is shown by examples/object-store.mjs, in a bucket and without one', async () => {
  const run = (args: string[], env: Record<string, string>) =>
    promisify(execFile)(process.execPath, ['examples/object-store.mjs', ...args], {
      cwd: root,
      env: { ...process.env, ...env },
    });
  expect((await run([], {})).stdout.match(/ 101 events$/gm)).toHaveLength(2);
  const { stdout } = await run(['logs', 'runs/first'], server.environment);
  expect(stdout).toBe('tensorboard --logdir s3://logs/runs/first/ --load_fast=false --reload_interval 60\n');
  expect(await steps()).toEqual(upTo(100));
  expect(await steps('runs/first/val/')).toEqual(upTo(100));
});
