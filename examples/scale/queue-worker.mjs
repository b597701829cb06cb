// A worker of the example that takes nodes from a queue, and says what happens.
import { readFileSync } from 'node:fs';
import { bullmqEngine, folderPartials, nameOf, readPlan } from 'delve-tensorboard/scale';
import { map } from './digits.mjs';

const [planFile, storeFolder, connection] = process.argv.slice(2);
const tell = ({ kind, node, reason }) =>
  process.connected && process.send({ kind, node: typeof node === 'object' ? nameOf(node) : node, reason });
// Shards of a second need no longer locks; see the defaults for shards of minutes.
const engine = bullmqEngine({ connection, lockDuration: 3000, stalledInterval: 500, onEvent: tell });
const workers = await engine.work(readPlan(readFileSync(planFile, 'utf8')), {
  map,
  store: folderPartials(storeFolder),
  onEvent: tell,
});
// The answer may have been there before this worker was ready.
if (process.connected) process.once('disconnect', () => workers.close());
else await workers.close();
