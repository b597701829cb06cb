import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import { parquetReadObjects } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import type { RunTask } from '../../src/cli/each-run.js';
import { type CommandLine, main } from '../../src/cli/main.js';
import { runTasks } from '../../src/cli/run-tasks.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { concat } from '../../src/encoding/bytes.js';
import { encodeMessage } from '../../src/encoding/message-codec.js';
import { frameRecord } from '../../src/encoding/record.js';
import { listRuns, readEvents, SummaryWriter } from '../../src/index.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { decodeNpy } from '../../src/stores/npy.js';
import { temporaryFolder } from '../support/folders.js';
import { goldenFiles, goldenFolder } from '../support/golden.js';
import { uniform } from '../support/random.js';

async function exported(paths: string | string[], values: CommandLine['values'] = {}, threads?: Terminal['threads']) {
  const said = { out: '', err: '', code: 0, files: new Map<string, Uint8Array>() };
  const bytesOf = (content: string | Uint8Array) =>
    typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const terminal = {
    write: (text: string) => void (said.out += text),
    drained: async () => {},
    writeError: (text: string) => void (said.err += text),
    colors: false,
    threads,
    size: () => undefined,
    writeFile: (path: string, content: string | Uint8Array) => void said.files.set(path, bytesOf(content)),
    createFile(path: string) {
      const parts: Uint8Array[] = [];
      return {
        write: (content: string | Uint8Array) => void parts.push(bytesOf(content).slice()),
        close: () => void said.files.set(path, concat(parts)),
      };
    },
  } as Partial<Terminal> as Terminal;
  said.code = await main(terminal, { positionals: ['export', ...[paths].flat()], values }, '1.2.3');
  return said;
}

const rowsOf = (csv: string) => parse<Record<string, string>>(csv, { columns: true });
const parquetRows = (bytes: Uint8Array) => parquetReadObjects({ file: bytes.slice().buffer });

/** Two runs: a loss at every step, and an accuracy at some. */
async function twoRuns(): Promise<string> {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  for (const run of ['run10', 'run2']) {
    for (const [step, value] of [
      [1, 0.5],
      [2, 0.25],
      [2 ** 60, Number.NaN],
    ]) {
      writer.run(run).addScalar('loss', value, step, { wallTime: Math.min(step, 4) });
    }
    writer.run(run).addScalar('step', 0.75, 2, { wallTime: 3 });
  }
  await writer.close();
  return logdir;
}

