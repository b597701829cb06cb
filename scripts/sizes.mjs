// npm run sizes — what the package costs in a bundle for pages: each import by itself, with what it pulls in, minified and
// compressed by gzip. Writes the table into bench/RESULTS.md.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { machine, writeSection } from '../bench/results.mjs';
import { bundled } from './bundle.mjs';

const imports = [
  ['a writer of scalars (`ScalarWriter`)', "export { ScalarWriter } from '../dist/index.js'"],
  ['a writer of everything (`SummaryWriter`)', "export { SummaryWriter } from '../dist/index.js'"],
  ['a reader (`readEvents`)', "export { readEvents } from '../dist/index.js'"],
  ['covariance and spectra', "export { CovarianceAccumulator, Spectrum } from '../dist/index.js'"],
  ['all of `delve-tensorboard`', "export * from '../dist/index.js'"],
  ['`delve-tensorboard/tfjs`, without TensorFlow.js', "export * from '../dist/tfjs.js'"],
  ['advice (`adviseOn`)', "export { adviseOn } from '../dist/reports.js'"],
];
const files = [
  ['the script for CDNs (all of `delve-tensorboard`)', 'dist/delve-tensorboard.min.js'],
  ['the one with `delve-tensorboard/tfjs`, without TensorFlow.js', 'dist/delve-tensorboard-tfjs.min.js'],
  ['`delve-tensorboard/view`', 'dist/view.js'],
  ['the page of `serve` and `share`', 'dist/dashboard/page.js'],
  ['its worker', 'dist/dashboard/worker.js'],
];

const row = (name, code) =>
  `| ${name} | ${(code.length / 1000).toFixed(1)} | ${(gzipSync(code, { level: 9 }).length / 1000).toFixed(1)} |`;
const rows = [];
for (const [name, code] of imports) rows.push(row(name, await bundled(code)));
for (const [name, path] of files) rows.push(row(name, readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')));
console.log(rows.join('\n'));
writeSection(
  'sizes',
  `## Sizes

\`npm run sizes\`, ${machine()}: what a page loads, minified, in kB.

| what | as it is | gzip |
| --- | ---: | ---: |
${rows.join('\n')}`,
);
