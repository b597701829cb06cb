import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import type { CorruptRecordError } from '../../src/errors.js';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { MemoryOutput } from '../../src/output/output.js';
import type { EventInput } from '../../src/reader/byte-source.js';
import { type ReadEventsOptions, readEvents } from '../../src/reader/read-events.js';
import { listRuns } from '../../src/reader/run-files.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { temporaryFolder } from '../support/folders.js';
import { goldenBytes, goldenFiles, goldenFolder } from '../support/golden.js';
import { Programs } from '../support/programs.js';
import { eventsOf } from '../support/read-run.js';
import { refuse } from '../support/refuse.js';
import { catchWarnings } from '../support/warnings.js';

const folder = temporaryFolder;
const { path, records } = goldenFiles.find((file) => file.path.startsWith('tbx/scalar/'))!;
const file = join(goldenFolder, path);
const bytes = goldenBytes(path);

describe('a source', () => {
  const pieces = () => [bytes.subarray(0, 100), new Uint8Array(0), bytes.subarray(100, 101), bytes.subarray(101)];
  const sources: [string, () => EventInput][] = [
    ['a path', () => file],
    ['a file: URL', () => pathToFileURL(file)],
    ['the path of a run folder', () => join(goldenFolder, 'tbx/scalar')],
    ['a Uint8Array', () => bytes],
    ['a Buffer that is a part of a larger one', () => Buffer.concat([Buffer.alloc(3), bytes]).subarray(3)],
    ['an ArrayBuffer', () => bytes.slice().buffer],
    [
      'a SharedArrayBuffer',
      () => {
        const shared = new SharedArrayBuffer(bytes.length);
        new Uint8Array(shared).set(bytes);
        return shared;
      },
    ],
    ['a Blob', () => new Blob([bytes.slice()])],
    ['a Response', () => new Response(bytes.slice())],
    ['a ReadableStream', () => new Blob([bytes.slice()]).stream()],
    ['a Node stream', () => createReadStream(file, { highWaterMark: 77 })],
    ['an iterable of chunks', pieces],
    [
      'an async iterable of chunks',
      async function* () {
        yield* pieces();
      },
    ],
  ].map(([name, make]) => [name as string, make as () => EventInput]);

  it.each(sources)('can be %s', async (_, make) => {
    const source = make();
    const events = await eventsOf(typeof source === 'function' ? (source as () => EventInput)() : source);
    expect(events).toEqual(await eventsOf(bytes));
    expect(events.length).toBe(records.length);
  });

  it('can be empty', async () => {
    expect(await eventsOf(new Uint8Array(0))).toEqual([]);
    expect(await eventsOf([])).toEqual([]);
    expect(await eventsOf(new Response(null))).toEqual([]);
    expect(await eventsOf(folder())).toEqual([]);
  });

  it.each([undefined, null, 7, {}, '', Symbol.iterator])('cannot be %s', (source) => {
    expect(() => readEvents(source as EventInput)).toThrow(TypeError);
  });

  it('cannot be a response with an error status', async () => {
    await expect(eventsOf(new Response('gone', { status: 404 }))).rejects.toThrow('the response has status 404');
  });

  it('cannot be a path that does not exist', async () => {
    await expect(eventsOf(join(folder(), 'nowhere'))).rejects.toThrow(/there is no file or folder ".*nowhere"/);
  });

  it('cannot have chunks that are not bytes', async () => {
    await expect(eventsOf(['text'] as unknown as EventInput)).rejects.toThrow('got the string "text"');
  });

  it('passes its errors on', async () => {
    const failing = async function* () {
      yield bytes.subarray(0, 200);
      throw new Error('connection lost');
    };
    const events: TensorBoardEvent[] = [];
    await expect(async () => {
      for await (const event of readEvents(failing())) events.push(event);
    }).rejects.toThrow('connection lost');
    expect(events.length).toBe(records.filter(({ length, offset }) => offset + length + 16 <= 200).length);
  });

  it('is canceled when the loop is left', async () => {
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(bytes.slice()),
      cancel: () => void (cancelled = true),
    });
    for await (const _ of readEvents(stream)) break;
    expect(cancelled).toBe(true);
  });
});

