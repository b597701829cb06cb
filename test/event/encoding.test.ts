import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '../../src/encoding/message-codec.js';
import { frameRecord } from '../../src/encoding/record.js';
import { encodeEvent, encodeSummaryEvent, stepProto } from '../../src/event/encode-event.js';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { scalarBody, scalarRecordBytes, writeScalarRecord } from '../../src/event/scalar-record.js';
import { encodeTensorEvent } from '../../src/event/tensor-event.js';
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

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const steps = fc.oneof(
  fc.nat(200),
  fc.maxSafeInteger(),
  fc.bigInt(int64),
  fc.constantFrom(0n, -1, 2 ** 31, 2 ** 32, 2 ** 53, 2n ** 62n, 2 ** 62, -(2 ** 63), int64.min, int64.max),
);
const values = fc.oneof(fc.double(), fc.float(), fc.constantFrom(5e-324, 1.4e-45, -0, 1e300, Number.NaN, -Infinity));
const wallTimes = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 1.7e9));

describe('a scalar record', () => {
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

describe('an event of a tensor', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const size = fc.oneof(fc.nat(300), fc.constantFrom(2 ** 14, 2 ** 21, 2 ** 28, 2 ** 31 - 1));
  const usual: fc.Arbitrary<tensorboard.ITensorProto> = fc.record(
    {
      dtype: fc.constantFrom(1, 2, 3, 7, 21),
      tensorShape: fc.record({ dim: fc.array(fc.record({ size }), { maxLength: 15 }) }),
      tensorContent: bytes,
      stringVal: fc.array(bytes, { maxLength: 4 }),
    },
    { requiredKeys: ['dtype', 'tensorShape'] },
  );
  const tags = fc.string({ minLength: 1, maxLength: 100, unit: 'grapheme-ascii' });

  it('is byte for byte what the general way makes of it', () => {
    fc.assert(
      fc.property(tags, usual, steps, wallTimes, (tag, tensor, step, wallTime) => {
        const expected = encodeSummaryEvent(wallTime, step, [{ tag, tensor }]);
        expect(encodeTensorEvent(wallTime, step, { tag, tensor })).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('of long strings is, too', () => {
    for (const length of [2 ** 7, 2 ** 14, 2 ** 21].flatMap((edge) => [edge - 30, edge - 1, edge, edge + 1])) {
      const tensor = { dtype: 7, tensorShape: { dim: [] }, stringVal: [new Uint8Array(length).fill(65)] };
      const expected = encodeSummaryEvent(1.5, 3, [{ tag: 'note', tensor }]);
      // Comparing element by element would take seconds.
      expect(Buffer.compare(encodeTensorEvent(1.5, 3, { tag: 'note', tensor })!, expected)).toBe(0);
    }
  });

  const tensor = { dtype: 1, tensorShape: { dim: [{ size: 1 }] }, tensorContent: new Uint8Array(4) };
  it.each<[string, tensorboard.Summary.IValue]>([
    ['metadata', { tag: 'a', tensor, metadata: { pluginData: { pluginName: 'text' } } }],
    ['no tag', { tag: '', tensor }],
    ['a tag beyond ASCII', { tag: 'ü', tensor }],
    ['a long tag', { tag: 'a'.repeat(101), tensor }],
    ['no tensor', { tag: 'a', simpleValue: 1 }],
    ['no type', { tag: 'a', tensor: { ...tensor, dtype: 0 } }],
    ['a type of two bytes', { tag: 'a', tensor: { ...tensor, dtype: 128 } }],
    ['no shape', { tag: 'a', tensor: { dtype: 1, tensorContent: new Uint8Array(4) } }],
    ['a rank that is not known', { tag: 'a', tensor: { ...tensor, tensorShape: { unknownRank: true } } }],
    ['an axis with a name', { tag: 'a', tensor: { ...tensor, tensorShape: { dim: [{ size: 1, name: 'x' }] } } }],
    ['an axis that is not known', { tag: 'a', tensor: { ...tensor, tensorShape: { dim: [{ size: -1 }] } } }],
    ['a bigint as size', { tag: 'a', tensor: { ...tensor, tensorShape: { dim: [{ size: 1n }] } } }],
    ['sixteen axes', { tag: 'a', tensor: { ...tensor, tensorShape: { dim: new Array(16).fill({ size: 1 }) } } }],
    ['numbers one by one', { tag: 'a', tensor: { ...tensor, floatVal: [1] } }],
    ['fields that are not known', { tag: 'a', tensor: { ...tensor, $unknowns: [Uint8Array.of(8, 1)] } }],
  ])('with %s is left to the general way', (_, value) => {
    expect(encodeTensorEvent(1.5, 3, value)).toBeUndefined();
  });
});
