import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, { node?: string }>;
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

/** The files that an import of a file loads. */
function loadedBy(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const [, next] of readFileSync(path, 'utf8').matchAll(/^(?:import|export)\b[^\n]*?["'](\.[^"']+)["'];$/gm)) {
    loadedBy(join(dirname(path), next), seen);
  }
  return seen;
}

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
    const loaded = (name: string) => `process.moduleLoadList.includes('NativeModule ${name}')`;
    const packages = `Object.keys(createRequire(import.meta.url).cache).filter((path) => /gifenc|protobufjs/.test(path)).length`;
    expect(
      answerOf(`
        import { createRequire } from 'node:module';
        const { MemoryOutput, SummaryWriter } = await import('delve-tensorboard');
        const seen = () => [${loaded('zlib')}, ${loaded('child_process')}, ${packages}];
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

  it.each(Object.entries(exports).flatMap(([door, { node }]) => (node === undefined ? [] : [[door, node]])))(
    '%s loads few files in Node',
    (_, path) => {
      expect(loadedBy(join(root, path)).size).toBeLessThan(20);
    },
  );
});
