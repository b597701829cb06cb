// What the package does in a runtime: writes events, reads them, measures a layer; prints what came out as JSON.
//   <runtime> test/runtimes/program.mjs <logdir> [kernels]
import {
  CovarianceAccumulator,
  kernelsName,
  readEvents,
  SaturationRecorder,
  Spectrum,
  SummaryWriter,
  useKernels,
} from '../../dist/index.js';

const [logdir, kernels] = process.argv.slice(2);
if (kernels) useKernels(kernels);
const writer = new SummaryWriter(logdir);
for (let step = 0; step < 100; step++) writer.addScalar('loss', 1 / (1 + step), step);
writer.addHistogram(
  'weights',
  Float32Array.from({ length: 1000 }, (_, i) => (i * 7919) % 1000),
  1,
);
writer.addImage('picture', { data: new Uint8Array(3 * 64 * 64).fill(100), shape: [64, 64, 3] }, 1);
writer.addText('note', '**hello**', 1);
await writer.close();
const tags = new Map();
for await (const { summary } of readEvents(logdir)) {
  for (const { tag, value } of summary ?? [])
    tags.set(tag, typeof value === 'number' ? value : Object.keys(value).sort());
}
const data = Float32Array.from({ length: 500 * 40 }, (_, i) => (((i * 7919) % 1009) * (1 + (i % 40))) / 1009);
const recorder = new SaturationRecorder(`${logdir}/recorder`);
recorder.observe('layer', { data, shape: [500, 40] }, 'train');
const [{ saturation }] = await recorder.addSaturations();
await recorder.close();
const accumulator = new CovarianceAccumulator(40);
accumulator.update(data);
const { eigenvalues } = await Spectrum.solve(accumulator);
console.log(JSON.stringify({ tags: [...tags], saturation, eigenvalues: [...eigenvalues], kernels: kernelsName() }));
