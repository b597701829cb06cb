import { describe, expect, it } from 'vitest';
import { commands } from 'vitest/browser';
import {
  type AudioValue,
  type HistogramValue,
  type ImagesValue,
  MemoryOutput,
  type MeshValue,
  readEvents,
  SummaryWriter,
  type TextValue,
} from '../../src/index.js';
import { allowWarnings } from './console.js';

type Found = Awaited<ReturnType<typeof summariesIn>>;

async function summariesIn(source: Parameters<typeof readEvents>[0]) {
  const found = [];
  for await (const { step, summary } of readEvents(source)) {
    for (const { tag, plugin, value } of summary ?? []) found.push({ tag, plugin, step, value });
  }
  return found;
}

const valueIn = <T>(found: Found, tag: string) => found.find((each) => each.tag === tag)?.value as T;

/** Four quadrants of pure color, drawn by the page. */
function canvasPixels(): ImageData {
  const canvas = new OffscreenCanvas(16, 12);
  const context = canvas.getContext('2d')!;
  for (const [at, color] of ['#ff0000', '#00ff00', '#0000ff', '#ffffff'].entries()) {
    context.fillStyle = color;
    context.fillRect((at % 2) * 8, Math.floor(at / 2) * 6, 8, 6);
  }
  return context.getImageData(0, 0, 16, 12);
}

