import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sourceFiles as localFiles } from '#platform';
import { inspect } from '../../src/cli/inspect.js';
import { lint } from '../../src/cli/lint.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { ResultIndex } from '../../src/platform/result-index.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { temporaryFolder } from '../support/folders.js';
import { goldenBytes, goldenFiles } from '../support/golden.js';
import { Programs } from '../support/programs.js';

/** Runs of which each has something of its own: steps that go back, NaN, a histogram, damage, exact steps. */
async function logdirOfAllSorts(): Promise<string> {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  for (let seed = 0; seed < 4; seed++) {
    const run = writer.run(`seed${seed}`);
    for (let step = 0; step < 300; step++) run.addScalar('loss', Math.sin(step + seed), step);
    run.addScalar('acc', seed === 2 ? Number.NaN : seed / 8, 2n ** 60n);
    run.addHistogram('weights', Float32Array.of(1, 2, seed), 5);
    run.addText('note', `run **${seed}**`, 1);
    if (seed === 1) run.addScalar('loss', 9, 40);
  }
  await writer.close();
  const { path, records } = goldenFiles.find((file) => file.path.startsWith('tbx/scalar/'))!;
  const bytes = goldenBytes(path);
  bytes[records[2].offset + 14] ^= 1;
  mkdirSync(join(logdir, 'seed1b'));
  writeFileSync(join(logdir, 'seed1b/a.tfevents'), bytes);
  return logdir;
}

const programs = new Programs('src/cli.ts');
afterAll(() => programs.remove());

