// The tables of docs/science.md and docs/delve-checked.md, from the numbers that the experiments saved: Markdown for each.
import { mean } from './numbers.js';

const hundredths = (value) => value.toFixed(2).replace(/^(-?)0\./, '$1.');
const thousandths = (value) => value.toFixed(3).replace(/^(-?)0\./, '$1.');
const percents = (value) => `${(100 * value).toFixed(1)}`;

/** Least and most of the values of several seeds; one of them if they read the same. */
function range(values, format = hundredths) {
  const [low, high] = [format(Math.min(...values)), format(Math.max(...values))];
  return low === high ? low : `${low} – ${high}`;
}
const percentRange = (values) => `${range(values, percents)} %`;
const unique = (values) => [...new Set(values)];
const row = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) =>
  [row(head), row(head.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(row)].join('\n');

/** Mean over the seeds, layer by layer. */
const profile = (rows) => rows[0].map((_, at) => hundredths(mean(rows.map((each) => each[at])))).join(' ');

/** How the numbers came about. */
function origin({ command, machine, tfjs, minutes }, seeds) {
  return `\`${command}\`: seeds ${seeds.join(', ')}; ${machine}, TensorFlow.js ${tfjs}; ${minutes} minutes. A range is from the least to the most of the seeds.`;
}

const SHOWN_DELTAS = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];

function eigenspaceTable({ runs }) {
  const at = (delta) => runs.filter((run) => run.delta === delta);
  const layers = runs[0].dimensions.map((_, layer) => layer);
  return table(
    ['δ', ...SHOWN_DELTAS.map((delta) => `${Number((100 * delta).toPrecision(4))} %`)],
    [
      ...layers.map((layer) => [
        `dimensions left in layer ${layer + 1}`,
        ...SHOWN_DELTAS.map((delta) =>
          range(
            at(delta).map((run) => run.dimensions[layer]),
            String,
          ),
        ),
      ]),
      ['accuracy, eigenspace', ...SHOWN_DELTAS.map((delta) => percentRange(at(delta).map((run) => run.eigenspace)))],
      [
        'accuracy, as many random directions',
        ...SHOWN_DELTAS.map((delta) => percentRange(at(delta).flatMap((run) => run.random))),
      ],
    ],
  );
}

function eigenspace(result, { '1-eigenspace-rounding': rounded }) {
  const { runs } = result;
  const seeds = unique(runs.map(({ seed }) => seed));
  const change = (delta) => {
    const points = runs.filter((run) => run.delta === delta).map((run) => 100 * (run.eigenspace - run.whole));
    return `${Math.min(...points).toFixed(2)} to ${Math.max(...points).toFixed(2)}`;
  };
  const whole = (from) => from.runs.filter((run) => run.delta === 0.99).map((run) => run.whole);
  const difference = rounded.runs
    .filter((run) => run.delta === 0.99)
    .map((run) => {
      const same = runs.find((each) => each.seed === run.seed && each.delta === 0.99);
      return {
        whole: Math.abs(100 * (run.whole - same.whole)),
        random: Math.abs(100 * (mean(run.random) - mean(same.random))),
        dimensions: Math.max(...run.dimensions.map((count, layer) => Math.abs(count - same.dimensions[layer]))),
      };
    });
  const most = (what) => Math.max(...difference.map((each) => each[what]));
  return `${origin(result, seeds)}

Without projection the networks reach ${percentRange(whole(result))}.

${eigenspaceTable(result)}

The change against no projection, in points of accuracy: ${change(0.99)} at 99 %, ${change(0.95)} at 95 %, ${change(0.9)} at 90 %.

The same seeds with other rounding (\`${rounded.command}\`, on the same machine): accuracies differ by up to ${most('whole').toFixed(2)}
points, dimensions at 99 % by up to ${most('dimensions')}, and the mean accuracy of random directions at 99 % by up to ${most('random').toFixed(1)} points. Another
processor rounds differently, too; so expect ranges, not digits.`;
}

const pathNames = { pathway0: 'narrow', pathway1: 'wide' };

