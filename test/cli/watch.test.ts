import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { SaturationWriter, Spectrum, SummaryWriter } from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';

/** A terminal of so many columns and lines that shows what was drawn last. */
function fakeTerminal(size: { columns: number; rows: number } | undefined) {
  const said = { out: '', err: '' };
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const terminal = {
    write: (text: string) => void (said.out += text),
    writeError: (text: string) => void (said.err += text),
    colors: false,
    size: () => size,
    ended: () => ended,
  } as Partial<Terminal> as Terminal;
  const frame = () => said.out.split('\u001b[J').at(-1) ?? '';
  const run = (path: string, values = {}) => main(terminal, { positionals: ['watch', path], values }, '1.2.3');
  return { terminal, said, end, frame, run };
}

function training(folder: string) {
  const writer = new SaturationWriter(folder);
  let step = 0;
  return {
    epoch(saturation: number, loss = 1 / (step + 1)) {
      step++;
      writer.addScalar('epoch_loss', loss, step);
      const count = Math.round(10 * saturation);
      writer.addSaturation(
        'dense1',
        Spectrum.fromEigenvalues(Array.from({ length: 10 }, (_, i) => (i < count ? 1 : 0))),
        step,
      );
      return writer.flush();
    },
    close: () => writer.close(),
  };
}

