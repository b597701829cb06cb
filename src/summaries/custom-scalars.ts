/** The layout of TensorBoard's custom scalars dashboard: which scalar tags its charts show together. */
import { encodeMessage, tryDecodeMessage } from '../encoding/message-codec.js';
import { describe } from '../errors.js';
import type { CustomScalarsValue, TensorValue } from '../event/event.js';
import { checkMessage } from '../event/messages.js';
import { tensorboard } from '../proto/tensorboard.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { stringTensor } from './tensor.js';

/** A chart with a line for every scalar tag of every run that matches one of several regular expressions. */
export interface MultilineChart {
  /** Shown above the chart. */
  readonly title: string;
  /** Regular expressions in Python's syntax. */
  readonly multiline: readonly string[];
}

/** The scalar tags of one series of a MarginChart. */
export interface MarginSeries {
  /** Tag of the line. */
  readonly value: string;
  /** Tag of the margin's lower edge. */
  readonly lower: string;
  /** Tag of the margin's upper edge. */
  readonly upper: string;
}

/** A chart with a line and a filled margin around it, for each of several series. */
export interface MarginChart {
  /** Shown above the chart. */
  readonly title: string;
  /** The series, in the order in which they are drawn. */
  readonly margin: readonly MarginSeries[];
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
  | {
      /** The groups of charts in their order. */
      readonly categories: readonly ChartCategory[];
    }
  | { readonly [category: string]: { readonly [chart: string]: readonly ['Multiline' | 'Margin', readonly string[]] } };

/** The tag under which TensorBoard looks for the layout. */
export const customScalarsTag = 'custom_scalars__config__';

/**
 * A layout as TensorBoard stores it, to be written under `customScalarsTag`.
 *
 * @throws TypeError or RangeError that names the part of the layout that is wrong
 */
export function customScalarsSummary(layout: CustomScalarsLayout, call = 'custom scalars'): PluginSummary {
  const category = readCategories(layout, call).map(({ title, charts, closed }) => ({
    title,
    closed: closed === true,
    chart: charts.map(chartProto),
  }));
  return {
    plugin: 'custom_scalars',
    dataClass: DataClass.tensor,
    tensor: stringTensor([encodeMessage(tensorboard.Layout, { category })], []),
  };
}

function chartProto(chart: MultilineChart | MarginChart): tensorboard.IChart {
  const { title } = chart;
  if ('multiline' in chart) return { title, multiline: { tag: [...chart.multiline] } };
  return { title, margin: { series: chart.margin.map(({ value, lower, upper }) => ({ value, lower, upper })) } };
}

function readCategories(layout: CustomScalarsLayout, call: string): readonly ChartCategory[] {
  if (typeof layout !== 'object' || layout === null)
    throw new TypeError(`${call}: expected a layout, got ${describe(layout)}`);
  if (Array.isArray(layout.categories)) {
    return layout.categories.map((category: ChartCategory, i) => {
      const path = `${call}: categories[${i}]`;
      checkText(category.title, `${path}.title`);
      if (!Array.isArray(category.charts))
        throw new TypeError(`${path}.charts: expected an array, got ${describe(category.charts)}`);
      for (const [j, chart] of category.charts.entries()) checkChart(chart, `${path}.charts[${j}]`);
      return category;
    });
  }
  return Object.entries(layout).map(([title, charts]) => {
    if (typeof charts !== 'object' || charts === null)
      throw new TypeError(`${call}: ${title}: expected charts, got ${describe(charts)}`);
    return {
      title,
      charts: Object.entries(charts).map(([name, chart]) => fromTuple(name, chart, `${call}: ${title}: ${name}`)),
    };
  });
}

function fromTuple(title: string, chart: unknown, path: string): MultilineChart | MarginChart {
  const [kind, tags] = Array.isArray(chart) ? chart : [];
  if ((kind !== 'Multiline' && kind !== 'Margin') || !Array.isArray(tags)) {
    throw new TypeError(
      `${path}: expected ['Multiline', tags] or ['Margin', [value, lower, upper]], got ${describe(chart)}`,
    );
  }
  for (const tag of tags) checkText(tag, path);
  if (kind === 'Multiline') return { title, multiline: tags };
  if (tags.length !== 3) throw new RangeError(`${path}: expected the 3 tags value, lower, upper, got ${tags.length}`);
  return { title, margin: [{ value: tags[0], lower: tags[1], upper: tags[2] }] };
}

function checkChart(chart: MultilineChart | MarginChart, path: string): void {
  checkText(chart?.title, `${path}.title`);
  const { multiline, margin } = chart as Partial<MultilineChart & MarginChart>;
  if (Array.isArray(multiline) === Array.isArray(margin)) {
    throw new TypeError(
      `${path}: expected either multiline or margin to be an array, got ${describe(multiline ?? margin)}`,
    );
  }
  for (const [i, tag] of multiline?.entries() ?? []) checkText(tag, `${path}.multiline[${i}]`);
  for (const [i, series] of margin?.entries() ?? []) {
    for (const key of ['value', 'lower', 'upper'] as const) checkText(series?.[key], `${path}.margin[${i}].${key}`);
  }
}

function checkText(text: unknown, path: string): void {
  if (typeof text !== 'string' || text === '') throw new TypeError(`${path}: expected a text, got ${describe(text)}`);
}

/**
 * Checks a tensor of the plugin's.
 *
 * @throws RangeError if it holds no layout under the tag of the layout: TensorBoard merges the layouts of all runs, and
 * would show none
 */
export function checkLayout({ data, dtype }: TensorValue, tag: string): void {
  if (tag !== customScalarsTag) return;
  if (dtype !== 'string' || data.length !== 1) throw new RangeError('expected a layout, got another tensor');
  checkMessage('Layout', data[0] as Uint8Array);
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
