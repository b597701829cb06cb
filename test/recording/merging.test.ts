import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { mergeStates, type RecorderOptions, SaturationRecorder } from '../../src/index.js';
import { decodeState } from '../../src/recording/recorder-state.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { collapseOf, NeuralCollapse } from '../../src/statistics/neural-collapse.js';
import { sharedSolver } from '../../src/statistics/threads/solver.js';
import { temporaryFolder } from '../support/folders.js';
import { gaussianRows } from '../support/random.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

const features = 6;
const variances = Float64Array.from({ length: features }, (_, i) => 2 ** -i);
/** Rows of one process; its mean is another one than that of the others. */
const rowsOf = (rank: number, count = 40 + rank) =>
  Float32Array.from(gaussianRows(count, variances, 7 + rank, 3 * rank));
const shapeOf = (data: Float32Array) => [data.length / features, features];

function recorder(options: RecorderOptions = {}): SaturationRecorder {
  const made = new SaturationRecorder('', { saveTo: [], ...options });
  onTestFinished(() => made.close());
  return made;
}

/** What a worker took that observed these rows. */
function taken(data: Float32Array, options: RecorderOptions = {}, layer = 'hidden'): Promise<Uint8Array> {
  const worker = recorder({ role: 'worker', ...options });
  worker.observe(layer, { data, shape: shapeOf(data) }, 'train');
  return worker.take();
}

