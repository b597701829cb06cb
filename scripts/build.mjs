// Builds the package: proto/ -> src/proto/, the WASM kernels -> src/kernels/wasm/generated/, src/ -> dist/.
// Each step is skipped when its outputs are newer than its inputs, so tests and the demo can call it every time.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleNodeDoors, nodeDoors } from './node-doors.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
process.chdir(root);

const only = process.argv[2]; // 'generated': stop before tsc

/** All files below a folder that a test accepts, as paths. */
function filesBelow(folder, accept = () => true) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter(accept);
}

/** True when every output exists and none is older than the newest input. */
function isFresh(inputs, outputs) {
  if (!outputs.every((path) => existsSync(path))) return false;
  const newest = Math.max(...inputs.map((path) => statSync(path).mtimeMs));
  return outputs.every((path) => statSync(path).mtimeMs >= newest);
}

function bin(packageName, path) {
  return join(dirname(require.resolve(`${packageName}/package.json`)), path);
}

/** Runs a tool; when it fails, what it printed is the message and its status is ours. */
function run(script, args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
}

/** Writes a file in one step: whoever reads it meanwhile sees the old one or the new one. */
function writeWhole(path, text) {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

/** The letters of src/encoding/message-types.ts for the types of fields, and what those are in TypeScript. */
const protoKinds = {
  double: ['d', 'number'],
  float: ['f', 'number'],
  int32: ['i', 'number'],
  uint32: ['u', 'number'],
  bool: ['b', 'boolean'],
  int64: ['l', 'number | bigint'],
  uint64: ['w', 'number | bigint'],
  string: ['s', 'string'],
  bytes: ['y', 'Uint8Array'],
};

/** The messages of proto/ as tables, and their types. */
async function buildProto() {
  const inputs = [...filesBelow('proto'), 'scripts/build.mjs'];
  const outputs = [
    ...['tensorboard.messages.js', 'tensorboard.js', 'tensorboard.d.ts'],
    ...['tensorboard.descriptor.js', 'tensorboard.descriptor.d.ts'],
  ].map((name) => `src/proto/${name}`);
  if (isFresh(inputs, outputs)) return;
  mkdirSync('src/proto', { recursive: true });
  const { default: protobuf } = await import('protobufjs');
  const root = protobuf.loadSync(['event', 'graph', 'plugins'].map((name) => `proto/${name}.proto`)).resolveAll();
  const descriptor = JSON.stringify(root.toJSON());
  const [messages, enums, types] = [[], [], []];
  const nameOf = ({ fullName }) => fullName.replace('.tensorboard.', '');
  const typeOf = ({ resolvedType, type }, prefix) => {
    if (resolvedType === null) return protoKinds[type][1];
    const name = nameOf(resolvedType);
    return `tensorboard.${resolvedType instanceof protobuf.Enum ? name : name.replace(/(\w+)$/, `${prefix}$1`)}`;
  };
  const visit = (holder, indent) => {
    for (const each of holder.nestedArray) {
      if (each instanceof protobuf.Enum) {
        const values = Object.entries(each.values);
        enums.push([nameOf(each), values.map(([name, number]) => `${name}=${number}`).join(' ')]);
        const lines = values.map(([name, number]) => `${indent}  ${name} = ${number},`);
        types.push(`${indent}enum ${each.name} {`, ...lines, `${indent}}`);
        continue;
      }
      const [oneof, ...more] = each.oneofsArray;
      if (more.length > 0) throw new Error(`${each.name} has more than one oneof, which the codec does not know`);
      const fields = each.fieldsArray.sort((a, b) => a.id - b.id);
      const stored = fields.map((field) => {
        const { id, map, name, partOf, repeated, resolvedType, type } = field;
        const mark = map ? '{' : repeated ? '*' : partOf ? '?' : '';
        const isEnum = resolvedType instanceof protobuf.Enum;
        if (map && (field.keyType !== 'string' || resolvedType === null)) throw new Error(`${name}: no known map`);
        return `${name}${mark}=${id}${isEnum ? 'i' : resolvedType ? nameOf(resolvedType) : protoKinds[type][0]}`;
      });
      messages.push([nameOf(each), [oneof?.name ?? '', ...stored].join(' ')]);
      const shapeOf = (field) => {
        const one = typeOf(field, 'I');
        return field.map ? `{ [key: string]: ${one} }` : field.repeated ? `(${one})[]` : one;
      };
      const given = fields.map((field) => `${indent}  ${field.name}?: ${shapeOf(field)} | null;`);
      const unknown = `${indent}  $unknowns?: Uint8Array[];`;
      const read = fields.map((field) => {
        const isThere =
          field.map || field.repeated || (!field.partOf && !(field.resolvedType instanceof protobuf.Type));
        return `${indent}  ${field.name}${isThere ? '' : '?'}: ${shapeOf(field)}${isThere ? '' : ' | null'};`;
      });
      const what =
        oneof && `${indent}  readonly ${oneof.name}?: ${oneof.oneof.map((name) => `'${name}'`).join(' | ')};`;
      types.push(
        `${indent}interface I${each.name} {`,
        ...given,
        unknown,
        `${indent}}`,
        `${indent}class ${each.name} {`,
        `${indent}  constructor(properties?: tensorboard.${nameOf(each).replace(/(\w+)$/, 'I$1')});`,
        ...read,
        ...(what ? [what] : []),
        unknown,
        `${indent}}`,
      );
      if (each.nestedArray.length > 0) {
        types.push(`${indent}namespace ${each.name} {`);
        visit(each, `${indent}  `);
        types.push(`${indent}}`);
      }
    }
  };
  visit(root.lookup('tensorboard'), '  ');
  const constant = (name) => name.replaceAll('.', '_');
  // What is in another message is a property of its class. Each is a constant by itself, so that bundlers leave out what is not used.
  const nestedOf = (name) =>
    [...messages, ...enums]
      .filter(([other]) => other.startsWith(`${name}.`))
      .map(([other]) => `${other.slice(name.length + 1)}: ${constant(other)}`);
  const lines = [...enums].map(([name, text]) => [name, `enumOf('${text}')`]);
  for (const [name, text] of messages.sort(([a], [b]) => b.split('.').length - a.split('.').length)) {
    const held = new Set([...text.matchAll(/=\d+([A-Z][\w.]*)/g)].map(([, other]) => other));
    const types = [...held].map((other) => (other === constant(other) ? other : `'${other}': ${constant(other)}`));
    const nested = nestedOf(name);
    const rest = nested.length > 0 ? `, { ${nested.join(', ')} }` : '';
    const find = types.length > 0 || rest !== '' ? `, () => ({ ${types.join(', ')} })` : '';
    lines.push([name, `messageOf('${text}'${find}${rest})`]);
  }
  const exported = ([name, code]) =>
    `${name.includes('.') ? '' : 'export '}const ${constant(name)} = /* @__PURE__ */ ${code};\n`;
  const origin = '// Generated from proto/ by scripts/build.mjs. Do not edit.\n';
  writeWhole(
    outputs[0],
    `${origin}import { enumOf, messageOf } from '../encoding/message-types.js';\n\n${lines.map(exported).join('')}`,
  );
  writeWhole(outputs[1], `${origin}export * as tensorboard from './tensorboard.messages.js';\n`);
  writeWhole(outputs[2], `${origin}export namespace tensorboard {\n${types.join('\n')}\n}\n`);
  writeWhole(outputs[3], `${origin}export const descriptor = ${descriptor};\n`);
  writeWhole(outputs[4], `${origin}export const descriptor: import('protobufjs').INamespace;\n`);
}

function buildKernels() {
  const inputs = [...filesBelow('src/kernels/wasm/assembly'), 'scripts/build.mjs'];
  if (inputs.length === 1) return;
  const folder = 'src/kernels/wasm/generated';
  const outputs = [`${folder}/wasm.ts`, `${folder}/histogram-wasm.ts`];
  if (isFresh(inputs, outputs)) return;
  mkdirSync(folder, { recursive: true });
  const relaxed = ['--enable', 'relaxed-simd'];
  const base64Of = (file, options) => compileAssembly(file, options).toString('base64');
  const text = [
    '// Generated from src/kernels/wasm/assembly/ by scripts/build.mjs: two builds of the kernels, and a probe. Do not edit.',
    `export const wasm = ${JSON.stringify({ base64: base64Of('kernels.as.ts', []), ...constantsOf([]) })};`,
    `export const fused = ${JSON.stringify({ base64: base64Of('kernels.as.ts', relaxed), ...constantsOf(relaxed) })};`,
    `export const probeBase64 = '${base64Of('probe.as.ts', relaxed)}';`,
  ];
  writeWhole(outputs[0], `${text.join('\n')}\n`);
  const histogram = [
    '// Generated from src/kernels/wasm/assembly/histogram.as.ts by scripts/build.mjs. Do not edit.',
    `export const histogramBase64 = '${base64Of('histogram.as.ts', [])}';`,
  ];
  writeWhole(outputs[1], `${histogram.join('\n')}\n`);
}

/** The numbers that both sides must agree on, read from the compiled globals, so that nobody copies them. */
function constantsOf(options) {
  const module = new WebAssembly.Module(compileAssembly('constants.as.ts', options));
  const { exports } = new WebAssembly.Instance(module, { env: { memory: new WebAssembly.Memory({ initial: 1 }) } });
  const globals = Object.entries(exports).filter(([, value]) => value instanceof WebAssembly.Global);
  return Object.fromEntries(globals.map(([name, { value }]) => [name, value]));
}

/** The WebAssembly module of a file in src/kernels/wasm/assembly/. */
function compileAssembly(file, options = []) {
  const wasm = `src/kernels/wasm/generated/${file}.${process.pid}.wasm`;
  run(bin('assemblyscript', 'bin/asc.js'), [
    `src/kernels/wasm/assembly/${file}`,
    '-o',
    wasm,
    '-O3',
    '--shrinkLevel',
    '1',
    '--noAssert',
    '--enable',
    'simd',
    '--enable',
    'threads',
    '--runtime',
    'stub',
    '--importMemory',
    '--use',
    'abort=',
    ...options,
  ]);
  const bytes = readFileSync(wasm);
  rmSync(wasm);
  return bytes;
}

/** The compiled kernels come from the host (threads/thread.ts): in the worker's script they would be in every bundle twice. */
const kernelsFromHost = {
  name: 'kernels-from-host',
  load(path) {
    if (!path.endsWith('wasm/generated/wasm.ts')) return undefined;
    return 'export const { wasm, fused, probeBase64 } = globalThis.kernelBuilds;';
  },
};

/** Bundles what runs in a worker thread into a string: as a file of its own it would be lost by users' bundlers. */
async function buildWorker(entry, rooms) {
  if (!existsSync(entry)) return;
  const folder = `${dirname(entry)}/generated`;
  const output = `${folder}/${basename(entry, '.ts')}-source.ts`;
  mkdirSync(folder, { recursive: true });
  const isSource = (path) => path.endsWith('.ts') && path !== output;
  const inputs = [...rooms.flatMap((room) => filesBelow(room, isSource)), 'src/errors.ts', 'scripts/build.mjs'];
  if (isFresh(inputs, [output])) return;
  const { rolldown } = await import('rolldown');
  const bundle = await rolldown({
    input: entry,
    platform: 'neutral',
    tsconfig: false,
    resolve: {
      extensionAlias: { '.js': ['.ts', '.js'] },
      // A thread is told by its host what else it would ask the platform for.
      alias: { '#platform': join(root, 'src/platform/browser.ts') },
      conditionNames: ['import'],
    },
    external: 'gifenc', // what threads have of the platform does not ask for it
    plugins: [kernelsFromHost],
  });
  const { output: chunks } = await bundle.generate({ format: 'iife', minify: true });
  await bundle.close();
  if (chunks.length !== 1 || chunks[0].imports.length > 0) throw new Error('The worker must be one script.');
  const { code } = chunks[0];
  writeWhole(
    output,
    `// Generated from ${entry} by scripts/build.mjs: ${code.length} characters. Do not edit.\n` +
      `export const workerSource =\n  ${JSON.stringify(code)};\n`,
  );
}

/** Bundles the script of a report into a string, for the same reason. */
async function buildReportScript() {
  const output = 'src/view/generated/report-script.ts';
  mkdirSync(dirname(output), { recursive: true });
  const isSource = (path) => path.endsWith('.ts') && path !== output;
  if (isFresh([...filesBelow('src', isSource), 'scripts/build.mjs', 'package-lock.json'], [output])) return;
  const { code } = await bundleForPages('src/view/report-page.ts', 'iife');
  // Nothing in it ends the element that it stands in.
  const inPage = code.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
  writeWhole(
    output,
    `// Generated from src/view/report-page.ts by scripts/build.mjs: ${inPage.length} characters. Do not edit.\n` +
      `export const reportScript: string =\n  ${JSON.stringify(inPage)};\n`,
  );
}

function buildTypeScript() {
  const inputs = [...filesBelow('src'), 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.mjs'];
  if (isFresh(inputs, ['dist/.built'])) return;
  // Built beside dist/ and then put in its place, so that a type error leaves the last good build standing.
  const next = 'node_modules/.cache/delve-tensorboard-dist';
  rmSync(next, { recursive: true, force: true });
  run(bin('typescript', 'bin/tsc'), ['-p', 'tsconfig.build.json', '--outDir', next]);
  cpSync('src/proto', `${next}/proto`, { recursive: true });
  writeFileSync(`${next}/.built`, '');
  rmSync('dist', { recursive: true, force: true });
  renameSync(next, 'dist');
}

async function buildNodeDoors() {
  const folder = 'dist/node';
  const outputs = [...nodeDoors.map((name) => `${folder}/${name}.cjs`), `${folder}/cli.js`];
  if (isFresh(['dist/.built', 'scripts/build.mjs', 'scripts/node-doors.mjs'], outputs)) return;
  const files = await bundleNodeDoors(join(root, 'dist'));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, code] of files) writeWhole(`${folder}/${name}`, code);
  // Programs look for it beside the file that import.meta.resolve names.
  writeWhole(`${folder}/cli.js`, "#!/usr/bin/env node\nimport '../cli.js';\n");
}

