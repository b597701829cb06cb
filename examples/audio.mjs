// Audio: samples in [-1, 1], mono or stereo.
//   node examples/audio.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/audio';
const writer = new SummaryWriter(logdir);
const sampleRate = 16_000;
const tone = (hertz) =>
  Float32Array.from({ length: sampleRate }, (_, i) => 0.4 * Math.sin((2 * Math.PI * hertz * i) / sampleRate));
for (const [step, hertz] of [262, 330, 392].entries()) writer.addAudio('tone', tone(hertz), step, { sampleRate });

// frames x 2: the left and the right channel of each moment.
const [left, right] = [tone(262), tone(392)];
const stereo = Float32Array.from({ length: 2 * sampleRate }, (_, i) => (i % 2 === 0 ? left : right)[i >> 1]);
writer.addAudio('stereo', { data: stereo, shape: [sampleRate, 2] }, 0, { sampleRate });
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);
