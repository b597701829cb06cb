// node scripts/docs-code.mjs — the code in README.md and docs/: every block of JavaScript is type-checked against the built
// package, those that are whole programs are run, and command lines name commands, options and npm scripts that exist.
//
// A name that a block uses and nobody declares is one of the doors' exports, or stands in the table below.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));

/** What the reader of a block has at hand. */
const given = {
  model: "import('@tensorflow/tfjs-layers').LayersModel",
  xs: "import('@tensorflow/tfjs-core').Tensor",
  ys: "import('@tensorflow/tfjs-core').Tensor",
  logdir: 'string',
  map: "import('delve-tensorboard/scale').ShardMap",
  store: "import('delve-tensorboard/scale').PartialStore",
  digits: "import('delve-tensorboard/scale').Plan",
  // Of onnxruntime or of transformers.js, of which the reader has either.
  ...Object.fromEntries(
    ['AutoModel', 'InferenceSession', 'tokenizer', 'texts', 'batches', 'readFile'].map((name) => [name, 'any']),
  ),
  // Numbers of the reader's own.
  ...Object.fromEntries(
    [
      'first',
      'second',
      'rows',
      'weights',
      'predictions',
      'train',
      'test',
      'labels',
      'values',
      'key',
      'size',
      'element',
      'tracker',
      'client',
      'parts',
      'accuracyOf',
      'settings',
    ].map((name) => [name, 'any']),
  ),
};

const doors = ['', '/tfjs', '/onnx', '/proto', '/reports', '/view', '/object-stores', '/scale'];
const documents = ['README.md', ...markdownBelow('docs')];
const complaints = [];

function markdownBelow(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory() ? markdownBelow(path) : path.endsWith('.md') ? [path] : [];
    })
    .sort();
}