/** The licenses of the packages that these modules are of, as a comment: they ask to go with every copy. */
function licensesOf(modules) {
  const packages = new Set(modules.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []));
  const byText = new Map([[readFileSync('LICENSE', 'utf8').trim(), ['delve-tensorboard']]]);
  for (const name of [...packages].sort()) {
    const file = readdirSync(`node_modules/${name}`).find((path) => /^licen[cs]e/i.test(path));
    const text = file === undefined ? 'no license file' : readFileSync(`node_modules/${name}/${file}`, 'utf8').trim();
    byText.set(text, [...(byText.get(text) ?? []), name]);
  }
  const parts = [...byText].map(([text, names]) => `${names.join(', ')}:\n${text}`);
  return `/*!\n${parts.join('\n\n').replaceAll('*/', '* /')}\n*/`;
}

/** Removes what only the bundle can run: the modules that import packages of pages, and those that import them. */
function removeBundled(folder) {
  const sources = new Map(
    filesBelow(folder, (file) => file.endsWith('.js')).map((path) => [basename(path), readFileSync(path, 'utf8')]),
  );
  const packages = ['@observablehq/plot', 'marked', '../view/saturation-view.js'];
  const removed = [...packages];
  for (const name of removed) {
    const from = `from '${packages.includes(name) ? '' : './'}${name}'`;
    for (const [file, source] of sources) if (!removed.includes(file) && source.includes(from)) removed.push(file);
  }
  for (const file of removed.slice(packages.length)) rmSync(join(folder, file));
}

