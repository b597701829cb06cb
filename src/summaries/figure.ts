import { drawSvg } from '#platform';
import type { EncodedImage } from './image.js';
import { describe } from './numbers.js';

/**
 * Draws an SVG document as PNG, in the size it states, with the fonts of the system.
 *
 * @throws Error where it cannot be drawn; in Node also, naming the command that installs it, where the renderer is absent
 */
export async function renderFigure(svg: string, what = 'figure'): Promise<Required<EncodedImage>> {
  try {
    return await drawSvg(svg);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
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
