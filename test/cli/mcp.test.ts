import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { sourceFiles as localFiles } from '#platform';
import { mcpServer } from '../../src/cli/mcp.js';
import { SummaryWriter } from '../../src/index.js';
import { ResultIndex } from '../../src/platform/result-index.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';

interface Answer {
  records: Record<string, unknown>[];
  left?: number;
  nextOffset?: number;
  note?: string;
}

async function clientOf(logdir: string, index?: ResultIndex): Promise<Client> {
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  const server = await mcpServer(logdir, '1.2.3', index);
  const client = new Client({ name: 'test', version: '1' });
  await Promise.all([server.connect(ours), client.connect(theirs)]);
  return client;
}

async function ask(client: Client, name: string, input: Record<string, unknown> = {}) {
  const { content, isError } = await client.callTool({ name, arguments: input });
  const [{ text }] = content as { text: string }[];
  return { isError: isError === true, text, answer: isError ? undefined : (JSON.parse(text) as Answer) };
}

async function twoRuns(): Promise<string> {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  for (const [run, scale] of [
    ['a', 1],
    ['b', 2],
  ] as const) {
    for (let step = 0; step <= 1000; step++) writer.run(run).addScalar('loss', scale * (1000 - step), step);
    writer.run(run).addScalar('accuracy', Number.NaN, 5);
  }
  await writer.close();
  return logdir;
}

const programs = new Programs('src/cli.ts');
const described = JSON.parse(readFileSync(join(programs.folder, 'package.json'), 'utf8'));
writeFileSync(join(programs.folder, 'package.json'), JSON.stringify({ ...described, version: '1.2.3' }));
afterAll(() => programs.remove());

describe('mcp', () => {
  it.each(['list_tags', 'lint'])('does not read runs again for %s that have not changed', async (tool) => {
    const { now } = Date;
    vi.spyOn(Date, 'now').mockImplementation(() => now.call(Date) + 10_000);
    const opened = vi.spyOn(localFiles, 'open');
    try {
      const logdir = await twoRuns();
      const client = await clientOf(logdir, new ResultIndex(undefined, '1.2.3'));
      const first = await ask(client, tool);
      expect(opened.mock.calls.length).toBeGreaterThanOrEqual(2);
      opened.mockClear();
      expect(await ask(client, tool)).toEqual(first);
      expect(opened).not.toHaveBeenCalled();
      const writer = new SummaryWriter(logdir);
      for (const step of [2000, 2001]) writer.run('b').addScalar('loss', Infinity, step);
      await writer.close();
      const grown = await ask(client, tool);
      expect(grown.answer).not.toEqual(first.answer);
      expect(grown.answer).toEqual((await ask(await clientOf(logdir), tool)).answer);
    } finally {
      vi.restoreAllMocks();
    }
  });

  it('lists its tools, all of which only read', async () => {
    const { tools } = await (await clientOf(temporaryFolder())).listTools();
    expect(tools.map(({ name }) => name)).toEqual([
      ...['list_runs', 'list_tags', 'read_scalars', 'read_saturation', 'lint', 'compare'],
    ]);
    expect(tools.every(({ annotations }) => annotations?.readOnlyHint === true)).toBe(true);
  });

  it('answers about runs, tags, curves, findings and differences', async () => {
    const client = await clientOf(await twoRuns());
    const records = async (name: string, input?: Record<string, unknown>) => {
      const { answer, text } = await ask(client, name, input);
      expect(answer, text).toBeDefined();
      return answer!.records;
    };
    expect(await records('list_runs')).toEqual([
      { run: 'a', files: 1 },
      { run: 'b', files: 1 },
    ]);
    expect(await records('list_tags', { runs: 'b', tags: 'loss' })).toEqual([
      { run: 'b', tag: 'loss', plugin: 'scalars', count: 1001, firstStep: 0, lastStep: 1000, last: 0 },
    ]);
    const [curve] = await records('read_scalars', { runs: '^a$', tags: 'loss', points: 5 });
    const points = [0, 250, 500, 750, 1000].map((step) => [step, 1000 - step]);
    const ends = { first: [0, 1000], last: [1000, 0], least: [1000, 0], greatest: [0, 1000] };
    expect(curve).toEqual({ run: 'a', tag: 'loss', count: 1001, ...ends, points });
    expect(await records('lint')).toMatchObject([
      { run: 'a', tag: 'accuracy', rule: 'not-a-number' },
      { run: 'b', tag: 'accuracy', rule: 'not-a-number' },
    ]);
    expect(await records('compare', { first: 'a', second: 'b' })).toMatchObject([
      { tag: 'loss', both: 1001, different: 1000, greatest: { step: '0', difference: 1000 } },
    ]);
  });

  it('answers about saturation', async () => {
    const { answer } = await ask(await clientOf('test/fixtures/tracker-0.1.0'), 'read_saturation');
    const [{ experiment, layers }] = answer!.records as [{ experiment: string; layers: Record<string, unknown>[] }];
    expect(experiment).toBe('.');
    expect(layers.length).toBeGreaterThan(0);
    for (const { saturation } of layers) expect(saturation).toEqual(expect.any(Number));
  });

  it('cuts long answers, and goes on behind them', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    for (let i = 0; i < 2000; i++) writer.addScalar(`a/rather/long/name/of/a/tag/${i}`, i, 1);
    await writer.close();
    const client = await clientOf(logdir);
    const seen: unknown[] = [];
    for (let offset: number | undefined = 0; offset !== undefined; ) {
      const { answer, text } = await ask(client, 'list_tags', { offset });
      expect(text.length).toBeLessThan(45_000);
      seen.push(...answer!.records.map(({ tag }) => tag));
      offset = answer!.nextOffset;
    }
    expect(new Set(seen).size).toBe(2000);
    expect(seen).toHaveLength(2000);
  });

  it('refuses what leads elsewhere, and what it does not know', async () => {
    const client = await clientOf(await twoRuns());
    for (const [name, input, words] of [
      ['compare', { first: '../..', second: 'a' }, 'expected a run of the logdir, got "../.."'],
      ['compare', { first: 'a' }, 'compare: expected second'],
      ['list_runs', { path: '/etc' }, 'list_runs: expected runs, offset, got "path"'],
      ['list_tags', { tags: '(' }, '--tags'],
      ['read_scalars', { points: 'many' }, 'read_scalars: expected points to be a whole number'],
      ['remove', {}, 'got "remove"'],
    ] as const) {
      const { isError, text } = await ask(client, name, input);
      expect({ isError, text }).toEqual({ isError: true, text: expect.stringContaining(words) });
    }
  });

  it('is a program that an assistant starts', async () => {
    const logdir = await twoRuns();
    const args = [join(programs.folder, 'src/cli.js'), 'mcp', logdir];
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(new StdioClientTransport({ command: process.execPath, args }));
    try {
      expect((await ask(client, 'list_runs')).answer?.records).toHaveLength(2);
    } finally {
      await client.close();
    }
  });
});
