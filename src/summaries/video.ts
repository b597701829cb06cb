/** Videos: frames are encoded as an animated GIF, which TensorBoard's images dashboard plays. */
import { loadGifCodec } from '#platform';
import type { Pixels } from '../drawing/png.js';
import { describe } from '../errors.js';
import type { GifCodec } from '../platform/platform.js';
import type { ImageInput } from './image.js';
import { encodedSummary, isEncodedImage } from './image-file.js';
import { type Later, whenRead } from './numbers.js';
import { type ImagesLayout, readPixelNumbers, toPixelsBatch, toPixelsGrid } from './pixels.js';
import type { PluginSummary } from './plugin-summary.js';

/** Options of addVideo. */
export interface VideoOptions {
  /**
   * Frames per second, above 0 and at most 100. Default: 4. GIF measures time in hundredths of a second, so players
   * distinguish at most 50.
   */
  fps?: number;
  /** Order of the axes of one video, of which N is time. Default: NHW if there are three, else NHWC. */
  layout?: ImagesLayout;
}

const maxColors = 256;
const maxSide = 65535;

/**
 * Frames as an animated GIF that repeats forever, for TensorBoard's images dashboard. A frame of at most 256 colors (as gray
 * frames always are) is encoded exactly; the colors of others are reduced to 256. Transparency is drawn over black.
 *
 * @param frames time x height x width x channels, pixels as in addImage; with another axis in front several videos, which play
 * side by side
 */
export function videoSummary(frames: ImageInput, options: VideoOptions = {}, call = 'video'): Later<PluginSummary> {
  const { fps = 4 } = options;
  if (!(fps > 0 && fps <= 100))
    throw new RangeError(`${call}: expected fps to be above 0 and at most 100, got ${describe(fps)}`);
  if (isEncodedImage(frames))
    throw new TypeError(`${call}: expected frames of pixels, got an encoded image: use addImage`);
  return whenRead(readPixelNumbers(frames, call), (numbers) => {
    const toFrames = numbers.shape.length === 5 ? toPixelsGrid : toPixelsBatch;
    const { width, height, images, remark } = toFrames(numbers, options.layout, call);
    if (images.length === 0)
      throw new RangeError(`${call}: expected at least one frame, got the shape [${numbers.shape.join(', ')}]`);
    if (width > maxSide || height > maxSide)
      throw new RangeError(`${call}: expected at most ${maxSide} pixels per side of a GIF, got ${width} x ${height}`);
    const codec = loadGifCodec();
    // The caller may overwrite the pixels before the codec comes.
    const own = codec instanceof Promise ? images.map((image) => ({ ...image, data: image.data.slice() })) : images;
    return whenRead(codec, (gifenc) => encodedSummary(width, height, [encodeGif(own, fps, gifenc)], remark));
  });
}

/** Source: https://www.w3.org/Graphics/GIF/spec-gif89a.txt */
function encodeGif(frames: readonly Pixels[], fps: number, gifenc: GifCodec): Uint8Array {
  const encoder = gifenc.GIFEncoder();
  for (const frame of frames) {
    const { index, palette } = exactPalette(frame) ?? quantizedPalette(frame, gifenc);
    encoder.writeFrame(index, frame.width, frame.height, { palette, delay: 1000 / fps });
  }
  encoder.finish();
  return encoder.bytes();
}

interface IndexedFrame {
  index: Uint8Array;
  palette: number[][];
}

/** The frame with its own colors as palette; undefined if there are too many. */
function exactPalette({ channels, data }: Pixels): IndexedFrame | undefined {
  const index = new Uint8Array(data.length / channels);
  const indexOf = new Map<number, number>();
  for (let pixel = 0, at = 0; pixel < index.length; pixel++, at += channels) {
    const color = colorAt(data, at, channels);
    let entry = indexOf.get(color);
    if (entry === undefined) {
      if (indexOf.size === maxColors) return undefined;
      entry = indexOf.size;
      indexOf.set(color, entry);
    }
    index[pixel] = entry;
  }
  const palette = [...indexOf.keys()].map((color) => [color >> 16, (color >> 8) & 255, color & 255]);
  return { index, palette };
}

/** The frame with its colors reduced to a palette. */
function quantizedPalette({ channels, data }: Pixels, gifenc: GifCodec): IndexedFrame {
  const rgba = new Uint8Array((data.length / channels) * 4);
  for (let at = 0, to = 0; at < data.length; at += channels, to += 4) {
    const color = colorAt(data, at, channels);
    rgba[to] = color >> 16;
    rgba[to + 1] = (color >> 8) & 255;
    rgba[to + 2] = color & 255;
    rgba[to + 3] = 255;
  }
  const palette = gifenc.quantize(rgba, maxColors);
  return { index: gifenc.applyPalette(rgba, palette), palette };
}

/** The color of a pixel over black, as 0xrrggbb. */
function colorAt(data: Uint8Array, at: number, channels: number): number {
  if (channels === 1) return data[at] * 0x010101;
  if (channels === 3) return (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
  const opacity = data[at + channels - 1] / 255;
  const over = (value: number) => Math.round(value * opacity);
  if (channels === 2) return over(data[at]) * 0x010101;
  return (over(data[at]) << 16) | (over(data[at + 1]) << 8) | over(data[at + 2]);
}
