// Embeddings: vectors with labels and small pictures, in the projector.
//   node examples/embeddings.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/embeddings';
const writer = new SummaryWriter(logdir);
const [count, features, side] = [300, 32, 16];
const kinds = ['red', 'green', 'blue'];
const metadata = Array.from({ length: count }, (_, i) => [`${kinds[i % 3]} ${i}`, kinds[i % 3]]);
const vectors = metadata.map((_, i) =>
  Array.from({ length: features }, (_, j) => Math.random() + (j % 3 === i % 3 ? 2 : 0)),
);
const data = new Uint8Array(count * side * side * 3);
for (let at = 0; at < data.length; at++) if (at % 3 === Math.floor(at / (side * side * 3)) % 3) data[at] = 200;

writer.addEmbedding('colours', vectors, 0, {
  metadata,
  metadataHeader: ['name', 'kind'],
  labelImages: { data, shape: [count, side, side, 3] },
});
writer.addEmbedding(
  'colours',
  vectors.map((vector) => vector.map((value) => value * 2)),
  1,
  { metadata: metadata.map(([name]) => name) },
);
await writer.close();
console.log(`tensorboard --logdir ${logdir}   # then choose PROJECTOR`);
