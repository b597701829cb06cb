import { printable } from '../errors.js';

/**
 * A Vega-Lite v6 specification that holds its data: plain JSON. Vega-Lite, tfjs-vis, Observable and notebooks draw it as
 * it is; `renderSvg` and `renderPng` draw it in Node.
 */
export interface PlotSpec {
  /** Address of the schema of Vega-Lite v6. */
  readonly $schema: string;
  /** Everything else that Vega-Lite takes. */
  readonly [property: string]: unknown;
}

/** Options of every plot. */
export interface PlotOptions {
  /** Heading above the plot. Default: the plot's metric and kind. */
  title?: string;
  /** A line in gray below the title. Default: none, unless the plot has something to say there. */
  subtitle?: string;
}

const schema = 'https://vega.github.io/schema/vega-lite/v6.json';

/** Color of a series without a split, which is that of neither. */
export const plainColor = '#5e3c99';
/** Color of probe accuracy beside saturation: color-blind readers, too, can tell it from the splits' colors. */
export const probeColor = '#444444';
/** Color of lines that mark a limit. */
export const accentColor = '#b2182b';

/** A legend above the plot, where no line crosses it. */
export const legendOnTop = { title: null, orient: 'top', direction: 'horizontal', offset: 6 } as const;

/** Width of a plot with layers as horizontal positions, in pixels: room for turned names, and at least a phone's screen. */
export function layersWidth(count: number): number {
  return Math.max(320, Math.min(count * 22, 1400));
}

/** Most characters of a name that is drawn whole. */
const longestLabel = 34;
/** Characters at the beginning of a longer name that are drawn. */
const keptHead = 9;

/**
 * A layer name that fits beside an axis. A long one is cut after its beginning, because the names of one network differ
 * at their ends (`encoder/block_3/conv_1`, `encoder/block_3/conv_2`).
 */
export function shortLabel(name: string): string {
  const characters = Array.from(printable(name));
  if (characters.length <= longestLabel) return characters.join('');
  return `${characters.slice(0, keptHead).join('')}…${characters.slice(keptHead + 1 - longestLabel).join('')}`;
}

/**
 * Text from outside as Vega draws it. Control characters, which no SVG document may hold, are escaped; and a zero-width
 * space tells a text from the names that all objects have (`constructor`), which Vega would take for its variables.
 */
export function drawable(text: string): string {
  const shown = printable(text);
  return shown in {} ? `${shown}\u200b` : shown;
}

/** A Vega expression for a label by its position: two layers may have the same (shortened) name. */
export function labelExpression(labels: readonly string[]): string {
  return `${JSON.stringify(labels.map((label) => drawable(shortLabel(label))))}[datum.value]`;
}

/** The horizontal axis of the plots by depth: one position per layer in the order given, with names turned by 90 degrees. */
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

/** A number that JSON can hold: NaN and infinities become null, which Vega-Lite does not draw. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** A whole specification from marks and encodings, in the style that all plots of this package share. */
export function plotSpec(title: string, options: PlotOptions, content: Record<string, unknown>): PlotSpec {
  return {
    $schema: schema,
    background: 'white',
    padding: 12,
    title: {
      text: drawable(options.title ?? title),
      ...(options.subtitle ? { subtitle: drawable(options.subtitle) } : {}),
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

/** @throws RangeError unless there is one value per label */
export function checkLength(plot: string, what: string, length: number, labels: readonly string[]): void {
  if (length !== labels.length) {
    throw new RangeError(`${plot}: expected one of ${what} per label (${labels.length} labels), got ${length}`);
  }
}
