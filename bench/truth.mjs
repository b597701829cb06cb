// How true is a saturation from few rows, as it is shown and as it is corrected? Gaussian rows of known spectra, and layers of
// networks trained on digits. Writes the tables of docs/few-rows.md. Run: npm run bench:truth (needs the native backend)
// With --part stop: whether sampling may stop once the corrected saturation stays.
import { readFileSync, writeFileSync } from 'node:fs';
import { CovarianceAccumulator, populationSpectrum, Spectrum } from '../dist/index.js';
import { kernels } from '../dist/kernels/kernels.js';
import { SampleBudget } from '../dist/recording/sample-budget.js';
import { programOptions } from './options.mjs';
import { machine, replaceSection } from './results.mjs';

const options = programOptions({ part: { type: 'string', default: 'truth' } });
const document = new URL('../docs/few-rows.md', import.meta.url);
const thresholds = [0.9, 0.99];
const ratios = [0.5, 0.7, 1, 1.5, 2, 4, 10, 40];

/** Eigenvalues by index i from 0, of d. The first ten chose the constants; the others were kept apart. */
const spectra = {
  '1/i': (i) => 1 / (i + 1),
  '1/i²': (i) => 1 / (i + 1) ** 2,
  '1/√i': (i) => (i + 1) ** -0.5,
  'exponential, 16 e-folds': (i, d) => Math.exp((-16 * i) / d),
  'exponential, 6 e-folds': (i, d) => Math.exp((-6 * i) / d),
  flat: () => 1,
  'cosine bulk': (i, d) => (1 + 0.7 * Math.cos((Math.PI * (i + 0.5)) / d)) ** 2 + 0.01,
  '10 spikes on a floor': (i) => (i < 10 ? 20 - i : 0.1),
  'd/8 spikes on a floor': (i, d) => (i < d / 8 ? 10 : 0.02),
  'three steps': (i, d) => (i < d / 4 ? 4 : i < d / 2 ? 1 : 0.1),
};
const others = {
  'i^-1.5': (i) => (i + 1) ** -1.5,
  'i^-¾ on a floor': (i) => (i + 1) ** -0.75 + 0.01,
  'heavy tail': (i, d) => Math.sqrt(d / (i + 0.5)),
  'two levels, 30 : 1': (i, d) => (i < 0.4 * d ? 30 : 1),
  'log-normal': (i, d) => Math.exp(2 * normalQuantile(1 - (i + 0.5) / d)),
  'rank d/3': (i, d) => (i < d / 3 ? 1 / (i + 1) : 0),
  'one spike': (i, d) => (i < 1 ? 3 * d : 1),
  'four steps': (i, d) => (i < d / 10 ? 50 : i < 0.3 * d ? 5 : i < 0.7 * d ? 0.5 : 0.01),
  'exponential, 30 e-folds': (i, d) => Math.exp((-30 * i) / d),
  linear: (i, d) => 1 - i / d,
};

function normalQuantile(p) {
  let [low, high] = [-8, 8];
  for (let step = 0; step < 60; step++) {
    const x = (low + high) / 2;
    // Abramowitz & Stegun 7.1.26
    const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2);
    const tail =
      (((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) *
        t *
        Math.exp((-x * x) / 2)) /
      2;
    if ((x < 0 ? tail : 1 - tail) < p) low = x;
    else high = x;
  }
  return (low + high) / 2;
}

