import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { describe, expect, it } from 'vitest';

const source = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

/** What a page loads for an entry: code, the modules in it and what is imported from elsewhere. */
async function bundled(entry: string) {
  const complaints: string[] = [];
  const bundle = await rolldown({
    input: source(entry),
    platform: 'browser',
    tsconfig: false,
    resolve: { alias: { '#platform': source('platform/browser.ts') } },
    onLog: (_level, { message }) => complaints.push(message),
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  const chunks = output.filter((each) => each.type === 'chunk');
  const own = new Set(chunks.map(({ fileName }) => fileName));
  const outside = chunks.flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports]);
  return {
    code: chunks.map(({ code }) => code).join('\n'),
    modules: chunks.flatMap(({ moduleIds }) => moduleIds),
    outside: outside.filter((name) => !own.has(name)),
    complaints,
  };
}

describe.each(['index.ts', 'reports.ts'])('%s, bundled for a page', (entry) => {
  it('resolves without a complaint, and pulls in neither Node nor TensorFlow.js', async () => {
    const { code, modules, outside, complaints } = await bundled(entry);
    expect(complaints).toEqual([]);
    expect(outside).toEqual([]);
    expect(modules.filter((id) => /@tensorflow|platform.node|resvg/.test(id))).toEqual([]);
    expect(code).not.toMatch(/["']node:/);
  });
});
