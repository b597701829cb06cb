import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage, lengthDelimited } from '../../src/encoding/message-codec.js';
import { MalformedMessageError } from '../../src/encoding/protobuf.js';
import { tensorboard } from '../../src/proto/tensorboard.js';

/** The same messages each time: protobufjs and this package differ in what nobody writes, such as skipped numbers of eleven bytes. */
const seed = 20261127;

// protobufjs reads the .proto files itself here, and encodes and decodes by code that it makes of them.
const root = new protobuf.Root();
for (const file of readdirSync('proto')) protobuf.parse(readFileSync(`proto/${file}`, 'utf8'), root);
root.resolveAll();

const types: protobuf.Type[] = [];
(function walk(namespace: protobuf.NamespaceBase) {
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Type) types.push(nested);
    if (nested instanceof protobuf.Namespace) walk(nested);
  }
})(root);

type Codec = new (properties?: object) => object;

/** The class that this package has for a message. */
function codecOf({ fullName }: protobuf.Type): Codec {
  const names = fullName.split('.').slice(2);
  return names.reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], tensorboard) as Codec;
}

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const scalars: Record<string, fc.Arbitrary<unknown>> = {
  double: fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN)),
  float: fc.oneof(fc.float(), fc.constantFrom(0, -0)),
  int32: fc.oneof(fc.integer(), fc.constantFrom(0, 127, 128, -1, 2 ** 31 - 1, -(2 ** 31))),
  uint32: fc.nat(2 ** 32 - 1),
  bool: fc.boolean(),
  int64: fc.oneof(int64, fc.maxSafeInteger(), fc.constantFrom(0, -1, 2 ** 31, 2 ** 32, 2 ** 35)),
  uint64: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.maxSafeNat()),
  string: fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ maxLength: 300, minLength: 120 })),
  bytes: fc.uint8Array({ maxLength: 200 }),
};

/** Messages of a type, with some of their fields. */
function messages(type: protobuf.Type, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fieldsArray) {
    const { map, name, repeated, resolvedType } = field;
    if (resolvedType instanceof protobuf.Type && depth === 3) continue;
    const one =
      resolvedType instanceof protobuf.Type
        ? messages(resolvedType, depth + 1)
        : resolvedType
          ? fc.constantFrom(...Object.values(resolvedType.values))
          : scalars[field.type];
    fields[name] = map
      ? fc.dictionary(fc.string(), one, { maxKeys: 3, noNullPrototype: true })
      : repeated
        ? fc.array(one, { maxLength: 4 })
        : one;
  }
  return fc.record(fields, { requiredKeys: [] }).map((message) => {
    // A oneof holds one of its members.
    for (const { oneof } of type.oneofsArray) {
      for (const other of oneof.filter((name) => name in message).slice(1)) delete message[other];
    }
    return message;
  });
}

/** A message as protobufjs takes it: its integers of 64 bits are pairs of halves. */
function forProtobufjs(type: protobuf.Type, message: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(message).map(([name, value]) => {
      const field = type.fields[name];
      const { resolvedType } = field;
      const one = (each: unknown): unknown => {
        if (resolvedType instanceof protobuf.Type) return forProtobufjs(resolvedType, each as never);
        if (!/^u?int64$/.test(field.type)) return each;
        const wide = BigInt.asUintN(64, BigInt(each as number | bigint));
        const halves = { low: Number(wide & 0xffffffffn) | 0, high: Number(wide >> 32n) | 0 };
        return { ...halves, unsigned: field.type === 'uint64' };
      };
      if (field.map) {
        return [name, Object.fromEntries(Object.entries(value as object).map(([key, each]) => [key, one(each)]))];
      }
      return [name, field.repeated ? (value as unknown[]).map(one) : one(value)];
    }),
  );
}

