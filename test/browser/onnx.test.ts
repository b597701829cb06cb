import * as ort from 'onnxruntime-web/webgpu';
import { beforeAll, expect, it } from 'vitest';
import { exposeOutputs, exposingCache, extractSaturation, type OnnxFeeds, type OnnxSession } from '../../src/onnx.js';
import stored from '../fixtures/onnx/models.json' with { type: 'json' };
import { takeComplaints } from './console.js';

interface Packed {
  type: string;
  dims: number[];
  data: string;
}

const bytesOf = (base64: string) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const arrays = { float32: Float32Array, int64: BigInt64Array, bool: Uint8Array };

function feedsOf(feeds: Record<string, Packed>): OnnxFeeds {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { type, dims, data }]) => {
      const View = arrays[type as keyof typeof arrays];
      return [name, new ort.Tensor(type as 'float32', new View(bytesOf(data).buffer) as Float32Array, dims)];
    }),
  );
}

beforeAll(() => {
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
});

async function errorsOf(
  name: 'mlp' | 'cnn' | 'rnn' | 'tokens',
  provider: 'wasm' | 'webgpu',
): Promise<Record<string, number>> {
  const { model, feeds, layers: expected } = stored[name];
  const { bytes, layers } = exposeOutputs(bytesOf(model));
  const onDevice = provider === 'webgpu' ? ({ preferredOutputLocation: 'gpu-buffer' } as const) : {};
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [provider],
    logSeverityLevel: 3,
    ...onDevice,
  });
  const spectra = await extractSaturation(
    session as unknown as OnnxSession,
    [feedsOf(feeds as unknown as Record<string, Packed>)],
    { layers, progress: false },
  );
  await session.release();
  return Object.fromEntries(
    Object.entries(expected as Record<string, { eigenvalues: number[] }>).map(([layer, { eigenvalues }]) => {
      const found = spectra.get(layer)!.eigenvalues;
      return [layer, Math.max(...eigenvalues.map((value, i) => Math.abs(value - found[i]))) / eigenvalues[0]];
    }),
  );
}

it.each(['mlp', 'cnn', 'rnn', 'tokens'] as const)(
  'wasm: the spectra of %s are those that numpy computes',
  async (name) => {
    for (const [layer, error] of Object.entries(await errorsOf(name, 'wasm'))) expect(error, layer).toBeLessThan(1e-6);
    const said = name === 'rnn' ? [expect.stringContaining('30 rows are few for 12 features')] : [];
    expect(takeComplaints()).toEqual(said);
  },
);

it('WebGPU: outputs are read from the device', async (context) => {
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<object | null> } }).gpu;
  if (((await gpu?.requestAdapter()) ?? null) === null) context.skip('no WebGPU in this browser');
  for (const [layer, error] of Object.entries(await errorsOf('mlp', 'webgpu'))) expect(error, layer).toBeLessThan(1e-6);
});

it('a cache of the browser is put behind the one that answers with edited models', async () => {
  const inner = await caches.open('onnx-test');
  const address = new URL('/model.onnx', location.href).href;
  const model = bytesOf(stored.mlp.model);
  await inner.put(address, new Response(model));
  const cache = exposingCache(inner);
  const answer = (await cache.match(address)) as Response;
  expect(new Uint8Array(await answer.arrayBuffer())).toEqual(exposeOutputs(model).bytes);
  expect(cache.layers.get(address)!.map(({ name }) => name)).toEqual(['fc1', 'fc2']);
  await caches.delete('onnx-test');
});
