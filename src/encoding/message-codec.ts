/**
 * Protocol-buffer messages by the table of `message-types.ts`, both directions. Bytes and objects are
 * those of protobufjs' generated code, which takes twenty times as much room: fields in the order of their numbers, repeated numbers
 * packed, defaults left out unless they are the member of a oneof that was chosen.
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
import { utf8Encoder } from './bytes.js';
import {
  type Field,
  fieldOf,
  isDefault,
  type Kind,
  type MessageType,
  type Properties,
  typesOf,
  varintLength,
  wireTypes,
} from './message-types.js';
import { MalformedMessageError, readUtf8, WireReader, WireType } from './protobuf.js';

/** How a message is decoded. */
interface DecodeOptions {
  /** Whether fields that the table does not know are kept, in `$unknowns`. */
  keepUnknown?: boolean;
}

/** As protobuf's own parsers have it. */
const maxDepth = 100;

/** What stands in front of so many bytes that are stored in a field. */
export function lengthDelimited(number: number, length: number): Uint8Array {
  const bytes = new Uint8Array(varintLength(number * 8) + varintLength(length));
  const writer = new MessageWriter(bytes);
  writer.varint(number * 8 + WireType.bytes);
  writer.varint(length);
  return bytes;
}

/** The class of a message: what it is made of, and what it is when it was decoded. */
type MessageClass<Given extends object, Message extends object> = new (properties?: Given) => Message;

/**
 * Encodes a message. Half a surrogate pair in a text becomes U+FFFD: it has no UTF-8, and text that is not UTF-8 makes TensorBoard's
 * Rust loader give up the file, and its dashboards fail for all runs.
 *
 * @throws RangeError if messages are nested deeper than parsers go
 */
export function encodeMessage<Given extends object>(of: MessageClass<Given, object>, message: Given): Uint8Array {
  const type = typesOf.get(of)!;
  // The first pass finds what there is to write, and lengths, so that the second writes everything in its place.
  const found = new Found();
  const bytes = new Uint8Array(messageLength(type, message as Properties, found, 0));
  new MessageWriter(bytes).all(found);
  return bytes;
}

/**
 * Decodes a message. Fields that this package does not know are dropped, unless they are asked for; its bytes are views.
 *
 * @throws MalformedMessageError if the bytes are not that message
 */
export function decodeMessage<Message extends object>(
  of: MessageClass<never, Message>,
  bytes: Uint8Array,
  { keepUnknown = false }: DecodeOptions = {},
): Message {
  const type = typesOf.get(of)!;
  const wire = new WireReader();
  wire.open(bytes, 0, bytes.length);
  return decode(type, wire, new type.create(), 0, keepUnknown) as Message;
}

/** Longer bytes are not decoded by `tryDecodeMessage`: a few bytes of a file may take a hundred in memory. */
const maxTriedBytes = 2 ** 24;

/** Decodes a message that may be absent; returns undefined if the bytes are empty, too many, or not that message. */
export function tryDecodeMessage<Message extends object>(
  of: MessageClass<never, Message>,
  bytes: Uint8Array,
): Message | undefined {
  if (bytes.length === 0 || bytes.length > maxTriedBytes) return undefined;
  try {
    return decodeMessage(of, bytes);
  } catch {
    return undefined;
  }
}

/** What a message holds, in the order of writing: parts of it are not looked for twice. */
class Found {
  readonly fields: Field[] = [];
  /** A value; a packed list. Nothing for messages and entries of maps, whose contents follow. */
  readonly values: unknown[] = [];
  /** The length of what has one: texts, packed lists, messages, entries. */
  readonly lengths: number[] = [];

  /** Returns its place, for the length. */
  add(field: Field, value: unknown, length: number): number {
    this.fields.push(field);
    this.values.push(value);
    return this.lengths.push(length) - 1;
  }
}

/** The name of a map's entry. */
const entryName = fieldOf('key', 1, 'string');
/** Bytes that are written as they are, fields with their keys. */
const unknownFields = fieldOf('', 0, 'bytes');

/** The length of a message, after what it holds was added to `found`. */
function messageLength(type: MessageType, message: Properties, found: Found, depth: number): number {
  if (depth > maxDepth) throw new RangeError('messages are nested too deep');
  type.prepare();
  let length = 0;
  for (const field of type.fields) {
    const value = message[field.name];
    if (value === undefined || value === null) continue;
    if (field.many === 'map') {
      for (const [name, each] of Object.entries(value)) {
        const at = found.add(field, undefined, 0);
        found.lengths[at] =
          valueLength(entryName, name, found, depth) + valueLength(field.entryValue!, each, found, depth);
        length += field.keyLength + delimited(found.lengths[at]);
      }
    } else if (field.many === 'list') {
      const list = value as ArrayLike<unknown>;
      if (list.length === 0) continue;
      if (field.isPacked) {
        let own = 0;
        for (let i = 0; i < list.length; i++) own += numberLength(field.kind, list[i]);
        found.add(field, list, own);
        length += field.keyLength + delimited(own);
      } else {
        for (let i = 0; i < list.length; i++) length += valueLength(field, list[i], found, depth);
      }
    } else if (field.isMember || !isDefault(field.kind, value)) {
      length += valueLength(field, value, found, depth);
    }
  }
  for (const bytes of message.$unknowns ?? []) {
    found.add(unknownFields, bytes, 0);
    length += bytes.length;
  }
  return length;
}

