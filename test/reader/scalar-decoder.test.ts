import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageOf } from '../../src/errors.js';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { messageType } from '../../src/event/message-type.js';
import { EventDecoder } from '../../src/reader/event-decoder.js';
import { ScalarDecoder } from '../../src/reader/scalar-decoder.js';

const EventType = messageType('Event');
const encode = (event: object): Uint8Array => EventType.encode(EventType.fromObject(event)).finish();
const wanted = (tag: string) => tag !== 'unwanted';

/** What a decoder makes of records: scalars in a form of their own, however they were decoded; other events; errors. */
function decodeAll(records: readonly Uint8Array[], decoder: EventDecoder | ScalarDecoder) {
  let taken = 0;
  const found = records.map((record) => {
    // Where a chunk of a file holds it: other bytes are around it.
    const bytes = Uint8Array.from([...record.slice(0, 7), ...record, ...record.slice(0, 9)]);
    try {
      const decoded = decoder.decode(bytes, 7, 7 + record.length);
      if (decoded === decoder) {
        taken++;
        const { tag, step, value, wallTime } = decoded as ScalarDecoder;
        return { tag, step, value, wallTime };
      }
      const event = decoded as TensorBoardEvent | undefined;
      const [only, ...others] = event?.summary ?? [];
      if (event === undefined || typeof only?.value !== 'number' || others.length > 0) return event;
      return { tag: only.tag, step: event.step, value: only.value, wallTime: event.wallTime };
    } catch (error) {
      return messageOf(error);
    }
  });
  return { found, taken };
}

const plain = (records: readonly Uint8Array[]) => decodeAll(records, new EventDecoder(wanted, false)).found;
const scalars = (records: readonly Uint8Array[]) =>
  decodeAll(records, new ScalarDecoder(new EventDecoder(wanted, false)));

const four = fc.uint8Array({ minLength: 4, maxLength: 4 });
const tensor = fc.oneof(
  fc.record({ dtype: fc.constantFrom(1, 3), tensorShape: fc.constant({}), tensorContent: four }),
  fc.record({
    dtype: fc.constantFrom(1, 2),
    tensorShape: fc.constant({}),
    floatVal: fc.array(fc.float(), { maxLength: 2 }),
  }),
  fc.record({
    dtype: fc.constant(2),
    tensorShape: fc.constant({}),
    doubleVal: fc.array(fc.double(), { maxLength: 1 }),
  }),
  fc.record({ dtype: fc.constant(1), tensorContent: four, floatVal: fc.array(fc.float(), { maxLength: 1 }) }),
  fc.record({ dtype: fc.constant(1), tensorShape: fc.constant({ dim: [{ size: 1 }] }), tensorContent: four }),
);
const metadata = fc.constantFrom(
  undefined,
  { pluginData: { pluginName: 'scalars' }, dataClass: 1 },
  { pluginData: { pluginName: 'scalars' }, displayName: 'Loss' },
  { pluginData: { pluginName: 'other' } },
);
const value = fc
  .record({
    tag: fc.constantFrom('a', 'loss/train', 'unwanted', 'é'.repeat(80)),
    content: fc.oneof(
      { weight: 3, arbitrary: fc.record({ simpleValue: fc.float() }) },
      { weight: 3, arbitrary: fc.record({ tensor }) },
      fc.constant({ image: { width: 1 } }),
    ),
    metadata,
  })
  .map(({ content, tag, metadata }) => ({ tag, ...content, ...(metadata && { metadata }) }));
const event = fc.record({
  wallTime: fc.oneof(fc.double(), fc.constant(0)),
  step: fc.oneof(fc.nat(), fc.constantFrom(0, -1, 2 ** 35 - 1, 2 ** 35, 2 ** 53 - 1, '9007199254740993')),
  summary: fc.record({ value: fc.array(value, { minLength: 1, maxLength: 2 }) }),
});

describe('scalars decoded without events are what events say', () => {
  it('whatever the form of the records', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 4 }), fc.nat(3), (events, other) => {
        // Each twice and more, with other values, so that its form is known.
        const again = events.map((each) => ({ ...each, step: 7, wallTime: 1.5 }));
        const records = [...events, ...again, ...again.slice(other), ...events].map(encode);
        const { found, taken: some } = scalars(records);
        expect(found).toEqual(plain(records));
        taken += some;
      }),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(50);
  });

  it('whatever the bytes', () => {
    const records = fc.array(event, { minLength: 1, maxLength: 3 }).map((events) => events.map(encode));
    const damage = fc.record({ at: fc.nat(), byte: fc.nat(255), end: fc.nat() });
    fc.assert(
      fc.property(records, fc.array(damage, { minLength: 1, maxLength: 8 }), (sound, damages) => {
        const damaged = damages.map(({ at, byte, end }) => {
          const record = sound[at % sound.length].slice();
          record[at % record.length] = byte;
          return end % 3 === 0 ? record.subarray(0, end % record.length) : record;
        });
        const all = [...sound, ...sound, ...damaged, ...sound];
        expect(scalars(all).found).toEqual(plain(all));
      }),
      { numRuns: 500 },
    );
  });

  it('for all records of a tag behind the first one, which those of other tags and forms do not disturb', () => {
    const records = Array.from({ length: 300 }, (_, step) => {
      const content = step < 100 || step % 2 === 0 ? { simpleValue: step } : { tensor: { dtype: 1, floatVal: [step] } };
      const named = step < 100 ? {} : { metadata: { pluginData: { pluginName: 'scalars' } } };
      return encode({
        wallTime: step + 0.25,
        step,
        summary: { value: [{ tag: `tag${step % 3}`, ...content, ...named }] },
      });
    });
    expect(scalars(records.slice(0, 100))).toEqual({ found: plain(records.slice(0, 100)), taken: 97 });
    // The form of a tag changes with each of its records: none is taken for another.
    expect(scalars(records).found).toEqual(plain(records));
  });

  it('however many tags there are, with values of their own', () => {
    const records = Array.from({ length: 2 ** 17 + 2 ** 16 + 7 }, (_, i) =>
      encode({ wallTime: 1, step: i, summary: { value: [{ tag: `t${i % 70_000}`, simpleValue: i }] } }),
    );
    const { found } = scalars(records);
    expect(found.every((each, i) => (each as { value: number }).value === Math.fround(i))).toBe(true);
  });
});
