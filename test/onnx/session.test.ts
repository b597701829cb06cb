import * as tf from '@tensorflow/tfjs';
import * as ort from 'onnxruntime-web';
import { describe, expect, it } from 'vitest';
import { SaturationRecorder, type Spectrum } from '../../src/index.js';
import {
  exposeOutputs,
  exposeSessions,
  exposingCache,
  extractSaturation,
  type OnnxFeeds,
  type OnnxSession,
  tapSession,
} from '../../src/onnx.js';
import { extractSaturation as extractInTfjs } from '../../src/tfjs.js';
import { relativeDistance } from '../support/random.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';
import { digitBatches, fileOf, fixtures, sessionOf } from './support.js';

const warnings = catchWarnings();

/** A fixture's session with its layers as outputs. */
async function exposed(name: string) {
  const { bytes, layers } = exposeOutputs(fixtures[name].bytes);
  return { session: await sessionOf(bytes), layers, feeds: fixtures[name].feeds };
}

/** By how much eigenvalues are off, in units of the largest. */
function errorOf(spectrum: Spectrum | undefined, expected: readonly number[]): number {
  return Math.max(...expected.map((value, i) => Math.abs(value - spectrum!.eigenvalues[i]))) / expected[0];
}

describe('spectra of ONNX layers', () => {
  it.each(Object.keys(fixtures).filter((name) => name !== 'branches'))(
    '%s: those that numpy computes',
    async (name) => {
      const { session, layers, feeds } = await exposed(name);
      const spectra = await extractSaturation(session, [feeds], { layers, progress: false });
      const expected = fixtures[name].layers;
      expect([...spectra.keys()]).toEqual(Object.keys(expected));
      expect(warnings.join().includes('rounding to 256 steps adds directions')).toBe(name === 'qdq');
      for (const [layer, { rows, eigenvalues }] of Object.entries(expected)) {
        expect(spectra.get(layer)!.samples).toBe(rows);
        expect(errorOf(spectra.get(layer), eigenvalues), layer).toBeLessThan(1e-6);
      }
    },
  );

  it('of branches of If, by the batches that take them', async () => {
    const { session, layers, feeds } = await exposed('branches');
    const batches = [1, 0].map((taken) => ({ ...feeds, c: new ort.Tensor('bool', Uint8Array.of(taken), []) }));
    const spectra = await extractSaturation(session, batches, { layers, progress: false });
    // The layer in the other branch of the inner If never runs.
    expect([...spectra.keys()].sort()).toEqual(['a', 'b', 'deep']);
    for (const [layer, spectrum] of spectra) {
      const { rows, eigenvalues } = fixtures.branches.layers[layer];
      expect(spectrum.samples).toBe(rows);
      expect(errorOf(spectrum, eigenvalues), layer).toBeLessThan(1e-6);
    }
  });

  it.each(['digits_legacy.onnx', 'digits_dynamo.onnx'])(
    '%s: those of forward hooks on the torch modules',
    async (file) => {
      const expected = JSON.parse(new TextDecoder().decode(fileOf('digits.json'))) as Record<
        string,
        { n: number; d: number; dimensions: number; eigenvalues: number[] }
      >;
      const { bytes, layers } = exposeOutputs(fileOf(file));
      const session = await sessionOf(bytes, 'all');
      const [input] = session.inputNames;
      const batches = digitBatches(100).map(({ input: images }) => ({ [input]: images }));
      const spectra = await extractSaturation(session, batches, { layers, sampling: 'all', progress: false });
      for (const [module, { n, d, dimensions, eigenvalues }] of Object.entries(expected)) {
        const name = [...spectra.keys()].find((each) => each.replaceAll('.', '/') === module.replaceAll('.', '/'));
        const spectrum = spectra.get(name ?? '')!;
        expect([module, spectrum.samples, spectrum.features]).toEqual([module, n, d]);
        expect(spectrum.intrinsicDimensionality(), module).toBe(dimensions);
        // The exporter folded the batch norm behind the first convolution into it.
        if (module !== 'conv1') expect(errorOf(spectrum, eigenvalues), module).toBeLessThan(1e-6);
      }
    },
  );

  it('of a model whose weights are in another file', async () => {
    const { model, data } = fixtures.mlp.external!;
    const { bytes, layers } = exposeOutputs(model);
    expect(bytes.length).toBeLessThan(data.length);
    const session = await ort.InferenceSession.create(bytes, { externalData: [{ path: 'm.onnx_data', data }] });
    const spectra = await extractSaturation(session as unknown as OnnxSession, [fixtures.mlp.feeds], {
      layers,
      progress: false,
    });
    for (const [layer, { eigenvalues }] of Object.entries(fixtures.mlp.layers)) {
      expect(errorOf(spectra.get(layer), eigenvalues), layer).toBeLessThan(1e-6);
    }
  });

  it('are those of the same layers in TensorFlow.js', async () => {
    const mlp = fixtures.mlp.weights;
    const cnn = fixtures.cnn.weights;
    const tensorOf = ({ dims, data }: { dims: readonly number[]; data: Float32Array }) => tf.tensor(data, [...dims]);
    const perceptron = tf.sequential({
      layers: [
        tf.layers.dense({ units: 12, inputShape: [10], name: 'fc1' }),
        tf.layers.reLU(),
        tf.layers.dense({ units: 5, name: 'fc2' }),
      ],
    });
    perceptron.setWeights([tensorOf(mlp.w1), tensorOf(mlp.b1), tf.transpose(tensorOf(mlp.w2)), tensorOf(mlp.b2)]);
    const convolution = tf.sequential({
      layers: [
        tf.layers.conv2d({ filters: 8, kernelSize: 3, padding: 'same', inputShape: [7, 5, 3], name: 'features/0' }),
      ],
    });
    const [kernel, bias] = ['features.0.weight', 'features.0.bias'].map((name) => tensorOf(cnn[name]));
    convolution.setWeights([tf.transpose(kernel, [2, 3, 1, 0]), bias]);
    const x = (name: string) => tensorOf(fixtures[name].feeds.x as never);
    for (const [name, model, input] of [
      ['mlp', perceptron, x('mlp')],
      ['cnn', convolution, tf.transpose(x('cnn'), [0, 2, 3, 1])],
    ] as const) {
      const { session, layers, feeds } = await exposed(name);
      const inOnnx = await extractSaturation(session, [feeds], { layers, sampling: 'all', progress: false });
      const inTfjs = await extractInTfjs(model, [input], { sampling: 'all', progress: false });
      expect(inTfjs.size).toBe(model.layers.filter(({ weights }) => weights.length > 0).length);
      for (const [layer, { samples, eigenvalues }] of inTfjs) {
        expect(inOnnx.get(layer)!.samples, layer).toBe(samples);
        expect(errorOf(inOnnx.get(layer), [...eigenvalues]), layer).toBeLessThan(1e-6);
      }
    }
  });

  it('are the same in groups of layers, of a generator, and with rows that are picked', async () => {
    const { session, layers, feeds } = await exposed('tokens');
    const options = { layers, progress: false } as const;
    const whole = await extractSaturation(session, [feeds], options);
    async function* stream() {
      yield feeds as OnnxFeeds;
    }
    for (const other of [
      await extractSaturation(session, [feeds], { ...options, layersPerRun: 1 }),
      await extractSaturation(session, stream(), options),
    ]) {
      for (const [layer, spectrum] of whole) expect(other.get(layer)!.eigenvalues).toEqual(spectrum.eigenvalues);
    }
    const unmasked = await extractSaturation(session, [feeds], { ...options, mask: false });
    expect(unmasked.get('emb')!.samples).toBe(240);
    const byFunction = await extractSaturation(session, [feeds], {
      ...options,
      mask: (_layer, { attention_mask: mask }) => mask.data as BigInt64Array,
    });
    for (const [layer, spectrum] of whole) expect(byFunction.get(layer)!.eigenvalues).toEqual(spectrum.eigenvalues);
  });

  it('of a pipeline that runs the session itself', async () => {
    const { session, layers, feeds } = await exposed('mlp');
    const seen: string[][] = [];
    const run = async (count: number) => {
      for (let i = 0; i < count; i++) seen.push(Object.keys(await session.run(feeds)));
      seen.push(Object.keys(await session.run(feeds, ['y'])));
    };
    const spectra = await extractSaturation(session, [1, 2], { layers, run, progress: false });
    expect(seen.every((names) => names.join() === 'y')).toBe(true);
    expect(spectra.get('fc1')!.samples).toBe(5 * 80);
    expect(errorOf(spectra.get('fc1'), fixtures.mlp.layers.fc1.eigenvalues)).toBeLessThan(1e-6);
    // The session is left as it was.
    expect(Object.keys(await session.run(feeds)).sort()).toEqual(['a1', 'y']);
  });
});