describe('several runs at a time', () => {
  /** Threads that end in another order than they begin in, and whose results are copies. */
  function threadsOf(next: () => number): Terminal['threads'] {
    return {
      idle: () => 4,
      start: () => ({
        async ask(task, run, options, read) {
          const work = (await runTasks[task]()) as RunTask<unknown, unknown>;
          const complaints: string[] = [];
          const result = await work(run, options, { read, complain: (message) => void complaints.push(message) });
          await new Promise((resolve) => setTimeout(resolve, 5 * next()));
          return structuredClone({ result, complaints });
        },
        end: () => {},
      }),
    };
  }

  /** Runs of random summaries, some of which go back in their steps and some of which are damaged. */
  async function randomLogdir(next: () => number): Promise<string> {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const count = 2 + Math.floor(7 * next());
    for (let at = 0; at < count; at++) {
      const run = writer.run(`r${at}`);
      const events = Math.floor(40 * next());
      for (let step = 0; step < events; step++) {
        const back = next() < 0.02 ? step >> 1 : step;
        run.addScalar('loss', next() < 0.1 ? Number.NaN : next(), back, { wallTime: 1000 + step });
        if (next() < 0.3) run.addHistogram('=h', [next(), -next()], back, { wallTime: 1000 + step });
        if (next() < 0.3) run.addText('ü, "note"', `a ${step}\n"b", \u0007`, back, { wallTime: 1000 + step });
      }
    }
    await writer.close();
    for (const { files } of await listRuns(logdir)) {
      if (next() > 0.3) continue;
      const bytes = readFileSync(files[0]);
      bytes[Math.floor(bytes.length * next())] ^= 1;
      writeFileSync(files[0], bytes);
    }
    return logdir;
  }

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('say what one at a time says, of random runs: %i', async (seed) => {
    const next = uniform(seed);
    const logdir = await randomLogdir(next);
    for (const kind of ['scalars', 'histograms', 'text']) {
      for (const format of ['csv', 'json', 'jsonl']) {
        for (const out of [undefined, 'out.txt']) {
          const values = { kind, format, out, raw: next() < 0.5 };
          const alone = await exported(logdir, { ...values, threads: '1' });
          expect(await exported(logdir, { ...values, threads: '3' }, threadsOf(next))).toEqual(alone);
          if (out === undefined) expect(alone.out.length).toBeGreaterThan(0);
        }
      }
    }
  });

  it('write runs whose rows are too long for memory piece by piece, in their place', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const texts: Readonly<Record<string, string>> = { b: 'x'.repeat(6e6), c: 'y'.repeat(23e6) };
    for (const run of ['a', 'b', 'c', 'd']) {
      for (let step = 0; step < 3; step++) {
        writer.run(run).addText('t', texts[run] ?? run, step, { wallTime: 1 });
        await writer.flush();
      }
    }
    await writer.close();
    // One of them is long when it is unpacked only.
    const [, , packed] = await listRuns(logdir);
    writeFileSync(packed.files[0], gzipSync(readFileSync(packed.files[0])));
    const values = { kind: 'text', out: 'texts.csv' };
    const { code, err, files, out } = await exported(logdir, { ...values, threads: '2' }, threadsOf(uniform(1)));
    expect({ code, err, out }).toEqual({ code: 0, err: '', out: '12 rows in texts.csv\n' });
    const rows = ['a', 'b', 'c', 'd'].flatMap((run) =>
      [0, 1, 2].map((step) => `${run},t,${step},1,${texts[run] ?? run}\r\n`),
    );
    const csv = new TextDecoder().decode([...files.values()][0]);
    expect(csv === `run,tag,step,wall_time,value\r\n${rows.join('')}`).toBe(true);
  });
});

