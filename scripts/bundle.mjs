// What an import costs in a bundle for pages: in one chunk, minified, with what it pulls in.
import { rolldown } from 'rolldown';

/**
 * The code of an entry that holds `code`, whose imports are relative to this folder. What is imported when it is first asked for
 * (import()) is not counted.
 */
export async function bundled(code) {
  const entry = '\0entry';
  const bundle = await rolldown({
    input: entry,
    platform: 'browser',
    logLevel: 'silent',
    resolve: { alias: { '#platform': new URL('../dist/platform/browser.js', import.meta.url).pathname } },
    plugins: [
      {
        name: 'entry',
        resolveId: (id, from) =>
          id === entry ? id : from === entry ? new URL(id, import.meta.url).pathname : undefined,
        load: (id) => (id === entry ? code : undefined),
        resolveDynamicImport: (id) => (typeof id === 'string' ? { id, external: true } : undefined),
      },
    ],
    external: /^@tensorflow\//,
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  if (output.length !== 1) throw new Error(`expected one chunk, got ${output.length}`);
  return output[0].code;
}
