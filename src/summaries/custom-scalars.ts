/** The layout of TensorBoard's custom scalars dashboard: which scalar tags its charts show together. */
import { tryDecodeMessage } from '../encoding/protobuf.js';
import { describe } from '../errors.js';
import type { CustomScalarsValue, TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { stringTensor } from './tensor.js';

/** A chart with a line for every scalar tag of every run that matches one of several regular expressions. */
export interface MultilineChart {
  /** Shown above the chart. */
  readonly title: string;
  /** Regular expressions in Python's syntax; a tag that contains no special characters matches itself. */
  readonly multiline: readonly string[];
}

/** A chart with a line and a filled margin around it, for each of several series. */
export interface MarginChart {
  /** Shown above the chart. */
  readonly title: string;
  /** Three scalar tags for each series: of the line, and of the margin's lower and upper edge. */
  readonly margin: readonly { readonly value: string; readonly lower: string; readonly upper: string }[];
}

/** A group of charts. */
export interface ChartCategory {
  /** Shown above the charts. */
  readonly title: string;
  /** The charts in their order. */
  readonly charts: readonly (MultilineChart | MarginChart)[];
  /** Whether the group is collapsed at first. Default: false. */
  readonly closed?: boolean;
}

/**
 * What TensorBoard's custom scalars dashboard shows; the layouts of all runs are merged. The form of tensorboardX and torch
 * is accepted, too: `{ category: { chart: ['Multiline', tags] | ['Margin', [value, lower, upper]] } }`.
 */
export type CustomScalarsLayout =
  | { readonly categories: readonly ChartCategory[] }
  | { readonly [category: string]: { readonly [chart: string]: readonly ['Multiline' | 'Margin', readonly string[]] } };

/** The tag under which TensorBoard looks for the layout. */
export const customScalarsTag = 'custom_scalars__config__';

/**
 * A layout as TensorBoard stores it, to be written under `customScalarsTag`.
 *
 * @throws TypeError or RangeError that names the part of the layout that is wrong
 */
export function customScalarsSummary(layout: CustomScalarsLayout, what = 'custom scalars'): PluginSummary {
  const category = readCategories(layout, what).map(({ title, charts, closed }) => ({
    title,
    closed: closed === true,
    chart: charts.map(chartProto),
  }));
  return {
    plugin: 'custom_scalars',
    dataClass: DataClass.tensor,
    tensor: stringTensor([tensorboard.Layout.encode({ category }).finish()], []),
  };
}

function chartProto(chart: MultilineChart | MarginChart): tensorboard.IChart {
  const { title } = chart;
  if ('multiline' in chart) return { title, multiline: { tag: [...chart.multiline] } };
  return { title, margin: { series: chart.margin.map(({ value, lower, upper }) => ({ value, lower, upper })) } };
}

function readCategories(layout: CustomScalarsLayout, what: string): readonly ChartCategory[] {
  if (typeof layout !== 'object' || layout === null)
    throw new TypeError(`${what}: expected a layout, got ${describe(layout)}`);
  if (Array.isArray(layout.categories)) {
    return layout.categories.map((category: ChartCategory, i) => {
      const where = `${what}: categories[${i}]`;
      checkText(category.title, `${where}.title`);
      if (!Array.isArray(category.charts))
        throw new TypeError(`${where}.charts: expected an array, got ${describe(category.charts)}`);
      for (const [j, chart] of category.charts.entries()) checkChart(chart, `${where}.charts[${j}]`);
      return category;
    });
  }
  return Object.entries(layout).map(([title, charts]) => {
    if (typeof charts !== 'object' || charts === null)
      throw new TypeError(`${what}: ${title}: expected charts, got ${describe(charts)}`);
    return {
      title,
      charts: Object.entries(charts).map(([name, chart]) => fromTuple(name, chart, `${what}: ${title}: ${name}`)),
    };
  });
}

function fromTuple(title: string, chart: unknown, where: string): MultilineChart | MarginChart {
  const [kind, tags] = Array.isArray(chart) ? chart : [];
  if ((kind !== 'Multiline' && kind !== 'Margin') || !Array.isArray(tags)) {
    throw new TypeError(
      `${where}: expected ['Multiline', tags] or ['Margin', [value, lower, upper]], got ${describe(chart)}`,
    );
  }
  for (const tag of tags) checkText(tag, where);
  if (kind === 'Multiline') return { title, multiline: tags };
  if (tags.length !== 3) throw new RangeError(`${where}: expected the 3 tags value, lower, upper, got ${tags.length}`);
  return { title, margin: [{ value: tags[0], lower: tags[1], upper: tags[2] }] };
}

function checkChart(chart: MultilineChart | MarginChart, where: string): void {
  checkText(chart?.title, `${where}.title`);
  const { multiline, margin } = chart as Partial<MultilineChart & MarginChart>;
  if (Array.isArray(multiline) === Array.isArray(margin)) {
    throw new TypeError(
      `${where}: expected either multiline or margin to be an array, got ${describe(multiline ?? margin)}`,
    );
  }
  for (const [i, tag] of multiline?.entries() ?? []) checkText(tag, `${where}.multiline[${i}]`);
  for (const [i, series] of margin?.entries() ?? []) {
    for (const key of ['value', 'lower', 'upper'] as const) checkText(series?.[key], `${where}.margin[${i}].${key}`);
  }
}

function checkText(text: unknown, where: string): void {
  if (typeof text !== 'string' || text === '') throw new TypeError(`${where}: expected a text, got ${describe(text)}`);
}

/** The layout in a custom scalars tensor. */
export function decodeCustomScalars(tensor: TensorValue): CustomScalarsValue | undefined {
  if (tensor.dtype !== 'string' || tensor.data.length !== 1) return undefined;
  const layout = tryDecodeMessage(tensorboard.Layout, tensor.data[0] as Uint8Array);
  if (!layout) return undefined;
  const categories = (layout.category ?? []).map(({ chart, closed, title }) => ({
    title: title ?? '',
    ...(closed ? { closed } : undefined),
    charts: (chart ?? []).map(readChart),
  }));
  return { ...tensor, layout: { categories } };
}

function readChart(chart: tensorboard.IChart): CustomScalarsValue['layout']['categories'][number]['charts'][number] {
  const title = chart.title ?? '';
  if (!chart.margin) return { title, multiline: chart.multiline?.tag ?? [] };
  const margin = (chart.margin.series ?? []).map(({ lower, upper, value }) => ({
    value: value ?? '',
    lower: lower ?? '',
    upper: upper ?? '',
  }));
  return { title, margin };
}