describe('a table of scalars', () => {
  it('has numbers as JavaScript writes them, whatever stands beside them', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const values = [0.1, -0, 1e21, 1e-7, Number.NaN, Number.POSITIVE_INFINITY, -2.5, 3, 2 ** 60];
    const steps = [0, 1, 2, 3, 4, 5, 2n ** 60n, 7, 8];
    for (const [at, value] of values.entries()) writer.addScalar('a,"b"', value, steps[at], { wallTime: 0.5 });
    await writer.close();
    const { out } = await exported(logdir, { raw: true });
    expect(out).toBe(
      [
        'run,tag,step,wall_time,value',
        ...values.map((value, at) => `.,"a,""b""",${steps[at]},0.5,${String(Math.fround(value))}`),
        '',
      ].join('\r\n'),
    );
  });

  it('has runs in the order that people expect', async () => {
    const { out } = await exported(await twoRuns());
    expect(rowsOf(out).map(({ run, tag }) => `${run} ${tag}`)).toEqual([
      ...['run2 loss', 'run2 loss', 'run2 loss', 'run2 step'],
      ...['run10 loss', 'run10 loss', 'run10 loss', 'run10 step'],
    ]);
  });

  it('with --wide has a row for each step and a column for each tag', async () => {
    const logdir = await twoRuns();
    const { out } = await exported(join(logdir, 'run2'), { wide: true });
    expect(rowsOf(out)).toEqual([
      { run: '.', step: '1', wall_time: '1', loss: '0.5', 'tag/step': '' },
      { run: '.', step: '2', wall_time: '3', loss: '0.25', 'tag/step': '0.75' },
      { run: '.', step: '1152921504606846976', wall_time: '4', loss: 'NaN', 'tag/step': '' },
    ]);
    const json = await exported(join(logdir, 'run2'), { wide: true, format: 'json' });
    expect(JSON.parse(json.out)[1]).toEqual({ run: '.', step: 2, wallTime: 3, values: { loss: 0.25, step: 0.75 } });
  });

  it('with --wide and --raw keeps each of several values at a step', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    for (const value of [1, 2]) writer.addScalar('loss', value, 7);
    await writer.close();
    const losses = async (raw: boolean) => rowsOf((await exported(logdir, { wide: true, raw })).out).map((r) => r.loss);
    expect(await losses(true)).toEqual(['1', '2']);
    expect(await losses(false)).toEqual(['2']);
  });

  it('as Parquet holds the same numbers, with types', async () => {
    const logdir = await twoRuns();
    const { files } = await exported(logdir, { out: 'x.parquet' });
    expect((await parquetRows(files.get('x.parquet')!)).slice(0, 4)).toEqual([
      { run: 'run2', tag: 'loss', step: 1n, wall_time: 1, value: 0.5 },
      { run: 'run2', tag: 'loss', step: 2n, wall_time: 2, value: 0.25 },
      { run: 'run2', tag: 'loss', step: 2n ** 60n, wall_time: 4, value: Number.NaN },
      { run: 'run2', tag: 'step', step: 2n, wall_time: 3, value: 0.75 },
    ]);
    const wide = await exported(logdir, { out: 'x.parquet', wide: true });
    expect((await parquetRows(wide.files.get('x.parquet')!))[0]).toEqual({
      ...{ run: 'run2', step: 1n, wall_time: 1, loss: 0.5 },
      'tag/step': null,
    });
  });

  it('of more rows than are kept in memory is whole as Parquet', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    for (let step = 0; step < 150_000; step++) writer.addScalar('loss', step / 7, step, { wallTime: 1 });
    await writer.close();
    const { files } = await exported(logdir, { out: 'x.parquet' });
    const rows = await parquetRows(files.get('x.parquet')!);
    expect(rows).toHaveLength(150_000);
    expect(rows.every(({ step, value }, i) => step === BigInt(i) && value === Math.fround(i / 7))).toBe(true);
  });

  it('without values is a table all the same', async () => {
    const text = join(goldenFolder, 'torch/text');
    expect((await exported(text, { format: 'jsonl' })).out).toBe('');
    const { files } = await exported(text, { out: 'x.parquet' });
    expect(await parquetRows(files.get('x.parquet')!)).toEqual([]);
  });

  it('as JSON lines has a record on each line', async () => {
    const { files } = await exported(await twoRuns(), { out: 'x.jsonl' });
    const lines = new TextDecoder().decode(files.get('x.jsonl')).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line)).slice(1, 3)).toEqual([
      { run: 'run2', tag: 'loss', step: 2, wallTime: 2, value: 0.25 },
      { run: 'run2', tag: 'loss', step: String(2n ** 60n), wallTime: 4, value: 'NaN' },
    ]);
  });

  it('of several paths names the path of each run', async () => {
    const logdir = await twoRuns();
    const [one, other] = [join(logdir, 'run2'), `${logdir}/run10/`];
    const { out } = await exported([one, other, one]);
    expect([...new Set(rowsOf(out).map(({ run }) => run))]).toEqual([one, other.slice(0, -1)]);
    expect(rowsOf(out)).toHaveLength(8);
  });
});

