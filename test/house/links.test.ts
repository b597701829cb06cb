import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/folders.js';

it('npm run docs:links lists the links of documents that lead nowhere', async () => {
  const server = createServer(({ method, url }, answer) => {
    if (url === '/moved') answer.writeHead(301, { location: '/page' });
    else if (url === '/no-head' && method === 'HEAD') answer.writeHead(405);
    else if (url === '/missing') answer.writeHead(404);
    answer.end(method === 'HEAD' ? undefined : '<h2 id="there">x</h2><a name=old></a><h3 id="user-content-hub">y</h3>');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const document = join(temporaryFolder(), 'page.md');
  const addresses = ['page', 'page#there', 'page#old', 'page#hub', 'page#nowhere', 'moved', 'no-head', 'missing'];
  const links = addresses.map((address) => `[x](${host}/${address})`).join(' ');
  // What stands in code is no link, and a relative one is of another test.
  writeFileSync(
    document,
    `${links}\n\n\`[x](${host}/missing2)\` [y](other.md) <${host}/missing#auto>\n\n![z](http://127.0.0.1:1/)\n`,
  );
  const { code, out } = await new Promise<{ code: unknown; out: string }>((resolve) =>
    execFile(process.execPath, ['scripts/links.mjs', document], (error, out) => resolve({ code: error?.code, out })),
  );
  server.close();
  const lines = out.replaceAll(host, '').replaceAll(` (${document})`, '').trim().split('\n');
  expect(lines).toHaveLength(5);
  expect(lines).toEqual(
    expect.arrayContaining([
      '/missing: 404 Not Found',
      '/missing#auto: 404 Not Found',
      '/page#nowhere: no anchor #nowhere',
      expect.stringMatching(/^http:\/\/127\.0\.0\.1:1\/: (ECONNREFUSED|bad port)$/),
      '10 addresses, 4 of which fail',
    ]),
  );
  expect(code).toBe(1);
});
