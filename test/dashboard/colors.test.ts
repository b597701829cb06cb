import { expect, it } from 'vitest';
import { colorsOf } from '../../src/dashboard/scene.js';
import { runColors, splitColors } from '../../src/view/palette.js';

it('train and val have the same colors in the tab, the report and the dashboard', () => {
  const runs = ['first/train', 'first/val'];
  const outlines = runs.map((name) => ({ name, experiment: 'first', split: name.slice(6) as 'train' | 'val' }));
  for (const isDark of [false, true]) {
    expect(colorsOf(runs, isDark)).toEqual(runColors(outlines, isDark));
    expect(colorsOf([...runs].reverse(), isDark).get('first/val')).toBe(runColors(outlines, isDark).get('first/val'));
  }
  expect(colorsOf(['train', 'val'], false)).toEqual(new Map(Object.entries(splitColors)));
});
