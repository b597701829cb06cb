import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClosedWriterError } from '../../src/errors.js';
import { MemoryOutput, type Output } from '../../src/output/output.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { readEvents } from '../../src/reader/read-events.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'delve-summaries-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

async function summariesIn(source: string | Uint8Array) {
  const found: { tag: string; plugin: string; step: number | bigint; value: object | number; displayName?: string }[] =
    [];
  for await (const { step, summary } of readEvents(source)) {
    for (const { tag, plugin, value, displayName } of summary ?? [])
      found.push({ tag, plugin, step, value, displayName });
  }
  return found;
}

/** A tensor whose values come after a while, as WebGPU's do. */
const late = (shape: number[], values: number[], dtype = 'float32') => ({
  shape,
  dtype,
  dataSync() {
    throw new Error('WebGPU cannot');
  },
  data: () => new Promise<number[]>((resolve) => setTimeout(() => resolve(values), 20)),
});

describe('every addX of SummaryWriter', () => {
  it('reads back as the kind it was written as, with its tag, step and display name', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const options = { displayName: 'shown' };
    const pixels = { data: new Uint8Array(12), shape: [2, 2, 3] };
    const counts = { truePositives: [1, 0], falsePositives: [1, 0], trueNegatives: [0, 1], falseNegatives: [0, 1] };
    writer.addImage('image', pixels, 1, options);
    writer.addImages('images', { data: new Uint8Array(8), shape: [2, 2, 2] }, 2, options);
    writer.addImageWithBoxes('boxes', pixels, [[0, 0, 1, 1]], 3, options);
    writer.addFigure('figure', '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="5"/>', 4, options);
    writer.addVideo('video', { data: new Uint8Array(8), shape: [2, 2, 2] }, 5, options);
    writer.addAudio('audio', [0, 1], 6, options);
    writer.addPrCurve('curve', [1, 0], [0.5, 0.5], 7, options);
    writer.addPrCurveRaw('raw', counts, 8, options);
    writer.addMesh('mesh', [[0, 0, 0]], 9, { ...options, faces: [[0, 0, 0]] });
    writer.addHparams({ lr: 1 });
    writer.addCustomScalars({ categories: [] });
    await writer.close();
    const found = await summariesIn(output.bytes);
    expect(found.map(({ tag, plugin, step, displayName }) => [tag, plugin, step, displayName])).toEqual([
      ['image', 'images', 1, 'shown'],
      ['images', 'images', 2, 'shown'],
      ['boxes', 'images', 3, 'shown'],
      ['figure', 'images', 4, 'shown'],
      ['video', 'images', 5, 'shown'],
      ['audio', 'audio', 6, 'shown'],
      ['curve', 'pr_curves', 7, 'shown'],
      ['raw', 'pr_curves', 8, 'shown'],
      ['mesh_VERTEX', 'mesh', 9, 'shown'],
      ['mesh_FACE', 'mesh', 9, 'shown'],
      ['_hparams_/session_start_info', 'hparams', 0, undefined],
      ['_hparams_/session_end_info', 'hparams', 0, undefined],
      ['custom_scalars__config__', 'custom_scalars', 0, undefined],
    ]);
    expect(found.find(({ tag }) => tag === 'figure')?.value).toMatchObject({ width: 7, height: 5 });
  });

  it('keeps its place while its values are on their way', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    writer.addImage('a', late([1, 1], [1]), 0);
    writer.addScalar('b', 1, 0);
    writer.addAudio('c', late([2], [0, 1]), 0);
    writer.addPrCurve('d', late([2], [1, 0]), [0.5, 0.1], 0);
    writer.addMesh('e', late([1, 3], [1, 2, 3]), 0);
    writer.addVideo('f', late([1, 1, 1], [1]), 0);
    writer.addImageWithBoxes('g', late([2, 2], [0, 0, 0, 0]), late([1, 4], [0, 0, 1, 1]), 0);
    writer.addScalar('b', 2, 1);
    await writer.close();
    const tags = (await summariesIn(output.bytes)).map(({ tag }) => tag);
    expect(tags).toEqual(['a', 'b', 'c', 'd', 'e_VERTEX', 'f', 'g', 'b']);
  });

  it('names the call and the tag in every error', () => {
    const writer = new SummaryWriter(new MemoryOutput());
    const calls: [string, () => void][] = [
      ['addImage "x"', () => writer.addImage('x', [[[[1]]]])],
      ['addImages "x"', () => writer.addImages('x', [[1]])],
      ['addImageWithBoxes "x"', () => writer.addImageWithBoxes('x', [[1]], [[1]])],
      ['addFigure "x"', () => writer.addFigure('x', 'no svg')],
      ['addVideo "x"', () => writer.addVideo('x', [[1]])],
      ['addAudio "x"', () => writer.addAudio('x', 1)],
      ['addPrCurve "x"', () => writer.addPrCurve('x', [2], [1])],
      ['addPrCurveRaw "x"', () => writer.addPrCurveRaw('x', {} as never)],
      ['addMesh "x"', () => writer.addMesh('x', [1])],
      ['addEmbedding "x"', () => writer.addEmbedding('x', [1])],
      ['addGraph', () => writer.addGraph({} as never)],
      ['addHparams', () => writer.addHparams({ a: Number.NaN })],
      ['addCustomScalars', () => writer.addCustomScalars(null as never)],
      ['addHparams: metric "m"', () => writer.addHparams({ a: 1 }, { m: '1' as never })],
    ];
    for (const [start, call] of calls) expect(call).toThrow(new RegExp(`^${start}`));
  });

  it('throws ClosedWriterError after close', async () => {
    const writer = new SummaryWriter(new MemoryOutput());
    await writer.close();
    expect(() => writer.addImage('x', [[1]])).toThrow(ClosedWriterError);
    expect(() => writer.addEmbedding('x', [[1]])).toThrow(ClosedWriterError);
    expect(() => writer.addGraph(tensorboard.GraphDef.encode({ node: [{ name: 'a' }] }).finish())).toThrow(
      ClosedWriterError,
    );
    expect(() => writer.addHparams({ a: 1 })).toThrow(ClosedWriterError);
  });
});

