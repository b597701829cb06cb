/** Images with labeled boxes: the boxes are drawn into the pixels before they are encoded. */
import { Canvas, type Color, glyphHeight, widthOf } from '../drawing/canvas.js';
import { encodePngs } from '../drawing/png-threads.js';
import { describe } from '../errors.js';
import type { ImageOptions } from './image.js';
import { encodedSummary, isEncodedImage } from './image-file.js';
import { type Later, type Numbers, type NumericArray, readNumbers, whenAllRead, whenRead } from './numbers.js';
import { type CanvasPixels, readPixelNumbers, toPixels } from './pixels.js';
import type { PluginSummary } from './plugin-summary.js';

/** Options of addImageWithBoxes. */
export interface BoxesOptions extends ImageOptions {
  /** A text for each box, drawn at its top left corner; boxes with the same text have the same color. Default: no texts. */
  labels?: readonly string[];
}

/** Color-blind readers can distinguish these: Okabe and Ito, https://jfly.uni-koeln.de/color/ (without black). */
const colors: readonly Color[] = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [0, 114, 178],
  [213, 94, 0],
  [204, 121, 167],
];

/**
 * An image with boxes drawn into its pixels, clipped at the image's border.
 *
 * @param boxes n x 4 (or one box): xMin, yMin, xMax, yMax in pixels from the top left corner, each xMin <= xMax and yMin <= yMax
 */
export function boxesSummary(
  image: Numbers | CanvasPixels,
  boxes: Numbers,
  options: BoxesOptions = {},
  call = 'image with boxes',
): Later<PluginSummary> {
  if (isEncodedImage(image)) throw new TypeError(`${call}: expected pixels to draw into, got an encoded image`);
  return whenAllRead(
    [readPixelNumbers(image, call), readNumbers(boxes, `${call}, boxes`)] as const,
    (read: readonly [NumericArray, NumericArray]) => {
      const rectangles = readBoxes(read[1], options.labels, call);
      const { images, remark } = toPixels(read[0], options.layout, call);
      const canvas = Canvas.from(images[0]);
      const size = Math.max(1, Math.round(Math.min(canvas.width, canvas.height) / 300));
      const colorOf = colorPicker();
      for (const [i, [xMin, yMin, xMax, yMax]] of rectangles.entries()) {
        const label = options.labels?.[i];
        const color = colorOf(label ?? String(i));
        drawFrame(canvas, xMin, yMin, xMax, yMax, 2 * size, color);
        if (label) drawLabel(canvas, label, xMin, yMin, size, color);
      }
      const { width, height } = canvas;
      return whenRead(encodePngs([canvas]), (files) => encodedSummary(width, height, files, remark));
    },
  );
}

/** Checks boxes and labels; returns each box's corners, rounded to pixels. */
function readBoxes(
  { values, shape: given }: NumericArray,
  labels: readonly string[] | undefined,
  call: string,
): number[][] {
  const shape = given.length === 1 && given[0] === 4 ? [1, 4] : given;
  const isEmpty = shape.length === 1 && shape[0] === 0;
  if (!isEmpty && (shape.length !== 2 || shape[1] !== 4)) {
    throw new RangeError(`${call}: expected boxes of shape [n, 4], got [${shape.join(', ')}]`);
  }
  const count = values.length / 4;
  if (labels !== undefined && labels.length !== count)
    throw new RangeError(`${call}: expected ${count} labels, got ${labels.length}`);
  return Array.from({ length: count }, (_, i) => {
    const box = Array.from(values.subarray(4 * i, 4 * i + 4));
    const [xMin, yMin, xMax, yMax] = box;
    if (!box.every(Number.isFinite) || xMin > xMax || yMin > yMax) {
      throw new RangeError(`${call}: box ${i}: expected xMin <= xMax and yMin <= yMax, got [${box.join(', ')}]`);
    }
    const label: unknown = labels === undefined ? '' : labels[i];
    if (typeof label !== 'string')
      throw new TypeError(`${call}: label ${i}: expected a string, got ${describe(label)}`);
    return box.map(Math.round);
  });
}

/** Gives every kind of box a color of its own, as long as there are colors. */
function colorPicker(): (kind: string) => Color {
  const picked = new Map<string, Color>();
  return (kind) => {
    const color = picked.get(kind) ?? colors[picked.size % colors.length];
    picked.set(kind, color);
    return color;
  };
}

/** Draws the outline of a box, `line` pixels wide; its right and bottom edge include the pixels at xMax and yMax. */
function drawFrame(
  canvas: Canvas,
  xMin: number,
  yMin: number,
  xMax: number,
  yMax: number,
  line: number,
  color: Color,
): void {
  const [width, height] = [xMax + 1 - xMin, yMax + 1 - yMin];
  canvas.fill(xMin, yMin, width, line, color);
  canvas.fill(xMin, yMax + 1 - line, width, line, color);
  canvas.fill(xMin, yMin, line, height, color);
  canvas.fill(xMax + 1 - line, yMin, line, height, color);
}

/** Draws a label above the box, or inside it if there is no room above, and moved left if it would leave the image. */
function drawLabel(canvas: Canvas, label: string, xMin: number, yMin: number, size: number, color: Color): void {
  const width = (widthOf(label) + 4) * size;
  const height = (glyphHeight + 4) * size;
  const left = Math.max(0, Math.min(xMin, canvas.width - width));
  const top = Math.max(0, yMin - height >= 0 ? yMin - height : yMin);
  canvas.fill(left, top, width, height, color);
  const [red, green, blue] = color;
  const isBright = 0.299 * red + 0.587 * green + 0.114 * blue > 140; // luma, ITU-R BT.601
  canvas.text(label, left + 2 * size, top + 2 * size, isBright ? [0, 0, 0] : [255, 255, 255], size);
}
