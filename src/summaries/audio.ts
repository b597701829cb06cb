/** Audio: samples are written as WAV files, and clips of whichever encoding are read back as files. */
import { decodeMessage, encodeMessage, tryDecodeMessage } from '../encoding/message-codec.js';
import { describe } from '../errors.js';
import type { AudioValue, TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { type Later, type Numbers, type NumericArray, outsideRange, readNumbers, whenRead } from './numbers.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { stringTensor, textOf } from './tensor.js';

const AudioPluginData = tensorboard.AudioPluginData;
const Summary = tensorboard.Summary;

/** Options of addAudio. */
export interface AudioOptions {
  /** Frames per second, a whole number. Default: 44100. */
  sampleRate?: number;
  /** At most this many clips are written, the first ones. Default: all. */
  maxOutputs?: number;
}

/**
 * Sound for TensorBoard's audio dashboard: a WAV file of 16-bit PCM for each clip. Samples are clipped to [-1, 1] and NaN
 * becomes silence; an Int16Array holds the samples of the file itself, Int8Array and Uint8Array samples of 8 bits as WAV files
 * hold them.
 *
 * @param samples shape [frames] (mono), [frames, channels] as tensorboardX takes it, [1, frames] as torch does, or [clips,
 * frames, channels] as TF does; with 1 or 2 channels
 */
export function audioSummary(samples: Numbers, options: AudioOptions = {}, call = 'audio'): Later<PluginSummary> {
  const { sampleRate = 44100, maxOutputs = Number.POSITIVE_INFINITY } = options;
  if (!Number.isSafeInteger(sampleRate) || sampleRate < 1 || sampleRate > 0xffffffff) {
    throw new RangeError(
      `${call}: expected sampleRate to be a whole number of frames per second, got ${describe(sampleRate)}`,
    );
  }
  if (!(maxOutputs >= 1))
    throw new RangeError(`${call}: expected maxOutputs to be at least 1, got ${describe(maxOutputs)}`);
  return whenRead(readNumbers(samples, call), (numbers) => {
    const clips = clipsOf(numbers, call).slice(0, maxOutputs);
    const remark = pcmOf(numbers) === toPcm ? outsideRange(numbers.values, -1, 1) : undefined;
    return {
      plugin: 'audio',
      // Without the encoding TensorBoard serves the file as application/octet-stream, which no player accepts.
      content: encodeMessage(AudioPluginData, { encoding: AudioPluginData.Encoding.WAV }),
      dataClass: DataClass.blobSequence,
      // [n], not TF2's [n, 2] with labels: the Python loader takes a label for a second sample if there is a data class.
      tensor: stringTensor(
        clips.map((clip) => encodeWav(clip, pcmOf(numbers), sampleRate, call)),
        [clips.length],
      ),
      remark: remark && `${remark} and were clipped: give samples of 16 bits as an Int16Array, or divide them by 32768`,
    };
  });
}

/** One clip, frame by frame. */
interface Clip {
  readonly values: NumericArray['values'];
  readonly channels: number;
}

/** Finds clips and channels: the last axis is the channels if there are 1 or 2, else the frames of a single channel. */
function clipsOf({ values, shape }: NumericArray, call: string): Clip[] {
  const [count, ...axes] = shape.length === 1 ? [1, shape[0], 1] : shape.length === 2 ? [1, ...shape] : shape;
  const channels = axes[1] === 1 || axes[1] === 2 ? axes[1] : axes[0];
  if (shape.length < 1 || shape.length > 3 || (channels !== 1 && channels !== axes[1])) {
    const advice = channels === 2 ? ': transpose samples whose channels come first' : '';
    throw new RangeError(
      `${call}: expected samples of shape [frames], [frames, channels] or [clips, frames, channels] with 1 or 2 channels, got [${shape.join(', ')}]${advice}`,
    );
  }
  const size = axes[0] * axes[1];
  return Array.from({ length: count }, (_, i) => ({ values: values.subarray(i * size, (i + 1) * size), channels }));
}

const headerSize = 44;
const bytesPerSample = 2;

/**
 * A canonical WAV file: a RIFF header, an fmt chunk and a data chunk of 16-bit little-endian PCM.
 * Source: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html
 */
function encodeWav(
  { values, channels }: Clip,
  pcm: (sample: number) => number,
  sampleRate: number,
  call: string,
): Uint8Array {
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
  for (let i = 0, at = headerSize; i < values.length; i++, at += bytesPerSample)
    view.setInt16(at, pcm(values[i]), true);
  return bytes;
}

/** How numbers become samples of 16 bits: integers of 8 and 16 bits are samples already, all others are in [-1, 1]. */
function pcmOf({ values, dtype }: NumericArray): (sample: number) => number {
  if (values instanceof Int16Array) return (sample) => sample;
  if (values instanceof Int8Array) return (sample) => 256 * sample;
  return dtype === 'uint8' ? (sample) => 256 * (sample - 128) : toPcm;
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
