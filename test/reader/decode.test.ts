import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { concat, fnv1a } from '../../src/encoding/bytes.js';
import { decodeMessage, encodeMessage } from '../../src/encoding/message-codec.js';
import { MalformedMessageError } from '../../src/encoding/protobuf.js';
import { payloadsOf } from '../../src/encoding/record.js';
import type { HistogramValue } from '../../src/event/event.js';
import { MemoryOutput } from '../../src/output/output.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { EventDecoder } from '../../src/reader/event-decoder.js';
import { RecordForms } from '../../src/reader/record-forms.js';
import { decodeSummaryValue } from '../../src/summaries/plugins.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { goldenFolder } from '../support/golden.js';
import { eventsOf } from '../support/read-run.js';

/** What torch wrote: test/fixtures/tensors/torch/generate.py. */
const torchTensors = 'test/fixtures/tensors/torch';

const decode = (message: tensorboard.IEvent, decoder = new EventDecoder()) => {
  const bytes = encodeMessage(tensorboard.Event, message);
  return decoder.decode(bytes, 0, bytes.length);
};

describe('values that plugins store in their own way', () => {
  it('include hyperparameters and the end of a session, as tensorboardX writes them', async () => {
    const path = join(goldenFolder, 'tbx/hparams/trial0/events.out.tfevents.1700000000.vm');
    const values = (await eventsOf(path))
      .flatMap((event) => event.summary ?? [])
      .filter((one) => one.plugin === 'hparams');
    expect(values.map(({ tag }) => tag)).toEqual([
      '_hparams_/experiment',
      '_hparams_/session_start_info',
      '_hparams_/session_end_info',
    ]);
    expect(values[0].value).toMatchObject({
      experiment: {
        hparams: expect.arrayContaining([
          { name: 'lr', type: 'number' },
          { name: 'bn', type: 'boolean' },
        ]),
      },
    });
    expect(values[1].value).toMatchObject({ sessionStart: { hparams: { opt: 'sgd', bn: true, lr: 0.1 } } });
    expect(values[2].value).toMatchObject({ sessionEnd: { status: 'success' } });
  });

  it('include a mesh that says which of its tensors is which, on later events, too', () => {
    const decoder = new EventDecoder();
    const content = encodeMessage(tensorboard.MeshPluginData, { name: 'm', contentType: 2, jsonConfig: '{}' });
    const tensor = { dtype: 3, tensorShape: { dim: [{ size: 1 }] }, intVal: [7] };
    const metadata = { pluginData: { pluginName: 'mesh', content } };
    for (const value of [
      { tag: 'm_FACE', tensor, metadata },
      { tag: 'm_FACE', tensor },
    ]) {
      expect(decode({ summary: { value: [value] } }, decoder)?.summary?.[0].value).toEqual({
        dtype: 'int32',
        shape: [1],
        data: Int32Array.of(7),
        mesh: 'm',
        content: 'face',
        config: '{}',
      });
    }
  });

  it('include the layout of custom scalars', async () => {
    const events = await eventsOf(join(goldenFolder, 'tbx/custom_scalars/events.out.tfevents.1700000000.vm'));
    const [layout] = events.flatMap((event) => event.summary ?? []).filter((one) => one.plugin === 'custom_scalars');
    expect(layout.value).toMatchObject({
      layout: {
        categories: [
          {
            title: 'Loss',
            charts: [
              { title: 'both', multiline: ['custom/a', 'custom/b'] },
              { title: 'band', margin: [{ value: 'custom/v', lower: 'custom/lo', upper: 'custom/hi' }] },
            ],
          },
        ],
      },
    });
  });

  it('stay readable with metadata that no plugin understands', () => {
    const metadata = { pluginData: { pluginName: 'hparams', content: Uint8Array.of(0xff, 0xff) } };
    const event = decode({ summary: { value: [{ tag: 'h', metadata }] } });
    expect(event?.summary?.[0].value).toEqual({ dtype: 'float32', shape: [0], data: new Float32Array(0) });
  });
});

