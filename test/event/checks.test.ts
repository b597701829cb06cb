import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { concat } from '../../src/encoding/bytes.js';
import { decodeMessage, encodeMessage, lengthDelimited } from '../../src/encoding/message-codec.js';
import { checkEvent as checkEventWith } from '../../src/event/check-event.js';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { SummaryChecker } from '../../src/summaries/check-summaries.js';
import { decodeRecords } from '../support/event-files.js';

const checkEvent = (event: TensorBoardEvent, checker = new SummaryChecker(() => undefined)) =>
  checkEventWith(event, (summaries) => checker.check(summaries));
const event = (raw: Uint8Array): TensorBoardEvent => ({
  wallTime: 0,
  step: 0,
  summary: [{ tag: 'x', plugin: 'scalars', value: 0, raw }],
});
const describedAtLength = (length: number) =>
  encodeMessage(tensorboard.Summary.Value, {
    tag: 'x',
    simpleValue: 1,
    metadata: { summaryDescription: 'x'.repeat(length) },
  });
const bytes = (...parts: (number | string)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))));

it.each<[string, Uint8Array, RegExp]>([
  ['a tag that is not UTF-8', bytes(0x0a, 1, 0xff), /TensorBoard can decode/],
  ['half a surrogate pair in a tag', bytes(0x0a, 3, 0xed, 0xa0, 0x80), /TensorBoard can decode/],
  ['a description that is not UTF-8', bytes(0x4a, 3, 0x1a, 1, 0xc0), /TensorBoard can decode/],
  ['a plugin name that is not UTF-8', bytes(0x4a, 5, 0x0a, 3, 0x0a, 1, 0x80), /TensorBoard can decode/],
  ['a dimension name that is not UTF-8', bytes(0x42, 7, 0x12, 5, 0x12, 3, 0x12, 1, 0xfe), /TensorBoard can decode/],
  ['a tag stored as a number', bytes(0x08, 1), /field 1 of Summary.Value is not stored as text/],
  [
    'a simple value stored as a double',
    bytes(0x11, 0, 0, 0, 0, 0, 0, 0, 0),
    /field 2 of Summary.Value is not stored as 32 bits/,
  ],
  ['a tensor stored as a number', bytes(0x40, 1), /field 8 of Summary.Value is not stored as a message/],
  [
    'a length beyond 32 bits',
    bytes(0x0a, 0x81, 0x80, 0x80, 0x80, 0x10, 'x'),
    /field 1 of Summary.Value runs past the end/,
  ],
  ['a field beyond the end', bytes(0x0a, 200, 1, 'x'), /TensorBoard can decode/],
  ['a message beyond its own end', bytes(0x4a, 4, 0x1a, 4, 'ab'), /TensorBoard can decode/],
  ['doubles cut in the middle', bytes(0x2a, 5, 0x32, 3, 1, 2, 3), /field 6 of HistogramProto runs past the end/],
  ['field number 0', bytes(0x02, 0), /TensorBoard can decode/],
  [
    'content that the scalars dashboard cannot decode',
    bytes(0x4a, 14, 0x0a, 12, 0x0a, 7, 'scalars', 0x12, 1, 0x08),
    /decode/,
  ],
  ['half a varint', bytes(0x0a, 0xff), /TensorBoard can decode/],
  ['an end of a group that never began', bytes(0x0c), /TensorBoard can decode/],
])('%s is refused', (_, raw, message) => {
  expect(() => checkEvent(event(raw))).toThrow(TypeError);
  expect(() => checkEvent(event(raw))).toThrow(message);
});

it('tensors nested without end are refused, not followed', () => {
  let raw: Uint8Array = Buffer.alloc(0);
  const wrap = (number: number, inner: Uint8Array) => concat([lengthDelimited(number, inner.length), inner]);
  for (let depth = 0; depth < 60; depth++) raw = wrap(15, wrap(3, raw));
  expect(() => checkEvent(event(wrap(8, raw)))).toThrow(/nested/);
});

