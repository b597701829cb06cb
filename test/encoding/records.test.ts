import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fnv1a, fnv1aHex, fromLittleEndian, toLittleEndian } from '../../src/encoding/bytes.js';
import { crc32c, mask, maskedCrc32c } from '../../src/encoding/crc32c.js';
import { frameRecord, payloadsOf, RecordReader } from '../../src/encoding/record.js';
import { CorruptRecordError } from '../../src/errors.js';
import { goldenBytes, goldenFiles } from '../support/golden.js';

describe('bytes', () => {
  // http://www.isthe.com/chongo/tech/comp/fnv/, test vectors of 32-bit FNV-1a.
  it.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['foobar', 0xbf9cf968],
  ])('the FNV-1a hash of "%s" is the published value', (text, expected) => {
    const bytes = new TextEncoder().encode(`x${text}x`);
    expect(fnv1a(bytes, 1, bytes.length - 1) >>> 0).toBe(expected);
    expect(fnv1aHex(text)).toBe(expected.toString(16));
  });

  it('numbers are stored with the lowest byte first, and read from any place', () => {
    const stored = toLittleEndian(Int32Array.of(0x01020304, -1));
    expect([...stored]).toEqual([4, 3, 2, 1, 255, 255, 255, 255]);
    const unaligned = concat([Uint8Array.of(0), stored]).subarray(1);
    expect(new Int32Array(fromLittleEndian(unaligned, 4))).toEqual(Int32Array.of(0x01020304, -1));
  });
});

describe('CRC-32C', () => {
  const ascii = (text: string) => new TextEncoder().encode(text);

  // RFC 3720, appendix B.4, printed there least significant byte first.
  it.each([
    ['32 bytes of zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['32 bytes counting up', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['32 bytes counting down', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ['the check string of the CRC catalogue', ascii('123456789'), 0xe3069283],
    ['nothing', new Uint8Array(0), 0],
  ])('crc32c of %s is the published value', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  it('is what dividing bit by bit gives, whatever the length', () => {
    const bytes = Uint8Array.from({ length: 200 }, (_, i) => (i * 151 + 7) & 255);
    for (let length = 0; length <= bytes.length; length++) {
      let remainder = 0xffffffff;
      for (const byte of bytes.subarray(0, length)) {
        remainder ^= byte;
        for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0);
      }
      expect(crc32c(bytes, 0, length)).toBe(~remainder >>> 0);
    }
  });

  it('a range gives what a copy of the range gives', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), fc.nat(300), (bytes, a, b) => {
        const start = Math.min(a, b, bytes.length);
        const end = Math.min(Math.max(a, b), bytes.length);
        expect(crc32c(bytes, start, end)).toBe(crc32c(bytes.slice(start, end)));
      }),
    );
  });

  // tensorboard/data/server/masked_crc.rs and tf_record.rs, tests.
  it("the masked CRC is what TensorBoard's own tests expect", () => {
    expect(maskedCrc32c(ascii('\x1a\x11CRC test, one two'))).toBe(0x5794d08a);
    expect(maskedCrc32c(Uint8Array.of(24, 0, 0, 0, 0, 0, 0, 0))).toBe(0x224b7fa3);
  });

  // tensorflow/core/lib/hash/crc32c.h (Unmask).
  function unmask(masked: number): number {
    const rotated = (masked - 0xa282ead8) >>> 0;
    return ((rotated >>> 17) | (rotated << 15)) >>> 0;
  }

  it('mask can be undone for every 32-bit value', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (crc) => {
        expect(unmask(mask(crc))).toBe(crc);
      }),
    );
  });
});

