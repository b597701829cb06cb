// What the kernel benchmarks share: the Python process that times LAPACK, medians, and table rows.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Starts bench/lapack.py with .venv-bench's Python or the system's; undefined where neither has torch or numpy. */
export async function startLapack(threads = 1) {
  const own = here('../.venv-bench/bin/python');
  const child = spawn(existsSync(own) ? own : 'python3', [here('lapack.py')], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, LAPACK_THREADS: String(threads) },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const failed = new Promise((resolve) => child.on('error', () => resolve({ done: true })));
  const first = await Promise.race([lines.next(), failed]);
  if (first.done) return undefined;
  return {
    library: JSON.parse(first.value).library,
    /** Milliseconds of each repeat. */
    async time(job, d, n, repeats) {
      child.stdin.write(`${JSON.stringify({ job, d, n, repeats })}\n`);
      return JSON.parse((await lines.next()).value).times;
    },
    close: () => child.stdin.end(),
  };
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function time(work) {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** A number with three digits. */
export function digits(x) {
  return x === undefined || Number.isNaN(x) ? '' : Number(x.toPrecision(3)).toString();
}

export function printRow(cells) {
  console.log(`| ${cells.join(' | ')} |`);
}

/** Sizes from the command line (`--sizes 64,256`), else those given. */
export function sizesFrom(defaults) {
  const at = process.argv.indexOf('--sizes');
  return at < 0 ? defaults : process.argv[at + 1].split(',').map(Number);
}

/** The interval that holds the median in 95 % of cases, whatever the distribution: order statistics of the binomial. */
export function medianInterval(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = 0.98 * Math.sqrt(sorted.length);
  const at = (k) => sorted[Math.min(sorted.length - 1, Math.max(0, k))];
  return [at(Math.floor(sorted.length / 2 - half)), at(Math.ceil(sorted.length / 2 + half) - 1)];
}
