/**
 * What a row of the table of messages says: `scripts/build.mjs` makes a row for each message from `proto/`. `message-codec.ts` writes and
 * reads messages by it.
 */
import { WireType } from './protobuf.js';

/** How a field is stored: 64-bit numbers are numbers where those are exact, and else bigints. */
export type Kind =
  | 'double'
  | 'float'
  | 'int32'
  | 'uint32'
  | 'bool'
  | 'int64'
  | 'uint64'
  | 'string'
  | 'bytes'
  | 'message';

/** The letters that stand for kinds in a table; other texts are names of messages. */
const kinds: Readonly<Record<string, Kind>> = {
  d: 'double',
  f: 'float',
  i: 'int32',
  u: 'uint32',
  b: 'bool',
  l: 'int64',
  w: 'uint64',
  s: 'string',
  y: 'bytes',
};

export const wireTypes: Readonly<Record<Kind, number>> = {
  double: WireType.fixed64,
  float: WireType.fixed32,
  int32: WireType.varint,
  uint32: WireType.varint,
  bool: WireType.varint,
  int64: WireType.varint,
  uint64: WireType.varint,
  string: WireType.bytes,
  bytes: WireType.bytes,
  message: WireType.bytes,
};

export interface Field {
  readonly name: string;
  readonly number: number;
  readonly kind: Kind;
  /** Many values, of which numbers are packed; or a map from texts to messages. */
  readonly many: '' | 'list' | 'map';
  /** Whether it is a member of the message's oneof, of which one is set. */
  readonly isMember: boolean;
  /** The message that it holds. */
  readonly type?: MessageType;
  /** What stands before each value, or before all of a packed list: number and wire type. */
  readonly key: number;
  /** Bytes of the key. */
  readonly keyLength: number;
  /** Of a map: what an entry holds behind its name. */
  readonly entryValue?: Field;
  /** Whether all numbers of a list stand behind one key. */
  readonly isPacked: boolean;
}

export function fieldOf(
  name: string,
  number: number,
  kind: Kind,
  many: Field['many'] = '',
  isMember = false,
  type?: MessageType,
): Field {
  const isPacked = many === 'list' && wireTypes[kind] !== WireType.bytes;
  const key = number * 8 + (isPacked ? WireType.bytes : wireTypes[kind]);
  const entryValue = many === 'map' ? fieldOf('value', 2, 'message', '', false, type) : undefined;
  return { name, number, kind, many, isMember, type, entryValue, key, keyLength: varintLength(key), isPacked };
}

/** A message, or the properties of one. */
export type Properties = Record<string, unknown> & { $unknowns?: Uint8Array[] };

const noList: readonly never[] = Object.freeze([]);
const noMap = Object.freeze({});
const empty = new Uint8Array(0);
/** The types of the classes of messages. */
export const typesOf = new WeakMap<object, MessageType>();

/** What the table says of a message, taken apart when it is first used. */
export class MessageType {
  readonly #text: string;
  readonly #find: (name: string) => MessageType;
  #isReady = false;
  /** In the order of their numbers. */
  readonly fields: Field[] = [];
  readonly byNumber = new Map<number, Field>();
  /** Names of the oneof's members. */
  readonly members: string[] = [];
  /** Names of lists and maps, which a new message has. */
  readonly lists: string[] = [];
  readonly maps: string[] = [];
  readonly create: new (
    properties?: object,
  ) => Properties;

  constructor(text: string, find: (name: string) => MessageType) {
    this.#text = text;
    this.#find = find;
    const type = this;
    this.create = class {
      constructor(properties: object = {}) {
        type.prepare();
        for (const name of type.lists) (this as Properties)[name] = [];
        for (const name of type.maps) (this as Properties)[name] = {};
        for (const [name, value] of Object.entries(properties)) {
          if (value != null && name !== '__proto__') (this as Properties)[name] = value;
        }
      }
    } as unknown as MessageType['create'];
    typesOf.set(this.create, this);
  }

  /** Finds the fields, and gives messages their defaults, unless that was done before. */
  prepare(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    const [oneof, ...fields] = this.#text.split(' ');
    const { prototype } = this.create;
    for (const text of fields) {
      const [, name, mark, number, stored] = /^(\w+)([?*{]?)=(\d+)(.+)$/.exec(text)!;
      const kind = kinds[stored] ?? 'message';
      const many = mark === '*' ? 'list' : mark === '{' ? 'map' : '';
      const type = kind === 'message' ? this.#find(stored) : undefined;
      const field = fieldOf(name, Number(number), kind, many, mark === '?', type);
      this.fields.push(field);
      this.byNumber.set(field.number, field);
      if (field.isMember) this.members.push(name);
      if (many === 'list') this.lists.push(name);
      if (many === 'map') this.maps.push(name);
      prototype[name] = many === 'list' ? noList : many === 'map' ? noMap : field.isMember ? null : defaultOf(kind);
    }
    const { members } = this;
    if (oneof !== '') {
      Object.defineProperty(prototype, oneof, {
        get(this: Properties) {
          return members.find((name) => Object.hasOwn(this, name) && this[name] != null);
        },
      });
    }
  }
}

function defaultOf(kind: Kind): unknown {
  if (kind === 'string') return '';
  if (kind === 'bytes') return empty;
  return kind === 'message' ? null : kind === 'bool' ? false : 0;
}

/** Whether a value that is not the member of a oneof says nothing. Minus zero says something. */
export function isDefault(kind: Kind, value: unknown): boolean {
  if (kind === 'string' || kind === 'bytes') return (value as ArrayLike<unknown>).length === 0;
  if (kind === 'message') return false;
  return value === 0n || value === false || Object.is(value, 0);
}

/**
 * The class of a message.
 *
 * @param text the name of its oneof, then its fields in the order of their numbers: name, `?` for a member of the oneof, `*` for a
 * list, `{` for a map, `=`, number, and a letter of `kinds` or the name of a message
 * @param messages gives the classes of the messages that it holds, by name; asked when the message is first used
 * @param nested what is in its namespace
 *
 * @public for the generated file, which the check of unused exports does not see
 */
export function messageOf(
  text: string,
  messages: () => Readonly<Record<string, object>> = () => ({}),
  nested = {},
): object {
  return Object.assign(new MessageType(text, (name) => typesOf.get(messages()[name])!).create, nested);
}

/**
 * An enumeration.
 *
 * @param text each value's name, `=` and number
 *
 * @public as `messageOf`
 */
export function enumOf(text: string): object {
  // Names by number are inherited, so that the names alone are listed.
  const names: Record<string, string> = Object.create(null);
  const values: Record<string, number> = Object.create(names);
  for (const pair of text.split(' ')) {
    const [name, value] = pair.split('=');
    values[name] = Number(value);
    names[value] = name;
  }
  return values;
}

/** How many bytes a varint of at most 32 bits takes. */
export function varintLength(value: number): number {
  return value < 2 ** 7 ? 1 : value < 2 ** 14 ? 2 : value < 2 ** 21 ? 3 : value < 2 ** 28 ? 4 : 5;
}
