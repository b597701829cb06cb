import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { describe, expect, it, vi } from 'vitest';
import { listRuns, MemoryOutput, readEvents, SummaryWriter } from '../../src/index.js';
import { zipOf } from '../../src/output/listed-files.js';
import { temporaryFolder } from '../support/folders.js';
import { catchWarnings } from '../support/warnings.js';

const bytesOf = async (zip: Blob) => new Uint8Array(await zip.arrayBuffer());

async function stepsIn(source: Parameters<typeof readEvents>[0]): Promise<number[]> {
  const steps = [];
  for await (const { step, summary } of readEvents(source)) if (summary !== undefined) steps.push(Number(step));
  return steps;
}

/** Two runs, of which one has a companion file. */
async function written(): Promise<MemoryOutput> {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  const [train, val] = [writer.run('train'), writer.run('größe/val')];
  for (const step of [1, 2, 3]) train.addScalar('loss', 1 / step, step);
  val.addScalar('loss', 2, 2);
  train.addEmbedding('points', [[0, 1]], 7);
  await writer.close();
  return output;
}

const isEventFile = /^events\.out\.tfevents\.\d{10}\.[-\w.]+\.\d+\.\d{5}$/;

it('a MemoryOutput lists what its writers hold, and what those of its runs hold', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  writer.addScalar('loss', 1, 1);
  writer.run('val').addScalar('loss', 1, 2);
  const steps = async (run: MemoryOutput) => {
    const found = [];
    for await (const { step, summary } of readEvents(run)) if (summary !== undefined) found.push(step);
    return found;
  };
  expect(await listRuns(output)).toHaveLength(2);
  expect([await steps(output), await steps(output.run('val'))]).toEqual([[1], [2]]);
  const closing = writer.close();
  const next = new SummaryWriter(output);
  await closing;
  next.addScalar('loss', 1, 3);
  expect(await steps(output)).toEqual([1, 3]);
  await next.close();
});

describe('toZip of a MemoryOutput', () => {
  it('keeps runs in folders, and is unpacked by fflate and by Python to the same bytes', async () => {
    const output = await written();
    const zip = await output.toZip('my logs');
    expect(zip.type).toBe('application/zip');
    const files = unzipSync(await bytesOf(zip));
    const listed = await output.list();
    expect(Object.keys(files).sort()).toEqual(listed.map(({ path }) => `my logs/${path}`));
    for (const { path, file } of listed) {
      expect(files[`my logs/${path}`]).toEqual(new Uint8Array(await file.arrayBuffer()));
    }
    const [val, train] = [/^größe\/val\//, /^train\/events/].map((each) => listed.find(({ path }) => each.test(path))!);
    expect(val.file.name).toMatch(isEventFile);
    expect(await stepsIn(val.file)).toEqual([2]);
    expect(await stepsIn(files[`my logs/${train.path}`])).toEqual([1, 2, 3]);
    expect(Object.keys(files).filter((path) => /projector_config\.pbtxt$/.test(path))).toHaveLength(1);

    const path = join(temporaryFolder(), 'logs.zip');
    writeFileSync(path, await bytesOf(zip));
    const program = `
import json, sys, zipfile, datetime
with zipfile.ZipFile(sys.argv[1]) as z:
    print(json.dumps([z.testzip(), {i.filename: [i.file_size, abs((datetime.datetime.now() - datetime.datetime(*i.date_time)).total_seconds()) < 600] for i in z.infolist()}]))
`;
    const python = spawnSync('python3', ['-c', program, path], {
      encoding: 'utf8',
      env: { ...process.env, PYTHONUTF8: '1' },
    });
    if (python.error !== undefined) return; // no Python here
    const found = Object.fromEntries(Object.entries(files).map(([name, { length }]) => [name, [length, true]]));
    expect(python.stderr).toBe('');
    expect(JSON.parse(python.stdout)).toEqual([null, found]);
  });

  it('of nothing is an empty zip file', async () => {
    expect(unzipSync(await bytesOf(await new MemoryOutput().toZip()))).toEqual({});
  });

  it('a folder outside is made one inside', async () => {
    const names = Object.keys(unzipSync(await bytesOf(await (await written()).toZip('../x'))));
    for (const name of names) expect(name).toMatch(/^__-[0-9a-f]{8}\/x\//);
  });

  it('holds as many files as the format has numbers for, and says so of more', async () => {
    const files = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ path: `${i}`, bytes: new Uint8Array(0), time: 0 }));
    const full = await bytesOf(await zipOf(files(65_534), ''));
    expect(new DataView(full.buffer, full.length - 12).getUint16(0, true)).toBe(65_534);
    expect(Object.keys(unzipSync(full))).toHaveLength(65_534);
    await expect(zipOf(files(65_535), '')).rejects.toThrow(
      "toZip: expected at most 65534 files, got more, up to '65534': take the zip files of parts, as run(name).toZip()",
    );
  });

  it('refuses what makes it larger than the format can say, before it is read', async () => {
    const large = { length: 2 ** 32 - 100 } as Uint8Array<ArrayBuffer>;
    await expect(zipOf([{ path: 'a', bytes: large, time: 0 }], '')).rejects.toThrow(
      "toZip: expected less than 4 GiB, got more, up to 'a'",
    );
  });

  it('a year that MS-DOS does not know is the nearest', async () => {
    for (const [time, year] of [
      [0, 1980],
      [Date.UTC(2200, 5), 2107],
    ]) {
      const zip = await bytesOf(await zipOf([{ path: 'a', bytes: new Uint8Array(1), time }], ''));
      expect(1980 + (new DataView(zip.buffer).getUint16(12, true) >> 9)).toBe(year);
    }
  });
});

