import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { dismiss, useKernels } from '../../src/kernels/kernels.js';
import type { OfferWork, SharedWork } from '../../src/kernels/numeric-kernels.js';
import type { SymmetricMatrix } from '../../src/kernels/symmetric.js';
import { createWasmKernels } from '../../src/kernels/wasm/kernels.js';
import type { WorkerListener, WorkerThread } from '../../src/platform/platform.js';
import { ComputeThread } from '../../src/statistics/threads/thread.js';
import { wasmBuilds } from '../support/kernels.js';
import { gaussianRows } from '../support/random.js';

/** A full matrix of both signs without structure. */
function matrixOf(size: number, seed = size): SymmetricMatrix {
  const entries = gaussianRows(size, new Float64Array(size).fill(1), seed);
  return { size, entries: Float64Array.from(entries), packed: false };
}

const bitsOf = (values: Float64Array) => new BigUint64Array(values.slice().buffer);

/** Sleeps until the second thread has come to where the threads meet. */
function awaitSecond({ memory, meeting }: SharedWork): void {
  const words = new Int32Array(memory.buffer);
  while (Atomics.load(words, meeting / 4 + 1) === 0) Atomics.wait(words, meeting / 4 + 1, 0, 1);
}

describe.each(wasmBuilds)('eigenvalues on two threads, %s', (build) => {
  const wasm = createWasmKernels(build, 1);
  let second: ComputeThread;
  beforeAll(async () => {
    useKernels(build);
    second = new ComputeThread();
    await second.ready;
  });
  afterAll(() => second.terminate());

  /** Eigenvalues, and how many parts of the work the second thread did, which is there when it begins. */
  async function onTwo(matrix: SymmetricMatrix, onOffer?: OfferWork): Promise<[Float64Array, number]> {
    let parts: Promise<number> | undefined;
    const values = wasm.eigenvalues(matrix, (work) => {
      parts = second.ask({ type: 'assist', work }).result;
      awaitSecond(work);
      onOffer?.(work);
    });
    return [values, await parts!];
  }

  // Less than a panel, about one and two, and odd numbers of rows in the last block.
  it.each([1, 2, 31, 36, 37, 65, 71, 73, 97, 109, 161, 226, 323, 515, 768, 1003])(
    'have the bits of one thread at size %i',
    async (size) => {
      const matrix = matrixOf(size);
      const [values] = await onTwo(matrix);
      expect(bitsOf(values)).toEqual(bitsOf(wasm.eigenvalues(matrix)));
    },
  );

  it('are found by both: the second thread does parts, and the bits stay', async () => {
    let parts = 0;
    for (let seed = 0; seed < 100 && parts < 20; seed++) {
      const matrix = matrixOf(600, seed);
      const [values, done] = await onTwo(matrix);
      expect(bitsOf(values)).toEqual(bitsOf(wasm.eigenvalues(matrix)));
      parts += done;
    }
    expect(parts).toBeGreaterThanOrEqual(20);
  });

  it('are found by one if the second thread is sent away, or comes when all is done', async () => {
    const matrix = matrixOf(200);
    const [values, parts] = await onTwo(matrix, dismiss);
    expect(bitsOf(values)).toEqual(bitsOf(wasm.eigenvalues(matrix)));
    expect(parts).toBe(0);
    let offered: SharedWork | undefined;
    wasm.eigenvalues(matrix, (work) => {
      offered = work;
    });
    expect(await second.ask({ type: 'assist', work: offered! }).result).toBe(0);
  });
});