describe('tags', () => {
  it('belong to the first plugin named, and a later name does not change that', () => {
    const decoder = new EventDecoder();
    const tensor = { dtype: 1, tensorShape: {}, floatVal: [1.5] };
    const named = (pluginName: string) => ({ tag: 't', tensor, metadata: { pluginData: { pluginName } } });
    const plugins = [{ tag: 't', tensor }, named('scalars'), { tag: 't', tensor }, named('other')].map(
      (value) => decode({ summary: { value: [value] } }, decoder)?.summary?.[0].plugin,
    );
    expect(plugins).toEqual(['', 'scalars', 'scalars', 'scalars']);
  });

  it('of v1 values are those of the value’s own plugin, whatever the metadata name, unless they give a data class', () => {
    const values: [string, tensorboard.Summary.IValue][] = [
      ['scalars', { simpleValue: 1 }],
      ['histograms', { histo: { min: 0, max: 1, num: 1, bucketLimit: [1], bucket: [1] } }],
      ['images', { image: { width: 1, height: 1, encodedImageString: Uint8Array.of(1) } }],
      ['audio', { audio: { sampleRate: 8, encodedAudioString: Uint8Array.of(1) } }],
    ];
    for (const [own, value] of values) {
      for (const pluginName of ['custom', 'text', 'scalars', 'images']) {
        const content = Uint8Array.of(8, 1);
        for (const dataClass of [0, 1, 2, 3]) {
          const decoder = new EventDecoder();
          const metadata = { pluginData: { pluginName, content }, dataClass };
          const read = (each: tensorboard.Summary.IValue) =>
            decode({ summary: { value: [{ tag: 't', ...each }] } }, decoder)?.summary?.[0].plugin;
          const expected = dataClass === 0 ? own : pluginName;
          expect(read({ ...value, metadata })).toBe(expected);
          expect(read(value), 'a later one').toBe(expected);
          expect(read({ tensor: { dtype: 1, floatVal: [1] } }), 'a later tensor').toBe(expected);
        }
      }
    }
  });

  it('that begin with v1 values and no metadata keep these, whatever tensors name later, and unnamed tensors are of their plugin', () => {
    for (const usesForms of [false, true]) {
      const decoder = new EventDecoder();
      if (usesForms) decoder.useForms(RecordForms);
      const tensor = { dtype: 1, tensorShape: {}, floatVal: [0.5] };
      const read = (value: tensorboard.Summary.IValue) => {
        const event = decode({ wallTime: 1, step: 1, summary: { value: [{ tag: 't', ...value }] } }, decoder);
        const { plugin, value: found } = event!.summary![0];
        return [plugin, typeof found === 'number' ? found : 'a tensor'];
      };
      const metadata = { pluginData: { pluginName: 'pr_curves' }, dataClass: 2 };
      const values = [{ simpleValue: 1 }, { simpleValue: 2 }, { tensor }, { tensor }, { tensor, metadata }];
      expect([...values, { simpleValue: 3 }, { simpleValue: 4 }, { tensor }].map(read)).toEqual([
        ['scalars', 1],
        ['scalars', 2],
        ['scalars', 0.5],
        ['scalars', 0.5],
        ['pr_curves', 'a tensor'],
        ['scalars', 3],
        ['scalars', 4],
        ['pr_curves', 'a tensor'],
      ]);
    }
  });

  it('have the display name and description of the record that holds them', () => {
    const decoder = new EventDecoder();
    const described = { tag: 't', simpleValue: 1, metadata: { displayName: 'T', summaryDescription: 'about' } };
    const read = (value: tensorboard.Summary.IValue) => decode({ summary: { value: [value] } }, decoder)?.summary?.[0];
    expect(read(described)).toMatchObject({ displayName: 'T', description: 'about', plugin: 'scalars' });
    expect(read({ tag: 't', simpleValue: 2 })).not.toHaveProperty('displayName');
    expect(read(described)).toMatchObject({ displayName: 'T', description: 'about' });
  });

  it('that are not wanted are asked about once and not decoded', () => {
    const asked: string[] = [];
    const decoder = new EventDecoder((tag) => {
      asked.push(tag);
      return tag === 'keep';
    });
    const broken = { tag: 'drop', tensor: { dtype: 1, tensorShape: { dim: [{ size: -1 }] } } };
    const keep = { tag: 'keep', simpleValue: 3 };
    expect(decode({ summary: { value: [broken] } }, decoder)).toBeUndefined();
    expect(decode({ summary: { value: [broken, keep] } }, decoder)?.summary?.map(({ tag }) => tag)).toEqual(['keep']);
    expect(decode({ fileVersion: 'brain.Event:2' }, decoder)).toMatchObject({ fileVersion: 'brain.Event:2' });
    expect(asked).toEqual(['drop', 'keep']);
  });

  it('keep their plugins, a hundred thousand of them', () => {
    const decoder = new EventDecoder();
    const tensor = { dtype: 1, tensorShape: {}, floatVal: [1] };
    const metadata = { pluginData: { pluginName: 'scalars' } };
    decode({ summary: { value: [{ tag: 'first', tensor, metadata }] } }, decoder);
    const plain = Array.from({ length: 100_000 }, (_, index) => ({ tag: `t${index}`, simpleValue: index }));
    const summary = decode({ summary: { value: plain } }, decoder)?.summary;
    expect(summary?.every(({ tag, value }) => tag === `t${value}`)).toBe(true);
    expect(decode({ summary: { value: [{ tag: 'first', tensor }] } }, decoder)?.summary?.[0].value).toBe(1);
  });
});