/** The fenced blocks of a document in some languages. */
function blocksOf(path, languages) {
  const lines = readFileSync(path, 'utf8').split('\n');
  const blocks = [];
  let open;
  for (const [index, line] of lines.entries()) {
    const fence = /^\s*```(\w*)/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === undefined) open = { language: fence[1], path, line: index + 2, lines: [] };
    else {
      if (languages.includes(open.language)) blocks.push({ ...open, code: open.lines.join('\n') });
      open = undefined;
    }
  }
  return blocks;
}

// ---------------------------------------------------------------------------------------------------- types of JavaScript

const options = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.d.ts', 'lib.dom.asynciterable.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  noEmit: true,
  skipLibCheck: true,
  strict: false,
};

/** What TypeScript says of texts, by their number. */
function check(texts) {
  const host = ts.createCompilerHost(options);
  const names = new Map(texts.map((text, i) => [resolve(`docs-block-${i}.mts`), text]));
  const { fileExists, getSourceFile, readFile } = host;
  host.fileExists = (path) => names.has(path) || fileExists(path);
  host.readFile = (path) => names.get(path) ?? readFile(path);
  host.getSourceFile = (path, target, ...rest) =>
    names.has(path) ? ts.createSourceFile(path, names.get(path), target) : getSourceFile(path, target, ...rest);
  const program = ts.createProgram([...names.keys()], options, host);
  return [...names.keys()].map((path) => ts.getPreEmitDiagnostics(program, program.getSourceFile(path)));
}

const notFound = new Set([2304, 2552, 2582, 2593, 18004]);
const blocks = documents.flatMap((path) => blocksOf(path, ['js', 'ts', 'javascript', 'typescript']));
const exported = new Map();
for (const door of doors) {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
  const path = exports[`.${door}`]?.default;
  if (path === undefined) continue;
  const text = readFileSync(path.replace(/\.js$/, '.d.ts'), 'utf8');
  for (const [, list] of text.matchAll(/export \{([^}]*)\}/g)) {
    for (const name of list.split(',').map((each) => each.trim().split(' ').at(-1))) {
      if (!exported.has(name)) exported.set(name, `delve-tensorboard${door}`);
    }
  }
}
/** The door from which another block of the document imports a name. */
function doorOf(path, name) {
  const imports = blocks
    .filter((each) => each.path === path)
    .flatMap(({ code }) => [...code.matchAll(/import \{([^}]*)\} from '(delve-tensorboard[^']*)'/g)]);
  return imports.find(([, names]) => names.split(',').some((each) => each.trim() === name))?.[2];
}

const preambles = blocks.map(() => '');
for (const [i, diagnostics] of check(blocks.map(({ code }) => `${code}\nexport {};`)).entries()) {
  const names = new Set(
    diagnostics
      .filter(({ code }) => notFound.has(code))
      .map(({ messageText }) => /'([^']+)'/.exec(String(messageText))[1]),
  );
  blocks[i].isWhole = names.size === 0;
  for (const name of names) {
    const own = doorOf(blocks[i].path, name);
    if (own !== undefined) preambles[i] += `import { ${name} } from '${own}'; `;
    else if (exported.has(name)) preambles[i] += `import { ${name} } from '${exported.get(name)}'; `;
    else if (name in given) preambles[i] += `declare const ${name}: ${given[name]}; `;
    else complaints.push(`${blocks[i].path}:${blocks[i].line}: nobody declares ${name}`);
  }
}
for (const [i, diagnostics] of check(blocks.map(({ code }, i) => `${preambles[i]}${code}\nexport {};`)).entries()) {
  for (const { code, file, messageText, start } of diagnostics) {
    if (notFound.has(code)) continue;
    const line = blocks[i].line + file.getLineAndCharacterOfPosition(start).line;
    complaints.push(`${blocks[i].path}:${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
  }
}

// ---------------------------------------------------------------------------------------------------- whole programs

/** Programs that need what a bare machine has not: doors to others' packages, pages, addresses. */
const isRunnable = ({ code, isWhole }) =>
  isWhole &&
  /delve-tensorboard/.test(code) &&
  !/object-stores|onnx|view'|openBrowserFolder|\b(s3|gs|redis|https?):\/\//.test(code);
let ran = 0;
for (const path of documents) {
  // Below this folder, the package's own name leads to it.
  const folder = mkdtempSync(resolve('docs', '.run-'));
  try {
    for (const block of blocks.filter((each) => each.path === path && isRunnable(each))) {
      const file = join(folder, `block-${block.line}.mjs`);
      writeFileSync(file, block.code);
      const { status, stderr } = spawnSync(process.execPath, [file], { cwd: folder, encoding: 'utf8' });
      if (status !== 0)
        complaints.push(
          `${path}:${block.line}: ends with ${status}: ${stderr.trim().split('\n').slice(0, 6).join(' | ')}`,
        );
      ran++;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// ---------------------------------------------------------------------------------------------------- command lines

const { stdout: fish } = spawnSync(process.execPath, ['dist/cli.js', 'completions', 'fish'], { encoding: 'utf8' });
const known = new Map();
for (const [, name] of fish.matchAll(/__fish_use_subcommand -f -a (\S+)/g)) known.set(name, new Set());
for (const [, name, option] of fish.matchAll(/__fish_seen_subcommand_from (\S+)' -l (\S+)/g))
  known.get(name)?.add(`--${option}`);
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
let lines = 0;
for (const block of documents.flatMap((path) => blocksOf(path, ['sh', 'bash']))) {
  for (const line of block.lines) {
    const where = `${block.path}:${block.line + block.lines.indexOf(line)}`;
    for (const [, script] of line.matchAll(/npm run ([\w:]+)/g)) {
      if (!(script in scripts) && !line.includes(' -w ')) complaints.push(`${where}: there is no script ${script}`);
    }
    const command = /delve-tensorboard ([a-z][a-z-]*)(.*)/.exec(line.replace(/#.*/, ''));
    if (command === null || !/npx|^\s*delve/.test(line)) continue;
    lines++;
    const taken = known.get(command[1]);
    if (taken === undefined) complaints.push(`${where}: there is no command ${command[1]}`);
    else if (command[1] !== 'board') {
      for (const [option] of command[2].matchAll(/--[a-z-]+/g)) {
        if (!taken.has(option)) complaints.push(`${where}: ${command[1]} has no option ${option}`);
      }
    }
  }
}

for (const complaint of complaints) console.error(complaint);
console.log(`${blocks.length} blocks of code checked, ${ran} run; ${lines} command lines`);
if (complaints.length > 0) process.exitCode = 1;
