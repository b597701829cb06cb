// What README and documents quote of bench/results.json.
import { digits, whole } from './peer.mjs';

/** The least and the most of numbers as a text: '1.02 to 1.14'; one of them where both are written alike. */
function range(numbers, show = (x) => x.toFixed(2)) {
  if (numbers.length === 0) throw new RangeError('expected rows, got none');
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)].map(show);
  return low === high ? low : `${low} to ${high}`;
}

/** @throws {RangeError} if there is no such row, as of all that is missing here */
function rowOf(section, wanted) {
  const found = section.rows.find((row) => Object.entries(wanted).every(([key, value]) => row[key] === value));
  if (found === undefined) throw new RangeError(`expected a row of ${JSON.stringify(wanted)}, got none`);
  return found;
}
const ofTracker = (section, network, tracker) =>
  rowOf(section, { network, backend: 'tensorflow', tracker, runtime: `Node ${section.node}` }).own;
const nativeRows = (section, tracker) =>
  section.rows.filter(
    (row) => row.backend === 'tensorflow' && row.tracker === tracker && row.runtime === `Node ${section.node}`,
  );
const gzipOf = (section, name) =>
  String(Math.round(section.rows.find(({ what }) => what.includes(name)).gzipBytes / 1000));
const onnxRange = (section, way) =>
  range(
    section.rows.map((row) => row[way].median),
    (x) => x.toFixed(1),
  );
const inText = ({ median, low, high, rounds }, show) =>
  rounds < 2 ? show(median) : `${show(median)} (${show(low)} to ${show(high)})`;
const times = (known) => inText(known, (x) => x.toFixed(2));
const health = (network) => ({
  adds: (section) => inText(rowOf(section, { network }).added, (x) => `${x.toFixed(1)} %`),
  step: (section) => `${digits(rowOf(section, { network }).saturation.median)} ms`,
});

/** What documents quote, by name: the section, a dot, and what of it. Each makes its text of the section. */
export const figures = {
  // What a tracker itself costs, and how long its steps are beside those of a process that gives its memory back.
  'saturation.native': (section) => range(nativeRows(section, 'default').map(({ own }) => own.median)),
  'saturation.plain': (section) => range(nativeRows(section, 'default').map(({ ratio }) => ratio.median)),
  // Of epochs as long as those of MNIST and CIFAR-10, where 'auto' leaves rows out.
  'saturation.auto': (section) =>
    range(
      nativeRows(section, 'auto')
        .filter(({ steps }) => steps > 50)
        .map(({ own }) => own.median),
    ),
  'saturation.MLP': (section) => times(ofTracker(section, 'MLP', 'default')),
  'saturation.MLP.worker': (section) => times(ofTracker(section, 'MLP', 'worker')),
  'saturation.MLP.deterministic': (section) => times(ofTracker(section, 'MLP', 'deterministic')),
  'saturation.CNN': (section) => times(ofTracker(section, 'CNN', 'default')),
  'saturation.CNN.worker': (section) => times(ofTracker(section, 'CNN', 'worker')),
  'health.MLP.adds': health('MLP').adds,
  'health.MLP.step': health('MLP').step,
  'health.CNN.adds': health('CNN').adds,
  'health.CNN.step': health('CNN').step,
  'health.end': (section) =>
    `${range(
      section.rows.map((row) => row.endHealth.median - row.endSaturation.median),
      whole,
    )} ms`,
  'onnx.exposed': (section) => onnxRange(section, 'exposed'),
  'onnx.all': (section) => onnxRange(section, 'all'),
  'onnx.auto': (section) => onnxRange(section, 'auto'),
  'eigenvalues.typescript': (section) =>
    range(
      section.rows.filter((row) => row.typescript).map((row) => row.typescript.median / row.ours.median),
      (x) => x.toFixed(0),
    ),
  'threads.gain': (section) => range(section.rows.map((row) => row.gain.median)),
  'threads.lapack': (section) =>
    range(section.rows.filter((row) => row.lapackGain).map((row) => row.lapackGain.median)),
  'moments.typescript': (section) =>
    range(
      section.rows.map((row) => row.ours.median / row.typescript.median),
      (x) => x.toFixed(0),
    ),
  'images.gain': (section) => times(section.rows.at(-1).gain),
  'sizes.ScalarWriter': (section) => gzipOf(section, 'ScalarWriter'),
  'sizes.SummaryWriter': (section) => gzipOf(section, 'SummaryWriter'),
  'sizes.readEvents': (section) => gzipOf(section, 'readEvents'),
};
