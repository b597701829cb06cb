import { describe, expect, it } from 'vitest';
import { type CustomScalarsLayout, customScalarsSummary } from '../../src/summaries/custom-scalars.js';
import { base64, reference } from '../support/summary-fixtures.js';

const layoutOf = (layout: CustomScalarsLayout) => base64(customScalarsSummary(layout).tensor.stringVal?.[0]);
const charts = [
  { title: 'lines', multiline: ['loss.*', 'acc'] },
  { title: 'band', margin: [{ value: 'm', lower: 'lo', upper: 'up' }] },
];

describe('customScalarsSummary', () => {
  it("has the bytes of TensorBoard's own layout", () => {
    expect(layoutOf({ categories: [{ title: 'all', closed: true, charts }] })).toBe(reference.layout);
  });

  it("reads tensorboardX's form", () => {
    const tuples: CustomScalarsLayout = {
      all: { lines: ['Multiline', ['loss.*', 'acc']], band: ['Margin', ['m', 'lo', 'up']] },
    };
    expect(layoutOf(tuples)).toBe(layoutOf({ categories: [{ title: 'all', charts }] }));
  });

  it.each([
    ['no layout', null, 'expected a layout, got null'],
    ['no title', { categories: [{ charts }] }, 'categories[0].title: expected a text, got undefined'],
    ['no charts', { categories: [{ title: 'a' }] }, 'categories[0].charts: expected an array, got undefined'],
    [
      'an empty chart',
      { categories: [{ title: 'a', charts: [{ title: 'b' }] }] },
      'charts[0]: expected either multiline or margin',
    ],
    [
      'a chart of both kinds',
      { categories: [{ title: 'a', charts: [{ title: 'b', multiline: [], margin: [] }] }] },
      'either multiline or margin',
    ],
    [
      'a margin without its tags',
      { categories: [{ title: 'a', charts: [{ title: 'b', margin: [{ value: 'v' }] }] }] },
      'margin[0].lower: expected a text',
    ],
    ['an unknown kind', { a: { b: ['Bars', ['x']] } }, "a: b: expected ['Multiline', tags] or ['Margin'"],
    ['a margin of 2', { a: { b: ['Margin', ['x', 'y']] } }, 'expected the 3 tags value, lower, upper, got 2'],
  ])('refuses %s', (_, layout, message) => {
    expect(() => customScalarsSummary(layout as CustomScalarsLayout, 'addCustomScalars')).toThrow(message);
    expect(() => customScalarsSummary(layout as CustomScalarsLayout, 'addCustomScalars')).toThrow(/^addCustomScalars/);
  });
});