describe('a run folder', () => {
  it('is read in the order of file names, without files that are not event files', async () => {
    const run = folder();
    const write = async (name: string, step: number) => {
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      writer.addText('t', name, step);
      await writer.close();
      writeFileSync(join(run, name), output.bytes);
    };
    await write('events.out.tfevents.1700000010.b', 3);
    await write('events.out.tfevents.1700000009.b', 2);
    await write('events.out.tfevents.1700000009.a', 1);
    await write('events.out.tfevents.17.profile-empty', 9);
    writeFileSync(join(run, 'notes.txt'), 'not an event file');
    mkdirSync(join(run, 'tfevents-folder'));
    const steps = (await eventsOf(run)).filter((event) => event.summary).map((event) => event.step);
    expect(steps).toEqual([1, 2, 3]);
  });

  it('remembers the plugin of a tag from one file to the next', async () => {
    const run = folder();
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    writer.addHistogram('h', [1, 2, 3], 0);
    writer.addHistogram('h', [1, 2, 3], 1);
    await writer.close();
    const stored = output.bytes;
    const lengths = [];
    for (let at = 0; at < stored.length; at += 16 + lengths.at(-1)!) {
      lengths.push(new DataView(stored.buffer, stored.byteOffset + at).getUint32(0, true));
    }
    const last = lengths.at(-1)! + 16;
    writeFileSync(join(run, '1.tfevents'), stored.subarray(0, stored.length - last));
    writeFileSync(join(run, '2.tfevents'), stored.subarray(stored.length - last));
    const plugins = (await eventsOf(run)).flatMap((event) => event.summary ?? []).map(({ plugin }) => plugin);
    expect(plugins).toEqual(['histograms', 'histograms']);
  });
});

describe('a file that is packed', () => {
  /** test/fixtures/containers/generate.py: what Python and others made of the file that `bytes` holds. */
  const packed = (name: string) => new Uint8Array(readFileSync(`test/fixtures/containers/${name}`));

  it.each(['file.gzip', 'file.zlib'])('is read as what is in it, from every kind of source: %s', async (name) => {
    const expected = await eventsOf(bytes);
    expect(expected).toHaveLength(records.length);
    const path = `test/fixtures/containers/${name}`;
    const stored = packed(name);
    const chunks = function* () {
      for (let at = 0; at < stored.length; at += 5) yield stored.slice(at, at + 5);
    };
    const sources: EventInput[] = [
      path,
      stored,
      new Blob([stored]),
      new Response(stored),
      chunks(),
      createReadStream(path),
    ];
    for (const source of sources) expect(await eventsOf(source)).toEqual(expected);
  });

  it('may be one of a run, whatever its name', async () => {
    const run = folder();
    writeFileSync(join(run, '1.tfevents.gz'), packed('file.gzip'));
    writeFileSync(join(run, '2.tfevents'), packed('file.zlib'));
    writeFileSync(join(run, '3.tfevents'), bytes);
    const expected = await eventsOf(bytes);
    expect(await eventsOf(run)).toEqual([...expected, ...expected, ...expected]);
  });

  it('may be cut off anywhere: then it ends before what is cut off', async () => {
    const expected = await eventsOf(bytes);
    const stored = packed('file.gzip');
    let most = 0;
    for (let cut = 0; cut < stored.length; cut += 3) {
      const read = await eventsOf(stored.subarray(0, cut));
      expect(read).toEqual(expected.slice(0, read.length));
      expect(read.length).toBeGreaterThanOrEqual(most);
      most = read.length;
    }
    expect(most).toBe(records.length);
  });

  it('is damaged from where its records or its compression are', async () => {
    const broken = bytes.slice();
    broken[records[3].offset + 14] ^= 1;
    await expect(eventsOf(gzipSync(broken))).rejects.toMatchObject({
      name: 'CorruptRecordError',
      offset: records[3].offset,
      reason: expect.stringContaining('bytes of content have the checksum'),
    });
    // The first half ends with an empty block, as zlib flushes it; a block of an unknown type follows.
    const stored = packed('file.zlib');
    const flushed = Buffer.from(stored).indexOf(Uint8Array.of(0, 0, 0xff, 0xff)) + 4;
    stored[flushed] = 7;
    const read: unknown[] = [];
    const reading = (async () => {
      for await (const event of readEvents(stored)) read.push(event);
    })();
    await expect(reading).rejects.toMatchObject({
      reason: expect.stringMatching(/^what it is packed in is damaged: /),
    });
    expect(read.length).toBeGreaterThan(5);
    expect(read).toEqual((await eventsOf(bytes)).slice(0, read.length));
  });

  it.each([
    ['file.bz2', 'this is a bzip2 file: unpack it first (bunzip2)'],
    ['file.xz', 'this is a xz file: unpack it first (unxz)'],
    ['file.zip', 'this is a zip file: unpack it first (unzip)'],
    ['file.zst', 'this is a zstd file: unpack it first (zstd -d)'],
    ['file.lz4', 'this is a lz4 file: unpack it first (unlz4)'],
    ['file.tar', 'this is a tar file: unpack it first (tar -xf)'],
  ])('of another kind is refused with words that help: %s', async (name, reason) => {
    await expect(eventsOf(packed(name))).rejects.toMatchObject({ name: 'CorruptRecordError', offset: 0, reason });
  });

  it('in another is refused with words that help', async () => {
    const tar = gzipSync(packed('file.tar'));
    await expect(eventsOf(tar)).rejects.toMatchObject({ reason: 'this is a tar file: unpack it first (tar -xf)' });
    const twice = gzipSync(packed('file.gzip'));
    await expect(eventsOf(twice)).rejects.toMatchObject({
      reason: 'this is a gzip file in a packed file: unpack it first',
    });
  });
});

