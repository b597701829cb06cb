import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { RecordReader } from '../src/encoding/record-reader.js';
import { MemoryOutput, SummaryWriter } from '../src/index.js';
import { tensorboard } from '../src/proto/tensorboard.js';

const folders: string[] = [];
function folder(): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'delve-writer-')));
  folders.push(path);
  return path;
}
afterEach(() => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
});

function decode(bytes: Uint8Array): tensorboard.Event[] {
  const reader = new RecordReader();
  reader.push(bytes);
  const events: tensorboard.Event[] = [];
  while (reader.next()) events.push(tensorboard.Event.decode(reader.bytes.slice(reader.start, reader.end)));
  expect(reader.pendingBytes).toBe(0);
  return events;
}

const eventFiles = (path: string) => readdirSync(path).filter((name) => name.includes('tfevents'));
const inFolder = (path: string) => eventFiles(path).sort().flatMap((name) => decode(readFileSync(join(path, name))));

test('a file begins with the version, and each tag begins with its metadata', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  writer.addScalar('loss', 0.5, 1, { wallTime: 10, displayName: 'Loss', description: '**low** is good' });
  writer.addScalar('loss', 0.25, 2n, { wallTime: 11 });
  writer.addHistogram('weights', [1, 2, 3, 4], 2, { buckets: 2 });
  writer.addText('note', '# hello', 3);
  await writer.close();
  const events = decode(output.bytes).map((event) => tensorboard.Event.toObject?.(event) ?? event);
  expect(events.length).toBe(5);
});

test('it writes into a folder', async () => {
  const path = folder();
  const writer = new SummaryWriter(join(path, 'a/b'));
  for (let i = 0; i < 1000; i++) writer.addScalar('loss', i, i);
  writer.addScalars('acc', { train: 1, val: 2 }, 3);
  await writer.close();
  expect(inFolder(join(path, 'a/b')).length).toBe(1001);
  expect(inFolder(join(path, 'a/b/acc/train')).length).toBe(2);
  expect(existsSync(join(path, 'a/b/acc/val'))).toBe(true);
});
