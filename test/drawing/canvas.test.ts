import { expect, it } from 'vitest';
import { Canvas, dotsOf } from '../../src/drawing/canvas.js';
import { colorAt, countOf } from '../support/drawings.js';

it('is white at first, and filled where it is told to, within its edges', () => {
  const canvas = new Canvas(5, 4);
  expect(countOf(canvas, [255, 255, 255])).toBe(20);
  canvas.fill(3, -1, 10, 3, [1, 2, 3]);
  expect(countOf(canvas, [1, 2, 3])).toBe(4);
  expect([colorAt(canvas, 3, 0), colorAt(canvas, 4, 1), colorAt(canvas, 3, 2)]).toEqual([
    [1, 2, 3],
    [1, 2, 3],
    [255, 255, 255],
  ]);
  canvas.fill(-5, 0, 5, 4, [9, 9, 9]);
  expect(countOf(canvas, [9, 9, 9])).toBe(0);
});

it('writes text in ink, a dot of the font a pixel', () => {
  const canvas = new Canvas(40, 20);
  canvas.text('0.5', 2, 3);
  const dots = [...dotsOf('0.5')];
  expect(countOf(canvas, [40, 40, 40])).toBe(dots.length);
  for (const { x, y } of dots) expect(colorAt(canvas, 2 + x, 3 + y)).toEqual([40, 40, 40]);
});
