import { backend, fill, type Tensor2D } from '@tensorflow/tfjs-core';
import { DeviceMoments } from './on-device.js';
import type { Reach, ShiftedMoments } from './shift.js';

/** What tfjs-node's addon offers: operations of libtensorflow on tensors known by number. */
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

/** TF_DOUBLE, which the addon knows no name for: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/c/tf_datatype.h */
const double = 2;

/** float64 on tensors known by number: TensorFlow.js has no such type, but the library below it does. */
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

  /** a - b; both are given up. */
  less(a: number, b: number): number {
    const difference = this.#run('Sub', [this.#type('T', double)], [a, b]);
    this.free(a, b);
    return difference;
  }

  /** a^T b */
  product(a: number, b: number): number {
    const attributes = [this.#type('T', double), this.#flag('transpose_a', true), this.#flag('transpose_b', false)];
    return this.#run('MatMul', attributes, [a, b]);
  }

  /** Of a matrix of so many rows: as a product with ones, in half the time of libtensorflow's Sum. */
  sumOfRows(a: number, rows: number): number {
    const ones = fill([rows, 1], 1) as Tensor2D;
    const exactOnes = this.fromFloat32(this.idOf(ones));
    const result = this.product(exactOnes, a);
    this.free(exactOnes);
    ones.dispose();
    return result;
  }

  /** The addon reads no float64, but it reads the same bits as pairs of int32. */
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

const tested = new WeakMap<object, boolean>();

/**
 * True where the current backend computes in float64 below TensorFlow.js' types. That is a private path of tfjs-node, so
 * it is tried once before it is trusted.
 */
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
    // Another addon than the one this was made for: the host computes in float64 as well.
  }
  tested.set(native, works);
  return works;
}

/** DeviceMoments with a float64 product, through raw tensor ids of tfjs-node: see hasNativeFloat64. */
export class Float64DeviceMoments extends DeviceMoments {
  override readonly strategy = 'float64 product on the device';

  protected override readonly reach: Reach = { distance: 1e4, constancy: 1e4 };

  protected override reduce(rows: Tensor2D, shift: Tensor2D | undefined): ShiftedMoments {
    const ops = new Float64Ops(backend() as unknown as NativeBackend);
    const exactRows = ops.fromFloat32(ops.idOf(rows));
    const shifted = shift === undefined ? exactRows : ops.less(exactRows, ops.fromFloat32(ops.idOf(shift)));
    const sums = ops.sumOfRows(shifted, rows.shape[0]);
    const product = ops.product(shifted, shifted);
    const reduced = { sums: ops.read(sums), product: ops.read(product) };
    ops.free(shifted, sums, product);
    return reduced;
  }
}
