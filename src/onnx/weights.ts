import { fromBfloat16, fromHalf } from '../encoding/half-precision.js';
import { type ConstantTensor, type ModelSource, readModel } from '../models/onnx-model.js';
import { kernelSingularValuesOf, type WeightMeasures, weightMeasuresOf } from '../statistics/weights.js';
import { sourceFor } from './expose.js';
import { findLayers, type LeftOut } from './layers.js';

/** What the weights of an ONNX model say. */
export interface OnnxWeights {
  /** By the layer's name, in the order of the graph. */
  readonly layers: ReadonlyMap<string, WeightMeasures>;
  /** Layers whose weights are not measured, and why. */
  readonly leftOut: readonly LeftOut[];
}

/**
 * What the weights of a model's layers say by themselves, without data: WeightWatcher's alpha and norms, in Node and in pages. Weights
 * that are quantized, or in another file, are left out.
 *
 * @param model the bytes of an `.onnx` file
 * @throws RangeError if the bytes are no ONNX model, TypeError if they are no bytes
 */
export async function measureWeights(model: Uint8Array): Promise<OnnxWeights> {
  const source = sourceFor(model, 'measureWeights');
  const { found } = findLayers(readModel(source, 'measureWeights'), {
    filter: undefined,
    activations: 'preActivation',
  });
  const layers = new Map<string, WeightMeasures>();
  const leftOut: LeftOut[] = [];
  for (const { layer, weight: tensor } of found) {
    const isMap = layer.kind === 'map';
    const values = tensor === undefined ? 'it has no weight of its own' : valuesOf(source, tensor);
    if (typeof values === 'string') {
      leftOut.push({ name: layer.name, why: values });
      continue;
    }
    const { dims, storedDims = dims } = tensor as ConstantTensor;
    // A convolution has its matrices first, units x channels of a group x places; others have them last.
    const [rows, columns] = isMap ? storedDims : storedDims.slice(-2);
    const matrices = values.length / (rows * columns);
    const ordered = isMap ? placesFirst(values, matrices) : values;
    const singularValues = await kernelSingularValuesOf(ordered, columns, rows * columns);
    layers.set(layer.name, weightMeasuresOf(singularValues, [rows, columns], matrices));
  }
  return { layers, leftOut };
}

/** The values of a tensor; why not, if they are not to be had. */
function valuesOf(source: ModelSource, { type, dims, isExternal, raw, floats }: ConstantTensor): Float64Array | string {
  if (isExternal) return 'its values are in another file';
  const count = dims.reduce((product, size) => product * size, 1);
  if (dims.length < 2 || count === 0) return 'its weight is no matrix';
  const decode = decoders.get(type);
  if (decode === undefined) return 'its weights are quantized';
  const range = raw ?? floats;
  if (range === undefined) return 'its weight is computed by the model, or stands in a way that is not read';
  const width = (range.to - range.from) / count;
  // What is not in raw_data is in float_data as float32, or in a list of its own.
  const read = raw === undefined ? (type === 1 ? decoders.get(1) : undefined) : decode;
  if (range === undefined || read === undefined || width !== read.bytes)
    return 'its values stand in a way that is not read';
  const view = source.read(range.from, range.to);
  const data = new DataView(view.buffer, view.byteOffset, view.byteLength);
  return Float64Array.from({ length: count }, (_, i) => read.at(data, i * read.bytes));
}

/** How a value of an element type is read: float, float16, double, bfloat16. */
const decoders: ReadonlyMap<number, { bytes: number; at(data: DataView, offset: number): number }> = new Map([
  [1, { bytes: 4, at: (data, offset) => data.getFloat32(offset, true) }],
  [10, { bytes: 2, at: (data, offset) => fromHalf(data.getUint16(offset, true)) }],
  [11, { bytes: 8, at: (data, offset) => data.getFloat64(offset, true) }],
  [16, { bytes: 2, at: (data, offset) => fromBfloat16(data.getUint16(offset, true)) }],
]);

function placesFirst(values: Float64Array, places: number): Float64Array {
  const size = values.length / places;
  const ordered = new Float64Array(values.length);
  for (let i = 0; i < size; i++) {
    for (let place = 0; place < places; place++) ordered[place * size + i] = values[i * places + place];
  }
  return ordered;
}
