import { setImmediate } from 'node:timers/promises';

/** Activations of a shard, made from its name alone: two layers, and a row with NaN in the fourth batch. */
export async function* mapSynthetic(shard, { args: { features, batches, rows }, add }) {
  let state = Number(shard.slice(2)) * 7919 + 17;
  // mulberry32
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  for (let batch = 0; batch < batches; batch++) {
    const x = new Float32Array(rows * features);
    for (let i = 0; i < x.length; i++) x[i] = (random() + random() - 1) * (1 + (i % features) / features) + 3;
    if (batch === 3) x[5] = Number.NaN;
    add('dense', x, features);
    add('head', x.slice(0, rows * 10), 10);
    await setImmediate();
    yield;
  }
}

export { mapSynthetic as map };
