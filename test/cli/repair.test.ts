import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { frameRecord } from '../../src/encoding/record.js';
import { SummaryWriter } from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';
import { uniform } from '../support/random.js';
import { eventsOf } from '../support/read-run.js';

async function cli(path: string, values: CommandLine['values'] = {}) {
  const said = { out: '', err: '' };
  const terminal = {
    write: (text: string) => void (said.out += text),
    writeError: (text: string) => void (said.err += text),
    colors: false,
  } as Partial<Terminal> as Terminal;
  const code = await main(terminal, { positionals: ['repair', path], values }, '1.2.3');
  return { ...said, code };
}

/** A run with scalars at steps 0 to 99; its only file, and where each record begins. */
async function run(folder: string) {
  const writer = new SummaryWriter(folder);
  for (let step = 0; step < 100; step++) writer.addScalar('loss', step, step);
  writer.addText('note', 'x'.repeat(5000), 50);
  await writer.close();
  const file = join(folder, readdirSync(folder)[0]);
  const bytes = new Uint8Array(readFileSync(file));
  const view = new DataView(bytes.buffer);
  const offsets: number[] = [];
  for (let at = 0; at < bytes.length; at += view.getUint32(at, true) + 16) offsets.push(at);
  return { file, bytes, offsets };
}

const stepsOf = async (file: string) =>
  (await eventsOf(file)).flatMap(({ step, summary }) => (summary?.[0].tag === 'loss' ? [Number(step)] : []));
/** A copy with another byte at a position. */
const withByte = (bytes: Uint8Array, at: number, byte: number) => bytes.slice().fill(byte, at, at + 1);
const whole = Array.from({ length: 100 }, (_, step) => step);

describe('repair', () => {
  it.each<[string, (bytes: Uint8Array, offsets: number[]) => Uint8Array, number[], RegExp]>([
    ['nothing damaged', (bytes) => bytes, [], /^ok {8}.*: 102 records$/m],
    [
      'a flipped bit in a payload',
      (bytes, at) => withByte(bytes, at[11] + 20, bytes[at[11] + 20] ^ 1),
      [10],
      /101 records kept, \d+ bytes left out \(\d+ to \d+\)/,
    ],
    ['a flipped bit in a length', (bytes, at) => withByte(bytes, at[11], bytes[at[11]] ^ 4), [10], /101 records kept/],
    ['zeros over three records', (bytes, at) => bytes.fill(0, at[20] + 5, at[22] + 3), [19, 20, 21], /99 records kept/],
    [
      'a part that is missing',
      (bytes, at) => Uint8Array.from([...bytes.subarray(0, at[31] + 9), ...bytes.subarray(at[33] + 2)]),
      [30, 31, 32],
      /99 records kept/,
    ],
    [
      'something between records',
      (bytes, at) =>
        Uint8Array.from([...bytes.subarray(0, at[40]), ...new Array(777).fill(0x41), ...bytes.subarray(at[40])]),
      [],
      /102 records kept, 777 bytes left out/,
    ],
    [
      'a record that is no event',
      (bytes, at) =>
        Uint8Array.from([
          ...bytes.subarray(0, at[40]),
          ...frameRecord(Uint8Array.of(0xff, 0xff)),
          ...bytes.subarray(at[40]),
        ]),
      [],
      /102 records kept, 18 bytes left out/,
    ],
    ['a version that is lost', (bytes) => withByte(bytes, 3, 1), [], /^repaired {2}.*: 101 records kept/m],
    ['a torn end', (bytes, at) => bytes.subarray(0, at[100] + 7), [99], /100 records kept, 7 bytes left out/],
  ])('%s', async (_name, harm, lost, words) => {
    const folder = temporaryFolder();
    const { file, bytes, offsets } = await run(join(folder, 'train'));
    writeFileSync(file, harm(bytes, offsets));
    const before = readFileSync(file);
    const out = join(temporaryFolder(), 'repaired');
    const { out: said, err, code } = await cli(folder, { out });
    expect({ err, code }).toEqual({ err: '', code: 0 });
    expect(said).toMatch(words);
    const copy = join(out, 'train', readdirSync(join(out, 'train'))[0]);
    // onCorrupt 'throw' is the default: the copy is whole.
    expect(await stepsOf(copy)).toEqual(whole.filter((step) => !lost.includes(step)));
    expect((await eventsOf(copy))[0].fileVersion).toBe('brain.Event:2');
    expect(readFileSync(file)).toEqual(before);
    if (lost.length === 0 && harm(bytes, offsets) === bytes) expect(readFileSync(copy)).toEqual(before);
  });

  it('whatever bytes are changed, the copy is whole, and of what was not touched nothing is lost', async () => {
    const next = uniform(11);
    const folder = temporaryFolder();
    const { file, bytes, offsets } = await run(folder);
    for (let round = 0; round < 60; round++) {
      const changed = bytes.slice();
      const touched = new Set<number>();
      for (let i = 0; i < 1 + 4 * next(); i++) {
        const from = Math.floor(next() * bytes.length);
        const to = Math.min(bytes.length, from + 1 + Math.floor(next() * 30));
        for (let at = from; at < to; at++) changed[at] = Math.floor(256 * next());
        offsets.forEach((start, record) => {
          if (start < to && (offsets[record + 1] ?? bytes.length) > from) touched.add(record);
        });
      }
      writeFileSync(file, changed);
      const out = temporaryFolder();
      expect((await cli(folder, { out })).code).toBe(0);
      const steps = await stepsOf(join(out, readdirSync(out)[0]));
      // Record 0 is the version, and record i + 1 step i.
      const untouched = whole.filter((step) => !touched.has(step + 1));
      expect(steps.filter((step) => untouched.includes(step))).toEqual(untouched);
    }
  });

  it('says what it cannot do', async () => {
    const folder = temporaryFolder();
    const { file, bytes } = await run(folder);
    expect(await cli(folder)).toMatchObject({ code: 2, err: expect.stringContaining('expected --out <folder>') });
    expect(await cli(folder, { out: folder })).toMatchObject({
      code: 2,
      err: expect.stringContaining('expected another folder'),
    });
    writeFileSync(file, gzipSync(bytes));
    const out = temporaryFolder();
    expect(await cli(folder, { out })).toMatchObject({ code: 1, err: expect.stringContaining('unpack it first') });
    expect(readdirSync(out)).toEqual([]);
    const nothing = join(temporaryFolder(), 'nothing');
    mkdirSync(nothing);
    writeFileSync(join(nothing, 'a.tfevents'), new Uint8Array(100));
    const empty = await cli(nothing, { out });
    expect(empty.out).toContain('0 records kept, 100 bytes left out (0 to 100)');
  });
});
