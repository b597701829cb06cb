import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { SummaryWriter } from '../../src/index.js';
import { terminalHasColors } from '../../src/platform/node.js';
import { temporaryFolder } from '../support/folders.js';
import { eventFile } from '../support/loaders.js';

async function cli(command: string, paths: string[], values: CommandLine['values'] = {}, more: Partial<Terminal> = {}) {
  const said = { out: '', err: '', code: 0 };
  const terminal = {
    write: (text: string) => void (said.out += text),
    writeError: (text: string) => void (said.err += text),
    drained: async () => {},
    size: () => undefined,
    ended: async () => {},
    colors: false,
    ...more,
  } as Partial<Terminal> as Terminal;
  said.code = await main(terminal, { positionals: [command, ...paths], values }, '1.2.3');
  return said;
}

async function logdirOf(...runs: string[]): Promise<string> {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  for (const run of runs) {
    for (let step = 1; step <= 3; step++) writer.run(run).addScalar('loss', runs.indexOf(run) + 1 / step, step);
  }
  await writer.close();
  return logdir;
}

describe('--json', () => {
  it('of verify has a record for each file, with the place of what is wrong', async () => {
    const folder = temporaryFolder();
    const bytes = eventFile([{ fileVersion: 'brain.Event:2' }, { step: 1, values: [['loss', 1]] }]);
    writeFileSync(join(folder, 'a.tfevents'), bytes);
    writeFileSync(join(folder, 'b.tfevents'), bytes.subarray(0, bytes.length - 3));
    const broken = bytes.slice();
    broken[14] ^= 1;
    writeFileSync(join(folder, 'c.tfevents'), broken);
    const { code, out } = await cli('verify', [folder], { json: true });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual([
      { file: join(folder, 'a.tfevents'), status: 'ok', records: 2 },
      { ...{ file: join(folder, 'b.tfevents'), status: 'torn', records: 1 }, offset: 40, tornBytes: bytes.length - 43 },
      { file: join(folder, 'c.tfevents'), status: 'damaged', records: 0, offset: 0, reason: expect.any(String) },
    ]);
    const repaired = await cli('repair', [folder], { json: true, out: join(folder, 'out') });
    expect(JSON.parse(repaired.out)).toMatchObject([
      { copy: `${join(folder, 'out')}/a.tfevents`, records: 2, lostBytes: 0, lost: [] },
      { records: 1, lostBytes: bytes.length - 43, lost: [{ from: 40, to: bytes.length - 3 }] },
      { records: 1, lostBytes: 40, lost: [{ from: 0, to: 40 }] },
    ]);
  });

  it('of reduce is its table', async () => {
    const { out } = await cli('reduce', [await logdirOf('a', 'b')], { json: true });
    const [first] = JSON.parse(out);
    expect(first).toMatchObject({ run: '.', tag: 'loss', step: 1, count: 2, mean: 1.5, min: 1, max: 2, median: 1.5 });
    expect(first.std).toBeCloseTo(Math.SQRT1_2, 12);
  });

  it('of report names the page', async () => {
    const path = join(temporaryFolder(), 'page.html');
    const { code, out } = await cli('report', ['test/fixtures/tracker-0.1.0'], { json: true, out: path });
    expect({ code, records: JSON.parse(out) }).toEqual({ code: 0, records: [{ path }] });
  });

  it('of watch and tail is a record on each line', async () => {
    const logdir = await logdirOf('a', 'b');
    const watched = await cli('watch', [logdir], { json: true, once: true });
    expect(
      watched.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { run: 'a', step: 3, scalars: { loss: Math.fround(1 / 3) } },
      { run: 'b', step: 3, scalars: { loss: Math.fround(1 + 1 / 3) } },
    ]);
    let end = () => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    let out = '';
    const tailed = cli('tail', [logdir], { json: true }, { ended: () => ended, write: (text) => void (out += text) });
    await expect.poll(() => out.split('\n').length, { timeout: 50_000 }).toBe(7);
    end();
    await tailed;
    const records = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(records.filter(({ run }) => run === 'b')[0]).toEqual({
      ...{ run: 'b', tag: 'loss', plugin: 'scalars', step: 1, value: 2 },
      wallTime: expect.any(Number),
    });
  });

  it('of a value that is no number is valid JSON', async () => {
    const logdirs = [];
    for (const value of [Number.NaN, 1]) {
      const logdir = temporaryFolder();
      const writer = new SummaryWriter(logdir);
      writer.addScalar('loss', value, 1);
      await writer.close();
      logdirs.push(logdir);
    }
    expect(JSON.parse((await cli('diff', logdirs, { json: true })).out)).toMatchObject([{ first: 'NaN', second: 1 }]);
  });
});