/** Uniform and normal numbers of a seed (mulberry32, public domain; Box & Muller). */
function randomNumbers(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

/** A chi-square number, as twice a gamma one (Marsaglia & Tsang 2000). */
function chiSquare(freedom, { uniform, normal }) {
  if (freedom < 3) return Array.from({ length: freedom }, () => normal() ** 2).reduce((a, b) => a + b, 0);
  const d = freedom / 2 - 1 / 3;
  for (;;) {
    const x = normal();
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(1 - uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return 2 * d * v;
  }
}

/** Adds the scatter of n Gaussian rows, by Bartlett's decomposition: the rows themselves are not made. */
function addScatter(entries, variances, rows, seed) {
  const d = variances.length;
  const freedom = rows - 1;
  const random = randomNumbers(seed);
  const columns = Math.min(d, freedom);
  const factor = new Float64Array(columns * d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < Math.min(i + 1, columns); j++) {
      const x = i === j ? Math.sqrt(chiSquare(freedom - i, random)) : random.normal();
      factor[j * d + i] = x * Math.sqrt(variances[i]);
    }
  }
  kernels().addOuterProducts(entries, factor, columns, d);
}

function spectrumOfScatter(entries, d, rows) {
  const values = kernels().eigenvalues({ size: d, entries: entries.map((x) => x / rows), packed: true });
  return Spectrum.fromEigenvalues(
    values.map((x) => Math.max(0, x)),
    { samples: rows },
  );
}

function sample(variances, rows, seed) {
  const d = variances.length;
  const entries = new Float64Array((d * (d + 1)) / 2);
  addScatter(entries, variances, rows, seed);
  return spectrumOfScatter(entries, d, rows);
}

/** What one sample showed. */
function judge(spectrum, truth, threshold) {
  const estimate = spectrum.saturationEstimate({ threshold });
  const shown = spectrum.saturation(threshold);
  const isReliable = spectrum.isReliable({ threshold });
  return { truth, shown, ...estimate, isReliable, threshold };
}

/** A number with so many significant digits, at most three decimals. */
const digits = (x, significant) => String(Number(Number(x.toPrecision(significant)).toFixed(3)));
const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;
const part = (values) => (values.length === 0 ? '–' : `${digits(100 * mean(values.map(Number)), 3)} %`);
const worst = (values) => Math.max(...values);
const shownErrors = (cases) => cases.map(({ shown, truth }) => Math.abs(shown - truth));
const errors = (cases) => cases.map(({ saturation, truth }) => Math.abs(saturation - truth));
const within = ({ truth, low, high }) => truth >= low - 1e-9 && truth <= high + 1e-9;

function table(head, rows) {
  return [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
}

/** The rows that sampling 'auto' comes to for a spectrum. */
function rowsFor(population, threshold) {
  const budget = new SampleBudget(population.features, { threshold });
  budget.adaptTo(population);
  return budget.target;
}

function simulate(families, sizes, firstSeed, rowsPerFeature = ratios) {
  const cases = [];
  let seed = firstSeed;
  for (const [name, eigenvalue] of Object.entries(families)) {
    for (const d of sizes) {
      const variances = Float64Array.from({ length: d }, (_, i) => eigenvalue(i, d));
      const population = Spectrum.fromEigenvalues(variances);
      for (const ratio of rowsPerFeature) {
        for (let draw = 0; draw < (d <= 128 ? 6 : d <= 256 ? 4 : d <= 512 ? 2 : 1); draw++) {
          const spectrum = sample(variances, Math.round(ratio * d), seed++);
          for (const threshold of thresholds) {
            const needed = rowsFor(population, threshold);
            cases.push({ name, d, ratio, needed, ...judge(spectrum, population.saturation(threshold), threshold) });
          }
        }
      }
    }
  }
  return cases;
}

function coverageTable(cases) {
  return table(
    [
      'rows per feature',
      'cases',
      'truth within the interval',
      'truth at most its upper end',
      'mean width',
      'called reliable',
      'of these at most .05 too low',
      'worst of these',
    ],
    ratios.map((ratio) => {
      const at = cases.filter((each) => each.ratio === ratio);
      const reliable = at.filter(({ isReliable }) => isReliable);
      return [
        ratio,
        at.length,
        part(at.map(within)),
        part(at.map(({ truth, high }) => truth <= high + 1e-9)),
        digits(mean(at.map(({ low, high }) => high - low)), 2),
        part(at.map(({ isReliable }) => isReliable)),
        part(reliable.map(({ truth, shown }) => truth - shown <= 0.05 + 1e-9)),
        reliable.length === 0 ? '–' : digits(worst(reliable.map(({ truth, shown }) => truth - shown)), 2),
      ];
    }),
  );
}

/**
 * How many rows make a saturation right to 0.01 (or a direction, if that is more): as it is shown, and corrected. That is what
 * sampling 'auto' promises.
 */
function samplingTable(cases, rowsPerFeature) {
  const isRight = ({ d }, error) => error <= Math.max(0.01, 1 / d) + 1e-9;
  const cell = (at, errorsOf) => {
    const found = errorsOf(at);
    return [part(at.map((each, i) => isRight(each, found[i]))), digits(worst(found), 2)];
  };
  return table(
    ['rows per feature', 'cases', 'shown: right', 'worst', 'corrected: right', 'worst', "'auto' asks for no more"],
    rowsPerFeature.map((ratio) => {
      const at = cases.filter((each) => each.ratio === ratio);
      const asked = at.map(({ needed, d }) => needed <= ratio * d);
      return [ratio, at.length, ...cell(at, shownErrors), ...cell(at, errors), part(asked)];
    }),
  );
}

function errorTable(cases, names, member) {
  return table(
    ['', ...ratios],
    names.map((name) => {
      const cells = ratios.map((ratio) => {
        const at = cases.filter((each) => each.ratio === ratio && each[member] === name);
        return `${digits(mean(shownErrors(at)), 2)} → ${digits(mean(errors(at)), 2)} (${digits(worst(errors(at)), 2)})`;
      });
      return [name, ...cells];
    }),
  );
}

/** Layers of two networks trained on digits, with their rows and the truth that all rows show. */
async function realLayers() {
  const { createRequire } = await import('node:module');
  createRequire(import.meta.url)('@tensorflow/tfjs-node');
  const tf = await import('@tensorflow/tfjs');
  await tf.setBackend('tensorflow');
  const { loadDigits } = await import('../examples/demo/digits.js');
  const { train } = loadDigits({ seed: 1, validationShare: 0.001 });
  let seed = 1;
  const init = () => tf.initializers.glorotNormal({ seed: seed++ });
  const dense = (units, activation, first = {}) =>
    tf.layers.dense({ units, activation, kernelInitializer: init(), ...first });
  const conv = (filters, first = {}) =>
    tf.layers.conv2d({
      filters,
      kernelSize: 3,
      padding: 'same',
      activation: 'relu',
      kernelInitializer: init(),
      ...first,
    });
  const networks = [
    [
      tf.layers.flatten({ inputShape: [28, 28, 1] }),
      dense(512, 'tanh'),
      dense(256, 'relu'),
      dense(128, 'tanh'),
      dense(10, 'softmax'),
    ],
    [
      conv(32, { inputShape: [28, 28, 1], strides: 2 }),
      conv(64),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      conv(128),
      tf.layers.globalAveragePooling2d({}),
      dense(10, 'softmax'),
    ],
  ];
  const found = [];
  for (const layers of networks) {
    const model = tf.sequential({ layers });
    model.compile({ optimizer: tf.train.adam(0.001), loss: 'categoricalCrossentropy' });
    await model.fit(train.xs, train.ys, { epochs: 3, batchSize: 64, shuffle: false, verbose: 0 });
    for (const layer of layers.slice(0, -1).filter(({ name }) => /^(dense|conv)/.test(name))) {
      const output = tf.model({ inputs: model.inputs, outputs: layer.output }).predict(train.xs, { batchSize: 256 });
      const features = output.shape.at(-1);
      const places = output.size / output.shape[0] / features;
      found.push({
        name: `${layer.getClassName()} ${features}`,
        features,
        places,
        items: output.shape[0],
        values: output.dataSync(),
      });
      output.dispose();
    }
  }
  return found;
}

function realTable(layers) {
  const rows = [];
  for (const { name, features, places, items, values } of layers) {
    const spectrumOf = (chosen) => {
      const accumulator = new CovarianceAccumulator(features);
      for (const item of chosen)
        accumulator.update(values.subarray(item * places * features, (item + 1) * places * features));
      return Spectrum.of(accumulator, { effectiveSamples: Math.round(chosen.length * Math.min(16, places)) });
    };
    const truth = spectrumOf(Array.from({ length: items }, (_, i) => i)).saturation();
    const cells = [0.5, 1, 2, 4, 10].map((ratio) => {
      const count = Math.round((ratio * features) / Math.min(16, places));
      if (count > items) return '';
      const cases = [1, 2, 3].map((draw) => {
        const { uniform } = randomNumbers(97 * draw);
        const chosen = new Set();
        while (chosen.size < count) chosen.add(Math.floor(uniform() * items));
        return judge(spectrumOf([...chosen]), truth, 0.99);
      });
      const of = (member, significant) => digits(mean(cases.map((each) => each[member])), significant);
      const corrected = cases.some(({ saturation }) => Number.isNaN(saturation))
        ? 'too few'
        : `${of('saturation', 3)} (${of('low', 2)}–${of('high', 2)})`;
      return `${of('shown', 3)} → ${corrected}`;
    });
    rows.push([name, digits(truth, 3), ...cells]);
  }
  return table(['layer', 'all rows', ...[0.5, 1, 2, 4, 10].map((ratio) => `${ratio} rows per feature`)], rows);
}

/**
 * Participation ratios of some rows: as they are; corrected for Gaussian rows; and with the fourth moment of the rows, the
 * form of Chun, Canatar, Chung & Lee (arXiv:2509.26560): T / B of tr S^2, (tr S)^2 and K = sum |x - mean|^4 / (n - 1).
 */
function participationRatios(rows, features) {
  const n = rows.length;
  const center = new Float64Array(features);
  for (const row of rows) {
    for (let j = 0; j < features; j++) center[j] += row[j] / n;
  }
  let fourth = 0;
  const accumulator = new CovarianceAccumulator(features);
  for (const row of rows) {
    fourth += row.reduce((sum, x, j) => sum + (x - center[j]) ** 2, 0) ** 2 / (n - 1);
    accumulator.update(row);
  }
  const spectrum = Spectrum.of(accumulator);
  const scale = n / (n - 1);
  const trace = scale * spectrum.trace;
  const squares = scale ** 2 * spectrum.eigenvalues.reduce((sum, x) => sum + x * x, 0);
  const below = (n - 1) * (n - 2) * squares + trace ** 2 - n * fourth;
  const above = 2 * squares + (n * n - 3 * n + 1) * trace ** 2 - n * fourth;
  return [spectrum.participationRatio, spectrum.correctedParticipationRatio, above / below];
}

/** How far participation ratios of few rows are from that of all: one place of each image, so that rows are independent. */
function participationTable(layers) {
  const counts = [8, 20, 50, 100, 200];
  const rows = layers.map(({ name, features, places, items, values }) => {
    const { uniform } = randomNumbers(5);
    const all = Array.from({ length: items }, (_, item) => {
      const at = (item * places + Math.floor(uniform() * places)) * features;
      return values.subarray(at, at + features);
    });
    const [truth] = participationRatios(all, features);
    const cells = counts.map((count) => {
      const found = Array.from({ length: 40 }, (_, draw) => {
        const random = randomNumbers(100 + draw);
        const chosen = new Set();
        while (chosen.size < count) chosen.add(Math.floor(random.uniform() * items));
        return participationRatios(
          [...chosen].map((item) => all[item]),
          features,
        );
      });
      return [0, 1, 2]
        .map((form) => {
          const squares = found.map((ratios) => (ratios[form] / truth - 1) ** 2).filter(Number.isFinite);
          return digits(100 * Math.sqrt(mean(squares)), 2);
        })
        .join(' / ');
    });
    return [name, digits(truth, 3), ...cells];
  });
  return table(['layer', 'all rows', ...counts.map((count) => `${count} rows`)], rows);
}

/** Rules by which sampling would stop: by how much the corrected saturation may move in each of the last two doublings, and the widest interval. */
const stops = [
  { moves: 0.01, width: 0.06 },
  { moves: 0.005, width: 0.04 },
  { moves: 0.0025, width: 0.035 },
];
const doublings = [2, 4, 8, 16, 32, 64, 128, 256];

/** What a rule comes to: the first doubling at which it stops, the last one if it never does. */
function stoppedAt(path, { moves, width }) {
  const isStill = (at) => Math.abs(path[at].saturation - path[at - 1].saturation) <= moves + 1e-9;
  const at = path.findIndex(({ low, high }, k) => k >= 2 && isStill(k) && isStill(k - 1) && high - low <= width + 1e-9);
  return path.at(at);
}

function stopRows(name, paths) {
  const isRight = ({ d }, error) => error <= Math.max(0.01, 1 / d) + 1e-9;
  const row = (rule, cases, errorsOf) => {
    const found = errorsOf(cases);
    return [
      name,
      rule,
      cases.length,
      digits(mean(cases.map(({ ratio }) => ratio)), 3),
      part(cases.map((each, i) => isRight(each, found[i]))),
      digits(worst(found), 2),
    ];
  };
  return [
    ...stops.map((stop) =>
      row(
        `corrected, ±${stop.moves} twice, interval ${stop.width}`,
        paths.map((path) => stoppedAt(path, stop)),
        errors,
      ),
    ),
    row(
      `shown, ±${stops[1].moves} twice, interval ${stops[1].width}`,
      paths.map((path) => stoppedAt(path, stops[1])),
      shownErrors,
    ),
    row(
      "shown, as many as 'auto' takes",
      paths.map((path) => path.find(({ ratio, needed, d }) => needed <= ratio * d) ?? path.at(-1)),
      shownErrors,
    ),
  ];
}

/** Samples that grow by doubling, of all twenty spectra. */
function growingSamples() {
  const paths = [];
  let seed = 4_000_000;
  for (const eigenvalue of Object.values({ ...spectra, ...others })) {
    for (const d of [64, 128, 512]) {
      const variances = Float64Array.from({ length: d }, (_, i) => eigenvalue(i, d));
      const population = Spectrum.fromEigenvalues(variances);
      const needed = rowsFor(population, 0.99);
      for (let draw = 0; draw < 4; draw++) {
        const entries = new Float64Array((d * (d + 1)) / 2);
        let rows = 0;
        paths.push(
          doublings.map((ratio) => {
            addScatter(entries, variances, ratio * d - rows, seed++);
            rows = ratio * d;
            const spectrum = spectrumOfScatter(entries, d, rows);
            return { d, ratio, needed, ...judge(spectrum, population.saturation(0.99), 0.99) };
          }),
        );
      }
    }
  }
  return paths;
}

/** The same of layers of trained networks, beside what all their rows show, corrected: few of them have more than 16 rows per feature. */
function growingLayers(layers) {
  return layers.flatMap(({ features: d, places, items, values }) => {
    const alike = Math.min(16, places);
    const spectrumOf = (chosen) => {
      const accumulator = new CovarianceAccumulator(d);
      for (const item of chosen) accumulator.update(values.subarray(item * places * d, (item + 1) * places * d));
      return Spectrum.of(accumulator, { effectiveSamples: chosen.length * alike });
    };
    const all = spectrumOf(Array.from({ length: items }, (_, item) => item));
    const truth = all.saturationEstimate().saturation;
    const needed = rowsFor(all, 0.99);
    return [1, 2, 3].map((draw) => {
      const { uniform } = randomNumbers(31 * draw);
      const order = Array.from({ length: items }, (_, item) => [uniform(), item]).sort(([a], [b]) => a - b);
      return doublings
        .filter((ratio) => ratio * d <= items * alike)
        .map((ratio) => {
          const chosen = order.slice(0, Math.round((ratio * d) / alike)).map(([, item]) => item);
          return { d, ratio, needed, ...judge(spectrumOf(chosen), truth, 0.99) };
        });
    });
  });
}

async function stopText() {
  const rows = [
    ...stopRows('Gaussian rows of the twenty spectra', growingSamples()),
    ...stopRows('layers trained on digits', growingLayers(await realLayers())),
  ];
  return `\`npm run bench:truth -- --part stop\`, ${machine()}. Saturation at a threshold of 0.99; right is within 0.01, or a direction if that is
more. Samples grow from 2 rows per feature by doubling, up to 256 or to what there is. The truth of a trained layer is the corrected saturation of
all its rows.

${table(['rows', 'what is taken', 'cases', 'rows per feature', 'right', 'worst'], rows)}`;
}

/** How often a count of directions changes if the eigenvalues are stored in float32, at 100 thresholds from .5 to .9999. */
function float32Counts() {
  let [compared, changed, seed] = [0, 0, 3_000_000];
  for (const eigenvalue of Object.values({ ...spectra, ...others })) {
    for (const d of [64, 256, 1024]) {
      const variances = Float64Array.from({ length: d }, (_, i) => eigenvalue(i, d));
      for (const ratio of [1, 4]) {
        const spectrum = sample(variances, ratio * d, seed++);
        const stored = Spectrum.fromEigenvalues(Float32Array.from(spectrum.eigenvalues));
        for (let k = 0; k < 100; k++) {
          const threshold = 1 - 0.5 * (0.0001 / 0.5) ** (k / 99);
          compared++;
          if (spectrum.intrinsicDimensionality(threshold) !== stored.intrinsicDimensionality(threshold)) changed++;
        }
      }
    }
  }
  return { compared, changed };
}

if (options.part === 'stop') {
  writeFileSync(document, replaceSection(readFileSync(document, 'utf8'), 'stop', await stopText()));
  process.exit(0);
}

const samplingRatios = [2, 4, 8, 16, 32, 64, 128, 256];
const own = simulate(spectra, [64, 128, 256, 512, 1024], 1);
const kept = simulate(others, [48, 96, 192, 384, 768], 1_000_000);
const both = [...own, ...kept];
const at99 = both.filter(({ threshold }) => threshold === 0.99);
const timing = [256, 1024, 2048].map((d) => {
  const { eigenvalues } = Spectrum.fromEigenvalues(Float64Array.from({ length: d }, (_, i) => 1 / (i + 1)));
  const start = performance.now();
  for (let k = 0; k < 5; k++) populationSpectrum(eigenvalues, 2 * d);
  return `${digits((performance.now() - start) / 5, 2)} ms for ${d} features`;
});

const names = [...Object.keys(spectra), ...Object.keys(others)];
const widths = [...new Set(at99.map(({ d }) => d))].sort((a, b) => a - b);
let text = `\`npm run bench:truth\`, ${machine()}.

### How often the interval holds

Saturation at a threshold of 0.9 and 0.99, all spectra and widths below.

The ten spectra that chose the constants, 64 to 1024 features, other samples:

${coverageTable(own)}

Ten other spectra, 48 to 768 features:

${coverageTable(kept)}

### Rows for a saturation within 0.01

All twenty spectra, 128 and 512 features, threshold 0.99: how often a saturation is right to 0.01, as it is shown and corrected,
and for how many of the spectra \`sampling: 'auto'\` asks for no more rows.

${samplingTable(
  simulate({ ...spectra, ...others }, [128, 512], 2_000_000, samplingRatios).filter(
    ({ threshold }) => threshold === 0.99,
  ),
  samplingRatios,
)}

### Errors by spectrum

Threshold 0.99, by rows per feature: mean error of the saturation that is shown → of the corrected one (worst).

${errorTable(at99, names, 'name')}

### Errors by width

${errorTable(at99, widths, 'd')}

It takes ${timing.join(', ')}.`;
try {
  const layers = await realLayers();
  text += `

### Layers of networks trained on digits

Means of three choices of items: shown → corrected (interval), beside what all 9,990 digits show. Of a map, 16 places count per
image.

${realTable(layers)}

### Participation ratio

Error in percent (root mean square of 40 choices of digits, one place of each) of the participation ratio as it is / corrected
for Gaussian rows (\`correctedParticipationRatio\`) / corrected with the rows' fourth moment, too.

${participationTable(layers)}`;
} catch (error) {
  console.error(`Layers of real networks are left out: ${error.message}`);
}
const eigenvaluesPage = new URL('../docs/eigenvalues.md', import.meta.url);
const { compared, changed } = float32Counts();
const stored = `float32 suffices: of ${compared.toLocaleString('en')} counts of directions (\`npm run bench:truth\`: its spectra of 64 to 1024 features, at 100 thresholds from
0.5 to 0.9999) ${changed === 0 ? 'none differs' : `${changed} differ`} from float64.`;
writeFileSync(eigenvaluesPage, replaceSection(readFileSync(eigenvaluesPage, 'utf8'), 'float32', stored));
writeFileSync(document, replaceSection(readFileSync(document, 'utf8'), 'truth', text));
