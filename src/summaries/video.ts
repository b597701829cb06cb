import * as gifencModule from 'gifenc';
import type { Pixels } from '../drawing/png.js';
import { describe } from '../errors.js';
import { encodedSummary, type Image, isEncodedImage, readImage } from './image.js';
import { type Later, whenRead } from './numbers.js';
import { type ImagesLayout, toPixelsBatch } from './pixels.js';
import type { PluginSummary } from './plugin-summary.js';

// Node sees gifenc's CommonJS build, whose names are all on the default export; bundlers see its ES module, where they are not.
const gifenc = typeof gifencModule.GIFEncoder === 'function' ? gifencModule : gifencModule.default;

/** Options of addVideo. */
export interface VideoOptions {
  /** Frames per second; 4. A GIF counts in hundredths of a second, so at most 50 are told apart by players. */
  fps?: number;
  /** N is time here. Default: NHW where there are three axes, else NHWC. */
  layout?: ImagesLayout;
}

const maxColours = 256;
const maxSide = 65535;

/**
 * Frames as an animated GIF that repeats for ever, shown in TensorBoard's images dashboard. A frame of at most 256 colours
 * (grey ones always) is kept exactly; others are reduced to their best 256. Transparency is drawn over black.
 *
 * @param frames time x height x width x channels, pixels as in addImage
 */
export function videoSummary(frames: Image, options: VideoOptions = {}, what = 'video'): Later<PluginSummary> {
  const { fps = 4 } = options;
  if (!(fps > 0 && fps <= 100))
    throw new RangeError(`${what}: expected fps to be above 0 and at most 100, got ${describe(fps)}`);
  if (isEncodedImage(frames))
    throw new TypeError(`${what}: expected frames of pixels, got an encoded image: use addImage`);
  return whenRead(readImage(frames, what), (numbers) => {
    const pixels = toPixelsBatch(numbers, options.layout, what);
    if (pixels.length === 0)
      throw new RangeError(`${what}: expected at least one frame, got the shape [${numbers.shape.join(', ')}]`);
    const { width, height } = pixels[0];
    if (width > maxSide || height > maxSide)
      throw new RangeError(`${what}: a GIF has at most ${maxSide} pixels a side, got ${width} x ${height}`);
    return encodedSummary(width, height, [encodeGif(pixels, fps)]);
  });
}

/** https://www.w3.org/Graphics/GIF/spec-gif89a.txt */
function encodeGif(frames: readonly Pixels[], fps: number): Uint8Array {
  const encoder = gifenc.GIFEncoder();
  for (const frame of frames) {
    const { index, palette } = exactPalette(frame) ?? quantizedPalette(frame);
    encoder.writeFrame(index, frame.width, frame.height, { palette, delay: 1000 / fps });
  }
  encoder.finish();
  return encoder.bytes();
}

interface IndexedFrame {
  index: Uint8Array;
  palette: number[][];
}

function exactPalette({ channels, data }: Pixels): IndexedFrame | undefined {
  const index = new Uint8Array(data.length / channels);
  const indexOf = new Map<number, number>();
  for (let pixel = 0, at = 0; pixel < index.length; pixel++, at += channels) {
    const colour = colourAt(data, at, channels);
    let entry = indexOf.get(colour);
    if (entry === undefined) {
      if (indexOf.size === maxColours) return undefined;
      entry = indexOf.size;
      indexOf.set(colour, entry);
    }
    index[pixel] = entry;
  }
  const palette = [...indexOf.keys()].map((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]);
  return { index, palette };
}

function quantizedPalette({ channels, data }: Pixels): IndexedFrame {
  const rgba = new Uint8Array((data.length / channels) * 4);
  for (let at = 0, to = 0; at < data.length; at += channels, to += 4) {
    const colour = colourAt(data, at, channels);
    rgba[to] = colour >> 16;
    rgba[to + 1] = (colour >> 8) & 255;
    rgba[to + 2] = colour & 255;
    rgba[to + 3] = 255;
  }
  const palette = gifenc.quantize(rgba, maxColours);
  return { index: gifenc.applyPalette(rgba, palette), palette };
}

/** The colour of a pixel as 0xrrggbb; a GIF knows no half transparency. */
function colourAt(data: Uint8Array, at: number, channels: number): number {
  if (channels === 1) return data[at] * 0x010101;
  if (channels === 3) return (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
  const opacity = data[at + channels - 1] / 255;
  const over = (value: number) => Math.round(value * opacity);
  if (channels === 2) return over(data[at]) * 0x010101;
  return (over(data[at]) << 16) | (over(data[at + 1]) << 8) | over(data[at + 2]);
}
