/**
 * An `Inflater` unpacks gzip, as people store files, and zlib, as TFRecord writers compress. The platform's DecompressionStream would not do: it
 * refuses a gzip file of several members, discards what it has unpacked of a file that is cut off, and unpacks a chunk into
 * memory whole, however much it becomes. Of the libraries, the stream of fflate 0.8 says nothing of damage (40 bytes overwritten in
 * a gzip file: it ends, without an error) and unpacks whole what it is given; pako 2 would do, for 14.5 KB in a bundle that is
 * compressed by gzip, where this takes 2.4.
 * Sources: RFC 1950 (zlib), RFC 1951 (deflate), RFC 1952 (gzip)
 */
/** How far back a deflate stream may refer. */
const windowBytes = 2 ** 15;
/** The most that is unpacked at a time, up to one match. */
const pieceBytes = 2 ** 16;
const maxMatch = 258;
/** The most compressed bytes that are looked at at a time. */
const inputBytes = 2 ** 16;
/** `peek` reads so many bytes beyond. */
const peekedBytes = 4;
const maxBits = 15;
const empty = new Uint8Array(0);

/** A Huffman code: the symbol (times 16) and the length of the code word that the next `bits` bits begin with. */
interface Code {
  readonly table: Uint16Array;
  readonly bits: number;
}

/** The code whose words have these lengths; 0 stands for a symbol without a word. */
function codeOf(lengths: Uint8Array): Code {
  const counts = new Uint16Array(maxBits + 1);
  for (const length of lengths) counts[length]++;
  counts[0] = 0;
  let bits = maxBits;
  while (bits > 0 && counts[bits] === 0) bits--;
  const next = new Uint16Array(maxBits + 1);
  let free = 1;
  for (let length = 1; length <= bits; length++) {
    free = 2 * free - counts[length];
    if (free < 0) throw new RangeError('a code with too many words');
    next[length] = (next[length - 1] + counts[length - 1]) << 1;
  }
  if (free > 0 && bits > 1) throw new RangeError('a code with too few words');
  const table = new Uint16Array(1 << bits);
  for (const [symbol, length] of lengths.entries()) {
    if (length === 0) continue;
    // Words are stored with their first bit lowest.
    let word = 0;
    for (let i = 0, code = next[length]++; i < length; i++) word |= ((code >>> i) & 1) << (length - 1 - i);
    for (let at = word; at < table.length; at += 1 << length) table[at] = (symbol << 4) | length;
  }
  return { table, bits };
}

/** The base values of symbols that stand for a range, and how many bits say where in the range a value is. */
function ranges(first: number, symbols: number, extraBits: (symbol: number) => number) {
  const base = new Uint16Array(symbols);
  const extra = new Uint8Array(symbols);
  for (let symbol = 0, value = first; symbol < symbols; symbol++) {
    base[symbol] = value;
    extra[symbol] = extraBits(symbol);
    value += 1 << extra[symbol];
  }
  return { base, extra };
}

const matchLengths = ranges(3, 29, (symbol) => (symbol < 8 ? 0 : (symbol >>> 2) - 1));
// The last symbol stands for the longest match alone.
matchLengths.base[28] = maxMatch;
matchLengths.extra[28] = 0;
const distances = ranges(1, 30, (symbol) => (symbol < 4 ? 0 : (symbol >>> 1) - 1));

const endOfBlock = 256;
const fixedLengths = Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8));
const fixedCodes = [codeOf(fixedLengths), codeOf(new Uint8Array(32).fill(5))] as const;
/** The order in which the lengths of the code for code lengths are stored. */
const lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** What an Inflater stops for: more compressed bytes, or the piece that it has unpacked being taken. */
type Need = 'input' | 'room';

/**
 * Unpacks a gzip file, of one or several members, or a zlib stream, which come in chunks of any size. It holds 200 KB,
 * whatever it unpacks. Checksums at the ends are not compared: TFRecord has its own for every record.
 *
 * It is a cursor: after `push(chunk)`, each `next()` returns another piece, valid until the following call, and undefined
 * when the chunk is used up and may be overwritten.
 */
export class Inflater {
  readonly #isGzip: boolean;
  readonly #steps: Generator<Need, never>;
  /** The part of the chunk that is not in `#input` yet. */
  #chunk: Uint8Array = empty;
  readonly #input = new Uint8Array(inputBytes + peekedBytes);
  /** Where the compressed bytes end in `#input`, in bits. */
  #end = 0;
  /** Position in `#input` of the next bit. */
  #bit = 0;
  readonly #output = new Uint8Array(windowBytes + pieceBytes + maxMatch);
  /** Where the piece that is being unpacked begins in `#output`. */
  #start = 0;
  /** Where the next byte goes in `#output`. */
  #at = 0;
  /** The first byte in `#output` that the current member may refer to. */
  #first = 0;
  /** Whether the end of a member has been reached, and nothing behind it. */
  #isWhole = false;
  /** The error that says what is damaged. */
  #damage: unknown;