describe('framing', () => {
  // tensorboard/data/server/tf_record.rs, tests: the version record that TensorFlow writes.
  it("frames a record as TensorBoard's own test does", () => {
    const payload = Buffer.concat([Buffer.from('090000803899d6d7411a0d', 'hex'), Buffer.from('brain.Event:2')]);
    const record = frameRecord(payload);
    expect(Buffer.from(record).toString('hex')).toBe(`1800000000000000a37f4b22${payload.toString('hex')}124b36ab`);
  });

  it.each(['recommended/r/events.out.tfevents.1700000000.host.1.0', 'tbx/scalar/events.out.tfevents.1700000000.vm'])(
    'framing the payloads of %s again gives the same file',
    (name) => {
      const file = new Uint8Array(readFileSync(`test/fixtures/events/${name}`));
      const records = [...payloadsOf(file)].map(frameRecord);
      expect(records.length).toBeGreaterThan(1);
      expect(concat(records)).toEqual(file);
    },
  );

  it('frames payloads of any length so that they are read back', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 5 }), (payloads) => {
        const reader = new RecordReader();
        reader.push(concat(payloads.map(frameRecord)));
        for (const payload of payloads) {
          expect(reader.next()).toBe(true);
          expect(reader.bytes.slice(reader.start, reader.end)).toEqual(payload);
        }
        expect(reader.next()).toBe(false);
        expect(reader.pendingBytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

interface Cut {
  offset: number;
  payload: Uint8Array;
}

/** Reads all records of bytes that come in the chunks given, each overwritten as soon as it may be. */
function cut(bytes: Uint8Array, sizes: () => number, reader = new RecordReader()): Cut[] {
  const records: Cut[] = [];
  for (let at = 0; at < bytes.length; ) {
    const chunk = bytes.slice(at, at + sizes());
    at += chunk.length;
    reader.push(chunk);
    while (reader.next()) {
      records.push({ offset: reader.recordOffset, payload: reader.bytes.slice(reader.start, reader.end) });
    }
    chunk.fill(0xee);
  }
  return records;
}

/** A record's header for a payload of any claimed length, with the right checksum. */
function header(length: bigint): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, length, true);
  view.setUint32(8, maskedCrc32c(bytes, 0, 8), true);
  return bytes;
}

function damageOf(bytes: Uint8Array, options?: { maxRecordBytes?: number; file?: string }): CorruptRecordError {
  try {
    cut(bytes, () => bytes.length, new RecordReader(options));
  } catch (error) {
    if (error instanceof CorruptRecordError) return error;
    throw error;
  }
  throw new Error('no damage was found');
}

const { path, records } = goldenFiles.find((file) => file.path.startsWith('tbx/scalar/'))!;
const whole = goldenBytes(path);

describe('records of real files', () => {
  it.each(goldenFiles.map((file) => [file.path, file] as const))('%s', (name, file) => {
    const bytes = goldenBytes(name);
    expect(bytes.length).toBe(file.size);
    const found = cut(bytes, () => bytes.length);
    expect(found.map(({ offset, payload }) => ({ offset, length: payload.length }))).toEqual(
      file.records.map(({ offset, length }) => ({ offset, length })),
    );
  });

  it('come out the same whatever chunks the bytes come in', () => {
    const expected = cut(whole, () => whole.length);
    for (const size of [1, 2, 11, 12, 13, 64, 1000]) expect(cut(whole, () => size)).toEqual(expected);
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer({ min: 1, max: 200 })), (sizes) => {
        expect(cut(whole, () => sizes.next().value ?? 1)).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a torn tail', () => {
  it('stays pending after the whole records before it, wherever the file is cut', () => {
    for (let length = 0; length <= whole.length; length++) {
      const reader = new RecordReader();
      const before = records.filter((record) => record.offset + 16 + record.length <= length);
      const found = cut(whole.subarray(0, length), () => 100, reader);
      expect(found.map(({ offset }) => offset)).toEqual(before.map(({ offset }) => offset));
      const last = before.at(-1);
      expect(reader.pendingBytes).toBe(length - (last ? last.offset + 16 + last.length : 0));
      expect(reader.nextOffset).toBe(length - reader.pendingBytes);
    }
  });

  it('is read when the rest has arrived', () => {
    const reader = new RecordReader();
    expect(cut(whole.subarray(0, 100), () => 100, reader).length).toBe(2);
    expect(cut(whole.subarray(100), () => 7, reader)).toEqual(cut(whole, () => whole.length).slice(2));
  });

  it('allocates nothing for the bytes that it claims', () => {
    const reader = new RecordReader();
    reader.push(new Uint8Array([...header(2n ** 30n), 1, 2, 3]));
    expect(reader.next()).toBe(false);
    expect(reader.pendingBytes).toBe(15);
    expect(reader.bytes.buffer.byteLength).toBeLessThan(100);
  });
});

describe('damage', () => {
  it.each([0, 3, 8, 11])('is found in byte %i of a header', (byte) => {
    const { offset } = records[2];
    const bytes = whole.slice();
    bytes[offset + byte] ^= 0x10;
    const error = damageOf(bytes, { file: 'a/file' });
    expect(error).toMatchObject({ name: 'CorruptRecordError', offset, file: 'a/file' });
    expect(error.message).toMatch(`Damaged record at byte ${offset} of a/file: its length has the checksum`);
  });

  it.each(['content', 'checksum'])('is found in the %s of a record', (part) => {
    const { length, offset } = records[3];
    const bytes = whole.slice();
    bytes[part === 'content' ? offset + 12 : offset + 12 + length] ^= 1;
    const error = damageOf(bytes);
    expect(error.offset).toBe(offset);
    expect(error.file).toBeUndefined();
    expect(error.reason).toMatch(`its ${length} bytes of content have the checksum`);
  });

  it('is found in zeros after the last record, as a crashed file system leaves them', () => {
    expect(damageOf(new Uint8Array([...whole, ...new Uint8Array(64)])).offset).toBe(whole.length);
  });

  it.each([2n ** 30n + 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n])(
    'is found in a claimed length of %d bytes',
    (length) => {
      const error = damageOf(new Uint8Array([...whole, ...header(length)]));
      expect(error.offset).toBe(whole.length);
      expect(error.reason).toMatch('more than 1073741824');
    },
  );

  it('is found in a length above the limit of the caller', () => {
    const largest = Math.max(...records.map(({ length }) => length));
    expect(cut(whole, () => 50, new RecordReader({ maxRecordBytes: largest })).length).toBe(records.length);
    expect(damageOf(whole, { maxRecordBytes: largest - 1 }).reason).toMatch(`it claims ${largest} bytes`);
  });

  it('is reported again when it is asked for again', () => {
    const bytes = whole.slice();
    bytes[0] ^= 1;
    const reader = new RecordReader();
    reader.push(bytes);
    expect(() => reader.next()).toThrow(CorruptRecordError);
    expect(() => reader.next()).toThrow(CorruptRecordError);
  });
});

describe('memory', () => {
  it('is released after a large record when smaller ones follow', () => {
    const payload = new Uint8Array(8 << 20).fill(7);
    const large = new Uint8Array([...header(BigInt(payload.length))]);
    const footer = new Uint8Array(4);
    new DataView(footer.buffer).setUint32(0, maskedCrc32c(payload), true);
    const reader = new RecordReader();
    const chunks = [whole, large, payload.subarray(0, 5 << 20), payload.subarray(5 << 20), footer];
    let count = 0;
    for (const chunk of [...chunks, ...Array.from({ length: 20 }, () => whole)]) {
      for (const part of [chunk.subarray(0, chunk.length / 2), chunk.subarray(chunk.length / 2)]) {
        reader.push(part);
        while (reader.next()) count++;
      }
    }
    expect(count).toBe(21 * records.length + 1);
    expect(reader.bytes.buffer.byteLength).toBeLessThan(1 << 20);
  });
});
