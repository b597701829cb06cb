// What every writer is given. bench/writer_peer.py makes the same.

/** 10,000 numbers of a bell shape (the sum of twelve uniform ones), float32. */
export function histogramValues() {
  let state = 1;
  const next = () => (state = (state * 16807) % 2147483647) / 2147483647;
  return Float32Array.from({ length: 10_000 }, () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += next();
    return sum;
  });
}

/** 256 x 256 x 3 pixels: slow gradients with a little noise, as a photograph has. */
export function picture() {
  let state = 1;
  const next = () => (state = (state * 16807) % 2147483647) / 2147483647;
  const pixels = new Uint8Array(256 * 256 * 3);
  for (let y = 0; y < 256; y++) {
    for (let x = 0; x < 256; x++) {
      for (let c = 0; c < 3; c++) {
        const slow = 128 + 60 * Math.sin((x + 40 * c) / 30) + 50 * Math.cos((y - 20 * c) / 25);
        pixels[(y * 256 + x) * 3 + c] = Math.max(0, Math.min(255, Math.round(slow + 8 * (next() - 0.5))));
      }
    }
  }
  return pixels;
}

/** A paragraph of markdown. */
export function text(step) {
  return `## Step ${step}\n\n| name | value |\n|-|-|\n| loss | ${step / 2} |\n\nSome *more* words about what happened here.`;
}