describe('listRuns', () => {
  const warnings = catchWarnings();

  it('finds every folder that holds event files, the root as "."', async () => {
    const logdir = folder();
    for (const run of ['.', 'train', 'val/deep', 'empty']) mkdirSync(join(logdir, run), { recursive: true });
    for (const name of ['x.tfevents.2', 'train/x.tfevents.2', 'train/x.tfevents.1', 'val/deep/x.tfevents.1']) {
      writeFileSync(join(logdir, name), bytes);
    }
    writeFileSync(join(logdir, 'empty/notes.txt'), '');
    expect(await listRuns(logdir)).toEqual([
      { run: '.', files: [join(logdir, 'x.tfevents.2')] },
      { run: 'train', files: [join(logdir, 'train/x.tfevents.1'), join(logdir, 'train/x.tfevents.2')] },
      { run: 'val/deep', files: [join(logdir, 'val/deep/x.tfevents.1')] },
    ]);
    expect(await listRuns(pathToFileURL(logdir))).toEqual(await listRuns(logdir));
  });

  it('follows links, and ends where one leads back up', async () => {
    const logdir = folder();
    const elsewhere = folder();
    writeFileSync(join(elsewhere, 'x.tfevents'), bytes);
    symlinkSync(elsewhere, join(logdir, 'linked'));
    symlinkSync(logdir, join(elsewhere, 'up'));
    symlinkSync(join(logdir, 'nowhere'), join(logdir, 'dangling'));
    expect((await listRuns(logdir)).map(({ run }) => run)).toEqual(['linked']);
  });

  it('lists a folder once, by the path without links if there is one', async () => {
    const logdir = folder();
    mkdirSync(join(logdir, 'z/run'), { recursive: true });
    writeFileSync(join(logdir, 'z/run/x.tfevents'), bytes);
    // Sorts, and is met, before the folder itself.
    symlinkSync(join(logdir, 'z/run'), join(logdir, 'best'));
    symlinkSync(join(logdir, 'z'), join(logdir, 'a'));
    expect((await listRuns(logdir)).map(({ run }) => run)).toEqual(['z/run']);
  });

  it('a diamond of links, which has 2^20 paths, is walked once', async () => {
    const logdir = folder();
    const depth = 20;
    for (let level = 0; level <= depth; level++) mkdirSync(join(logdir, `level${level}`));
    for (let level = 0; level < depth; level++) {
      for (const name of ['a', 'b'])
        symlinkSync(join(logdir, `level${level + 1}`), join(logdir, `level${level}`, name));
    }
    writeFileSync(join(logdir, `level${depth}/x.tfevents`), bytes);
    expect((await listRuns(logdir)).map(({ run }) => run)).toEqual([`level${depth}`]);
    expect((await listRuns(join(logdir, 'level0'))).map(({ run }) => run)).toEqual(['a/'.repeat(depth).slice(0, -1)]);
  });

  it('pipes, sockets and devices are no event files, whatever their names', async () => {
    const logdir = folder();
    writeFileSync(join(logdir, '1.tfevents'), bytes);
    const server = createServer().listen(join(logdir, '2.tfevents'));
    await once(server, 'listening');
    symlinkSync('/dev/zero', join(logdir, '3.tfevents'));
    execFileSync('mkfifo', [join(logdir, '4.tfevents')]);
    symlinkSync(join(logdir, '4.tfevents'), join(logdir, '5.tfevents'));
    expect(await listRuns(logdir)).toEqual([{ run: '.', files: [join(logdir, '1.tfevents')] }]);
    expect((await eventsOf(logdir)).length).toBe(records.length);
    server.close();
  });

  it('passes over a folder that cannot be read, with a warning', async () => {
    const logdir = folder();
    for (const run of ['a', 'b', 'c']) {
      mkdirSync(join(logdir, run));
      writeFileSync(join(logdir, run, 'x.tfevents'), bytes);
    }
    refuse('list', join(logdir, 'b'));
    expect((await listRuns(logdir)).map(({ run }) => run)).toEqual(['a', 'c']);
    expect(warnings).toEqual([`listRuns: '${join(logdir, 'b')}' is passed over: EACCES: permission denied`]);
    refuse('list', logdir);
    await expect(listRuns(logdir)).rejects.toThrow('EACCES');
  });

  it('reaches as deep as the file system does', async () => {
    const logdir = folder();
    const part = 'd'.repeat(200);
    // 5,000 characters: a system call takes 4,096. rm of coreutils walks down by descriptors.
    onTestFinished(() => void execFileSync('rm', ['-rf', logdir]));
    const script = `for k in $(seq 25); do mkdir ${part}; cd ${part}; cp "$0" x.tfevents; done`;
    execFileSync('bash', ['-c', script, file], { cwd: logdir });
    const runs = await listRuns(logdir);
    expect(runs.length).toBeGreaterThan(15);
    expect(warnings.length).toBe(1);
    expect(warnings[0]).toMatch(/is passed over: ENAMETOOLONG/);
  });

  it('rejects what is not a folder', async () => {
    await expect(listRuns(file)).rejects.toThrow('there is no folder');
    await expect(listRuns(join(folder(), 'nowhere'))).rejects.toThrow('there is no folder');
    await expect(listRuns(7 as unknown as string)).rejects.toThrow(TypeError);
  });
});

