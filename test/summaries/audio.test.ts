import { describe, expect, it } from 'vitest';
import { type AudioOptions, audioSummary } from '../../src/summaries/audio.js';
import type { Numbers } from '../../src/summaries/numbers.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';
import { base64, reference } from '../support/summary-fixtures.js';

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
    ['channels first', { data: new Float32Array(20), shape: [2, 10] }, {}, 'got [2, 10]'],
    ['three axes', { data: new Float32Array(4), shape: [1, 2, 2] }, {}, '[frames, 2], got [1, 2, 2]'],
    ['a single number', 1, {}, 'got []'],
    ['a fraction of a rate', [0], { sampleRate: 0.5 }, 'expected sampleRate to be a whole number'],
    ['a rate that no WAV file holds', [0], { sampleRate: 2 ** 32 }, 'expected sampleRate'],
  ])('refuses %s', (_, samples, options, message) => {
    expect(() => audioSummary(samples as Numbers, options, 'audio "a"')).toThrow(RangeError);
    expect(() => audioSummary(samples as Numbers, options, 'audio "a"')).toThrow(message);
  });
});