/**
 * 2^blocks texts that have one FNV-1a hash: any choice out of two pieces of equal hash, piece after piece.
 * Source: Joux, Multicollisions in Iterated Hash Functions, CRYPTO 2004
 */
function collidingTexts(blocks: number, seed: number): string[] {
  let texts = [''];
  let state = seed;
  for (let block = 0; block < blocks; block++) {
    const found = new Map<number, string>();
    for (let number = 1; ; number++) {
      const piece = (Math.imul(number, 0x9e3779b1) >>> 0).toString(36).padStart(7, '0');
      const hash = fnv1a(new TextEncoder().encode(piece), 0, piece.length, state);
      const other = found.get(hash);
      if (other !== undefined) {
        texts = texts.flatMap((text) => [text + other, text + piece]);
        state = hash;
        break;
      }
      found.set(hash, piece);
    }
  }
  return texts;
}

it('tags that were made to have one hash are found as fast as others', async () => {
  // Whoever makes such a file does not know where hashes begin; if it did, they would still do no harm.
  vi.resetModules();
  const random = vi.spyOn(Math, 'random').mockReturnValue(0.5);
  const { ReadTags } = await import('../../src/reader/read-tags.js');
  random.mockRestore();
  const texts = collidingTexts(16, 2 ** 31);
  const utf8 = texts.map((text) => new TextEncoder().encode(text));
  expect(new Set(utf8.map((bytes) => fnv1a(bytes, 0, bytes.length, 2 ** 31))).size).toBe(1);
  expect(new Set(texts).size).toBe(2 ** 16);
  const tags = new ReadTags(() => true);
  const found = utf8.map((bytes) => tags.find(bytes, 0, bytes.length));
  expect(found.map(({ tag }) => tag)).toEqual(texts);
  expect(utf8.every((bytes, at) => tags.find(bytes, 0, bytes.length) === found[at])).toBe(true);
  expect(new Set(found).size).toBe(2 ** 16);
});

it('an event of too many summaries ends with one that says how many are left out', () => {
  const values = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ tag: `t${index % 9}`, simpleValue: index }));
  const whole = decode({ step: 7, summary: { value: values(2 ** 17) } });
  expect(whole?.summary?.length).toBe(2 ** 17);
  expect(whole?.summary?.at(-1)).toMatchObject({ tag: 't4', value: 2 ** 17 - 1 });
  const event = encodeMessage(tensorboard.Event, { step: 7, summary: { value: values(2 ** 17 - 1) } });
  const more = encodeMessage(tensorboard.Event, { summary: { value: values(3) } });
  // Protobuf joins the two.
  const bytes = concat([event, more, more]);
  const decoder = new EventDecoder();
  const cut = decoder.decode(bytes, 0, bytes.length);
  expect(cut?.summary?.length).toBe(2 ** 17 + 1);
  expect(cut?.summary?.slice(-2)).toMatchObject([
    { tag: 't0', value: 0 },
    { tag: '', plugin: '', value: { undecoded: '5 summaries are left out of an event of more than 131072' } },
  ]);
  expect(decoder.decode(event, 0, event.length)?.summary?.length).toBe(2 ** 17 - 1);
});