describe('commands on several threads', () => {
  /** Writes a line to a file for each run that a thread has found something in. */
  const spy = `import { appendFileSync } from 'node:fs';
    import { parentPort } from 'node:worker_threads';
    const post = parentPort?.postMessage.bind(parentPort);
    if (post) parentPort.postMessage = (said) => {
      if (said.found) appendFileSync(process.env.SPY, JSON.stringify(Object.keys(said.found)) + '\\n');
      post(said);
    };`;
  const seen = join(programs.folder, 'seen');
  const run = (args: string[]) => {
    rmSync(seen, { force: true });
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(spy)}`, join(programs.folder, 'src/cli.js'), ...args],
      { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1', SPY: seen } },
    );
    return { status, stderr, stdout };
  };

  it.each([
    ['inspect', []],
    ['inspect', ['--json', '--raw']],
    ['inspect', ['--tags', 'loss']],
    ['lint', ['--json']],
    ['reduce', ['--lax', '--format', 'csv']],
    ['export', []],
    ['export', ['--raw', '--json']],
    ['export', ['--tags', 'loss', '--format', 'jsonl']],
    ['export', ['--kind', 'histograms', '--json']],
    ['export', ['--kind', 'text', '--plain']],
    ['export', ['--kind', 'pr_curves', '--json']],
  ])('%s %j says the same in the same order as on one', async (command, options) => {
    const logdir = await logdirOfAllSorts();
    const alone = run([command, logdir, ...options, '--threads', '1']);
    expect(alone.stdout).not.toBe('');
    expect(alone.stderr).toContain('seed1b');
    expect(existsSync(seen)).toBe(false);
    expect(run([command, logdir, ...options, '--threads', '3'])).toEqual(alone);
    expect(readFileSync(seen, 'utf8')).toBe('["result","complaints"]\n'.repeat(5));
  });

  it.each(['1.5', ''])('refuse --threads %j', async (threads) => {
    const { status, stderr } = run(['inspect', await logdirOfAllSorts(), `--threads=${threads}`]);
    expect(stderr).toContain(`--threads: expected a whole number from 1 on, got "${threads}"`);
    expect(status).toBe(2);
  });
});

describe('commands that remember', () => {
  let logdir: string;
  let file: string;
  let cache: string;
  /** Clocks of tests are ahead: files that have only just changed are not remembered. */
  let ahead: number;
  beforeEach(async () => {
    logdir = temporaryFolder();
    cache = join(temporaryFolder(), 'cache');
    const writer = new SummaryWriter(logdir);
    for (let step = 0; step < 50; step++) writer.addScalar('loss', step / 4, step);
    writer.addText('note', 'a', 2n ** 60n);
    await writer.close();
    file = join(logdir, readdirSync(logdir)[0]);
    ahead = 10_000;
    const { now } = Date;
    vi.spyOn(Date, 'now').mockImplementation(() => now.call(Date) + ahead);
  });
  afterEach(() => vi.restoreAllMocks());

  /** What a command says, and how many files it has opened to read them. */
  async function look(command: typeof inspect | typeof lint = inspect, options = {}, version = '1') {
    const said: string[] = [];
    const terminal = {
      colors: false,
      write: (text: string) => void said.push(text),
      writeError: (text: string) => void said.push(`error: ${text}`),
      index: () => new ResultIndex(cache, version),
    } as unknown as Terminal;
    const opened = vi.spyOn(localFiles, 'open');
    opened.mockClear();
    const isInspect = command === inspect;
    await (isInspect ? inspect(terminal, [logdir], options) : lint(terminal, logdir, options));
    return { said: said.join(''), opened: opened.mock.calls.length };
  }

  it.each([
    ['inspect', inspect],
    ['lint', lint],
  ] as const)('say the same without reading again: %s', async (_, command) => {
    const cached = { cache: true, json: true };
    const plain = await look(command, { json: true });
    expect(plain.opened).toBeGreaterThan(0);
    expect(await look(command, cached)).toEqual(plain);
    expect(await look(command, cached)).toEqual({ said: plain.said, opened: 0 });
    expect(readdirSync(logdir)).toEqual([file.slice(logdir.length + 1)]);
  });

  it('remember in memory what was found last, up to 64 MB', () => {
    const index = new ResultIndex(undefined, '1');
    const state = index.stateOf([file])!;
    const found = new Uint8Array(4e6);
    for (let asked = 0; asked < 20; asked++) {
      found[0] = asked;
      index.keep(`question ${asked}`, [file], state, found);
      index.keep('the same question', [file], state, asked);
    }
    const kept = Array.from({ length: 20 }, (_, asked) => index.find(`question ${asked}`, [file], state));
    expect(kept.map((one) => (one as Uint8Array | undefined)?.[0])).toEqual([
      ...new Array(4).fill(undefined),
      ...[4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
    ]);
    expect(index.find('the same question', [file], state)).toBe(19);
    expect(index.find('the same question', [file], 'another state')).toBeUndefined();
    index.keep('a long one', [file], state, new Uint8Array(5e6));
    expect(index.find('a long one', [file], state)).toBeUndefined();
  });

  it('remember nothing unless they are told to', async () => {
    await look();
    await look();
    expect(() => readdirSync(cache)).toThrow('ENOENT');
  });

  it('ask again for other tags, points or versions', async () => {
    await look(inspect, { cache: true });
    for (const [options, version] of [[{ tags: 'loss' }], [{ raw: true }], [{}, '2']] as const) {
      expect((await look(inspect, { ...options, cache: true }, version)).opened).toBeGreaterThan(0);
    }
    expect((await look(lint, { cache: true })).opened).toBeGreaterThan(0);
  });

  const changes: [string, () => Promise<void> | void][] = [
    [
      'grew',
      async () => {
        const writer = new SummaryWriter(logdir);
        writer.addScalar('loss', 7, 99);
        await writer.close();
        const [added] = readdirSync(logdir).filter((name) => !file.endsWith(name));
        appendFileSync(file, readFileSync(join(logdir, added)));
        rmSync(join(logdir, added));
      },
    ],
    ['lost its end', () => truncateSync(file, statSync(file).size - 100)],
    [
      'was changed in place, with its old time',
      () => {
        const { atimeMs, mtimeMs, size } = statSync(file);
        const bytes = readFileSync(file);
        bytes[200] ^= 1;
        writeFileSync(file, bytes);
        utimesSync(file, atimeMs / 1000, mtimeMs / 1000);
        expect([statSync(file).size, Math.round(statSync(file).mtimeMs)]).toEqual([size, Math.round(mtimeMs)]);
      },
    ],
    ['got a second one beside it', () => writeFileSync(`${file}.2`, goldenBytes(goldenFiles[0].path))],
    [
      'got an embedding beside it',
      () =>
        writeFileSync(
          join(logdir, 'projector_config.pbtxt'),
          'embeddings {\n  tensor_name: "words:5"\n  tensor_path: "words.tsv"\n}\n',
        ),
    ],
  ];
  it.each(changes)('read again what %s', async (_, change) => {
    const before = await look(inspect, { cache: true });
    await change();
    const after = await look(inspect, { cache: true });
    expect(after).toEqual(await look(inspect));
    expect(after.said).not.toBe(before.said);
  });

  it('do not trust a file that has only just changed', async () => {
    ahead = 0;
    await look(inspect, { cache: true });
    expect((await look(inspect, { cache: true })).opened).toBeGreaterThan(0);
    expect(() => readdirSync(cache)).toThrow('ENOENT');
  });

  it('do not remember what was complained of', async () => {
    truncateSync(file, statSync(file).size - 3);
    const bytes = readFileSync(file);
    bytes[60] ^= 1;
    writeFileSync(file, bytes);
    const first = await look(inspect, { cache: true });
    expect(first.said).toContain('error: ');
    expect(await look(inspect, { cache: true })).toEqual(first);
  });

  it('read again where what they remember is damaged, and cannot remember where no folder can be made', async () => {
    const first = await look(inspect, { cache: true });
    for (const name of readdirSync(cache)) truncateSync(join(cache, name), 20);
    expect(await look(inspect, { cache: true })).toEqual(first);
    rmSync(cache, { recursive: true });
    writeFileSync(cache, 'a file');
    expect(await look(inspect, { cache: true })).toEqual(first);
    expect(readFileSync(cache, 'utf8')).toBe('a file');
  });
});
