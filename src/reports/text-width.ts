/**
 * Widths of DejaVu Sans in parts of the font size, by kind of character: the widest of the fonts that figures name, so
 * that text in any of them fits.
 */
const widths: readonly (readonly [RegExp, number])[] = [
  [/[iljI|.,:;'!\s]/, 0.32],
  [/[ftr()[\]{}\-/\\"]/, 0.41],
  [/[mwMW%@…—]/, 0.93],
  [/[A-Z_&<>=+×÷]/, 0.74],
  [/[\u1100-\uffef]/, 1],
];
const usual = 0.62;
/** Bold letters are this much wider. */
const bold = 1.12;

/** About how wide a text is drawn, in the units of its font size: where there is no canvas to measure it. */
export function textWidth(text: string, fontSize: number, isBold = false): number {
  let width = 0;
  for (const character of text) width += widths.find(([kind]) => kind.test(character))?.[1] ?? usual;
  return width * fontSize * (isBold ? bold : 1);
}

/** The part of vega that says how wide texts are; its `width` may be replaced. */
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
 * Without a canvas, vega takes every letter for four fifths of its font size, and a third of a picture is left white.
 * Until the returned function is called, it estimates better; a measure of someone else's is left alone.
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
