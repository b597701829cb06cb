import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { concat } from '../../src/encoding/bytes.js';
import { encodeMessage } from '../../src/encoding/message-codec.js';
import { frameRecord } from '../../src/encoding/record.js';
import { SaturationRecorder, SummaryWriter } from '../../src/index.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { type ScalarStatistic, scalarStatNames, scalarStats } from '../../src/saturation/stats.js';
import { temporaryFolder } from '../support/folders.js';
import { uniform } from '../support/random.js';
import { summariesOf } from '../support/read-run.js';

async function cli(path: string, values: CommandLine['values'] = {}) {
  const said = { out: '', err: '' };
  const terminal = {
    write: (text: string) => void (said.out += text),
    writeError: (text: string) => void (said.err += text),
    colors: false,
  } as Partial<Terminal> as Terminal;
  const code = await main(terminal, { positionals: ['lint', path], values }, '1.2.3');
  return { ...said, code };
}

/** The findings of one run with the values of one tag at steps from 1 on. */
async function findings(tag: string, values: readonly number[]): Promise<[rule: string, found: string][]> {
  const folder = temporaryFolder();
  const writer = new SummaryWriter(folder);
  for (const [i, value] of values.entries()) writer.addScalar(tag, value, i + 1);
  await writer.close();
  const { out } = await cli(folder, { json: true });
  return (JSON.parse(out) as { rule: string; message: string }[]).map(({ rule, message }) => [rule, message]);
}

const noise = uniform(3);
const falling = Array.from({ length: 60 }, (_, i) => Math.exp(-i / 30) + 0.02 * noise());
const withValue = (at: number, value: number) => falling.map((each, i) => (i === at ? value : each));

