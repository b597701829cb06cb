// Meshes and point clouds, to be turned with the mouse.
//   node examples/meshes.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/meshes';
const writer = new SummaryWriter(logdir);

const vertices = [
  [1, 1, 1],
  [-1, -1, 1],
  [-1, 1, -1],
  [1, -1, -1],
];
const faces = [
  [0, 1, 3],
  [0, 2, 1],
  [0, 3, 2],
  [1, 2, 3],
];
const colors = [
  [230, 60, 60],
  [60, 180, 60],
  [60, 60, 230],
  [230, 180, 40],
];
writer.addMesh('tetrahedron', vertices, 0, {
  faces,
  colors,
  config: { material: { cls: 'MeshBasicMaterial', side: 2 } },
});

// Without faces: a cloud of points.
const spiral = Array.from({ length: 2000 }, (_, i) => [Math.cos(i / 40), Math.sin(i / 40), i / 700 - 1.5]);
writer.addMesh('spiral', spiral, 0, {
  colors: spiral.map(([x, y]) => [128 + 127 * x, 128 + 127 * y, 200].map(Math.round)),
});
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);
