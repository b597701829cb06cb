/** Scalars: one float32 number per step. */
import { describe } from '../errors.js';
import type { TensorValue } from '../event/event.js';
import { type Later, type Numbers, type NumericArray, readNumbers, whenRead } from './numbers.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { floatTensor, isNumeric } from './tensor.js';

/** The least number that float32 rounds to Infinity: halfway between its greatest number and 2^128. */
const float32Infinity = 2 ** 128 - 2 ** 103;

/** Whether float32 stores a number as what it is: a finite one as a finite one, up to rounding; NaN and ±Infinity always. */
export function fitsFloat32(value: number): boolean {
  return Math.abs(value) < float32Infinity || !Number.isFinite(value);
}

/**
 * A scalar as TF2 writes it: float32 of rank 0. TensorBoard's Rust loader shows no other type or rank, so a number beyond
 * float32's range becomes ±Infinity, with a remark. NaN and ±Infinity are accepted: TensorBoard marks them in the chart.
 */
export function scalarSummary(value: number): PluginSummary {
  const remark = fitsFloat32(value) ? undefined : overflowRemark(value);
  return { plugin: 'scalars', dataClass: DataClass.scalar, tensor: floatTensor([value], []), remark };
}

function overflowRemark(value: number): string {
  const stored = value > 0 ? 'Infinity' : '-Infinity';
  return `${value} is beyond float32, in which scalars are stored (up to 3.4e38), and was written as ${stored}`;
}

/** The number in a scalar's tensor. Writers differ in type and rank, so any single number is accepted. */
export function decodeScalar({ data, dtype }: TensorValue): number | undefined {
  return data.length === 1 && isNumeric(dtype) ? Number(data[0]) : undefined;
}

/**
 * Reads the single number in a number, an array of one or a tensor of one.
 *
 * @throws RangeError if there is none or more than one
 */
export function readScalar(value: Numbers, call: string): Later<number> {
  if (typeof value === 'number') return value;
  return whenRead(readNumbers(value, call), (numbers) => single(numbers, call));
}

function single(numbers: NumericArray, call: string): number {
  if (numbers.values.length !== 1) {
    throw new RangeError(
      `${call}: expected a single number, got ${describe(numbers.values)} in the shape [${numbers.shape.join(', ')}]`,
    );
  }
  return numbers.values[0];
}