/** The length of a value with its key, after it was added to `found`. */
function valueLength(field: Field, value: unknown, found: Found, depth: number): number {
  const { kind, keyLength } = field;
  if (kind === 'message') {
    const at = found.add(field, undefined, 0);
    found.lengths[at] = messageLength(field.type!, value as Properties, found, depth + 1);
    return keyLength + delimited(found.lengths[at]);
  }
  const isText = kind === 'string';
  if (isText || kind === 'bytes') {
    const length = isText ? utf8Length(value as string) : (value as Uint8Array).length;
    found.add(field, value, length);
    return keyLength + delimited(length);
  }
  found.add(field, value, 0);
  return keyLength + numberLength(kind, value);
}

function numberLength(kind: Kind, value: unknown): number {
  switch (kind) {
    case 'double':
      return 8;
    case 'float':
      return 4;
    case 'int32':
      return ((value as number) | 0) < 0 ? 10 : varintLength((value as number) | 0);
    case 'uint32':
      return varintLength((value as number) >>> 0);
    case 'int64':
    case 'uint64': {
      const [low, high] = halvesOf(value as number | bigint);
      return high === 0 ? varintLength(low) : Math.ceil((64 - Math.clz32(high)) / 7);
    }
    default:
      return 1; // a boolean
  }
}

const delimited = (length: number) => varintLength(length) + length;

/** The low and the high 32 bits of a 64-bit integer, unsigned. */
function halvesOf(value: number | bigint): readonly [low: number, high: number] {
  if (typeof value === 'number') return [value >>> 0, Math.floor(value / 2 ** 32) >>> 0];
  return [Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n))];
}

/** How many bytes a text takes in UTF-8, in which a lone surrogate becomes U+FFFD. */
function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    length += unit < 0x800 ? 1 : 2;
    const isPair = unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
    if (isPair) i++; // four bytes for two units, of which two were counted with the length
  }
  return length;
}

/** Longer texts are encoded by the platform, for which shorter ones are not worth a call. */
const shortText = 24;

/** Writes a message whose lengths are known. */
class MessageWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  all({ fields, lengths, values }: Found): void {
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i];
      if (field === unknownFields) {
        this.#raw(values[i] as Uint8Array);
        continue;
      }
      const { kind } = field;
      this.varint(field.key);
      if (field.isPacked) {
        this.varint(lengths[i]);
        const list = values[i] as ArrayLike<unknown>;
        for (let k = 0; k < list.length; k++) this.#number(kind, list[k]);
      } else if (kind === 'message' || kind === 'string' || kind === 'bytes') {
        this.varint(lengths[i]);
        if (kind === 'string') this.#text(values[i] as string, lengths[i]);
        else if (kind === 'bytes') this.#raw(values[i] as Uint8Array);
      } else {
        this.#number(kind, values[i]);
      }
    }
  }

  #number(kind: Kind, value: unknown): void {
    switch (kind) {
      case 'double':
        this.#view.setFloat64(this.#position, value as number, true);
        this.#position += 8;
        return;
      case 'float':
        this.#view.setFloat32(this.#position, value as number, true);
        this.#position += 4;
        return;
      case 'int32':
        if (((value as number) | 0) < 0) this.#wide((value as number) >>> 0, 2 ** 32 - 1);
        else this.varint((value as number) | 0);
        return;
      case 'uint32':
        this.varint((value as number) >>> 0);
        return;
      case 'int64':
      case 'uint64':
        this.#wide(...halvesOf(value as number | bigint));
        return;
      default:
        this.#bytes[this.#position++] = value ? 1 : 0;
    }
  }

  #raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#position);
    this.#position += bytes.length;
  }

  #text(text: string, length: number): void {
    const end = this.#position + length;
    if (length === text.length && length <= shortText) {
      for (let i = 0; i < length; i++) this.#bytes[this.#position + i] = text.charCodeAt(i);
    } else {
      utf8Encoder().encodeInto(text, this.#bytes.subarray(this.#position, end));
    }
    this.#position = end;
  }

  varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#position++] = rest;
  }

  #wide(lowHalf: number, highHalf: number): void {
    let low = lowHalf;
    let high = highHalf;
    while (high > 0) {
      this.#bytes[this.#position++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.varint(low);
  }
}

