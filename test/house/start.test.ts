import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
// @ts-expect-error a script without types
import * as nodeDoors from '../../scripts/node-doors.mjs';

const withLazyImports: (code: string) => string = nodeDoors.withLazyImports;
const root = fileURLToPath(new URL('../..', import.meta.url));
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, { node?: { default: string } }>;
};
// protobufjs, which ./proto is for, loads the package long, which compiles a module for its integers.
const doors = Object.keys(exports).filter((door) => !/tfjs|proto|json$/.test(door));

/** What a program prints, as JSON. */
function answerOf(program: string): unknown {
  const args = ['--input-type=module', '--eval', program];
  const { status, stderr, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

/** Has every module that is compiled or instantiated counted from then on. */
const counting = `
  let compiled = 0;
  for (const name of ['Module', 'Instance', 'compile', 'instantiate']) {
    WebAssembly[name] = new Proxy(WebAssembly[name], {
      apply: (of, self, given) => (compiled++, Reflect.apply(of, self, given)),
      construct: (of, given) => (compiled++, Reflect.construct(of, given)),
    });
  }
`;
const imports = (names: string[]) =>
  names.map((name) => `await import('delve-tensorboard${name.slice(1)}');`).join('\n');

/** Code for the names of the package's files that have been loaded, and of packages. */
const loaded = `(await import('node:module')).createRequire(import.meta.url)`;
const loadedFiles = `Object.keys(${loaded}.cache).map((path) => path.split('/').at(-1))`;

describe('an import', () => {
  it('compiles no WebAssembly; the first use does', () => {
    const [before, after] = answerOf(`
      ${counting}
      ${imports(doors)}
      const before = compiled;
      const { eigenvalues, useKernels } = await import('delve-tensorboard');
      useKernels('wasm');
      eigenvalues(Float64Array.of(2, 1, 1, 2));
      console.log(JSON.stringify([before, compiled]));
    `) as number[];
    expect(before).toBe(0);
    expect(after).toBeGreaterThan(0);
  });

  it('starts no process, and loads neither zlib nor gifenc nor protobufjs; the first use does', () => {
    const isLoaded = (name: string) => `process.moduleLoadList.includes('NativeModule ${name}')`;
    const packages = `Object.keys(createRequire(import.meta.url).cache).filter((path) => /gifenc|protobufjs/.test(path)).length`;
    expect(
      answerOf(`
        import { createRequire } from 'node:module';
        const { MemoryOutput, SummaryWriter } = await import('delve-tensorboard');
        const seen = () => [${isLoaded('zlib')}, ${isLoaded('child_process')}, ${packages}];
        const before = seen();
        const writer = new SummaryWriter(new MemoryOutput());
        writer.addImage('image', [[1]], 0);
        writer.addVideo('video', { data: new Uint8Array(3), shape: [1, 1, 1, 3] }, 0);
        console.log(JSON.stringify([before, seen()]));
      `),
    ).toEqual([
      [false, false, 0],
      [true, false, 1],
    ]);
  });

  it('of the main door loads its classes, and no room before it is used', () => {
    const [before, after] = answerOf(`
      const { MemoryOutput, SummaryWriter } = await import('delve-tensorboard');
      const before = ${loadedFiles};
      const writer = new SummaryWriter(new MemoryOutput());
      writer.addScalar('loss', 1, 0);
      console.log(JSON.stringify([before, ${loadedFiles}]));
    `) as string[][];
    expect(before.filter((name) => !/^(index|loaded|main|rolldown-runtime)\.cjs$/.test(name))).toEqual([]);
    expect(after).toEqual(expect.arrayContaining(['room-writer.cjs', 'crc32c.js']));
    expect(after).not.toContain('room-statistics.cjs');
  });

  it.each(Object.entries(exports).flatMap(([door, { node }]) => (node === undefined ? [] : [[door, node.default]])))(
    '%s gives in Node what it gives elsewhere, from few files',
    (door, path) => {
      const [here, elsewhere, files] = answerOf(`
        const here = Object.keys(await import('./${path}'));
        const files = Object.keys(${loaded}.cache).filter((path) => path.includes('/dist/node/')).length;
        const elsewhere = Object.keys(await import('./${path.replace('/node/', '/')}'));
        console.log(JSON.stringify([here, elsewhere, files]));
      `) as [string[], string[], number];
      expect(here.length, door).toBeGreaterThan(0);
      expect(here).toEqual(elsewhere);
      expect(files).toBeLessThan(20);
    },
    60_000,
  );
});

describe('withLazyImports', () => {
  /** What a chunk exports, and the names that it has loaded, before and after its exports were used. */
  function run(code: string, files: Record<string, unknown>) {
    const loads: string[] = [];
    const exports: Record<string, unknown> = {};
    const require = (name: string) => {
      if (name === './loaded.cjs') return {};
      loads.push(name);
      return files[name];
    };
    new Function('exports', 'require', code)(exports, require);
    return { exports, loads };
  }

  it('loads when a name is first evaluated, wherever it stands', () => {
    const code = withLazyImports(
      `const require_a = require("./a.cjs");
let b = require("b");
b = require_a.wrap(b, 1);
exports.use = (b_1) => [new require_a.Point(1).x, ...require_a.list(), b.default.name, { require_a: b_1 }, \`\${require_a.text}…\`];
exports.count = () => require_a.list();
`,
    );
    const point = function (this: { x: number }, x: number) {
      this.x = x;
    };
    const a = { Point: point, list: () => [2, 3], text: 't', wrap: (of: object) => ({ default: of }) };
    const { exports, loads } = run(code, { './a.cjs': a, b: { name: 'B' } });
    expect(loads).toEqual([]);
    const use = exports.use as (given: number) => unknown[];
    expect(use(4)).toEqual([1, 2, 3, 'B', { require_a: 4 }, 't…']);
    expect(new Set(loads)).toEqual(new Set(['./a.cjs', 'b']));
    const { length } = loads;
    use(5);
    expect(loads.length).toBe(length); // what was found is kept
    expect(/[^\0-\x7f]/.test(code)).toBe(false);
  });

  it('refuses code that would see the difference', () => {
    expect(() => withLazyImports('const a = require("./a.cjs");\nexports.a = Object.keys(a);\n')).toThrow(
      'expected a property of a, got it in CallExpression',
    );
    const getter =
      'Object.defineProperty(exports, "n", {\n\tenumerable: true,\n\tget: function() {\n\t\treturn n;\n\t}\n});\n';
    expect(() => withLazyImports(`let n = 0;\n${getter}`)).toThrow('n may change');
    expect(withLazyImports(`const n = 0;\n${getter}`)).toContain('return n');
  });
});
