/** A worker that records two epochs and posts what a store gets of each: the page of saturation-view.test.ts shows them. */
import { MemoryOutput, SaturationRecorder, SummaryWriter } from '../../src/index.js';

const writer = new SummaryWriter(new MemoryOutput());
const recorder = new SaturationRecorder(writer, { saveTo: [] });
recorder.addStore({ add: (epoch) => postMessage({ epoch }) });
for (let epoch = 0; epoch < 2; epoch++) {
  const data = Float64Array.from({ length: 640 * 16 }, (_, i) => Math.sin((epoch + 1) * i * i));
  recorder.observe('hidden', { data, shape: [640, 16] }, 'train');
  recorder.addScalar('loss', 1 / (epoch + 1));
  await recorder.addSaturations();
}
await recorder.close();
await writer.close();