it.each<[string, Partial<TensorBoardEvent>, RegExp]>([
  ['NaN as wall time', { wallTime: Number.NaN }, /wallTime/],
  ['Infinity as wall time', { wallTime: Infinity }, /wallTime/],
  ['a fraction as step', { step: 0.5 }, /step/],
  ['two contents', { fileVersion: 'brain.Event:2', graph: new Uint8Array(1) }, /fileVersion and graph/],
  ['a graph that is text', { graph: 'graph' as never }, /graph to be a Uint8Array/],
  ['run metadata that is text', { runMetadata: { tag: 'x', bytes: 'x' as never } }, /runMetadata/],
  ['an unknown session status', { sessionLog: { status: 'begin' as never } }, /sessionLog.status/],
  ['a log level that is no number', { logMessage: { level: Number.NaN, message: '' } }, /level/],
  ['a source writer that is a number', { sourceWriter: 5 as never }, /sourceWriter/],
  ['a graph that is none', { graph: Uint8Array.of(0x0a, 1, 0xff) }, /graph to be a GraphDef .*a field of NodeDef/],
  ['half an emoji in a graph', { graph: Uint8Array.of(0x0a, 3, 0x0a, 1, 0xed) }, /field 1 of NodeDef is not UTF-8/],
  ['a meta graph that is none', { metaGraph: Uint8Array.of(0xff, 0xff, 0xff) }, /metaGraph to be a MetaGraphDef/],
  [
    'half an emoji in a function of a meta graph',
    { metaGraph: Uint8Array.of(0x12, 11, 0x12, 9, 0x0a, 7, 0x0a, 5, 0x0a, 3, 0xed, 0xa0, 0xbd) },
    /field 1 of OpDef is not UTF-8/,
  ],
  ['run metadata that is none', { runMetadata: { tag: 'x', bytes: Uint8Array.of(0x0a, 9) } }, /RunMetadata/],
  ['run metadata without a tag', { runMetadata: { tag: '', bytes: new Uint8Array(0) } }, /tag/],
  ['more than a reader accepts', { graph: new Uint8Array(2 ** 30 + 1) }, /at most 1073741824 bytes, got 1073741825/],
  ['a summary that is no list', { summary: {} as never }, /summary to be an array/],
  [
    '20 MB of description',
    { summary: [{ tag: 'x', plugin: 'scalars', value: 0, raw: describedAtLength(2e7) }] },
    /bytes of metadata/,
  ],
  ['a summary without raw', { summary: [{ tag: 'x', plugin: 'scalars', value: 0 } as never] }, /raw/],
])('%s is refused', (_, part, message) => {
  const whole = { wallTime: 0, step: 0, ...part };
  expect(() => checkEvent(whole)).toThrow(/TypeError|RangeError|addEvent/);
  expect(() => checkEvent(whole)).toThrow(message);
});

it('every summary in the fixtures is accepted', () => {
  const folder = 'test/fixtures/events';
  let count = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.includes('tfevents')) continue;
    for (const { summary } of decodeRecords(readFileSync(join(folder, name)))) {
      for (const value of summary?.value ?? []) {
        checkEvent(event(encodeMessage(tensorboard.Summary.Value, value)));
        count++;
      }
    }
  }
  expect(count).toBeGreaterThan(50);
});

it('text is repaired: half a character becomes U+FFFD', () => {
  const log = checkEvent({ wallTime: 0, step: 0, logMessage: { level: 20, message: 'a\ud800' } });
  expect(log.logMessage!.message).toBe('a\ufffd');
  expect(checkEvent({ wallTime: 0, step: 0, fileVersion: '\udc00', sourceWriter: '\udc00' })).toMatchObject({
    fileVersion: '\ufffd',
    sourceWriter: '\ufffd',
  });
});

it('any bytes either pass and decode, or are refused with a TypeError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (raw) => {
      try {
        checkEvent(event(raw));
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError);
        return;
      }
      decodeMessage(tensorboard.Summary.Value, raw);
    }),
    { numRuns: 20_000 },
  );
});