describe('a tap', () => {
  it('records what runs, and shows its callers what the model itself puts out', async () => {
    const { session, layers, feeds } = await exposed('rnn');
    const store = new RecordingStore();
    const recorder = new SaturationRecorder('unused', { saveTo: store });
    let split: 'train' | 'val' | undefined = 'val';
    const tap = tapSession(session, layers, recorder, () => split);
    const outputs = await session.run(feeds);
    expect(Object.keys(outputs)).toEqual(['y']);
    expect(Object.keys(await session.run(feeds, { y: null } as never))).toEqual(['y']);
    split = undefined;
    await session.run(feeds);
    await recorder.addSaturations();
    expect(store.samples()).toEqual({ 'val/enc': 60, 'val/dec': 60 });
    for (const [layer, { eigenvalues }] of Object.entries(fixtures.rnn.layers)) {
      expect(errorOf(store.layer('val', layer).spectrum as Spectrum, eigenvalues)).toBeLessThan(1e-6);
    }
    tap.restore();
    expect(Object.keys(await session.run(feeds)).length).toBe(3);
    await recorder.close();
  });

  it('on a tensor that must be fetched from a device', async () => {
    const values = Float32Array.from(fixtures.mlp.outputs.y.data);
    const onDevice = {
      dims: [80, 5],
      type: 'float32',
      get data(): unknown {
        throw new Error('The data is not on CPU');
      },
      getData: async () => values,
      dispose: () => void disposed++,
    };
    let disposed = 0;
    const session = {
      inputNames: ['x'],
      outputNames: ['own', 'y'],
      run: async () => ({ own: fixtures.mlp.feeds.x, y: onDevice }),
    };
    const { layers } = exposeOutputs(fixtures.mlp.bytes);
    const [, fc2] = layers;
    const spectra = await extractSaturation(session, [{}], { layers: [{ ...fc2, isOutput: false }], progress: false });
    expect(errorOf(spectra.get('fc2'), fixtures.mlp.layers.fc2.eigenvalues)).toBeLessThan(1e-6);
    expect(disposed).toBe(1);
  });
});

