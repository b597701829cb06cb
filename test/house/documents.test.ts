import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { recorderOptionNames } from '../../src/recording/options.js';
import { saturationOptionNames } from '../../src/tracker/options.js';
import { temporaryFolder } from '../support/folders.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(`${root}/docs`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
  'examples/README.md',
];

it.each(documents)('%s: links to other hosts have a form that leads somewhere', (path) => {
  const text = readFileSync(`${root}/${path}`, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  for (const [, label, address] of text.matchAll(/\[([^\]]+)\]\((\w+:[^)\s]*)\)/g)) {
    const { hash, hostname, pathname, protocol } = new URL(address);
    expect(protocol, address).toBe('https:');
    expect(hostname, address).toMatch(/^([\w-]+\.)+[a-z]{2,}$/);
    expect(`${pathname}${hash}`, address).not.toMatch(/[.,;]$|\/\//);
    // A label such as tensorboard#376 names the repository and the number that its address has.
    const [, repository, number] = /^([\w.-]+)#(\d+)$/.exec(label) ?? [];
    if (number === undefined) continue;
    expect(hostname, address).toBe('github.com');
    expect(pathname).toMatch(new RegExp(`^/[\\w.-]+/${repository}/(issues|pull|discussions)/${number}$`));
  }
});

/** The names by which a heading of a document is linked to, as GitHub makes them of its text. */
const anchorsOf = (path: string) =>
  [
    ...readFileSync(path, 'utf8')
      .replace(/^```[\s\S]*?^```/gm, '')
      .matchAll(/^#+ (.+)$/gm),
  ].map(([, heading]) =>
    heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );

it.each(documents)('%s: links to other files lead to a file, and to a heading of it', (path) => {
  const text = readFileSync(`${root}/${path}`, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  for (const [, target] of text.matchAll(/\]\(((?!\w+:)[^)\s]+)\)/g)) {
    const [file, anchor] = target.split('#');
    const linked = file === '' ? join(root, path) : join(root, dirname(path), file);
    expect(existsSync(linked), target).toBe(true);
    if (anchor !== undefined) expect(anchorsOf(linked), target).toContain(anchor);
  }
});

const run = async (...args: string[]) => (await promisify(execFile)(process.execPath, args, { cwd: root })).stdout;

it('examples/export.mjs writes tables of what it has trained', async () => {
  const out = await run('examples/export.mjs', temporaryFolder());
  expect(out).toMatch(/^run,rate,train\/loss,status$/m);
  expect(out).toMatch(/^fast,0\.1,0\.135\d+,\w+$/m); // e^-2
  expect(out).toMatch(/^42 rows in /m);
  expect(out).toMatch(/^fast,1,[\d.]+,0\.9048\d+$/m); // e^-0.1
});

it('examples/mcp.mjs asks a server what an assistant would ask', async () => {
  const out = await run('examples/mcp.mjs', temporaryFolder());
  expect(out).toContain('list_runs, list_tags, read_scalars');
  expect(out).toContain('"last":[99,0.0368');
  expect(out).toContain('NaN at step 60, 1 of 100 values');
});

it('docs/options.md has a line for each option, and says which ones only trackers have', () => {
  const rows = [...readFileSync(`${root}/docs/options.md`, 'utf8').matchAll(/^\| `(\w+)` \|.*$/gm)];
  const named = (onlyTrackers: boolean) =>
    rows.filter(([row]) => row.includes('trackers only') === onlyTrackers).map(([, name]) => name);
  expect(named(false).sort()).toEqual(Object.keys(recorderOptionNames).sort());
  expect([...named(false), ...named(true)].sort()).toEqual(Object.keys(saturationOptionNames).sort());
});
