/** Folders of images as what goes into a model. */
import { modelFiles } from '#platform';
import { messageOf } from '../errors.js';
import { UsageError } from './terminal.js';

/** Options of images, as typed. */
export interface ImageOptions {
  /** Height and width, as `224x224`, where the model leaves them open. */
  size?: string;
  /** What is subtracted of each channel's values, which are from 0 to 1: one number, or one per channel. */
  mean?: string;
  /** By what the values are divided then. */
  std?: string;
}

/** Images of one size, as a model takes them. */
export interface Images {
  /** Paths of those that could be read, in order. */
  readonly paths: readonly string[];
  /** N x channels x height x width, or N x height x width x channels. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** Files that could not be read, and why. */
  readonly unread: readonly { path: string; why: string }[];
}

/** The part of the package sharp that is used here. */
type Sharp = (path: string) => SharpImage;
interface SharpImage {
  resize(width: number, height: number, options: { fit: 'fill' }): SharpImage;
  toColourspace(space: 'srgb' | 'b-w'): SharpImage;
  removeAlpha(): SharpImage;
  raw(): SharpImage;
  toBuffer(): Promise<Uint8Array>;
}

const isImage = /\.(png|jpe?g|webp|gif|tiff?|avif|svg)$/i;

/**
 * Reads the images of a folder.
 *
 * @param dims of the model's input; below 1 where they are left open
 * @throws UsageError if the model does not take images, or an option is out of its range; Error if sharp is not installed
 */
export async function readImages(folder: string, dims: readonly number[], options: ImageOptions): Promise<Images> {
  const { height, width, channels, isFirst } = layoutOf(dims, options.size);
  const [mean, std] = [options.mean ?? '0', options.std ?? '1'].map((text, index) =>
    channelNumbers(text, index === 0 ? '--mean' : '--std', channels),
  );
  if (std.includes(0)) throw new UsageError('--std: expected numbers other than 0');
  const files = (modelFiles?.list(folder) ?? []).filter((path) => isImage.test(path));
  if (files.length === 0)
    throw new UsageError(`expected images (png, jpeg, webp, gif, tiff, avif, svg) in '${folder}', got none`);
  const sharp = await loadSharp();
  const size = height * width * channels;
  const pixels: Uint8Array[] = [];
  const paths: string[] = [];
  const unread: { path: string; why: string }[] = [];
  for (const path of files) {
    try {
      const image = sharp(path).resize(width, height, { fit: 'fill' });
      const bytes = await image
        .toColourspace(channels === 1 ? 'b-w' : 'srgb')
        .removeAlpha()
        .raw()
        .toBuffer();
      if (bytes.length !== size) throw new RangeError(`expected ${size} values, got ${bytes.length}`);
      pixels.push(bytes);
      paths.push(path);
    } catch (error) {
      unread.push({ path, why: messageOf(error) });
    }
  }
  const values = new Float32Array(pixels.length * size);
  for (const [image, bytes] of pixels.entries()) {
    for (let i = 0; i < size; i++) {
      const channel = i % channels;
      const at = isFirst ? channel * height * width + (i - channel) / channels : i;
      values[image * size + at] = (bytes[i] / 255 - mean[channel]) / std[channel];
    }
  }
  const shape = isFirst ? [pixels.length, channels, height, width] : [pixels.length, height, width, channels];
  return { paths, shape, values, unread };
}

function layoutOf(dims: readonly number[], size: string | undefined) {
  const isColor = (channels: number) => channels === 1 || channels === 3;
  const isFirst = dims.length === 4 && isColor(dims[1]);
  if (dims.length !== 4 || !(isFirst || isColor(dims[3]))) {
    throw new UsageError(
      `expected a model that takes images, N x 3 x height x width or N x height x width x 3, got an input of ${dims.map((each) => (each < 1 ? '?' : each)).join(' x ')}: give .npy files`,
    );
  }
  const [height, width] = isFirst ? [dims[2], dims[3]] : [dims[1], dims[2]];
  const typed = size === undefined ? undefined : /^(\d+)x(\d+)$/.exec(size);
  if (typed === null) throw new UsageError(`--size: expected height x width, such as 224x224, got ${size}`);
  const given = typed?.slice(1).map(Number) ?? [];
  for (const [axis, known] of [height, width].entries()) {
    if (known > 0 && given[axis] !== undefined && given[axis] !== known) {
      throw new UsageError(`--size: expected ${height}x${width}, which the model takes, got ${size}`);
    }
    if (known < 1 && given[axis] === undefined) {
      throw new UsageError('expected --size height x width, such as 224x224: the model leaves it open');
    }
  }
  return {
    height: height > 0 ? height : given[0],
    width: width > 0 ? width : given[1],
    channels: isFirst ? dims[1] : dims[3],
    isFirst,
  };
}

function channelNumbers(text: string, option: string, channels: number): number[] {
  const numbers = text.split(',').map(Number);
  const isRight = numbers.every(Number.isFinite) && (numbers.length === 1 || numbers.length === channels);
  if (!isRight)
    throw new UsageError(`${option}: expected one number or ${channels}, such as 0.485,0.456,0.406, got ${text}`);
  return Array.from({ length: channels }, (_, channel) => numbers[channel] ?? numbers[0]);
}

async function loadSharp(): Promise<Sharp> {
  try {
    const module = (await modelFiles?.load('sharp')) as { default: Sharp };
    return module.default;
  } catch (error) {
    throw new Error(
      `Images need the package 'sharp', which could not be loaded. Install it with: npm install sharp. ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}
