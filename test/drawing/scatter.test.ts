import { expect, it } from 'vitest';
import { scatter } from '../../src/drawing/scatter.js';
import { countOf, placesOf } from '../support/drawings.js';

const dot = [33, 102, 172] as const;

/** The middle of a drawing's dots. */
function middle(points: number[]): [number, number] {
  const places = placesOf(scatter(points), dot);
  const mean = (axis: 0 | 1) => places.reduce((sum, place) => sum + place[axis], 0) / places.length;
  return [mean(0), mean(1)];
}

it('puts positive values right of and above the origin, both axes on one scale', () => {
  const [right, level] = middle([4, 0]);
  const [center, up] = middle([0, 4]);
  expect([level, center]).toEqual([200, 200]);
  expect(right - 200).toBe(200 - up);
  expect(right).toBeGreaterThan(300);
  // Beside a point twice as far, a point stands half as far out.
  const places = placesOf(scatter([4, 0, 2, 0]), dot).map(([x]) => x);
  expect(Math.min(...places) + 1 - 200).toBe(Math.round((right - 200) / 2));
});

it('draws every point within the picture, and leaves out those that are not finite', () => {
  const points = [1e30, -1e30, -1e30, 1e30, Number.NaN, 0, 0, Number.POSITIVE_INFINITY];
  expect(countOf(scatter(points), dot)).toBe(18);
});

it('draws points that are all the same, and none', () => {
  expect(countOf(scatter([0, 0, 0, 0]), dot)).toBe(9);
  const empty = scatter([]);
  expect(countOf(empty, dot)).toBe(0);
  expect(empty.data).toHaveLength(empty.width * empty.height * 3);
});
