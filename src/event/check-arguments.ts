/** The checks that every addX makes of its tag, step, wall time and texts. Each names the call and what it expected. */
import { maxPayloadBytes } from '../encoding/record.js';
import { describe } from '../errors.js';
import type { Step } from './event.js';

/** TensorBoard's parts exchange lists of all tags, with names and descriptions, in messages of at most 256 MiB. */
export const maxTextLength: number = 2 ** 24;
const minStep = -(2n ** 63n);
const maxStep = 2n ** 63n - 1n;

/**
 * A tag must be a non-empty string.
 *
 * @param what the call, for the error
 * @throws TypeError or RangeError
 */
export function checkTag(tag: unknown, what: string): asserts tag is string {
  if (typeof tag !== 'string' || tag === '') {
    throw new TypeError(`${what}: expected the tag to be a non-empty string, got ${describe(tag)}`);
  }
  checkLength(tag, 'the tag', what);
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

/** No event happened in the year 5138 or later, but Date.now() is a greater number since 1973. */
const secondsEnd = 1e11;

/**
 * A time that the user gives: seconds since 1970, or a Date. Milliseconds, which `Date.now()` returns, are refused:
 * TensorBoard would show a year beyond 50,000.
 *
 * @param option what the time is of, for the error
 * @returns seconds
 * @throws TypeError or RangeError
 */
export function secondsOf(time: unknown, option: string, what: string): number {
  const seconds = time instanceof Date ? time.getTime() / 1000 : time;
  if (typeof seconds !== 'number') {
    throw new TypeError(`${what}: expected ${option} to be a number of seconds or a Date, got ${describe(time)}`);
  }
  if (!Number.isFinite(seconds)) {
    const got = time instanceof Date ? 'an invalid Date' : seconds;
    throw new RangeError(`${what}: expected ${option} to be a finite number of seconds or a Date, got ${got}`);
  }
  if (seconds >= secondsEnd && !(time instanceof Date)) {
    throw new RangeError(
      `${what}: expected ${option} in seconds since 1970, got ${seconds}, which looks like milliseconds: divide it by 1000, or give a Date`,
    );
  }
  return seconds;
}

/**
 * A text option must be a string or absent.
 *
 * @throws TypeError or RangeError
 */
export function checkText(text: unknown, option: string, what: string): asserts text is string | undefined {
  if (text !== undefined && typeof text !== 'string') {
    throw new TypeError(`${what}: expected ${option} to be a string, got ${describe(text)}`);
  }
  if (text !== undefined) checkLength(text, option, what);
}

function checkLength({ length }: string, name: string, what: string): void {
  if (length <= maxTextLength) return;
  throw new RangeError(`${what}: expected ${name} to have at most ${maxTextLength} characters, got ${length}`);
}

/**
 * An event must not be longer than readers accept.
 *
 * @throws RangeError
 */
export function checkEventBytes(bytes: number, what: string): void {
  if (bytes <= maxPayloadBytes) return;
  throw new RangeError(`${what}: expected an event of at most ${maxPayloadBytes} bytes, got ${bytes}`);
}