function authors({ bordered, controls }) {
  const ratios = bordered.map(({ ratio }) => ratio).sort((a, b) => a - b);
  return `${table(
    [
      'network, path',
      'layers',
      'border at',
      'mean before',
      'mean behind',
      'behind / before',
      'last layer',
      'best probe behind − at the border',
    ],
    bordered.map(({ network, path, layers, border, before, behind, ratio, last, probeGain }) => [
      `${network}, ${pathNames[path]}`,
      layers,
      border + 1,
      hundredths(before),
      hundredths(behind),
      hundredths(ratio),
      thousandths(last),
      hundredths(probeGain),
    ]),
  )}

Behind / before, in order: ${ratios.map(hundredths).join(' ')}; median ${hundredths(ratios[ratios.length >> 1])}. Paths without a border, cut
before the 7th and before the 11th of 17 layers (or as deep): ${controls.map(({ network, cuts }) => `${network} ${cuts.map(hundredths).join(' and ')}`).join(', ')}.`;
}

function byVariant(results, columns) {
  return unique(results.map(({ name }) => name)).map((name) => {
    const rows = results.filter((each) => each.name === name);
    return columns(name, rows);
  });
}
const ratioRange = (rows, at) =>
  rows[0].behindBefore === undefined ? '–' : range(rows.map(({ behindBefore }) => at(behindBefore)));

/** The first layer, counted from 1, whose saturation is below half of the profile's peak, and stays there. */
function halvedAt(saturation) {
  const half = Math.max(...saturation) / 2;
  const last = saturation.findLastIndex((value) => value >= half);
  return last + 1 < saturation.length ? `conv${last + 2}` : 'none';
}

function photographs(result, { '2-tail-photographs-16': at16, '2-tail-photographs-8': at8 }) {
  const { results, border } = result;
  const seeds = unique(results.map(({ seed }) => seed));
  const epochs = results[0].behindBefore
    .map((_, epoch) => epoch + 1)
    .filter((n, _, all) => [1, 2, 5, 10].includes(n) || n === all.length);
  const spread = unique(results.map(({ name }) => name)).flatMap((name) => {
    const rows = results.filter((each) => each.name === name);
    return rows[0].saturation.map((_, at) => {
      const values = rows.map(({ saturation }) => saturation[at]);
      return Math.max(...values) - Math.min(...values);
    });
  });
  const sides = [result, at16, at8].map((each) => [each.side, each.results.filter(({ name }) => name === 'SGD')]);
  return `${origin(result, seeds)} Profiles are means over the seeds; at one layer two seeds differ by
up to ${hundredths(Math.max(...spread))}.

${table(
  [
    'network',
    'seeds',
    'receptive fields',
    'border',
    'accuracy (training)',
    'saturation, layer by layer',
    'probes, layer by layer',
  ],
  byVariant(results, (name, rows) => [
    name,
    rows.length,
    rows[0].fields.join(' '),
    rows[0].border,
    `${percentRange(rows.map((each) => each.accuracy))} (${percentRange(rows.map((each) => each.trainAccuracy))})`,
    profile(rows.map((each) => each.saturation)),
    profile(rows.map((each) => each.probes)),
  ]),
)}

${table(
  [`mean from conv${border} on / mean of conv2 to conv${border - 1}`, ...epochs.map((epoch) => `epoch ${epoch}`)],
  byVariant(
    results.filter(({ behindBefore }) => behindBefore),
    (name, rows) => [name, ...epochs.map((epoch) => ratioRange(rows, (curve) => curve[epoch - 1]))],
  ),
)}

The same network on the same patches, averaged down (\`--side 16\`, \`--side 8\`):

${table(
  ['pixels', 'border', 'behind / before', 'below half of the peak from', 'accuracy', 'saturation, layer by layer'],
  sides.map(([side, rows]) => [
    `${side} x ${side}`,
    rows[0].border,
    range(rows.map(({ behindBefore }) => behindBefore.at(-1))),
    unique(rows.map(({ saturation }) => halvedAt(saturation)))
      .sort()
      .join(', '),
    percentRange(rows.map((each) => each.accuracy)),
    profile(rows.map((each) => each.saturation)),
  ]),
)}`;
}

