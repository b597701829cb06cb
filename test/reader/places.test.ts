import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { listRuns, readEvents, SaturationWriter, Spectrum, SummaryWriter } from '../../src/index.js';
import { s3Output } from '../../src/object-stores.js';
import { startFileServer } from '../../src/platform/file-server.js';
import { temporaryFolder } from '../support/folders.js';
import { eventsOf, pointsOf, summariesOf } from '../support/read-run.js';
import { S3Server } from '../support/s3-server.js';

let server: S3Server;
beforeAll(async () => {
  server = await S3Server.start();
  for (const [name, value] of Object.entries(server.environment)) vi.stubEnv(name, value);
});
afterAll(() => server.close());
beforeEach(() => {
  server.objects.clear();
  server.seen.length = 0;
});

const command = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
/** Runs a command to its end. */
const run = async (...args: string[]) => {
  const child = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  return { stdout, stderr, code: await ended };
};

/** A logdir with two runs in the bucket, in several objects each. */
async function writeRuns(prefix = 'logs of mine/a', steps = 40) {
  const writer = new SummaryWriter(s3Output({ bucket: 'logs', prefix, maxObjectBytes: 300, uploadSecs: 0 }));
  for (let step = 0; step < steps; step++) {
    writer.addScalar('loss', step / 2, step);
    writer.run('val/deep').addScalar('loss', step, step);
    if (step % 10 === 9) await writer.flush();
  }
  await writer.close();
  return `s3://logs/${prefix}`;
}