describe('hyperparameters', () => {
  it('are a row for each run, with the last values of its metrics', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addScalar('unrelated', 1, 0);
    for (const [run, lr] of Object.entries({ a: 0.1, b: 0.01 })) {
      writer.run(run).addHparams({ lr, optimizer: run === 'a' ? 'sgd' : '=1+1', nesterov: run === 'a', loss: 1 });
      for (const step of [1, 2]) writer.run(run).addScalar('loss', lr / step, step);
      writer.run(`${run}/validation`).addScalar('loss', lr * 2, 1);
    }
    await writer.close();
    const { out } = await exported(logdir, { kind: 'hparams' });
    const rows = rowsOf(out);
    expect(rows).toMatchObject([
      { run: 'a', lr: '0.1', optimizer: 'sgd', nesterov: 'true', loss: '1' },
      { run: 'b', lr: '0.01', optimizer: "'=1+1", nesterov: 'false', loss: '1' },
    ]);
    expect(rows.map((row) => [row['metric/loss'], row['validation/loss']].map(Number))).toEqual([
      [Math.fround(0.05), Math.fround(0.2)],
      [Math.fround(0.005), Math.fround(0.02)],
    ]);
    const { files } = await exported(logdir, { kind: 'hparams', out: 'x.parquet' });
    expect(await parquetRows(files.get('x.parquet')!)).toMatchObject([
      { run: 'a', lr: 0.1, optimizer: 'sgd', nesterov: true, loss: 1 },
      { run: 'b', lr: 0.01, optimizer: '=1+1', nesterov: false, loss: 1 },
    ]);
  });

  it('of a session within another one have rows of their own, with their metrics', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    for (const [at, run] of ['outer', 'outer/inner'].entries()) {
      writer.run(run).addHparams({ lr: 0.5 * (at + 1) });
      writer.run(run).addScalar('loss', at + 1, 3);
      writer.run(`${run}/validation`).addScalar('loss', at + 10, 3);
    }
    await writer.close();
    const { out } = await exported(logdir, { kind: 'hparams', format: 'json' });
    // What TensorBoard 2.21 shows: test/compat/export.test.ts.
    expect(JSON.parse(out)).toMatchObject([
      { run: 'outer', metrics: { loss: 1, 'validation/loss': 10 } },
      { run: 'outer/inner', metrics: { loss: 2, 'validation/loss': 11 } },
    ]);
    expect(rowsOf((await exported(logdir, { kind: 'hparams' })).out).flatMap(Object.keys)).not.toContain('inner/loss');
  });

  it('have the metrics of the groups that the experiment names', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.run('a').addHparams({ lr: 0.5 });
    for (const [at, group] of ['train', 'validation'].entries()) writer.run(`a/${group}`).addScalar('loss', at, 3);
    await writer.close();
    const metricInfos = [{ name: { group: 'validation', tag: 'loss' }, displayName: 'loss (val.)' }];
    const content = encodeMessage(tensorboard.HParamsPluginData, { experiment: { metricInfos } });
    const metadata = { pluginData: { pluginName: 'hparams', content } };
    const event = { wallTime: 1, summary: { value: [{ tag: '_hparams_/experiment', metadata }] } };
    writeFileSync(join(logdir, 'events.out.tfevents.1'), frameRecord(encodeMessage(tensorboard.Event, event)));
    const { out } = await exported(logdir, { kind: 'hparams', format: 'json' });
    expect(JSON.parse(out)).toMatchObject([{ run: 'a', metrics: { 'validation/loss': 1 } }]);
    expect(out).not.toContain('train/loss');
    for await (const { summary = [] } of readEvents(logdir)) {
      expect(summary[0].value).toMatchObject({
        experiment: {
          metrics: ['loss'],
          metricGroups: ['validation'],
          metricTexts: { 'validation/loss': { displayName: 'loss (val.)' } },
        },
      });
    }
  });

  it('of torch and tensorboardX have the metrics that their experiments name', async () => {
    for (const writer of ['torch', 'tbx']) {
      const { code, out } = await exported(join(goldenFolder, writer, 'hparams'), { kind: 'hparams', format: 'json' });
      const [{ hparams, metrics }] = JSON.parse(out);
      expect(code).toBe(0);
      expect(Object.keys(hparams).length, out).toBeGreaterThan(0);
      expect(Object.values(metrics).every((value) => typeof value === 'number')).toBe(true);
      expect(Object.keys(metrics).length, out).toBeGreaterThan(0);
    }
  });
});