describe('lint', () => {
  it.each<[string, string, number[], [string, string][]]>([
    ['a loss that falls', 'loss', falling, []],
    ['an accuracy that rises', 'accuracy', falling.map((value) => 1 - value), []],
    ['a constant learning rate', 'learning_rate', new Array(60).fill(0.1), []],
    ['a learning rate in steps', 'lr', Array.from({ length: 60 }, (_, i) => 0.1 ** Math.floor(i / 20)), []],
    ['few points', 'loss', [3, 2, 1], []],
    ['NaN', 'loss', withValue(20, Number.NaN), [['not-a-number', 'NaN at step 21, 1 of 60 values']]],
    ['Infinity', 'x', [1, Infinity, Infinity], [['not-a-number', 'Infinity at step 2, 2 of 3 values']]],
    ['a spike', 'loss', withValue(20, 7), [['spike', '7 at step 21']]],
    [
      'a plateau',
      'train/loss',
      falling.map((_, i) => (i < 25 ? Math.exp(-i / 30) : Math.exp(-25 / 30) + 1e-7 * i)),
      [['plateau', expect.stringMatching(/^0\.4\d* since step 31$/)]],
    ],
    [
      'a validation loss that rises',
      'val_loss',
      Array.from({ length: 40 }, (_, i) => Math.abs(i - 20) / 20),
      [['rising', '0.95 at step 40, 0 at step 21']],
    ],
    ['a training loss that rises is none', 'loss', Array.from({ length: 40 }, (_, i) => Math.abs(i - 20) / 20), []],
    ['a dead layer', 'saturation/dense1', [0.5, 0.3, 0], [['dead-layer', '0 at step 3']]],
    ['a layer that collapses', 'saturation/dense1', [0.5, 0.6, 0.2], [['collapse', '0.2 at step 3, after 0.6']]],
    ['a layer that does not', 'saturation/dense1', [0.5, 0.6, 0.4], []],
  ])('%s', async (_name, tag, values, expected) => {
    expect(await findings(tag, values)).toEqual(expected);
  });

  it('steps that go back, and two programs that write one run', async () => {
    const folder = temporaryFolder();
    const one = new SummaryWriter(join(folder, 'one'));
    for (const step of [1, 2, 3, 4, 2, 3]) one.addScalar('x', step, step);
    await one.close();
    for (const offset of [0, 0.5]) {
      const writer = new SummaryWriter(join(folder, 'two'));
      for (let step = 1; step < 5; step++) writer.addScalar('x', offset, step, { wallTime: 1000 + step + offset });
      await writer.close();
    }
    const still = new SummaryWriter(join(folder, 'still'));
    for (let i = 0; i < 3; i++) still.addScalar('x', i, 0);
    await still.close();
    const { out, code } = await cli(folder);
    expect(code).toBe(1);
    const rows = out
      .split('\n')
      .slice(1, 4)
      .map((line) => line.split(/ {2,}/));
    expect(rows).toEqual([
      ['one', 'x', 'goes-back', 'from step 4 to 2: 3 points of the run hidden'],
      ['still', 'x', 'no-step', '3 values at step 0'],
      ['two', 'x', 'many-writers', expect.stringMatching(/^from step 4 to 1: \d points of the run hidden$/)],
    ]);
    expect(out).toContain(
      'goes-back: steps go back: TensorBoard hides what was written before; give each training a folder of its own\n',
    );
  });

  describe('of the statistics of this package', () => {
    /** A recorder's run of small sound layers with every statistic: few rows, few directions, one class. */
    async function recorded(): Promise<string> {
      const folder = temporaryFolder();
      const recorder = new SaturationRecorder(folder, { stats: scalarStatNames });
      for (let epoch = 0; epoch < 2; epoch++) {
        for (const [layer, rows, features] of [
          ['value', 80, 1],
          ['out', 80, 3],
          ['wide', 80, 30],
          ['few', 2, 6],
        ] as const) {
          const data = Float64Array.from({ length: rows * features }, noise);
          const labels = new Int32Array(rows);
          await recorder.observe(layer, { data, shape: [rows, features] }, 'train', {
            labels,
            classifier: new Float64Array(2),
          });
        }
        // Two columns are the same: the covariance is singular.
        const once = Float64Array.from({ length: 80 }, noise);
        const twice = Float64Array.from({ length: 160 }, (_, i) => once[i >> 1]);
        await recorder.observe('twice', { data: twice, shape: [80, 2] }, 'train');
        await recorder.addSaturations();
      }
      await recorder.close();
      return folder;
    }

    it('reports no number that says nothing, and each of these occurs', async () => {
      const folder = await recorded();
      const { out } = await cli(folder, { json: true });
      expect(JSON.parse(out)).toEqual([]);
      const occurring = new Set<string>();
      for (const { tag, value } of await summariesOf(join(folder, 'train'))) {
        if (typeof value === 'number' && !Number.isFinite(value)) occurring.add(`${tag.split('/')[0]} ${value}`);
      }
      // Wide layers have such determinants, dead ones such conditions, and recorders see no weights.
      const others = new Set(['determinant Infinity', 'condition-number NaN', 'weight-alpha NaN']);
      const listed = Object.values(scalarStats).flatMap(({ gaps = [], tagGroup }: ScalarStatistic) =>
        gaps.map((gap) => `${tagGroup} ${gap}`),
      );
      expect([...occurring].sort()).toEqual(listed.filter((gap) => !others.has(gap)).sort());
    });

    it('reports a loss that is NaN beside them, tags of others with their names, and layers without a finite row', async () => {
      const folder = await recorded();
      const writer = new SummaryWriter(join(folder, 'other'));
      for (const step of [1, 2]) {
        writer.addScalar('epoch_loss', step === 1 ? 1 : Number.NaN, step);
        writer.addScalar('kurtosis/mine', Number.NaN, step);
      }
      await writer.close();
      const recorder = new SaturationRecorder(join(folder, 'broken'), { stats: 'health' });
      await recorder.observe('h', { data: new Float64Array(40).fill(Number.NaN), shape: [10, 4] }, 'train');
      await recorder.addSaturations();
      await recorder.close();
      const { out, code } = await cli(folder, { json: true });
      expect(code).toBe(1);
      const found = JSON.parse(out) as { run: string; tag: string; rule: string }[];
      const named = found.map(({ run, tag, rule }) => `${run} ${tag} ${rule}`);
      expect(named).toEqual(
        expect.arrayContaining([
          'other epoch_loss not-a-number',
          'other kurtosis/mine not-a-number',
          'broken/train saturation/h not-a-number',
        ]),
      );
      expect(named.filter((name) => !/^(other|broken)/.test(name))).toEqual([]);
    });
  });

  it('values under a tag of another kind, which TensorBoard passes over', async () => {
    const folder = temporaryFolder();
    // As add_histogram and add_scalar of torch and tensorboardX write them.
    const histo = { min: 0, max: 1, num: 1, sum: 1, sumSquares: 1, bucketLimit: [1], bucket: [1] };
    const values: tensorboard.Summary.IValue[] = [{ histo }, { simpleValue: 1 }, { histo }, { simpleValue: 2 }];
    const records = values.map((value, step) =>
      frameRecord(
        encodeMessage(tensorboard.Event, { wallTime: 1, step, summary: { value: [{ tag: 'w', ...value }] } }),
      ),
    );
    writeFileSync(join(folder, 'events.out.tfevents.1'), concat(records));
    const { code, out } = await cli(folder, { json: true });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual([
      {
        run: '.',
        tag: 'w',
        rule: 'not-shown',
        message: '2 values: 1 is no value of the plugin "histograms", which the tag\'s first value named',
      },
    ]);
  });

  it.each<[string, number, number | undefined, string[]]>([
    ['that went on from a checkpoint', 2000, 5, []],
    ['that was begun again without a word', 2000, undefined, ['goes-back']],
    ['beside which another program writes', 1000.5, undefined, ['many-writers']],
  ])('a training %s', async (_, secondFrom, purgeStep, expected) => {
    const folder = temporaryFolder();
    for (const [from, to, time, options] of [
      [0, 20, 1000, {}],
      [5, 12, secondFrom, { purgeStep }],
    ] as const) {
      // biome-ignore format: a table
      const writer = new SummaryWriter(folder, options);
      for (let step = from; step < to; step++) writer.addScalar('x', step, step, { wallTime: time + step });
      await writer.close();
    }
    const { code, out } = await cli(folder, { json: true });
    expect((JSON.parse(out) as { rule: string }[]).map(({ rule }) => rule)).toEqual(expected);
    expect(code).toBe(expected.length);
  });

  it('of a good training finds nothing, and says so', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(folder);
    for (const [i, value] of falling.entries()) writer.addScalar('loss', value, i);
    await writer.close();
    expect(await cli(folder)).toEqual({ out: '1 run: nothing found\n', err: '', code: 0 });
    expect(await cli(folder, { tags: 'none' })).toEqual({ out: '1 run: nothing found\n', err: '', code: 0 });
    expect((await cli('/nowhere')).code).toBe(2);
  });
});