describe('a summary whose value cannot be decoded', () => {
  const float = { dtype: 1, tensorShape: {}, floatVal: [1.5] };
  const shape = (...sizes: number[]) => ({ dim: sizes.map((size) => ({ size })) });
  const metadata = (pluginName: string, content?: Uint8Array) => ({ pluginData: { pluginName, content } });

  // Inputs of our own; what a reader says of each is what is wrong with it.
  it.each<[string, tensorboard.Summary.IValue, string]>([
    [
      'a tensor of fewer elements than its shape',
      { tensor: { ...float, tensorShape: shape(2, 2), floatVal: [1, 2] } },
      'a float32 tensor of shape [2, 2] with 2 values',
    ],
    ['a negative dimension', { tensor: { ...float, tensorShape: shape(-1) } }, 'a tensor with a dimension of -1'],
    [
      'a scalar of two shapes',
      { tensor: { ...float, tensorShape: shape(3), floatVal: [] }, metadata: metadata('scalars') },
      'a float32 tensor of shape [3] with 0 values',
    ],
    [
      'content of another size',
      {
        tensor: { dtype: 2, tensorShape: shape(2, 3), tensorContent: new Uint8Array(7) },
        metadata: metadata('histograms'),
      },
      'a float64 tensor of shape [2, 3] with 7 bytes of content',
    ],
    [
      'a TF1 histogram of unequal lists',
      { histo: { bucketLimit: [1, 2], bucket: [1] } },
      'a histogram of 2 bucket limits and 1 counts',
    ],
    ['a type without a decoding', { tensor: { dtype: 24, tensorContent: Uint8Array.of(1) } }, 'type float8_e5m2'],
    [
      '255 dimensions',
      { tensor: { ...float, tensorShape: shape(...new Array(255).fill(1)) } },
      'more than 254 dimensions',
    ],
    [
      'text where there should be a sound',
      { tensor: { dtype: 7, tensorShape: shape(2), stringVal: [] }, metadata: metadata('audio', Uint8Array.of(0xff)) },
      'a string tensor of shape [2] with 0 values',
    ],
  ])('says why, and costs no other: %s', (_, wrong, reason) => {
    const good = { tag: 'good', simpleValue: 0.5 };
    const message = { step: 3, summary: { value: [good, { tag: 'wrong', ...wrong }, good] } };
    const event = decode(message);
    expect(event?.summary?.map(({ tag }) => tag)).toEqual(['good', 'wrong', 'good']);
    expect(event?.summary?.[1].value).toEqual({ undecoded: expect.stringContaining(reason) });
    expect(event?.summary?.[2].value).toBe(0.5);
    const stored = encodeMessage(tensorboard.Summary.Value, { tag: 'wrong', ...wrong });
    expect(event?.summary?.[1].raw).toEqual(new Uint8Array(stored));
  });

  it('leaves the rest of the file to be read: what torch 2.13 wrote of every type', async () => {
    const events = await eventsOf(join(torchTensors, 'add_tensor.tfevents'));
    // The counts and values are those of TensorBoard, which shows the scalars in both loaders.
    expect(events.length).toBe(28);
    const values = new Map(events.flatMap(({ summary = [] }) => summary.map(({ tag, value }) => [tag, value])));
    expect(values.get('u8')).toEqual({ dtype: 'uint8', shape: [2], data: Uint8Array.of(0, 255) });
    for (const tag of ['dbl', 'new', 'v1']) expect(values.get(tag)).toBe(Math.fround(1 / 3));
    for (const value of values.values()) expect(value).not.toHaveProperty('undecoded');
  });

  it('is none where torch writes half precision as float32 and complex numbers as pairs', async () => {
    const events = await eventsOf(join(torchTensors, 'half.tfevents'));
    const values = new Map(events.flatMap(({ summary = [] }) => summary.map(({ tag, value }) => [tag, value])));
    expect(values.get('half')).toEqual({ dtype: 'float16', shape: [1, 2], data: Float32Array.of(0.5, -1.25) });
    // 1e30 in bfloat16 is 0x1.94p+99.
    const bf16 = Float32Array.of(1.5, -3.140625, 0x194 * 2 ** 91);
    expect(values.get('bf16')).toEqual({ dtype: 'bfloat16', shape: [3], data: bf16 });
    const c64 = Float32Array.of(1, 2, -0, -3.5, 0.25, 0);
    expect(values.get('c64')).toEqual({ dtype: 'complex64', shape: [3], data: c64 });
    expect(values.get('c128')).toEqual({ dtype: 'complex128', shape: [1, 1], data: Float64Array.of(1 / 3, 2) });
    expect(values.get('after')).toBe(1);
  });

  it.each(['add_tensor.tfevents', 'half.tfevents'])(
    'is written back byte for byte by addEvent, with all others: %s',
    async (name) => {
      const events = await eventsOf(join(torchTensors, name));
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      for (const event of events) writer.addEvent(event);
      await writer.close();
      const stored = new Uint8Array(readFileSync(join(torchTensors, name)));
      const payloads = (bytes: Uint8Array) =>
        Array.from(payloadsOf(bytes), (payload) => decodeMessage(tensorboard.Event, payload));
      expect(payloads(output.bytes)).toEqual(payloads(stored));
    },
  );
});

