import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { solveRequest } from '../../src/statistics/threads/solve.js';
import { SolverPool } from '../../src/statistics/threads/solver.js';
import { temporaryFolder } from '../support/folders.js';
import { gaussianRows } from '../support/random.js';

const matrix = (values: number[]) => {
  const size = values.length;
  const entries = new Float64Array(size * size);
  values.forEach((x, i) => {
    entries[i * (size + 1)] = x;
  });
  return { size, entries, packed: false };
};

describe('SolverPool', () => {
  const pools: SolverPool[] = [];
  const pool = (threads?: number) => {
    const made = new SolverPool(threads);
    pools.push(made);
    return made;
  };
  afterEach(() => {
    for (const made of pools.splice(0)) made.close();
    vi.doUnmock('#platform');
    vi.resetModules();
  });

  it('solves on another thread, in the order asked, with the numbers of this thread', async () => {
    const solver = pool();
    const order: number[] = [];
    const requests = [3, 1, 2].map((k) => {
      const accumulator = new CovarianceAccumulator(30);
      accumulator.update(gaussianRows(500, new Float64Array(30).fill(k), k));
      return { state: accumulator.copyState(), wishes: {} };
    });
    const expected = requests.map((request) => solveRequest(structuredClone(request)));
    const solved = await Promise.all(
      requests.map(async (request, k) => {
        const result = await solver.solve(request);
        order.push(k);
        return result;
      }),
    );
    expect(solved).toEqual(expected);
    expect(order).toEqual([0, 1, 2]);
    expect(solver.threads).toBe(1);
    expect(requests[0].state.moments?.scatter.length).toBe(0); // handed over, not copied
  });

  it('starts further threads only when the others are busy, and never more than allowed', async () => {
    const solver = pool(2);
    await solver.solve({ matrix: matrix([1]) });
    await solver.solve({ matrix: matrix([1]) });
    expect(solver.threads).toBe(1);
    const all = await Promise.all([5, 6, 7, 8].map((x) => solver.solve({ matrix: matrix([x, 0]) })));
    expect(all.map(({ eigenvalues }) => eigenvalues[0])).toEqual([5, 6, 7, 8]);
    expect(solver.threads).toBe(2);
  });

  it('rejects with the error of the solver and goes on', async () => {
    const solver = pool();
    await expect(solver.solve({ matrix: matrix([1, Number.NaN]) })).rejects.toThrow(RangeError);
    await expect(solver.solve({ matrix: matrix([1, Number.NaN]) })).rejects.toThrow(/entry \(1, 1\) is NaN/);
    expect((await solver.solve({ matrix: matrix([2, 3]) })).eigenvalues).toEqual(Float64Array.of(3, 2));
  });

  it('rejects what is open when it is closed, and starts afresh afterwards', async () => {
    const solver = pool();
    await solver.solve({ matrix: matrix([1]) });
    const open = solver.solve({ matrix: matrix(new Array(400).fill(1)) });
    await Promise.resolve();
    solver.close();
    await expect(open).rejects.toThrow(/closed/);
    expect(solver.threads).toBe(0);
    expect((await solver.solve({ matrix: matrix([4]) })).eigenvalues).toEqual(Float64Array.of(4));
  });

  it('ends its threads when they have been idle for ten seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const solver = pool();
      await solver.solve({ matrix: matrix([1]) });
      vi.advanceTimersByTime(9_000);
      await solver.solve({ matrix: matrix([1]) });
      vi.advanceTimersByTime(9_000);
      expect(solver.threads).toBe(1);
      vi.advanceTimersByTime(1_001);
      expect(solver.threads).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    ['are missing', () => undefined],
    [
      'cannot run the script',
      (_source: string, listener: { onError(error: Error): void }) => {
        queueMicrotask(() => listener.onError(new Error('blocked by a content security policy')));
        return { post: () => {}, setRef: () => {}, terminate: () => {} };
      },
    ],
  ])('solves on this thread where workers %s', async (_, startWorker) => {
    vi.resetModules();
    vi.doMock('#platform', async (original) => ({ ...(await original<object>()), startWorker }));
    const { SolverPool: Fresh } = await import('../../src/statistics/threads/solver.js');
    const solver = new Fresh();
    const request = { matrix: matrix([1, 7]) };
    expect((await solver.solve(request)).eigenvalues).toEqual(Float64Array.of(7, 1));
    expect((await solver.solve(request)).eigenvalues).toEqual(Float64Array.of(7, 1));
    expect(solver.threads).toBe(0);
  });

  it('refuses a number of threads that is none', () => {
    for (const threads of [0, -1, 1.5, Number.NaN]) expect(() => new SolverPool(threads)).toThrow(RangeError);
  });

  it('keeps a program alive until an open request is answered, and not until its thread is ended', async () => {
    const folder = temporaryFolder();
    const source = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));
    const program = join(folder, 'program.mjs');
    writeFileSync(
      join(folder, 'entry.ts'),
      `import { Spectrum } from ${JSON.stringify(source('statistics/spectrum.ts'))};
       import { solverPool } from ${JSON.stringify(source('statistics/threads/solver.ts'))};
       void Spectrum.solve(Float64Array.of(3, 0, 0, 1)).then(({ eigenvalues }) => console.log('solved ' + eigenvalues));
       process.on('exit', () => console.log(solverPool().threads + ' thread'));`,
    );
    const bundle = await rolldown({
      input: join(folder, 'entry.ts'),
      platform: 'node',
      resolve: { extensionAlias: { '.js': ['.ts', '.js'] }, alias: { '#platform': source('platform/node.ts') } },
    });
    await bundle.write({ file: program, format: 'esm' });
    const output = execFileSync(process.execPath, [program], { timeout: 30_000, encoding: 'utf8' });
    // One thread at the exit: the program did not wait until it was ended for being idle.
    expect(output).toBe('solved 3,1\n1 thread\n');
  });
});
