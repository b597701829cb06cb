import { readFileSync } from 'node:fs';
import { constants, deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat } from '../../src/encoding/bytes.js';
import { containerOf } from '../../src/encoding/containers.js';
import { Inflater } from '../../src/encoding/inflate.js';
import { goldenBytes } from '../support/golden.js';
import { uniform } from '../support/random.js';

/** test/fixtures/containers/generate.py: what Python and others made of an event file. */
const packed = (name: string) => new Uint8Array(readFileSync(`test/fixtures/containers/${name}`));
const whole = goldenBytes('tbx/scalar/events.out.tfevents.1700000000.vm');

/** Unpacks bytes that come in chunks, each overwritten as soon as it may be. */
function unpack(container: 'gzip' | 'zlib', bytes: Uint8Array, sizes: () => number = () => bytes.length) {
  const inflater = new Inflater(container);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const chunk = bytes.slice(at, at + sizes());
    at += chunk.length;
    inflater.push(chunk);
    let piece: Uint8Array | undefined;
    while ((piece = inflater.next())) pieces.push(piece.slice());
    chunk.fill(0xee);
  }
  return { bytes: concat(pieces), pieces, pendingBytes: inflater.pendingBytes };
}

/** Bytes of which some repeat, from near and from far, so that a deflate stream has every kind of symbol. */
const compressible = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(fc.nat(255), fc.nat(2000)).map(([byte, length]) => new Uint8Array(length).fill(byte)),
      fc.constantFrom(whole, whole.subarray(100, 900)),
      fc.tuple(fc.nat(), fc.nat(40_000)).map(([seed, length]) => {
        const next = uniform(seed);
        return Uint8Array.from({ length }, () => next() * 40);
      }),
    ),
    { maxLength: 12 },
  )
  .map(concat);

const options = fc.record({
  level: fc.nat(9),
  memLevel: fc.integer({ min: 1, max: 9 }),
  windowBits: fc.integer({ min: 9, max: 15 }),
  strategy: fc.constantFrom(
    constants.Z_DEFAULT_STRATEGY,
    constants.Z_FILTERED,
    constants.Z_HUFFMAN_ONLY,
    constants.Z_RLE,
    constants.Z_FIXED,
  ),
});

describe('a container', () => {
  it.each([
    ['file.gzip', 'gzip', undefined],
    ['file.zlib', 'zlib', undefined],
    ['file.bz2', 'bzip2', 'bunzip2'],
    ['file.xz', 'xz', 'unxz'],
    ['file.zip', 'zip', 'unzip'],
    ['file.zst', 'zstd', 'zstd -d'],
    ['file.lz4', 'lz4', 'unlz4'],
    ['file.tar', 'tar', 'tar -xf'],
  ])('is recognized by its bytes: %s', (file, name, command) => {
    const bytes = packed(file);
    const container = containerOf(new Uint8Array([1, 2, 3, ...bytes]), 3, 3 + bytes.length);
    expect({ name: container?.name, command: container?.command }).toEqual({ name, command });
  });

  it('is not seen in an event file, or in nothing', () => {
    expect(containerOf(whole, 0, whole.length)).toBeUndefined();
    expect(containerOf(packed('file.gzip'), 0, 2)).toBeUndefined();
    expect(containerOf(whole, 0, 0)).toBeUndefined();
  });
});

describe('unpacking gives what zlib packed', () => {
  it.each([
    ['gzip', 'file.gzip'],
    ['zlib', 'file.zlib'],
  ] as const)('%s by Python, in chunks of any size', (container, file) => {
    const bytes = packed(file);
    for (const size of [1, 2, 7, 64, 1000, bytes.length]) {
      const unpacked = unpack(container, bytes, () => size);
      expect(unpacked).toMatchObject({ bytes: whole, pendingBytes: 0 });
    }
  });

  it('with any level, window and strategy, cut anywhere', () => {
    const sizes = fc.tuple(fc.constantFrom(1, 2, 10, 1000, 70_000), fc.nat());
    fc.assert(
      fc.property(compressible, options, fc.boolean(), sizes, (data, how, isGzip, [largest, seed]) => {
        const bytes = isGzip ? gzipSync(data, how) : deflateSync(data, how);
        const next = uniform(seed);
        const unpacked = unpack(isGzip ? 'gzip' : 'zlib', bytes, () => 1 + Math.floor(next() * largest));
        expect(Buffer.compare(unpacked.bytes, data)).toBe(0);
        expect(unpacked.pendingBytes).toBe(0);
      }),
      { numRuns: 80, seed: 5 },
    );
  });

  it('of several members, none of which refers to the one before', () => {
    const members = [whole, new Uint8Array(0), whole.subarray(50), new Uint8Array(200_000)];
    const bytes = concat(members.map((member) => gzipSync(member)));
    expect(unpack('gzip', bytes, () => 777)).toMatchObject({ bytes: concat(members), pendingBytes: 0 });
    // A match that reaches 32 bytes back, in a member of its own: deflate it behind a dictionary.
    const text = new TextEncoder().encode('a dictionary of thirty-two bytes');
    const raw = deflateRawSync(text, { dictionary: text });
    const referring = concat([gzipSync(text), gzipSync(text).subarray(0, 10), raw, new Uint8Array(8)]);
    expect(() => unpack('gzip', referring)).toThrow('a match that begins before the data');
  });

  it('in pieces of bounded size, whatever they become', () => {
    const bomb = gzipSync(new Uint8Array(50_000_000));
    expect(bomb.length).toBeLessThan(50_000);
    const inflater = new Inflater('gzip');
    inflater.push(bomb);
    let total = 0;
    let piece: Uint8Array | undefined;
    while ((piece = inflater.next())) {
      expect(piece.length).toBeLessThan(100_000);
      total += piece.length;
    }
    expect(total).toBe(50_000_000);
  });
});