describe('lint', () => {
  it('tells tags that TensorBoard does not show', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addTensor('weights', Float32Array.of(1, 2), 0, { plugin: 'my_plugin' });
    writer.addText('note', 'shown', 0);
    writer.addHistogram('h', [1, 2, 3], 0);
    writer.addScalar('loss', 1, 0);
    await writer.close();
    const { code, out } = await cli('lint', [logdir], { json: true });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual([
      {
        ...{ run: '.', tag: 'weights', rule: 'not-shown' },
        message: '1 value: no page of TensorBoard shows the plugin "my_plugin"',
      },
    ]);
  });
});

describe('progress', () => {
  it('is said where somebody sees it and reading takes more than a second', async () => {
    const logdir = await logdirOf('a', 'b', 'c');
    const shown: string[] = [];
    const now = Date.now;
    let time = 0;
    Date.now = () => (time += 600);
    try {
      await cli('inspect', [logdir], {}, { status: (text) => void shown.push(text) });
    } finally {
      Date.now = now;
    }
    const shares = shown.filter((text) => text !== '').map((text) => Number(/^reading: (\d+) %$/.exec(text)?.[1]));
    expect(shares.length).toBeGreaterThan(1);
    expect(shares.at(-1)).toBe(100);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shown.at(-1)).toBe('');
  });
});

describe('completions', () => {
  const hasBash = spawnSync('bash', ['--version']).status === 0;

  it.skipIf(!hasBash)('of bash complete commands and their options', async () => {
    const script = (await cli('completions', ['bash'])).out;
    const complete = (...words: string[]) => {
      const program = `${script}
COMP_WORDS=(delve-tensorboard ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
_delve_tensorboard; echo "\${COMPREPLY[@]}"`;
      return spawnSync('bash', ['-c', program], { encoding: 'utf8' }).stdout.trim();
    };
    expect(complete('ins')).toBe('inspect');
    expect(complete('re')).toBe('repair reduce report');
    expect(complete('export', '--wi')).toBe('--wide');
    expect(complete('lint', '--')).toBe('--help --tags --cache --threads --json');
    expect(complete('lint', 'run')).toBe('');
  });

  it('of all shells name every command', async () => {
    const { out: help } = await cli('help', []);
    const names = [...help.matchAll(/^ {2}([a-z]+)(?= )/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(14);
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, out } = await cli('completions', [shell]);
      expect(code).toBe(0);
      for (const name of names) expect(out, `${shell}, ${name}`).toMatch(new RegExp(`\\b${name}\\b`));
    }
    expect(await cli('completions', ['tcsh'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('bash, zsh or fish'),
    });
  });
});

it('FORCE_COLOR has colors where there is no terminal', () => {
  const before = process.env.FORCE_COLOR;
  try {
    for (const [value, expected] of Object.entries({ 1: true, true: true, 0: false, false: false })) {
      process.env.FORCE_COLOR = value;
      expect(terminalHasColors(), value).toBe(expected);
    }
  } finally {
    if (before === undefined) delete process.env.FORCE_COLOR;
    else process.env.FORCE_COLOR = before;
  }
});

describe('inspect', () => {
  it('of several logdirs names the path of each run, and shows no run without a tag that was asked for', async () => {
    const [one, other] = [await logdirOf('a'), await logdirOf('b')];
    const { out } = await cli('inspect', [one, other], { json: true });
    expect((JSON.parse(out) as { run: string }[]).map(({ run }) => run)).toEqual([`${one}/a`, `${other}/b`]);
    expect(JSON.parse((await cli('inspect', [one], { json: true, tags: 'nothing' })).out)).toEqual([]);
  });
});
