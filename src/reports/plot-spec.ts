/**
 * A Vega-Lite v6 specification that contains its data: plain JSON. Vega-Lite, tfjs-vis, Observable and notebooks draw it
 * as it is; `renderSvg` and `renderPng` draw it in Node.
 */
export interface PlotSpec {
  /** URL of the schema that the specification follows. */
  readonly $schema: string;
  readonly [property: string]: unknown;
}

/** Options that every plot has. */
export interface PlotOptions {
  /** Title above the plot. Default: the plot's metric. */
  title?: string;
  /** A gray line of text below the title. */
  subtitle?: string;
}

/** A number that JSON can hold: NaN and infinities become null, which Vega-Lite leaves out of the plot. */
export type Finite = number | null;

const schema = 'https://vega.github.io/schema/vega-lite/v6.json';

/** The colors of training and validation: those of TensorBoard's first two runs, darkened to be readable on white. */
export const splitColors = { train: '#d95f0e', val: '#2166ac' } as const;
/** The color of a series that has no split. */
export const plainColor = '#2166ac';
/** The color of probe accuracy: distinct from the colors of both splits, also for color-blind readers. */
export const probeColor = '#444444';
/** The color of lines that mark a limit. */
export const accentColor = '#b2182b';

/** A legend above the plot, where no line crosses it. */
export const legendOnTop = { title: null, orient: 'top', direction: 'horizontal', offset: 6 } as const;

/** Width of a plot with layers on its horizontal axis: wide enough for vertical names, and at least a phone's screen. */
export function layersWidth(count: number): number {
  return Math.max(320, Math.min(count * 22, 1400));
}

/** Length of the longest name that is drawn in full. */
const longestLabel = 34;
/** Number of characters that are kept of the beginning of a longer name. */
const keptHead = 9;

/**
 * A layer name that fits beside an axis. A long name is shortened in its middle, because the names of one network differ
 * at their ends (`encoder/block_3/conv_1`, `encoder/block_3/conv_2`).
 */
export function shortLabel(name: string): string {
  if (name.length <= longestLabel) return name;
  return `${name.slice(0, keptHead)}…${name.slice(keptHead + 1 - longestLabel)}`;
}

/** A Vega expression that finds a label by its position: two layers may have the same (shortened) name. */
export function labelExpression(labels: readonly string[]): string {
  return `${JSON.stringify(labels.map(shortLabel))}[datum.value]`;
}

/** The horizontal axis of every plot by depth: one position per layer in the given order, names rotated by 90 degrees. */
export function layerAxis(labels: readonly string[]): Record<string, unknown> {
  return {
    field: 'layer',
    type: 'ordinal',
    sort: null,
    scale: { domain: labels.map((_, index) => index) },
    axis: {
      title: null,
      labelAngle: -90,
      labelLimit: 0,
      labelOverlap: false,
      labelExpr: labelExpression(labels),
      grid: false,
    },
  };
}

export function finite(value: number): Finite {
  return Number.isFinite(value) ? value : null;
}

/** Wraps marks and encodings into a whole specification in the style that all plots share. */
export function plotSpec(title: string, options: PlotOptions, content: Record<string, unknown>): PlotSpec {
  return {
    $schema: schema,
    background: 'white',
    padding: 12,
    title: {
      text: options.title ?? title,
      ...(options.subtitle ? { subtitle: options.subtitle } : {}),
      anchor: 'start',
      offset: 12,
    },
    config: {
      font: 'DejaVu Sans, Verdana, sans-serif',
      title: { fontSize: 15, fontWeight: 600, subtitleFontSize: 12, subtitleColor: '#555' },
      axis: {
        labelFontSize: 11,
        titleFontSize: 12,
        titleFontWeight: 'normal',
        gridColor: '#e6e6e6',
        tickColor: '#999',
      },
      legend: { labelFontSize: 11, titleFontSize: 11, titleFontWeight: 'normal' },
      view: { stroke: '#ccc' },
    },
    ...content,
  };
}

/** @throws RangeError if a plot has not one value per label */
export function checkLength(plot: string, what: string, length: number, labels: readonly string[]): void {
  if (length !== labels.length) {
    throw new RangeError(`${plot}: expected one of ${what} per label (${labels.length} labels), got ${length}`);
  }
}
