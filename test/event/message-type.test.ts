import { describe, expect, it } from 'vitest';
import { frameRecord, payloadsOf } from '../../src/encoding/record.js';
import { MemoryOutput, readEvents, SummaryWriter } from '../../src/index.js';
import { messageType } from '../../src/proto.js';

describe('messageType', () => {
  it('reads what the writer writes, and writes what the reader reads', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output, { handleSignals: false });
    writer.addScalar('loss', 0.5, 3, { wallTime: 7 });
    writer.addText('note', 'ä', 4);
    await writer.close();
    const Event = messageType('Event');
    const payloads = [...payloadsOf(output.bytes)];
    const events = payloads.map((payload) => Event.toObject(Event.decode(payload), { longs: Number }));
    expect(events[0]).toMatchObject({ fileVersion: 'brain.Event:2' });
    expect(events[1]).toMatchObject({ wallTime: 7, step: 3, summary: { value: [{ tag: 'loss' }] } });
    expect(events[2]).toMatchObject({ step: 4, summary: { value: [{ tag: 'note' }] } });
    for (const payload of payloads)
      expect(Buffer.compare(Event.encode(Event.decode(payload)).finish(), payload)).toBe(0);

    const mine = Event.encode({
      wallTime: 1,
      step: 9,
      summary: { value: [{ tag: 'own', simpleValue: 2.5 }] },
    }).finish();
    const read = [];
    for await (const event of readEvents(frameRecord(mine))) read.push(event);
    expect(read.at(-1)).toMatchObject({ step: 9, summary: [{ tag: 'own', value: 2.5 }] });
  });

  it('knows the messages of plugins and those that are in others', () => {
    expect(messageType('HParamsPluginData').fields).toHaveProperty('experiment');
    expect(messageType('Summary.Value').name).toBe('Value');
    expect(messageType('GraphDef').verify({ node: 3 })).toContain('node');
    expect(() => messageType('Evnet')).toThrow(
      "messageType: expected a message of proto/, such as 'Event', got 'Evnet'",
    );
  });
});
