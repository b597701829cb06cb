import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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

  it.each([
    ['list_tags', {}],
    ['read_scalars', {}],
    ['lint', {}],
    ['compare', { first: 'a', second: 'b' }],
  ])('ends a search that would never end, of %s, and answers on', async (tool, input) => {
    const logdir = await twoRuns();
    const writer = new SummaryWriter(logdir);
    for (const run of ['a', 'b']) writer.run(run).addScalar(`${'a'.repeat(60)}!`, 1, 1);
    await writer.close();
    const client = await clientOf(logdir, new ResultIndex(undefined, '1.2.3'));
    for (const tags of ['(a+)+$', '(a|a)*$']) {
      const { isError, text } = await ask(client, tool, { ...input, tags });
      expect({ isError, text }).toEqual({ isError: true, text: expect.stringContaining('within 2 s') });
      expect(text).toContain(`tags: expected a regular expression that is found or not within 2 s, got "${tags}"`);
    }
    // Repetitions that are harmless are searched for as ever.
    const { isError, text } = await ask(client, tool, { ...input, tags: '^l+o+s+s$' });
    expect({ isError, text }).toEqual({ isError: false, text: expect.not.stringContaining('accuracy') });
  });

  it('refuses what leads elsewhere, and what it does not know', async () => {
    const client = await clientOf(await twoRuns());
    for (const [name, input, words] of [
      ['compare', { first: '../..', second: 'a' }, 'expected a run of the logdir, got the string "../.."'],
      ['compare', { first: 'a', second: 'a/../../..' }, 'expected a run of the logdir, got the string "a/../../.."'],
      ['compare', { first: '/etc', second: 'a' }, 'expected a run of the logdir, got the string "/etc"'],
      ['compare', { first: '', second: 'a' }, 'expected a run of the logdir, got the string ""'],
      ['compare', { first: 'a' }, 'compare: expected second'],
      ['list_runs', { path: '/etc' }, 'list_runs: expected runs, offset, got the string "path"'],
      ['list_tags', { tags: '(' }, 'list_tags: tags: Invalid regular expression'],
      ['read_saturation', { layers: '[' }, 'read_saturation: layers: Invalid regular expression'],
      ['list_runs', { runs: ['a'] }, 'list_runs: expected runs to be a text, got an array of 1'],
      ['read_scalars', { points: 'many' }, 'expected points to be a whole number from 2 to 500, got the string "many"'],
      ['read_scalars', { points: 501 }, 'expected points to be a whole number from 2 to 500, got number 501'],
      ['list_tags', { offset: -1 }, 'expected offset to be a whole number of at least 0, got number -1'],
      ['list_tags', { offset: 0.5 }, 'expected offset to be a whole number of at least 0, got number 0.5'],
      ['remove', {}, 'got the string "remove"'],
    ] as const) {
      const { isError, text } = await ask(client, name, input);
      expect({ isError, text }).toEqual({ isError: true, text: expect.stringContaining(words) });
    }
  });

  it('counts what it left out of notes', async () => {
    const logdir = await twoRuns();
    for (let i = 0; i < 9; i++) {
      mkdirSync(join(logdir, `broken${i}`));
      writeFileSync(join(logdir, `broken${i}/1.tfevents`), Buffer.alloc(40, 1));
    }
    const { answer } = await ask(await clientOf(logdir), 'read_scalars', { points: 2 });
    expect(answer!.records).toHaveLength(4);
    expect(answer!.note).toContain(join(logdir, 'broken0/1.tfevents'));
    expect(answer!.note).toMatch(/^and 4 more complaints$/m);
  });

  it('shortens a record that is longer than an answer may be, and says what of', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const tag = 'x'.repeat(100_000);
    writer.addScalar(tag, 1, 1);
    writer.addScalar('y', 2, 1);
    await writer.close();
    const { answer, text } = await ask(await clientOf(logdir), 'list_tags');
    expect(text.length).toBeLessThan(40_000);
    expect(answer!.records).toMatchObject([
      { tag: tag.slice(0, 512), count: 1, shortened: { tag: '512 of 100000 characters' } },
      { tag: 'y', count: 1 },
    ]);
  });

  it('answers about the layers that are asked for', async () => {
    const client = await clientOf('test/fixtures/tracker-0.1.0');
    const layersOf = async (input: Record<string, unknown>) =>
      (await ask(client, 'read_saturation', input)).answer!.records.flatMap(
        ({ layers }) => layers as { layer: string }[],
      );
    const all = await layersOf({});
    const [{ layer }] = all;
    const some = await layersOf({ layers: `^${layer}$` });
    expect(some.length).toBeLessThan(all.length);
    expect(some).toEqual(all.filter((each) => each.layer === layer));
  });

  it('is a program that an assistant starts, with bounded answers about values of any size', async () => {
    const logdir = await twoRuns();
    const writer = new SummaryWriter(join(logdir, 'long'));
    const count = 300_000;
    for (let step = 0; step < count; step++) {
      writer.addScalar('loss', step === 177_777 ? -5 : step % 1000, step);
      if (step % 10_000 === 0) await writer.flush();
    }
    writer.addText('note', 'word '.repeat(6_000_000), 1);
    writer.addImage('picture', { data: new Uint8Array(3 * 512 * 512), shape: [512, 512, 3] }, 1);
    await writer.close();
    const args = [join(programs.folder, 'src/cli.js'), 'mcp', logdir];
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(new StdioClientTransport({ command: process.execPath, args }));
    try {
      expect((await ask(client, 'list_runs')).answer?.records).toHaveLength(3);
      const tags = await ask(client, 'list_tags', { runs: 'long' });
      expect(tags.text.length).toBeLessThan(1000);
      expect(tags.answer!.records).toMatchObject([
        { tag: 'loss', count },
        { tag: 'note', plugin: 'text', last: expect.stringMatching(/^word .*\.\.\.$/) },
        { tag: 'picture', last: '1 image of 512 x 512' },
      ]);
      const { answer, text } = await ask(client, 'read_scalars', { runs: 'long', points: 500 });
      expect(text.length).toBeLessThan(20_000);
      const [curve] = answer!.records as { points: [number, number][] }[];
      const ends = { first: [0, 0], last: [count - 1, 999], least: [177_777, -5], greatest: [999, 999] };
      expect(curve).toMatchObject({ run: 'long', tag: 'loss', count, ...ends });
      expect(curve.points).toHaveLength(500);
      expect([curve.points[0], curve.points[499]]).toEqual([ends.first, ends.last]);
      const gaps = curve.points.slice(1).map(([step], i) => step - curve.points[i][0]);
      // Evenly: each gap is a five-hundredth of the whole, up to the distance of the points that are kept.
      for (const gap of gaps) expect(Math.abs(gap - count / 499)).toBeLessThan(40);
    } finally {
      await client.close();
    }
  });
});
