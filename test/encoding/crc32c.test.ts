import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c, mask, maskedCrc32c } from '../../src/encoding/crc32c.js';

const ascii = (text: string) => new TextEncoder().encode(text);

// RFC 3720, appendix B.4, printed there least significant byte first.
test.each([
  ['32 bytes of zeros', new Uint8Array(32), 0x8a9136aa],
  ['32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['32 bytes counting up', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ['32 bytes counting down', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ['the check string of the CRC catalogue', ascii('123456789'), 0xe3069283],
  ['nothing', new Uint8Array(0), 0],
])('crc32c of %s is the published value', (_, bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
});

test('a range gives what a copy of the range gives', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(100), (bytes, a, b) => {
      const start = Math.min(a, b, bytes.length);
      const end = Math.min(Math.max(a, b), bytes.length);
      expect(crc32c(bytes, start, end)).toBe(crc32c(bytes.slice(start, end)));
    }),
  );
});

// tensorboard/data/server/masked_crc.rs and tf_record.rs, tests.
test("the masked CRC is what TensorBoard's own tests expect", () => {
  expect(maskedCrc32c(ascii('\x1a\x11CRC test, one two'))).toBe(0x5794d08a);
  expect(maskedCrc32c(Uint8Array.of(24, 0, 0, 0, 0, 0, 0, 0))).toBe(0x224b7fa3);
});

// tensorflow/core/lib/hash/crc32c.h (Unmask).
function unmask(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

test('mask can be undone for every 32-bit value', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (crc) => {
      expect(unmask(mask(crc))).toBe(crc);
    }),
  );
});
