// Worker threads (and other processes) below one logdir: each writes a run of its own.
//   node examples/workers.mjs [logdir]
// Two files of one run that hold the same tag and steps hide each other: the Rust loader shows one of them only.
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/workers';

if (isMainThread) {
  const workers = [0.1, 0.3, 1].map((learningRate, index) => {
    const worker = new Worker(new URL(import.meta.url), {
      argv: [logdir],
      workerData: { name: `worker${index}`, learningRate },
    });
    return new Promise((ended) => worker.once('exit', ended));
  });
  await Promise.all(workers);
  console.log(`tensorboard --logdir ${logdir}`);
} else {
  const { name, learningRate } = workerData;
  const writer = new SummaryWriter(logdir);
  const run = writer.run(name);
  for (let step = 0; step < 100; step++) run.addScalar('loss', Math.exp((-learningRate * step) / 20), step);
  // A worker that is terminated from outside runs no exit handler: close before you say that you are done.
  await writer.close();
}
