import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkMessage, type MessageName } from '../../src/event/messages.js';

/** TensorBoard's own descriptors: kind of each field (or the message it holds) and whether it is repeated. */
const messages: Record<string, Record<string, [kind: string, repeated: boolean]>> = JSON.parse(
  readFileSync('test/fixtures/messages/messages.json', 'utf8'),
);

const wireTypes: Record<string, number> = { varint: 0, fixed64: 1, text: 2, bytes: 2, fixed32: 5 };
const samples: Record<number, number[]> = { 0: [1], 1: [0, 0, 0, 0, 0, 0, 0, 0], 2: [2, 0xc3, 0xa9], 5: [0, 0, 0, 0] };
const wireTypeOf = (kind: string) => wireTypes[kind] ?? 2;
const sampleOf = (kind: string) => (kind in wireTypes ? samples[wireTypes[kind]] : [0]);
const varint = (value: number): number[] => (value < 128 ? [value] : [(value % 128) + 128, ...varint(value >> 7)]);
const field = (number: number | string, wireType: number, contents: number[]) => [
  ...varint(Number(number) * 8 + wireType),
  ...contents,
];
const sized = (contents: number[]) => [...varint(contents.length), ...contents];
const right = (number: string, kind: string) => field(number, wireTypeOf(kind), sampleOf(kind));
const wrong = (number: string, kind: string) =>
  field(number, kind === 'fixed64' ? 5 : 1, samples[kind === 'fixed64' ? 5 : 1]);

const check = (name: string, bytes: number[]) =>
  checkMessage(name.replace(/^tensorboard\./, '') as MessageName, Uint8Array.from(bytes));
const accepts = (name: string, bytes: number[], what: string) =>
  expect(() => check(name, bytes), `${name} ${what}`).not.toThrow();
const refuses = (name: string, bytes: number[], what: string, reason: RegExp) =>
  expect(() => check(name, bytes), `${name} ${what}`).toThrow(reason);

// Maps are messages of their own in the descriptors.
const names = Object.keys(messages).filter((name) => !name.endsWith('Entry'));

describe("the table of messages is TensorBoard's", () => {
  it('has a hundred messages', () => expect(names.length).toBeGreaterThan(100));

  it.each(names)('%s', (name) => {
    for (const [number, [kind, repeated]] of Object.entries(messages[name])) {
      const what = `field ${number}`;
      accepts(name, right(number, kind), what);
      refuses(name, wrong(number, kind), `${what} of another type`, /is not stored as/);
      const twice = [...right(number, kind), ...right(number, kind)];
      const packed = field(number, 2, sized([...sampleOf(kind), ...sampleOf(kind)]));
      if (kind === 'text') refuses(name, field(number, 2, [1, 0xff]), what, /is not UTF-8/);
      else if (kind === 'bytes') accepts(name, field(number, 2, [1, 0xff]), what);
      else if (kind in wireTypes) {
        if (repeated) accepts(name, packed, `${what} packed`);
        else refuses(name, packed, `${what} packed`, /is not stored as/);
      } else {
        if (repeated) accepts(name, twice, `${what} twice`);
        else refuses(name, twice, `${what} twice`, /comes twice/);
        // It is this message and no other: every field of it is known.
        for (const [inner, [innerKind]] of Object.entries(messages[kind])) {
          accepts(name, field(number, 2, sized(right(inner, innerKind))), `${what}.${inner}`);
          refuses(name, field(number, 2, sized(wrong(inner, innerKind))), `${what}.${inner}`, /is not stored as/);
        }
      }
    }
    accepts(name, field(500, 2, [1, 0xff]), 'an unknown field');
  });
});

it('every message that TensorBoard fills is accepted, and none of them cut short', () => {
  const filled: Record<string, string> = JSON.parse(readFileSync('test/fixtures/messages/filled.json', 'utf8'));
  for (const [name, base64] of Object.entries(filled)) {
    const bytes = [...Buffer.from(base64, 'base64')];
    accepts(name, bytes, 'filled');
    refuses(name, bytes.slice(0, -1), 'cut short', /runs past the end|cut off/);
  }
  expect(Object.keys(filled).length).toBe(13);
});

describe('a message', () => {
  const long = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
  it.each<[string, number[], RegExp | undefined]>([
    ['nothing', [], undefined],
    ['a varint of 64 bits', field(99, 0, [...long, 1]), undefined],
    [
      'a varint whose tenth byte exceeds 1',
      field(99, 0, [...long, 2]),
      /field 99 of NodeDef has a number that is cut off/,
    ],
    ['a varint of eleven bytes', field(99, 0, [...long, 0x81, 0]), /cut off or too long/],
    ['half a varint', field(99, 0, [0x80]), /cut off/],
    ['an overlong length', [0x0a, 0x81, 0x80, 0x80, 0x80, 0x80, 0, 0x61], /too long/],
    ['a length beyond the end', [0x0a, 5, 0x61], /field 1 of NodeDef runs past the end/],
    ['half a double', field(99, 1, [0, 0, 0]), /runs past the end/],
    ['field 0', [0x02, 0], /has no valid number/],
    ['a field number beyond 32 bits', [0x82, 0x80, 0x80, 0x80, 0x10, 0], /has no valid number/],
    ['a group', field(99, 3, field(99, 4, [])), /wire type 3/],
    ['the wire type 6', field(99, 6, []), /wire type 6/],
    ['half a surrogate pair', field(1, 2, [3, 0xed, 0xa0, 0x80]), /field 1 of NodeDef is not UTF-8/],
    ['a BOM', field(1, 2, [3, 0xef, 0xbb, 0xbf]), undefined],
  ])('%s', (_, bytes, problem) => {
    if (problem === undefined) accepts('tensorboard.NodeDef', bytes, '');
    else refuses('tensorboard.NodeDef', bytes, '', problem);
  });

  it('packed numbers end with a whole number', () => {
    refuses(
      'tensorboard.VersionDef',
      field(3, 2, sized([1, 0x80])),
      '',
      /field 3 of VersionDef has a number that is cut off/,
    );
    refuses('tensorboard.VersionDef', field(3, 2, sized([...long, 2])), '', /cut off or too long/);
    refuses('tensorboard.HistogramProto', field(6, 2, sized([0, 0, 0])), '', /runs past the end/);
  });

  it('messages are followed 64 deep', () => {
    let bytes: number[] = [];
    for (let depth = 0; depth < 64; depth++) bytes = field(2, 2, sized(bytes));
    accepts('tensorboard.FullTypeDef', bytes, '64 deep');
    refuses('tensorboard.FullTypeDef', field(2, 2, sized(bytes)), '65 deep', /nested more than 64 deep/);
  });
});
