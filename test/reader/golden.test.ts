import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { MemoryOutput } from '../../src/output/output.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { type GoldenEvent, type GoldenValue, goldenBytes, goldenFiles, goldenFolder } from '../support/golden.js';
import { eventsOf } from '../support/read-run.js';

describe('every event file of the other writers decodes to what Python reads in it', () => {
  const base64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
  const text = (encoded: string) => Buffer.from(encoded, 'base64').toString('utf8');

  function pluginOf(value: GoldenValue): string {
    if (value.metadata?.plugin_data?.plugin_name) return value.metadata.plugin_data.plugin_name;
    if (value.simple_value !== undefined) return 'scalars';
    if (value.histo) return 'histograms';
    if (value.image) return 'images';
    return value.audio ? 'audio' : '';
  }

  /** What TensorBoard's own migration makes of a v1 histogram: empty ends dropped, min and max as outer edges. */
  function migrated({ bucket = [], bucket_limit = [], max = 0, min = 0 }: NonNullable<GoldenValue['histo']>): number[] {
    const filled = bucket.map((_, index) => index).filter((index) => bucket[index] > 0);
    const first = filled[0];
    const last = filled[filled.length - 1];
    return filled.length === 0
      ? []
      : bucket
          .slice(first, last + 1)
          .flatMap((count, row) => [
            row === 0 ? min : bucket_limit[first + row - 1],
            first + row === last ? max : bucket_limit[first + row],
            count,
          ]);
  }

  const arrays = {
    DT_FLOAT: [Float32Array, 'float32'],
    DT_DOUBLE: [Float64Array, 'float64'],
    DT_INT32: [Int32Array, 'int32'],
    DT_UINT8: [Uint8Array, 'uint8'],
  } as const;

  function expectTensor(value: unknown, tensor: NonNullable<GoldenValue['tensor']>): void {
    const shape = (tensor.tensor_shape?.dim ?? []).map(({ size }) => Number(size ?? 0));
    if (tensor.dtype === 'DT_STRING') {
      expect(value).toMatchObject({ dtype: 'string', shape, data: (tensor.string_val ?? []).map(base64) });
    } else if (tensor.dtype === 'DT_INT64') {
      expect(value).toEqual({ dtype: 'int64', shape, data: BigInt64Array.from((tensor.int64_val ?? []).map(BigInt)) });
    } else {
      const [view, dtype] = arrays[tensor.dtype as keyof typeof arrays];
      const data = tensor.tensor_content
        ? new view(base64(tensor.tensor_content).buffer)
        : view.from(tensor.float_val ?? tensor.double_val ?? []);
      expect(value).toMatchObject({ dtype, shape, data });
    }
  }

  function expectValue(value: unknown, plugin: string, golden: GoldenValue): void {
    const { audio, histo, image, simple_value, tensor } = golden;
    if (simple_value !== undefined) {
      expect(value).toBe(Math.fround(Number(simple_value)));
    } else if (histo) {
      const { max = 0, min = 0, num = 0, sum = 0, sum_squares: sumSquares = 0 } = histo;
      expect(value).toEqual({ buckets: Float64Array.from(migrated(histo)), max, min, num, sum, sumSquares });
    } else if (image) {
      const { encoded_image_string, height, width } = image;
      expect(value).toEqual({ width, height, encoded: [base64(encoded_image_string)] });
    } else if (audio) {
      expect(value).toEqual({
        encoded: [base64(audio.encoded_audio_string)],
        contentType: audio.content_type,
        sampleRate: audio.sample_rate,
        channels: Number(audio.num_channels),
        frames: Number(audio.length_frames),
      });
    } else if (!tensor) {
      expect(value).toMatchObject({ dtype: 'float32', shape: [0], data: new Float32Array(0) });
    } else if (plugin === 'scalars') {
      const [stored] = tensor.float_val ?? tensor.double_val ?? new Float32Array(base64(tensor.tensor_content!).buffer);
      expect(value).toBe(tensor.double_val ? stored : Math.fround(stored));
    } else if (plugin === 'histograms') {
      expect(value).toEqual({ buckets: new Float64Array(base64(tensor.tensor_content ?? '').buffer) });
    } else if (plugin === 'images') {
      const [width, height, ...encoded] = tensor.string_val!;
      expect(value).toEqual({ width: Number(text(width)), height: Number(text(height)), encoded: encoded.map(base64) });
    } else if (plugin === 'audio') {
      const stored = tensor.string_val!;
      const labelled = tensor.tensor_shape!.dim!.length === 2;
      expect(value).toEqual({
        encoded: (labelled ? [stored[0]] : stored).map(base64),
        ...(labelled ? { labels: [text(stored[1])] } : {}),
        contentType: 'audio/wav',
      });
    } else if (plugin === 'text') {
      const shape = (tensor.tensor_shape?.dim ?? []).map(({ size }) => Number(size));
      expect(value).toEqual({ shape, strings: tensor.string_val!.map(text) });
    } else {
      expectTensor(value, tensor);
    }
  }

  function expectEvent(event: TensorBoardEvent, golden: GoldenEvent, plugins: Map<string, string>): void {
    expect(event.wallTime).toBe(golden.wall_time);
    expect(BigInt(event.step)).toBe(BigInt(golden.step ?? 0));
    expect(typeof event.step).toBe(Number.isSafeInteger(Number(golden.step ?? 0)) ? 'number' : 'bigint');
    expect(event.fileVersion).toBe(golden.file_version);
    expect(event.sourceWriter).toBe(golden.source_metadata?.writer);
    expect(event.graph).toEqual(golden.graph_def && base64(golden.graph_def));
    expect(event.sessionLog?.status.toUpperCase()).toBe(golden.session_log?.status);
    const { run_metadata = '', tag: runTag = '' } = golden.tagged_run_metadata ?? {};
    expect(event.runMetadata).toEqual(golden.tagged_run_metadata && { tag: runTag, bytes: base64(run_metadata) });
    const values = golden.summary?.value ?? [];
    expect(event.summary?.length ?? 0).toBe(values.length);
    for (const [index, value] of values.entries()) {
      const summary = event.summary![index];
      const tag = value.tag ?? '';
      if (!plugins.has(tag)) plugins.set(tag, pluginOf(value));
      expect(summary.tag).toBe(tag);
      expect(summary.plugin, tag).toBe(plugins.get(tag));
      expect(summary.displayName).toBe(value.metadata?.display_name);
      expect(summary.description).toBe(value.metadata?.summary_description);
      expectValue(summary.value, summary.plugin, value);
    }
  }

  it('there are 43', () => expect(goldenFiles.length).toBe(43));

  it.each(goldenFiles.map((file) => [file.path, file] as const))('%s', async (path, file) => {
    const events = await eventsOf(join(goldenFolder, path));
    expect(events.length).toBe(file.records.length);
    const plugins = new Map<string, string>();
    for (const [index, record] of file.records.entries()) expectEvent(events[index], record.event, plugins);
  });
});

describe('what readEvents yields, addEvent writes back losslessly', () => {
  it.each(goldenFiles.map((golden) => [golden.path]))('%s', async (name) => {
    const stored = goldenBytes(name);
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const events = await eventsOf(stored);
    for (const event of events) writer.addEvent(event);
    await writer.close();
    expect(await eventsOf(output.bytes)).toEqual(events);
  });
});
