/**
 * Random numbers of the package's own. Nothing here draws from `Math.random`: TensorFlow.js shuffles samples and initializes
 * weights by it, so that whoever seeds it (`seedrandom('hello', { global: true })`) would train another model with this package
 * than without it.
 */

/** A random number of 32 bits, which nobody can foresee. */
export function randomUint32(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

/** A random number in [0, 1), a multiple of 2^-32, which nobody can foresee. */
export function random(): number {
  return randomUint32() / 2 ** 32;
}

/** Ten random characters, digits and letters, for a name that nobody else has. */
export function randomText(): string {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high.toString(36).padStart(7, '0') + low.toString(36).padStart(7, '0')).slice(2, 12);
}