describe('other kinds', () => {
  it('PR curves are rows with their thresholds', async () => {
    for (const writer of ['torch', 'tbx']) {
      const { code, out } = await exported(join(goldenFolder, writer, 'pr_curve'), { kind: 'pr_curves' });
      expect(code).toBe(0);
      const rows = rowsOf(out);
      const stored = goldenFiles
        .filter(({ path }) => path.startsWith(`${writer}/pr_curve/`))
        .flatMap(({ records }) => records.flatMap(({ event }) => event.summary?.value ?? []))
        .map(
          ({ tensor }) =>
            tensor!.float_val ?? Array.from(new Float32Array(Buffer.from(tensor!.tensor_content!, 'base64').buffer)),
        );
      const curves = stored.flatMap((values) => {
        const count = values.length / 6;
        return Array.from({ length: count }, (_, i) => Array.from({ length: 6 }, (_, row) => values[row * count + i]));
      });
      const columns = ['true_positives', 'false_positives', 'true_negatives', 'false_negatives', 'precision', 'recall'];
      expect(rows.length).toBeGreaterThan(10);
      expect(rows.map((row) => columns.map((column) => Math.fround(Number(row[column]))))).toEqual(
        curves.map((curve) => curve.map(Math.fround)),
      );
      expect([rows[0].threshold, rows.at(-1)!.threshold]).toEqual(['0', '1']);
    }
  });

  it('meshes are PLY files, one for each of a batch', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const vertices = Float32Array.from({ length: 24 }, (_, i) => i / 4);
    writer.addMesh('shape', { data: vertices, shape: [2, 4, 3] }, 5, {
      faces: { data: Int32Array.of(0, 1, 2, 1, 2, 3, 3, 2, 1, 0, 3, 1), shape: [2, 2, 3] },
      colors: { data: Uint8Array.from({ length: 24 }, (_, i) => i * 10), shape: [2, 4, 3] },
    });
    await writer.close();
    const { files, out } = await exported(logdir, { kind: 'meshes', out: 'm' });
    expect(out).toBe('2 files in m\n');
    expect([...files.keys()]).toEqual(['m/root/shape.5.ply', 'm/root/shape.5.1.ply']);
    const bytes = files.get('m/root/shape.5.1.ply')!;
    const text = new TextDecoder('latin1').decode(bytes);
    const start = text.indexOf('end_header\n') + 11;
    expect(text.slice(0, start).split('\n')).toEqual([
      ...['ply', 'format binary_little_endian 1.0', 'element vertex 4'],
      ...['property float x', 'property float y', 'property float z'],
      ...['property uchar red', 'property uchar green', 'property uchar blue'],
      ...['element face 2', 'property list uchar int vertex_indices', 'end_header', ''],
    ]);
    const view = new DataView(bytes.buffer, bytes.byteOffset + start);
    expect(view.byteLength).toBe(4 * 15 + 2 * 13);
    expect([0, 4, 8].map((at) => view.getFloat32(15 + at, true))).toEqual([15 / 4, 16 / 4, 17 / 4]);
    expect([0, 1, 2].map((at) => view.getUint8(15 + 12 + at))).toEqual([150, 160, 170]);
    expect([0, 1, 5, 9].map((at) => (at === 0 ? view.getUint8(60) : view.getInt32(60 + at, true)))).toEqual([
      3, 3, 2, 1,
    ]);
  });

  it("other programs' meshes are written, too", async () => {
    const { code, files } = await exported(join(goldenFolder, 'torch/mesh'), { kind: 'meshes', out: 'm' });
    expect(code).toBe(0);
    expect(files.size).toBeGreaterThan(0);
  });

  it("tensors are numpy's files of their type", async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addTensor('a/b', { data: Float32Array.of(1, 2.5, -3, 4, 5, 6), shape: [2, 3] }, 1);
    writer.addTensor('ids', Float64Array.of(7, -8.125), 2);
    await writer.close();
    const { files, out } = await exported(logdir, { kind: 'tensors', out: 't' });
    expect(out).toBe('2 files in t\n');
    expect(decodeNpy(files.get('t/root/a%2Fb.1.npy')!)).toEqual({
      dtype: 'float32',
      shape: [2, 3],
      values: Float64Array.of(1, 2.5, -3, 4, 5, 6),
    });
    expect(decodeNpy(files.get('t/root/ids.2.npy')!)).toMatchObject({ values: Float64Array.of(7, -8.125) });
  });

  it('a table or files that nothing is in are told, with what is there', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addText('note', 'x', 1);
    await writer.close();
    const { code, err } = await exported(logdir);
    expect({ code, err }).toEqual({ code: 0, err: 'there are no scalars in these runs, only text\n' });
    const found = await exported(logdir, { kind: 'text', out: 'a/b.csv' });
    expect(found).toMatchObject({ err: '', out: '1 row in a/b.csv\n' });
    expect((await exported(logdir, { kind: 'text', out: 'a/b.csv', json: true })).out).toBe('');
  });

  it('embeddings are vectors with their labels and pictures, whoever wrote them', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const vectors = { data: Float32Array.of(0.1, 2, -3.5, 1e-20, 5, 6), shape: [3, 2] };
    writer.addEmbedding('words "x"', vectors, 4, { metadata: ['a', 'b', 'c'] });
    await writer.close();
    const { code, files } = await exported(logdir, { kind: 'embeddings', out: 'e' });
    expect(code).toBe(0);
    expect([...files.keys()]).toEqual([
      'e/root/words%20%22x%22%3A00004.npy',
      'e/root/words%20%22x%22%3A00004.labels.tsv',
    ]);
    const [npy, labels] = [...files.values()];
    expect(decodeNpy(npy)).toEqual({ dtype: 'float32', shape: [3, 2], values: Float64Array.from(vectors.data) });
    expect(new TextDecoder().decode(labels)).toBe('a\nb\nc\n');
    for (const other of ['torch', 'tbx']) {
      const found = await exported(join(goldenFolder, other, 'embedding'), { kind: 'embeddings', out: 'e' });
      expect(found.err).toBe('');
      expect(
        [...found.files.keys()].some((path) => path.endsWith('.npy')),
        found.out,
      ).toBe(true);
    }
  });

  it('embeddings of tables and of raw numbers are what the projector makes of them', async () => {
    const logdir = temporaryFolder();
    writeFileSync(join(logdir, 'events.out.tfevents.1'), '');
    const raw = new Uint8Array(Float32Array.of(0.5, 1, Number.NaN, 1e30).buffer);
    // As torch and tensorboardX write what is not finite, with the line ends of Windows, and under a name of one's own.
    writeFileSync(join(logdir, 'v.tsv'), 'inf\t-inf\tnan\r\n1e-30\t1e+30\t-0.0\r\n');
    writeFileSync(join(logdir, 'v.txt'), '1\t2\n\n3\t4');
    writeFileSync(join(logdir, 'v.bytes'), raw);
    writeFileSync(join(logdir, 'empty.tsv'), '1\t\t3\n');
    const shapes: Record<string, string> = { bytes: 'tensor_shape: [2, 2]' };
    const names = ['v.tsv', 'v.txt', 'v.bytes', 'empty.tsv'];
    const blocks = names.map((name) => {
      return `embeddings { tensor_name: "${name}" tensor_path: "${name}" ${shapes[name.split('.')[1]] ?? ''} }`;
    });
    writeFileSync(join(logdir, 'projector_config.pbtxt'), blocks.join('\n'));
    const { code, err, files } = await exported(logdir, { kind: 'embeddings', out: 'e' });
    const valuesOf = (name: string) => [...decodeNpy(files.get(`e/root/${name}.npy`)!).values];
    expect(valuesOf('v.tsv')).toEqual([Infinity, -Infinity, Number.NaN, Math.fround(1e-30), Math.fround(1e30), -0]);
    expect(valuesOf('v.txt')).toEqual([1, 2, 3, 4]);
    expect(valuesOf('v.bytes')).toEqual([0.5, 1, Number.NaN, Math.fround(1e30)]);
    // No number is made of what is none, as the projector refuses it, too.
    expect(code).toBe(1);
    expect(err).toContain('"empty.tsv": left out: line 1: expected numbers, got ');
    expect(files.size).toBe(3);
  });

  it('embeddings do not lead out of the folder of their run', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addEmbedding('v', { data: Float32Array.of(1, 2), shape: [1, 2] }, 0);
    await writer.close();
    const path = join(logdir, 'projector_config.pbtxt');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/tensor_path: "[^"]*"/, 'tensor_path: "../../secret.tsv"'));
    const { code, err, files } = await exported(logdir, { kind: 'embeddings', out: 'e' });
    expect({ code, files: files.size }).toEqual({ code: 1, files: 0 });
    expect(err).toContain('expected a file below the run\'s folder, got "../../secret.tsv"');
  });

  it('every kind of a whole logdir is exported without a complaint', async () => {
    for await (const event of readEvents(join(goldenFolder, 'recommended/r'))) expect(event).toBeDefined();
    for (const kind of [
      'scalars',
      'histograms',
      'text',
      'pr_curves',
      'hparams',
      'images',
      'audio',
      'tensors',
      'meshes',
    ]) {
      const { code, err } = await exported(goldenFolder, { kind, raw: true, out: kind });
      expect({ kind, code, err }).toEqual({ kind, code: 0, err: '' });
    }
  });
});

it('options that do not go together are refused', async () => {
  const logdir = await twoRuns();
  expect((await exported(logdir, { wide: true, kind: 'text' })).err).toContain('--wide: expected --kind scalars');
  expect((await exported(logdir, { format: 'parquet' })).err).toContain('--out: expected the Parquet file');
  expect((await exported(logdir, { format: 'xml' })).err).toContain('--format: expected csv, json, jsonl, parquet');
});
