import type { PlotSpec } from './plot-spec.js';

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

/**
 * For `import('…').catch(missing('…'))`: written at each import, because bundlers treat an import they can see the
 * catch of as optional.
 */
function missing(packageName: string): (cause: unknown) => never {
  return (cause) => {
    throw new MissingRendererError(packageName, { cause });
  };
}

/**
 * Draws a plot as an SVG document. Needs no display and no canvas: vega and vega-lite are loaded on the first call.
 * @throws MissingRendererError when one of them is not installed
 */
export async function renderSvg(spec: PlotSpec): Promise<string> {
  const vegaLite = await import('vega-lite').catch(missing('vega-lite'));
  const vega = await import('vega').catch(missing('vega'));
  const compiled = vegaLite.compile(spec as unknown as Parameters<typeof vegaLite.compile>[0], { logger: silent });
  const view = new vega.View(vega.parse(compiled.spec), { renderer: 'none', logLevel: vega.None });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

export interface PngOptions {
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
  const { Resvg } = await import('@resvg/resvg-js').catch(missing('@resvg/resvg-js'));
  const drawn = new Resvg(svg, {
    fitTo: { mode: 'zoom', value: scale },
    font: { loadSystemFonts: true },
    background: 'white',
  }).render();
  return drawn.asPng();
}

/** Draws a plot as a PNG file's bytes. */
export async function renderPng(spec: PlotSpec, options: PngOptions = {}): Promise<Uint8Array> {
  return svgToPng(await renderSvg(spec), options);
}

/** Vega-Lite would otherwise warn on the console. */
const silent = {
  level: () => silent,
  error: () => silent,
  warn: () => silent,
  info: () => silent,
  debug: () => silent,
};
