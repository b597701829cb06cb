/**
 * The file epoch_counter.pkl of Delve's npy writer: a pickled dictionary from folder name to the last epoch saved in it,
 * in the order the folders were first written. Delve needs it to resume; here it only tells the order.
 *
 * Opcodes: https://github.com/python/cpython/blob/main/Lib/pickletools.py
 */
export type EpochCounter = Map<string, number>;

/** Encodes the counter as a pickle (protocol 2) that Python's pickle.load gives back as a dict of str to int. */
export function encodeEpochCounter(counter: EpochCounter): Uint8Array {
  const parts: number[] = [0x80, 2, 0x7d, 0x28]; // PROTO 2, EMPTY_DICT, MARK
  const integer = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255];
  for (const [name, epoch] of counter) {
    const text = new TextEncoder().encode(name);
    parts.push(0x58, ...integer(text.length), ...text); // BINUNICODE
    parts.push(0x4a, ...integer(epoch)); // BININT
  }
  parts.push(0x75, 0x2e); // SETITEMS, STOP
  return Uint8Array.from(parts);
}

/**
 * Reads the counter from a pickle of a plain dictionary of strings and integers. Any other pickle gives undefined:
 * nothing is executed, and the epochs can be told from the file names as well.
 */
export function decodeEpochCounter(bytes: Uint8Array): EpochCounter | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const counter: EpochCounter = new Map();
  let name: string | undefined;
  const take = (value: string | number) => {
    if (typeof value === 'string') name = value;
    else if (name !== undefined) counter.set(name, value);
  };
  const text = (from: number, length: number) => {
    take(new TextDecoder().decode(bytes.subarray(from, from + length)));
    return from + length;
  };
  let at = 0;
  try {
    while (at < bytes.length) {
      const opcode = bytes[at++];
      if (opcode === 0x2e)
        return counter; // STOP
      else if (opcode === 0x80)
        at += 1; // PROTO
      else if (opcode === 0x95)
        at += 8; // FRAME
      else if (opcode === 0x71)
        at += 1; // BINPUT
      else if (opcode === 0x72)
        at += 4; // LONG_BINPUT
      else if (opcode === 0x8c)
        at = text(at + 1, bytes[at]); // SHORT_BINUNICODE
      else if (opcode === 0x58)
        at = text(at + 4, view.getUint32(at, true)); // BINUNICODE
      else if (opcode === 0x4b)
        take(bytes[at++]); // BININT1
      else if (opcode === 0x4d)
        take(view.getUint16((at += 2) - 2, true)); // BININT2
      else if (opcode === 0x4a)
        take(view.getInt32((at += 4) - 4, true)); // BININT
      // EMPTY_DICT, MEMOIZE, MARK, SETITEM and SETITEMS need nothing here; anything else is not a plain dictionary.
      else if (![0x7d, 0x94, 0x28, 0x73, 0x75].includes(opcode)) return undefined;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return undefined;
}