describe.each(types.map((type) => [type.fullName.replace('.tensorboard.', ''), type] as const))('%s', (_name, type) => {
  const codec = codecOf(type);

  it('is encoded byte for byte as protobufjs encodes it', () => {
    fc.assert(
      fc.property(messages(type), (message) => {
        const expected = type.encode(forProtobufjs(type, message)).finish();
        expect(Buffer.from(encodeMessage(codec, message)).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
        expect(Buffer.from(encodeMessage(codec, new codec(message))).equals(expected)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('is decoded and encoded again without a change', () => {
    fc.assert(
      fc.property(messages(type), (message) => {
        const bytes = encodeMessage(codec, message);
        const decoded = decodeMessage(codec, bytes);
        expect(Buffer.from(encodeMessage(codec, decoded)).equals(bytes)).toBe(true);
        for (const [name, value] of Object.entries(message)) {
          const { map, repeated, resolvedType } = type.fields[name];
          if (map || resolvedType instanceof protobuf.Type) continue;
          const read = (decoded as Record<string, unknown>)[name];
          expect(repeated ? (read as unknown[]).map(String) : String(read)).toEqual(
            repeated ? (value as unknown[]).map(String) : String(value),
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('refuses the bytes that protobufjs refuses, and takes the others', () => {
    fc.assert(
      fc.property(messages(type), fc.nat(), fc.nat(255), fc.nat(), (message, at, byte, end) => {
        const bytes = Uint8Array.from(encodeMessage(codec, message));
        if (bytes.length === 0) return;
        bytes[at % bytes.length] = byte;
        const torn = end % 3 === 0 ? bytes.subarray(0, end % bytes.length) : bytes;
        let expected: object | undefined;
        try {
          expected = type.decode(torn);
        } catch {}
        if (expected === undefined) {
          expect(() => decodeMessage(codec, torn)).toThrow(MalformedMessageError);
        } else {
          const again = type.encode(expected).finish();
          const ours = encodeMessage(codec, decodeMessage(codec, torn));
          // Reading a signaling NaN may make it a quiet one, which is another byte of the same value.
          if (Buffer.compare(ours, again) === 0) return;
          expect(ours).toHaveLength(again.length);
          expect(type.decode(ours)).toEqual(type.decode(again));
          expect(Buffer.from(ours).toString('hex')).toMatch(/f[0-9a-f]7f|[8-9a-f][0-9a-f][7f]f/);
        }
      }),
      { numRuns: 200, seed },
    );
  });
});

describe('a message', () => {
  it('keeps fields that are not known, if asked, wherever they stand', () => {
    const inner = Uint8Array.of(0x0a, 1, 0x61, 0xf8, 0x07, 5); // tag 'a', and field 127
    const bytes = Uint8Array.of(0x2a, inner.length + 2, 0x0a, inner.length, ...inner, 0xfa, 0x07, 2, 1, 2);
    const kept = decodeMessage(tensorboard.Event, bytes, { keepUnknown: true });
    expect(encodeMessage(tensorboard.Event, kept)).toEqual(bytes);
    expect(encodeMessage(tensorboard.Event, decodeMessage(tensorboard.Event, bytes))).toEqual(
      bytes.slice(0, 2 + 2 + 3).map((byte, i) => (i === 1 ? 5 : i === 3 ? 3 : byte)),
    );
  });

  it('merges messages that come twice, and the last member of a oneof counts', () => {
    const one = encodeMessage(tensorboard.Summary.Value, { tag: 'a', metadata: { displayName: 'x' }, simpleValue: 1 });
    const two = encodeMessage(tensorboard.Summary.Value, {
      metadata: { summaryDescription: 'y' },
      image: { width: 3 },
    });
    const value = decodeMessage(tensorboard.Summary.Value, Uint8Array.of(...one, ...two));
    expect(value.metadata).toMatchObject({ displayName: 'x', summaryDescription: 'y' });
    expect([value.value, value.simpleValue, value.image?.width]).toEqual(['image', null, 3]);
  });

  it('with a key that would replace the prototype of a map is decoded as any other', () => {
    const bytes = encodeMessage(tensorboard.SessionStartInfo, {
      hparams: JSON.parse('{"__proto__": {"boolValue": true}}'),
    });
    const { hparams } = decodeMessage(tensorboard.SessionStartInfo, bytes);
    expect(Object.keys(hparams)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(hparams)).toBe(Object.prototype);
  });

  it('nested deeper than any parser goes is refused, and not followed', () => {
    let bytes = new Uint8Array(0);
    for (let depth = 0; depth < 500; depth++) {
      const struct = Uint8Array.of(...lengthDelimited(1, bytes.length), ...bytes);
      bytes = Uint8Array.of(...lengthDelimited(6, struct.length), ...struct);
    }
    expect(() => decodeMessage(tensorboard.HparamValue, bytes)).toThrow(MalformedMessageError);
    const cycle: tensorboard.IHparamValue = {};
    cycle.listValue = { values: [cycle] };
    expect(() => encodeMessage(tensorboard.HparamValue, cycle)).toThrow(RangeError);
  });

  it('has U+FFFD for half a surrogate pair, which has no UTF-8', () => {
    const bytes = encodeMessage(tensorboard.Summary.Value, { tag: 'a\ud800b\udc00\ud83d\ude00' });
    expect(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(2))).toBe('a\ufffdb\ufffd\u{1f600}');
  });

  it('names values of enumerations by number, and lists only names', () => {
    const { DataType } = tensorboard;
    expect([DataType.DT_HALF, DataType[19]]).toEqual([19, 'DT_HALF']);
    expect(Object.keys(DataType)).toContain('DT_HALF');
    expect(Object.keys(DataType)).not.toContain('19');
  });
});
