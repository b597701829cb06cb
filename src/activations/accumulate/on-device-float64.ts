import { backend, fill, type Tensor2D } from '@tensorflow/tfjs-core';
import type { DeviceProduct } from './on-device.js';

/*
 * A float64 product on tfjs-node. TensorFlow.js has no float64, but libtensorflow below it does, and tfjs-node's addon
 * runs its operations on tensors that are known by number. That is a private path: hasNativeFloat64 tries it first.
 */

/** The part of tfjs-node's addon that is used here. */
interface NativeBinding {
  TF_FLOAT: number;
  TF_INT32: number;
  TF_ATTR_TYPE: number;
  TF_ATTR_BOOL: number;
  createTensor(shape: number[], dtype: number, values: ArrayBufferView): number;
  deleteTensor(id: number): void;
  executeOp(name: string, attributes: unknown[], inputs: number[], outputs: number): { id: number }[];
  tensorDataSync(id: number): ArrayBufferView;
}

interface NativeBackend {
  binding?: NativeBinding;
  getInputTensorIds?(tensors: Tensor2D[]): number[];
}

/** TF_DOUBLE, for which the addon has no name: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/c/tf_datatype.h */
const double = 2;

/** float64 operations on tensors that are known by number. */
class Float64Ops {
  readonly #binding: NativeBinding;
  readonly #backend: NativeBackend;

  constructor(native: NativeBackend) {
    this.#backend = native;
    this.#binding = native.binding as NativeBinding;
  }

  idOf(tensor: Tensor2D): number {
    return (this.#backend.getInputTensorIds as (tensors: Tensor2D[]) => number[])([tensor])[0];
  }

  fromFloat32(id: number): number {
    const { TF_FLOAT } = this.#binding;
    return this.#run(
      'Cast',
      [this.#type('SrcT', TF_FLOAT), this.#type('DstT', double), this.#flag('Truncate', false)],
      [id],
    );
  }

  /** a - b; frees both. */
  difference(a: number, b: number): number {
    const difference = this.#run('Sub', [this.#type('T', double)], [a, b]);
    this.free(a, b);
    return difference;
  }

  /** a^T b */
  product(a: number, b: number): number {
    const attributes = [this.#type('T', double), this.#flag('transpose_a', true), this.#flag('transpose_b', false)];
    return this.#run('MatMul', attributes, [a, b]);
  }

  /** The column sums of a matrix, as a product with ones: it takes half the time of libtensorflow's Sum. */
  sumOfRows(a: number, rows: number): number {
    const ones = fill([rows, 1], 1) as Tensor2D;
    const exactOnes = this.fromFloat32(this.idOf(ones));
    const result = this.product(exactOnes, a);
    this.free(exactOnes);
    ones.dispose();
    return result;
  }

  /** Reads a tensor. The addon cannot read float64, but it can read the same bits as pairs of int32. */
  read(id: number): Float64Array {
    const pairs = this.#run('Bitcast', [this.#type('T', double), this.#type('type', this.#binding.TF_INT32)], [id]);
    const bits = this.#binding.tensorDataSync(pairs);
    this.free(pairs);
    const bytes = new Uint8Array(bits.byteLength);
    bytes.set(new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength));
    return new Float64Array(bytes.buffer);
  }

  free(...ids: number[]): void {
    for (const id of ids) this.#binding.deleteTensor(id);
  }

  #run(name: string, attributes: unknown[], inputs: number[]): number {
    return this.#binding.executeOp(name, attributes, inputs, 1)[0].id;
  }

  #type(name: string, value: number) {
    return { name, type: this.#binding.TF_ATTR_TYPE, value };
  }

  #flag(name: string, value: boolean) {
    return { name, type: this.#binding.TF_ATTR_BOOL, value };
  }
}

/** Whether a backend passed the test, by backend. */
const tested = new WeakMap<object, boolean>();

/** Whether the current backend computes in float64 below TensorFlow.js' types; each backend is tested once. */
export function hasNativeFloat64(): boolean {
  const native = backend() as unknown as NativeBackend;
  const known = tested.get(native);
  if (known !== undefined) return known;
  let works = false;
  try {
    const ops = new Float64Ops(native);
    const { createTensor, TF_FLOAT } = native.binding as NativeBinding;
    const id = createTensor.call(native.binding, [2, 2], TF_FLOAT, new Float32Array([1, 2 ** -20, 3, 4]));
    const exact = ops.fromFloat32(id);
    const gram = ops.product(exact, exact);
    const sums = ops.sumOfRows(exact, 2);
    // 1 + 2^-40 needs more digits than float32 has.
    works = ops.read(gram)[3] === 16 + 2 ** -40 && ops.read(sums)[1] === 4 + 2 ** -20;
    ops.free(id, exact, gram, sums);
  } catch {
    // The addon is not the one that this code was written for. The host can compute in float64 as well.
  }
  tested.set(native, works);
  return works;
}

/** The product in float64. Only for backends that pass hasNativeFloat64. */
export const float64Product: DeviceProduct = {
  strategy: 'float64 product on the device',
  precision: 'float32 rows',
  reach: () => ({ spread: 1e4, distance: 1e4, constancy: 1e4 }),
  reduce(rows, shift) {
    const ops = new Float64Ops(backend() as unknown as NativeBackend);
    const exactRows = ops.fromFloat32(ops.idOf(rows));
    const shifted = shift === undefined ? exactRows : ops.difference(exactRows, ops.fromFloat32(ops.idOf(shift)));
    const sums = ops.sumOfRows(shifted, rows.shape[0]);
    const product = ops.product(shifted, shifted);
    const reduced = { sums: ops.read(sums), product: ops.read(product) };
    ops.free(shifted, sums, product);
    return reduced;
  },
};
