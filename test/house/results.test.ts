import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
// @ts-expect-error a script without types
import { drawResults, sections } from '../../bench/drawings.mjs';
// @ts-expect-error a script without types
import { figures } from '../../bench/figures.mjs';
// @ts-expect-error a script without types
import { medianInterval, spreadOf, untilKnown } from '../../bench/peer.mjs';
// @ts-expect-error a script without types
import { fillFigures } from '../../bench/results.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const session = {
  date: '2026-01-02',
  processor: 'a processor',
  cores: 2,
  memoryGiB: 8,
  platform: 'linux',
  node: 'v20.20.2',
  load: 0.25,
  busy: 0.02,
};
const known = (median: number) => ({ median, low: median - 0.5, high: median + 0.5, rounds: 9 });
const sizes = { ...session, rows: [{ what: 'a reader (`readEvents`)', bytes: 41_300, gzipBytes: 15_300 }] };
const onnx = {
  ...session,
  versions: { 'onnxruntime-web': '1.2.3' },
  missing: { 'a network': 'it was not there' },
  rows: [1.25, 1.75].map((exposed) => ({
    model: 'm',
    batch: '1 x 2',
    batches: 4,
    layers: 3,
    plain: known(100),
    exposed: known(exposed),
    auto: known(2),
    all: known(3),
  })),
};

describe('what is known of a number', () => {
  // The ranks are those of published tables of the sign test (Conover, Practical Nonparametric Statistics, table A3).
  it.each([
    [6, 1, 6],
    [10, 2, 9],
    [15, 4, 12],
    [20, 6, 15],
    [25, 8, 18],
  ])('the interval of the median of %i rounds is from rank %i to %i', (n, low, high) => {
    const shuffled = Array.from({ length: n }, (_, i) => ((i * 7) % n) + 1).sort((a, b) => Math.sin(a) - Math.sin(b));
    const ranks = n % 7 === 0 ? Array.from({ length: n }, (_, i) => n - i) : shuffled;
    expect(medianInterval(ranks)).toEqual([low, high]);
  });

  it('of few rounds the interval is all of them', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, low: 1, high: 3, rounds: 3 });
    expect(spreadOf([3])).toEqual({ median: 3, low: 3, high: 3, rounds: 1 });
  });

  it('rounds are repeated until the interval is narrow', async () => {
    const seen = [1, 2, 1, 1.01, 1, 1, 1.01, 1, 1, 1.01, 1, 1, 1, 1];
    const { a } = await untilKnown((round: number) => ({ a: seen[round]!, b: Number.NaN }), { seconds: 60 });
    // Nine rounds: ranks 2 to 8, which leave the 2 out.
    expect(a).toEqual(seen.slice(0, 9));
    expect(medianInterval(seen.slice(0, 8))[1]).toBe(2);
  });

  it('without time there is one round, and what was not measured is left out', async () => {
    expect(await untilKnown(async () => ({ a: 5, b: undefined, c: Number.NaN }), { seconds: 0 })).toEqual({ a: [5] });
  });
});

describe('figures in documents', () => {
  it('are those of the results', () => {
    const text =
      'It takes <!-- bench:onnx.exposed -->9<!-- /bench --> times, or <!-- bench:sizes.readEvents -->?<!-- /bench --> kB.';
    expect(fillFigures(text, { onnx, sizes })).toBe(
      'It takes <!-- bench:onnx.exposed -->1.3 to 1.8<!-- /bench --> times, or <!-- bench:sizes.readEvents -->15<!-- /bench --> kB.',
    );
  });

  it('of a benchmark whose results are old text stay', () => {
    const text = 'It takes <!-- bench:onnx.exposed -->9<!-- /bench --> times.';
    expect(fillFigures(text, { onnx: { date: '2026-01-01', text: 'old' } })).toBe(text);
  });

  it('that were not measured stay, and are named', () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => {});
    const text = 'It takes <!-- bench:health.MLP.step -->9<!-- /bench --> longer.';
    expect(fillFigures(text, { health: { ...session, rows: [] } }, 'x.md')).toBe(text);
    expect(said).toHaveBeenCalledWith(
      'x.md: health.MLP.step stays as it is: expected a row of {"network":"MLP"}, got none',
    );
    said.mockRestore();
  });

  it('have a name that is known', () => {
    expect(() => fillFigures('a <!-- bench:onnx.speed -->9<!-- /bench -->', {}, 'x.md')).toThrow(
      /^x\.md: expected one of .*onnx\.exposed.*, got 'onnx\.speed'$/,
    );
  });

  it('do not begin a line, where Markdown would end the paragraph', () => {
    expect(() => fillFigures('so\n<!-- bench:onnx.exposed -->9<!-- /bench -->', {}, 'x.md')).toThrow(
      'x.md: expected text before the figure onnx.exposed in its line, got none',
    );
  });

  it('are each of a section', () => {
    for (const name of Object.keys(figures)) expect(Object.keys(sections)).toContain(name.split('.')[0]);
  });
});

describe('RESULTS.md', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'results-'));
    writeFileSync(join(folder, 'results.json'), JSON.stringify({ sizes, onnx }));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['bench/results.mjs', '--into', folder, ...args], { cwd: root, encoding: 'utf8' });

  it('names machine, versions, spreads and what was not measured', () => {
    const text: string = drawResults({ sizes, onnx });
    expect(text).toContain(
      '`npm run bench:onnx`, 2026-01-02, 2 x a processor, 8 GiB, linux, Node v20.20.2; load average 0.25, processors 2 % busy when it began; onnxruntime-web 1.2.3.',
    );
    expect(text).toContain('| m | 1 x 2 | 4 | 3 | 100 (99.5 – 101) | 1.25 (0.75 – 1.75) | 2.00 (1.50 – 2.50) |');
    expect(text).toContain('Not measured: a network (it was not there).');
    expect(text.indexOf('## Layers of ONNX models')).toBeLessThan(text.indexOf('## Sizes'));
  });

  it('is checked against results.json, and drawn again', () => {
    const stale = run('--check');
    expect(stale.stderr).toContain(
      'RESULTS.md is not what bench/results.json has: node bench/results.mjs draws it again',
    );
    expect(stale.status).toBe(1);
    expect(run().status).toBe(0);
    expect(run('--check')).toMatchObject({ status: 0, stderr: '' });
    const path = join(folder, 'RESULTS.md');
    writeFileSync(path, readFileSync(path, 'utf8').replace('41.3', '14.3'));
    expect(run('--check').status).toBe(1);
  });
});

describe('the full benchmark', () => {
  const full = (...args: string[]) =>
    spawnSync(process.execPath, ['bench/full.mjs', ...args], { cwd: root, encoding: 'utf8' });

  it('knows every section, and names a part that there is not', () => {
    const { stderr, status } = full('--only', 'sizes,speed');
    expect(stderr).toBe(`--only: expected some of ${Object.keys(sections).join(', ')}, got speed\n`);
    expect(status).toBe(2);
  });

  it('names a part that fails, goes on, and has exit code 1', () => {
    const taken = join(tmpdir(), `taken-${process.pid}`);
    writeFileSync(taken, 'a file in the place of the folder');
    const { stdout, status } = full('--quick', '--only', 'sizes,sizes', '--into', taken);
    rmSync(taken);
    expect(stdout.match(/=== sizes: FAILED/g)).toHaveLength(2);
    expect(stdout).toContain('Failed: sizes (exit code 1), sizes (exit code 1).');
    expect(status).toBe(1);
  }, 60_000);
});