/** The view shows spectra and solves none: the compiled kernels and the worker's script would be a third of its size. */
const withoutSolver = {
  name: 'without-solver',
  load(path) {
    if (path.endsWith('wasm/generated/wasm.ts')) {
      return readFileSync(path, 'utf8').replace(/[\w+/=]{100,}/g, '');
    }
    return path.endsWith('threads/generated/worker-source.ts') ? "export const workerSource = '';" : undefined;
  },
};

/** One script for pages, with the packages that it imports and their licenses. */
async function bundleForPages(input, format, plugins = [withoutSolver]) {
  const { rolldown } = await import('rolldown');
  const bundle = await rolldown({
    input,
    platform: 'browser',
    tsconfig: false,
    resolve: {
      extensionAlias: { '.js': ['.ts', '.js'] },
      alias: { '#platform': join(root, 'src/platform/browser.ts') },
    },
    // What draws pictures is imported when one is first asked for, from where the page has it.
    external: /^(vega|vega-lite|@resvg\/resvg-js)$/,
    plugins,
  });
  const { output: chunks } = await bundle.generate({
    format,
    minify: true,
    comments: { legal: true },
    codeSplitting: false,
  });
  await bundle.close();
  if (chunks.length !== 1 || chunks[0].imports.length > 0) throw new Error(`${input} must become one script.`);
  return { code: `${licensesOf(Object.keys(chunks[0].modules))}\n${chunks[0].code}` };
}