describe('an Output that lists its files is read as a folder is', () => {
  const warnings = catchWarnings();

  it('listRuns finds its runs, and readEvents reads each', async () => {
    const output = await written();
    const runs = await listRuns(output);
    expect(runs.map(({ run }) => run)).toEqual(['größe/val', 'train']);
    for (const { run, files } of runs) {
      expect(files).toHaveLength(1);
      expect(files[0].slice(run.length + 1)).toMatch(isEventFile);
    }
    expect(await stepsIn(output.run('train'))).toEqual([1, 2, 3]);
    expect(await stepsIn(output.run('größe/val'))).toEqual([2]);
  });

  it('one whose runs lie below says what to read', async () => {
    await expect(stepsIn(await written())).rejects.toThrow(
      "readEvents: expected the folder of a run, got an Output that has no event file itself but runs below: pass its run(name), which is one of 'größe/val', 'train'",
    );
    expect(await listRuns(new MemoryOutput())).toEqual([]);
    expect(await stepsIn(new MemoryOutput())).toEqual([]);
  });

  it('is followed while it is written', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const steps: number[] = [];
    const end = new AbortController();
    writer.addScalar('loss', 1, 0);
    await writer.flush();
    const reading = (async () => {
      for await (const { step, summary } of readEvents(output, { follow: true, pollInterval: 1, signal: end.signal })) {
        if (summary !== undefined) steps.push(Number(step));
      }
    })();
    for (const step of [1, 2, 3]) {
      await vi.waitFor(() => expect(steps.at(-1)).toBe(step - 1), { timeout: 60_000 });
      writer.addScalar('loss', 1, step);
      await writer.flush();
    }
    await vi.waitFor(() => expect(steps).toEqual([0, 1, 2, 3]), { timeout: 60_000 });
    end.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    await writer.close();
    expect(warnings).toEqual([]);
  });

  it('damage is told with the path of its file', async () => {
    const output = await written();
    const damaged = {
      list: async () =>
        (await output.list()).map(({ path, file }) => ({
          path: path.replace(/^train\//, ''),
          file: new File([file.slice(0, 40), new Uint8Array(30)], file.name),
        })),
    };
    await expect(stepsIn(damaged)).rejects.toMatchObject({
      name: 'CorruptRecordError',
      file: expect.stringMatching(isEventFile),
    });
  });
});
