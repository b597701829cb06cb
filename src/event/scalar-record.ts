/**
 * The record of a scalar, which is what a training loop writes most of, put together by hand: everything between the step
 * and the value is the same for all events of a tag but the first, and is encoded once.
 */
import { recordHeaderBytes, recordOverheadBytes, sealRecord } from '../encoding/record.js';
import { encodeSummaryEvent } from './encode-event.js';
import type { Step } from './event.js';

/** The wall time and its key, the longest step and its key, the value. */
const eventBytes = 1 + 8 + 1 + 10 + 4;
/** The most that a scalar's record takes beside its body. */
export const scalarRecordBytes = recordOverheadBytes + eventBytes;

/**
 * What stands between the step and the value in every event of a scalar tag but its first: the event's summary with one
 * value: tag, and a float32 tensor of rank 0 in `tensor_content`, whose four bytes come last.
 */
export function scalarBody(tag: string): Uint8Array {
  const zero = { dtype: 1, tensorShape: {}, tensorContent: new Uint8Array(4) };
  return encodeSummaryEvent(0, 0, [{ tag, tensor: zero }]).slice(0, -4);
}

/**
 * Writes the record of a scalar's event by hand, byte for byte what `encodeSummaryEvent` makes of it (a test compares them), at a
 * fraction of the cost. There must be room for `body.length + scalarRecordBytes`.
 * Field numbers: proto/event.proto.
 *
 * @param body what `scalarBody` returned for the tag
 * @returns where the record ends
 */
export function writeScalarRecord(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  wallTime: number,
  step: Step,
  body: Uint8Array,
  value: number,
): number {
  const payload = start + recordHeaderBytes;
  let at = payload;
  if (wallTime !== 0 || Object.is(wallTime, -0)) {
    bytes[at] = 0x09; // wall_time = 1, 64 bits
    view.setFloat64(at + 1, wallTime, true);
    at += 9;
  }
  // biome-ignore lint/suspicious/noDoubleEquals: 0n is the same step as 0
  if (step != 0) {
    bytes[at++] = 0x10; // step = 2, varint
    at = writeVarint64(bytes, at, step);
  }
  const length = body.length;
  for (let i = 0; i < length; i++) bytes[at + i] = body[i];
  at += length;
  view.setFloat32(at, value, true);
  return sealRecord(bytes, view, start, at + 4 - payload);
}

/** Writes a step as an int64; returns where it ends. */
export function writeVarint64(bytes: Uint8Array, at: number, step: Step): number {
  if (typeof step !== 'number' || step < 0 || step > Number.MAX_SAFE_INTEGER) {
    // Negative steps are stored as two's complement of 64 bits.
    let wide = BigInt.asUintN(64, BigInt(step));
    while (wide > 127n) {
      bytes[at++] = Number(wide & 127n) | 128;
      wide >>= 7n;
    }
    bytes[at] = Number(wide);
    return at + 1;
  }
  let rest = step;
  while (rest > 0x7fffffff) {
    bytes[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at] = rest;
  return at + 1;
}
