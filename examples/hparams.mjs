// Hyperparameters: one set for each run, beside its scalars.
//   node examples/hparams.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/hparams';
const domains = { learningRate: { min: 0, max: 1 }, optimizer: ['sgd', 'adam'], batchNorm: [true, false] };
const writer = new SummaryWriter(logdir);
for (const learningRate of [0.1, 0.01]) {
  for (const optimizer of domains.optimizer) {
    for (const batchNorm of domains.batchNorm) {
      const run = writer.run(`lr=${learningRate},${optimizer}${batchNorm ? ',bn' : ''}`);
      let accuracy = 0;
      for (let step = 0; step < 20; step++) {
        accuracy = 1 - Math.exp(-(step + 1) * learningRate * (batchNorm ? 4 : 2));
        run.addScalar('accuracy', accuracy, step);
      }
      run.addHparams({ learningRate, optimizer, batchNorm }, { accuracy }, { domains });
    }
  }
}
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);
