import { describe, expect, it } from 'vitest';
import type { Finding } from '../../src/insight/findings.js';
import { MemoryOutput } from '../../src/output/output.js';
import { SaturationRecorder } from '../../src/recording/saturation-recorder.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { gaussianRows } from '../support/random.js';

const width = 8;
const healthy = gaussianRows(100, new Float64Array(width).fill(1), 1);
const collapsed = gaussianRows(100, [1, ...new Float64Array(width - 1).fill(1e-6)], 2);
const dead = new Float64Array(100 * width).fill(0.5);
const broken = healthy.map((x, at) => (at === 12 ? Number.NaN : x));

/** What is found in epochs of these rows, by epoch. */
async function foundIn(epochs: Float64Array[], options: ConstructorParameters<typeof SaturationRecorder>[1] = {}) {
  const recorder = new SaturationRecorder(new SummaryWriter(new MemoryOutput()), options);
  const found: Finding[] = [];
  recorder.on('finding', (finding) => found.push(finding));
  for (const data of epochs) {
    await recorder.observe('hidden', { data, shape: [100, width] }, 'train');
    await recorder.addSaturations();
  }
  await recorder.close();
  return found;
}

const kinds = (found: Finding[]) => found.map(({ kind, epoch }) => `${kind} in ${epoch}`);

describe('findings', () => {
  it('tell a collapse, a dead layer and NaN in the epoch in which they begin, once', async () => {
    const epochs = [healthy, collapsed, collapsed, dead, dead, broken];
    const found = await foundIn(epochs);
    expect(kinds(found)).toEqual(['collapse in 1', 'dead layer in 3', 'NaN in 5']);
    expect(found[0]).toMatchObject({ layer: 'hidden', split: 'train', step: 2 });
    expect(found[0].text).toMatch(
      /^Layer 'hidden' \(train\), epoch 2: its entropy rank fell from 7\.\d to 1\.00: nearly one direction is left\.$/,
    );
    expect(found[1].text).toBe("Layer 'hidden' (train), epoch 4: its output does not vary.");
    expect(found[2].text).toBe("Layer 'hidden' (train), epoch 6: 1 of 100 rows hold a NaN or Infinity.");
  });

  it('tell what comes back', async () => {
    expect(kinds(await foundIn([dead, healthy, dead]))).toEqual(['dead layer in 0', 'dead layer in 2']);
  });

  it('tell nothing of a healthy layer, and of one that never had many directions', async () => {
    expect(await foundIn([healthy, healthy])).toEqual([]);
    expect(await foundIn([collapsed, collapsed])).toEqual([]);
  });

  it('tell that nearly all units are dead, if they are counted', async () => {
    const wide = new Float64Array(100 * width).map((_, at) => (at === 0 ? 1 : 0));
    expect(await foundIn([wide])).toEqual([]);
    const [found] = await foundIn([wide.map((x, at) => (at === 0 ? 0 : x))], { stats: ['deadUnits'] });
    expect(found.kind).toBe('dead layer');
    const few = new Float64Array(100 * width).map((_, at) => (at % 50 === 0 ? 0 : 1e-9 * (at % 7)));
    expect(await foundIn([few], { stats: ['deadUnits'] })).toEqual([]);
  });

  it('tell that a third of the units are dead, if they are counted', async () => {
    const dead = (count: number) => healthy.map((x, at) => (at % width < count ? 0 : x));
    const [found, ...others] = await foundIn([dead(2), dead(3)], { stats: ['deadUnits'] });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ kind: 'dead units', epoch: 1 });
    expect(found.text).toBe("Layer 'hidden' (train), epoch 2: 37 % of its 8 units are dead.");
    expect(await foundIn([dead(3)])).toEqual([]);
  });

  it('tell a collapse to nearly the same output for every sample, whatever its directions', async () => {
    const times = (factor: number) => healthy.map((x) => factor * x);
    // Variances 1, 1/900 and 1/1600 of the first.
    const found = await foundIn([healthy, times(1 / 30), times(1 / 40)]);
    expect(kinds(found)).toEqual(['collapse in 2']);
    expect(found[0].text).toMatch(
      /epoch 3: its variance fell from [78]\.\d to 0\.00\d+: nearly the same comes out for every sample\.$/,
    );
  });

  it('are told to each listener until it is taken off, and an error of one does not stop the others', async () => {
    const recorder = new SaturationRecorder(new SummaryWriter(new MemoryOutput()));
    const heard: string[] = [];
    recorder.on('finding', () => {
      throw new Error('the listener broke');
    });
    const off = recorder.on('finding', ({ kind }) => heard.push(kind));
    recorder.observe('a', { data: dead, shape: [100, width] }, 'val');
    await recorder.addSaturations();
    off();
    recorder.observe('b', { data: dead, shape: [100, width] }, 'val');
    await recorder.addSaturations();
    expect(heard).toEqual(['dead layer']);
    await expect(recorder.close()).rejects.toThrow("on('finding'): the listener broke");
  });

  it('refuse other events, and what is no function', () => {
    const recorder = new SaturationRecorder(new SummaryWriter(new MemoryOutput()));
    expect(() => recorder.on('epoch' as 'finding', () => {})).toThrow(/on: expected the event 'finding', got .*epoch/);
    expect(() => recorder.on('finding', 3 as never)).toThrow(/on: expected a function, got number 3/);
  });
});

