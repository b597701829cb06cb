import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeEvent, stepProto } from '../../src/event/encode-event.js';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { EventDecoder } from '../../src/reader/event-decoder.js';

const decode = (bytes: Uint8Array) => new EventDecoder().decode(bytes, 0, bytes.length);

test('int64 steps reach protobuf exactly', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (step) => {
      expect(BigInt(String(stepProto(step)))).toBe(step);
      const bytes = tensorboard.Event.encode({ step: stepProto(step) }).finish();
      expect(BigInt(String(tensorboard.Event.decode(bytes).step))).toBe(step);
    }),
  );
});

test('a number beyond 2^53 is the integer it stands for', () => {
  expect(String(stepProto(2 ** 62))).toBe('4611686018427387904');
});

const bytes = Uint8Array.of(10, 2, 8, 1);
test.each<[string, TensorBoardEvent]>([
  ['a version', { wallTime: 1.5, step: 0, fileVersion: 'brain.Event:2', sourceWriter: 'us' }],
  ['a session start', { wallTime: 1.5, step: -7, sessionLog: { status: 'start' } }],
  ['a checkpoint', { wallTime: 2, step: 9, sessionLog: { status: 'checkpoint', checkpointPath: '/m', message: 'hi' } }],
  ['a graph', { wallTime: 3, step: 2n ** 60n, graph: bytes }],
  ['a meta graph', { wallTime: 3, step: 1, metaGraph: bytes }],
  ['run metadata', { wallTime: 3, step: 1, runMetadata: { tag: 'step1', bytes } }],
  ['a log message', { wallTime: 3, step: 1, logMessage: { level: 30, message: 'careful' } }],
])('%s is decoded as it was encoded', (_, event) => {
  expect(decode(encodeEvent(event))).toEqual(event);
});
