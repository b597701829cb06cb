import * as tf from '@tensorflow/tfjs';

export const BACKENDS = ['auto', 'tensorflow', 'wasm', 'cpu'];

/** Why the native backend cannot be loaded, or undefined where it was. */
async function loadNative() {
  // libtensorflow greets with its build options on stderr; it reads this when it is loaded.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  try {
    await import('@tensorflow/tfjs-node');
    return undefined;
  } catch (error) {
    return String(error.message).split('\n')[0];
  }
}

/** Chooses and starts a backend: the native one where it is installed, else WebAssembly. Returns its name. */
export async function startBackend(wanted) {
  if (!BACKENDS.includes(wanted)) throw new RangeError(`--backend is one of ${BACKENDS.join(', ')}, not '${wanted}'`);
  let backend = wanted;
  if (wanted === 'auto' || wanted === 'tensorflow') {
    const problem = await loadNative();
    if (problem && wanted === 'tensorflow') {
      throw new Error(`the native backend does not load (${problem}); npm run setup:native adds it`);
    }
    backend = problem ? 'wasm' : 'tensorflow';
  }
  // Without production mode the first tensor prints an advice to install tfjs-node; the demo words that better.
  if (backend !== 'tensorflow') tf.enableProdMode();
  if (backend === 'wasm') await import('@tensorflow/tfjs-backend-wasm');
  if (!(await tf.setBackend(backend))) throw new Error(`the ${backend} backend did not start`);
  await tf.ready();
  return backend;
}
