/** RGB pixels, height x width x 3. */
export interface Drawing {
  pixels: Uint8Array;
  height: number;
  width: number;
}

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [number, number, number];

const ink: Colour = [40, 40, 40];

/** White paper to draw on; what lies beyond its edges is not drawn. */
export class Canvas implements Drawing {
  readonly pixels: Uint8Array;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.pixels = new Uint8Array(width * height * 3).fill(255);
  }

  fill(x: number, y: number, width: number, height: number, colour: Colour): void {
    const [left, right] = [Math.max(0, x), Math.min(this.width, x + width)];
    for (let row = Math.max(0, y); row < Math.min(this.height, y + height); row++) {
      for (let column = left; column < right; column++) this.pixels.set(colour, (row * this.width + column) * 3);
    }
  }

  text(text: string, x: number, y: number): void {
    for (const dot of dotsOf(text)) this.fill(x + dot.x, y + dot.y, 1, 1, ink);
  }
}

/** Height of every glyph in dots. */
export const glyphHeight = 7;
/** Width of every glyph in dots; one more lies between two. */
export const glyphWidth = 5;

/**
 * A font of 5 x 7 dots for the printable ASCII characters, so that a label can be written into an image wherever there is
 * no font. One character of the string is one row, from the top: a digit in base 32, whose five bits are the dots.
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

/** The dots of a text, left to right and top to bottom; characters the font lacks are question marks. */
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
