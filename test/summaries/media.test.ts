import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '../../src/encoding/message-codec.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { type AudioOptions, audioSummary } from '../../src/summaries/audio.js';
import { type MeshOptions, meshSummaries } from '../../src/summaries/mesh.js';
import type { Numbers } from '../../src/summaries/numbers.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';
import { type Text, textSummary } from '../../src/summaries/text.js';
import { base64, floatsOf, reference } from '../support/summary-fixtures.js';

const tensorOf = (text: Text) => base64(encodeMessage(tensorboard.TensorProto, textSummary(text).tensor));

describe('textSummary', () => {
  it("has the bytes of TensorBoard's own text summary", () => {
    expect(tensorOf('# hi')).toBe(reference.text.one);
    expect(tensorOf(['a', 'b'])).toBe(reference.text.column);
    expect(
      tensorOf([
        ['a', 'b'],
        ['c', 'ü'],
      ]),
    ).toBe(reference.text.table);
  });

  it('writes numbers in cells as JavaScript does', () => {
    const rows = [
      ['loss', 0.25, Number.NaN],
      ['steps', 10n, 1e21],
    ];
    const words = rows.map((row) => row.map(String));
    expect(words).toEqual([
      ['loss', '0.25', 'NaN'],
      ['steps', '10', '1e+21'],
    ]);
    expect(tensorOf(rows)).toBe(tensorOf(words));
  });

  it.each([
    ['rows of different lengths', [['a'], ['b', 'c']], 'row 1: expected 1 cells, got 2'],
    ['no rows', [], 'at least one row'],
    ['no columns', [[]], 'at least one column'],
    ['a number', 3, 'got number 3'],
    ['an object in a cell', [['a', {}]], 'got an object'],
    ['a string among rows', [['a'], 'b'], 'row 1: expected an array of strings'],
  ])('refuses %s', (_, text, message) => {
    expect(() => textSummary(text as Text, 'text "notes"')).toThrow(message);
    expect(() => textSummary(text as Text, 'text "notes"')).toThrow(/^text "notes"/);
  });
});

const wavOf = (samples: Numbers, options?: AudioOptions) =>
  Buffer.from((audioSummary(samples, options) as PluginSummary).tensor.stringVal?.[0] as Uint8Array);
const pcmOf = (wav: Buffer) => Array.from({ length: (wav.length - 44) / 2 }, (_, i) => wav.readInt16LE(44 + 2 * i));

describe('audioSummary', () => {
  it('is one WAV file of shape [1], said to be WAV as TensorBoard says it', () => {
    const { plugin, dataClass, tensor, content } = audioSummary([0, 1]) as PluginSummary;
    expect([plugin, dataClass, tensor.dtype, tensor.tensorShape]).toEqual(['audio', 3, 7, { dim: [{ size: 1 }] }]);
    expect(base64(content)).toBe(reference.audio);
  });

  it("has the bytes of Python's wave module", () => {
    // wave.open('x.wav', 'wb'): setnchannels(2), setsampwidth(2), setframerate(8000), writeframes(struct.pack('<4h', 1, -2, 300, -400))
    const python =
      '524946462c00000057415645666d74201000000001000200401f0000007d0000040010006461746108000000' + '0100feff2c0170fe';
    expect(wavOf({ data: Int16Array.of(1, -2, 300, -400), shape: [2, 2] }, { sampleRate: 8000 }).toString('hex')).toBe(
      python,
    );
  });

  it('clips samples to [-1, 1], and NaN is silence', () => {
    expect(pcmOf(wavOf([0, 1, -1, 0.5, 2, -Infinity, Number.NaN]))).toEqual([
      0, 32767, -32767, 16384, 32767, -32767, 0,
    ]);
  });

  it.each([
    ['[frames], as anybody writes it', [3], [3], [1]],
    ['[1, frames], as torch takes it', [1, 3], [3], [1]],
    ['[frames, 1], as tensorboardX takes it', [3, 1], [3], [1]],
    ['[frames, 2], as tensorboardX takes it', [3, 2], [3], [2]],
    ['[2, 2], two frames of stereo', [2, 2], [2], [2]],
    ['[1, 1, frames], a batch of one of torch’s', [1, 1, 3], [3], [1]],
    ['[clips, frames, 1], as TF takes it', [2, 4, 1], [4, 4], [1, 1]],
    ['[clips, frames, 2], as TF takes it', [3, 2, 2], [2, 2, 2], [2, 2, 2]],
    ['[clips, 0, 1], clips without frames', [2, 0, 1], [0, 0], [1, 1]],
    ['[0, frames, 1], no clips', [0, 4, 1], [], []],
  ])('reads %s', (_, shape, frames, channels) => {
    const data = Int16Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => 3 * i + 1);
    const { tensor } = audioSummary({ data, shape }) as PluginSummary;
    const wavs = (tensor.stringVal as Uint8Array[]).map((wav) => Buffer.from(wav));
    expect(tensor.tensorShape).toEqual({ dim: [{ size: wavs.length }] });
    expect(wavs.map((wav) => wav.readUInt16LE(22))).toEqual(channels);
    expect(wavs.map((wav, i) => (wav.length - 44) / 2 / channels[i])).toEqual(frames);
    expect(wavs.flatMap(pcmOf)).toEqual(Array.from(data));
  });

  it('writes no more than maxOutputs clips', () => {
    const clips = { data: new Int16Array(12), shape: [3, 4, 1] };
    const count = (options: AudioOptions) => (audioSummary(clips, options) as PluginSummary).tensor.stringVal?.length;
    expect([count({}), count({ maxOutputs: 2 }), count({ maxOutputs: 9 })]).toEqual([3, 2, 3]);
  });

  it('takes bytes for the samples of an 8-bit WAV file, and int8 for signed ones', () => {
    expect(pcmOf(wavOf(Uint8Array.of(0, 128, 255)))).toEqual([-32768, 0, 32512]);
    expect(pcmOf(wavOf([Uint8Array.of(0, 128, 255)]))).toEqual([-32768, 0, 32512]);
    expect(pcmOf(wavOf(Int8Array.of(-128, 0, 127)))).toEqual([-32768, 0, 32512]);
    expect(pcmOf(wavOf(Float32Array.of(0.5, -0.25)))).toEqual([16384, -8192]);
  });

  it('writes mono and interleaved stereo', () => {
    const mono = wavOf([[1], [0]]);
    const stereo = wavOf(
      [
        [1, -1],
        [0, 1],
      ],
      { sampleRate: 22050 },
    );
    expect([mono.readUInt16LE(22), mono.readUInt32LE(24)]).toEqual([1, 44100]);
    expect([stereo.readUInt16LE(22), stereo.readUInt32LE(24), stereo.readUInt32LE(28)]).toEqual([2, 22050, 88200]);
    expect(pcmOf(stereo)).toEqual([32767, -32767, 0, 32767]);
  });

  it.each([
    ['channels first', { data: new Float32Array(20), shape: [2, 10] }, {}, 'got [2, 10]: transpose samples'],
    ['three channels', { data: new Float32Array(30), shape: [10, 3] }, {}, 'with 1 or 2 channels, got [10, 3]'],
    ['clips of three channels', { data: new Float32Array(30), shape: [2, 5, 3] }, {}, 'got [2, 5, 3]'],
    ['four axes', { data: new Float32Array(4), shape: [1, 1, 2, 2] }, {}, 'got [1, 1, 2, 2]'],
    ['no clip of those there are', [0], { maxOutputs: 0 }, 'expected maxOutputs to be at least 1, got number 0'],
    ['a single number', 1, {}, 'got []'],
    ['a fraction of a rate', [0], { sampleRate: 0.5 }, 'expected sampleRate to be a whole number'],
    ['a rate that no WAV file holds', [0], { sampleRate: 2 ** 32 }, 'expected sampleRate'],
  ])('refuses %s', (_, samples, options, message) => {
    expect(() => audioSummary(samples as Numbers, options, 'audio "a"')).toThrow(RangeError);
    expect(() => audioSummary(samples as Numbers, options, 'audio "a"')).toThrow(message);
  });
});