describe('events', () => {
  it('have exact bigints for steps beyond 2^53', () => {
    const bytes = (step: bigint) => {
      // Field 2, a varint of the 64 bits of the step.
      const out = [0x10];
      for (let rest = BigInt.asUintN(64, step); ; rest >>= 7n) {
        if (rest < 128n) return Uint8Array.from([...out, Number(rest)]);
        out.push(Number(rest & 127n) | 128);
      }
    };
    const read = (step: bigint) => {
      const stored = bytes(step);
      return new EventDecoder().decode(stored, 0, stored.length)?.step;
    };
    for (const step of [0n, 1n, -1n, -5n, 2n ** 31n, 2n ** 32n, 2n ** 53n - 1n, -(2n ** 53n) + 1n]) {
      expect(read(step)).toBe(Number(step));
    }
    for (const step of [2n ** 53n, -(2n ** 53n), 2n ** 62n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      expect(read(step)).toBe(step);
    }
  });

  it('can be session logs, log messages and meta graphs', () => {
    expect(decode({ sessionLog: { status: 3, checkpointPath: 'c', msg: 'm' } })).toEqual({
      wallTime: 0,
      step: 0,
      sessionLog: { status: 'checkpoint', checkpointPath: 'c', message: 'm' },
    });
    expect(decode({ logMessage: { level: 30, message: 'careful' } })?.logMessage).toEqual({
      level: 30,
      message: 'careful',
    });
    expect(decode({ metaGraphDef: Uint8Array.of(1, 2) })?.metaGraph).toEqual(Uint8Array.of(1, 2));
  });

  it('are of the last kind if a record holds two, as in every protobuf parser', () => {
    const first = encodeMessage(tensorboard.Event, { wallTime: 2, graphDef: Uint8Array.of(1) });
    const second = encodeMessage(tensorboard.Event, { fileVersion: 'v', sourceMetadata: { writer: 'w' } });
    const bytes = new Uint8Array([...first, ...second]);
    expect(new EventDecoder().decode(bytes, 0, bytes.length)).toEqual({
      wallTime: 2,
      step: 0,
      fileVersion: 'v',
      sourceWriter: 'w',
    });
  });

  it('are decoded without unknown fields, groups among them', () => {
    const event = encodeMessage(tensorboard.Event, { wallTime: 2, fileVersion: 'v' });
    const group = [0x9b, 0x06, 0x08, 0x01, 0x9c, 0x06]; // field 99: a group that holds field 1
    const text = [0xa2, 0x06, 0x01, 0x41]; // field 100: one byte
    const bytes = new Uint8Array([...group, ...text, ...event]);
    expect(new EventDecoder().decode(bytes, 0, bytes.length)).toMatchObject({ wallTime: 2, fileVersion: 'v' });
  });

  it.each([
    ['cut off in a number', [0x10, 0x80]],
    ['cut off in a double', [0x09, 0, 0, 0]],
    ['a text longer than the record', [0x1a, 0x7f, 0x41]],
    ['a text that is not UTF-8', [0x1a, 0x01, 0xff]],
    ['field number 0', [0x00, 0x00]],
    ['an end without a group', [0x9c, 0x06]],
    ['a group without an end', [0x9b, 0x06, 0x08, 0x01]],
    ['wire type 6', [0x16]],
    ['a varint of 11 bytes', [0x10, ...new Array(10).fill(0xff), 1]],
    ['groups nested ten thousand deep', new Array(20_000).fill(0).map((_, at) => (at % 2 === 0 ? 0x9b : 0x06))],
  ])('are refused: %s', (_, bytes) => {
    const stored = Uint8Array.from(bytes);
    expect(() => new EventDecoder().decode(stored, 0, stored.length)).toThrow();
  });

  it('have errors that name the tag of the summary', () => {
    // A TensorProto that ends in the middle of its shape.
    const tensor = [0x42, 0x02, 0x12, 0x05];
    const value = [0x0a, 0x07, ...new TextEncoder().encode('bad/one'), ...tensor];
    const bytes = Uint8Array.from([0x2a, value.length + 2, 0x0a, value.length, ...value]);
    const read = () => new EventDecoder().decode(bytes, 0, bytes.length);
    expect(read).toThrow('summary "bad/one": a field of 5 bytes where 0 are left');
    expect(read).toThrow(MalformedMessageError);
  });

  it('share no memory with the bytes they were decoded from', () => {
    const bytes = encodeMessage(tensorboard.Event, {
      summary: { value: [{ tag: 'i', image: { width: 1, height: 1, encodedImageString: Uint8Array.of(9, 9) } }] },
    });
    const event = new EventDecoder().decode(bytes, 0, bytes.length);
    const before = structuredClone(event);
    bytes.fill(0xff);
    expect(event).toEqual(before);
  });
});

describe('a text', () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const none = { dim: [] };
  it.each<[string, tensorboard.ITensorProto]>([
    ['as this package writes it', { dtype: 7, tensorShape: none, stringVal: [bytes('**a** ü 🎉')] }],
    ['that is empty', { dtype: 7, tensorShape: none, stringVal: [bytes('')] }],
    ['without a shape', { dtype: 7, stringVal: [bytes('a')] }],
    ['with a byte order mark', { dtype: 7, tensorShape: none, stringVal: [Uint8Array.of(0xef, 0xbb, 0xbf, 97)] }],
    ['that is no UTF-8', { dtype: 7, tensorShape: none, stringVal: [Uint8Array.of(97, 0xff, 0xc3, 98)] }],
    ['of which there are two', { dtype: 7, tensorShape: { dim: [{ size: 2 }] }, stringVal: [bytes('a'), bytes('b')] }],
    ['of which there is one in a list', { dtype: 7, tensorShape: { dim: [{ size: 1 }] }, stringVal: [bytes('a')] }],
    ['of which there is none', { dtype: 7, tensorShape: { dim: [{ size: 0 }] }, stringVal: [] }],
    ['of one element that has two', { dtype: 7, tensorShape: none, stringVal: [bytes('a'), bytes('b')] }],
    ['of a rank that is not known', { dtype: 7, tensorShape: { unknownRank: true }, stringVal: [bytes('a')] }],
    ['with a version', { dtype: 7, versionNumber: 1, tensorShape: none, stringVal: [bytes('a')] }],
    ['that is a number', { dtype: 1, tensorShape: none, floatVal: [1] }],
    ['of a number that has a string', { dtype: 1, tensorShape: none, stringVal: [bytes('a')] }],
  ])('%s is what the table of plugins makes of it', (_, tensor) => {
    let expected: unknown;
    try {
      const stored = { field: 8, bytes: encodeMessage(tensorboard.TensorProto, tensor) };
      expected = decodeSummaryValue({ plugin: 'text', content: new Uint8Array(0) }, stored);
    } catch (error) {
      expected = { undecoded: (error as Error).message };
    }
    const metadata = { pluginData: { pluginName: 'text' } };
    const event = decode({ summary: { value: [{ tag: 'note', tensor, metadata }] } });
    expect(event?.summary?.[0].value).toEqual(expected);
  });

  it('shares no memory with the file, whether or not it keeps its bytes', () => {
    for (const keepsRaw of [true, false]) {
      const metadata = { pluginData: { pluginName: 'text' } };
      const tensor = { dtype: 7, tensorShape: none, stringVal: [bytes('kept')] };
      const stored = encodeMessage(tensorboard.Event, { summary: { value: [{ tag: 'note', tensor, metadata }] } });
      const event = new EventDecoder(undefined, keepsRaw).decode(stored, 0, stored.length);
      const raw = Uint8Array.from(event!.summary![0].raw);
      stored.fill(0);
      expect(event!.summary![0].value).toEqual({ shape: [], strings: ['kept'] });
      expect(event!.summary![0].raw).toEqual(raw);
    }
  });
});

