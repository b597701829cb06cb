// Reading: every run below a logdir, whoever wrote it, and what is added while it is watched.
//   node examples/read-events.mjs [logdir] [--follow]
import { listRuns, readEvents, SummaryWriter } from 'delve-tensorboard';

const [logdir = 'runs/examples/read-events'] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const follow = process.argv.includes('--follow');

if (process.argv.length === 2) {
  const writer = new SummaryWriter(logdir);
  for (let step = 0; step < 5; step++) writer.addScalar('train/loss', 1 / (step + 1), step);
  writer.addHistogram('weights', Float32Array.from({ length: 1000 }, Math.random), 4);
  await writer.close();
}

for (const { run, files } of await listRuns(logdir)) {
  console.log(`${run}: ${files.length} file(s)`);
  const folder = run === '.' ? logdir : `${logdir}/${run}`;
  // A damaged file costs what comes after the damage; the run's other files are read all the same.
  for await (const { step, summary = [] } of readEvents(folder, { follow, onCorrupt: 'nextFile' })) {
    for (const { tag, plugin, value } of summary) {
      if (plugin === 'scalars') console.log(`  ${tag} @ ${step}: ${value}`);
      else if (plugin === 'histograms') console.log(`  ${tag} @ ${step}: ${value.buckets.length / 3} buckets`);
      else console.log(`  ${tag} @ ${step}: ${plugin}`);
    }
  }
}
