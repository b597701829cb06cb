// What benchmarks measure with: the Python process that times LAPACK, medians and how well they are known.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pythonWith } from './python.mjs';

/** Starts bench/lapack.py on torch; undefined where torch cannot be had. */
export async function startLapack(threads = 1) {
  const { python, versions } = pythonWith(['torch', 'numpy']);
  if (versions.torch === undefined) return undefined;
  const script = fileURLToPath(new URL('./lapack.py', import.meta.url));
  const child = spawn(python, [script], {
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

/** Covariance of 2 d rows whose features have standard deviations 1 / i, packed. @param kernels those that sum */
export function covarianceOf(kernels, d) {
  let state = 1;
  const next = () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
  const columns = Float64Array.from({ length: 2 * d * d }, (_, i) => next() / (1 + (i % d)));
  const entries = new Float64Array((d * (d + 1)) / 2);
  kernels.addOuterProducts(entries, columns, 2 * d, d);
  return { size: d, entries: entries.map((x) => x / (2 * d)), packed: true };
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

/** A number without its fraction, thousands in groups. */
export function whole(x) {
  return x.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** Sizes from the command line (`--sizes 64,256`), else those given. */
export function sizesFrom(text, defaults) {
  return text === undefined ? defaults : text.split(',').map(Number);
}

/**
 * The interval that holds the median in 95 % of cases or more, whatever the distribution: order statistics (Conover 1999, Practical
 * Nonparametric Statistics, section 3.2). Of five numbers and fewer it is all of them, which hold it more rarely.
 */
export function medianInterval(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const n = sorted.length;
  // As many are left out at either end as a fair coin shows heads of n, or fewer, in 2.5 % of cases.
  let left = 0;
  let logProbability = -n * Math.LN2;
  for (let heads = 0, sum = Math.exp(logProbability); 2 * sum <= 0.05; left = heads++) {
    logProbability += Math.log((n - heads) / (heads + 1));
    sum += Math.exp(logProbability);
  }
  return [sorted[left], sorted[n - 1 - left]];
}

/** What is known of a number that was measured several times: its median and the interval of it. */
export function spreadOf(numbers) {
  const [low, high] = medianInterval(numbers);
  return { median: median(numbers), low, high, rounds: numbers.length };
}

/**
 * Repeats a round until the interval of each number is within `within` of its median either way, five rounds at least, or until
 * another round would take longer than `seconds` in all; once in any case. `round` resolves to numbers by name; those that are
 * NaN or undefined were not measured. Resolves to all the numbers by name.
 */
export async function untilKnown(round, { seconds, within = 0.03, least = 5 }) {
  const found = {};
  const end = performance.now() + 1000 * seconds;
  for (let rounds = 1; ; rounds++) {
    const begun = performance.now();
    for (const [name, number] of Object.entries(await round(rounds - 1))) {
      if (number !== undefined && !Number.isNaN(number)) (found[name] ??= []).push(number);
    }
    if (2 * performance.now() - begun > end) return found;
    const isKnown = Object.values(found).every((numbers) => {
      const [low, high] = medianInterval(numbers);
      return high - low <= 2 * within * Math.abs(median(numbers));
    });
    if (rounds >= least && isKnown) return found;
  }
}

/** Runs each way once, in turn: the milliseconds of `plain`, and by the names of the others how many times as long they take. */
export async function besidePlain(ways) {
  const times = {};
  for (const [way, run] of Object.entries(ways)) {
    const start = performance.now();
    await run();
    times[way] = performance.now() - start;
  }
  const { plain, ...others } = times;
  const ratios = Object.entries(others).map(([way, time]) => [way, time / plain]);
  return { plain, ...Object.fromEntries(ratios) };
}
