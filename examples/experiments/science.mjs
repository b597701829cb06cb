// npm run science -w examples — runs every experiment, one after another, and puts their numbers and figures into docs/.
//
//   npm run science -w examples -- --only 1-eigenspace,4-width     some of them
//   PYTHON=/…/.venv-delve/bin/python npm run science -w examples -- --only delve-checked
//   node examples/experiments/science.mjs --tables                  none: the tables from the numbers that are there
//   node examples/experiments/science.mjs --check                   whether the tables are those of the numbers
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { programOptions } from '../../bench/options.mjs';
import { replaceSection } from '../../bench/results.mjs';
import { sections } from './tables.js';

const values = programOptions({
  only: { type: 'string' },
  tables: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
});
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const docs = (path) => here(`../../docs/${path}`);

/** Each with its options, the figures that the documents show, and how it differs from the script it is named after. */
const experiments = [
  { name: '1-eigenspace', figures: ['1-eigenspace'] },
  // Without oneDNN's kernels the native backend adds in another order.
  {
    name: '1-eigenspace-rounding',
    script: '1-eigenspace',
    args: ['--seeds', '2'],
    env: { TF_ENABLE_ONEDNN_OPTS: '0' },
  },
  { name: '2-tail-authors', figures: ['2-tail-authors'] },
  { name: '2-tail-photographs', figures: ['2-tail-photographs-sgd', '2-tail-photographs-sgd-no-border'] },
  { name: '2-tail-photographs-16', script: '2-tail-photographs', args: ['--side', '16'] },
  { name: '2-tail-photographs-8', script: '2-tail-photographs', args: ['--side', '8'] },
  { name: '2-tail', figures: ['2-tail-too-deep'] },
  { name: '3-convergence', figures: ['3-convergence'] },
  { name: '4-width', figures: ['4-width'] },
  { name: 'diseases', args: ['--backend', 'wasm'], figures: ['diseases'] },
  { name: 'delve-checked' },
];

const chosen = values.only?.split(',') ?? experiments.map(({ name }) => name);
const unknown = chosen.find((name) => !experiments.some((each) => each.name === name));
if (unknown) throw new RangeError(`--only: expected names of experiments, got '${unknown}'`);

if (!values.tables && !values.check) {
  for (const { name, script = name, args = [], env = {}, figures = [] } of experiments) {
    if (!chosen.includes(name)) continue;
    const out = here(`../../runs/experiments/${name}`);
    mkdirSync(docs('science'), { recursive: true });
    const child = spawnSync(process.execPath, [here(`${script}.mjs`), '--out', out, ...args], {
      cwd: here('../..'),
      env: { ...process.env, ...env },
      stdio: 'inherit',
    });
    if (child.status !== 0) throw new Error(`${name}: expected exit status 0, got ${child.status}`);
    copyFileSync(`${out}/${script}.json`, docs(`science/${name}.json`));
    for (const figure of figures) copyFileSync(`${out}/${figure}.png`, docs(`science/${figure}.png`));
  }
}

const numbers = Object.fromEntries(
  experiments.map(({ name }) => [name, JSON.parse(readFileSync(docs(`science/${name}.json`), 'utf8'))]),
);
for (const document of new Set(sections.map((section) => section.document))) {
  const before = readFileSync(docs(document), 'utf8');
  const after = sections
    .filter((section) => section.document === document)
    .reduce((text, { name, from = name, of }) => replaceSection(text, name, of(numbers[from], numbers)), before);
  if (after === before) continue;
  if (values.check) {
    console.error(
      `docs/${document} is not what docs/science/*.json give: node examples/experiments/science.mjs --tables`,
    );
    process.exitCode = 1;
  } else {
    writeFileSync(docs(document), after);
    console.log(`docs/${document}`);
  }
}