describe('a logdir in a bucket', () => {
  it('is read as a folder is', async () => {
    const logdir = await writeRuns();
    for (const place of [logdir, `${logdir}/`, new URL(logdir)]) {
      expect(await listRuns(place)).toEqual(
        ['.', 'val/deep'].map((run) => ({
          run,
          files: server.keys(`logs of mine/a/${run === '.' ? 'events' : run}`).map((key) => `s3://logs/${key}`),
        })),
      );
    }
    expect((await listRuns(logdir))[0].files.length).toBeGreaterThan(2);
    const steps = Array.from({ length: 40 }, (_, step) => step);
    expect(pointsOf(await summariesOf(`${logdir}/`), 'loss')).toEqual(steps.map((step) => [step, step / 2]));
    expect(pointsOf(await summariesOf(`${logdir}/val/deep`), 'loss')).toEqual(steps.map((step) => [step, step]));
    const [{ files }] = await listRuns(logdir);
    expect((await eventsOf(files[0]))[0].fileVersion).toBe('brain.Event:2');
    expect((await listRuns('s3://logs')).map(({ run }) => run)).toEqual(['logs of mine/a', 'logs of mine/a/val/deep']);
  });

  it('is read in ranges', async () => {
    const size = 10 * 2 ** 20;
    const writer = new SummaryWriter(s3Output({ bucket: 'logs', prefix: 'big' }));
    writer.addText('text', 'x'.repeat(size), 0);
    await writer.close();
    server.seen.length = 0;
    expect(await summariesOf('s3://logs/big')).toHaveLength(1);
    const gets = server.seen.filter(({ kind }) => kind === 'get');
    expect(gets.map(({ range }) => range)).toEqual(
      [0, 1, 2].map((i) => `bytes=${i * 2 ** 22}-${(i + 1) * 2 ** 22 - 1}`),
    );
  });

  it('is followed while it grows, also into new objects', async () => {
    const writer = new SummaryWriter(s3Output({ bucket: 'logs', prefix: 'live', maxObjectBytes: 500, uploadSecs: 0 }));
    writer.addScalar('loss', 0, 0);
    await writer.flush();
    const seen: number[] = [];
    for await (const { step, summary } of readEvents('s3://logs/live', { follow: true, pollInterval: 5 })) {
      if (summary === undefined) continue;
      seen.push(Number(step));
      if (seen.length === 60) break;
      writer.addScalar('loss', 0, Number(step) + 1);
      await writer.flush();
    }
    await writer.close();
    expect(seen).toEqual(Array.from({ length: 60 }, (_, step) => step));
    expect(server.keys('live').length).toBeGreaterThan(2);
  });

  it('says what is not there', async () => {
    await expect(eventsOf('s3://logs/none')).rejects.toThrow('there is no file or folder "s3://logs/none"');
    await expect(listRuns('s3://logs/none/')).rejects.toThrow('there is no folder "s3://logs/none"');
    await expect(listRuns('s3://others')).rejects.toThrow('got 404 (NoSuchBucket');
    await writeRuns('parent/run');
    await expect(eventsOf('s3://logs/parent')).rejects.toThrow('has no event file itself but runs below');
  });

  it('is what the commands read', async () => {
    const logdir = await writeRuns('cli', 20);
    const inspected = await run('inspect', logdir, '--json');
    expect(inspected.stderr).toBe('');
    expect(
      JSON.parse(inspected.stdout).map(({ run, tags }: never) => [run, (tags as { count: number }[])[0].count]),
    ).toEqual([
      ['.', 20],
      ['val/deep', 20],
    ]);
    expect((await run('verify', logdir)).code).toBe(0);
    const exported = await run('export', `${logdir}/`, '--tags', 'loss');
    expect(exported.stdout.trim().split('\n')).toHaveLength(41);
    const local = join(temporaryFolder(), 'copy');
    expect((await run('filter', logdir, '--out', local)).code).toBe(0);
    expect(pointsOf(await summariesOf(local), 'loss')).toHaveLength(20);
    const missing = await run('inspect', 's3://logs/none');
    expect([missing.code, missing.stderr.split('\n')[0]]).toEqual([
      2,
      'delve-tensorboard: there is no file or folder "s3://logs/none"',
    ]);
  });

  it('is what commands compare, look for faults in, draw and make reports of', async () => {
    const [logdir, other] = [await writeRuns('cli', 20), await writeRuns('other', 20)];
    const writer = new SaturationWriter(s3Output({ bucket: 'logs', prefix: 'cli/train', uploadSecs: 0 }));
    for (let step = 1; step < 4; step++) {
      writer.addSaturation('dense', Spectrum.fromEigenvalues([3, 2, 0.5, 1e-4]), step);
    }
    await writer.close();
    const out = temporaryFolder();
    const said = await Promise.all([
      run('watch', logdir, '--once'),
      run('lint', logdir),
      run('diff', `${logdir}/val/deep`, `${logdir}/val/deep`),
      run('report', logdir, '--out', join(out, 'report.html')),
      run('reduce', `${logdir}/val/deep`, `${other}/val/deep`, '--format', 'csv'),
      run('repair', logdir, '--out', join(out, 'repaired')),
      run('share', logdir, '--out', join(out, 'site')),
    ]);
    expect(said.map(({ stderr }) => stderr)).toEqual(said.map(() => ''));
    const [watched, , , , reduced] = said;
    expect(watched.stdout).toContain('val/deep  step 19');
    expect(watched.stdout).toContain('dense');
    expect(reduced.stdout).toContain('loss');
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('dense');
    const unplaced = await run('report', logdir);
    expect(unplaced.code).toBe(2);
    expect(unplaced.stderr).toContain('--out');
  });

  it('is what `tail` follows', async () => {
    const output = s3Output({ bucket: 'logs', prefix: 'tailed', uploadSecs: 0 });
    const writer = new SummaryWriter(output);
    writer.addScalar('loss', 0.5, 1);
    await writer.flush();
    const child = spawn(process.execPath, [command, 'tail', 's3://logs/tailed'], { stdio: ['ignore', 'pipe', 'pipe'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const ended = new Promise((resolve) => child.once('exit', resolve));
    let printed = '';
    child.stdout.on('data', (text) => (printed += text));
    child.stderr.on('data', (text) => (printed += text));
    await expect.poll(() => printed, { timeout: 120_000 }).toBe('.\t1\tloss\t0.5\n');
    writer.addScalar('loss', 0.25, 2);
    await writer.close();
    await expect.poll(() => printed, { timeout: 120_000 }).toBe('.\t1\tloss\t0.5\n.\t2\tloss\t0.25\n');
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });

  it('is what `serve` serves, in ranges', async () => {
    const logdir = await writeRuns('served', 20);
    const child = spawn(process.execPath, [command, 'serve', logdir, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    onTestFinished(() => void child.kill('SIGKILL'));
    let printed = '';
    const address = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (text) => {
        printed += text;
        const found = /is shown at (http:\S+)\//.exec(printed);
        if (found !== null) resolve(found[1]);
      });
      void ended.then(() => reject(new Error('the server ended')));
    });
    const listing = (await (await fetch(`${address}/runs.json`)).json()) as {
      runs: { run: string; files: { path: string; size: number }[] }[];
    };
    expect(listing.runs.map(({ run }) => run)).toEqual(['.', 'val/deep']);
    const [{ path, size }] = listing.runs[1].files;
    const content = server.objects.get(`served/${path}`)!;
    expect(size).toBe(content.length);
    const response = await fetch(`${address}/data/${path}`, { headers: { range: 'bytes=10-29' } });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes 10-29/${size}`);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(content.subarray(10, 30));
    expect((await fetch(`${address}/data/none.tfevents`)).status).toBe(404);
    // What is served is a logdir at an address.
    expect((await listRuns(`${address}/`)).map(({ run }) => run)).toEqual(['.', 'val/deep']);
    expect(pointsOf(await summariesOf(`${address}/val/deep`), 'loss')).toHaveLength(20);
    child.kill();
    await ended;
  });
});

describe('an address', () => {
  const listen = async (answer: RequestListener) => {
    const web = createServer(answer);
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void web.close());
    return `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  };
  const writeFile = async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    for (let step = 0; step < 1000; step++) writer.addScalar('loss', step, step);
    await writer.close();
    const [{ files }] = await listRuns(logdir);
    return { logdir, path: files[0] };
  };

  it('of an event file is read, from servers that know ranges and from others', async () => {
    const { logdir, path } = await writeFile();
    const ranges = await startFileServer({
      host: '127.0.0.1',
      port: 0,
      token: undefined,
      root: logdir,
      pages: new Map(),
      listingPath: '/none',
      list: async () => '',
      isServed: () => true,
    });
    onTestFinished(() => ranges.close());
    const name = path.slice(logdir.length + 1);
    expect(pointsOf(await summariesOf(`http://127.0.0.1:${ranges.port}/data/${name}`), 'loss')).toHaveLength(1000);
    const content = readFileSync(path);
    const plain = await listen((request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.end(request.method === 'HEAD' ? undefined : content);
    });
    expect(pointsOf(await summariesOf(new URL(`${plain}/${name}?signature=1`)), 'loss')).toHaveLength(1000);
  });

  it('where nothing is says so', async () => {
    const address = await listen((_request, response) => response.writeHead(404).end());
    await expect(eventsOf(`${address}/a.tfevents`)).rejects.toThrow('there is no file or folder');
    await expect(listRuns(address)).rejects.toThrow('there is no folder');
    const shut = await listen((_request, response) => response.writeHead(403).end());
    await expect(eventsOf(`${shut}/a.tfevents`)).rejects.toThrow('expected status 200, got 403');
  });
});
