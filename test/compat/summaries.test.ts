import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { audioSummary } from '../../src/summaries/audio.js';
import { boxesSummary } from '../../src/summaries/boxes.js';
import { imageSummary, imagesSummary } from '../../src/summaries/image.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';
import { videoSummary } from '../../src/summaries/video.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { temporaryFolder } from '../support/folders.js';
import { framesOf } from '../support/gif.js';
import { reference } from '../support/summary-fixtures.js';
import { describeWithTensorBoard, LOADERS, startTensorBoard, type TensorBoard } from './harness.js';

const wallTime = 1_700_000_000;
const pixels = { data: Uint8Array.from({ length: 12 * 9 * 3 }, (_, i) => (i * 37) % 256), shape: [9, 12, 3] };
const batch = { data: Uint8Array.from({ length: 2 * 4 * 5 }, (_, i) => i * 6), shape: [2, 4, 5] };
const boxes = [[1, 1, 8, 7]];
const frames = { data: Uint8Array.from({ length: 3 * 6 * 5 }, (_, i) => i * 2), shape: [3, 6, 5] };
const stereo = { data: Float32Array.from({ length: 40 }, (_, i) => Math.sin(i)), shape: [20, 2] };
const svg =
  '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="10"><rect width="30" height="10" fill="#00ff00"/></svg>';
const vertices = [
  [
    [0, 0, 0],
    [1, 0.5, 0],
    [0, 1, -2],
  ],
  [
    [9, 9, 9],
    [8, 8, 8],
    [7, 7, 7],
  ],
];
const faces = [[[0, 1, 2]], [[2, 1, 0]]];
const colors = [
  [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
  ],
  [
    [1, 2, 3],
    [4, 5, 6],
    [7, 8, 9],
  ],
];
const curve = reference.pr_curves[2];
const vectors = [
  [1, 0.1, -3],
  [0.25, 1e-7, 16777217],
];
const labelImages = { data: Uint8Array.from({ length: 2 * 3 * 3 * 3 }, (_, i) => i * 4), shape: [2, 3, 3, 3] };

