import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { readUtf8, WireReader, WireType } from '../../src/encoding/protobuf.js';

function over(bytes: Uint8Array, start = 0, end = bytes.length): WireReader {
  const wire = new WireReader();
  wire.open(bytes, start, end);
  return wire;
}

describe('WireReader reads, as protobufjs writes them,', () => {
  it('varints of 64 bits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const writer = protobuf.Writer.create();
        writer.uint64({
          low: Number(value & 0xffffffffn) | 0,
          high: Number(value >> 32n) | 0,
          unsigned: true,
        } as never);
        const bytes = writer.finish();
        const wire = over(bytes);
        wire.varint();
        expect((BigInt(wire.high) << 32n) | BigInt(wire.low)).toBe(value);
        expect(wire.position).toBe(bytes.length);
      }),
    );
  });

  it('any field, from any place in a larger buffer', () => {
    const number = fc.integer({ min: 1, max: 2 ** 29 - 1 });
    fc.assert(
      fc.property(number, fc.double(), fc.float(), fc.string(), fc.nat(20), (field, double, float, text, before) => {
        const writer = protobuf.Writer.create();
        writer.uint32(((field << 3) | 1) >>> 0).double(double);
        writer.uint32(((field << 3) | 5) >>> 0).float(float);
        writer.uint32(((field << 3) | 2) >>> 0).string(text);
        const message = writer.finish();
        const bytes = new Uint8Array(before + message.length + 3).fill(0xff);
        bytes.set(message, before);
        const wire = over(bytes, before, before + message.length);
        expect([wire.field(), wire.number, wire.wireType]).toEqual([true, field, WireType.fixed64]);
        expect(wire.double()).toBe(double);
        expect([wire.field(), wire.wireType, wire.float()]).toEqual([true, WireType.fixed32, float]);
        expect([wire.field(), wire.wireType]).toEqual([true, WireType.bytes]);
        wire.range();
        expect(Buffer.from(bytes.subarray(wire.rangeStart, wire.rangeEnd)).toString()).toBe(
          Buffer.from(text).toString(),
        );
        expect(wire.field()).toBe(false);
      }),
    );
  });

  it('a field that it skips', () => {
    const writer = protobuf.Writer.create();
    writer.uint32((1 << 3) | 0).uint32(300);
    writer.uint32((2 << 3) | 1).double(1);
    writer.uint32((3 << 3) | 2).string('skipped');
    writer.uint32((4 << 3) | 5).float(1);
    writer
      .uint32((5 << 3) | 3)
      .uint32((6 << 3) | 0)
      .uint32(1)
      .uint32((5 << 3) | 4);
    writer.uint32((7 << 3) | 0).uint32(1);
    const wire = over(writer.finish());
    const seen: number[] = [];
    while (wire.field()) {
      seen.push(wire.number);
      wire.skip();
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 7]);
  });
});

describe('WireReader refuses', () => {
  it.each<[string, number[], (wire: WireReader) => void]>([
    ['a varint that is cut off', [0x80], (wire) => wire.varint()],
    ['a varint of eleven bytes', [...new Array(10).fill(0x80), 0], (wire) => wire.varint()],
    ['a double that is cut off', [0, 0, 0, 0, 0, 0, 0], (wire) => wire.double()],
    ['a float that is cut off', [0, 0, 0], (wire) => wire.float()],
    ['a length past the end', [3, 0, 0], (wire) => wire.range()],
    ['a length of 2^63', [...new Array(9).fill(0x80), 1], (wire) => wire.range()],
    ['no length', [], (wire) => wire.range()],
    ['field number 0', [0x02], (wire) => wire.field()],
    ['a field number beyond 32 bits', [0x88, 0x80, 0x80, 0x80, 0x10], (wire) => wire.field()],
  ])('%s', (_, bytes, read) => {
    expect(() => read(over(Uint8Array.from(bytes)))).toThrow(RangeError);
  });

  it('what lies beyond the end it was given', () => {
    expect(() => over(new Uint8Array(100), 0, 7).double()).toThrow('a field of 8 bytes where 7 are left');
  });

  it('text that is not UTF-8', () => {
    expect(readUtf8(new TextEncoder().encode('xçx'), 1, 3)).toBe('ç');
    expect(() => readUtf8(Uint8Array.of(0x41, 0xe7), 0, 2)).toThrow('not UTF-8');
    // A lone surrogate, which Python's protobuf refuses, too.
    expect(() => readUtf8(Uint8Array.of(0xed, 0xa0, 0x80), 0, 3)).toThrow(RangeError);
  });
});

