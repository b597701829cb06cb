// npm run sizes — what the package costs in a bundle for pages: each import by itself, with what it pulls in, minified and
// compressed by gzip. Writes its section of bench/results.json.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { benchOptions } from '../bench/options.mjs';
import { beginSection } from '../bench/results.mjs';
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

const record = beginSection('sizes', benchOptions(0));
const rowOf = (what, code) => ({ what, bytes: code.length, gzipBytes: gzipSync(code, { level: 9 }).length });
const rows = [];
for (const [what, code] of imports) rows.push(rowOf(what, await bundled(code)));
for (const [what, path] of files) rows.push(rowOf(what, readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')));
record({ rows });
