// A program that adds scalars until it is killed, for bench/loss-window.mjs:
//   node bench/loss-window-job.mjs <dist> <load> <logdir> <journal>
// The journal says when which scalars were added: pairs of float64, a step and the milliseconds (of the system's monotonic
// clock) before it was added, or NaN if everything up to that step has been added and nothing more is being added.
import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const [dist, load, logdir, journalPath] = process.argv.slice(2);
const { SummaryWriter } = await import(`${dist}/index.js`);

const journal = openSync(journalPath, 'w');
const pair = new Float64Array(2);
const log = (step, time) => {
  pair[0] = step;
  pair[1] = time;
  writeSync(journal, pair);
};
const now = () => Number(process.hrtime.bigint()) / 1e6;

const writer = new SummaryWriter(logdir);
let step = 0;
/** Adds `count` scalars; what the journal says of them is right to `every` scalars. */
const add = (count, every = count) => {
  for (let i = 0; i < count; i++) {
    if (i % every === 0) log(step, now());
    writer.addScalar('loss', step, step++);
  }
  log(step, Number.NaN);
};
const compute = (millis) => {
  for (const end = now() + millis; now() < end; );
};

const loads = {
  'one scalar per 50 ms': async () => {
    for (;;) {
      add(1);
      await sleep(50);
    }
  },
  'bursts of 1,000 every 100 ms': async () => {
    for (;;) {
      add(1000, 50);
      await sleep(100);
    }
  },
  'a busy loop': () => {
    for (;;) add(1e6, 256);
  },
  'steps of 4 s, 5 scalars before each': () => {
    for (;;) {
      add(5, 1);
      compute(4000);
    }
  },
  'steps of 4 s, 20,000 scalars before each': () => {
    for (;;) {
      add(20_000, 500);
      compute(4000);
    }
  },
  'a heap that grows until it is exhausted': async () => {
    for (const kept = []; ; ) {
      add(5, 1);
      for (let i = 0; i < 20; i++) kept.push(Array.from({ length: 1000 }, () => ({})));
      await sleep(1);
    }
  },
};
await loads[load]();