type FieldReference = [number: number, type: string, isRepeated: boolean];
/** TensorBoard's own descriptors, by full name: written by test/fixtures/summaries/generate.py. */
const descriptors: Record<string, Record<string, FieldReference | number>> = JSON.parse(
  readFileSync('test/fixtures/summaries/descriptors.json', 'utf8'),
);

/** Ours are in one package, so messages of the same name had to be renamed; names do not occur in the encoding. */
const renamed: Record<string, string> = {
  HparamValue: 'google.protobuf.Value',
  HparamListValue: 'google.protobuf.ListValue',
  HparamStruct: 'google.protobuf.Struct',
  HparamInterval: 'tensorboard.hparams.Interval',
  HparamInfo: 'tensorboard.hparams.HParamInfo',
  HparamsExperiment: 'tensorboard.hparams.Experiment',
  HparamDataType: 'tensorboard.hparams.DataType',
  HparamsStatus: 'tensorboard.hparams.Status',
  'MetricInfo.DatasetType': 'tensorboard.hparams.DatasetType',
  ChartCategory: 'tensorboard.Category',
};

const packages = ['tensorboard', 'tensorboard.hparams', 'tensorboard.mesh'];

function referenceOf(path: string) {
  const name = path.replace(/^\.tensorboard\./, '');
  const names = [renamed[name], ...packages.map((prefix) => `${prefix}.${name}`)];
  return descriptors[names.find((each) => each !== undefined && each in descriptors) ?? name];
}

const root = new protobuf.Root();
for (const file of readdirSync('proto'))
  protobuf.parse(readFileSync(`proto/${file}`, 'utf8'), root, { keepCase: true });
root.resolveAll();

const messages: protobuf.Type[] = [];
const enums: protobuf.Enum[] = [];
(function walk(namespace: protobuf.NamespaceBase) {
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Type) messages.push(nested);
    if (nested instanceof protobuf.Enum) enums.push(nested);
    if (nested instanceof protobuf.Namespace) walk(nested);
  }
})(root);

function kindOf(field: protobuf.Field): string {
  if (field.resolvedType instanceof protobuf.Enum) return 'enum';
  return field.map || field.resolvedType ? 'message' : field.type;
}

describe('the trimmed protos', () => {
  it('cover the messages of events, summaries, graphs and plugins', () => {
    expect(messages.length).toBeGreaterThan(40);
    expect(enums.length).toBeGreaterThan(8);
  });

  it.each(messages.map((message) => [message.fullName.slice('.tensorboard.'.length), message] as const))(
    "give %s TensorBoard's field numbers and types",
    (_, message) => {
      const reference = referenceOf(message.fullName);
      for (const field of message.fieldsArray) {
        // NullValue has the single value 0 and is an int32 here.
        const type = field.name === 'null_value' ? 'enum' : kindOf(field);
        expect([field.name, field.id, type, field.repeated || field.map]).toEqual([
          field.name,
          ...(reference[field.name] as FieldReference),
        ]);
      }
    },
  );

  it.each(enums.map((each) => [each.fullName.slice('.tensorboard.'.length), each] as const))(
    "give %s TensorBoard's values",
    (_, each) => {
      expect(referenceOf(each.fullName)).toMatchObject(each.values);
    },
  );
});
