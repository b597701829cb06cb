/** Draws points in the plane as a scatter plot. */
import { Canvas, type Color, glyphHeight, widthOf } from './canvas.js';
import type { Pixels } from './png.js';

const size = 400;
const margin = 30;
const axisColor: Color = [210, 210, 210];
const dotColor: Color = [33, 102, 172];

/**
 * Draws points in the plane, both axes on one scale, with lines through the origin and the range at the edges.
 *
 * @param points n x 2, row-major; points that are not finite are left out
 */
export function scatter(points: ArrayLike<number>): Pixels {
  let reach = 0;
  for (let i = 0; i < points.length; i++) if (Number.isFinite(points[i])) reach = Math.max(reach, Math.abs(points[i]));
  const canvas = new Canvas(size, size);
  const half = size / 2;
  canvas.fill(margin, half, size - 2 * margin, 1, axisColor);
  canvas.fill(half, margin, 1, size - 2 * margin, axisColor);
  const scale = reach === 0 ? 0 : (half - margin - 3) / reach;
  for (let i = 0; i + 1 < points.length; i += 2) {
    if (!Number.isFinite(points[i]) || !Number.isFinite(points[i + 1])) continue;
    canvas.fill(Math.round(half + points[i] * scale) - 1, Math.round(half - points[i + 1] * scale) - 1, 3, 3, dotColor);
  }
  const range = reach.toPrecision(3);
  canvas.text(range, size - margin - widthOf(range), half + 6);
  canvas.text(`-${range}`, margin, half + 6);
  canvas.text('axis 1', size - margin - widthOf('axis 1'), half - glyphHeight - 4);
  canvas.text('axis 2', half + 6, margin);
  return canvas;
}
