// A run in an S3 bucket, which TensorBoard reads while it grows; without a bucket the same in a store in memory.
//   node examples/object-store.mjs [bucket] [prefix]     keys, region and server come from AWS_* in the environment
import { readEvents, SummaryWriter } from 'delve-tensorboard';
import { MemoryObjectStore, ObjectOutput, s3Output } from 'delve-tensorboard/object-stores';

const [bucket, prefix = 'runs/example'] = process.argv.slice(2);
const memory = new MemoryObjectStore();
const output = bucket === undefined ? new ObjectOutput(memory, { prefix }) : s3Output({ bucket, prefix });

const writer = new SummaryWriter(output, { handleSignals: true });
for (let step = 0; step < 100; step++) {
  writer.addScalar('loss', 1 / (step + 1), step);
  writer.run('val').addScalar('loss', 1.2 / (step + 1), step);
}
await writer.close(); // only to see here whether it worked: s3Output also uploads when the program ends

if (bucket !== undefined) {
  console.log(output.tensorboardCommand);
} else {
  for (const [key, bytes] of memory.objects) {
    let events = 0;
    for await (const _event of readEvents(bytes)) events++;
    console.log(`${key}: ${bytes.length} bytes, ${events} events`);
  }
}