const vertices = [
  [0, 0, 0],
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1.5],
];
const faces = [
  [0, 1, 2],
  [0, 2, 3],
];
const colors = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [9, 9, 9],
];
const parts = (options?: MeshOptions) => meshSummaries('shape/a', vertices, options) as PluginSummary[];

describe('meshSummaries', () => {
  it("has TensorBoard's tags and plugin contents", () => {
    const summaries = parts({ colors, faces, config: { camera: { cls: 'PerspectiveCamera' } } });
    const contents = Object.fromEntries(
      summaries.map(({ tagSuffix, content }) => {
        const written = decodeMessage(tensorboard.MeshPluginData, content as Uint8Array);
        expect(JSON.parse(written.jsonConfig)).toEqual({ camera: { cls: 'PerspectiveCamera' } });
        return [`shape/a${tagSuffix}`, base64(content)];
      }),
    );
    expect(contents).toEqual(reference.mesh);
  });

  it('stores vertices as float32, faces as int32, colors as uint8, with a batch of one', () => {
    const [v, f, c] = parts({ colors, faces });
    expect([v, f, c].map(({ tensor }) => tensor.dtype)).toEqual([1, 3, 4]);
    expect(v.tensor.tensorShape).toEqual({ dim: [{ size: 1 }, { size: 4 }, { size: 3 }] });
    expect(floatsOf(v.tensor.tensorContent as Uint8Array)).toEqual(vertices.flat());
    expect(Array.from(new Int32Array((f.tensor.tensorContent as Uint8Array).slice().buffer))).toEqual(faces.flat());
    expect(Array.from(c.tensor.tensorContent as Uint8Array)).toEqual(colors.flat());
  });

  it('is one summary for a point cloud', () => {
    const summaries = parts();
    expect(summaries.map(({ tagSuffix }) => tagSuffix)).toEqual(['_VERTEX']);
    expect(decodeMessage(tensorboard.MeshPluginData, summaries[0].content as Uint8Array).components).toBe(2);
  });

  it.each([
    ['flat vertices', [1, 2, 3], {}, 'vertices: expected the shape [n, 3] or [batch, n, 3], got [3]'],
    [
      'a face without its vertex',
      vertices,
      { faces: [[0, 1, 4]] },
      'faces: expected whole numbers from 0 to 3, got 4 at position 2',
    ],
    ['fewer colors', vertices, { colors: [[1, 2, 3]] }, 'colors: expected a color for each of 4 vertices, got 1'],
    [
      'colors of 0..1',
      vertices,
      { colors: colors.map(() => [0.5, 1, 0]) },
      'colors: expected whole numbers from 0 to 255, got 0.5',
    ],
    ['another batch', vertices, { faces: [faces, faces] }, 'faces: expected a batch of 1, as of vertices, got 2'],
    ['NaN', [[0, Number.NaN, 0]], {}, 'vertices: expected finite coordinates, got NaN'],
  ])('refuses %s', (_, points, options, message) => {
    expect(() => meshSummaries('m', points as Numbers, options, 'addMesh "m"')).toThrow(RangeError);
    expect(() => meshSummaries('m', points as Numbers, options, 'addMesh "m"')).toThrow(`addMesh "m", ${message}`);
  });
});
