import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { WorkerListener, WorkerThread } from '../../src/platform/platform.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { solveAccumulator, solveRequest } from '../../src/statistics/threads/solve.js';
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

type StartWorker = (source: string, listener: WorkerListener) => WorkerThread | undefined;

/** A solver of its own, whose workers `startWorker` starts; by default real ones. */
async function freshSolver(startWorker?: StartWorker) {
  vi.resetModules();
  const { startWorker: startReal } = await vi.importActual<{ startWorker: StartWorker }>('#platform');
  const started: { isRunning: boolean; listener: WorkerListener }[] = [];
  const observed: StartWorker = (source, listener) => {
    const worker = (startWorker ?? startReal)(source, listener);
    const entry = { isRunning: worker !== undefined, listener };
    started.push(entry);
    const terminate = () => {
      entry.isRunning = false;
      worker?.terminate();
    };
    terminations.push(terminate);
    return worker && { ...worker, terminate };
  };
  vi.doMock('#platform', async (original) => ({ ...(await original<object>()), startWorker: observed }));
  const { sharedSolver } = await import('../../src/statistics/threads/solver.js');
  return { solver: sharedSolver, started };
}
const terminations: (() => void)[] = [];

describe('what many rows would show, estimated where spectra are solved', () => {
  const variances = Float64Array.from({ length: 24 }, (_, i) => 1 / (i + 1));
  const solve = (rows: number, independence?: number) => {
    const accumulator = new CovarianceAccumulator(24);
    accumulator.update(gaussianRows(rows, variances, 3));
    return solveAccumulator(accumulator, { independence });
  };

  it.each([
    [96, 1, 96],
    [96, 0.5, 48],
    [96, 0.001, 1],
    [3, 1, 3],
  ])('is what the spectrum itself says: %i rows, each worth %f', (rows, independence, effectiveSamples) => {
    const solved = { ...solve(rows, independence), effectiveSamples };
    expect(solved.corrected?.rows).toBe(effectiveSamples);
    const own = Spectrum.fromSolved({ ...solved, corrected: undefined }).corrected();
    expect(solved.corrected?.population).toEqual(own?.eigenvalues);
    expect(Spectrum.fromSolved(solved).corrected()?.eigenvalues).toEqual(own?.eigenvalues);
  });

  it('is left out where rows are many, or nobody said what they are worth', () => {
    expect(solve(2400, 1).corrected).toBeUndefined();
    expect(solve(2400, 0.99).corrected).toBeDefined();
    expect(solve(96).corrected).toBeUndefined();
  });
});

