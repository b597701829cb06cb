import { afterEach, describe, expect, it, vi } from 'vitest';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { RemoteAccumulators } from '../../src/statistics/threads/remote-accumulators.js';
import { solveAccumulator } from '../../src/statistics/threads/solve.js';
import { gaussianRows, relativeDistance } from '../support/random.js';

const workers: RemoteAccumulators[] = [];
function start(options?: { float32Products?: boolean }): RemoteAccumulators {
  const worker = RemoteAccumulators.start(options);
  if (!worker) throw new Error('no worker thread here');
  workers.push(worker);
  return worker;
}

function batches(count: number, rows: number, features: number, seed: number): Float32Array[] {
  const variances = Float64Array.from({ length: features }, (_, i) => 1 / (i + 1));
  return Array.from({ length: count }, (_, b) => Float32Array.from(gaussianRows(rows, variances, seed + b, 10)));
}

describe('RemoteAccumulators', () => {
  afterEach(() => {
    for (const worker of workers.splice(0)) worker.close();
    vi.unstubAllGlobals();
  });

  it.each([false, true])(
    'gives bit for bit what an accumulator here gives, float32 products: %s',
    async (float32Products) => {
      const worker = start({ float32Products });
      const layers = [
        { name: 'dense_1', features: 40, parts: batches(20, 32, 40, 1) },
        { name: 'dense_2', features: 7, parts: batches(20, 300, 7, 2) },
      ];
      for (let b = 0; b < 20; b++)
        for (const { name, features, parts } of layers) worker.update(name, features, parts[b]);
      for (const { name, features, parts } of layers) {
        const here = new CovarianceAccumulator(features, { float32Products });
        for (const part of parts) here.update(part);
        const options = { vectors: 2, covariance: true, mean: true };
        expect(await worker.solve(name, options).result).toEqual(solveAccumulator(here, options));
        const copy = worker.readNow(name);
        expect(copy?.covariance()).toEqual(here.covariance());
        expect(copy?.count).toBe(here.count);
      }
    },
  );

  it('is seen to run by a program that never lets the event loop turn', () => {
    const worker = start();
    expect(worker.isRunning).toBe(false);
    for (const start = performance.now(); !worker.isRunning && performance.now() - start < 10_000; );
    expect(worker.isRunning).toBe(true);
    worker.update('a', 2, Float32Array.of(1, 2, 3, 5));
    expect(worker.readNow('a')?.mean()).toEqual(Float64Array.of(2, 3.5));
  });

  it('starts afresh after a solve with reset', async () => {
    const worker = start();
    const [first, second] = batches(2, 10, 3, 5);
    worker.update('a', 3, first);
    expect((await worker.solve('a', {}, true).result)?.count).toBe(10);
    expect((await worker.solve('a').result)?.count).toBe(0);
    expect(worker.readNow('a')?.count).toBe(0);
    worker.update('a', 3, second);
    expect(worker.readNow('a')?.count).toBe(10);
  });

  it('copies: the batch may be reused at once', async () => {
    const worker = start();
    const batch = Float32Array.of(1, 2, 3, 5);
    worker.update('a', 2, batch);
    batch.fill(Number.NaN);
    const solved = await worker.solve('a', { mean: true }).result;
    expect([solved?.rejected, solved?.mean]).toEqual([0, Float64Array.of(2, 3.5)]);
  });

  it('refuses what the ring has no room for, and accepts it as moments instead', async () => {
    const worker = start();
    const all = new CovarianceAccumulator(4);
    const here = new CovarianceAccumulator(4);
    const part = new Float32Array(3 << 20);
    let refused = 0;
    for (let b = 0; b < 9; b++) {
      for (let i = 0; i < part.length; i++) part[i] = ((i * (b + 3)) % 97) + b;
      all.update(part);
      if (worker.update('a', 4, part)) continue;
      here.update(part);
      refused++;
    }
    const large = new Float32Array((8 << 20) + 4).fill(3);
    all.update(large);
    expect(worker.update('a', 4, large)).toBe(false);
    here.update(large);
    worker.merge('a', here);
    expect(here.count).toBe(0);
    const back = worker.readNow('a');
    expect(back?.count).toBe(all.count);
    expect(relativeDistance(back!.covariance(), all.covariance())).toBeLessThan(1e-12);
    expect(refused).toBeLessThan(9);
  });

  it('keeps names apart and refuses rows that do not fit', async () => {
    const worker = start();
    expect(await worker.solve('nothing').result).toBeUndefined();
    expect(worker.readNow('nothing')).toBeUndefined();
    expect(worker.knows('nothing')).toBe(false);
    worker.update('a', 3, new Float32Array(6));
    expect(() => worker.update('a', 2, new Float32Array(6))).toThrow(/features of "a": expected 3, got number 2/);
    expect(() => worker.update('a', 3, new Float32Array(7))).toThrow(
      /samples of "a": expected rows of 3 features, got 7 numbers/,
    );
    expect(() => worker.update('b', 0, new Float32Array(7))).toThrow(RangeError);
    worker.update('a', 3, new Float32Array(0));
    expect((await worker.solve('a').result)?.count).toBe(2);
  });

  it('one accumulator that fails says so once, and the others go on', async () => {
    const worker = start();
    worker.update('a', 2, Float32Array.of(1, 2, 3, 5));
    worker.update('b', 2, Float32Array.of(1, 2, 3, 5));
    const other = new CovarianceAccumulator(3);
    other.update(Float32Array.of(1, 2, 3));
    worker.merge('a', other);
    worker.update('b', 2, Float32Array.of(5, 9));
    expect(worker.readNow('a')).toBeUndefined();
    await expect(worker.solve('a', {}, true).result).rejects.toThrow(/features/);
    expect((await worker.solve('b', {}, true).result)?.count).toBe(3);
    expect((await worker.solve('a', {}, true).result)?.count).toBe(0);
    expect(worker.failure).toBeUndefined();
  });

  it('says so when it is used after close', async () => {
    const worker = start();
    worker.update('a', 1, [1, 2]);
    const open = worker.solve('a').result;
    worker.close();
    await expect(open).rejects.toThrow(/closed/);
    expect(() => worker.update('a', 1, [1])).toThrow(/closed/);
    expect(worker.readNow('a')).toBeUndefined();
  });

  it('is not available if memory cannot be shared', () => {
    vi.stubGlobal('SharedArrayBuffer', undefined);
    expect(RemoteAccumulators.start()).toBeUndefined();
  });
});
