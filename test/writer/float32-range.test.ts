import { describe, expect, it } from 'vitest';
import { MemoryOutput, readEvents, ScalarWriter, SummaryWriter } from '../../src/index.js';
import { summaryFileWriter } from '../../src/writer/summary-file-writer.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();

/** The scalars in an output, as they are stored. */
async function scalarsOf(output: MemoryOutput): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const { summary } of readEvents(output)) {
    for (const { tag, plugin, value } of summary ?? []) if (plugin === 'scalars') values.push([tag, value]);
  }
  return values;
}

// The greatest number of float32 is 2^128 - 2^104; up to half a step above it, IEEE 754 rounds to it.
const greatest = 2 ** 128 - 2 ** 104;
const rounded = 2 ** 128 - 2 ** 103 - 2 ** 75;
const halfway = 2 ** 128 - 2 ** 103;

describe('a finite scalar beyond float32', () => {
  it.each([
    ['a SummaryWriter', SummaryWriter],
    ['a ScalarWriter', ScalarWriter],
  ])('is warned of once per tag by %s, wherever in the run it comes', async (_, Writer) => {
    const output = new MemoryOutput();
    const writer = new Writer(output);
    writer.addScalar('loss', 0.5, 0);
    for (let step = 1; step < 4; step++) writer.addScalar('loss', 1e300, step);
    writer.addScalar('first', -1e39, 1);
    writer.addScalar('dated', halfway, 1, { wallTime: 1 });
    await writer.close();
    expect(warnings).toEqual([
      'addScalar "loss": 1e+300 is beyond float32, in which scalars are stored (up to 3.4e38), and was written as Infinity',
      expect.stringMatching(/^addScalar "first": -1e\+39 is beyond float32.* was written as -Infinity$/),
      expect.stringMatching(/^addScalar "dated": 3.402823\d+e\+38 is beyond float32/),
    ]);
    expect(await scalarsOf(output)).toEqual([
      ['loss', 0.5],
      ...[1, 2, 3].map(() => ['loss', Infinity]),
      ['first', -Infinity],
      ['dated', Infinity],
    ]);
  });

  it.each([
    ['a SummaryWriter', SummaryWriter],
    ['a ScalarWriter', ScalarWriter],
  ])('is not what is stored as a finite number, nor NaN and ±Infinity: %s does not warn', async (_, Writer) => {
    const output = new MemoryOutput();
    const writer = new Writer(output);
    const values = [greatest, -greatest, rounded, NaN, Infinity, -Infinity, 1e-300];
    for (const [step, value] of values.entries()) writer.addScalar('loss', value, step);
    await writer.close();
    expect(warnings).toEqual([]);
    const stored = [greatest, -greatest, greatest, NaN, Infinity, -Infinity, 0];
    expect(await scalarsOf(output)).toEqual(stored.map((value) => ['loss', value]));
  });

  it('is warned of in addScalars, in arrays, in values that come later, in metrics, and in calls of tfjs-node', async () => {
    const output = new MemoryOutput();
    const writer = summaryFileWriter(output);
    const later = { shape: [], dtype: 'float64', data: async () => Float64Array.of(1e40) };
    writer.addScalar('array', [1e40], 1);
    writer.addScalar('later', later as never, 1);
    await writer.flush();
    writer.scalar('described', 1e40, 1, 'of a tag');
    writer.addHparams({ rate: 0.1 }, { metric: 1e40 });
    writer.addScalars('both', { a: 1e40, b: 2 }, 1);
    await writer.close();
    const calls = ['addScalar "array"', 'addScalar "later"', 'addScalar "described"', 'addHparams: metric "metric"'];
    expect(warnings.map((text) => text.slice(0, text.indexOf(': 1e+40 is beyond float32')))).toEqual([
      ...calls,
      'addScalars "both"',
    ]);
  });
});
