import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import * as ort from 'onnxruntime-web';
import type { OnnxFeeds, OnnxSession } from '../../src/onnx/session.js';

/** What stands in test/fixtures/onnx/models.json: see make_models.py beside it. */
export interface Fixture {
  /** The file's bytes. */
  readonly bytes: Uint8Array;
  /** SHA-256 of what onnx-python makes of the model when the layers' values become outputs. */
  readonly edited: string;
  readonly feeds: Readonly<Record<string, ort.Tensor>>;
  /** The model's own outputs, as Python's onnxruntime computes them. */
  readonly outputs: Readonly<Record<string, { dims: number[]; data: ArrayLike<number> }>>;
  readonly layers: Readonly<Record<string, { value?: string; rows: number; eigenvalues: number[] }>>;
  /** The values of its weights, of some models. */
  readonly weights: Readonly<Record<string, { dims: readonly number[]; data: Float32Array }>>;
  /** The model once more, with its weights in the file `m.onnx_data`; of the perceptron alone. */
  readonly external: { model: Uint8Array; data: Uint8Array } | undefined;
}

interface Packed {
  type: string;
  dims: number[];
  data: string;
}

const arrays = { float32: Float32Array, int64: BigInt64Array, bool: Uint8Array, float16: Uint16Array, int8: Int8Array };

function unpacked({ type, dims, data }: Packed): ort.Tensor {
  const bytes = Uint8Array.from(Buffer.from(data, 'base64'));
  const View = arrays[type as keyof typeof arrays];
  return new ort.Tensor(type as 'float32', new View(bytes.buffer) as Float32Array, dims);
}

const fixture = (name: string) => new URL(`../fixtures/onnx/${name}`, import.meta.url);
const stored = JSON.parse(readFileSync(fixture('models.json'), 'utf8')) as Record<
  string,
  {
    model: string;
    edited: string;
    feeds: Record<string, Packed>;
    outputs: Record<string, Packed>;
    layers: Fixture['layers'];
    weights?: Record<string, Packed>;
    external?: { model: string; data: string };
  }
>;
const bytesIn = (base64: string) => Uint8Array.from(Buffer.from(base64, 'base64'));

/** The models of make_models.py, by name. */
export const fixtures: Readonly<Record<string, Fixture>> = Object.fromEntries(
  Object.entries(stored).map(([name, { model, edited, feeds, outputs, layers, weights = {}, external }]) => [
    name,
    {
      bytes: bytesIn(model),
      edited,
      feeds: Object.fromEntries(Object.entries(feeds).map(([key, value]) => [key, unpacked(value)])),
      outputs: Object.fromEntries(
        Object.entries(outputs).map(([key, value]) => {
          const { dims, data } = unpacked(value);
          return [key, { dims: [...dims], data: data as Float32Array }];
        }),
      ),
      layers,
      weights: Object.fromEntries(
        Object.entries(weights).map(([key, value]) => {
          const { dims, data } = unpacked(value);
          return [key, { dims, data: data as Float32Array }];
        }),
      ),
      external: external && { model: bytesIn(external.model), data: bytesIn(external.data) },
    },
  ]),
);

/** The bytes of a file in test/fixtures/onnx. */
export function fileOf(name: string): Uint8Array {
  return new Uint8Array(readFileSync(fixture(name)));
}

/** The digits that digits_legacy.onnx and digits_dynamo.onnx were validated on, in batches. */
export function digitBatches(batch: number): OnnxFeeds[] {
  const pixels = gunzipSync(fileOf('digits.u8.gz'));
  const values = Float32Array.from(pixels, (pixel) => pixel / 255);
  return Array.from({ length: 1500 / batch }, (_, at) => ({
    input: new ort.Tensor('float32', values.subarray(at * batch * 784, (at + 1) * batch * 784), [batch, 1, 28, 28]),
  }));
}

ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

/** A session of onnxruntime-web in Node. */
export async function sessionOf(bytes: Uint8Array, level: 'disabled' | 'all' = 'disabled'): Promise<OnnxSession> {
  const session = await ort.InferenceSession.create(bytes, { graphOptimizationLevel: level, logSeverityLevel: 3 });
  return session as unknown as OnnxSession;
}

/** Of bytes. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