async function writeRuns(logdir: string): Promise<void> {
  const writer = new SummaryWriter(logdir);
  const run = writer.run('all');
  const described = { wallTime, displayName: 'A name', description: 'Some *words*' };
  for (const step of [0, 1]) {
    run.addImage('image', pixels, step, described);
    run.addAudio('sound', stereo, step, { ...described, sampleRate: 8000 });
    run.addText(
      'table',
      [
        ['a', 'b'],
        ['c', '`d`'],
      ],
      step,
      described,
    );
    run.addPrCurve('curve', curve.labels, curve.predictions, step, {
      ...described,
      thresholds: curve.thresholds,
      weights: curve.weights ?? 1,
    });
    run.addScalar('scalar', 0.5, step, described);
    run.addHistogram('histogram', [1, 2, 3], step, described);
  }
  run.addImages('images', batch, 3, { wallTime });
  run.addImageWithBoxes('boxes', pixels, boxes, 0, { labels: ['x'] });
  run.addFigure('figure', svg, 0);
  run.addVideo('video', frames, 0, { fps: 5 });
  run.addPrCurveRaw(
    'counted',
    { truePositives: [4, 0], falsePositives: [6, 0], trueNegatives: [0, 6], falseNegatives: [0, 4] },
    0,
  );
  run.addMesh('deep/mesh', vertices, 7, { faces, colors, config: { camera: { cls: 'PerspectiveCamera', fov: 75 } } });
  run.addMesh('cloud', vertices[0], 0);
  run.addEmbedding('words', vectors, 5, {
    metadata: [
      ['one', 'α'],
      ['two', 'β'],
    ],
    metadataHeader: ['word', 'letter'],
    labelImages,
  });
  run.addEmbedding('../up', vectors, 6, { metadata: ['', 'second'] });
  run.addCustomScalars({
    categories: [
      { title: 'First', charts: [{ title: 'lines', multiline: ['sca.*', 'other'] }] },
      {
        title: 'Second',
        closed: true,
        charts: [{ title: 'band', margin: [{ value: 'scalar', lower: 'low', upper: 'high' }] }],
      },
    ],
  });

  const sequential = tf.sequential({
    layers: [
      tf.layers.dense({ name: 'first', units: 4, inputShape: [3], activation: 'relu' }),
      tf.layers.dense({ name: 'second', units: 2 }),
    ],
  });
  run.addGraph(sequential);
  const [a, b] = ['a', 'b'].map((name) => tf.input({ shape: [3], name }));
  const sides = [a, b].map((input) => sequential.apply(input) as tf.SymbolicTensor);
  const joined = tf.layers.concatenate({ name: 'joined' }).apply(sides) as tf.SymbolicTensor;
  const shared = tf.layers.dense({ name: 'shared', units: 4 });
  const twice = tf.layers
    .add({ name: 'sum' })
    .apply([shared.apply(joined), shared.apply(joined)] as tf.SymbolicTensor[]);
  writer.run('functional').addGraph(tf.model({ inputs: [a, b], outputs: twice as tf.SymbolicTensor }));
  const recurrent = tf.sequential({
    layers: [
      tf.layers.bidirectional({ name: 'both', layer: tf.layers.lstm({ units: 3 }) as tf.RNN, inputShape: [4, 2] }),
      tf.layers.dense({ name: 'head', units: 1 }),
    ],
  });
  writer.run('recurrent').addGraph(recurrent);
  writer.run('onnx').addGraph(readFileSync(new URL('../fixtures/onnx/digits_legacy.onnx', import.meta.url)));

  for (const [name, batchNorm] of [
    ['trial-1', true],
    ['trial-2', false],
  ] as const) {
    const trial = writer.run(name);
    for (let step = 0; step < 5; step++) trial.addScalar('loss', 1 / (step + 1), step, { wallTime });
    trial.addHparams(
      { rate: 0.25, batchNorm, optimizer: 'adam' },
      { loss: 0.125 },
      { status: batchNorm ? 'success' : 'failure' },
    );
  }

  // What holds nothing must keep nothing else from being shown.
  const empty = writer.run('empty');
  empty.addImages('no images', { data: [], shape: [0, 5, 7, 3] }, 0);
  empty.addImages('no images yet', { data: [], shape: [0, 4, 5] }, 0);
  empty.addImages('no images yet', batch, 1);
  empty.addAudio('no clips', { data: [], shape: [0, 4, 1] }, 0);
  empty.addAudio('no frames', [], 0);
  empty.addAudio('clips', { data: stereo.data, shape: [2, 10, 2] }, 0);
  empty.addHistogram('no values', [], 0);
  empty.addPrCurve('no labels', [], [], 0);
  empty.addMesh('no vertices', { data: [], shape: [0, 3] }, 0);
  empty.addMesh('no faces', vertices[0], 0, { faces: { data: [], shape: [0, 3] } });
  await writer.close();
}

const only = (summary: unknown) => (summary as PluginSummary).tensor.stringVal as Uint8Array[];
const plain = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

