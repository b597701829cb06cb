// Experiment 2, as its authors have it: saturation and probes of their eight networks of two paths (MPNet18_* and MPNet36_*)
// after 30 epochs on CIFAR-10, and how much of the saturation is left behind the border layer. Nothing is trained here.
//
// docs/science/mpnet.json has their numbers: of each convolution [probe accuracy, saturation, receptive field of its path],
// as printed below the cells 10 to 17 of multipath_analysis.ipynb in https://github.com/MLRichter/phd-lab. With --notebook
// it is read from there again.
//
//   node examples/experiments/2-tail-authors.mjs [--notebook multipath_analysis.ipynb] [--out DIR]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { profilePlot, renderPng } from 'delve-tensorboard/reports';
import { programOptions } from '../../bench/options.mjs';
import { compact, mean } from './numbers.js';

const SIDE = 32;
const numbers = fileURLToPath(new URL('../../docs/science/mpnet.json', import.meta.url));
const values = programOptions({
  out: { type: 'string', default: 'runs/experiments/2-tail-authors' },
  notebook: { type: 'string' },
});

/** What Python printed below a cell, as JSON. */
function printed({ outputs }) {
  const text = outputs.map(({ text = [], data }) => [...text, ...(data?.['text/plain'] ?? [])].join('')).join('\n');
  const [found] = /\{'pathway0': \{[\s\S]*?\}\}/.exec(text);
  return JSON.parse(found.replaceAll("'", '"').replaceAll('(', '[').replaceAll(')', ']'));
}

if (values.notebook) {
  const { cells } = JSON.parse(readFileSync(values.notebook, 'utf8'));
  const networks = Object.fromEntries(
    cells.slice(10, 18).map((cell) => [/model = "(\w+)"/.exec(cell.source.join(''))[1], printed(cell)]),
  );
  writeFileSync(
    numbers,
    `${compact({ source: 'MLRichter/phd-lab, multipath_analysis.ipynb, 5ad21fa', networks }, 15)}\n`,
  );
}
const { networks } = JSON.parse(readFileSync(numbers, 'utf8'));

/**
 * The narrow paths of two networks got the receptive fields of another network's file; these are by their own layers, with
 * fewer of them per stage.
 */
const corrected = {
  'MPNet18_1_4_3_7/pathway0': [3, 5, 9, 17, 33],
  'MPNet36_1_4_3_7/pathway0': [3, 5, 7, 11, 15, 23, 31, 47, 63],
};

/** Index of the first layer whose input has seen all of the image; undefined if none comes after. */
function borderOf(fields) {
  const seen = fields.findIndex((field) => field > SIDE);
  return seen >= 0 && seen + 1 < fields.length ? seen + 1 : undefined;
}
// The first convolution is low in all networks (its few inputs hold no more), and it is not what this is about.
const ratioAt = (saturation, border) => mean(saturation.slice(border)) / mean(saturation.slice(1, border));

const paths = Object.entries(networks).flatMap(([network, ways]) =>
  Object.entries(ways).map(([path, layers]) => {
    const name = `${network}/${path}`;
    const rows = Object.values(layers);
    const saturation = rows.map(([, value]) => value);
    const fields = corrected[name] ?? rows.map(([, , field]) => field);
    const border = borderOf(fields);
    return { network, path, border, fields, saturation, probes: rows.map(([probe]) => probe) };
  }),
);
const bordered = paths
  .filter(({ border }) => border !== undefined)
  .map(({ network, path, border, saturation, probes }) => ({
    network,
    path,
    layers: saturation.length,
    border,
    before: mean(saturation.slice(1, border)),
    behind: mean(saturation.slice(border)),
    ratio: ratioAt(saturation, border),
    last: saturation.at(-1),
    probeGain: Math.max(...probes.slice(border)) - probes[border - 1],
  }));
// Where a path has no border, it is cut where others have theirs: behind 6 and behind 10 of 17 layers.
const controls = paths
  .filter(({ border }) => border === undefined)
  .map(({ network, path, saturation }) => ({
    network,
    path,
    layers: saturation.length,
    cuts: [6, 10].map((cut) => ratioAt(saturation, Math.round((cut / 17) * saturation.length))),
  }));
for (const { network, path, border, layers, before, behind, ratio } of bordered) {
  console.log(
    `${network} ${path}: border ${border} of ${layers}, ${before.toFixed(2)} -> ${behind.toFixed(2)}, ${ratio.toFixed(2)}`,
  );
}
for (const { network, path, cuts } of controls)
  console.log(`${network} ${path}: no border, ${cuts.map((x) => x.toFixed(2)).join(' ')}`);

mkdirSync(values.out, { recursive: true });
const command = 'node examples/experiments/2-tail-authors.mjs';
writeFileSync(`${values.out}/2-tail-authors.json`, `${compact({ command, bordered, controls })}\n`);
const { saturation, probes, fields, border } = paths.find(
  (each) => each.network === 'MPNet36_1_2_3_7' && each.border === 10,
);
const labels = fields.map((field, index) => `${index + 1}: sees ${field}`);
const picture = profilePlot(
  { labels, values: saturation },
  {
    probes,
    tail: labels.slice(border),
    title: 'MPNet36_1_2_3_7, narrow path: CIFAR-10, 30 epochs',
  },
);
writeFileSync(`${values.out}/2-tail-authors.png`, await renderPng(picture));
