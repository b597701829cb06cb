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

/**
 * Draws values in [0, 1] as rows of cells: each row's name on its left and its last value on its right, the number of the
 * first and of the last column below, and a color bar.
 *
 * @param rows values by the row's name, the first row on top; missing cells of shorter rows are gray
 * @param firstColumn the number of the first column
 */
export function heatMap(rows: ReadonlyMap<string, readonly number[]>, firstColumn = 1): Pixels {
  const columns = Math.max(1, ...[...rows.values()].map((row) => row.length));
  const cellHeight = rows.size > 40 ? glyphHeight + 2 : 16;
  const cellWidth = Math.max(3, Math.min(24, Math.floor(720 / columns)));
  const names = [...rows.keys()].map((name) => (name.length > 40 ? `...${name.slice(-37)}` : name));
  const left = margin * 2 + Math.max(0, ...names.map(widthOf));
  const right = margin * 2 + widthOf('0.000');
  const bottom = margin * 3 + glyphHeight * 2 + 8;
  const width = Math.max(left + columns * cellWidth + right, left + 160);
  const height = margin + Math.max(1, rows.size) * cellHeight + bottom;
  const canvas = new Canvas(width, height);
  const middle = Math.floor((cellHeight - glyphHeight) / 2);
  let y = margin;
  for (const [index, row] of [...rows.values()].entries()) {
    canvas.text(names[index], left - margin - widthOf(names[index]), y + middle);
    for (let column = 0; column < columns; column++) {
      canvas.fill(left + column * cellWidth, y, cellWidth, cellHeight, viridisColor(row[column] ?? Number.NaN));
    }
    const last = row[row.length - 1] ?? Number.NaN;
    canvas.text(Number.isNaN(last) ? 'NaN' : last.toFixed(3), left + columns * cellWidth + margin, y + middle);
    y += cellHeight;
  }
  canvas.text(String(firstColumn), left, y + margin);
  const end = String(firstColumn + columns - 1);
  if (columns > 1) canvas.text(end, left + columns * cellWidth - widthOf(end), y + margin);
  drawBar(canvas, left, y + margin * 2 + glyphHeight);
  return canvas;
}

function drawBar(canvas: Canvas, left: number, top: number): void {
  const length = 100;
  canvas.text('0', left, top);
  const from = left + widthOf('0') + margin;
  for (let x = 0; x < length; x++) canvas.fill(from + x, top, 1, glyphHeight, viridisColor(x / (length - 1)));
  canvas.text('1', from + length + margin, top);
}