function joined(...parts: Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

const sumsIn = (bytes: Uint8Array, layer = 'hidden') =>
  decodeState(bytes).layers.find((each) => each.layer === layer)!.sums;

describe('what several processes took', () => {
  catchWarnings();

  it('merges to what one process would have measured, and rows add up, those with a NaN too', async () => {
    const parts = [0, 1, 2].map((rank) => rowsOf(rank));
    parts[1][features + 2] = Number.NaN;
    parts[2][5 * features] = Number.POSITIVE_INFINITY;
    const [store, whole] = [new RecordingStore(), new RecordingStore()];
    const [board, alone] = [
      recorder({ saveTo: store, stats: ['saturation', 'cov'] }),
      recorder({ saveTo: whole, stats: ['saturation', 'cov'] }),
    ];
    for (const part of parts) board.merge(await taken(part));
    const data = joined(...parts);
    alone.observe('hidden', { data, shape: shapeOf(data) }, 'train');
    await board.addSaturations();
    await alone.addSaturations();
    const [merged, expected] = [store.layer('train', 'hidden'), whole.layer('train', 'hidden')];
    expect([merged.samples, merged.rejected, merged.effectiveSamples]).toEqual([121, 2, 121]);
    expect([expected.samples, expected.rejected, expected.effectiveSamples]).toEqual([121, 2, 121]);
    expect(merged.intrinsicDimensionality).toBe(expected.intrinsicDimensionality);
    for (const [i, value] of merged.covariance!.entries())
      expect(Math.abs(value - expected.covariance![i])).toBeLessThan(1e-12);
    expect(merged.strategy).toBe('merged from other processes');
  });

  it('has the bits of a merge by hand, in the order given', async () => {
    const states = await Promise.all([0, 1, 2].map((rank) => taken(rowsOf(rank, 900 + rank))));
    const byHand = new CovarianceAccumulator(features);
    for (const bytes of states) byHand.merge(sumsIn(bytes).accumulator!);
    expect(sumsIn(mergeStates(states)).accumulator!.toBytes()).toEqual(byHand.toBytes());
    const board = recorder({ role: 'writer' });
    for (const bytes of states) board.merge(bytes);
    expect(board.toBytes()).toEqual(mergeStates(states));
    expect(await board.take()).toEqual(mergeStates(states));
    const other = mergeStates([states[2], states[0], states[1]]);
    expect(sumsIn(other).used).toBe(2703);
    expect(sumsIn(other).accumulator!.toBytes()).not.toEqual(byHand.toBytes());
    expect(mergeStates([states[1]])).toEqual(states[1]);
    // In a tree, as by hand.
    expect(mergeStates([mergeStates(states.slice(0, 2)), states[2]])).toEqual(mergeStates(states));
  });

  it('comes after the rows recorded here, whenever those are observed', async () => {
    const [own, theirs] = [rowsOf(0, 300), rowsOf(1, 300)];
    const observe = (to: SaturationRecorder) => to.observe('hidden', { data: own, shape: shapeOf(own) }, 'train');
    const bytes = await taken(theirs);
    const [early, late] = [recorder(), recorder()];
    early.merge(bytes);
    observe(early);
    observe(late);
    late.merge(bytes);
    expect(early.toBytes()).toEqual(late.toBytes());
    expect(await early.take()).toEqual(mergeStates([await taken(own), bytes]));
    // Reading does not change the sums, and the next period is empty.
    expect(late.toBytes()).toEqual(late.toBytes());
    const [result] = await late.addSaturations();
    expect([result.samples, result.layer]).toEqual([600, 'hidden']);
    expect(await late.addSaturations()).toEqual([]);
    expect(decodeState(early.toBytes())).toEqual({ epoch: 1, layers: [] });
  });

  it('may have different layers; maps and sequences are rows of their own', async () => {
    const [a, b] = [recorder({ role: 'worker' }), recorder({ role: 'worker' })];
    const map = rowsOf(3, 50);
    for (const [each, items] of [
      [a, 2],
      [b, 3],
    ] as const) {
      each.observe('map', { data: map.subarray(0, items * 4 * features), shape: [items, 2, 2, features] }, 'train');
    }
    a.observe('only-a', { data: rowsOf(1, 5), shape: [5, features] }, 'val');
    b.observe('only-b', { data: rowsOf(2, 6), shape: [6, features] }, 'train');
    const board = recorder({ role: 'writer' });
    board.merge(await a.take());
    board.merge(await b.take());
    const results = await board.addSaturations();
    expect(results.map(({ layer, split, samples }) => [layer, split, samples])).toEqual([
      ['map', 'train', 20],
      ['only-a', 'val', 5],
      ['only-b', 'train', 6],
    ]);
    expect(board.layerNames).toEqual(['map', 'only-a', 'only-b']);
  });

  it('keeps rows for embeddings and TwoNN, and sums by class', async () => {
    const stats: RecorderOptions['stats'] = ['embed', 'twoNN', 'collapseNC1', 'collapseNC4', 'saturation'];
    const store = new RecordingStore();
    const board = recorder({ saveTo: store, stats, role: 'writer' });
    const direct = new NeuralCollapse(features);
    for (const rank of [0, 1]) {
      const data = rowsOf(rank, 700);
      const labels = Array.from({ length: 700 }, (_, i) => (i * 7) % 3);
      direct.update(data, labels);
      const worker = recorder({ role: 'worker', stats });
      worker.observe('hidden', { data, shape: shapeOf(data) }, 'train', { labels, predictions: labels });
      board.merge(await worker.take());
    }
    await board.addSaturations();
    const { embedding, values, samples } = store.layer('train', 'hidden');
    expect(samples).toBe(1400);
    expect(embedding!.length % 1000).toBe(0);
    expect(values.collapseNC1).toBeCloseTo(direct.measures().nc1, 9);
    // Classes are apart in nothing: the nearest mean of three is one of the other two for most rows.
    expect(values.collapseNC4).toBeGreaterThan(0.4);
    expect(values.collapseNC4).toBeLessThan(0.8);
    // Two clouds, far apart, of 5 or 6 directions each.
    expect(values.twoNN).toBeGreaterThan(3);
    expect(values.twoNN).toBeLessThan(7);
  });

  it('is refused by name if a width differs, a layer cannot be merged or bytes are damaged; nothing was added then', async () => {
    const board = recorder({ role: 'writer' });
    const good = await taken(rowsOf(0));
    board.merge(good);
    const narrow = recorder({ role: 'worker' });
    narrow.observe('first', { data: rowsOf(0), shape: shapeOf(rowsOf(0)) }, 'train');
    narrow.observe('hidden', { data: new Float32Array(20), shape: [5, 4] }, 'train');
    const other = await narrow.take();
    const damaged = good.map((byte, at) => (at === good.length - 9 ? byte ^ 4 : byte));
    for (const [bytes, message] of [
      [other, /^merge: expected 6 features of layer 'hidden' \(train\), got 4$/],
      [damaged, /^fromBytes: expected/],
      [good.subarray(0, -8), /^merge: expected \d+ bytes up to the end of layer 'hidden'/],
      [new Uint8Array(50), /^merge: expected the bytes of toBytes\(\) or take\(\), got bytes that start otherwise$/],
    ] as const) {
      expect(() => board.merge(bytes)).toThrow(RangeError);
      expect(() => board.merge(bytes)).toThrow(message);
    }
    expect(() => board.merge('x' as never)).toThrow(/^merge: expected the bytes .*, got the string "x"$/);
    expect(() => mergeStates(good as never)).toThrow(/^mergeStates: expected several states, each of bytes/);
    expect(() => mergeStates([])).toThrow('mergeStates: expected one state or more, got none');
    expect(() => mergeStates([good, other])).toThrow(/^mergeStates: expected 6 features of layer 'hidden'/);
    expect(board.toBytes()).toEqual(good);
  });

  it('has sketches of wide layers, which merge as long as one of them is of few rows', async () => {
    const wide = { maxWidth: 4 };
    const few = await taken(rowsOf(0, 30), wide);
    expect(sumsIn(few).sketch?.count).toBe(30);
    expect(sumsIn(mergeStates([few, few])).sketch?.count).toBe(60);
    const exact = await taken(rowsOf(0, 30));
    expect(() => mergeStates([few, exact])).toThrow(
      /^mergeStates: layer 'hidden' \(train\): expected two covariances or two sketches, got one of each$/,
    );
  });

  it('has sketches that do not add up once each follows its own rows, which is said by name; nothing was added then', async () => {
    const wide = 300;
    const sketched = (seed: number) => {
      const worker = recorder({ role: 'worker', maxWidth: 100 });
      const data = Float32Array.from(gaussianRows(200, new Float64Array(wide).fill(1), seed));
      worker.observe('logits', { data, shape: [200, wide] }, 'train');
      worker.observe('hidden', { data: rowsOf(seed), shape: shapeOf(rowsOf(seed)) }, 'train');
      return worker.take();
    };
    const board = recorder({ role: 'writer' });
    const first = await sketched(1);
    board.merge(first);
    const second = await sketched(2);
    expect(() => board.merge(second)).toThrow(
      /^merge: layer 'logits' \(train\): expected a sketch along the same directions, .* wideLayers: 'leaveOut' leaves such layers out/,
    );
    expect(Buffer.compare(board.toBytes(), first)).toBe(0);
    // One alone is what it was.
    const [logits] = await board.addSaturations();
    expect([logits.layer, logits.samples]).toEqual(['logits', 200]);
    expect(logits.bounds).toBeDefined();
  });

  it('has no row in it if it is to be without rows', async () => {
    const stats: RecorderOptions['stats'] = ['embed', 'collapseNC1', 'saturation'];
    for (const rows of [5, 3000]) {
      const data = rowsOf(0, rows);
      const worker = recorder({ role: 'worker', stats });
      const labels = Array.from({ length: rows }, (_, i) => i % 2);
      const observe = () => worker.observe('hidden', { data, shape: shapeOf(data) }, 'train', { labels });
      observe();
      const plain = await worker.take();
      observe();
      const bare = await worker.take({ withoutRows: true });
      const has = (bytes: Uint8Array, row: number, type: typeof Float32Array | typeof Float64Array) =>
        Buffer.from(bytes).includes(Buffer.from(type.from(data.subarray(row * features, (row + 1) * features)).buffer));
      const anyRow = (bytes: Uint8Array) =>
        Array.from({ length: rows }, (_, i) => has(bytes, i, Float32Array) || has(bytes, i, Float64Array)).some(
          Boolean,
        );
      expect(anyRow(plain)).toBe(true);
      expect(anyRow(bare)).toBe(false);
      const [a, b] = [sumsIn(plain), sumsIn(bare)];
      expect([b.used, b.rows, collapseOf(b.accumulator!).nc1 > 0]).toEqual([rows, undefined, rows > 1]);
      const [full, sums] = [a.accumulator!.covariance(), b.accumulator!.covariance()];
      for (const [i, x] of full.entries()) expect(sums[i]).toBeCloseTo(x, 12);
      expect(collapseOf(b.accumulator!).nc1).toBeCloseTo(collapseOf(a.accumulator!).nc1, 9);
    }
    const wide = recorder({ role: 'worker', maxWidth: 4 });
    wide.observe('hidden', { data: rowsOf(0), shape: shapeOf(rowsOf(0)) }, 'train');
    await expect(wide.take({ withoutRows: true })).rejects.toThrow(
      /^take: layer 'hidden' \(train\): expected sums, got a sketch/,
    );
    await expect(wide.take({ without: true } as never)).rejects.toThrow(/take: .*without/);
  });

  it('loses nothing when it is refused: the period goes on', async () => {
    const worker = recorder({ role: 'worker', maxWidth: 4 });
    const narrow = Float32Array.from({ length: 30 }, (_, i) => Math.sin(i));
    const observe = () => {
      worker.observe('hidden', { data: rowsOf(0), shape: shapeOf(rowsOf(0)) }, 'train');
      worker.observe('narrow', { data: narrow, shape: [10, 3] }, 'train');
    };
    observe();
    // What is still being read of the wide layer, whose sketch does not stand yet, counts as well.
    const late = recorder({ role: 'worker', maxWidth: 4 });
    const data = rowsOf(0, 10);
    const dims = shapeOf(data);
    const location = 'gpu-buffer';
    const pending = late.observe(
      'hidden',
      { dims, type: 'float32', location, getData: async () => data } as never,
      'val',
    );
    for (const each of [worker, late]) {
      await expect(each.take({ withoutRows: true })).rejects.toThrow(/^take: layer 'hidden' .*got a sketch/);
    }
    await pending;
    observe();
    const layers = decodeState(await worker.take()).layers.map(({ layer, rows }) => [layer, rows]);
    expect(layers).toEqual([
      ['hidden', 2 * shapeOf(rowsOf(0))[0]],
      ['narrow', 20],
    ]);
    expect(decodeState(await late.take()).layers.map(({ layer, rows }) => [layer, rows])).toEqual([['hidden', 10]]);
  });

  it('waits for values that are still being read, and what is observed meanwhile is in the next period', async () => {
    const worker = recorder({ role: 'worker' });
    const answers: (() => void)[] = [];
    const late = (rank: number) => {
      const data = rowsOf(rank, 10);
      return {
        dims: shapeOf(data),
        type: 'float32',
        getData: () => new Promise((resolve) => answers.push(() => resolve(data))),
        location: 'gpu-buffer',
      };
    };
    void worker.observe('hidden', late(0) as never, 'train');
    void worker.observe('hidden', late(1) as never, 'train');
    const first = worker.take();
    void worker.observe('hidden', late(2) as never, 'train');
    // The answers come the other way around: the rows are those of the order in which they were observed.
    for (const answer of answers.reverse()) answer();
    const whole = joined(rowsOf(0, 10), rowsOf(1, 10));
    expect(sumsIn(await first).accumulator!.toBytes()).toEqual(sumsIn(await taken(whole)).accumulator!.toBytes());
    expect(sumsIn(await worker.take()).used).toBe(10);
  });

  it('goes on in another process from toBytes with the rows that were kept, the sums by class and the sketch', async () => {
    for (const options of [{ stats: ['embed', 'collapseNC1', 'saturation'] }, { maxWidth: 4 }] as RecorderOptions[]) {
      const [through, before, after] = [recorder(options), recorder(options), recorder(options)];
      const observe = (to: SaturationRecorder, rank: number) => {
        const data = rowsOf(rank, 900);
        const labels = Array.from({ length: 900 }, (_, i) => i % 4);
        to.observe('hidden', { data, shape: shapeOf(data) }, 'train', { labels });
      };
      observe(through, 0);
      observe(before, 0);
      after.restore(before.toBytes());
      expect(Buffer.compare(after.toBytes(), before.toBytes())).toBe(0);
      observe(through, 1);
      observe(after, 1);
      expect(Buffer.compare(after.toBytes(), through.toBytes())).toBe(0);
    }
  });
});

describe('a worker', () => {
  const warnings = catchWarnings();

  it('writes nothing, whatever it is told, and solves nothing', async () => {
    const logdir = join(temporaryFolder(), 'run');
    const solve = vi.spyOn(sharedSolver, 'solve');
    onTestFinished(() => solve.mockRestore());
    const store = new RecordingStore();
    const worker = new SaturationRecorder(logdir, { role: 'worker', saveTo: ['tensorboard', store] });
    worker.observe('hidden', { data: rowsOf(0), shape: shapeOf(rowsOf(0)) }, 'train');
    worker.addScalar('mine', 1);
    expect(decodeState(await worker.take()).epoch).toBe(0);
    expect(decodeState(await worker.take()).epoch).toBe(1);
    await expect(worker.addSaturations()).rejects.toThrow(
      "addSaturations: expected role 'alone' or 'writer', got 'worker': take() ends its periods",
    );
    expect(() => worker.addStore(store)).toThrow(/^addStore: expected role/);
    worker.observe('hidden', { data: rowsOf(0), shape: shapeOf(rowsOf(0)) }, 'train');
    await worker.close();
    await expect(worker.take()).rejects.toThrow(/take/);
    expect(existsSync(logdir)).toBe(false);
    expect(store.epochs).toEqual([]);
    expect(solve).not.toHaveBeenCalled();
    expect(warnings.join()).toMatch(/close: expected take\(\) first, got rows/);
    expect(() => new SaturationRecorder('', { role: 'boss' as never })).toThrow(
      /role: expected one of 'alone', 'worker', 'writer', got the string "boss"/,
    );
  });

  it('is asked for by a writer that was given nothing', async () => {
    const writer = recorder({ role: 'writer' });
    writer.observe('hidden', { data: rowsOf(0), shape: shapeOf(rowsOf(0)) }, 'train');
    expect(writer.isRecording).toBe(false);
    expect(await writer.addSaturations()).toEqual([]);
    expect(warnings.join()).toMatch(/addSaturations: expected merge\(bytes\) first with role 'writer', got no rows/);
  });
});
