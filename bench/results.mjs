// bench/results.json has a section for each benchmark. bench/RESULTS.md and the figures in documents are drawn from it alone.
//   node bench/results.mjs            draws them again
//   node bench/results.mjs --check    names what is not as results.json has it; exit code 1 if something is not
// A figure stands in a document as <!-- bench:name -->1.02<!-- /bench -->, not at the start of a line; figures.mjs has their names.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawResults, drawSection, machineOf } from './drawings.mjs';
import { figures } from './figures.mjs';
import { programOptions } from './options.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const bench = join(root, 'bench');

/** The part of the processors' time that is used within a second, by whatever else runs. */
export function busyShare() {
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const read = () => cpus().map(({ times }) => times);
  const before = read();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  const after = read();
  const spent = (of) => sum(after.map(of)) - sum(before.map(of));
  return 1 - spent(({ idle }) => idle) / spent((times) => sum(Object.values(times)));
}

/** The machine, the day, our commit and how busy the machine is. */
function session() {
  const git = (...args) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  let commit;
  try {
    commit = git('rev-parse', '--short', 'HEAD').trim();
  } catch {} // not a clone
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0].model.trim(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: process.platform,
    node: process.version,
    ...(commit && { commit }),
    load: loadavg()[0],
    busy: busyShare(),
  };
}

/** The machine, the versions and the day, in a line. */
export function machine() {
  return machineOf(session());
}

/** The version of an installed npm package. */
export function versionOf(name) {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
}

/** Begins a benchmark: returns what shows and saves its section (data, see drawings.mjs). @param options those of benchOptions */
export function beginSection(name, { dry, into = bench }) {
  const begun = session();
  const ignored = /^--(quick|dry|into(=.*)?)$/;
  const args = process.argv.slice(2).filter((arg, at, all) => !ignored.test(arg) && all[at - 1] !== '--into');
  return (data) => {
    const section = { ...begun, ...(args.length > 0 && { arguments: args.join(' ') }), ...data };
    console.log(`\n${drawSection(name, section)}`);
    if (dry) return;
    mkdirSync(into, { recursive: true });
    const path = join(into, 'results.json');
    const results = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
    writeFileSync(path, `${JSON.stringify({ ...results, [name]: section }, null, 2)}\n`);
    draw(into);
  };
}

/** A document with a section (Markdown without its markers) in place of the one of the same name, or at its end. */
export function replaceSection(document, name, text) {
  const start = `<!-- ${name}:start -->`;
  const end = `<!-- ${name}:end -->`;
  const section = `${start}\n${text.trim()}\n${end}`;
  const from = document.indexOf(start);
  const to = document.indexOf(end);
  return from >= 0 && to > from
    ? document.slice(0, from) + section + document.slice(to + end.length)
    : `${document.trimEnd()}\n\n${section}\n`;
}

/**
 * A document with its figures as the results have them; those of benchmarks whose results are old text, or lack them, stay as they are.
 * @throws {Error} if a figure has no such name, or begins a line, which Markdown takes for the end of a paragraph
 */
export function fillFigures(document, results, name = 'document') {
  return document.replace(/<!-- bench:(.*?) -->.*?<!-- \/bench -->/gs, (whole, figure, at) => {
    const of = figures[figure];
    if (of === undefined)
      throw new Error(`${name}: expected one of ${Object.keys(figures).join(', ')}, got '${figure}'`);
    if (at === 0 || document[at - 1] === '\n')
      throw new Error(`${name}: expected text before the figure ${figure} in its line, got none`);
    const section = results[figure.split('.')[0]];
    if (section === undefined || section.text !== undefined) return whole;
    try {
      return `<!-- bench:${figure} -->${of(section)}<!-- /bench -->`;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      console.error(`${name}: ${figure} stays as it is: ${error.message}`);
      return whole;
    }
  });
}

/** Every file that is drawn, with its text as it should be. Documents are drawn from the checkout's own results alone. */
function drawn(folder) {
  const results = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8'));
  const files = new Map([[join(folder, 'RESULTS.md'), drawResults(results)]]);
  if (resolve(folder) !== resolve(bench)) return files;
  const documents = readdirSync(join(root, 'docs'), { recursive: true }).filter((name) => name.endsWith('.md'));
  for (const name of ['README.md', ...documents.map((each) => join('docs', each))]) {
    const text = readFileSync(join(root, name), 'utf8');
    files.set(join(root, name), fillFigures(text, results, name));
  }
  return files;
}

const isStale = ([path, text]) => !existsSync(path) || readFileSync(path, 'utf8') !== text;

function draw(folder) {
  for (const [path, text] of [...drawn(folder)].filter(isStale)) writeFileSync(path, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { check, into } = programOptions({ check: { type: 'boolean' }, into: { type: 'string', default: bench } });
  if (!check) draw(into);
  else {
    const stale = [...drawn(into)].filter(isStale).map(([path]) => path.replace(root, ''));
    for (const path of stale)
      console.error(`${path} is not what bench/results.json has: node bench/results.mjs draws it again`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  }
}
