import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageOf } from '../../src/errors.js';
import { messageType } from '../../src/event/message-type.js';
import { EventDecoder } from '../../src/reader/event-decoder.js';
import { RecordForms } from '../../src/reader/record-forms.js';

const EventType = messageType('Event');
const encode = (event: object): Uint8Array => EventType.encode(EventType.fromObject(event)).finish();
const wanted = (tag: string) => tag !== 'unwanted';

/** What is made of records, field by field or by their forms, and how many of them by forms. */
function decodeAll(records: readonly Uint8Array[], keepsRaw: boolean, usesForms: boolean) {
  const decoder = new EventDecoder(wanted, keepsRaw);
  const forms = usesForms ? decoder.useForms(RecordForms) : undefined;
  let taken = 0;
  const found = records.map((record) => {
    // Where a chunk of a file holds it: other bytes are around it, and others come into its place.
    const bytes = Uint8Array.from([...record.slice(0, 7), ...record, ...record.slice(0, 9)]);
    try {
      if (forms?.match(bytes, 7, 7 + record.length)) taken++;
      const event = decoder.decode(bytes, 7, 7 + record.length);
      bytes.fill(0xff);
      return event;
    } catch (error) {
      return messageOf(error);
    }
  });
  return { found, taken };
}

const doubles = (count: number) => fc.array(fc.double(), { minLength: count, maxLength: count });
const histogram = fc
  .constantFrom(0, 1, 2, 30, 90)
  .chain((rows) => doubles(3 * rows))
  .map((numbers) => ({
    dtype: 2,
    tensorShape: { dim: [{ size: numbers.length / 3 }, { size: 3 }] },
    tensorContent: new Uint8Array(Float64Array.from(numbers).buffer),
  }));
const tensor = fc.oneof(
  { weight: 3, arbitrary: histogram },
  {
    weight: 3,
    arbitrary: fc
      .string({ unit: 'binary', maxLength: 200 })
      .map((text) => ({ dtype: 7, tensorShape: {}, stringVal: [Buffer.from(text)] })),
  },
  fc.uint8Array({ maxLength: 9 }).map((bytes) => ({ dtype: 7, tensorShape: {}, stringVal: [bytes] })),
  fc.constantFrom(
    { dtype: 7, tensorShape: { dim: [{ size: 1 }] }, stringVal: [Buffer.from('listed')] },
    { dtype: 7, tensorShape: {}, stringVal: [Buffer.from('two'), Buffer.from('texts')] },
    { dtype: 2, tensorShape: { dim: [{ size: 1 }, { size: 3 }] }, doubleVal: [1, 2, 3] },
    { dtype: 1, tensorShape: { dim: [{ size: 1 }, { size: 3 }] }, tensorContent: new Uint8Array(12) },
    { dtype: 2, tensorShape: { dim: [{ size: 3 }] }, tensorContent: new Uint8Array(24) },
    { dtype: 2, tensorShape: { dim: [{ size: 2 }, { size: 3 }] }, tensorContent: new Uint8Array(24) },
    { dtype: 1, tensorShape: {}, floatVal: [0.5] },
    { dtype: 1, tensorShape: {}, tensorContent: new Uint8Array(4), floatVal: [0.5] },
  ),
);
const plugins = ['scalars', 'histograms', 'text', 'other'];
const metadata = fc.option(
  fc.record({
    pluginData: fc.record({ pluginName: fc.constantFrom(...plugins) }),
    dataClass: fc.constantFrom(0, 2),
    displayName: fc.constantFrom('', 'Weights'),
    summaryDescription: fc.constantFrom('', 'of the first layer'),
  }),
  { nil: undefined },
);
const value = fc
  .record({
    tag: fc.constantFrom(...plugins.slice(0, 3), 'unwanted', 'é'.repeat(80)),
    content: fc.oneof(
      { weight: 4, arbitrary: fc.record({ tensor }) },
      fc.record({ simpleValue: fc.float() }),
      fc.constant({ image: { width: 1 } }),
    ),
    metadata,
  })
  .map(({ content, tag, metadata }) => ({ tag, ...content, ...(metadata && { metadata }) }));
/** Says once which plugin draws each tag, as writers do. */
const named = plugins.slice(0, 3).map((pluginName) =>
  encode({
    summary: { value: [{ tag: pluginName, simpleValue: 0, metadata: { dataClass: 1, pluginData: { pluginName } } }] },
  }),
);
const event = fc.record({
  wallTime: fc.double(),
  step: fc.oneof(fc.nat(), fc.constantFrom(0, -1, 2 ** 35 - 1, 2 ** 35, '9007199254740993')),
  summary: fc.record({ value: fc.array(value, { minLength: 1, maxLength: 2 }) }),
});

describe.each([true, false])('events found by the forms of records, which keep their bytes: %s,', (keepsRaw) => {
  it('are those that are read field by field', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 5 }), fc.nat(4), (events, other) => {
        const again = events.map((each) => ({ ...each, step: 7, wallTime: 1.5 }));
        const records = [...named, ...[...events, ...again, ...again.slice(other), ...events].map(encode)];
        const some = decodeAll(records, keepsRaw, true);
        expect(some.found).toEqual(decodeAll(records, keepsRaw, false).found);
        taken += some.taken;
      }),
      { numRuns: 300 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  it('whatever the bytes', () => {
    const damage = fc.record({ at: fc.nat(), byte: fc.nat(255), end: fc.nat() });
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 1, maxLength: 3 }),
        fc.array(damage, { minLength: 1, maxLength: 8 }),
        (events, damages) => {
          const sound = events.map(encode);
          const damaged = damages.map(({ at, byte, end }) => {
            const record = sound[at % sound.length].slice();
            record[at % record.length] = byte;
            return end % 3 === 0 ? record.subarray(0, end % record.length) : record;
          });
          const records = [...named, ...sound, ...sound, ...damaged, ...sound];
          expect(decodeAll(records, keepsRaw, true).found).toEqual(decodeAll(records, keepsRaw, false).found);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('are all texts of a tag behind the first one, and all histograms of as many buckets', () => {
    const records = Array.from({ length: 200 }, (_, step) => {
      const isText = step % 2 === 0;
      const tensor = isText
        ? { dtype: 7, tensorShape: {}, stringVal: [Buffer.from('x'.repeat(40 * step))] }
        : {
            dtype: 2,
            tensorShape: { dim: [{ size: 30 }, { size: 3 }] },
            tensorContent: new Uint8Array(new Float64Array(90).fill(step).buffer),
          };
      return encode({ wallTime: 1, step, summary: { value: [{ tag: plugins[isText ? 2 : 1], tensor }] } });
    });
    const { found, taken } = decodeAll([...named, ...records], keepsRaw, true);
    expect(taken).toBe(198);
    expect(found).toEqual(decodeAll([...named, ...records], keepsRaw, false).found);
  });
});
