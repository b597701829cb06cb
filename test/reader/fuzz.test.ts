import { describe, expect, it } from 'vitest';
import { frameRecord, RecordReader } from '../../src/encoding/record.js';
import { CorruptRecordError } from '../../src/errors.js';
import { readEvents } from '../../src/reader/read-events.js';
import { goldenBytes, goldenFiles } from '../support/golden.js';
import { uniform } from '../support/random.js';

/** Integers in [0, limit), the same every time. */
function random(seed: number): (limit: number) => number {
  const next = uniform(seed);
  return (limit) => Math.floor(next() * limit);
}

type Mutation = (bytes: Uint8Array, draw: (limit: number) => number) => Uint8Array;

/** Values that are likely to break lengths, sizes and field tags. */
const telling = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x42, 0x2a];

const mutations: Record<string, Mutation> = {
  flip(bytes, draw) {
    for (let count = draw(4); count >= 0; count--) bytes[draw(bytes.length)] ^= 1 << draw(8);
    return bytes;
  },
  overwrite(bytes, draw) {
    for (let count = draw(4); count >= 0; count--) bytes[draw(bytes.length)] = telling[draw(telling.length)];
    return bytes;
  },
  truncate: (bytes, draw) => bytes.slice(0, draw(bytes.length + 1)),
  remove(bytes, draw) {
    const at = draw(bytes.length);
    bytes.copyWithin(at, Math.min(bytes.length, at + 1 + draw(9)));
    return bytes.slice(0, Math.max(0, bytes.length - 1 - draw(9)));
  },
  repeat(bytes, draw) {
    const from = draw(bytes.length);
    const piece = bytes.slice(from, from + 1 + draw(40));
    const at = draw(bytes.length);
    const grown = new Uint8Array(bytes.length + piece.length);
    grown.set(bytes.subarray(0, at));
    grown.set(piece, at);
    grown.set(bytes.subarray(at), at + piece.length);
    return grown;
  },
  noise(bytes, draw) {
    const at = draw(bytes.length);
    for (let index = at; index < Math.min(bytes.length, at + 30); index++) bytes[index] = draw(256);
    return bytes;
  },
};
const kinds = Object.values(mutations);

interface Outcomes {
  whole: number;
  damaged: number;
  events: number;
}

/** Reads to the end; anything but events and CorruptRecordError fails the test. */
async function read(source: Uint8Array | Uint8Array[], size: number, outcomes: Outcomes): Promise<void> {
  let events = 0;
  let last = 0;
  try {
    for await (const event of readEvents(source)) {
      events++;
      last = event.wallTime;
    }
    outcomes.whole++;
  } catch (error) {
    if (!(error instanceof CorruptRecordError)) throw error;
    if (error.offset < 0 || error.offset > size) throw new Error(`damage at ${error.offset} of ${size} bytes`);
    outcomes.damaged++;
  }
  // A record takes 16 bytes at least.
  if (events * 16 > size || typeof last !== 'number') throw new Error(`${events} events in ${size} bytes`);
  outcomes.events += events;
}

const files = goldenFiles.map(({ path }) => goldenBytes(path)).filter(({ length }) => length < 20_000);

/** Every record's payload, of all files. */
const payloads = files.flatMap((bytes) => {
  const found: Uint8Array[] = [];
  const reader = new RecordReader();
  reader.push(bytes);
  while (reader.next()) found.push(reader.bytes.slice(reader.start, reader.end));
  return found;
});

describe('random mutations end in events or CorruptRecordError', () => {
  // Checksums stop nearly all of these; they test the framing.
  it.each([1, 2])('30,000 of whole files, seed %i', async (seed) => {
    const draw = random(seed);
    const outcomes: Outcomes = { whole: 0, damaged: 0, events: 0 };
    for (let count = 0; count < 30_000; count++) {
      const bytes = kinds[draw(kinds.length)](files[draw(files.length)].slice(), draw);
      const cut = draw(bytes.length + 1);
      await read(draw(2) ? bytes : [bytes.subarray(0, cut), bytes.subarray(cut)], bytes.length, outcomes);
    }
    expect(outcomes.whole + outcomes.damaged).toBe(30_000);
    // Truncations and repairs leave a file that ends well; the rest is damage.
    expect(outcomes.whole).toBeGreaterThan(3_000);
    expect(outcomes.damaged).toBeGreaterThan(15_000);
  });

  // With matching checksums only the decoders can find the damage.
  it.each([3, 4])('30,000 of records that are sealed again, seed %i', async (seed) => {
    const draw = random(seed);
    const outcomes: Outcomes = { whole: 0, damaged: 0, events: 0 };
    for (let count = 0; count < 30_000; count++) {
      let payload: Uint8Array = payloads[draw(payloads.length)].slice();
      for (let times = draw(3); times >= 0 && payload.length > 0; times--) {
        payload = kinds[draw(kinds.length)](payload, draw);
      }
      const bytes = frameRecord(payload);
      await read(bytes, bytes.length, outcomes);
    }
    expect(outcomes.whole + outcomes.damaged).toBe(30_000);
    expect(outcomes.whole).toBeGreaterThan(3_000);
    expect(outcomes.damaged).toBeGreaterThan(3_000);
  });

  it('and leak no memory', () => {
    expect(process.memoryUsage().rss).toBeLessThan(2 ** 30);
  });
});
