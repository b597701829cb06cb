import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '../../src/encoding/message-codec.js';
import { frameRecord } from '../../src/encoding/record.js';
import { encodeEvent, encodeSummaryEvent, stepProto } from '../../src/event/encode-event.js';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { scalarBody, scalarRecordBytes, writeScalarRecord } from '../../src/event/scalar-record.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { EventDecoder } from '../../src/reader/event-decoder.js';
import { scalarSummary } from '../../src/summaries/scalar.js';

describe('an event', () => {
  const decode = (bytes: Uint8Array) => new EventDecoder().decode(bytes, 0, bytes.length);

  it('int64 steps reach protobuf exactly', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (step) => {
        expect(BigInt(String(stepProto(step)))).toBe(step);
        const bytes = encodeMessage(tensorboard.Event, { step: stepProto(step) });
        expect(BigInt(String(decodeMessage(tensorboard.Event, bytes).step))).toBe(step);
      }),
    );
  });

  it('a number beyond 2^53 is the integer it stands for', () => {
    expect(String(stepProto(2 ** 62))).toBe('4611686018427387904');
  });

  const bytes = Uint8Array.of(10, 2, 8, 1);
  it.each<[string, TensorBoardEvent]>([
    ['a version', { wallTime: 1.5, step: 0, fileVersion: 'brain.Event:2', sourceWriter: 'us' }],
    ['a session start', { wallTime: 1.5, step: -7, sessionLog: { status: 'start' } }],
    [
      'a checkpoint',
      { wallTime: 2, step: 9, sessionLog: { status: 'checkpoint', checkpointPath: '/m', message: 'hi' } },
    ],
    ['a graph', { wallTime: 3, step: 2n ** 60n, graph: bytes }],
    ['a meta graph', { wallTime: 3, step: 1, metaGraph: bytes }],
    ['run metadata', { wallTime: 3, step: 1, runMetadata: { tag: 'step1', bytes } }],
    ['a log message', { wallTime: 3, step: 1, logMessage: { level: 30, message: 'careful' } }],
  ])('%s is decoded as it was encoded', (_, event) => {
    expect(decode(encodeEvent(event))).toEqual(event);
  });
});

describe('a scalar record', () => {
  const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
  const steps = fc.oneof(
    fc.nat(200),
    fc.maxSafeInteger(),
    fc.bigInt(int64),
    fc.constantFrom(0n, -1, 2 ** 31, 2 ** 32, 2 ** 53, 2n ** 62n, 2 ** 62, -(2 ** 63), int64.min, int64.max),
  );
  const values = fc.oneof(fc.double(), fc.float(), fc.constantFrom(5e-324, 1.4e-45, -0, 1e300, Number.NaN, -Infinity));
  const wallTimes = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 1.7e9));

  it('a scalar written by hand is byte for byte what protobufjs encodes', () => {
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

  it('the protobuf decoder reads back the step, wall time and value written by hand', () => {
    fc.assert(
      fc.property(steps, values, wallTimes, (step, value, wallTime) => {
        const body = scalarBody('loss/train');
        const bytes = new Uint8Array(body.length + scalarRecordBytes);
        const end = writeScalarRecord(bytes, new DataView(bytes.buffer), 0, wallTime, step, body, value);
        const event = decodeMessage(tensorboard.Event, bytes.subarray(12, end - 4));
        expect(BigInt(event.step.toString())).toBe(BigInt(step));
        expect(event.wallTime).toBe(wallTime);
        const content = event.summary!.value![0].tensor!.tensorContent!;
        const stored = new DataView(content.buffer, content.byteOffset).getFloat32(0, true);
        expect(stored).toBe(Math.fround(value));
      }),
    );
  });
});
