/** The checks that every addX makes of its tag, step, wall time and texts. Each names the call and what it expected. */
import { describe } from '../errors.js';
import type { Step } from './event.js';

const minStep = -(2n ** 63n);
const maxStep = 2n ** 63n - 1n;

/**
 * A tag must be a non-empty string.
 *
 * @param what the call, for the error
 * @throws TypeError
 */
export function checkTag(tag: unknown, what: string): asserts tag is string {
  if (typeof tag !== 'string' || tag === '') {
    throw new TypeError(`${what}: expected the tag to be a non-empty string, got ${describe(tag)}`);
  }
}

/**
 * A step must be an integer that 64 bits hold. Beyond 2^53 only a bigint is exact.
 *
 * @throws TypeError or RangeError
 */
export function checkStep(step: unknown, what: string): asserts step is Step {
  if (typeof step === 'number') {
    if (Number.isSafeInteger(step)) return;
    if (!Number.isInteger(step)) throw new RangeError(`${what}: expected step to be an integer, got ${step}`);
  } else if (typeof step !== 'bigint') {
    throw new TypeError(`${what}: expected step to be an integer (number or bigint), got ${describe(step)}`);
  }
  const wide = BigInt(step as Step);
  if (wide < minStep || wide > maxStep) {
    throw new RangeError(`${what}: expected step to fit 64 bits (-2^63 to 2^63 - 1), got ${step}`);
  }
}

/**
 * A wall time must be finite: a single NaN makes TensorBoard's Rust loader give up the file.
 *
 * @throws TypeError or RangeError
 */
export function checkWallTime(wallTime: unknown, what: string): asserts wallTime is number {
  if (typeof wallTime !== 'number') {
    throw new TypeError(`${what}: expected wallTime to be a number of seconds, got ${describe(wallTime)}`);
  }
  if (!Number.isFinite(wallTime)) {
    throw new RangeError(`${what}: expected wallTime to be a finite number of seconds, got ${wallTime}`);
  }
}

/**
 * A text option must be a string or absent.
 *
 * @throws TypeError
 */
export function checkText(text: unknown, option: string, what: string): asserts text is string | undefined {
  if (text !== undefined && typeof text !== 'string') {
    throw new TypeError(`${what}: expected ${option} to be a string, got ${describe(text)}`);
  }
}

/**
 * Text with every lone surrogate replaced by U+FFFD. A lone surrogate has no UTF-8, and a string that is not UTF-8
 * makes TensorBoard's Rust loader give up the file.
 */
export function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? new TextDecoder().decode(new TextEncoder().encode(text)) : text;
}
