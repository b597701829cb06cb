// node scripts/architecture.mjs — draws the rooms of src/ into ARCHITECTURE.md, from the import graph.
//
// The rooms and their order come from .dependency-cruiser.cjs, the arrows from the imports, and the line under a room's
// name from its heading in ARCHITECTURE.md. With --check nothing is written: a stale picture, a room without a paragraph,
// a file outside the rooms, and a document that names a file or a function that does not exist are errors.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
const require = createRequire(import.meta.url);
const { rooms } = require('../.dependency-cruiser.cjs');
const names = Object.keys(rooms);
const check = process.argv.includes('--check');
const complaints = [];

// ---------------------------------------------------------------------------------------------------- the import graph

/** Every file of src/ with the files of src/ that it imports. */
function readGraph() {
  const npx = process.platform === 'win32' ? 'npx.cmd' : 'npx';
  const args = ['--no-install', 'depcruise', '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src'];
  const { stdout, stderr } = spawnSync(npx, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (!stdout) throw new Error(`dependency-cruiser printed no graph: ${stderr}`);
  return JSON.parse(stdout)
    .modules.filter(({ source }) => source.startsWith('src/'))
    .map(({ source, dependencies }) => ({
      source,
      imports: dependencies.map(({ resolved }) => resolved).filter((path) => path.startsWith('src/')),
    }));
}

/** The room that a file belongs to; a file in none or in two is a complaint. */
function roomOf(path) {
  const found = names.filter((name) => new RegExp(rooms[name]).test(path));
  if (found.length !== 1) complaints.push(`${path} is in ${found.length === 0 ? 'no room' : found.join(' and ')}`);
  return found[0];
}

/** Room → the rooms it imports from, both in the order of the house. */
function arrowsBetweenRooms() {
  const arrows = new Map(names.map((name) => [name, new Set()]));
  for (const { source, imports } of graph) {
    const from = roomOf(source);
    for (const path of imports) if (roomOf(path) !== from) arrows.get(from)?.add(roomOf(path));
  }
  for (const [name, targets] of arrows)
    arrows.set(
      name,
      names.filter((target) => targets.has(target)),
    );
  return arrows;
}

/** The arrows without those that a longer way makes superfluous (the transitive reduction of a graph without circles). */
function reduced(arrows) {
  const reaches = (from, to, seen = new Set()) =>
    arrows.get(from).some((next) => next === to || (!seen.has(next) && reaches(next, to, seen.add(next))));
  return new Map(
    [...arrows].map(([from, targets]) => [
      from,
      targets.filter((target) => !targets.some((other) => other !== target && reaches(other, target))),
    ]),
  );
}

// ------------------------------------------------------------------------------------------------------- the picture

/** What the headings `### room: what flows through it` say, by room. */
function headings(document) {
  return new Map([...document.matchAll(/^### `?([a-z]+)`?: (.+)$/gm)].map(([, name, words]) => [name, words]));
}

function diagram(arrows, words) {
  const lines = ['```mermaid', 'flowchart TB'];
  for (const name of names) lines.push(`  ${name}["<b>${name}</b><br>${words.get(name) ?? ''}"]`);
  for (const [from, targets] of reduced(arrows)) {
    if (targets.length > 0) lines.push(`  ${from} --> ${targets.join(' & ')}`);
  }
  return [...lines, '```'].join('\n');
}

function table(arrows) {
  const rows = [...arrows].map(([from, targets]) => `| ${from} | ${targets.join(', ') || '–'} |`);
  return ['| room | imports from |', '| --- | --- |', ...rows].join('\n');
}

/** The document with a generated part between its two markers. */
function withPart(document, name, text) {
  const [start, end] = [`<!-- ${name}: drawn by scripts/architecture.mjs -->`, `<!-- end of ${name} -->`];
  const [before, rest] = document.split(start);
  const after = rest?.split(end)[1];
  if (after === undefined) throw new Error(`ARCHITECTURE.md lacks the markers ${start} and ${end}`);
  return `${before}${start}\n${text}\n${end}${after}`;
}

// ------------------------------------------------------------------------------------------- what the documents name

/** Names that a TypeScript or JavaScript file declares: functions, classes, types, constants, and Class.member. */
function declarations(path) {
  const found = new Set();
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
  const visit = (node, owner) => {
    const name = node.name && !ts.isPropertyAccessExpression(node) ? node.name.getText(source) : undefined;
    if (name) found.add(owner ? `${owner}.${name}` : name);
    if (ts.isConstructorDeclaration(node)) found.add(`${owner}.constructor`);
    const isOwner =
      ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node) || (ts.isVariableDeclaration(node) && name);
    ts.forEachChild(node, (child) => visit(child, isOwner ? name : owner));
  };
  ts.forEachChild(source, (node) => visit(node, undefined));
  return found;
}

/** Complains about a room's files that its paragraph does not name, and about files it names that are not there. */
function checkParagraphs(document) {
  for (const [, name, body] of document.matchAll(/^### ([a-z]+): .+\n([\s\S]*?)(?=^##)/gm)) {
    const files = graph.map(({ source }) => source).filter((path) => new RegExp(rooms[name] ?? '^$').test(path));
    const relative = files.map((path) => path.replace(/^src\/(?:[a-z]+\/)?/, ''));
    const named = [...body.matchAll(/`([\w*./-]+\.ts)`/g)].map(([, file]) => file);
    const patterns = named.map((file) => new RegExp(`^${file.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`));
    for (const file of relative) {
      if (/generated\/|^tensorboard\./.test(file) || patterns.some((pattern) => pattern.test(file))) continue;
      complaints.push(`ARCHITECTURE.md does not name ${file} in the paragraph on ${name}`);
    }
    for (const file of named) {
      const isThere = existsSync(`src/${file}`) || existsSync(`src/${name}/${file}`) || file.includes('*');
      if (!isThere) complaints.push(`ARCHITECTURE.md names ${file} in the paragraph on ${name}, which is not there`);
    }
  }
}

const FOLDERS = /^(src|test|scripts|docs|bench|examples|proto|\.ci|\.github)\//;
const GENERATED = /(^src\/proto\/|\/generated\/)/;

/** Complains about every file, folder, function and relative link of a document that does not exist. */
function checkNames(document) {
  const text = readFileSync(document, 'utf8').replace(/^```[\s\S]*?^```$/gm, '');
  for (const [, target] of text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
    if (!existsSync(join(dirname(document), target)))
      complaints.push(`${document} links to ${target}, which is not there`);
  }
  for (const line of text.split('\n')) {
    let file;
    let end = -1;
    for (const { 0: span, 1: code, index } of line.matchAll(/`([^`]+)`/g)) {
      if (FOLDERS.test(code) && !/[*{<…\s]/.test(code)) {
        if (!existsSync(code) && !GENERATED.test(code))
          complaints.push(`${document} names ${code}, which is not there`);
        file = /\.(ts|m?js)$/.test(code) && existsSync(code) ? code : undefined;
      } else {
        if (!/^,? $/.test(line.slice(end, index))) file = undefined;
        if (file && isWalk(line) && !declarations(file).has(code)) {
          complaints.push(`${document}: ${file} declares no ${code}`);
        }
      }
      end = index + span.length;
    }
  }
}

/** A line of a walk is an item of a numbered list that begins with a file; names right behind a file are declared in it. */
const isWalk = (line) => /^\d+\. `src\//.test(line);

/** Complains about every diff of a document that is neither in the code nor applies to it. */
function checkDiffs(document) {
  const text = readFileSync(document, 'utf8');
  for (const [, diff] of text.matchAll(/^```diff\n([\s\S]*?)^```$/gm)) {
    const check = (...direction) =>
      spawnSync('git', ['apply', '--check', '-C1', '--recount', ...direction, '-'], { input: diff, encoding: 'utf8' });
    const there = check('--reverse');
    const applies = check();
    if (there.error || there.status === 0 || applies.status === 0) continue;
    complaints.push(`${document} has a diff that does not apply: ${applies.stderr.trim()}`);
  }
}

// ------------------------------------------------------------------------------------------------------------- run it

const graph = readGraph();
const arrows = arrowsBetweenRooms();
const old = readFileSync('ARCHITECTURE.md', 'utf8');
const words = headings(old);
for (const name of names) if (!words.has(name)) complaints.push(`ARCHITECTURE.md has no heading "### ${name}: …"`);
for (const name of words.keys())
  if (!rooms[name]) complaints.push(`ARCHITECTURE.md describes ${name}, which is no room`);
const drawn = withPart(withPart(old, 'picture', diagram(arrows, words)), 'arrows', table(arrows));

if (!check) writeFileSync('ARCHITECTURE.md', drawn);
else if (drawn !== old) complaints.push('ARCHITECTURE.md is stale; node scripts/architecture.mjs draws it again');

const documents = ['.', 'docs', '.github'].filter(existsSync).flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);
for (const document of documents) {
  checkNames(document);
  checkDiffs(document);
}
checkParagraphs(drawn);

for (const complaint of new Set(complaints)) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
else console.log(check ? 'ARCHITECTURE.md is true' : 'ARCHITECTURE.md is drawn');
