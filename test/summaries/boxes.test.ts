import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { type BoxesOptions, boxesSummary } from '../../src/summaries/boxes.js';
import type { Numbers } from '../../src/summaries/numbers.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';

const black = (height: number, width: number) => ({ data: new Uint8Array(height * width), shape: [height, width] });

function draw(image: Numbers, boxes: Numbers, options?: BoxesOptions) {
  const png = PNG.sync.read(
    Buffer.from((boxesSummary(image, boxes, options) as PluginSummary).tensor.stringVal?.[2] as Uint8Array),
  );
  const at = (x: number, y: number) =>
    Array.from(png.data.subarray(4 * (y * png.width + x), 4 * (y * png.width + x) + 4));
  const lit = (x: number, y: number) =>
    at(x, y)
      .slice(0, 3)
      .some((value) => value > 0);
  return { png, at, lit };
}

describe('boxesSummary', () => {
  it('draws a frame whose outermost pixels are the corners it was given', () => {
    const { png, lit } = draw(black(20, 30), [[5, 6, 24, 15]]);
    const drawn: [number, number][] = [];
    for (let y = 0; y < png.height; y++) for (let x = 0; x < png.width; x++) if (lit(x, y)) drawn.push([x, y]);
    const xs = drawn.map(([x]) => x);
    const ys = drawn.map(([, y]) => y);
    expect([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]).toEqual([5, 6, 24, 15]);
    expect(lit(14, 10)).toBe(false);
  });

  it("leaves pixels outside the frame and the caller's image as they were", () => {
    const data = Uint8Array.from({ length: 20 * 20 * 3 }, (_, i) => i % 256);
    const before = data.slice();
    const { at } = draw({ data, shape: [20, 20, 3] }, [[8, 8, 19, 19]]);
    expect(data).toEqual(before);
    expect(at(3, 2)).toEqual([...data.subarray(3 * (2 * 20 + 3), 3 * (2 * 20 + 3) + 3), 255]);
  });

  it('clips boxes at the border', () => {
    expect(() =>
      draw(black(10, 10), [
        [-5, -5, 40, 40],
        [100, 100, 200, 200],
        [-1e9, 3, 1e9, 5],
      ]),
    ).not.toThrow();
  });

  it('writes labels in dark ink above their boxes, and gives equal labels one color', () => {
    const { at, lit } = draw(
      black(60, 80),
      [
        [10, 30, 40, 50],
        [50, 30, 70, 50],
        [10, 52, 20, 58],
      ],
      { labels: ['cat', 'dog', 'cat'] },
    );
    expect(lit(11, 20)).toBe(true);
    expect(at(10, 40)).toEqual([230, 159, 0, 255]);
    expect(at(50, 40)).toEqual([86, 180, 233, 255]);
    expect(at(10, 55)).toEqual([230, 159, 0, 255]);
    expect(at(13, 21)).toEqual(expect.arrayContaining([255]));
  });

  it('keeps labels inside the image', () => {
    const { at } = draw(black(30, 60), [[50, 0, 59, 20]], { labels: ['right'] });
    expect([at(26, 5), at(27, 5)]).toEqual([
      [0, 0, 0, 255],
      [230, 159, 0, 255],
    ]);
  });

  it('takes no boxes, and gray images with and without alpha', () => {
    expect(draw(black(3, 3), []).png.width).toBe(3);
    expect(draw({ data: Uint8Array.of(9, 100), shape: [1, 1, 2] }, []).at(0, 0)).toEqual([9, 9, 9, 100]);
  });

  it.each([
    ['corners the wrong way round', [[5, 5, 1, 9]], {}, 'box 0: expected xMin <= xMax'],
    ['NaN', [[Number.NaN, 0, 1, 1]], {}, 'box 0'],
    ['three numbers', [[1, 2, 3]], {}, 'expected boxes of shape [n, 4], got [1, 3]'],
    ['fewer labels', [[0, 0, 1, 1]], { labels: [] }, 'expected 1 labels, got 0'],
    ['a label that is no text', [[0, 0, 1, 1]], { labels: [3] }, 'label 0: expected a string, got number 3'],
  ])('refuses %s', (_, boxes, options, message) => {
    expect(() => boxesSummary(black(9, 9), boxes, options as BoxesOptions, 'boxes "b"')).toThrow(message);
    expect(() => boxesSummary(black(9, 9), boxes, options as BoxesOptions, 'boxes "b"')).toThrow(/^boxes "b"/);
  });

  it('refuses an encoded image', () => {
    expect(() => boxesSummary({ encoded: new Uint8Array(4) } as never, [])).toThrow(TypeError);
  });
});
