import { expect, it } from 'vitest';
import { MemoryOutput, readEvents, SummaryWriter } from '../../src/index.js';

async function readAll(bytes: Uint8Array): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const { summary = [] } of readEvents(bytes)) all.push(...summary);
  return all;
}

it('a page, as servers answer for a wrong address, is called no event file; an event file with a damaged head is damaged', async () => {
  const page = new TextEncoder().encode('<!doctype html><title>my app</title>');
  await expect(readAll(page)).rejects.toThrow('this is a text file: "<!doctype ht"');
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  writer.addScalar('loss', 0.5, 1);
  await writer.close();
  const damaged = output.bytes.slice();
  damaged.fill(0x41, 0, 11);
  await expect(readAll(damaged)).rejects.toThrow('its length has the checksum');
});