describe('a tensor of scalars or histograms', () => {
  const numbers = (count: number) => Float64Array.from({ length: count }, (_, i) => i / 3 - 5);
  const content = (count: number) => new Uint8Array(numbers(count).buffer);
  const shape = (...sizes: number[]) => ({ dim: sizes.map((size) => ({ size })) });
  const float = (value: number) => new Uint8Array(Float32Array.of(value).buffer);
  const table = (...sizes: number[]) => ({
    dtype: 2,
    tensorShape: shape(...sizes),
    tensorContent: content(sizes.reduce((product, size) => product * size, 1)),
  });
  const named = { size: 2, name: 'rows' };
  it.each<[string, string, tensorboard.ITensorProto]>([
    ['histograms', 'of 30 buckets, as TF2 writes it', table(30, 3)],
    ['histograms', 'of one bucket', table(1, 3)],
    ['histograms', 'of no bucket', table(0, 3)],
    ['histograms', 'of 127 buckets', table(127, 3)],
    ['histograms', 'of 128 buckets, whose number takes two bytes', table(128, 3)],
    ['histograms', 'of 286 buckets, whose number ends as that of 30', table(286, 3)],
    ['histograms', 'in columns', table(3, 30)],
    ['histograms', 'of one row', table(3)],
    ['histograms', 'of three dimensions', table(2, 5, 3)],
    ['histograms', 'that claims too few rows', { ...table(30, 3), tensorShape: shape(29, 3) }],
    ['histograms', 'that claims too many rows', { ...table(30, 3), tensorShape: shape(31, 3) }],
    ['histograms', 'whose bytes are no whole rows', { ...table(1, 3), tensorContent: content(3).slice(1) }],
    ['histograms', 'whose dimensions have names', { ...table(2, 3), tensorShape: { dim: [named, { size: 3 }] } }],
    ['histograms', 'of doubles one by one', { dtype: 2, tensorShape: shape(2, 3), doubleVal: [...numbers(6)] }],
    ['histograms', 'of both', { ...table(2, 3), doubleVal: [1, 2, 3] }],
    ['histograms', 'of integers', { ...table(2, 3), dtype: 9 }],
    ['histograms', 'of float32', { ...table(2, 3), dtype: 1 }],
    ['histograms', 'that is a number', { dtype: 1, tensorShape: shape(), floatVal: [4] }],
    ['images', 'that is a table', table(2, 3)],
    ['scalars', 'as this package writes it', { dtype: 1, tensorShape: shape(), tensorContent: float(0.1) }],
    ['scalars', 'as TF2 writes it', { dtype: 1, tensorShape: shape(), floatVal: [0.1] }],
    ['scalars', 'that has both', { dtype: 1, tensorShape: shape(), tensorContent: float(1), floatVal: [2] }],
    ['scalars', 'of float64', { dtype: 2, tensorShape: shape(), doubleVal: [0.1] }],
    ['scalars', 'in a list', { dtype: 1, tensorShape: shape(1), floatVal: [3] }],
    ['scalars', 'without a number', { dtype: 1, tensorShape: shape() }],
    ['scalars', 'of four bytes of text', { dtype: 1, tensorShape: shape(), stringVal: [float(3)] }],
    ['scalars', 'that is a text', { dtype: 7, tensorShape: shape(), stringVal: [float(3)] }],
    ['scalars', 'that is a table', table(2, 3)],
  ])('for %s %s is what the table of plugins makes of it', (plugin, _, tensor) => {
    let expected: unknown;
    try {
      const stored = { field: 8, bytes: encodeMessage(tensorboard.TensorProto, tensor) };
      expected = decodeSummaryValue({ plugin, content: new Uint8Array(0) }, stored);
    } catch (error) {
      expected = { undecoded: (error as Error).message };
    }
    const metadata = { pluginData: { pluginName: plugin } };
    const bytes = encodeMessage(tensorboard.Event, { summary: { value: [{ tag: 'x', tensor, metadata }] } });
    for (const keepsRaw of [true, false]) {
      // The slices of a Node Buffer are views.
      for (const stored of [bytes.slice(), Buffer.from(bytes)]) {
        const event = new EventDecoder(undefined, keepsRaw).decode(stored, 0, stored.length);
        stored.fill(0xff);
        expect(event?.summary?.[0].value).toEqual(expected);
      }
    }
  });

  it.each([true, false])('are right beside those around them; their bytes kept: %s', (keepsRaw) => {
    const decoder = new EventDecoder(undefined, keepsRaw);
    decoder.useForms(RecordForms);
    const metadata = { pluginData: { pluginName: 'histograms' } };
    const read = Array.from({ length: 60 }, (_, i) => {
      const buckets = Float64Array.from(
        { length: 3 * [30, 1, 0, 85, 86, 127][Math.floor(i / 10)] },
        (_, at) => 1000 * i + at,
      );
      const tensor = {
        dtype: 2,
        tensorShape: shape(buckets.length / 3, 3),
        tensorContent: new Uint8Array(buckets.buffer),
      };
      const summary = { value: [{ tag: 'x', tensor, metadata }] };
      const stored = encodeMessage(tensorboard.Event, { wallTime: 1, summary });
      const [{ value }] = decoder.decode(stored, 0, stored.length)!.summary!;
      return { buckets, value: value as HistogramValue };
    });
    const sizes = new Map<ArrayBufferLike, number>();
    for (const { buckets, value } of read) {
      expect(value).toEqual({ buckets });
      sizes.set(value.buckets.buffer, (sizes.get(value.buckets.buffer) ?? 0) + 1);
      // Who keeps one keeps a few more, and never much.
      expect(value.buckets.buffer.byteLength).toBeLessThanOrEqual(keepsRaw ? value.buckets.byteLength : 8192);
    }
    expect(sizes.size === read.length).toBe(keepsRaw);
    // What is written to one is not read in another.
    read[6].value.buckets.fill(-1);
    for (const [i, { buckets, value }] of read.entries()) if (i !== 6) expect(value).toEqual({ buckets });
  });

  it('may follow another shape, which counts as well', () => {
    const parts = [{ dtype: 2, tensorShape: shape(2) }, { tensorShape: shape(3) }, { tensorContent: content(6) }];
    const value = { tag: 'x', metadata: { pluginData: { pluginName: 'histograms' } }, tensor: {} };
    const tensor = concat(parts.map((part) => encodeMessage(tensorboard.TensorProto, part)));
    const whole = encodeMessage(tensorboard.Summary.Value, { ...value, tensor: { $unknowns: [tensor] } });
    const event = decode({ summary: { $unknowns: [concat([Uint8Array.of(10, whole.length), whole])] } });
    expect(event?.summary?.[0].value).toEqual({ buckets: numbers(6) });
  });
});
