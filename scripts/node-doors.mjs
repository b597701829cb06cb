// The doors as Node loads them: in few files, of which a program reads and parses those that it uses. Finding two hundred files, and
// parsing a megabyte, is most of the time of an import.
//
// The classes and functions of the main door are in one file, each room in another. What a file takes from another is
// loaded when that is first evaluated. So these files are CommonJS, which can load in the middle of a
// synchronous call; the doors themselves are modules, and `require` is given what they export from: there is one of everything,
// however a program loads the package.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { parseAst } from 'rolldown/parseAst';

/**
 * What one file has loaded, the others have without `require`: a test runner that has ended its tests refuses that, while threads
 * and timers still end.
 */
const loadedFile = 'module.exports = Object.create(null);\n';

/** As package.json exports them. */
export const nodeDoors = ['index', 'object-stores', 'onnx', 'proto', 'reports', 'scale', 'tfjs', 'tfjs-node-fix'];

/** Rooms that one door alone leads to are in its own file. */
const roomsOfDoors = ['activations', 'onnx', 'pca', 'probes', 'scale', 'tracker'];

/** What changes others' modules when it is loaded: its door alone loads it. */
const loadedByItsDoor = 'platform/removed-util.js';

/** Rooms between which a value goes a million times a second stand in one file, in which calls cost least. */
const sharedBy = { encoding: 'event', kernels: 'statistics', proto: 'event', reader: 'event' };

/**
 * Code whose imports are loaded when they are first used, and kept from then on.
 *
 * @param code a chunk of CommonJS, as rolldown writes it
 * @throws Error if the chunk uses an import otherwise than by its properties, or exports what may change
 */
