import { drawSvg } from '#platform';
import { describe, MissingRendererError, messageOf } from '../errors.js';
import { allowsCode, expressionEvaluator } from './expressions.js';
import type { PlotSpec } from './plot-spec.js';

/** What is used of the package vega. */
interface VegaModule {
  parse(spec: never, config?: object, options?: { ast: boolean }): unknown;
  View: new (runtime: never, options: object) => { toSVG(): Promise<string>; finalize(): unknown };
  textMetrics?: TextMetrics;
}

/** What is used of the package vega-lite. */
interface VegaLiteModule {
  compile(spec: never, options: object): { spec: unknown };
}

/** The packages that draw. A page passes them, because its bundler cannot follow the imports that Node makes. */
export interface Renderers {
  /** The package vega: `import * as vega from 'vega'`. Default: it is imported on the first call. */
  vega?: object;
  /** The package vega-lite: `import * as vegaLite from 'vega-lite'`. Default: it is imported on the first call. */
  vegaLite?: object;
}

/**
 * Imports an optional package by a variable name with marks for bundlers, which would fail without the package otherwise.
 *
 * @param needed all packages that the caller needs, for the error
 * @throws MissingRendererError if it is not installed
 */
export async function loadRenderer(packageName: string, needed?: readonly string[]): Promise<object> {
  try {
    return await import(/* @vite-ignore */ /* webpackIgnore: true */ packageName);
  } catch (cause) {
    throw new MissingRendererError(packageName, { cause, needed });
  }
}

/**
 * Draws a plot as an SVG document, without a display or a canvas. In Node the packages vega and vega-lite are imported on
 * the first call; a page passes them: `renderSvg(spec, { vega, vegaLite })`.
 *
 * @throws MissingRendererError if one of them is not installed
 */
export function renderSvg(spec: PlotSpec, renderers: Renderers = {}): Promise<string> {
  return svgOf(spec, renderers, ['vega', 'vega-lite']);
}

/** @param needed the packages without which the caller cannot draw */
async function svgOf(spec: PlotSpec, renderers: Renderers, needed: readonly string[]): Promise<string> {
  const vegaLite = (renderers.vegaLite ?? (await loadRenderer('vega-lite', needed))) as VegaLiteModule;
  const vega = (renderers.vega ?? (await loadRenderer('vega', needed))) as VegaModule;
  const compiled = vegaLite.compile(spec as never, { logger: silent });
  const restore = estimateTextBetter(vega.textMetrics);
  try {
    // Vega would make its expressions into code.
    const evaluated = allowsCode() ? {} : { expr: expressionEvaluator };
    const runtime = vega.parse(compiled.spec as never, {}, { ast: 'expr' in evaluated });
    const errors: unknown[] = [];
    const logger = { ...silent, error: (error: unknown) => void errors.push(error) };
    const view = new vega.View(runtime as never, { renderer: 'none', logger, ...evaluated });
    const svg = await view.toSVG().finally(() => view.finalize());
    // Vega logs what keeps it from drawing, and draws what it has: an empty picture.
    if (errors.length > 0) throw errors[0] instanceof Error ? errors[0] : new Error(messageOf(errors[0]));
    return svg;
  } finally {
    restore();
  }
}

/** Options of renderPng. */
export interface PngOptions extends Renderers {
  /** Pixels per unit of the plot, above 0. Default 2, which looks sharp on most screens. */
  scale?: number;
}

/**
 * Draws a plot as a PNG file's bytes, with the fonts of the system: in Node by the package \@resvg/resvg-js, in a page by the
 * page itself.
 *
 * @throws RangeError for a scale that is not positive, Error if the plot is too large to draw, MissingRendererError if a package
 * that draws is not installed
 */
export async function renderPng(spec: PlotSpec, options: PngOptions = {}): Promise<Uint8Array> {
  const { scale = 2 } = options;
  if (!(scale > 0 && Number.isFinite(scale))) {
    throw new RangeError(`renderPng scale: expected a positive number, got ${describe(scale)}`);
  }
  const svg = await svgOf(spec, options, ['vega', 'vega-lite', '@resvg/resvg-js']);
  return (await drawSvg(svg, scale)).encoded;
}

/** A logger that logs nothing: Vega-Lite would warn on the console. */
const silent = {
  level: () => silent,
  error: () => silent,
  warn: () => silent,
  info: () => silent,
  debug: () => silent,
};

/**
 * Widths of characters in DejaVu Sans as fractions of the font size, by kind. It is the widest of the fonts that plots
 * name, so that text in any of them fits.
 */
const widths: readonly (readonly [RegExp, number])[] = [
  [/[iljI|.,:;'!\s]/, 0.32],
  [/[ftr()[\]{}\-/\\"]/, 0.41],
  [/[mwMW%@…—]/, 0.93],
  [/[A-Z_&<>=+×÷]/, 0.74],
  [/[\u1100-\uffef]/, 1],
];
/** Width of all other characters. */
const usual = 0.62;
/** How many times as wide bold characters are. */
const bold = 1.12;

/** Estimated width of a text, in the units of its font size, for lack of a canvas to measure it. */
export function textWidth(text: string, fontSize: number, isBold = false): number {
  let width = 0;
  for (const character of text) width += widths.find(([kind]) => kind.test(character))?.[1] ?? usual;
  return width * fontSize * (isBold ? bold : 1);
}

/** The part of vega that measures texts; its `width` can be replaced. */
export interface TextMetrics {
  width: (item: never, text: unknown) => number;
  estimateWidth: (item: never, text: unknown) => number;
}

interface TextItem {
  fontSize?: number;
  fontWeight?: string | number;
}

/** Number of drawings that use the better estimate now. */
let users = 0;

/**
 * Makes vega estimate widths of texts better, until the returned function is called. Without a canvas, vega assumes that
 * every letter is four fifths of its font size wide, and leaves a third of a plot white. A measure that someone else has
 * set is not replaced.
 */
export function estimateTextBetter(metrics: TextMetrics | undefined): () => void {
  if (!metrics || (users === 0 && metrics.width !== metrics.estimateWidth)) return () => {};
  users++;
  metrics.width = (item: TextItem, text: unknown) =>
    textWidth(
      String(text ?? '').trim(),
      item.fontSize ?? 11,
      item.fontWeight === 'bold' || Number(item.fontWeight) >= 600,
    );
  return () => {
    if (--users === 0) metrics.width = metrics.estimateWidth;
  };
}

/** The part of a SummaryWriter that takes figures. */
export interface FigureWriter {
  /** Writes an SVG document: see SummaryWriter.addFigure. */
  addFigure(tag: string, svg: string, step?: number | bigint): void;
}

/**
 * Draws plots and writes them as figures, which TensorBoard shows on its Images page.
 *
 * @param plots by tag
 * @param step of all of them; see SummaryWriter.addFigure for the default
 * @returns resolves when all are drawn and added to the writer; they are in the file after its flush or close
 * @throws MissingRendererError if vega or vega-lite is not installed
 */
export async function addPlots(
  writer: FigureWriter,
  plots: Readonly<Record<string, PlotSpec>>,
  step?: number | bigint,
): Promise<void> {
  for (const [tag, spec] of Object.entries(plots)) writer.addFigure(tag, await renderSvg(spec), step);
}