function digits(result) {
  const { results } = result;
  const seeds = unique(results.map(({ seed }) => seed));
  return `${origin(result, seeds)} Profiles are means over the seeds.

${table(
  ['network', 'accuracy', 'border', 'behind / before', 'saturation, layer by layer', 'probes, layer by layer'],
  byVariant(results, (name, rows) => [
    `${name}, ${rows[0].side} px, ${rows[0].depth} convolutions`,
    percentRange(rows.map((each) => each.accuracy)),
    rows[0].border,
    ratioRange(rows, (value) => value),
    profile(rows.map((each) => each.saturation)),
    profile(rows.map((each) => each.probes)),
  ]),
)}`;
}

function convergence(result) {
  const { results } = result;
  const seeds = unique(results.map(({ seed }) => seed));
  const epochs = [0, 1, 2, 3, 6, 9, 12].filter((epoch) => epoch < results[0].distance.length);
  const lines = unique(results.map(({ network }) => network)).flatMap((network) => {
    const rows = results.filter((each) => each.network === network);
    const cells = (of) =>
      epochs.map((epoch) =>
        range(
          rows.map((each) => of(each)[epoch]),
          thousandths,
        ),
      );
    return [
      [`${network}: mean distance`, ...cells((each) => each.distance)],
      [`${network}: correlation`, ...cells((each) => each.correlation)],
    ];
  });
  return `${origin(result, seeds)}

${table(['epoch', ...epochs], lines)}`;
}

function width(result) {
  const { rows } = result;
  const seeds = unique(rows.map(({ seed }) => seed));
  const tables = [
    ['dense', 'dense, units'],
    ['convolutional', 'convolutional, filters'],
  ].map(([network, head]) => {
    const widths = unique(rows.filter((each) => each.network === network).map((each) => each.width));
    const at = (size) => rows.filter((each) => each.network === network && each.width === size);
    const layers = at(widths[0])[0].dimensions.map((_, layer) => layer);
    return table(
      [head, ...widths],
      [
        [
          'mean saturation',
          ...widths.map((size) =>
            range(
              at(size).map((each) => each.saturation),
              thousandths,
            ),
          ),
        ],
        ...layers.map((layer) => [
          `dimensions of layer ${layer + 1}`,
          ...widths.map((size) =>
            range(
              at(size).map((each) => each.dimensions[layer]),
              String,
            ),
          ),
        ]),
        ['accuracy', ...widths.map((size) => percentRange(at(size).map((each) => each.accuracy)))],
      ],
    );
  });
  return `${origin(result, seeds)}

${tables.join('\n\n')}`;
}

function delveNetwork({ command, machine, minutes, delve, images, batch, accuracy, layers, ours, network }) {
  const thresholds = unique(ours.map(({ threshold }) => threshold));
  const epochs = unique(ours.map(({ epoch }) => epoch));
  const found = (kind, epoch, threshold) =>
    network.find((each) => each.kind === kind && each.epoch === epoch && each.threshold === threshold).counts;
  const equal = (kind, rule) =>
    ours.reduce(
      (sum, each) =>
        sum + each[rule].filter((count, at) => count === found(kind, each.epoch, each.threshold)[at]).length,
      0,
    );
  const all = ours.length * layers.length;
  const oneMore = ours.reduce(
    (sum, { paper, delve: counts }) => sum + paper.filter((n, at) => n === counts[at] + 1).length,
    0,
  );
  const kinds = [
    ['one pass', `as published, all ${images} images in one forward pass`],
    ['batches, accumulated', `as published, batches of ${batch}, with its test for an accumulator made to hold`],
    ['batches', `as published, batches of ${batch}`],
  ];
  const cell = (epoch, threshold, layer) => {
    const here = ours.find((each) => each.epoch === epoch && each.threshold === threshold).delve[layer];
    const [pass, accumulated, last] = kinds.map(([kind]) => found(kind, epoch, threshold)[layer]);
    const theirs = pass === accumulated ? `${pass}` : `${pass}/${accumulated}`;
    return `${here === pass && here === accumulated ? here : `**${here} ≠ ${theirs}**`} (${last})`;
  };
  return `\`${command}\`: ${machine}; ${minutes} minutes. Delve ${delve.version} (SHA-256 of its five modules begins
\`${delve.code}\`), torch ${delve.torch}, numpy ${delve.numpy}. The network reaches ${percents(accuracy)} %.

${table(
  ['Delve’s code', "counts equal to ours (`rule: 'delve'`)"],
  kinds.map(([kind, words]) => [words, `${equal(kind, 'delve')} of ${all}`]),
)}

The default rule here, the papers' smallest *k* that reaches the threshold, counts one more than Delve in ${oneMore} of ${all}.

Count by count: ours, which is also Delve's where nothing else is said; in parentheses what Delve as published gives for
the batches, which is the count of the last one.

${table(
  ['layer (width), δ', ...epochs.map((epoch) => `epoch ${epoch}`)],
  layers.flatMap(({ name, features }, layer) =>
    thresholds.map((threshold) => [
      `${name} (${features}), ${threshold}`,
      ...epochs.map((epoch) => cell(epoch, threshold, layer)),
    ]),
  ),
)}`;
}

