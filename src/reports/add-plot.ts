import type { PlotSpec } from './plot-spec.js';
import { renderSvg } from './render.js';

/** The part of a SummaryWriter that takes figures. */
export interface FigureWriter {
  addFigure(tag: string, svg: string, step?: number | bigint): void;
}

/**
 * Draws plots and logs them into TensorBoard's Images, one tag each.
 * Resolves when they are drawn and handed to the writer; its flush or close brings them into the file.
 */
export async function addPlots(
  writer: FigureWriter,
  plots: Readonly<Record<string, PlotSpec>>,
  step?: number | bigint,
): Promise<void> {
  for (const [tag, spec] of Object.entries(plots)) writer.addFigure(tag, await renderSvg(spec), step);
}