  constructor(container: 'gzip' | 'zlib') {
    this.#isGzip = container === 'gzip';
    this.#steps = this.#unpack();
  }

  /** How many compressed bytes have arrived of what is cut off if nothing follows: 0 at the end of a file, 1 at least before. */
  get pendingBytes(): number {
    return this.#isWhole ? 0 : Math.max(1, Math.ceil((this.#end - this.#bit) / 8));
  }

  /** Appends the bytes that follow those pushed before. Call it only when `next()` has returned undefined. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
  }

  /**
   * The next bytes of what is unpacked; undefined when more compressed bytes are needed.
   *
   * @throws RangeError if the compressed bytes are damaged, after everything before the damage
   */
  next(): Uint8Array | undefined {
    this.#start = this.#at;
    for (;;) {
      const need = this.#step();
      if (need === 'damage' && this.#at === this.#start) throw this.#damage;
      if (need === 'input' && this.#refill()) continue;
      if (this.#at > this.#start) return this.#output.subarray(this.#start, this.#at);
      if (need === 'input') return undefined;
      this.#slide();
    }
  }

  #step(): Need | 'damage' {
    if (this.#damage !== undefined) return 'damage';
    try {
      return this.#steps.next().value;
    } catch (error) {
      this.#damage = error;
      return 'damage';
    }
  }

  /** Moves the bytes that may still be referred to to the front of the output. */
  #slide(): void {
    const moved = this.#at - windowBytes;
    this.#output.copyWithin(0, moved, this.#at);
    this.#first = Math.max(0, this.#first - moved);
    this.#at = windowBytes;
    this.#start = windowBytes;
  }

  /** Takes more of the chunk into the input; returns false if nothing is left of it. */
  #refill(): boolean {
    if (this.#chunk.length === 0) return false;
    const input = this.#input;
    const read = this.#bit >>> 3;
    const kept = (this.#end >>> 3) - read;
    input.copyWithin(0, read, read + kept);
    const more = this.#chunk.subarray(0, inputBytes - kept);
    input.set(more, kept);
    this.#chunk = this.#chunk.subarray(more.length);
    this.#bit &= 7;
    this.#end = 8 * (kept + more.length);
    return true;
  }

  *#unpack(): Generator<Need, never> {
    for (;;) {
      yield* this.#isGzip ? this.#gzipHeader() : this.#zlibHeader();
      this.#isWhole = false;
      this.#first = this.#at;
      let isLast = 0;
      while (isLast === 0) {
        isLast = yield* this.#take(1);
        const type = yield* this.#take(2);
        if (type === 0) {
          yield* this.#storedBlock();
        } else if (type === 3) {
          throw new RangeError('a block of an unknown type');
        } else {
          const [literals, places] = type === 1 ? fixedCodes : yield* this.#dynamicCodes();
          let need: Need | 'next';
          while ((need = this.#inflateBlock(literals, places)) !== 'next') yield need;
        }
      }
      this.#align();
      yield* this.#skip(this.#isGzip ? 8 : 4); // the checksum; in gzip also the length
      this.#isWhole = true;
    }
  }

  *#gzipHeader(): Generator<Need, void> {
    let first = yield* this.#take(8);
    // Archives and tapes pad with zeros.
    while (this.#isWhole && first === 0) first = yield* this.#take(8);
    const isGzip = first === 0x1f && (yield* this.#take(8)) === 0x8b && (yield* this.#take(8)) === 8;
    if (!isGzip) throw new RangeError('bytes that are no gzip follow its end');
    const flags = yield* this.#take(8);
    yield* this.#skip(6); // time, level, system
    if (flags & 4) yield* this.#skip(yield* this.#take(16)); // extra fields
    for (const text of [8, 16]) while (flags & text && (yield* this.#take(8)) !== 0); // name, comment
    if (flags & 2) yield* this.#skip(2); // checksum of the header
  }

  *#zlibHeader(): Generator<Need, void> {
    // A reader has looked at the header already (isZlib).
    yield* this.#take(16);
    if (this.#isWhole) throw new RangeError('bytes follow its end');
  }

  *#storedBlock(): Generator<Need, void> {
    this.#align();
    let length = yield* this.#take(16);
    if ((yield* this.#take(16)) !== (length ^ 0xffff)) throw new RangeError('a stored block of two lengths');
    while (length > 0) {
      while (this.#bit === this.#end) yield 'input';
      while (this.#at >= windowBytes + pieceBytes) yield 'room';
      const from = this.#bit >>> 3;
      const some = Math.min(length, (this.#end - this.#bit) >>> 3, this.#output.length - this.#at);
      this.#output.set(this.#input.subarray(from, from + some), this.#at);
      this.#at += some;
      this.#bit += 8 * some;
      length -= some;
    }
  }

  *#dynamicCodes(): Generator<Need, readonly [Code, Code]> {
    const literals = (yield* this.#take(5)) + 257;
    const places = (yield* this.#take(5)) + 1;
    const stored = (yield* this.#take(4)) + 4;
    if (literals > 286 || places > distances.base.length) throw new RangeError('a code with too many symbols');
    const ofLengths = new Uint8Array(lengthOrder.length);
    for (let i = 0; i < stored; i++) ofLengths[lengthOrder[i]] = yield* this.#take(3);
    const code = codeOf(ofLengths);
    const lengths = new Uint8Array(literals + places);
    for (let at = 0; at < lengths.length; ) {
      const symbol = yield* this.#symbol(code);
      if (symbol < 16) {
        lengths[at++] = symbol;
        continue;
      }
      if (symbol === 16 && at === 0) throw new RangeError('a code length that repeats none');
      const repeated = symbol === 16 ? lengths[at - 1] : 0;
      const times =
        symbol === 16
          ? 3 + (yield* this.#take(2))
          : symbol === 17
            ? 3 + (yield* this.#take(3))
            : 11 + (yield* this.#take(7));
      if (at + times > lengths.length) throw new RangeError('too many code lengths');
      lengths.fill(repeated, at, at + times);
      at += times;
    }
    if (lengths[endOfBlock] === 0) throw new RangeError('a block without an end');
    return [codeOf(lengths.subarray(0, literals)), codeOf(lengths.subarray(literals))];
  }

  /** Unpacks symbols until the block ends or something is needed. */
  #inflateBlock(literals: Code, places: Code): Need | 'next' {
    const input = this.#input;
    const output = this.#output;
    const first = this.#first;
    const end = this.#end;
    const literalMask = (1 << literals.bits) - 1;
    const placeMask = (1 << places.bits) - 1;
    let at = this.#at;
    let bit = this.#bit;
    let need: Need | 'next' = 'room';
    try {
      while (at < windowBytes + pieceBytes) {
        let bits = peek(input, bit);
        let entry = literals.table[bits & literalMask];
        let next = bit + (entry & 15);
        let symbol = entry >>> 4;
        if ((entry & 15) === 0 || next > end) {
          if (bit + literals.bits <= end) throw new RangeError('a word of no code');
          need = 'input';
          break;
        }
        if (symbol < endOfBlock) {
          output[at++] = symbol;
          bit = next;
          continue;
        }
        if (symbol === endOfBlock) {
          bit = next;
          need = 'next';
          break;
        }
        symbol -= endOfBlock + 1;
        if (symbol >= matchLengths.base.length) throw new RangeError('a match of an unknown length');
        const extra = matchLengths.extra[symbol];
        const length = matchLengths.base[symbol] + ((bits >>> (entry & 15)) & ((1 << extra) - 1));
        next += extra;
        bits = peek(input, next);
        entry = places.table[bits & placeMask];
        if ((entry & 15) === 0 && next + places.bits <= end) throw new RangeError('a word of no code');
        next += entry & 15;
        symbol = entry >>> 4;
        const further = distances.extra[symbol] ?? 0; // the fixed code has two words without a meaning
        const distance = distances.base[symbol] + (peek(input, next) & ((1 << further) - 1));
        next += further;
        if ((entry & 15) === 0 || next > end) {
          need = 'input';
          break;
        }
        if (distance > at - first || symbol >= distances.base.length) {
          throw new RangeError('a match that begins before the data');
        }
        bit = next;
        for (const stop = at + length; at < stop; at++) output[at] = output[at - distance];
      }
    } finally {
      this.#at = at;
      this.#bit = bit;
    }
    return need;
  }

  /** Reads up to 16 bits. */
  *#take(count: number): Generator<Need, number> {
    while (this.#bit + count > this.#end) yield 'input';
    const bits = peek(this.#input, this.#bit) & ((1 << count) - 1);
    this.#bit += count;
    return bits;
  }

  *#symbol({ bits, table }: Code): Generator<Need, number> {
    for (;;) {
      const entry = table[peek(this.#input, this.#bit) & ((1 << bits) - 1)];
      const length = entry & 15;
      if (length > 0 && this.#bit + length <= this.#end) {
        this.#bit += length;
        return entry >>> 4;
      }
      if (this.#bit + bits <= this.#end) throw new RangeError('a word of no code');
      yield 'input';
    }
  }

  /** Steps over bytes. */
  *#skip(bytes: number): Generator<Need, void> {
    for (let left = 8 * bytes; left > 0; ) {
      while (this.#bit === this.#end) yield 'input';
      const some = Math.min(left, this.#end - this.#bit);
      this.#bit += some;
      left -= some;
    }
  }

  /** Steps to the next whole byte. */
  #align(): void {
    this.#bit = (this.#bit + 7) & ~7;
  }
}

/** The 25 bits from a position on, and maybe more; those beyond the end are anything. */
function peek(input: Uint8Array, bit: number): number {
  const at = bit >>> 3;
  return (input[at] | (input[at + 1] << 8) | (input[at + 2] << 16) | (input[at + 3] << 24)) >>> (bit & 7);
}
