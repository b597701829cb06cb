/** RGB pixels, height x width x 3. */
export interface Pixels {
  pixels: Uint8Array;
  height: number;
  width: number;
}

/** Viridis at 0, 1/8, ... 1 (Smith and van der Walt, https://bids.github.io/colormap/, CC0); between them, straight lines. */
const viridis: readonly (readonly [number, number, number])[] = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

/** The colour of a value in [0, 1]; values outside are drawn as the nearest end, NaN as grey. */
export function viridisColour(value: number): [number, number, number] {
  if (Number.isNaN(value)) return [128, 128, 128];
  const at = Math.min(1, Math.max(0, value)) * (viridis.length - 1);
  const low = Math.min(Math.floor(at), viridis.length - 2);
  const weight = at - low;
  return viridis[low].map((channel, index) => Math.round(channel + (viridis[low + 1][index] - channel) * weight)) as [
    number,
    number,
    number,
  ];
}

/**
 * Draws a matrix of values in [0, 1] as cells of at least 4 x 4 pixels, the first row on top.
 *
 * @param rows the values; shorter rows end in grey
 */
export function heatMap(rows: readonly (readonly number[])[]): Pixels {
  const columns = Math.max(1, ...rows.map((row) => row.length));
  const cellHeight = Math.max(4, Math.min(24, Math.floor(480 / Math.max(1, rows.length))));
  const cellWidth = Math.max(4, Math.min(24, Math.floor(960 / columns)));
  const height = Math.max(1, rows.length) * cellHeight;
  const width = columns * cellWidth;
  const pixels = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const row = rows[Math.floor(y / cellHeight)] ?? [];
    for (let x = 0; x < width; x++) {
      pixels.set(viridisColour(row[Math.floor(x / cellWidth)] ?? Number.NaN), (y * width + x) * 3);
    }
  }
  return { pixels, height, width };
}
