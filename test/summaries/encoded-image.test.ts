import { describe, expect, it } from 'vitest';
import { encodedSize } from '../../src/summaries/image.js';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
// Written by Pillow 12.3: Image.new('RGB', (17, 9)).save(..., format).
const png = bytes('89504e470d0a1a0a0000000d49484452000000110000000908020000005b8a505b');
const gif = bytes('474946383761110009008100000000000000000000000000002c00000000110009');
const jpeg = bytes(
  'ffd8 ffe0 0010 4a46494600010100000100010000 ffdb 0043 00' +
    '08'.repeat(64) +
    'ffc0 0011 08 0009 0011 03 012200 021101 031101',
);

describe('encodedSize', () => {
  it.each([
    ['PNG', png],
    ['GIF', gif],
    ['JPEG', jpeg],
  ])('reads the size of a %s', (_, encoded) => {
    expect(encodedSize({ encoded }, 'image')).toEqual({ width: 17, height: 9 });
    expect(encodedSize({ encoded, width: 17, height: 9 }, 'image')).toEqual({ width: 17, height: 9 });
  });

  it('refuses another size than the file has', () => {
    expect(() => encodedSize({ encoded: png, width: 16 }, 'image "x"')).toThrow(
      `image "x": expected width to be the file's 17 pixels, got number 16`,
    );
  });

  it('refuses other files, torn ones and no bytes', () => {
    expect(() =>
      encodedSize({ encoded: new TextEncoder().encode('<svg width="3" height="4"></svg>') }, 'image'),
    ).toThrow(TypeError);
    expect(() => encodedSize({ encoded: jpeg.subarray(0, 30) }, 'image')).toThrow(TypeError);
    expect(() => encodedSize({ encoded: new Uint8Array(0) }, 'image')).toThrow(TypeError);
    expect(() => encodedSize({ encoded: 'abc' as never }, 'image "x"')).toThrow(
      'image "x": expected encoded to be a Uint8Array, got the string "abc"',
    );
  });
});