/** The view as one script: what tsc made of its folder would import packages that are built in. */
async function buildView() {
  const inputs = [
    ...filesBelow('src', (path) => path.endsWith('.ts')),
    'scripts/build.mjs',
    'package-lock.json',
    'dist/.built',
  ];
  const script = 'dist/view.js';
  if (isFresh(inputs, [script, pluginScript])) return;
  const { code } = await bundleForPages('src/view.ts', 'esm');
  removeBundled('dist/view');
  writeWhole(script, code);
  mkdirSync(dirname(pluginScript), { recursive: true });
  writeWhole(pluginScript, code);
}

/** For a bundle: TensorFlow.js is what a page has loaded before, as its own script has it. */
const tensorFlowOfPage = {
  name: 'TensorFlow.js of the page',
  resolveId: (id) => (/^@tensorflow\/tfjs-(core|layers)$/.test(id) ? '\0tf' : undefined),
  load: (id) =>
    id === '\0tf'
      ? `if (globalThis.tf === undefined) {
           throw new Error('delve-tensorboard-tfjs.min.js: expected TensorFlow.js as the global tf: load its script (tf.min.js) before this module');
         }
         module.exports = globalThis.tf;`
      : undefined,
};

/** The main door, and that for TensorFlow.js, each as one script, for pages without a bundler: CDNs serve them. */
async function buildScript() {
  const inputs = [
    ...filesBelow('src', (path) => path.endsWith('.ts')),
    'scripts/build.mjs',
    'package-lock.json',
    'dist/.built',
  ];
  const script = 'dist/delve-tensorboard.min.js';
  const withTensorFlow = 'dist/delve-tensorboard-tfjs.min.js';
  if (isFresh(inputs, [script, withTensorFlow])) return;
  writeWhole(script, (await bundleForPages('src/index.ts', 'esm', [])).code);
  writeWhole(withTensorFlow, (await bundleForPages('src/tfjs.ts', 'esm', [tensorFlowOfPage])).code);
}

