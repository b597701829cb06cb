import type { EncodedImage } from './image.js';
import { describe } from './values.js';

const renderer = '@resvg/resvg-js';

/**
 * Draws an SVG document as PNG, in the size it states, with the fonts of the system. The renderer, @resvg/resvg-js, is an
 * optional peer and loaded at the first figure.
 *
 * @throws Error naming the command that installs the renderer where it is absent
 */
export async function renderFigure(svg: string, what = 'figure'): Promise<Required<EncodedImage>> {
  const { Resvg } = await loadRenderer(what);
  let picture: ReturnType<InstanceType<typeof Resvg>['render']>;
  try {
    picture = new Resvg(svg, { background: 'white' }).render();
  } catch (error) {
    throw new RangeError(`${what}: the SVG could not be drawn: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  return { encoded: new Uint8Array(picture.asPng()), width: picture.width, height: picture.height };
}

/**
 * Refuses at once what can be no SVG document, so that the caller of addFigure sees the error.
 *
 * @throws TypeError
 */
export function checkSvg(svg: unknown, what = 'figure'): asserts svg is string {
  if (typeof svg !== 'string' || !/<(?:\w+:)?svg[\s>/]/.test(svg)) {
    throw new TypeError(`${what}: expected an SVG document, got ${describe(svg)}`);
  }
}

/** In a variable, and marked, so that bundlers do not insist on an optional package. */
async function loadRenderer(what: string): Promise<typeof import('@resvg/resvg-js')> {
  try {
    return await import(/* @vite-ignore */ /* webpackIgnore: true */ renderer);
  } catch (error) {
    throw new Error(`${what}: figures are drawn by ${renderer}, which is not there: npm install ${renderer}`, {
      cause: error,
    });
  }
}