describe('watch', () => {
  it('draws losses as sparklines and saturation as bars, once where the output is no terminal', async () => {
    const folder = temporaryFolder();
    const made = training(join(folder, 'train'));
    for (const loss of [4, 3, 2, 1, Number.NaN, 0.5]) await made.epoch(0.4, loss);
    await made.close();
    const { said, run } = fakeTerminal(undefined);
    expect(await run(folder)).toBe(0);
    const [head, name, loss, layer, ...rest] = said.out.split('\n');
    expect(head).toBe(`${folder}: 1 run`);
    expect(name).toBe('train  step 6');
    expect(loss).toMatch(/^ {2}epoch_loss +0\.5 █▆▄▂·▁$/);
    expect(layer).toMatch(/^ {2}dense1 +0\.4 █+░+$/);
    const [, filled, empty] = /(█+)(░+)$/.exec(layer) ?? [];
    expect(filled.length / (filled.length + empty.length)).toBeCloseTo(0.4, 1);
    expect(rest).toEqual(['']);
  });

  it('shows the points that inspect and TensorBoard show, after a second training into the same folder', async () => {
    const folder = temporaryFolder();
    const one = new SummaryWriter(folder);
    for (const step of [1, 2, 3, 4, 5]) one.addScalar('loss', step, step);
    for (const step of [1, 2, 3, 4]) one.addScalar('lr', 0.1, step);
    await one.close();
    const json = async () => {
      const { said, run } = fakeTerminal(undefined);
      await run(folder, { once: true, json: true });
      return JSON.parse(said.out);
    };
    expect(await json()).toEqual({ run: '.', step: 5, scalars: { loss: 5, lr: expect.closeTo(0.1, 6) } });
    // A program that follows the files sees the same as one that reads them afterwards.
    const { end, frame, run } = fakeTerminal({ columns: 60, rows: 20 });
    const code = run(folder);
    await expect.poll(frame, { timeout: 120_000 }).toContain('.  step 5');
    const two = new SummaryWriter(folder);
    for (const step of [1, 2, 3]) two.addScalar('loss', 10 * step, step);
    for (const step of [3, 4]) two.addScalar('lr', 0.2, step);
    await two.close();
    expect(await json()).toEqual({ run: '.', step: 4, scalars: { loss: 30, lr: expect.closeTo(0.2, 6) } });
    await expect.poll(frame, { timeout: 120_000 }).toMatch(/step 4\n {2}loss +30 ▁▅█\n {2}lr +0\.2 ▁▁██\n/);
    const once = fakeTerminal(undefined);
    await once.run(folder);
    expect(once.said.out.split('\n').sort()).toEqual(frame().split('\n').sort());
    end();
    expect(await code).toBe(0);
    const inspected = fakeTerminal(undefined);
    await main(inspected.terminal, { positionals: ['inspect', folder], values: { json: true } }, '1.2.3');
    const [{ tags }] = JSON.parse(inspected.said.out);
    expect(tags).toMatchObject([
      { tag: 'loss', count: 3, lastStep: 3, last: 30 },
      { tag: 'lr', count: 4, lastStep: 4 },
    ]);
  });

  it('hides what a restart from a checkpoint hides', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(folder);
    for (const step of [1, 2, 3, 4]) {
      writer.addScalar('loss', step, step);
      writer.addScalar('late', step, step + 10);
    }
    await writer.close();
    const { end, frame, run } = fakeTerminal({ columns: 60, rows: 20 });
    const code = run(folder);
    await expect.poll(frame, { timeout: 120_000 }).toContain('step 14');
    const resumed = new SummaryWriter(folder, { purgeStep: 3 });
    await resumed.close();
    // The first START of a run hides nothing.
    const again = new SummaryWriter(folder, { purgeStep: 3 });
    await again.close();
    await expect.poll(frame, { timeout: 120_000 }).toMatch(/step 2\n {2}loss +2 ▁█\n$/);
    const once = fakeTerminal(undefined);
    await once.run(folder);
    expect(once.said.out).toBe(frame());
    end();
    expect(await code).toBe(0);
  });

  it('draws each value in one bar, and as many bars as values where there is room', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 16, max: 90 }), async (count, columns) => {
        const folder = temporaryFolder();
        const writer = new SummaryWriter(folder);
        // The curve of each tag is 0 but at one step.
        for (let at = 0; at < count; at++) {
          for (let step = 0; step < count; step++) writer.addScalar(`x${at}`, step === at ? 1 : 0, step);
        }
        await writer.close();
        const { said, run } = fakeTerminal({ columns, rows: 1000 });
        await run(folder, { once: true });
        const lines = [...said.out.matchAll(/^ {2}x(\d+) .* ([▁▂▃▄▅▆▇█]+)$/gm)];
        const labels = `x${count - 1}`.length;
        const width = Math.min(count, Math.max(4, Math.min(60, columns - labels - 14)));
        expect(lines).toHaveLength(count);
        let before = 0;
        for (const [, at, drawn] of lines.sort(([, a], [, b]) => Number(a) - Number(b))) {
          expect(drawn).toHaveLength(width);
          if (width === 1) continue;
          expect(drawn.replaceAll('▁', '')).toBe('█');
          const place = drawn.indexOf('█');
          if (width === count) expect(place).toBe(Number(at));
          expect([before, before + 1]).toContain(place);
          before = place;
        }
        if (width > 1) expect(before).toBe(width - 1);
      }),
      { numRuns: 20 },
    );
  });

  it('draws long curves and large numbers from the first value to the last', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(folder);
    for (let step = 0; step < 1000; step++) writer.addScalar('loss', 1000 - step, step);
    for (const [step, value] of [-3e38, 0, 3e38, 3e38].entries()) writer.addScalar('large', value, step);
    await writer.close();
    const { said, run } = fakeTerminal({ columns: 24, rows: 20 });
    await run(folder, { once: true });
    expect(said.out).toMatch(/loss +1 █▆▅▃▁\n/);
    expect(said.out).toMatch(/large +3e\+38 ▁▅██\n/);
  });

  it('shows steps beyond 2^53 as they are', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(folder);
    for (const step of [2n ** 53n, 2n ** 53n + 1n]) writer.addScalar('loss', 1, step);
    await writer.close();
    const { said, run } = fakeTerminal(undefined);
    expect(await run(folder)).toBe(0);
    expect(said.out).toContain('step 9007199254740993');
    const json = fakeTerminal(undefined);
    expect(await json.run(folder, { once: true, json: true })).toBe(0);
    expect(JSON.parse(json.said.out)).toMatchObject({ step: '9007199254740993' });
  });

  it('shows the highest step, also if it is below 0', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(folder);
    for (const step of [-7, -5]) writer.addScalar('loss', 1, step);
    await writer.close();
    const { said, run } = fakeTerminal(undefined);
    expect(await run(folder, { once: true, json: true })).toBe(0);
    expect(JSON.parse(said.out)).toMatchObject({ step: -5 });
  });

  it('follows files and runs that come, and leaves the terminal as it was', async () => {
    const folder = temporaryFolder();
    const first = training(join(folder, 'train'));
    await first.epoch(0.2);
    const { said, end, frame, run } = fakeTerminal({ columns: 60, rows: 20 });
    const code = run(folder);
    await expect.poll(frame, { timeout: 120_000 }).toContain('train  step 1');
    expect(frame()).toMatch(/dense1 +0\.2 █+░/);
    await first.epoch(0.9);
    const second = training(join(folder, 'val'));
    await second.epoch(0.5);
    await expect
      .poll(frame, { timeout: 120_000 })
      .toMatch(/train {2}step 2[\s\S]*dense1 +0\.9[\s\S]*val {2}step 1[\s\S]*dense1 +0\.5/);
    // Each picture begins where the one before it began.
    expect(said.out).toContain('\u001b[4A\r\u001b[J');
    for (const line of frame().split('\n')) expect(line.length).toBeLessThanOrEqual(60);
    end();
    expect(await code).toBe(0);
    expect(said.out.startsWith('\u001b[?25l')).toBe(true);
    expect(said.out.endsWith('\u001b[?25h')).toBe(true);
    await Promise.all([first.close(), second.close()]);
  });

  it('fits a small terminal, and says what it leaves out', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(join(folder, 'train'));
    for (let i = 0; i < 50; i++) writer.addScalar(`layer${i}/norm`, i, 1);
    writer.addScalar(`a_very_long_name_of_a_loss_${'x'.repeat(200)}`, 1, 1);
    writer.addScalar('\u001b[2Jhostile_loss', 2, 1);
    await writer.close();
    const { said, end, frame, run } = fakeTerminal({ columns: 40, rows: 10 });
    const code = run(folder);
    await expect.poll(frame, { timeout: 120_000 }).toContain('step 1');
    const lines = frame().trimEnd().split('\n');
    expect(lines.length).toBeLessThan(10);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(50);
    expect(frame()).toMatch(/step 1, \d+ more/);
    expect(frame()).toContain('a_very_long_');
    expect(frame()).toContain('\\u001b[2J');
    end();
    await code;
    expect(said.err).toBe('');
  });

  it('waits where there is nothing yet, and goes on past what is damaged', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'bad'));
    writeFileSync(join(folder, 'bad/a.tfevents'), 'this is no event file at all');
    const { end, frame, run } = fakeTerminal({ columns: 60, rows: 20 });
    const code = run(folder);
    await expect.poll(frame, { timeout: 120_000 }).toContain('no scalars yet');
    const made = training(join(folder, 'train'));
    await made.epoch(0.3);
    await expect.poll(frame, { timeout: 120_000 }).toContain('train  step 1');
    end();
    expect(await code).toBe(0);
    await made.close();
    const wrong = fakeTerminal(undefined);
    expect(await wrong.run('/nowhere')).toBe(2);
    expect(wrong.said.err).toContain('there is no file or folder "/nowhere"');
  });

  it('ends with ^C in a program of its own', async () => {
    const folder = temporaryFolder();
    const made = training(folder);
    await made.epoch(0.3);
    const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
    // `script` gives the program a terminal, and runs it in a shell: one that stayed would be ended by ^C too (dash).
    const program = spawn('script', ['-qfec', `exec ${process.execPath} ${cli} watch ${folder}`, '/dev/null'], {
      stdio: 'pipe',
    });
    const failed = new Promise<Error>((resolve) => program.once('error', resolve));
    let out = '';
    program.stdout.on('data', (chunk) => (out += chunk));
    const began = await Promise.race([failed, expect.poll(() => out, { timeout: 120_000 }).toContain('step 1')]);
    if (began instanceof Error) return; // this machine has no `script`
    program.stdin.write('\u0003');
    const [code] = await once(program, 'exit');
    expect(code).toBe(0);
    expect(out).toContain('\u001b[?25h');
    await made.close();
  });
});
