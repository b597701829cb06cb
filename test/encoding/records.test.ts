import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat } from '../../src/encoding/bytes.js';
import { frameRecord, payloadsOf, RecordReader } from '../../src/encoding/record.js';

// tensorboard/data/server/tf_record.rs, tests: the version record that TensorFlow writes.
test("a record is framed as TensorBoard's own test has it", () => {
  const payload = Buffer.concat([Buffer.from('090000803899d6d7411a0d', 'hex'), Buffer.from('brain.Event:2')]);
  const record = frameRecord(payload);
  expect(Buffer.from(record).toString('hex')).toBe(`1800000000000000a37f4b22${payload.toString('hex')}124b36ab`);
});

test.each(['recommended/r/events.out.tfevents.1700000000.host.1.0', 'tbx/scalar/events.out.tfevents.1700000000.vm'])(
  'framing the payloads of %s again gives the same file',
  (name) => {
    const file = new Uint8Array(readFileSync(`test/fixtures/events/${name}`));
    const records = [...payloadsOf(file)].map(frameRecord);
    expect(records.length).toBeGreaterThan(1);
    expect(concat(records)).toEqual(file);
  },
);

test('what is framed is read back, whatever its length', () => {
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