function delveSituations({ situations }) {
  const plain = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
  return table(
    ['situation', 'Delve', 'here'],
    situations.map(({ title, delve, ours }) => [title, delve, ours].map(plain)),
  ).replace('| --- | ---: | ---: |', '| --- | --- | --- |');
}

const diseaseNames = {
  rate: 'ReLUs die of a large rate',
  collapse: 'features collapse',
  frozen: 'a layer is frozen',
};

function diseases(result) {
  const { results } = result;
  const epoch = (value) => value ?? 'never';
  const planted = results.filter(({ control }) => control);
  const healthy = results.filter(({ control }) => !control);
  const found = healthy.flatMap(({ findings }) => findings);
  const stopped = healthy.filter((run) => run.stopped !== null);
  const collapses = planted
    .filter(({ name }) => name === 'collapse')
    .map(({ findings: all }) => epoch(all.find(({ kind }) => kind === 'collapse')?.epoch));
  const seeds = unique(results.map(({ seed }) => seed));
  return `${origin(result, seeds)}

${table(
  [
    'disease',
    'seed',
    'first finding in epoch',
    'what it says',
    'validation loss shows it in epoch',
    'early stopping in epoch',
  ],
  planted.map(({ name, seed, findings: [first], shown, stopped: end }) => [
    diseaseNames[name],
    seed,
    epoch(first?.epoch),
    first ? `\`'${first.kind}'\`, ${first.layer}` : '–',
    epoch(shown),
    epoch(end),
  ]),
)}

The ${healthy.length} healthy runs have ${found.length === 0 ? 'no finding' : `${found.length} findings`} in ${healthy[0].losses.length} epochs; early stopping would end ${stopped.length} of them.
Where features collapse, the finding \`'collapse'\` itself comes in epoch ${collapses.join(', ')} of seed ${seeds.join(', ')}.

${table(
  ['validation loss', 'epoch 1', 'last epoch'],
  unique(results.map(({ name }) => name)).map((name) => {
    const runs = results.filter((run) => run.name === name);
    const at = (index) =>
      range(
        runs.map(({ losses }) => losses.at(index)),
        (value) => value.toPrecision(2),
      );
    return [diseaseNames[name] ?? name, at(0), at(-1)];
  }),
)}`;
}

/** For each section: the document it stands in, the numbers it is made from, and how. */
export const sections = [
  { name: '1-eigenspace', document: 'science.md', of: eigenspace },
  { name: '2-tail-authors', document: 'science.md', of: authors },
  { name: '2-tail-photographs', document: 'science.md', of: photographs },
  { name: '2-tail', document: 'science.md', of: digits },
  { name: '3-convergence', document: 'science.md', of: convergence },
  { name: '4-width', document: 'science.md', of: width },
  { name: 'diseases', document: 'diseases.md', of: diseases },
  { name: 'network', from: 'delve-checked', document: 'delve-checked.md', of: delveNetwork },
  { name: 'situations', from: 'delve-checked', document: 'delve-checked.md', of: delveSituations },
];
