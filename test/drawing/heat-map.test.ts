import { describe, expect, it } from 'vitest';
import { heatMap, viridisColor } from '../../src/drawing/heat-map.js';
import { countOf, placesOf } from '../support/drawings.js';

const gray = [190, 190, 190] as const;

describe('viridisColor', () => {
  it('goes from dark violet over green to yellow, through the published colors', () => {
    // Matplotlib's viridis at 0, 1/2 and 1.
    expect(viridisColor(0)).toEqual([68, 1, 84]);
    expect(viridisColor(0.5)).toEqual([33, 144, 141]);
    expect(viridisColor(1)).toEqual([253, 231, 37]);
    expect(viridisColor(1 / 16)).toEqual([70, 23, 103]);
  });

  it('draws what lies outside as the nearest end, and NaN as gray', () => {
    expect([viridisColor(-1), viridisColor(2), viridisColor(Number.NaN)]).toEqual([
      [68, 1, 84],
      [253, 231, 37],
      [...gray],
    ]);
  });
});

describe('heatMap', () => {
  it('draws rows from top to bottom and columns from left to right, each cell in its color', () => {
    const drawing = heatMap(
      new Map([
        ['first', [0.2, 0.4]],
        ['second', [0.6, Number.NaN]],
      ]),
    );
    expect(drawing.data).toHaveLength(drawing.width * drawing.height * 3);
    // The color bar below the cells may hold a pixel column of the same color.
    const cell = (value: number) => placesOf(drawing, viridisColor(value)).filter(([, y]) => y < 6 + 2 * 16);
    const corner = (places: [number, number][]) => [
      Math.min(...places.map(([x]) => x)),
      Math.min(...places.map(([, y]) => y)),
    ];
    const [a, b, c, gap] = [cell(0.2), cell(0.4), cell(0.6), cell(Number.NaN)];
    for (const places of [a, b, c, gap]) expect(places).toHaveLength(24 * 16);
    const [left, top] = corner(a);
    expect(corner(b)).toEqual([left + 24, top]);
    expect(corner(c)).toEqual([left, top + 16]);
    expect(corner(gap)).toEqual([left + 24, top + 16]);
  });

  it('ends shorter rows in gray', () => {
    const drawing = heatMap(
      new Map([
        ['long', [0.1, 0.1, 0.1]],
        ['short', [0.9]],
      ]),
    );
    expect(countOf(drawing, gray)).toBe(2 * 24 * 16);
  });

  it('stays a picture with no layers, no epochs, many of both, and names of any kind', () => {
    const many = new Map(
      Array.from({ length: 120 }, (_, row) => [`层/😀/${'deep/'.repeat(30)}${row}`, Array(2000).fill(row / 120)]),
    );
    for (const rows of [new Map(), new Map([['none', []]]), many]) {
      const { data, width, height } = heatMap(rows, 1_000_000);
      expect(data).toHaveLength(width * height * 3);
      expect(Math.min(width, height)).toBeGreaterThan(0);
    }
    const { width } = heatMap(many);
    expect(width).toBeLessThan(2000 * 3 + 400);
  });
});