describe('the second thread of the solver', () => {
  const terminations: (() => void)[] = [];
  afterEach(() => {
    for (const terminate of terminations.splice(0)) terminate();
    vi.doUnmock('#platform');
    vi.resetModules();
  });

  type StartWorker = (source: string, listener: WorkerListener) => WorkerThread | undefined;

  /** A solver of its own on a machine with so many free processors; the workers that it starts, and what they are sent. */
  async function freshSolver(free: number | undefined, refused = Number.POSITIVE_INFINITY) {
    vi.resetModules();
    const { startWorker } = await vi.importActual<{ startWorker: StartWorker }>('#platform');
    const started: { isRunning: boolean; types: string[]; terminate(): void }[] = [];
    const observed: StartWorker = (source, listener) => {
      if (started.length >= refused) return undefined;
      const worker = startWorker(source, listener)!;
      const entry = {
        isRunning: true,
        types: [] as string[],
        terminate() {
          entry.isRunning = false;
          worker.terminate();
        },
      };
      started.push(entry);
      terminations.push(entry.terminate);
      const post: WorkerThread['post'] = (message, transfer) => {
        entry.types.push((message as { type: string }).type);
        worker.post(message, transfer);
      };
      return { ...worker, post, terminate: entry.terminate };
    };
    const freeProcessors = () => free;
    vi.doMock('#platform', async (original) => ({
      ...(await original<object>()),
      startWorker: observed,
      freeProcessors,
    }));
    const { sharedSolver } = await import('../../src/statistics/threads/solver.js');
    const threads = await import('../../src/statistics/threads/second-thread.js');
    const solve = async (matrix: SymmetricMatrix) => {
      const { entries } = matrix;
      const solved = await sharedSolver.solve({ matrix: { ...matrix, entries: entries.slice() } }).result;
      return bitsOf(solved.eigenvalues);
    };
    return { solve, started, ...threads };
  }

  const large = matrixOf(1800);
  const expected = async () => {
    const { kernels } = await import('../../src/kernels/kernels.js');
    return bitsOf(kernels().eigenvalues(large));
  };

  it('helps with large matrices where processors are free, and says so', async () => {
    const { solve, started, solverThreads } = await freshSolver(2);
    expect(solverThreads()).toBe(1);
    await solve(matrixOf(300));
    expect(started).toHaveLength(1);
    expect(await solve(large)).toEqual(await expected());
    expect(started.map(({ types }) => types.includes('assist'))).toEqual([false, true]);
    await vi.waitFor(() => expect(solverThreads()).toBe(2));
  });

  it.each([
    ['the processors are busy', 1, 'auto'],
    ['there is one processor, or no shared memory', undefined, 'auto'],
    ['it is forbidden', 2, 1],
  ] as const)('does not help where %s', async (_, free, count) => {
    const { solve, started, solverThreads, useSolverThreads } = await freshSolver(free);
    useSolverThreads(count);
    expect(await solve(large)).toEqual(await expected());
    expect(started).toHaveLength(1);
    expect(solverThreads()).toBe(1);
  });

  it('helps with busy processors if two threads are asked for', async () => {
    const { solve, started, useSolverThreads } = await freshSolver(0);
    useSolverThreads(2);
    expect(await solve(large)).toEqual(await expected());
    expect(started.map(({ types }) => types.at(-1))).toEqual(['solve', 'assist']);
  });

  it('is not missed if it cannot start', async () => {
    const { solve, started, solverThreads, useSolverThreads } = await freshSolver(2, 1);
    useSolverThreads(2);
    expect(await solve(large)).toEqual(await expected());
    expect(started).toHaveLength(1);
    expect(solverThreads()).toBe(1);
  });

  it.each([0, 1])('ends with the solver: when thread %i of both dies in the middle, neither is left', async (index) => {
    const { solve, started, useSolverThreads } = await freshSolver(2);
    useSolverThreads(2);
    const solving = expect(solve(matrixOf(4000))).rejects.toThrow('thread');
    await vi.waitFor(() => expect(started[1]?.types).toContain('assist'), { timeout: 60_000 });
    started[index].terminate();
    await solving;
    expect(started.map(({ isRunning }) => isRunning)).toEqual([false, false]);
  });

  it('is counted by 1, 2 or auto', async () => {
    const { useSolverThreads } = await freshSolver(2);
    for (const count of [0, 3, '2', undefined] as unknown as 1[]) {
      expect(() => useSolverThreads(count)).toThrow("useSolverThreads: expected 1, 2 or 'auto', got ");
    }
  });
});
