import { describe, expect, it } from 'vitest';
import { readEvents } from '../../src/index.js';
import type { GoldenFile } from '../support/golden.js';
import { fixture, jsonFixture } from './fixtures.js';

const { files } = await jsonFixture<{ files: GoldenFile[] }>('events/golden.json');

describe("readEvents in a page, on other writers' files fetched from a server", () => {
  it.each(files.map((file) => [file.path, file] as const))('%s', async (path, { records }) => {
    const found = [];
    const response = await fetch(`/test/fixtures/events/${path}`);
    for await (const { wallTime, step, summary } of readEvents(response)) {
      found.push([wallTime, String(step), (summary ?? []).map(({ tag }) => tag)]);
    }
    expect(found).toEqual(
      records.map(({ event }) => [
        event.wall_time,
        event.step ?? '0',
        (event.summary?.value ?? []).map(({ tag }) => tag ?? ''),
      ]),
    );
  });

  it('reads scalars as Python has them, and images that the browser can show', async () => {
    let scalars = 0;
    let images = 0;
    for (const { path, records } of files) {
      const expected = records.flatMap(({ event }) => event.summary?.value ?? []);
      let at = 0;
      for await (const { summary } of readEvents(await fixture(`events/${path}`))) {
        for (const { plugin, value } of summary ?? []) {
          const golden = expected[at++];
          if (plugin === 'scalars' && typeof golden.simple_value === 'number') {
            expect(value).toBe(Math.fround(golden.simple_value));
            scalars++;
          }
          if (plugin === 'images' && golden.image !== undefined) {
            const { encoded } = value as { encoded: Uint8Array[] };
            const bitmap = await createImageBitmap(new Blob([new Uint8Array(encoded[0])]));
            expect([bitmap.width, bitmap.height]).toEqual([golden.image.width, golden.image.height]);
            images++;
          }
        }
      }
      expect(at).toBe(expected.length);
    }
    expect(scalars).toBeGreaterThan(0);
    expect(images).toBeGreaterThan(0);
  });

  it.each(['file.gzip', 'file.zlib'])('unpacks %s', async (name) => {
    const plain = 'events/tbx/scalar/events.out.tfevents.1700000000.vm';
    const read = async (path: string) => {
      const found = [];
      for await (const event of readEvents(await fetch(`/test/fixtures/${path}`))) found.push(event);
      return found;
    };
    const events = await read(plain);
    expect(events.length).toBeGreaterThan(20);
    expect(await read(`containers/${name}`)).toEqual(events);
  });
});