describe('a stream that is cut off', () => {
  it.each([
    ['gzip', 'file.gzip', 20],
    ['zlib', 'file.zlib', 2],
  ] as const)('gives what is there of it, anywhere: %s', (container, file, header) => {
    const bytes = packed(file);
    let longest = 0;
    for (let cut = header; cut < bytes.length; cut++) {
      const unpacked = unpack(container, bytes.subarray(0, cut));
      const { length } = unpacked.bytes;
      expect(Buffer.compare(unpacked.bytes, whole.subarray(0, length))).toBe(0);
      expect(length).toBeGreaterThanOrEqual(longest);
      longest = length;
    }
    expect(longest).toBe(whole.length);
    expect(unpack(container, bytes.subarray(0, 60)).pendingBytes).toBeGreaterThan(0);
  });
});

describe('a damaged stream', () => {
  it.each([
    ['bytes behind a zlib stream', 'zlib', concat([deflateSync(whole), Uint8Array.of(1, 2)]), 'bytes follow its end'],
    ['bytes behind a gzip member', 'gzip', concat([gzipSync(whole), Uint8Array.of(0, 1, 2)]), 'no gzip follow its end'],
    ['a block of type 3', 'zlib', Uint8Array.of(0x78, 0x9c, 7), 'a block of an unknown type'],
    [
      'a stored block of two lengths',
      'zlib',
      Uint8Array.of(0x78, 0x9c, 1, 1, 0, 1, 0),
      'a stored block of two lengths',
    ],
    // A fixed block that begins with a match.
    ['a match of nothing', 'zlib', Uint8Array.of(0x78, 0x9c, 0x03, 0x02, 0, 0), 'a match that begins before the data'],
  ] as const)('says what is wrong: %s', (_, container, bytes, reason) => {
    expect(() => unpack(container, bytes)).toThrow(RangeError);
    expect(() => unpack(container, bytes)).toThrow(reason);
  });

  it('is unpacked as zlib unpacks it, or refused as zlib refuses it', () => {
    const next = uniform(11);
    const draw = (limit: number) => Math.floor(next() * limit);
    const outcomes = { same: 0, refused: 0, cut: 0 };
    const sources = [0, 1, 6, 9].map((level) => deflateSync(whole, { level, memLevel: 1 + (level % 9) }));
    for (let count = 0; count < 6000; count++) {
      const bytes = new Uint8Array(sources[draw(sources.length)]);
      for (let times = draw(3); times >= 0; times--) bytes[2 + draw(bytes.length - 6)] ^= 1 << draw(8);
      let expected: Uint8Array | string;
      try {
        // Without Z_FINISH, so that a stream may end early.
        expected = inflateSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
      } catch (error) {
        expected = (error as Error).message;
      }
      let found: ReturnType<typeof unpack> | undefined;
      try {
        found = unpack('zlib', bytes);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
      if (typeof expected !== 'string') {
        // zlib takes bytes behind the end, and the checksum may match nothing here.
        if (found) expect(Buffer.compare(found.bytes, expected)).toBe(0);
        outcomes[found ? 'same' : 'refused']++;
      } else if (found) {
        // Found out later: at the end, whose checksum is not compared.
        expect(expected).toMatch(/incorrect data check|unexpected end/);
        outcomes.cut++;
      } else outcomes.refused++;
    }
    for (const outcome of Object.values(outcomes)) expect(outcome).toBeGreaterThan(10);
  });

  it('never unpacks forever', () => {
    expect(gunzipSync(packed('file.gzip')).length).toBe(whole.length);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 2000 }), (noise) => {
        try {
          const { bytes } = unpack('zlib', concat([Uint8Array.of(0x78, 0x9c), noise]));
          expect(bytes.length).toBeLessThan(1100 * (noise.length + 1));
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 1000, seed: 7 },
    );
  });
});
