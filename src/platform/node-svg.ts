/** A picture drawn from an SVG document. */
export interface DrawnSvg {
  /** A PNG file. */
  encoded: Uint8Array;
  width: number;
  height: number;
}

const renderer = '@resvg/resvg-js';

/**
 * Draws an SVG document on white, in the size it states. In Node the optional peer @resvg/resvg-js does it, which is loaded
 * at the first document; in a page the page itself.
 *
 * @throws Error where the document cannot be drawn, or naming the command that installs the renderer where that is absent
 */
export async function drawSvg(svg: string): Promise<DrawnSvg> {
  const { Resvg } = await loadRenderer();
  try {
    const picture = new Resvg(svg, { background: 'white' }).render();
    return { encoded: new Uint8Array(picture.asPng()), width: picture.width, height: picture.height };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`the SVG could not be drawn: ${message}`, { cause: error });
  }
}

/** Its name is in a variable, and marked, so that bundlers do not insist on an optional package. */
async function loadRenderer(): Promise<typeof import('@resvg/resvg-js')> {
  try {
    return await import(/* @vite-ignore */ /* webpackIgnore: true */ renderer);
  } catch (error) {
    throw new Error(`figures are drawn by ${renderer}, which is not there: npm install ${renderer}`, { cause: error });
  }
}
