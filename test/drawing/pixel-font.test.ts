import { describe, expect, it } from 'vitest';
import { dotsOf, glyphHeight, glyphWidth, widthOf } from '../../src/drawing/canvas.js';

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
