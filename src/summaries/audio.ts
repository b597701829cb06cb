/** Audio: samples are written as WAV files, and clips of whichever encoding are read back as files. */
import { decodeMessage, tryDecodeMessage } from '../encoding/protobuf.js';
import { describe } from '../errors.js';
import type { AudioValue, TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { type Later, type Numbers, type NumericArray, readNumbers, whenRead } from './numbers.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { stringTensor, textOf } from './tensor.js';

const { AudioPluginData, Summary } = tensorboard;

/** Options of addAudio. */
export interface AudioOptions {
  /** Frames per second, a whole number. Default: 44100. */
  sampleRate?: number;
}

/**
 * Sound for TensorBoard's audio dashboard: a WAV file of 16-bit PCM. Samples are clipped to [-1, 1] and NaN becomes silence;
 * an Int16Array holds the samples of the file itself.
 *
 * @param samples shape [frames] (mono), [frames, 1] or [frames, 2] (stereo)
 */
export function audioSummary(samples: Numbers, options: AudioOptions = {}, call = 'audio'): Later<PluginSummary> {
  const { sampleRate = 44100 } = options;
  if (!Number.isSafeInteger(sampleRate) || sampleRate < 1 || sampleRate > 0xffffffff) {
    throw new RangeError(
      `${call}: expected sampleRate to be a whole number of frames per second, got ${describe(sampleRate)}`,
    );
  }
  return whenRead(readNumbers(samples, call), (numbers) => ({
    plugin: 'audio',
    // Without the encoding TensorBoard serves the file as application/octet-stream, which no player accepts.
    content: AudioPluginData.encode({ encoding: AudioPluginData.Encoding.WAV }).finish(),
    dataClass: DataClass.blobSequence,
    // [n], not TF2's [n, 2] with labels: the Python loader takes a label for a second sample if there is a data class.
    tensor: stringTensor([encodeWav(numbers, sampleRate, call)], [1]),
  }));
}

const headerSize = 44;
const bytesPerSample = 2;

/**
 * A canonical WAV file: a RIFF header, an fmt chunk and a data chunk of 16-bit little-endian PCM.
 * Source: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html
 */
function encodeWav(samples: NumericArray, sampleRate: number, call: string): Uint8Array {
  const { values, shape } = samples;
  const channels = shape.length === 1 ? 1 : shape[1];
  if (shape.length < 1 || shape.length > 2 || (channels !== 1 && channels !== 2)) {
    throw new RangeError(
      `${call}: expected samples of shape [frames], [frames, 1] or [frames, 2], got [${shape.join(', ')}]`,
    );
  }
  const dataSize = values.length * bytesPerSample;
  if (dataSize + headerSize - 8 > 0xffffffff)
    throw new RangeError(`${call}: expected samples that fit the 4 GiB of a WAV file, got ${values.length}`);
  const bytes = new Uint8Array(headerSize + dataSize);
  const view = new DataView(bytes.buffer);
  const ascii = (at: number, text: string) => {
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  };
  ascii(0, 'RIFF');
  view.setUint32(4, bytes.length - 8, true);
  ascii(8, 'WAVEfmt ');
  view.setUint32(16, 16, true); // size of the fmt chunk
  view.setUint16(20, 1, true); // WAVE_FORMAT_PCM
  view.setUint16(22, channels, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, Math.min(sampleRate * channels * bytesPerSample, 0xffffffff), true); // bytes per second, which players only estimate with
  view.setUint16(32, channels * bytesPerSample, true);
  view.setUint16(34, 8 * bytesPerSample, true);
  ascii(36, 'data');
  view.setUint32(40, dataSize, true);
  const isPcm = values instanceof Int16Array;
  for (let i = 0, at = headerSize; i < values.length; i++, at += bytesPerSample) {
    view.setInt16(at, isPcm ? values[i] : toPcm(values[i]), true);
  }
  return bytes;
}

function toPcm(sample: number): number {
  return Number.isNaN(sample) ? 0 : Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
}

/** The clips in an audio tensor: [clips], or TF2's [clips, 2] with a label beside each clip. */
export function decodeAudio({ data, dtype, shape }: TensorValue, content: Uint8Array): AudioValue | undefined {
  const labeled = shape.length === 2 && shape[1] === 2;
  if (dtype !== 'string' || !(labeled || shape.length === 1)) return undefined;
  const strings = data as Uint8Array[];
  const isWav = tryDecodeMessage(AudioPluginData, content)?.encoding === AudioPluginData.Encoding.WAV;
  const contentType = isWav ? { contentType: 'audio/wav' } : {};
  if (!labeled) return { encoded: strings, ...contentType };
  return {
    encoded: strings.filter((_, index) => index % 2 === 0),
    labels: strings.filter((_, index) => index % 2 === 1).map(textOf),
    ...contentType,
  };
}

/** The clip in a Summary.Audio message, in which TF1 stores it. */
export function decodeAudioProto(bytes: Uint8Array): AudioValue {
  const audio = decodeMessage(Summary.Audio, bytes);
  return {
    encoded: [audio.encodedAudioString ?? new Uint8Array(0)],
    ...(audio.contentType ? { contentType: audio.contentType } : {}),
    sampleRate: audio.sampleRate ?? 0,
    channels: Number(audio.numChannels ?? 0),
    frames: Number(audio.lengthFrames ?? 0),
  };
}
