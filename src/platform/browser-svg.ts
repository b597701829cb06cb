import type { DrawnSvg } from './node-svg.js';

/** Draws an SVG document as the page would show it, on white. Workers have no means to: there it is an error. */
export async function drawSvg(svg: string): Promise<DrawnSvg> {
  if (typeof Image === 'undefined')
    throw new Error('the SVG could not be drawn: this worker has no Image; call addFigure in the page');
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    image.src = url;
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
    context.fillStyle = 'white';
    context.fillRect(0, 0, width, height);
    context.drawImage(image, 0, 0);
    const file = await canvas.convertToBlob({ type: 'image/png' });
    return { encoded: new Uint8Array(await file.arrayBuffer()), width, height };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`the SVG could not be drawn: ${message}`, { cause: error });
  } finally {
    URL.revokeObjectURL(url);
  }
}