describe('sessions that others make', () => {
  it('have their layers as outputs while they are exposed', async () => {
    const exposing = exposeSessions(ort.InferenceSession as never);
    const session = (await ort.InferenceSession.create(fixtures.mlp.bytes)) as never;
    const plain = await ort.InferenceSession.create(exposeOutputs(fixtures.qdq.bytes).bytes.buffer as ArrayBuffer);
    exposing.restore();
    expect(exposing.layersOf(session)!.map(({ name }) => name)).toEqual(['fc1', 'fc2']);
    expect(exposing.layersOf(plain)!.map(({ name }) => name)).toEqual(['fc']);
    const spectra = await extractSaturation(session, [fixtures.mlp.feeds as never], { progress: false });
    expect(errorOf(spectra.get('fc1'), fixtures.mlp.layers.fc1.eigenvalues)).toBeLessThan(1e-6);
    const later = await ort.InferenceSession.create(fixtures.mlp.bytes);
    expect(later.outputNames).toEqual(['y']);
    expect(exposing.layersOf(later)).toBeUndefined();
    await expect(extractSaturation(later as never, [{}])).rejects.toThrow(
      /layers: expected the layers that exposeOutputs returns/,
    );
  });

  it('are made as they are, with a warning, if they have no layer', async () => {
    using exposing = exposeSessions(ort.InferenceSession as never, { outputs: () => false });
    const session = await ort.InferenceSession.create(fixtures.mlp.bytes);
    expect(session.outputNames).toEqual(['y']);
    expect(exposing.layersOf(session)).toBeUndefined();
    expect(warnings.join()).toContain(
      'exposeSessions: a model is loaded without its layers: exposeOutputs: outputs: expected',
    );
  });

  it('a cache answers with edited models', async () => {
    const held = new Map<string, Response>();
    const inner = {
      match: async (request: string) => held.get(request)?.clone(),
      put: async (request: string, response: Response) => void held.set(request, response),
    };
    const cache = exposingCache(inner);
    const address = 'https://example.org/model.onnx';
    expect(await exposingCache(inner).match('/models/a/config.json')).toBeUndefined();
    await cache.put(address, new Response(fixtures.mlp.bytes as Uint8Array<ArrayBuffer>));
    const answer = (await cache.match(address)) as Response;
    const bytes = new Uint8Array(await answer.arrayBuffer());
    expect(bytes).toEqual(exposeOutputs(fixtures.mlp.bytes).bytes);
    expect(cache.layers.get(address)!.map(({ name }) => name)).toEqual(['fc1', 'fc2']);
    // What is kept is the model as it is.
    expect(new Uint8Array(await held.get(address)!.clone().arrayBuffer())).toEqual(fixtures.mlp.bytes);
    held.set('https://example.org/page.onnx', new Response('<!doctype html>'));
    expect(await ((await cache.match('https://example.org/page.onnx')) as Response).text()).toBe('<!doctype html>');
    expect(warnings.join()).toContain("exposingCache: 'https://example.org/page.onnx' is loaded without its layers");
  });
});

