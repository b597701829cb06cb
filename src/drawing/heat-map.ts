/** Draws a table of values as a heat map in viridis: rows of cells with their names and a color bar. */
import { Canvas, type Color, glyphHeight, widthOf } from './canvas.js';
import type { Pixels } from './png.js';

/** Viridis at 0, 1/8, ... 1 (Smith and van der Walt, https://bids.github.io/colormap/, CC0), interpolated linearly. */
const viridis: readonly (readonly [number, number, number])[] = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

const margin = 6;

/** The color of a value in [0, 1]; values outside get the color of the nearest end, NaN gets gray. */
export function viridisColor(value: number): Color {
  if (Number.isNaN(value)) return [190, 190, 190];
  const at = Math.min(1, Math.max(0, value)) * (viridis.length - 1);
  const low = Math.min(Math.floor(at), viridis.length - 2);
  const weight = at - low;
  const mixed = viridis[low].map((channel, index) =>
    Math.round(channel + (viridis[low + 1][index] - channel) * weight),
  );
  return mixed as unknown as Color;
}

/** TensorBoard shows pictures 350 pixels wide: another width would make it drop or double columns of the font's pixels. */
const width = 350;
/** As high as TensorBoard's cards show a picture without a click, if the rows leave room for their names. */
const usualHeight = 215;
const maxName = 20;

/** What is written beside the cells. */
export interface HeatMapTexts {
  /** What the values are, beside the color bar. */
  readonly values: string;
  /** What the columns are, below them. */
  readonly columns: string;
  /** The number of the first column. Default 1. */
  readonly firstColumn?: number;
}

/**
 * Draws values in [0, 1] as rows of cells, 350 pixels wide: each row's name on its left and its last value on its right, the
 * number of the first and of the last column below, and a color bar. If there are more columns than pixels for them, a pixel
 * has the color of one of its columns.
 *
 * @param rows values by the row's name, the first row on top; missing cells of shorter rows are gray
 */
export function heatMap(rows: ReadonlyMap<string, readonly number[]>, texts: HeatMapTexts): Pixels {
  const columns = Math.max(1, ...[...rows.values()].map((row) => row.length));
  const top = margin;
  const bottom = margin * 3 + glyphHeight * 2;
  const room = Math.floor((usualHeight - top - bottom) / Math.max(1, rows.size));
  const cellHeight = Math.max(glyphHeight + 2, Math.min(16, room));
  const names = [...rows.keys()].map((name) => (name.length > maxName ? `...${name.slice(3 - maxName)}` : name));
  const left = margin * 2 + Math.max(widthOf(texts.values), ...names.map(widthOf));
  const right = width - margin * 2 - widthOf('0.000');
  const height = top + Math.max(1, rows.size) * cellHeight + bottom;
  const canvas = new Canvas(width, height);
  const middle = Math.floor((cellHeight - glyphHeight) / 2);
  const edge = (column: number) => left + Math.round((column * (right - left)) / columns);
  let y = top;
  for (const [index, row] of [...rows.values()].entries()) {
    canvas.text(names[index], left - margin - widthOf(names[index]), y + middle);
    for (let column = 0; column < columns; column++) {
      const cellWidth = edge(column + 1) - edge(column);
      if (cellWidth > 0) canvas.fill(edge(column), y, cellWidth, cellHeight, viridisColor(row[column] ?? Number.NaN));
    }
    const last = row[row.length - 1] ?? Number.NaN;
    canvas.text(Number.isNaN(last) ? 'NaN' : last.toFixed(3), right + margin, y + middle);
    y += cellHeight;
  }
  const { firstColumn = 1 } = texts;
  const [first, end] = [String(firstColumn), String(firstColumn + columns - 1)];
  y += margin;
  canvas.text(first, left, y);
  if (columns > 1) canvas.text(end, right - widthOf(end), y);
  const middleOfAxis = Math.round((left + right - widthOf(texts.columns)) / 2);
  canvas.text(texts.columns, middleOfAxis, y);
  drawBar(canvas, left, right, y + glyphHeight + margin, texts.values);
  return canvas;
}

/** A color bar between 0 and 1, with the name of what it shows before it. */
function drawBar(canvas: Canvas, left: number, right: number, top: number, name: string): void {
  canvas.text(name, left - margin - widthOf(name), top);
  canvas.text('0', left, top);
  const from = left + widthOf('0') + margin;
  const length = Math.max(1, Math.min(120, right - widthOf('1') - margin - from));
  for (let x = 0; x < length; x++) canvas.fill(from + x, top, 1, glyphHeight, viridisColor(x / (length - 1)));
  canvas.text('1', from + length + margin, top);
}