describe('addGraph', () => {
  it('writes the graph into an event of its own', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const graph = tensorboard.GraphDef.encode({ node: [{ name: 'a', op: 'Const' }] }).finish();
    writer.addGraph(graph);
    await writer.close();
    const graphs = [];
    for await (const event of readEvents(output.bytes)) if (event.graph) graphs.push(event.graph);
    expect(graphs.map((bytes) => Array.from(bytes))).toEqual([Array.from(graph)]);
  });
});

describe('addHparams', () => {
  it("adds metrics at the step of the tag's latest point, so that none before is hidden", async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    for (let step = 0; step < 3; step++) writer.addScalar('loss', 1, step);
    writer.addHparams({ lr: 0.1 }, { loss: 0.5, fresh: 2 });
    await writer.close();
    const scalars = (await summariesIn(output.bytes)).filter(({ plugin }) => plugin === 'scalars');
    expect(scalars.slice(3).map(({ tag, step, value }) => [tag, step, value])).toEqual([
      ['loss', 2, 0.5],
      ['fresh', 0, 2],
    ]);
  });

  it('adds them where it is told to', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    writer.addHparams({ lr: 0.1 }, { loss: 0.5 }, { step: 9 });
    await writer.close();
    expect((await summariesIn(output.bytes)).at(-1)).toMatchObject({ tag: 'loss', step: 9 });
  });

  it('ends a session that was running, and refuses what TensorBoard would not show', async () => {
    const writer = new SummaryWriter(new MemoryOutput());
    writer.addHparams({ lr: 0.1 }, {}, { status: 'running' });
    expect(() => writer.addHparams({ lr: 0.2 })).toThrow(RangeError);
    writer.addHparams({ lr: 0.1 });
    expect(() => writer.addHparams({ lr: 0.1 })).toThrow('its session has ended');
    writer.run('other').addHparams({ lr: 0.2 });
  });
});

describe('addEmbedding', () => {
  const configOf = (run: string) => readFileSync(join(run, 'projector_config.pbtxt'), 'utf8');

  it('writes its files at once, beside an event file that makes the run exist', async () => {
    const writer = new SummaryWriter(folder);
    writer.addEmbedding('words', [[1, 2]], 3, { metadata: ['a'] });
    expect(readFileSync(join(folder, '00003/words/tensors.tsv'), 'utf8')).toBe('1\t2\n');
    expect(readFileSync(join(folder, '00003/words/metadata.tsv'), 'utf8')).toBe('a\n');
    expect(configOf(folder)).toContain('tensor_path: "00003/words/tensors.tsv"');
    await writer.close();
    const events = [];
    for await (const event of readEvents(folder)) events.push(event);
    expect(events.length).toBe(1);
  });

  it('keeps the embeddings of earlier calls, earlier writers and vectors that come later', async () => {
    const first = new SummaryWriter(folder);
    first.addEmbedding('a', late([1, 2], [5, 6]), 0);
    first.addEmbedding('b', [[1]], 0);
    await first.close();
    const second = new SummaryWriter(folder);
    second.addEmbedding('c', [[1]], 0);
    await second.close();
    expect([...configOf(folder).matchAll(/tensor_name: "(.*)"/g)].map(([, name]) => name).sort()).toEqual([
      'a:00000',
      'b:00000',
      'c:00000',
    ]);
    expect(readFileSync(join(folder, '00000/a/tensors.tsv'), 'utf8')).toBe('5\t6\n');
  });

  it('refuses an Output that takes no files', () => {
    const output: Output = { write() {}, flush: async () => {}, close: async () => {} };
    expect(() => new SummaryWriter(output).addEmbedding('a', [[1]], 0)).toThrow(
      'addEmbedding "a": this Output takes no companion files',
    );
  });
});

describe('a figure that cannot be drawn', () => {
  it('rejects flush and loses nothing else', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    writer.addFigure('f', '<svg><g></svg>', 0);
    writer.addScalar('s', 1, 0);
    await expect(writer.flush()).rejects.toThrow('addFigure "f": the SVG could not be drawn');
    await writer.close().catch(() => {});
    expect((await summariesIn(output.bytes)).map(({ tag }) => tag)).toEqual(['s']);
  });
});