export function withLazyImports(code) {
  // Two bytes for each character would double the time in which Node reads the file.
  const ascii = code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  for (const [, name] of ascii.matchAll(/^Object\.defineProperty\(exports, "\w+", \{[^;]*\breturn ([\w$]+);/gm)) {
    if (new RegExp(`^let ${name.replaceAll('$', '\\$')}(?![\\w$])`, 'm').test(ascii))
      throw new Error(`${name} may change`);
  }
  const imported =
    /^(?:const|let) (?<name>\w+) = require\((?<path>"[^"]+")\);\n(?:\k<name> = (?<wrap>[\w.]+)\(\k<name>(?<rest>, 1)?\);\n)?/gm;
  const names = new Set();
  const loaders = [];
  const rest = ascii.replace(imported, (...match) => {
    const { name, path, rest = '', wrap } = match.at(-1);
    const load = `(loaded[${path}] ??= require(${path}))`;
    names.add(name);
    const value = wrap === undefined ? load : `${wrap}(${load}${rest})`;
    loaders.push(`let kept$${name};\nconst load$${name} = () => (kept$${name} ??= ${value});\n`);
    return '';
  });
  return withKept(`const loaded = require("./loaded.cjs");\n${loaders.join('')}${rest}`, names);
}

/** Code in which `name.property` became `(name$property ??= load$name().property)`. */
function withKept(code, names) {
  const uses = [];
  const visit = (node, parent) => {
    if (node.type === 'Identifier' && names.has(node.name)) {
      const isKey = !parent.computed && (parent.property === node || (parent.key === node && !parent.shorthand));
      const isUse = parent.type === 'MemberExpression' && parent.object === node && !parent.computed;
      if (isUse) uses.push({ ...parent, name: node.name, property: parent.property.name });
      else if (!isKey) throw new Error(`expected a property of ${node.name}, got it in ${parent.type}`);
    }
    for (const child of Object.values(node).flat()) if (typeof child?.type === 'string') visit(child, node);
  };
  visit(parseAst(code), undefined);
  const kept = new Set();
  let changed = '';
  let from = 0;
  for (const { end, name, property, start } of uses.sort((a, b) => a.start - b.start)) {
    kept.add(`${name}$${property}`);
    changed += `${code.slice(from, start)}(${name}$${property} ??= load$${name}().${property})`;
    from = end;
  }
  return `${kept.size === 0 ? '' : `let ${[...kept].join(', ')};\n`}${changed}${code.slice(from)}`;
}

/** The modules that a door exports from, and those of the classes that theirs extend: what is evaluated in every import. */
function evaluatedBy(door, found = new Set()) {
  const source = readFileSync(door, 'utf8');
  const bases = [...source.matchAll(/^export class .* extends (\w+) /gm)].map(([, name]) => name);
  for (const [, kind, names, path] of source.matchAll(/^(import|export) \{(.*?)\} from '(\..*?)';$/gm)) {
    if (kind === 'import' && !names.split(/[ ,]+/).some((name) => bases.includes(name))) continue;
    const module = join(door, '..', path);
    if (!found.has(module)) evaluatedBy(module, found.add(module));
  }
  return found;
}

/** The names that a declaration file exports, types too. */
function namesIn(path) {
  const text = readFileSync(path, 'utf8');
  const own = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(
    ([, list]) => list.match(/\w+(?=\s*(?:,|$))/g) ?? [],
  );
  const all = [...text.matchAll(/^export \* from '(.*)\.js';$/gm)].flatMap(([, from]) =>
    namesIn(join(path, '..', `${from}.d.ts`)),
  );
  return [...new Set([...own, ...all])].sort();
}

/** The names of the classes without type parameters that any module declares. */
function classesIn(dist) {
  const declarations = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.d.ts'),
  );
  return new Set(
    declarations.flatMap((path) =>
      [...readFileSync(join(dist, path), 'utf8').matchAll(/^export declare (?:abstract )?class (\w+)(?!\w|<)/gm)].map(
        ([, name]) => name,
      ),
    ),
  );
}

/**
 * The declarations of a door for CommonJS: those of the module, which TypeScript's node16 refuses to `require`, under other names.
 *
 * @param values what the door exports that is no type
 * @param classes the names of all classes
 */
function declarationsOf(dist, door, values, classes) {
  const from = `'../${door}.js' with { 'resolution-mode': 'import' }`;
  const types = namesIn(join(dist, `${door}.d.ts`)).filter((name) => !values.includes(name));
  const lines = [`import type * as door from ${from};`, `export type { ${types.join(', ')} } from ${from};`];
  for (const name of values) {
    lines.push(`export declare const ${name}: typeof door.${name};`);
    if (classes.has(name)) lines.push(`export type ${name} = door.${name};`);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Bundles the doors.
 *
 * @param dist what tsc wrote, an absolute path
 * @returns names and texts of the files, for a folder of their own in `dist`
 */
export async function bundleNodeDoors(dist) {
  const main = evaluatedBy(join(dist, 'index.js'));
  const roomOf = (path) => {
    const room = path.startsWith(dist) ? /^\/(\w+)\//.exec(path.slice(dist.length))?.[1] : undefined;
    return room === undefined || path.endsWith(loadedByItsDoor) ? undefined : (sharedBy[room] ?? room);
  };
  const bundle = await rolldown({
    input: Object.fromEntries(nodeDoors.map((door) => [door, join(dist, `${door}.js`)])),
    platform: 'node',
    preserveEntrySignatures: 'allow-extension',
    checks: { ineffectiveDynamicImport: false },
    external: /^(node:|@?[a-z][\w.-]*(\/|$))/, // packages are those that users install
    resolve: { alias: { '#platform': join(dist, 'platform/node.js') } },
  });
  const { output } = await bundle.generate({
    format: 'cjs',
    comments: false,
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [
        { name: 'main', priority: 1, test: (path) => main.has(path) },
        {
          debugName: 'rooms',
          name: (path) => `room-${roomOf(path)}`,
          test: (path) => roomOf(path) !== undefined && !roomsOfDoors.includes(roomOf(path)),
        },
      ],
    },
  });
  await bundle.close();
  const { peerDependencies } = JSON.parse(readFileSync(join(dist, '../package.json'), 'utf8'));
  const files = new Map(output.map(({ code, fileName }) => [fileName, withLazyImports(code)]));
  files.set('loaded.cjs', loadedFile);
  const classes = classesIn(dist);
  for (const { exports, fileName, imports, name } of output.filter(({ isEntry }) => isEntry)) {
    // A project may not have these: Node says so of the door, before anything runs.
    const peers = imports.filter((path) => path in peerDependencies).map((path) => `import '${path}';\n`);
    if (exports.length > 0)
      files.set(`${name}.js`, `${peers.join('')}export { ${exports.join(', ')} } from './${fileName}';\n`);
    files.set(`${name}.d.cts`, declarationsOf(dist, name, exports, classes));
  }
  return files;
}
