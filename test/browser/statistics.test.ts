import { describe, expect, it } from 'vitest';
import { commands } from 'vitest/browser';
import { CovarianceAccumulator, kernelsName, Spectrum, useKernels } from '../../src/index.js';
import { kernels } from '../../src/kernels/kernels.js';
import { ComputeThread } from '../../src/statistics/threads/thread.js';
import { distance, relativeDistance } from '../support/random.js';
import { jsonFixture, numbers } from './fixtures.js';

interface Reference {
  x: string;
  n: number;
  d: number;
  batch_rows: number[];
  files: Record<'cov_twopass' | 'mean' | 'eig_svd', string>;
  participation_ratio: number | null;
  idim: Record<string, { paper_twopass: number | null; margin: number | null }>;
}

const { cases } = await jsonFixture<{ cases: Record<string, Reference | { views: object }> }>('numeric/index.json');
const matrices = Object.entries(cases).filter((entry): entry is [string, Reference] => !('views' in entry[1]));

describe("statistics in a page, beside numpy's and Node's numbers", () => {
  it('runs the WebAssembly kernels', () => {
    expect(kernels().name).toMatch(/^wasm(-fma)?$/);
  });

  it.each(matrices)('%s', async (_name, reference) => {
    const { d, n, files, idim } = reference;
    const samples = await numbers(reference.x);
    const accumulator = new CovarianceAccumulator(d);
    let row = 0;
    for (const rows of reference.batch_rows) {
      accumulator.update(samples.subarray(row * d, (row += rows) * d));
    }
    expect(accumulator.count).toBe(n);
    expect(relativeDistance(accumulator.covariance(), await numbers(files.cov_twopass))).toBeLessThan(1e-10);
    const expected = await numbers(files.eig_svd);
    const solved = await Spectrum.solve(accumulator);
    expect(distance(solved.eigenvalues, expected)).toBeLessThanOrEqual(1e-10 * expected[0]);
    expect(Spectrum.of(accumulator).eigenvalues).toEqual(solved.eigenvalues);
    expect(solved.participationRatio).toBeCloseTo(reference.participation_ratio ?? 0, 8);
    for (const [threshold, { paper_twopass, margin }] of Object.entries(idim)) {
      if ((margin ?? 1) < 1e-12) continue;
      expect(solved.intrinsicDimensionality(Number(threshold))).toBe(paper_twopass ?? 0);
    }
    // The kernels that fuse nothing use sums, products and square roots only: the same digits wherever they run.
    const own = kernelsName();
    useKernels('wasm');
    try {
      const whole = new CovarianceAccumulator(d);
      whole.update(samples);
      expect([...Spectrum.of(whole).eigenvalues]).toEqual(await commands.eigenvaluesInNode([...samples], d));
    } finally {
      useKernels(own);
    }
  });

  it('solves in a worker of its own, which a page can start from source', async () => {
    const thread = new ComputeThread();
    await thread.ready;
    const samples = await numbers('n_gt_d/x.npy');
    const accumulator = new CovarianceAccumulator((cases.n_gt_d as Reference).d);
    accumulator.update(samples);
    const request = { state: accumulator.copyState(), options: { mean: true } };
    const solved = await thread.ask({ type: 'solve', request }).result;
    expect(solved?.eigenvalues).toEqual(Spectrum.of(accumulator).eigenvalues);
    expect(distance(solved!.mean!, await numbers('n_gt_d/mean.npy'))).toBeLessThan(1e-10);
    thread.terminate();
  });
});