describe('a file of a run that cannot be read', () => {
  async function run(): Promise<string> {
    const run = folder();
    for (const name of ['1.tfevents', '2.tfevents', '3.tfevents']) writeFileSync(join(run, name), bytes);
    refuse('open', join(run, '2.tfevents'));
    return run;
  }

  it('is an error', async () => {
    await expect(eventsOf(await run())).rejects.toMatchObject({ code: 'EACCES' });
    await expect(eventsOf(await run(), { onCorrupt: 'stop' })).rejects.toMatchObject({ code: 'EACCES' });
  });

  it('is passed over if damage is', async () => {
    const one = await run();
    expect((await eventsOf(one, { onCorrupt: 'nextFile' })).length).toBe(2 * records.length);
    const damages: CorruptRecordError[] = [];
    expect((await eventsOf(one, { onCorrupt: (damage) => damages.push(damage) })).length).toBe(2 * records.length);
    expect(damages).toMatchObject([
      {
        file: join(one, '2.tfevents'),
        offset: 0,
        reason: 'it cannot be read: EACCES: permission denied',
        cause: { code: 'EACCES' },
      },
    ]);
  });
});

describe('readEvents', () => {
  it('yields only the tags that are asked for', async () => {
    const run = join(goldenFolder, 'tbx/custom_scalars');
    const tags = (await eventsOf(run, { tags: (tag) => tag.endsWith('/a') })).flatMap((event) => event.summary ?? []);
    expect(tags.length).toBeGreaterThan(0);
    expect(new Set(tags.map(({ tag }) => tag))).toEqual(new Set(['custom/a']));
  });

  it('does not take an error of the tags function for damage', async () => {
    const tags = () => {
      throw new SyntaxError('mine');
    };
    await expect(eventsOf(bytes, { tags, onCorrupt: 'stop' })).rejects.toThrow(SyntaxError);
  });

  it('stops at a signal that is aborted before, or while a stream hangs', async () => {
    const reason = new Error('enough');
    await expect(eventsOf(bytes, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const hanging = async function* () {
      yield bytes.subarray(0, 100);
      await new Promise(() => {});
    };
    const controller = new AbortController();
    const reading = eventsOf(hanging(), { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    await expect(reading).rejects.toBe(reason);
  });

  it.each([
    { onCorrupt: 'ignore' },
    { follow: 1 },
    { raw: 0 },
    { tags: 'loss' },
    { signal: {} },
    { maxRecordBytes: 0 },
    { pollInterval: Number.NaN },
  ])('refuses %j', (options) => {
    expect(() => readEvents(bytes, options as unknown as ReadEventsOptions)).toThrow(/^readEvents: /);
  });
});

describe('a file of many chunks', () => {
  // Texts of all lengths, so that records end everywhere, and one longer than a chunk.
  const text = (step: number) => 'x'.repeat(step === 50 ? 600_000 : (step * 7919) % 20_011);

  it('is read as it is, and with raw: false the same but without the bytes of summaries', async () => {
    const place = folder();
    const writer = new SummaryWriter(place);
    for (let step = 0; step < 100; step++) writer.addText('notes', text(step), step);
    await writer.close();
    const read = await eventsOf(place);
    const texts = read.flatMap(({ summary = [] }) =>
      summary.map(({ value }) => (value as { strings: string[] }).strings),
    );
    expect(texts).toEqual(Array.from({ length: 100 }, (_, step) => [text(step)]));
    const bare = await eventsOf(place, { raw: false });
    expect(bare.flatMap(({ summary = [] }) => summary).every(({ raw }) => raw.length === 0)).toBe(true);
    const withoutRaw = ({ summary, ...event }: TensorBoardEvent) => ({
      ...event,
      summary: summary?.map((each) => ({ ...each, raw: undefined })),
    });
    expect(bare.map(withoutRaw)).toEqual(read.map(withoutRaw));
  });

  it('may be left in the middle, again and again', async () => {
    const place = folder();
    const writer = new SummaryWriter(place);
    for (let step = 0; step < 100; step++) writer.addText('notes', text(step), step);
    await writer.close();
    for (let end = 1; end < 100; end += 7) {
      let seen = 0;
      for await (const _ of readEvents(place)) if (++seen === end) break;
      expect(seen).toBe(end);
    }
  });
});

it('events that are asked for all at once come in order', async () => {
  const iterator = readEvents(file);
  const results = await Promise.all(Array.from({ length: records.length + 2 }, () => iterator.next()));
  expect(results.map(({ done }) => done)).toEqual([...records.map(() => false), true, true]);
  expect(results.filter(({ done }) => !done).map(({ value }) => value)).toEqual(await eventsOf(bytes));
});

describe('what SummaryWriter writes, readEvents reads', () => {
  const step = fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
  const normal = (value: number | bigint) => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
  const tag = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
  const wallTime = fc.double({ min: 0, max: 1e11, noNaN: true });

  it('scalars, texts and raw histograms of any tag, step and time', async () => {
    const entry = fc.record({
      tag,
      step,
      wallTime,
      value: fc.oneof(
        fc.float(),
        fc.string({ unit: 'grapheme' }),
        fc.array(fc.tuple(fc.double({ noNaN: true }), fc.nat(1000)), { maxLength: 5 }),
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(entry, { selector: (one) => one.tag, maxLength: 20 }), async (entries) => {
        const output = new MemoryOutput();
        const writer = new SummaryWriter(output);
        const expected: [string, string, number | bigint, number, unknown][] = [];
        for (const { step, tag, value, wallTime } of entries) {
          const options = { wallTime };
          if (typeof value === 'number') {
            writer.addScalar(tag, value, step, options);
            expected.push([tag, 'scalars', normal(step), wallTime, value]);
          } else if (typeof value === 'string') {
            writer.addText(tag, value, step, options);
            expected.push([tag, 'text', normal(step), wallTime, { shape: [], strings: [value] }]);
          } else {
            const edges = value.map(([edge]) => edge).sort((a, b) => a - b);
            const rows = value.slice(1).flatMap(([, count], row) => [edges[row], edges[row + 1], count]);
            if (rows.some((number) => !Number.isFinite(number))) continue;
            writer.addHistogramRaw(tag, rows, step, options);
            expected.push([tag, 'histograms', normal(step), wallTime, { buckets: Float64Array.from(rows) }]);
          }
        }
        await writer.close();
        const read = (await eventsOf(output.bytes)).flatMap((event) =>
          (event.summary ?? []).map((one) => [one.tag, one.plugin, event.step, event.wallTime, one.value]),
        );
        expect(read).toEqual(expected);
      }),
      { numRuns: 200, seed: 3 },
    );
  });
});

describe('programs that read', () => {
  const programs = new Programs();
  afterAll(() => programs.remove());
  const importing = "import { readEvents } from './src/index.js';\n";

  it('end when they stop asking, even if they follow and never close', async () => {
    const run = temporaryFolder();
    writeFileSync(join(run, '1.tfevents'), bytes);
    const { ended } = programs.start(
      `${importing}const iterator = readEvents(process.argv[2], { follow: true, pollInterval: 60_000 });
      console.log((await iterator.next()).value.fileVersion);`,
      [run],
    );
    expect(await ended).toMatchObject({ code: 0, stdout: 'brain.Event:2\n', stderr: '' });
  });

  it('stay alive while they wait for what is to come', async () => {
    const run = temporaryFolder();
    const { ended } = programs.start(
      `${importing}for await (const event of readEvents(process.argv[2], { follow: true, pollInterval: 20 })) {
        console.log(event.wallTime);
        break;
      }`,
      [run],
    );
    await new Promise((resolve) => setTimeout(resolve, 1000));
    writeFileSync(join(run, '1.tfevents'), bytes);
    expect(await ended).toMatchObject({ code: 0, stdout: '1700000000.25\n' });
  });

  it('read half a gigabyte in less than 200 MB', async () => {
    const { ended } = programs.start(
      `${importing}
      import { createReadStream, openSync, writeSync } from 'node:fs';
      import { MemoryOutput } from './src/index.js';
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      for (let step = 0; step < 1000; step++) writer.addScalar('loss', step, step);
      writer.addHistogramRaw('large', new Float64Array(3 * 40_000), 0);
      await writer.close();
      const file = openSync(process.argv[2], 'w');
      let size = 0;
      while (size < 2 ** 29) size += writeSync(file, output.bytes);
      let events = 0;
      for await (const event of readEvents(process.argv[2])) events++;
      console.log(events % 1002, size / events > 400, process.resourceUsage().maxRSS < 200_000);`,
      [join(temporaryFolder(), 'large.tfevents')],
    );
    expect(await ended).toMatchObject({ stderr: '', stdout: '0 true true\n' });
  });
});
