import type { Step } from './event.js';

/**
 * The step that an int64 varint stands for.
 *
 * @param low its low 32 bits, unsigned
 * @param high its high 32 bits, unsigned
 */
export function readStep(low: number, high: number): Step {
  const signedHigh = high | 0;
  const step = signedHigh * 2 ** 32 + low;
  return Number.isSafeInteger(step) ? step : (BigInt(signedHigh) << 32n) | BigInt(low);
}
