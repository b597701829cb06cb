/**
 * A surface to draw rectangles and text on, and the bitmap font that the text is drawn with, so that a label can be
 * written into an image even if there are no fonts.
 */
import type { Pixels } from './png.js';

/** Red, green and blue, 0 to 255. */
export type Color = readonly [number, number, number];

const ink: Color = [40, 40, 40];

/** Pixels that can be drawn on. What lies outside its edges is not drawn. */
export class Canvas implements Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly data: Uint8Array;

  /** A white canvas, or one with other pixels: `data` is height x width x channels, row-major. */
  constructor(
    width: number,
    height: number,
    channels: 3 | 4 = 3,
    data: Uint8Array = new Uint8Array(width * height * channels).fill(255),
  ) {
    this.width = width;
    this.height = height;
    this.channels = channels;
    this.data = data;
  }

  /** A canvas with a copy of an image. A gray image becomes RGB, so that it can be drawn on in color. */
  static from({ width, height, channels, data }: Pixels): Canvas {
    if (channels >= 3) return new Canvas(width, height, channels as 3 | 4, data.slice());
    const canvas = new Canvas(width, height, channels === 1 ? 3 : 4);
    for (let from = 0, to = 0; from < data.length; from += channels, to += canvas.channels) {
      canvas.data.fill(data[from], to, to + 3);
      if (channels === 2) canvas.data[to + 3] = data[from + 1];
    }
    return canvas;
  }

  /** Fills a rectangle with an opaque color. */
  fill(left: number, top: number, width: number, height: number, color: Color): void {
    const { channels, data } = this;
    const [firstColumn, endColumn] = [Math.max(0, left), Math.min(this.width, left + width)];
    const endRow = Math.min(this.height, top + height);
    for (let row = Math.max(0, top); row < endRow; row++) {
      for (let column = firstColumn; column < endColumn; column++) {
        const at = (row * this.width + column) * channels;
        data.set(color, at);
        if (channels === 4) data[at + 3] = 255;
      }
    }
  }

  /** Writes text whose top left corner is at `left`, `top`. A dot of the font is `size` x `size` pixels. */
  text(text: string, left: number, top: number, color: Color = ink, size = 1): void {
    for (const dot of dotsOf(text)) this.fill(left + dot.x * size, top + dot.y * size, size, size, color);
  }
}

/** Height of every glyph in dots. */
export const glyphHeight = 7;
/** Width of every glyph in dots; one more dot separates two glyphs. */
export const glyphWidth = 5;

/**
 * A font of 5 x 7 dots for the printable ASCII characters: after each character, its seven rows from the top. A row is a
 * digit in base 32, whose five bits are the dots.
 */
const glyphs = [
  ' 0000000 !4444404 "aaa0000 #aavavaa $4fke5u4 %op248j3 &cik8lid \'4480000 (2488842 )8422248 *04lel40 +044v440 ,0000c48',
  '-000v000 .00000cc /01248g0 0ehjlphe 14c4444e 2eh1248v 3v2421he 426aiv22 5vgu11he 668guhhe 7v124888 8ehhehhe 9ehhf12c',
  ':0cc0cc0 ;0cc0c48 <248g842 =00v0v00 >8421248 ?eh12404 @eh1dlle Aehhhvhh Buhhuhhu Cehggghe Dsihhhis Evgguggv Fvgguggg',
  'Gehgnhhf Hhhhvhhh Ie44444e J72222ic Khikokih Lggggggv Mhrllhhh Nhhpljhh Oehhhhhe Puhhuggg Qehhhlid Ruhhukih Sfgge11u',
  'Tv444444 Uhhhhhhe Vhhhhha4 Whhhllla Xhha4ahh Yhhha444 Zv1248gv [e88888e \\0g84210 ]e22222e ^4ah0000 _000000v `8420000',
  'a00e1fhf bggmphhu c00egghe d11djhhf e00ehvge f698s888 g0fhhf1e hggmphhh i40c444e j20622ic kggikoki lc44444e m00qllhh',
  'n00mphhh o00ehhhe p00uhugg q00djf11 r00mpggg s00ege1u t88s8896 u00hhhjd v00hhha4 w00hhlla x00ha4ah y00hhf1e z00v248v',
  '{2448442 |4444444 }8442448 ~008l200',
];

const rowsOf = new Map<string, number[]>();
for (const line of glyphs) {
  for (let at = 0; at < line.length; at += 2 + glyphHeight) {
    rowsOf.set(
      line[at],
      Array.from(line.slice(at + 1, at + 1 + glyphHeight), (row) => Number.parseInt(row, 32)),
    );
  }
}

/** The dots of a text, glyph by glyph; characters that the font lacks become question marks. */
export function* dotsOf(text: string): Iterable<{ x: number; y: number }> {
  let left = 0;
  for (const character of text) {
    const rows = rowsOf.get(character) ?? (rowsOf.get('?') as number[]);
    for (const [y, row] of rows.entries()) {
      for (let x = 0; x < glyphWidth; x++) if (row & (1 << (glyphWidth - 1 - x))) yield { x: left + x, y };
    }
    left += glyphWidth + 1;
  }
}

/** Width of a text in dots. */
export function widthOf(text: string): number {
  return [...text].length * (glyphWidth + 1) - 1;
}