/** Decodes an image with the browser's own decoder. */
async function pixelsOf(encoded: Uint8Array, type = 'image/png'): Promise<ImageData> {
  const bitmap = await createImageBitmap(new Blob([new Uint8Array(encoded)], { type }));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!;
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

const at = ({ data, width }: ImageData, x: number, y: number) => [
  ...data.slice(4 * (y * width + x), 4 * (y * width + x) + 4),
];

describe('SummaryWriter in a page', () => {
  it('refuses a folder, and says what a page can write to', () => {
    expect(() => new SummaryWriter('runs/a')).toThrow(TypeError);
    expect(() => new SummaryWriter('runs/a')).toThrow(/no file system here.*'runs\/a'.*MemoryOutput/);
    expect(() => new SummaryWriter()).toThrow(/no file system here/);
  });

  it('refuses to read a path, and says what can be read', async () => {
    await expect(summariesIn('runs/a')).rejects.toThrow(
      /a page has no files: pass await openBrowserFolder\('runs\/a'\), a Blob/,
    );
  });

  it('refuses a figure that would be too large, before a canvas is made for it', async () => {
    allowWarnings(/the SVG could not be drawn/);
    for (const size of [
      'width="1e9" height="1"',
      'width="16384" height="16384"',
      'viewBox="0 0 1 1e5" width="1" height="100000"',
    ]) {
      const writer = new SummaryWriter(new MemoryOutput());
      writer.addFigure('f', `<svg xmlns="http://www.w3.org/2000/svg" ${size}><rect width="1" height="1"/></svg>`, 1);
      await expect(writer.close()).rejects.toThrow('the SVG could not be drawn');
    }
  });

  it('reads back every kind of summary as it was written', async () => {
    allowWarnings(/at step 1099511627776 .* no table/);
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const drawn = canvasPixels();
    const counts = { truePositives: [1, 0], falsePositives: [1, 0], trueNegatives: [0, 1], falseNegatives: [0, 1] };
    const tone = Float32Array.from({ length: 4410 }, (_, i) => Math.sin(i / 10) / 2);
    const frames = new Uint8Array(3 * 4 * 4 * 3).map((_, i) => (i % 3 === Math.floor(i / 48) ? 255 : 0));
    writer.addScalar('scalar', 0.25, 1);
    writer.addScalar('scalar', 0.5, 2n ** 40n);
    writer.addHistogram('histogram', [0, 1, 2, 3], 1, { buckets: 2 });
    writer.addImage('image', drawn, 1);
    writer.addImages('images', { data: new Uint8Array(8), shape: [2, 2, 2] }, 1);
    writer.addImageWithBoxes('boxes', drawn, [[2, 2, 9, 9]], 1, { labels: ['a'] });
    writer.addFigure(
      'figure',
      '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect x="10" y="5" width="20" height="10" fill="#ff8000"/></svg>',
      1,
    );
    writer.addText('text', 'after the **figure**', 1);
    writer.addVideo('video', { data: frames, shape: [3, 4, 4, 3] }, 1);
    writer.addAudio('audio', tone, 1, { sampleRate: 44100 });
    writer.addPrCurve('curve', [1, 0, 1], [0.9, 0.4, 0.6], 1);
    writer.addPrCurveRaw('raw', counts, 1);
    writer.addMesh('mesh', [[0, 1, 2]], 1);
    writer.addEmbedding(
      'embedding',
      [
        [0, 1],
        [2, 3],
      ],
      1,
      { metadata: ['a', 'b'] },
    );
    writer.addHparams({ lr: 1, deep: true });
    writer.addCustomScalars({ categories: [] });
    writer.run('eval').addScalar('scalar', 7, 3);
    await writer.close();

    const found = await summariesIn(new Blob([output.bytes.slice()]));
    expect(found.map(({ tag, plugin }) => `${plugin} ${tag}`)).toEqual([
      'scalars scalar',
      'scalars scalar',
      'histograms histogram',
      'images image',
      'images images',
      'images boxes',
      'images figure',
      'text text',
      'images video',
      'audio audio',
      'pr_curves curve',
      'pr_curves raw',
      'mesh mesh_VERTEX',
      'hparams _hparams_/session_start_info',
      'hparams _hparams_/session_end_info',
      'custom_scalars custom_scalars__config__',
    ]);
    expect(found.slice(0, 2)).toMatchObject([
      { step: 1, value: 0.25 },
      { step: 2 ** 40, value: 0.5 },
    ]);
    expect([...valueIn<HistogramValue>(found, 'histogram').buckets]).toEqual([0, 1.5, 2, 1.5, 3, 2]);
    expect(valueIn<TextValue>(found, 'text').strings).toEqual(['after the **figure**']);
    expect([...(valueIn<MeshValue>(found, 'mesh_VERTEX').data as Float32Array)]).toEqual([0, 1, 2]);
    expect(await summariesIn(output.runs.get('eval')!.bytes)).toMatchObject([{ tag: 'scalar', step: 3, value: 7 }]);
    expect([...output.files.keys()].sort().at(-1)).toBe('projector_config.pbtxt');
    expect(await summariesIn(new Response(output.bytes.slice()))).toEqual(found);
    expect(await summariesIn(new Blob([output.bytes.slice()]).stream())).toEqual(found);

    // Pixels and sound, as the browser's own decoders have them.
    const image = await pixelsOf(valueIn<ImagesValue>(found, 'image').encoded[0]);
    expect([image.width, image.height]).toEqual([16, 12]);
    expect(image.data).toEqual(drawn.data);
    const boxes = await pixelsOf(valueIn<ImagesValue>(found, 'boxes').encoded[0]);
    expect(at(boxes, 15, 11)).toEqual([255, 255, 255, 255]);
    expect(boxes.data).not.toEqual(drawn.data);
    const figure = await pixelsOf(valueIn<ImagesValue>(found, 'figure').encoded[0]);
    expect([figure.width, figure.height]).toEqual([40, 20]);
    expect([at(figure, 20, 10), at(figure, 1, 1)]).toEqual([
      [255, 128, 0, 255],
      [255, 255, 255, 255],
    ]);
    const film = await decodedFrames(valueIn<ImagesValue>(found, 'video'));
    expect(film.map((frame) => at(frame, 2, 2))).toEqual([
      [255, 0, 0, 255],
      [0, 255, 0, 255],
      [0, 0, 255, 255],
    ]);
    const wave = valueIn<AudioValue>(found, 'audio').encoded[0];
    const heard = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(new Uint8Array(wave).buffer);
    expect(heard.length).toBe(4410);
    const samples = heard.getChannelData(0);
    expect(Math.max(...samples.map((sample, i) => Math.abs(sample - tone[i])))).toBeLessThan(2 / 32768);
  });

  it('has a thread encode images, which keep their order and their pixels', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const pixelsAt = (step: number) => {
      const data = new Uint8ClampedArray(90 * 80 * 4).map((_, i) => (i % 4 === 3 ? 255 : (step * i) % 251));
      return { data, width: 90, height: 80 };
    };
    const counted = Worker;
    let started = 0;
    globalThis.Worker = class extends counted {
      constructor(...given: ConstructorParameters<typeof Worker>) {
        super(...given);
        started++;
      }
    };
    try {
      for (let step = 0; step < 40; step++) {
        const image = pixelsAt(step);
        writer.addImage('image', image, step);
        image.data.fill(0);
        writer.addScalar('loss', step, step);
      }
      await writer.close();
    } finally {
      globalThis.Worker = counted;
    }
    expect(started).toBeGreaterThan(0);
    const found = await summariesIn(output.bytes);
    expect(found.map(({ tag, step }) => `${tag} ${step}`)).toEqual(
      Array.from({ length: 40 }, (_, step) => [`image ${step}`, `loss ${step}`]).flat(),
    );
    for (const { step, value } of found.filter(({ tag }) => tag === 'image')) {
      const { data } = await pixelsOf((value as ImagesValue).encoded[0]);
      const expected = pixelsAt(Number(step)).data;
      expect(data.length === expected.length && data.every((byte, i) => byte === expected[i])).toBe(true);
    }
  });

  it('reports a figure that cannot be drawn in flush, and keeps what surrounds it', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    writer.addScalar('before', 1, 0);
    writer.addFigure('broken', '<svg this is no document', 0);
    writer.addScalar('after', 1, 0);
    allowWarnings(/could not be drawn/);
    await expect(writer.flush()).rejects.toThrow(/could not be drawn/);
    await expect(writer.close()).rejects.toThrow();
    expect((await summariesIn(output.bytes)).map(({ tag }) => tag)).toEqual(['before', 'after']);
  });

  it('writes bytes that Node reads as the page does', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    for (let i = 0; i < 200; i++) writer.addScalar(`tag ${i % 7}`, Math.fround(i / 3), i);
    writer.addHistogram('noise', [1, 2, 4, 8], 3);
    await writer.close();
    const here = await summariesIn(output.bytes);
    const scalars = here.filter(({ plugin }) => plugin === 'scalars').map(({ tag, step, value }) => [tag, step, value]);
    expect(scalars).toEqual(Array.from({ length: 200 }, (_, i) => [`tag ${i % 7}`, i, Math.fround(i / 3)]));
    expect(await commands.scalarsInNode([...output.bytes])).toEqual(scalars);
  });
});

async function decodedFrames({ encoded }: ImagesValue): Promise<ImageData[]> {
  const decoder = new ImageDecoder({ data: new Uint8Array(encoded[0]), type: 'image/gif' });
  await decoder.tracks.ready;
  const frames = [];
  for (let frameIndex = 0; frameIndex < decoder.tracks.selectedTrack!.frameCount; frameIndex++) {
    const { image } = await decoder.decode({ frameIndex });
    const context = new OffscreenCanvas(image.displayWidth, image.displayHeight).getContext('2d')!;
    context.drawImage(image, 0, 0);
    frames.push(context.getImageData(0, 0, image.displayWidth, image.displayHeight));
    image.close();
  }
  return frames;
}
