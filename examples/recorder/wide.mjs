// A layer as wide as a vocabulary: a sketch of its covariance is kept, and its saturation lies within bounds.
//   node examples/recorder/wide.mjs [logdir]
import { SaturationRecorder } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/wide';
const [words, topics, tokens] = [8000, 12, 128];

// What each of a few topics adds to the scores of all words, and how much of each topic a token has.
const noise = (at) => Math.sin(at * 12.9898) * 43758.5453 - Math.floor(Math.sin(at * 12.9898) * 43758.5453) - 0.5;
const effects = Float32Array.from({ length: topics * words }, (_, at) => noise(at + 1));
function scores(batch) {
  const data = new Float32Array(tokens * words);
  for (let token = 0; token < tokens; token++) {
    for (let topic = 0; topic < topics; topic++) {
      const amount = noise(1e6 + (batch * tokens + token) * topics + topic);
      for (let word = 0; word < words; word++) data[token * words + word] += amount * effects[topic * words + word];
    }
  }
  return { data, shape: [tokens, words] };
}

const recorder = new SaturationRecorder(logdir, { threshold: 0.999 });
for (let batch = 0; batch < 4; batch++) recorder.observe('vocabulary', scores(batch), 'train');
const [{ samples, features, intrinsicDimensionality, bounds }] = await recorder.addSaturations();
await recorder.close();
console.log(`${samples} samples of ${features} words: ${intrinsicDimensionality} directions;`);
console.log(`the saturation is certainly from ${bounds.low} to ${bounds.high}`);
console.log(`tensorboard --logdir ${logdir}`);
