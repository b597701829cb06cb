import type { PlotSpec } from './plot-spec.js';
import { estimateTextBetter, type TextMetrics } from './text-width.js';

/** Thrown when an optional package that draws is not installed. */
export class MissingRendererError extends Error {
  override readonly name = 'MissingRendererError';
  /** The package that could not be loaded. */
  readonly packageName: string;

  constructor(packageName: string, options?: { cause?: unknown }) {
    super(
      `Drawing needs the package '${packageName}', which could not be loaded. ` +
        'Install what draws with: npm install vega vega-lite @resvg/resvg-js',
      options,
    );
    this.packageName = packageName;
  }
}

/** What is used of the package vega. */
export interface VegaModule {
  parse(spec: never): unknown;
  View: new (runtime: never, options: object) => { toSVG(): Promise<string>; finalize(): unknown };
  None: number;
  textMetrics?: unknown;
}

/** What is used of the package vega-lite. */
export interface VegaLiteModule {
  compile(spec: never, options: object): { spec: unknown };
}

/** The packages that draw, for pages: bundlers cannot follow the imports by which Node finds them. */
export interface Renderers {
  vega?: VegaModule;
  vegaLite?: VegaLiteModule;
}

/**
 * Imports an optional package: by a variable, and marked, so that bundlers do not insist on it.
 * @throws MissingRendererError when it is not installed
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
 * the first call; a page hands them in: `renderSvg(spec, { vega, vegaLite })`.
 *
 * @throws MissingRendererError when one of them is not installed
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

export interface PngOptions extends Renderers {
  /** Pixels per unit of the plot; 2, which looks sharp on most screens. */
  scale?: number;
}

/**
 * Turns an SVG document (what `renderSvg` gives, or anyone's) into a PNG file's bytes, with the fonts of the system.
 * @throws MissingRendererError when \@resvg/resvg-js is not installed
 */
export async function svgToPng(svg: string, options: PngOptions = {}): Promise<Uint8Array> {
  const scale = options.scale ?? 2;
  if (!(scale > 0 && Number.isFinite(scale))) {
    throw new RangeError(`svgToPng: expected scale to be a positive number, got ${scale}`);
  }
  const { Resvg } = await loadRenderer<typeof import('@resvg/resvg-js')>('@resvg/resvg-js');
  const drawn = new Resvg(svg, {
    fitTo: { mode: 'zoom', value: scale },
    font: { loadSystemFonts: true },
    background: 'white',
  }).render();
  return drawn.asPng();
}

/** Draws a plot as a PNG file's bytes. */
export async function renderPng(spec: PlotSpec, options: PngOptions = {}): Promise<Uint8Array> {
  return svgToPng(await renderSvg(spec, options), options);
}

/** Vega-Lite would otherwise warn on the console. */
const silent = {
  level: () => silent,
  error: () => silent,
  warn: () => silent,
  info: () => silent,
  debug: () => silent,
};
