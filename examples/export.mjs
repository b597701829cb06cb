// Export: the numbers of a logdir as tables for other programs, by the command line.
//   node examples/export.mjs [logdir]
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/export';
const writer = new SummaryWriter(logdir);
for (const [name, rate] of Object.entries({ slow: 0.01, fast: 0.1 })) {
  const run = writer.run(name);
  run.addHparams({ rate }, {});
  for (let step = 0; step <= 20; step++) run.addScalar('train/loss', Math.exp(-step * rate), step);
}
await writer.close();

// Outside of this repository: npx delve-tensorboard export ...
const cli = fileURLToPath(import.meta.resolve('delve-tensorboard').replace(/index\.js$/, 'cli.js'));
const run = (...args) => execFileSync(process.execPath, [cli, 'export', logdir, ...args], { encoding: 'utf8' });
console.log(run('--kind', 'hparams'));
console.log(run('--wide', '--out', `${logdir}/scalars.csv`));
console.log(readFileSync(`${logdir}/scalars.csv`, 'utf8').split('\r\n').slice(0, 3).join('\n'));