describe('bad input', () => {
  it.each<[string, (given: Awaited<ReturnType<typeof exposed>>) => Promise<unknown>, RegExp]>([
    [
      'no session',
      ({ layers }) => extractSaturation({} as never, [], { layers }),
      /expected a session of an ONNX runtime/,
    ],
    [
      'no batch',
      ({ session, layers }) => extractSaturation(session, [], { layers }),
      /expected at least one batch, got none/,
    ],
    [
      'no list',
      ({ session, layers }) => extractSaturation(session, 5 as never, { layers }),
      /batches: expected a list or an iterable/,
    ],
    [
      'a tensor',
      ({ session, layers, feeds }) => extractSaturation(session, [feeds.x] as never, { layers }),
      /expected an object with the inputs 'x'/,
    ],
    [
      'no layers',
      ({ session, feeds }) => extractSaturation(session, [feeds]),
      /layers: expected the layers that exposeOutputs returns/,
    ],
    [
      'an option',
      ({ session, layers, feeds }) => extractSaturation(session, [feeds], { layers, layerPerRun: 3 } as never),
      /got 'layerPerRun'; did you mean 'layersPerRun'/,
    ],
    [
      'a number',
      ({ session, layers, feeds }) => extractSaturation(session, [feeds], { layers, layersPerRun: 0 }),
      /layersPerRun: expected an integer >= 1/,
    ],
  ])('%s', async (_name, act, message) => {
    await expect(act(await exposed('mlp'))).rejects.toThrow(message);
  });

  it('a session of the original bytes', async () => {
    const { layers, feeds } = await exposed('mlp');
    const original = await sessionOf(fixtures.mlp.bytes);
    await expect(extractSaturation(original, [feeds], { layers })).rejects.toThrow(
      /expected a session with the output 'a1' of layer 'fc1', got one with 1 outputs: was it made from the original bytes\?/,
    );
  });

  it('values that are no numbers, and a batch of another width, leave their layer out and are said', async () => {
    const { layers } = exposeOutputs(fixtures.mlp.bytes);
    const tensor = (features: number) => ({
      dims: [4, features],
      type: 'float32',
      data: Float32Array.from({ length: 4 * features }, (_, i) => (i * 7) % 5),
    });
    const text = { dims: [1], type: 'string', data: ['a'] };
    const outputs = [
      { a1: text, y: tensor(5) },
      { a1: tensor(12), y: tensor(6) },
    ];
    const session = { inputNames: ['x'], outputNames: ['y', 'a1'], run: async () => outputs.shift()! };
    await expect(extractSaturation(session, [{}, {}], { layers, progress: false })).rejects.toThrow(
      /layer 'fc1': .*dtype string.*layer 'fc2' \(val\): output: expected 5 features as in earlier passes, got 6/,
    );
  });
});

it('rows of tensors are those of the model: a check of the fixtures', async () => {
  const { session, layers, feeds } = await exposed('mlp');
  const outputs = await session.run(feeds, [layers[1].value]);
  expect(relativeDistance(outputs.y.data as Float32Array, fixtures.mlp.outputs.y.data)).toBeLessThan(1e-6);
});