/** Decodes what is left before `wire.end` into a message. */
function decode(
  type: MessageType,
  wire: WireReader,
  message: Properties,
  depth: number,
  keepUnknown: boolean,
): Properties {
  if (depth > maxDepth) throw new MalformedMessageError('messages are nested too deep');
  type.prepare();
  for (let start = wire.position; wire.field(); start = wire.position) {
    const field = type.byNumber.get(wire.number);
    const isPacked = field?.many === 'list' && wire.wireType === WireType.bytes;
    if (field === undefined || (wire.wireType !== wireTypes[field.kind] && !isPacked)) {
      wire.skip();
      if (keepUnknown) {
        if (!Object.hasOwn(message, '$unknowns')) {
          Object.defineProperty(message, '$unknowns', { value: [], writable: true, configurable: true });
        }
        message.$unknowns!.push(wire.bytes.slice(start, wire.position));
      }
      continue;
    }
    const { isMember, kind, many, name } = field;
    if (many === 'map') {
      decodeEntry(field, wire, message[name] as Record<string, unknown>, depth, keepUnknown);
    } else if (many === 'list') {
      const list = message[name] as unknown[];
      if (isPacked && wireTypes[kind] !== WireType.bytes) {
        wire.range();
        const { bytes, end, rangeEnd, rangeStart } = wire;
        wire.open(bytes, rangeStart, rangeEnd);
        while (wire.position < rangeEnd) list.push(readValue(field, wire, undefined, depth, keepUnknown));
        wire.open(bytes, rangeEnd, end);
      } else {
        list.push(readValue(field, wire, undefined, depth, keepUnknown));
      }
    } else {
      const value = readValue(field, wire, message[name], depth, keepUnknown);
      if (isMember) for (const member of type.members) if (member !== name) delete message[member];
      if (isMember || !isDefault(kind, value)) message[name] = value;
      else delete message[name];
    }
  }
  return message;
}

/** Decodes an entry of a map: a message of a key and a value. */
function decodeEntry(
  { type }: Field,
  wire: WireReader,
  map: Record<string, unknown>,
  depth: number,
  keepUnknown: boolean,
): void {
  wire.range();
  const { bytes, end, rangeEnd, rangeStart } = wire;
  wire.open(bytes, rangeStart, rangeEnd);
  let key = '';
  let value: Properties | undefined;
  while (wire.field()) {
    if (wire.wireType !== WireType.bytes || wire.number > 2) {
      wire.skip();
    } else if (wire.number === 1) {
      wire.range();
      key = readUtf8(bytes, wire.rangeStart, wire.rangeEnd);
    } else {
      value = decodeInner(type!, wire, value, depth, keepUnknown);
    }
  }
  wire.open(bytes, rangeEnd, end);
  // A plain assignment of this key would replace the map's prototype.
  const place = { value: value ?? new type!.create(), writable: true, enumerable: true, configurable: true };
  Object.defineProperty(map, key, place);
}

/** @param before the message that an earlier field of this number held, which this one is merged into */
function decodeInner(
  type: MessageType,
  wire: WireReader,
  before: unknown,
  depth: number,
  keepUnknown: boolean,
): Properties {
  wire.range();
  const { bytes, end, rangeEnd, rangeStart } = wire;
  wire.open(bytes, rangeStart, rangeEnd);
  const message = (before as Properties | undefined | null) ?? new type.create();
  decode(type, wire, message, depth + 1, keepUnknown);
  wire.open(bytes, rangeEnd, end);
  return message;
}

function readValue(
  { kind, type }: Field,
  wire: WireReader,
  before: unknown,
  depth: number,
  keepUnknown: boolean,
): unknown {
  switch (kind) {
    case 'double':
      return wire.double();
    case 'float':
      return wire.float();
    case 'message':
      return decodeInner(type!, wire, before, depth, keepUnknown);
    case 'string':
      wire.range();
      return readUtf8(wire.bytes, wire.rangeStart, wire.rangeEnd);
    case 'bytes':
      wire.range();
      return wire.bytes.subarray(wire.rangeStart, wire.rangeEnd);
  }
  wire.varint();
  const { high, low } = wire;
  switch (kind) {
    case 'bool':
      return low !== 0 || high !== 0;
    case 'int32':
      return low | 0;
    case 'uint32':
      return low;
    default: {
      const top = kind === 'int64' ? high | 0 : high;
      const value = top * 2 ** 32 + low;
      return Number.isSafeInteger(value) ? value : (BigInt(top) << 32n) | BigInt(low);
    }
  }
}