describe('findings within an epoch', () => {
  const dead = healthy.map((x, at) => (at % width < 4 ? 0 : x));
  const half = (data: Float64Array) => data.subarray(0, data.length / 2);

  /** What is found in epochs of batches, each with the number of batches that had been observed when it was told. */
  async function foundWithin(epochs: Float64Array[][], options: object = { findEvery: 2 }) {
    const recorder = new SaturationRecorder(new SummaryWriter(new MemoryOutput()), {
      stats: ['deadUnits'],
      ...options,
    });
    const found: Finding[] = [];
    const toldAt: number[] = [];
    let observed = 0;
    recorder.on('finding', (finding) => {
      found.push(finding);
      toldAt.push(observed);
    });
    for (const batches of epochs) {
      for (const data of batches) {
        recorder.observe('hidden', { data, shape: [data.length / width, width] }, 'train');
        observed++;
        await Promise.resolve();
      }
      await recorder.addSaturations();
    }
    await recorder.close();
    return { found, toldAt, told: found.map(({ kind, epoch, batch }) => `${kind} in ${epoch}, ${batch}`) };
  }

  it('tell units that die after others of their epoch were alive, at once and once', async () => {
    const { found, told, toldAt } = await foundWithin([
      [healthy, healthy, dead, dead, dead, dead],
      [dead, dead, dead],
    ]);
    expect(told).toEqual(['dead units in 0, 3']);
    expect(toldAt).toEqual([4]);
    expect(found[0].text).toBe("Layer 'hidden' (train), epoch 1, batch 4: 50 % of its 8 units are dead.");
    expect(found[0]).toMatchObject({ step: 1, layer: 'hidden', split: 'train' });
  });

  it('come at the end of the epoch without the option', async () => {
    const epochs = [[healthy, dead, dead], [dead]];
    expect((await foundWithin(epochs, {})).told).toEqual(['dead units in 1, undefined']);
  });

  it('tell NaN and dead layers once in an epoch, and what comes back in a later one', async () => {
    const gone = new Float64Array(100 * width);
    const { told } = await foundWithin([[broken, gone, healthy, gone, healthy], [gone]], { findEvery: 1 });
    expect(told).toEqual(['NaN in 0, 0', 'dead layer in 0, 1', 'dead layer in 1, 0']);
  });

  it('wait for 100 rows', async () => {
    const { told } = await foundWithin([[half(dead), half(dead), half(dead)]], { findEvery: 1 });
    expect(told).toEqual(['dead units in 0, 1']);
  });

  it('refuse what is no number of batches', () => {
    const make = (findEvery: number) => new SaturationRecorder(new SummaryWriter(new MemoryOutput()), { findEvery });
    expect(() => make(0)).toThrow('findEvery: expected an integer >= 1, got number 0');
  });
});