/** The page of `serve` and `share`, and its worker. */
async function buildDashboard() {
  const inputs = [
    ...filesBelow('src', (path) => path.endsWith('.ts')),
    'scripts/build.mjs',
    'package-lock.json',
    'dist/.built',
  ];
  const outputs = ['page', 'worker'].map((name) => `dist/dashboard/${name}.js`);
  if (isFresh(inputs, outputs)) return;
  const codes = await Promise.all(['page', 'worker'].map((name) => bundleForPages(`src/dashboard/${name}.ts`, 'esm')));
  removeBundled('dist/dashboard');
  for (const [index, { code }] of codes.entries()) writeWhole(outputs[index], code);
}

/** TensorBoard's plugin as a wheel, which needs no Python to make: the same sources give the same bytes. */
async function buildWheel() {
  const folder = 'tensorboard-plugin';
  const project = readFileSync(`${folder}/pyproject.toml`, 'utf8');
  const field = (name) => new RegExp(`^${name} = "(.*)"`, 'm').exec(project)[1];
  const [name, version] = [field('name').replaceAll('-', '_'), field('version')];
  const wheel = `dist/${name}-${version}-py3-none-any.whl`;
  const sources = filesBelow(`${folder}/src`, (path) => /\.(py|js)$/.test(path));
  if (isFresh([...sources, `${folder}/pyproject.toml`, `${folder}/README.md`, 'scripts/build.mjs'], [wheel])) return;
  const info = `${name}-${version}.dist-info`;
  const entry = /^\[project\.entry-points\.(.+)\]\n(.+)$/m.exec(project);
  const dependencies = [.../^dependencies = \[(.*)\]/m.exec(project)[1].matchAll(/"([^"]+)"/g)];
  const metadata = [
    'Metadata-Version: 2.1',
    `Name: ${field('name')}`,
    `Version: ${version}`,
    `Summary: ${field('description')}`,
    'License: MIT',
    `Requires-Python: ${field('requires-python')}`,
    ...dependencies.map(([, requirement]) => `Requires-Dist: ${requirement}`),
    'Description-Content-Type: text/markdown',
    '',
    readFileSync(`${folder}/README.md`, 'utf8'),
  ];
  const files = Object.fromEntries([
    ...sources.sort().map((path) => [path.slice(`${folder}/src/`.length), readFileSync(path)]),
    [`${info}/METADATA`, Buffer.from(metadata.join('\n'))],
    [
      `${info}/WHEEL`,
      Buffer.from('Wheel-Version: 1.0\nGenerator: delve-tensorboard\nRoot-Is-Purelib: true\nTag: py3-none-any\n'),
    ],
    [`${info}/entry_points.txt`, Buffer.from(`[${entry[1]}]\n${entry[2].replaceAll('"', '')}\n`)],
    [`${info}/LICENSE`, readFileSync('LICENSE')],
  ]);
  const digest = (bytes) => createHash('sha256').update(bytes).digest('base64url');
  const record = Object.entries(files).map(([path, bytes]) => `${path},sha256=${digest(bytes)},${bytes.length}\n`);
  files[`${info}/RECORD`] = Buffer.from(`${record.join('')}${info}/RECORD,,\n`);
  const { zipSync } = await import('fflate');
  // Zip files store local time: a date without a zone gives the same bytes everywhere.
  writeFileSync(wheel, zipSync(files, { level: 9, mtime: new Date(2020, 0, 1) }));
}

const pluginScript = 'tensorboard-plugin/src/tensorboard_plugin_saturation/static/index.js';

await buildProto();
buildKernels();
await buildWorker('src/statistics/threads/worker.ts', ['src/kernels', 'src/statistics']);
await buildWorker('src/output/upload-worker.ts', ['src/output', 'src/encoding', 'src/platform']);
await buildWorker('src/drawing/png-worker.ts', ['src/drawing', 'src/platform']);
await buildReportScript();
if (only !== 'generated') {
  buildTypeScript();
  await buildNodeDoors();
  await buildView();
  await buildDashboard();
  await buildScript();
  await buildWheel();
}
