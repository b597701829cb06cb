import { appendFileSync, linkSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Served, startFileServer } from '../../src/platform/file-server.js';
import { temporaryFolder } from '../support/folders.js';

/** A server of a folder with one run and things that must not be served. */
async function serve(over: Partial<Served> = {}) {
  const parent = temporaryFolder();
  const root = join(parent, 'logdir');
  mkdirSync(join(root, 'run'), { recursive: true });
  writeFileSync(join(root, 'run/a.tfevents'), '0123456789');
  writeFileSync(join(root, 'run/secret.txt'), 'secret');
  writeFileSync(join(parent, 'outside.tfevents'), 'secret');
  symlinkSync(join(parent, 'outside.tfevents'), join(root, 'run/link.tfevents'));
  symlinkSync(parent, join(root, 'up'));
  mkdirSync(join(root, 'run/folder.tfevents'));
  const server = await startFileServer({
    host: '127.0.0.1',
    port: 0,
    token: undefined,
    root,
    isServed: (name) => name.includes('tfevents'),
    pages: new Map([
      ['/', { type: 'text/html', body: 'the page' }],
      ['/page.js', { type: 'text/javascript', body: 'the script' }],
    ]),
    listingPath: '/runs.json',
    list: async () => '{"version":1}',
    ...over,
  });
  onTestFinished(() => server.close());
  /** Asks for a path as it is: fetch would take `..` out of it. */
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<{ status: number; body: string; headers: IncomingHttpHeaders }>((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port: server.port, path, headers, method }, (response) => {
        let body = '';
        response.on('data', (chunk) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
        response.on('error', reject);
      });
      asked.on('error', reject);
      asked.end();
    });
  return { ask, root, server };
}

describe('the server of `serve`', () => {
  it('sends the page, the listing and ranges of files, with headers that let the page do nothing else', async () => {
    const { ask } = await serve();
    expect(await ask('/')).toMatchObject({ status: 200, body: 'the page' });
    expect(await ask('/runs.json')).toMatchObject({ status: 200, body: '{"version":1}' });
    const whole = await ask('/data/run/a.tfevents');
    expect(whole).toMatchObject({ status: 200, body: '0123456789' });
    expect(whole.headers).toMatchObject({
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(whole.headers['access-control-allow-origin']).toBeUndefined();
    const part = await ask('/data/run/a.tfevents', { range: 'bytes=3-5' });
    expect(part).toMatchObject({ status: 206, body: '345', headers: { 'content-range': 'bytes 3-5/10' } });
    expect(await ask('/data/run/a.tfevents', { range: 'bytes=8-' })).toMatchObject({ status: 206, body: '89' });
    expect(await ask('/data/run/a.tfevents', { range: 'bytes=-2' })).toMatchObject({ status: 206, body: '89' });
    expect(await ask('/data/run/a.tfevents', { range: 'bytes=8-99' })).toMatchObject({ status: 206, body: '89' });
    expect((await ask('/data/run/a.tfevents', { range: 'bytes=10-20' })).status).toBe(416);
    expect((await ask('/data/run/a.tfevents', { range: 'bytes=5-3' })).status).toBe(416);
    expect(await ask('/data/run/a.tfevents', {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
    expect((await ask('/', {}, 'POST')).status).toBe(405);
    expect((await ask('/nothing')).status).toBe(404);
  });

  it.each([
    '/data/run/secret.txt',
    '/data/../outside.tfevents',
    '/data/run/../../outside.tfevents',
    '/data/%2e%2e/outside.tfevents',
    '/data/run/..%2f..%2foutside.tfevents',
    '/data/run%2fa.tfevents',
    '/data/run/..%5c..%5coutside.tfevents',
    '/data/run/link.tfevents',
    '/data/up/outside.tfevents',
    '/data/run/folder.tfevents',
    '/data//etc/passwd',
    '/data/',
    '/data/run/a.tfevents%00.txt',
    '/data/%',
    '/data/run/none.tfevents',
    '//run/a.tfevents',
  ])('sends nothing of %s', async (path) => {
    const { ask } = await serve();
    const { status, body } = await ask(path);
    expect([400, 403, 404]).toContain(status);
    expect(body).not.toContain('secret');
  });

  it('links to files within the logdir are followed', async () => {
    const { ask, root } = await serve();
    symlinkSync(join(root, 'run/a.tfevents'), join(root, 'run/again.tfevents'));
    linkSync(join(root, 'run/a.tfevents'), join(root, 'run/hard.tfevents'));
    expect((await ask('/data/run/again.tfevents')).body).toBe('0123456789');
    expect((await ask('/data/run/hard.tfevents')).body).toBe('0123456789');
  });

  it('names of other hosts, and other sites, are refused', async () => {
    const { ask, server } = await serve();
    for (const host of [
      'evil.example',
      `evil.example:${server.port}`,
      '127.0.0.1.evil.example',
      '127.0.0.1@evil.example',
    ]) {
      expect((await ask('/runs.json', { host })).status, host).toBe(403);
    }
    for (const host of ['localhost', `localhost:${server.port}`, '127.0.0.1', '[::1]:6006']) {
      expect((await ask('/runs.json', { host })).status, host).toBe(200);
    }
    for (const site of ['cross-site', 'same-site']) {
      expect((await ask('/runs.json', { 'sec-fetch-site': site })).status, site).toBe(403);
    }
    // A link on another site may lead to the page.
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect((await ask('/', link)).status).toBe(200);
    expect((await ask('/', { ...link, 'sec-fetch-dest': 'iframe' })).status).toBe(403);
  });

  it('with a token, all but the scripts needs it', async () => {
    const { ask } = await serve({ token: 'abc' });
    for (const path of [
      '/',
      '/runs.json',
      '/data/run/a.tfevents',
      '/?token=',
      '/?token=abcd',
      '/runs.json?token=ABC',
    ]) {
      expect((await ask(path, { host: 'machine.example' })).status, path).toBe(401);
    }
    for (const path of ['/?token=abc', '/runs.json?token=abc', '/data/run/a.tfevents?token=abc', '/page.js']) {
      expect((await ask(path, { host: 'machine.example' })).status, path).toBe(200);
    }
  });

  it('a file that grows and shrinks is sent as it is when it is asked for', async () => {
    const { ask, root } = await serve();
    const path = join(root, 'run/a.tfevents');
    appendFileSync(path, 'abc');
    expect((await ask('/data/run/a.tfevents', { range: 'bytes=10-99' })).body).toBe('abc');
    truncateSync(path, 4);
    expect((await ask('/data/run/a.tfevents', { range: 'bytes=10-99' })).status).toBe(416);
    expect((await ask('/data/run/a.tfevents')).body).toBe('0123');
  });

  it('says what is wrong if the listing cannot be made, and goes on', async () => {
    const { ask } = await serve({
      list: async () => {
        throw new Error('the folder is gone');
      },
    });
    expect(await ask('/runs.json')).toMatchObject({ status: 500, body: 'the folder is gone\n' });
    expect((await ask('/')).status).toBe(200);
  });
});
