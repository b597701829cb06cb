/**
 * A Vega-Lite v6 specification with its data inside: plain JSON. Vega-Lite, tfjs-vis, Observable and notebooks draw
 * it as it is; `renderSvg` and `renderPng` draw it in Node.
 */
export interface PlotSpec {
  readonly $schema: string;
  readonly [property: string]: unknown;
}

/** What every plot has in common. */
export interface PlotOptions {
  /** Above the plot; each plot writes its metric there when omitted. */
  title?: string;
  /** A line in grey below the title. */
  subtitle?: string;
}

/** A number that JSON can hold: NaN and infinities become null, which Vega-Lite leaves out of the plot. */
export type Finite = number | null;

const schema = 'https://vega.github.io/schema/vega-lite/v6.json';

/** Train and validation, in the colours of TensorBoard's first two runs turned readable on white. */
export const splitColors = { train: '#d95f0e', val: '#2166ac' } as const;
/** One series that has no split. */
export const plainColor = '#2166ac';
/** Probe accuracy beside saturation: apart from both splits' colours, also for the colour-blind. */
export const probeColor = '#444444';
/** Lines that mark a limit. */
export const accentColor = '#b2182b';

/** Above the plot, where no line can run through it. */
export const legendOnTop = { title: null, orient: 'top', direction: 'horizontal', offset: 6 } as const;

/** Layers as horizontal positions: wide enough for turned names, never narrower than a phone's screen. */
export function layersWidth(count: number): number {
  return Math.max(320, Math.min(count * 22, 1400));
}

/** Longest name that is drawn whole. */
const longestLabel = 34;
/** Characters kept of a longer name's beginning. */
const keptHead = 9;

/**
 * A layer name that fits beside an axis. A long one gives way after its beginning, because the names of one network
 * differ at their ends (`encoder/block_3/conv_1`, `encoder/block_3/conv_2`).
 */
export function shortLabel(name: string): string {
  if (name.length <= longestLabel) return name;
  return `${name.slice(0, keptHead)}…${name.slice(keptHead + 1 - longestLabel)}`;
}

/** Vega expression that finds a label by position: two layers may have the same (shortened) name. */
export function labelExpression(labels: readonly string[]): string {
  return `${JSON.stringify(labels.map(shortLabel))}[datum.value]`;
}

/** The horizontal axis of every plot by depth: one place per layer in the order given, names turned by 90 degrees. */
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

/** Wraps marks and encodings into a whole specification with the house's look. */
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

/** Throws a RangeError when a plot's values and labels do not belong together. */
export function checkLength(plot: string, what: string, length: number, labels: readonly string[]): void {
  if (length !== labels.length) {
    throw new RangeError(`${plot}: expected one of ${what} per label (${labels.length} labels), got ${length}`);
  }
}
