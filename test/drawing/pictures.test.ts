import { describe, expect, it } from 'vitest';
import { Canvas, dotsOf, glyphHeight, glyphWidth, widthOf } from '../../src/drawing/canvas.js';
import { heatMap, viridisColor } from '../../src/drawing/heat-map.js';
import { scatter } from '../../src/drawing/scatter.js';
import { colorAt, countOf, placesOf } from '../support/drawings.js';

describe('a canvas', () => {
  it('is white at first, and is filled only within its edges', () => {
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

  it('writes text in ink, one pixel for each dot of the font', () => {
    const canvas = new Canvas(40, 20);
    canvas.text('0.5', 2, 3);
    const dots = [...dotsOf('0.5')];
    expect(countOf(canvas, [40, 40, 40])).toBe(dots.length);
    for (const { x, y } of dots) expect(colorAt(canvas, 2 + x, 3 + y)).toEqual([40, 40, 40]);
  });
});

const draw = (text: string) => {
  const rows = Array.from({ length: glyphHeight }, () => Array<string>(widthOf(text)).fill('.'));
  for (const { x, y } of dotsOf(text)) rows[y][x] = '#';
  return rows.map((row) => row.join(''));
};

describe('the pixel font', () => {
  it('draws letters one can read', () => {
    expect(draw('Aj')).toEqual([
      '.###.....#.',
      '#...#......',
      '#...#...##.',
      '#...#....#.',
      '#####....#.',
      '#...#.#..#.',
      '#...#..##..',
    ]);
  });

  it('has every printable ASCII character, each in its cell and no two alike', () => {
    const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
    const drawn = printable.map((character) => draw(character).join('\n'));
    expect(new Set(drawn).size).toBe(95);
    for (const character of printable) {
      for (const { x, y } of dotsOf(character)) expect(x < glyphWidth && y < glyphHeight).toBe(true);
    }
  });

  it('draws a question mark for what it lacks', () => {
    expect(draw('é')).toEqual(draw('?'));
    expect(widthOf('né')).toBe(11);
  });
});

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
  const texts = { values: 'saturation', columns: 'epoch' };

  it('draws rows from top to bottom and columns from left to right, each cell in its color, 350 pixels wide', () => {
    const drawing = heatMap(
      new Map([
        ['first', [0.2, 0.4]],
        ['second', [0.6, Number.NaN]],
      ]),
      texts,
    );
    expect(drawing.width).toBe(350);
    expect(drawing.data).toHaveLength(drawing.width * drawing.height * 3);
    // The color bar below the cells may hold a pixel column of the same color.
    const cell = (value: number) => placesOf(drawing, viridisColor(value)).filter(([, y]) => y < 6 + 2 * 16);
    const corner = (places: [number, number][]) => [
      Math.min(...places.map(([x]) => x)),
      Math.min(...places.map(([, y]) => y)),
    ];
    const [a, b, c, gap] = [cell(0.2), cell(0.4), cell(0.6), cell(Number.NaN)];
    const [left, top] = corner(a);
    const right = Math.max(...b.map(([x]) => x)) + 1;
    const middle = corner(b)[0];
    expect(Math.abs(middle - left - (right - middle))).toBeLessThanOrEqual(1);
    expect(right - left).toBeGreaterThan(200);
    expect([a.length, b.length]).toEqual([(middle - left) * 16, (right - middle) * 16]);
    expect([c.length, gap.length]).toEqual([a.length, b.length]);
    expect([corner(b), corner(c), corner(gap)]).toEqual([
      [middle, top],
      [left, top + 16],
      [middle, top + 16],
    ]);
  });

  it('ends shorter rows in gray', () => {
    const drawing = heatMap(
      new Map([
        ['long', [0.1, 0.1, 0.1]],
        ['short', [0.9]],
      ]),
      texts,
    );
    const ofRow = (value: number) => placesOf(drawing, viridisColor(value)).filter(([, y]) => y < 6 + 2 * 16).length;
    expect(countOf(drawing, gray)).toBe(ofRow(0.1) - ofRow(0.9));
  });

  it('keeps its width, and its height while names have room', () => {
    for (const [layers, epochs] of [
      [1, 1],
      [3, 12],
      [16, 100],
      [17, 3000],
      [60, 5],
    ]) {
      const names = Array.from({ length: layers }, (_, row) => `a name of more than twenty letters ${row}`);
      const { width, height } = heatMap(new Map(names.map((name) => [name, Array(epochs).fill(0.5)])), texts);
      expect(width).toBe(350);
      if (layers <= 16) expect(height).toBeLessThanOrEqual(215);
    }
  });

  it('stays a picture with no layers, no epochs, many of both, and names of any kind', () => {
    const many = new Map(
      Array.from({ length: 120 }, (_, row) => [`层/😀/${'deep/'.repeat(30)}${row}`, Array(2000).fill(row / 120)]),
    );
    for (const rows of [new Map(), new Map([['none', []]]), many]) {
      const { data, width, height } = heatMap(rows, { ...texts, firstColumn: 1_000_000 });
      expect(data).toHaveLength(width * height * 3);
      expect([width, height > 0]).toEqual([350, true]);
    }
  });
});

describe('a scatter plot', () => {
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

  it('draws points that are all the same, and an empty list', () => {
    expect(countOf(scatter([0, 0, 0, 0]), dot)).toBe(9);
    const empty = scatter([]);
    expect(countOf(empty, dot)).toBe(0);
    expect(empty.data).toHaveLength(empty.width * empty.height * 3);
  });
});
