import { dotsOf, glyphHeight, widthOf } from '../drawing/canvas.js';
import { encodePng, type Pixels } from '../drawing/png.js';
import { describe } from '../errors.js';
import {
  type EncodedImage,
  encodedSummary,
  type Image,
  type ImageOptions,
  isEncodedImage,
  readImage,
} from './image.js';
import { type Later, type Numbers, type NumericArray, readNumbers, whenAllRead } from './numbers.js';
import { toPixels } from './pixels.js';
import type { PluginSummary } from './plugin-summary.js';

/** Options of addImageWithBoxes. */
export interface BoxesOptions extends ImageOptions {
  /** A text for each box, drawn at its top left corner; boxes of one text have one colour. */
  labels?: readonly string[];
}

/** Told apart by colour-blind readers too: Okabe and Ito, https://jfly.uni-koeln.de/color/ (without black). */
const colours = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [0, 114, 178],
  [213, 94, 0],
  [204, 121, 167],
] as const;
type Colour = readonly [number, number, number];

/**
 * An image with boxes drawn into its pixels. Boxes are clipped at the image's border.
 *
 * @param boxes n x 4: xMin, yMin, xMax, yMax in pixels, from the top left corner
 */
export function boxesSummary(
  image: Exclude<Image, EncodedImage>,
  boxes: Numbers,
  options: BoxesOptions = {},
  what = 'image with boxes',
): Later<PluginSummary> {
  if (isEncodedImage(image)) throw new TypeError(`${what}: expected pixels to draw into, got an encoded image`);
  return whenAllRead(
    [readImage(image, what), readNumbers(boxes, `${what}, boxes`)] as const,
    (read: readonly [NumericArray, NumericArray]) => {
      const corners = checkBoxes(read[1], options.labels, what);
      const canvas = coloured(toPixels(read[0], options.layout, what));
      const size = Math.max(1, Math.round(Math.min(canvas.width, canvas.height) / 300));
      const kinds = new Map<string, Colour>();
      for (const [i, [xMin, yMin, xMax, yMax]] of corners.entries()) {
        const label = options.labels?.[i];
        const colour = colourOf(label ?? String(i), kinds);
        drawFrame(canvas, xMin, yMin, xMax, yMax, 2 * size, colour);
        if (label) drawLabel(canvas, label, xMin, yMin, size, colour);
      }
      return encodedSummary(canvas.width, canvas.height, [encodePng(canvas)]);
    },
  );
}

function checkBoxes({ values, shape }: NumericArray, labels: readonly string[] | undefined, what: string): number[][] {
  const isEmpty = shape.length === 1 && shape[0] === 0;
  if (!isEmpty && (shape.length !== 2 || shape[1] !== 4)) {
    throw new RangeError(`${what}: expected boxes of shape [n, 4], got [${shape.join(', ')}]`);
  }
  const count = values.length / 4;
  if (labels !== undefined && labels.length !== count)
    throw new RangeError(`${what}: expected ${count} labels, got ${labels.length}`);
  return Array.from({ length: count }, (_, i) => {
    const box = Array.from(values.subarray(4 * i, 4 * i + 4));
    const [xMin, yMin, xMax, yMax] = box;
    if (!box.every(Number.isFinite) || xMin > xMax || yMin > yMax) {
      throw new RangeError(`${what}: box ${i}: expected xMin <= xMax and yMin <= yMax, got [${box.join(', ')}]`);
    }
    const label: unknown = labels === undefined ? '' : labels[i];
    if (typeof label !== 'string')
      throw new TypeError(`${what}: label ${i}: expected a string, got ${describe(label)}`);
    return box.map(Math.round);
  });
}

function colourOf(kind: string, kinds: Map<string, Colour>): Colour {
  let colour = kinds.get(kind);
  if (colour === undefined) {
    colour = colours[kinds.size % colours.length];
    kinds.set(kind, colour);
  }
  return colour;
}

/** A copy to draw on, with colours where the image is grey. */
function coloured({ width, height, channels, data }: Pixels): Pixels {
  if (channels >= 3) return { width, height, channels, data: data.slice() };
  const wider = channels === 1 ? 3 : 4;
  const pixels = new Uint8Array(width * height * wider);
  for (let from = 0, to = 0; from < data.length; from += channels, to += wider) {
    pixels.fill(data[from], to, to + 3);
    if (channels === 2) pixels[to + 3] = data[from + 1];
  }
  return { width, height, channels: wider, data: pixels };
}

function fill(canvas: Pixels, left: number, top: number, right: number, bottom: number, colour: Colour): void {
  const { width, height, channels, data } = canvas;
  for (let y = Math.max(0, top); y < Math.min(height, bottom); y++) {
    for (let x = Math.max(0, left); x < Math.min(width, right); x++) {
      const at = (y * width + x) * channels;
      data.set(colour, at);
      if (channels === 4) data[at + 3] = 255;
    }
  }
}

function drawFrame(
  canvas: Pixels,
  xMin: number,
  yMin: number,
  xMax: number,
  yMax: number,
  line: number,
  colour: Colour,
): void {
  fill(canvas, xMin, yMin, xMax + 1, yMin + line, colour);
  fill(canvas, xMin, yMax + 1 - line, xMax + 1, yMax + 1, colour);
  fill(canvas, xMin, yMin, xMin + line, yMax + 1, colour);
  fill(canvas, xMax + 1 - line, yMin, xMax + 1, yMax + 1, colour);
}

/** Above the box, or inside it where there is no room; moved left where it would leave the image. */
function drawLabel(canvas: Pixels, label: string, xMin: number, yMin: number, size: number, colour: Colour): void {
  const width = (widthOf(label) + 4) * size;
  const height = (glyphHeight + 4) * size;
  const left = Math.max(0, Math.min(xMin, canvas.width - width));
  const top = Math.max(0, yMin - height >= 0 ? yMin - height : yMin);
  fill(canvas, left, top, left + width, top + height, colour);
  const [red, green, blue] = colour;
  const isBright = 0.299 * red + 0.587 * green + 0.114 * blue > 140; // luma, ITU-R BT.601
  const ink: Colour = isBright ? [0, 0, 0] : [255, 255, 255];
  for (const dot of dotsOf(label)) {
    const x = left + (dot.x + 2) * size;
    const y = top + (dot.y + 2) * size;
    fill(canvas, x, y, x + size, y + size, ink);
  }
}
