import { appendFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { SummaryWriter } from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';

function cli() {
  const said = { out: '', err: '' };
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const terminal = {
    write: (text: string) => void (said.out += text),
    writeError: (text: string) => void (said.err += text),
    colors: false,
    size: () => undefined,
    ended: () => ended,
  } as Partial<Terminal> as Terminal;
  const run = (positionals: string[], values: CommandLine['values'] = {}) =>
    main(terminal, { positionals, values }, '1.2.3');
  return { said, end, run };
}

async function logdir(scalars: Record<string, Record<string, number>>): Promise<string> {
  const folder = temporaryFolder();
  for (const [name, points] of Object.entries(scalars)) {
    const [run, tag] = name.split(' ');
    const writer = new SummaryWriter(join(folder, run));
    for (const [step, value] of Object.entries(points)) writer.addScalar(tag, value, Number(step));
    await writer.close();
  }
  return folder;
}

describe('diff', () => {
  it('names scalars that differ, by steps and by how much', async () => {
    const first = await logdir({
      'train loss': { 1: 3, 2: 2, 3: 1 },
      'train same': { 1: 1, 2: Number.NaN },
      'val only': { 1: 1 },
    });
    const second = await logdir({ 'train loss': { 1: 3, 2: 2.5, 4: 0.5 }, 'train same': { 1: 1, 2: Number.NaN } });
    const { said, run } = cli();
    expect(await run(['diff', first, second])).toBe(1);
    const [, loss, only, words] = said.out
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/));
    expect(loss).toEqual(['train', 'loss', '1', '0.5', '0.5 at 2', '1 of 2', '1 in the first, 1 in the second']);
    expect(only).toEqual(['val', 'only', '1', '0 of 0', '1 in the first']);
    expect(words).toEqual(['2 of 3 scalars differ']);
    const json = cli();
    await json.run(['diff', first, second], { json: true, tags: 'loss' });
    expect(JSON.parse(json.said.out)).toEqual([
      {
        run: 'train',
        tag: 'loss',
        onlyFirst: 1,
        onlySecond: 1,
        both: 2,
        different: 1,
        greatest: { step: '2', difference: 0.5 },
        first: 1,
        second: 0.5,
      },
    ]);
  });

  it('names tags as they are, whatever characters they have', async () => {
    const tag = 'a\0b';
    const folders = [temporaryFolder(), temporaryFolder()];
    for (const [value, folder] of folders.entries()) {
      const writer = new SummaryWriter(folder);
      writer.addScalar(tag, value, 1);
      await writer.close();
    }
    const { said, run } = cli();
    expect(await run(['diff', ...folders], { json: true })).toBe(1);
    expect(JSON.parse(said.out)).toMatchObject([{ run: '.', tag, different: 1 }]);
  });

  it('of what is equal says so', async () => {
    const scalars = { 'a x': { 1: 1, 2: 2 } };
    const { said, run } = cli();
    expect(await run(['diff', await logdir(scalars), await logdir(scalars)])).toBe(0);
    expect(said.out).toBe('1 scalar: equal\n');
    const folder = await logdir(scalars);
    const writer = new SummaryWriter(join(folder, 'a'));
    writer.addHistogram('weights', [1, 2], 1);
    writer.addText('note', 'text', 1);
    await writer.close();
    const more = cli();
    expect(await more.run(['diff', folder, folder])).toBe(0);
    expect(more.said).toEqual({ out: '1 scalar: equal\n', err: '2 tags of other kinds than scalars: not compared\n' });
    const wrong = cli();
    expect(await wrong.run(['diff', 'only-one'])).toBe(2);
    expect(wrong.said.err).toContain('expected two logdirs or files, got 1');
  });
});

describe('tail', () => {
  it('prints values as they are written, also of runs that come later', async () => {
    const folder = temporaryFolder();
    const first = new SummaryWriter(join(folder, 'train'));
    first.addScalar('loss', 0.5, 1);
    await first.flush();
    const { said, end, run } = cli();
    const code = run(['tail', folder], { tags: 'loss|note' });
    await expect.poll(() => said.out, { timeout: 120_000 }).toBe('train\t1\tloss\t0.5\n');
    first.addScalar('loss', 0.25, 2);
    first.addScalar('other', 1, 2);
    await first.flush();
    await expect.poll(() => said.out, { timeout: 120_000 }).toContain('train\t2\tloss\t0.25\n');
    const second = new SummaryWriter(join(folder, 'val'));
    second.addText('note', 'two\nlines \u001b[2J', 3);
    await second.flush();
    await expect.poll(() => said.out, { timeout: 120_000 }).toContain('val\t3\tnote\t');
    expect(said.out).not.toContain('\u001b');
    expect(said.out).not.toContain('other');
    expect(said.out.trimEnd().split('\n')).toHaveLength(3);
    end();
    expect(await code).toBe(0);
    await Promise.all([first.close(), second.close()]);
  });

  it('says which file is damaged, and follows the others of its run', async () => {
    const folder = temporaryFolder();
    const first = new SummaryWriter(folder);
    first.addScalar('loss', 0.5, 1);
    await first.close();
    const [name] = readdirSync(folder);
    // What a computer that lost its power leaves behind; then the training goes on in another file.
    appendFileSync(join(folder, name), new Uint8Array(4096));
    const { said, end, run } = cli();
    const code = run(['tail', folder]);
    await expect.poll(() => said.err, { timeout: 120_000 }).toContain(name);
    const second = new SummaryWriter(folder);
    second.addScalar('loss', 0.25, 2);
    await second.close();
    await expect.poll(() => said.out, { timeout: 120_000 }).toBe('.\t1\tloss\t0.5\n.\t2\tloss\t0.25\n');
    end();
    expect(await code).toBe(1);
  });

  it.each(['tail', 'watch'])('%s follows one event file', async (command) => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(folder);
    writer.addScalar('loss', 0.5, 1);
    await writer.flush();
    const { said, end, run } = cli();
    const code = run([command, join(folder, readdirSync(folder)[0])], { json: true });
    await expect.poll(() => said.out, { timeout: 120_000 }).toContain('"step":1');
    writer.addScalar('loss', 0.25, 2);
    await writer.flush();
    await expect.poll(() => said.out, { timeout: 120_000 }).toContain('"step":2');
    end();
    expect({ code: await code, err: said.err }).toEqual({ code: 0, err: '' });
    await writer.close();
  });

  it('follows many runs without a warning of Node', async () => {
    const folder = temporaryFolder();
    const warnings: Error[] = [];
    const listen = (warning: Error) => void warnings.push(warning);
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    for (let i = 0; i < 25; i++) {
      const writer = new SummaryWriter(join(folder, `run${i}`));
      writer.addScalar('x', i, 1);
      await writer.close();
    }
    const { said, end, run } = cli();
    const code = run(['tail', folder]);
    await expect.poll(() => said.out.split('\n').length, { timeout: 120_000 }).toBe(26);
    end();
    expect(await code).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(warnings).toEqual([]);
  });
});
