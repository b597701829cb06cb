import { expect, it } from 'vitest';
import { MemoryOutput, type ReadSummary, readEvents, SummaryWriter } from '../../src/index.js';

async function readAll(bytes: Uint8Array): Promise<ReadSummary[]> {
  const all: ReadSummary[] = [];
  for await (const { summary = [] } of readEvents(bytes)) all.push(...summary);
  return all;
}

it('a page, as servers answer for a wrong address, is called no event file; an event file with a damaged head is damaged', async () => {
  const page = new TextEncoder().encode('<!doctype html><title>my app</title>');
  await expect(readAll(page)).rejects.toThrow(
    'this is not an event file: it begins with "<!doctype html><title>my app',
  );
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  writer.addScalar('loss', 0.5, 1);
  await writer.close();
  const damaged = output.bytes.slice();
  damaged.fill(0x41, 0, 12);
  await expect(readAll(damaged)).rejects.toThrow('its length has the checksum');
});

it('the plugin of a summary narrows its value', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  writer.addImage('image', { data: new Uint8Array(12), shape: [2, 2, 3] }, 1);
  writer.addHistogram('histogram', [1, 2], 1);
  await writer.close();
  const found: number[] = [];
  for (const { plugin, value } of await readAll(output.bytes)) {
    // Without narrowing, the value could be a number, which `in` does not take.
    if (plugin === 'images' && 'encoded' in value) found.push(value.width, value.height);
    if (plugin === 'histograms' && 'buckets' in value) found.push(value.buckets.length);
  }
  expect(found).toEqual([2, 2, 90]);
});
