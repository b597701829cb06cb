import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameRecord } from '../../src/encoding/record.js';
import { encodeSummaryEvent } from '../../src/event/encode-event.js';
import { scalarBody, scalarRecordBytes, writeScalarRecord } from '../../src/event/scalar-record.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { scalarSummary } from '../../src/summaries/scalar.js';

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const steps = fc.oneof(
  fc.nat(200),
  fc.maxSafeInteger(),
  fc.bigInt(int64),
  fc.constantFrom(0n, -1, 2 ** 31, 2 ** 32, 2 ** 53, 2n ** 62n, 2 ** 62, -(2 ** 63), int64.min, int64.max),
);
const values = fc.oneof(fc.double(), fc.float(), fc.constantFrom(5e-324, 1.4e-45, -0, 1e300, Number.NaN, -Infinity));
const wallTimes = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 1.7e9));

test('a scalar written by hand is byte for byte what protobufjs encodes', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, unit: 'grapheme' }),
      steps,
      values,
      wallTimes,
      fc.nat(20),
      (tag, step, value, wallTime, start) => {
        const body = scalarBody(tag);
        const bytes = new Uint8Array(start + body.length + scalarRecordBytes);
        const end = writeScalarRecord(bytes, new DataView(bytes.buffer), start, wallTime, step, body, value);
        const { tensor } = scalarSummary(value);
        const expected = frameRecord(encodeSummaryEvent(wallTime, step, [{ tag, tensor }]));
        expect(bytes.subarray(start, end)).toEqual(expected);
      },
    ),
    { numRuns: 5000 },
  );
});

test('the protobuf decoder reads back the step, wall time and value written by hand', () => {
  fc.assert(
    fc.property(steps, values, wallTimes, (step, value, wallTime) => {
      const body = scalarBody('loss/train');
      const bytes = new Uint8Array(body.length + scalarRecordBytes);
      const end = writeScalarRecord(bytes, new DataView(bytes.buffer), 0, wallTime, step, body, value);
      const event = tensorboard.Event.decode(bytes.subarray(12, end - 4));
      expect(BigInt(event.step.toString())).toBe(BigInt(step));
      expect(event.wallTime).toBe(wallTime);
      const content = event.summary!.value![0].tensor!.tensorContent!;
      const stored = new DataView(content.buffer, content.byteOffset).getFloat32(0, true);
      expect(stored).toBe(Math.fround(value));
    }),
  );
});
