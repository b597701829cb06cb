// A worker of the example: does the nodes that it is told to do, and says what happens.
import { readFileSync } from 'node:fs';
import { folderPartials, readPlan, workOn } from 'delve-tensorboard/scale';
import { map } from './digits.mjs';

const [planFile, storeFolder] = process.argv.slice(2);
const plan = readPlan(readFileSync(planFile, 'utf8'));
const store = folderPartials(storeFolder);

process.on('message', async (node) => {
  const onEvent = ({ kind }) => process.send({ kind });
  try {
    const { isOwn } = await workOn(plan, node, { map, store, onEvent });
    process.send({ kind: 'end', isOwn });
  } catch (error) {
    process.send({ kind: 'failed', reason: error.message });
  }
});
process.send({ kind: 'up' });