describe('the shared solver', () => {
  afterEach(() => {
    for (const terminate of terminations.splice(0)) terminate();
    vi.doUnmock('#platform');
    vi.resetModules();
  });

  it('solves on another thread, in the order asked, with the numbers of this thread', async () => {
    const { solver, started } = await freshSolver();
    const order: number[] = [];
    const requests = [3, 1, 2].map((k) => {
      const accumulator = new CovarianceAccumulator(30);
      accumulator.update(gaussianRows(500, new Float64Array(30).fill(k), k));
      return { state: accumulator.copyState(), options: {} };
    });
    const expected = requests.map((request) => solveRequest(structuredClone(request)));
    const solved = await Promise.all(
      requests.map(async (request, k) => {
        const result = await solver.solve(request).result;
        order.push(k);
        return result;
      }),
    );
    expect(solved).toEqual(expected);
    expect(order).toEqual([0, 1, 2]);
    expect(started.length).toBe(1);
    expect(requests[0].state.moments?.scatter.length).toBe(0); // handed over, not copied
  });

  it('leaves the arrays of a request where they are when it is told to copy', async () => {
    const { solver } = await freshSolver();
    const request = { matrix: matrix([1, 2, 3]) };
    expect((await solver.solve(request, true).result).eigenvalues).toEqual(Float64Array.of(3, 2, 1));
    expect(request).toEqual({ matrix: matrix([1, 2, 3]) });
  });

  it('rejects with the error of the solver and goes on', async () => {
    const { solver, started } = await freshSolver();
    await expect(solver.solve({ matrix: matrix([1, Number.NaN]) }).result).rejects.toThrow(RangeError);
    await expect(solver.solve({ matrix: matrix([1, Number.NaN]) }).result).rejects.toThrow(
      /covariance: expected finite numbers, got NaN at entry \(1, 1\)/,
    );
    expect((await solver.solve({ matrix: matrix([2, 3]) }).result).eigenvalues).toEqual(Float64Array.of(3, 2));
    expect(started.length).toBe(1);
  });

  it('rejects what is open when its thread dies, and starts another one afterwards', async () => {
    const { solver, started } = await freshSolver();
    await solver.solve({ matrix: matrix([1]) }).result;
    const open = solver.solve({ matrix: matrix(new Array(400).fill(1)) }).result;
    await Promise.resolve();
    started[0].listener.onError(new Error('out of memory'));
    await expect(open).rejects.toThrow(/out of memory/);
    expect((await solver.solve({ matrix: matrix([4]) }).result).eigenvalues).toEqual(Float64Array.of(4));
    expect(started.length).toBe(2);
  });

  it('ends its thread when that has been idle for ten seconds, and starts another one when it is needed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const { solver, started } = await freshSolver();
      await solver.solve({ matrix: matrix([1]) }).result;
      vi.advanceTimersByTime(9_000);
      await solver.solve({ matrix: matrix([1]) }).result;
      vi.advanceTimersByTime(9_000);
      expect(started.map(({ isRunning }) => isRunning)).toEqual([true]);
      vi.advanceTimersByTime(1_001);
      expect(started.map(({ isRunning }) => isRunning)).toEqual([false]);
      expect((await solver.solve({ matrix: matrix([4]) }).result).eigenvalues).toEqual(Float64Array.of(4));
      expect(started.map(({ isRunning }) => isRunning)).toEqual([false, true]);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each<[string, StartWorker]>([
    ['are missing', () => undefined],
    [
      'cannot run the script',
      (_source, listener) => {
        queueMicrotask(() => listener.onError(new Error('blocked by a content security policy')));
        return { post: () => {}, receive: () => false, setRef: () => {}, terminate: () => {} };
      },
    ],
  ])('solves on this thread if workers %s', async (_, startWorker) => {
    const { solver, started } = await freshSolver(startWorker);
    const request = { matrix: matrix([1, 7]) };
    expect((await solver.solve(request).result).eigenvalues).toEqual(Float64Array.of(7, 1));
    expect((await solver.solve(request).result).eigenvalues).toEqual(Float64Array.of(7, 1));
    expect(started.length).toBe(1); // it does not try again
  });

  it('keeps a program alive until an open request is answered, and not until its thread is ended', async () => {
    const folder = temporaryFolder();
    const source = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));
    const program = join(folder, 'program.mjs');
    writeFileSync(
      join(folder, 'entry.ts'),
      `import { Spectrum } from ${JSON.stringify(source('statistics/spectrum.ts'))};
       let solvedAt;
       void Spectrum.solve(Float64Array.of(3, 0, 0, 1)).then(({ eigenvalues }) => {
         solvedAt = performance.now();
         console.log('solved ' + eigenvalues);
       });
       process.on('exit', () => console.log(performance.now() - solvedAt < 9_000 ? 'ended at once' : 'waited'));`,
    );
    const bundle = await rolldown({
      input: join(folder, 'entry.ts'),
      platform: 'node',
      resolve: { extensionAlias: { '.js': ['.ts', '.js'] }, alias: { '#platform': source('platform/node.ts') } },
    });
    await bundle.write({ file: program, format: 'esm' });
    const output = execFileSync(process.execPath, [program], { timeout: 120_000, encoding: 'utf8' });
    // Had the program waited until the idle thread is ended, that would have taken ten seconds.
    expect(output).toBe('solved 3,1\nended at once\n');
  });
});
