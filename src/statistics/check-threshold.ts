/** Returns the threshold. @throws TypeError unless it is a number, RangeError unless it lies in (0, 1] */
export function checkedThreshold(threshold: number): number {
  if (typeof threshold !== 'number') {
    throw new TypeError(`threshold: expected a number in (0, 1], got ${typeof threshold} '${String(threshold)}'`);
  }
  if (!(threshold > 0 && threshold <= 1))
    throw new RangeError(`threshold: expected a number in (0, 1], got ${threshold}`);
  return threshold;
}