describeWithTensorBoard.each(LOADERS)('every kind of summary, shown through $loader', ({ fast }) => {
  const logdir = temporaryFolder(afterAll);
  let board: TensorBoard;
  beforeAll(async () => {
    await writeRuns(logdir);
    board = await startTensorBoard(logdir, { fast });
  });
  afterAll(async () => {
    await board?.stop();
  });

  async function imagesOf(tag: string, sample = 0) {
    const found = await board.ask<{ step: number; query: string }[]>('images/images', { run: 'all', tag, sample });
    const files = await Promise.all(found.map(({ query }) => board.bytes(`images/individualImage?${query}`)));
    return found.map(({ step }, i) => ({ step, type: files[i].type, bytes: plain(files[i].bytes) }));
  }

  it('shows no run but those that were written', async () => {
    const runs = await board.ask<string[]>('/data/runs');
    expect(runs.sort()).toEqual(['all', 'empty', 'functional', 'onnx', 'recurrent', 'trial-1', 'trial-2']);
  });

  it.each(['scalars/tags', 'histograms/tags', 'images/tags', 'audio/tags', 'pr_curves/tags'])(
    'gives displayName and description to %s',
    async (path) => {
      const { all } =
        await board.ask<Record<string, Record<string, { displayName: string; description: string }>>>(path);
      const tag = { scalars: 'scalar', histograms: 'histogram', images: 'image', audio: 'sound', pr_curves: 'curve' }[
        path.split('/')[0]
      ];
      expect(all[tag as string]).toMatchObject({ displayName: 'A name', description: '<p>Some <em>words</em></p>' });
    },
  );

  it('shows images byte for byte', async () => {
    const [, , png] = only(imageSummary(pixels));
    expect(await imagesOf('image')).toEqual([0, 1].map((step) => ({ step, type: 'image/png', bytes: plain(png) })));
    expect(await imagesOf('boxes')).toMatchObject([
      { bytes: plain(only(boxesSummary(pixels, boxes, { labels: ['x'] }))[2]) },
    ]);
  });

  it('shows each image of a batch as a sample', async () => {
    const { all } = await board.ask<Record<string, Record<string, { samples: number }>>>('images/tags');
    expect(all.images.samples).toBe(2);
    const [, , ...files] = only(imagesSummary(batch));
    for (const sample of [0, 1])
      expect(await imagesOf('images', sample)).toMatchObject([{ step: 3, bytes: plain(files[sample]) }]);
  });

  it('shows a figure drawn from SVG', async () => {
    const [{ type, bytes }] = await imagesOf('figure');
    const { width, height, data } = PNG.sync.read(Buffer.from(bytes, 'base64'));
    expect([type, width, height, ...data.subarray(0, 4)]).toEqual(['image/png', 30, 10, 0, 255, 0, 255]);
  });

  it('shows a video as a GIF, byte for byte', async () => {
    const [{ type, bytes }] = await imagesOf('video');
    expect([type, bytes]).toEqual(['image/gif', plain(only(videoSummary(frames, { fps: 5 }))[2])]);
    expect(framesOf(new Uint8Array(Buffer.from(bytes, 'base64'))).frames.length).toBe(3);
  });

  it('plays audio byte for byte, one sample for each step', async () => {
    const { all } = await board.ask<Record<string, Record<string, { samples: number }>>>('audio/tags');
    expect(all.sound.samples).toBe(1);
    type Sounds = { step: number; contentType: string; query: string }[];
    const sounds = await board.ask<Sounds>('audio/audio', { run: 'all', tag: 'sound', sample: 0 });
    expect(sounds.map(({ step, contentType }) => [step, contentType])).toEqual([
      [0, 'audio/wav'],
      [1, 'audio/wav'],
    ]);
    const { bytes } = await board.bytes(`audio/individualAudio?${sounds[0].query}`);
    expect(plain(bytes)).toBe(plain(only(audioSummary(stereo, { sampleRate: 8000 }))[0]));
  });

  it('shows what is empty as empty, and the clips and images beside it', async () => {
    type Tags = Record<string, Record<string, { samples: number }>>;
    const images = (await board.ask<Tags>('images/tags')).empty;
    expect(images['no images']?.samples ?? 0).toBe(0);
    expect(images['no images yet'].samples).toBe(2);
    const shown = await board.ask<object[]>('images/images', { run: 'empty', tag: 'no images yet', sample: 1 });
    expect(shown.length).toBe(1);
    const audio = (await board.ask<Tags>('audio/tags')).empty;
    expect([audio['no clips']?.samples ?? 0, audio['no frames'].samples, audio.clips.samples]).toEqual([0, 1, 2]);
    for (const sample of [0, 1]) {
      const [{ query }] = await board.ask<{ query: string }[]>('audio/audio', { run: 'empty', tag: 'clips', sample });
      const wav = only(audioSummary({ data: stereo.data, shape: [2, 10, 2] }))[sample];
      expect(plain((await board.bytes(`audio/individualAudio?${query}`)).bytes)).toBe(plain(wav));
    }
    type Histograms = [number, number, number[][]][];
    const [[, , buckets]] = await board.ask<Histograms>('histograms/histograms', { run: 'empty', tag: 'no values' });
    expect(buckets.every((bucket) => bucket[2] === 0)).toBe(true);
    const curves = await board.ask<Record<string, object[]>>('pr_curves/pr_curves', { run: 'empty', tag: 'no labels' });
    expect(curves.empty.length).toBe(1);
    const meshes = (await board.ask<Tags>('mesh/tags')).empty;
    expect(Object.keys(meshes).sort()).toEqual(['no faces', 'no vertices']);
    const vertex = { run: 'empty', tag: 'no vertices', sample: 0, step: 0, content_type: 'VERTEX' };
    expect((await board.bytes('mesh/data', vertex)).bytes.length).toBe(0);
  });

  it('renders a table of markdown', async () => {
    const texts = await board.ask<{ step: number; text: string }[]>('text/text', { run: 'all', tag: 'table' });
    expect(texts.map(({ step }) => step)).toEqual([0, 1]);
    expect(texts[0].text.replace(/\s/g, '')).toBe(
      '<table><tbody><tr><td><p>a</p></td><td><p>b</p></td></tr><tr><td><p>c</p></td><td><p><code>d</code></p></td></tr></tbody></table>',
    );
  });

  it("draws PR curves with the numbers of TensorBoard's own counting, and more than 127 thresholds", async () => {
    type Curves = Record<
      string,
      Record<'true_positives' | 'false_positives' | 'precision' | 'recall' | 'thresholds', number[]>[]
    >;
    const { all } = await board.ask<Curves>('pr_curves/pr_curves', { run: 'all', tag: 'curve' });
    expect(all.length).toBe(2);
    const n = curve.thresholds;
    // The plugin leaves out thresholds at the end at which nothing is predicted positive.
    const shown = all[0].precision.length;
    expect(shown).toBeGreaterThan(900);
    const near = (values: number[], row: number) => {
      const expected = curve.rows.slice(row * n, row * n + shown);
      expect(Math.max(...values.map((value, i) => Math.abs(value - expected[i])))).toBeLessThan(1e-4);
    };
    near(all[0].precision, 4);
    near(all[0].recall, 5);
    const raw = await board.ask<Curves>('pr_curves/pr_curves', { run: 'all', tag: 'counted' });
    expect(raw.all[0].precision[0]).toBeCloseTo(0.4, 6);
    expect(raw.all[0].recall[0]).toBe(1);
  });

  it('gives meshes their floats, indices and colors, for each of a batch', async () => {
    const { all } = await board.ask<Record<string, Record<string, { samples: number }>>>('mesh/tags');
    expect(all['deep/mesh'].samples).toBe(2);
    const question = { run: 'all', tag: 'deep/mesh', sample: 1 };
    type Meshes = { content_type: number; components: number; config: string; step: number }[];
    const parts = await board.ask<Meshes>('mesh/meshes', question);
    expect(parts.map(({ content_type }) => content_type).sort()).toEqual([1, 2, 3]);
    expect(parts[0]).toMatchObject({ components: 14, step: 7 });
    expect(JSON.parse(parts[0].config)).toEqual({ camera: { cls: 'PerspectiveCamera', fov: 75 } });
    const dataOf = async (content_type: string) =>
      (await board.bytes('mesh/data', { ...question, step: 7, content_type })).bytes.slice().buffer;
    expect(Array.from(new Float32Array(await dataOf('VERTEX')))).toEqual(vertices[1].flat());
    expect(Array.from(new Int32Array(await dataOf('FACE')))).toEqual(faces[1].flat());
    expect(Array.from(new Uint8Array(await dataOf('COLOR')))).toEqual(colors[1].flat());
  });

  it('merges the custom scalars layout', async () => {
    const { category } = await board.ask<{ category: unknown[] }>('custom_scalars/layout');
    expect(category).toMatchObject([
      { title: 'First', chart: [{ title: 'lines', multiline: { tag: ['sca.*', 'other'] } }] },
      {
        title: 'Second',
        closed: true,
        chart: [{ title: 'band', margin: { series: [{ value: 'scalar', lower: 'low', upper: 'high' }] } }],
      },
    ]);
  });

  it('finds all embeddings of a run, with their vectors, labels and sprite', async () => {
    type Embeddings = {
      embeddings: { tensorName: string; tensorShape: number[]; metadataPath: string; sprite?: object }[];
    };
    expect(await board.ask('projector/runs')).toEqual(['all']);
    const { embeddings } = await board.ask<Embeddings>('projector/info', { run: 'all' });
    expect(embeddings.map(({ tensorName, tensorShape }) => [tensorName, tensorShape])).toEqual([
      ['words:00005', [2, 3]],
      ['../up:00006', [2, 3]],
    ]);
    const question = { run: 'all', name: 'words:00005' };
    const tensor = await board.bytes('projector/tensor', question);
    expect(Array.from(new Float32Array(tensor.bytes.slice().buffer))).toEqual(vectors.flat().map(Math.fround));
    const textOf = async (name: string) =>
      new TextDecoder().decode((await board.bytes('projector/metadata', { run: 'all', name })).bytes);
    expect(await textOf('words:00005')).toBe('word\tletter\none\tα\ntwo\tβ\n');
    expect(await textOf('../up:00006')).toBe('\u200b\nsecond\n');
    expect(embeddings[0].sprite).toMatchObject({ singleImageDim: [3, 3] });
    const sprite = await board.bytes('projector/sprite_image', question);
    const { width, height, data } = PNG.sync.read(Buffer.from(sprite.bytes));
    expect([sprite.type, width, height, ...data.subarray(12, 15)]).toEqual(['image/png', 6, 6, 108, 112, 116]);
  });

  async function edgesOf(run: string) {
    const text = new TextDecoder().decode((await board.bytes('graphs/graph', { run })).bytes);
    return text
      .split(/^node \{$/m)
      .slice(1)
      .flatMap((node) => {
        const name = /^ {2}name: "(.*)"$/m.exec(node)?.[1];
        return [...node.matchAll(/^ {2}input: "(.*)"$/gm)].map(([, input]) => `${input} -> ${name}`);
      })
      .sort();
  }

  it('draws every node and edge of Sequential, functional, shared, nested and recurrent models', async () => {
    const { all } = await board.ask<Record<string, { run_graph: boolean }>>('graphs/info');
    expect(all.run_graph).toBe(true);
    expect(await edgesOf('all')).toEqual(['first -> second', 'first_input -> first']);
    expect(await edgesOf('recurrent')).toEqual(['both -> head', 'both_input -> both']);
    const onnx = await edgesOf('onnx');
    expect(onnx).toEqual(expect.arrayContaining(['inputs/image -> conv1/Conv', 'fc1/Gemm -> Relu_3']));
    const nested = (await edgesOf('functional')).map((edge) => edge.replace(/sequential_\d+/g, 'nested'));
    expect(nested).toEqual([
      'a -> nested/first',
      'b -> nested/first',
      'joined -> shared',
      'joined -> shared',
      'nested/first -> nested/second',
      'nested/second -> joined',
      'nested/second -> joined',
      'shared -> sum',
      'shared -> sum',
    ]);
  });

  it('takes hyperparameters of a run with their types, its scalars as metrics, and how it ended', async () => {
    type Experiment = { hparamInfos: { name: string; type: string }[]; metricInfos: { name: { tag: string } }[] };
    const { hparamInfos, metricInfos } = await board.post<Experiment>('hparams/experiment', {});
    expect(Object.fromEntries(hparamInfos.map(({ name, type }) => [name, type]))).toEqual({
      rate: 'DATA_TYPE_FLOAT64',
      batchNorm: 'DATA_TYPE_BOOL',
      optimizer: 'DATA_TYPE_STRING',
    });
    expect(metricInfos.map(({ name }) => name.tag)).toEqual(['loss']);
    const columns = [
      { hparam: 'rate' },
      { hparam: 'batchNorm' },
      { hparam: 'optimizer' },
      { metric: { tag: 'loss', group: '' } },
    ];
    type Groups = {
      sessionGroups: {
        name: string;
        hparams: object;
        metricValues: { value: number; trainingStep: number }[];
        sessions: { status: string }[];
      }[];
    };
    const { sessionGroups } = await board.post<Groups>('hparams/session_groups', {
      startIndex: 0,
      sliceSize: 10,
      allowedStatuses: ['STATUS_UNKNOWN', 'STATUS_SUCCESS', 'STATUS_FAILURE', 'STATUS_RUNNING'],
      aggregationType: 'AGGREGATION_AVG',
      colParams: columns,
    });
    const found = sessionGroups.map(({ name, hparams, metricValues, sessions }) => ({
      name,
      hparams,
      metric: [metricValues[0].value, metricValues[0].trainingStep],
      status: sessions[0].status,
    }));
    expect(found.sort((one, other) => (one.name < other.name ? -1 : 1))).toEqual([
      {
        name: 'trial-1',
        hparams: { rate: 0.25, batchNorm: true, optimizer: 'adam' },
        metric: [0.125, 4],
        status: 'STATUS_SUCCESS',
      },
      {
        name: 'trial-2',
        hparams: { rate: 0.25, batchNorm: false, optimizer: 'adam' },
        metric: [0.125, 4],
        status: 'STATUS_FAILURE',
      },
    ]);
  });
});
