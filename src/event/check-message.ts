import protobuf from 'protobufjs/minimal.js';

/** How a field is stored, or the message it holds. `packed` numbers may stand alone too, as their own wire type. */
type Field = 'varint' | 'fixed64' | 'fixed32' | 'bytes' | 'text' | Packed | Message;
interface Packed {
  packed: 'varint' | 'fixed64' | 'fixed32';
}
interface Message {
  fields: Record<number, Field>;
}

const wireTypes = { varint: 0, fixed64: 1, bytes: 2, text: 2, fixed32: 5 } as const;
/** Fewer than the 100 that Rust's decoder takes. */
const maxDepth = 64;
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

const packedVarint: Packed = { packed: 'varint' };
const packedFloat: Packed = { packed: 'fixed32' };
const packedDouble: Packed = { packed: 'fixed64' };
const shape: Message = {
  fields: { 2: { fields: { 1: 'varint', 2: 'text' } }, 3: 'varint' },
};
const tensor: Message = {
  fields: {
    1: 'varint',
    2: shape,
    3: 'varint',
    4: 'bytes',
    5: packedFloat,
    6: packedDouble,
    7: packedVarint,
    8: 'bytes',
    9: packedFloat,
    10: packedVarint,
    11: packedVarint,
    12: packedDouble,
    13: packedVarint,
    14: {
      fields: { 1: 'text', 2: 'text', 3: 'text', 4: 'varint', 5: 'text', 6: { fields: { 1: 'varint', 2: shape } } },
    },
    16: packedVarint,
    17: packedVarint,
    18: 'bytes',
  },
};
tensor.fields[15] = { fields: { 1: 'text', 2: 'bytes', 3: tensor } };

/**
 * Summary.Value with everything that TensorBoard itself decodes of it.
 * Source: tensorboard/compat/proto/{summary,histogram,tensor,tensor_shape,resource_handle}.proto
 */
const summaryValue: Message = {
  fields: {
    1: 'text',
    2: 'fixed32',
    3: 'bytes',
    4: { fields: { 1: 'varint', 2: 'varint', 3: 'varint', 4: 'bytes' } },
    5: {
      fields: {
        1: 'fixed64',
        2: 'fixed64',
        3: 'fixed64',
        4: 'fixed64',
        5: 'fixed64',
        6: packedDouble,
        7: packedDouble,
      },
    },
    6: { fields: { 1: 'fixed32', 2: 'varint', 3: 'varint', 4: 'bytes', 5: 'text' } },
    7: 'text',
    8: tensor,
    9: { fields: { 1: { fields: { 1: 'text', 2: 'bytes' } }, 2: 'text', 3: 'text', 4: 'varint' } },
  },
};

/**
 * Makes sure that TensorBoard's loaders can decode the bytes of a Summary.Value. protobufjs forgives what stops them: text
 * that is not UTF-8, and known fields stored as another type.
 *
 * @throws Error that says what is wrong
 */
export function checkSummaryBytes(raw: Uint8Array): void {
  check(protobuf.Reader.create(raw), raw.length, summaryValue, 0);
}

function check(reader: protobuf.Reader, end: number, message: Message, depth: number): void {
  if (depth > maxDepth) throw new Error(`messages are nested more than ${maxDepth} deep`);
  while (reader.pos < end) {
    const key = reader.tag();
    const number = key >>> 3;
    const wireType = key & 7;
    const field = message.fields[number];
    if (field === undefined) reader.skipType(wireType, depth, number);
    else checkField(reader, number, wireType, field, depth);
  }
  if (reader.pos !== end) throw new Error('a field runs past the end of its message');
}

function checkField(reader: protobuf.Reader, number: number, wireType: number, field: Field, depth: number): void {
  if (typeof field === 'string') {
    if (wireType !== wireTypes[field]) throw new Error(`field ${number} is not stored as ${field}`);
    if (field === 'text') strictUtf8.decode(reader.bytes());
    else reader.skipType(wireType);
    return;
  }
  if ('packed' in field && wireType === wireTypes[field.packed]) {
    reader.skipType(wireType);
    return;
  }
  if (wireType !== 2) throw new Error(`field ${number} is stored as another type`);
  const size = reader.size();
  const end = reader.pos + size;
  if (end > reader.len) throw new Error(`field ${number} runs past the end`);
  if ('fields' in field) {
    check(reader, end, field, depth + 1);
    return;
  }
  while (reader.pos < end) reader.skipType(wireTypes[field.packed]);
  if (reader.pos !== end) throw new Error(`field ${number} ends within a number`);
}
