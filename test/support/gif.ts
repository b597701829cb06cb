/**
 * A plain GIF decoder for tests, after https://www.w3.org/Graphics/GIF/spec-gif89a.txt: whole frames only, no transparency.
 */
export function framesOf(gif: Uint8Array) {
  const view = new DataView(gif.buffer, gif.byteOffset, gif.byteLength);
  if (String.fromCharCode(...gif.subarray(0, 6)) !== 'GIF89a') throw new Error('not a GIF89a file');
  const width = view.getUint16(6, true);
  const height = view.getUint16(8, true);
  let at = 13;
  const colorTable = (flags: number) => {
    if ((flags & 0x80) === 0) return undefined;
    const table = gif.subarray(at, at + 3 * 2 ** ((flags & 7) + 1));
    at += table.length;
    return table;
  };
  const subBlocks = () => {
    const bytes: number[] = [];
    for (let size = gif[at++]; size > 0; size = gif[at++]) {
      bytes.push(...gif.subarray(at, at + size));
      at += size;
    }
    return bytes;
  };
  const global = colorTable(gif[10]);
  const frames: { delay: number; rgb: Uint8Array }[] = [];
  let delay = 0;
  let repeats: number | undefined;
  for (;;) {
    const kind = gif[at++];
    if (kind === 0x3b) break;
    if (kind === 0x21) {
      const label = gif[at++];
      const bytes = subBlocks();
      if (label === 0xf9) delay = bytes[1] | (bytes[2] << 8);
      if (label === 0xff) repeats = bytes[12] | (bytes[13] << 8);
    } else if (kind === 0x2c) {
      const size = view.getUint16(at + 4, true) * view.getUint16(at + 6, true);
      at += 9;
      const table = colorTable(gif[at - 1]) ?? global;
      const minimum = gif[at++];
      const rgb = new Uint8Array(size * 3);
      unpack(subBlocks(), minimum, size).forEach((index, i) => {
        rgb.set(table!.subarray(3 * index, 3 * index + 3), 3 * i);
      });
      frames.push({ delay, rgb });
    } else throw new Error(`unknown block ${kind} at ${at - 1}`);
  }
  return { width, height, repeats, frames };
}

/** Variable-length-code LZW: appendix F of the specification. */
function unpack(bytes: number[], minimum: number, size: number): number[] {
  const clear = 1 << minimum;
  let table: number[][] = [];
  let codeSize = 0;
  let previous: number[] | undefined;
  const pixels: number[] = [];
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    bits |= byte << held;
    held += 8;
    while (held >= (codeSize || minimum + 1)) {
      const length = codeSize || minimum + 1;
      const code = bits & ((1 << length) - 1);
      bits >>>= length;
      held -= length;
      if (code === clear) {
        table = Array.from({ length: clear + 2 }, (_, i) => [i]);
        codeSize = minimum + 1;
        previous = undefined;
        continue;
      }
      if (code === clear + 1) {
        if (pixels.length !== size) throw new Error(`${pixels.length} pixels, expected ${size}`);
        return pixels;
      }
      const entry = table[code] ?? [...previous!, previous![0]];
      pixels.push(...entry);
      if (previous && table.length < 4096) table.push([...previous, entry[0]]);
      if (table.length === 1 << codeSize && codeSize < 12) codeSize++;
      previous = entry;
    }
  }
  throw new Error('the frame does not end');
}
