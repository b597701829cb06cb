// A worker of the fault tests, in a process of its own so that it can be killed: forked with its job as JSON, it tells its parent
// over IPC what happens. It uses the package as it is built.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { s3Store } from '../../dist/object-stores.js';
import { bullmqEngine, folderPartials, objectPartials, readPlan } from '../../dist/scale.js';
import { mapSynthetic } from './synthetic.mjs';

/** planFile, engine: options of bullmqEngine, folder or bucket, poison: a shard that throws, holdAt: the batch at which a shard waits. */
const { planFile, engine, folder, bucket, poison, holdAt, batchMillis = 0 } = JSON.parse(process.argv[2]);

const tell = (message) => process.connected && process.send(message);
let release;
const released = new Promise((resolve) => (release = resolve));
process.on('message', (message) => message === 'go' && release());
process.on('disconnect', () => process.exit());

async function* map(shard, context) {
  tell({ kind: 'map', shard });
  if (shard === poison) throw new Error(`the disk of ${shard} is broken`);
  let batches = 0;
  for await (const _ of mapSynthetic(shard, context)) {
    if (batchMillis > 0) await sleep(batchMillis);
    if (++batches === holdAt) {
      tell({ kind: 'held', shard });
      context.signal.addEventListener('abort', release);
      await released;
    }
    yield;
  }
}

const store = bucket ? objectPartials(s3Store(bucket), { prefix: 'partials' }) : folderPartials(folder);
const onEvent = (event) => event.kind !== 'batch' && tell(event);
const workers = await bullmqEngine({ ...engine, onEvent }).work(readPlan(readFileSync(planFile, 'utf8')), {
  map,
  store,
  onEvent,
});
tell({ kind: 'up' });
process.once('SIGTERM', async () => {
  await workers.close();
  process.exit();
});
