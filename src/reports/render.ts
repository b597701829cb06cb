import { drawSvg } from '#platform';
import { MissingRendererError } from '../errors.js';
import type { PlotSpec } from './plot-spec.js';

/** The part of the package vega that is used here. */
interface VegaModule {
  parse(spec: never): unknown;
  View: new (runtime: never, options: object) => { toSVG(): Promise<string>; finalize(): unknown };
  None: number;
  textMetrics?: unknown;
}

/** The part of the package vega-lite that is used here. */
interface VegaLiteModule {
  compile(spec: never, options: object): { spec: unknown };
}

/** The packages that draw. A page passes them, because bundlers cannot follow the imports by which Node finds them. */
export interface Renderers {
  /** The package vega. Imported by its name if it is not given. */
  vega?: VegaModule;
  /** The package vega-lite. Imported by its name if it is not given. */
  vegaLite?: VegaLiteModule;
}

/**
 * Imports an optional package. Its name is a variable and the import is marked, so that bundlers do not require it.
 *
 * @throws MissingRendererError if it is not installed
 */
export async function loadRenderer<T>(packageName: string): Promise<T> {
  try {
    return await import(/* @vite-ignore */ /* webpackIgnore: true */ packageName);
  } catch (cause) {
    throw new MissingRendererError(packageName, { cause });
  }
}

/**
 * Draws a plot as an SVG document. Needs no display and no canvas. In Node the packages vega and vega-lite are loaded on
 * the first call; a page passes them: `renderSvg(spec, { vega, vegaLite })`.
 *
 * @throws MissingRendererError if one of them is not installed
 */
export async function renderSvg(spec: PlotSpec, renderers: Renderers = {}): Promise<string> {
  const vegaLite = renderers.vegaLite ?? (await loadRenderer<VegaLiteModule>('vega-lite'));
  const vega = renderers.vega ?? (await loadRenderer<VegaModule>('vega'));
  const compiled = vegaLite.compile(spec as never, { logger: silent });
  const restore = estimateTextBetter(vega.textMetrics as TextMetrics | undefined);
  try {
    const view = new vega.View(vega.parse(compiled.spec as never) as never, { renderer: 'none', logLevel: vega.None });
    return await view.toSVG().finally(() => view.finalize());
  } finally {
    restore();
  }
}

/** Options of renderPng. */
export interface PngOptions extends Renderers {
  /** Pixels per unit of the plot. Default 2, which looks sharp on most screens. */
  scale?: number;
}

/**
 * Draws a plot as a PNG file's bytes, with the fonts of the system: in Node by the package \@resvg/resvg-js, in a page by the
 * page itself.
 *
 * @throws MissingRendererError if a package that draws is not installed
 */
export async function renderPng(spec: PlotSpec, options: PngOptions = {}): Promise<Uint8Array> {
  const { scale = 2 } = options;
  if (!(scale > 0 && Number.isFinite(scale))) {
    throw new RangeError(`renderPng: expected scale to be a positive number, got ${scale}`);
  }
  return (await drawSvg(await renderSvg(spec, options), scale)).encoded;
}

/** Keeps Vega-Lite from warning on the console. */
const silent = {
  level: () => silent,
  error: () => silent,
  warn: () => silent,
  info: () => silent,
  debug: () => silent,
};

/**
 * Widths of DejaVu Sans as fractions of the font size, by kind of character. Of the fonts that figures name it is the
 * widest, so text in any of them fits.
 */
const widths: readonly (readonly [RegExp, number])[] = [
  [/[iljI|.,:;'!\s]/, 0.32],
  [/[ftr()[\]{}\-/\\"]/, 0.41],
  [/[mwMW%@…—]/, 0.93],
  [/[A-Z_&<>=+×÷]/, 0.74],
  [/[\u1100-\uffef]/, 1],
];
const usual = 0.62;
/** The factor by which bold letters are wider. */
const bold = 1.12;

/** An estimate of the width of a text, in the units of its font size, for use without a canvas that could measure it. */
export function textWidth(text: string, fontSize: number, isBold = false): number {
  let width = 0;
  for (const character of text) width += widths.find(([kind]) => kind.test(character))?.[1] ?? usual;
  return width * fontSize * (isBold ? bold : 1);
}

/** The part of vega that measures texts. Its `width` may be replaced. */
export interface TextMetrics {
  width: (item: never, text: unknown) => number;
  estimateWidth: (item: never, text: unknown) => number;
}

interface TextItem {
  fontSize?: number;
  fontWeight?: string | number;
}

let users = 0;

/**
 * Makes vega estimate the width of texts better until the returned function is called. Without a canvas, vega assumes that
 * every letter is four fifths of its font size wide, which leaves a third of a picture white. A measure that somebody else
 * has installed is left alone.
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
  /** Adds an SVG document under a tag; see SummaryWriter.addFigure. */
  addFigure(tag: string, svg: string, step?: number | bigint): void;
}

/**
 * Draws plots and writes them to TensorBoard's Images dashboard. Resolves when they are drawn and the writer has them; its
 * flush or close brings them into the file.
 *
 * @param plots by tag
 * @throws MissingRendererError if a package that draws is not installed
 */
export async function addPlots(
  writer: FigureWriter,
  plots: Readonly<Record<string, PlotSpec>>,
  step?: number | bigint,
): Promise<void> {
  for (const [tag, spec] of Object.entries(plots)) writer.addFigure(tag, await renderSvg(spec), step);
}
