import * as tf from '@tensorflow/tfjs';

/** tfjs-wasm 4.22 has no gradient for convolution filters (tfjs#8474) and embeddings (tfjs#8082). */
export function trainsConvolutions(backend: string): boolean {
  return backend !== 'wasm';
}

/** Normal numbers, the same for the same seed (Box-Muller over a linear congruential generator). */
export function normals(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 4294967296;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}

/** A tensor of normal numbers. */
export function normalTensor(shape: number[], seed: number): tf.Tensor {
  return tf.tensor(
    normals(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    shape,
  );
}

/** Gives every weight of a model values that depend only on the seed; variances are positive. */
export function seedWeights(model: tf.LayersModel, seed: number): void {
  tf.tidy(() => {
    const seeded = model.weights.map((weight, index) => {
      const drawn = normalTensor(weight.shape as number[], seed + index).mul(0.2);
      return weight.name.includes('variance') ? drawn.abs().add(0.5) : drawn;
    });
    model.setWeights(seeded);
  });
}

/**
 * Frees a model's weights. TensorFlow.js's own dispose() leaves those of shared layers and nested models in memory: it
 * counts their uses, and gives back only one.
 */
export function freeWeights(model: tf.LayersModel): void {
  for (const weight of model.weights) weight.read().dispose();
}
