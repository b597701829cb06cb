// Modules of the tests, which are TypeScript, for benchmarks.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

/** What a module of the repository exports; what it imports is bundled with it. @param path from the root */
export async function importTypeScript(path, external = []) {
  const folder = mkdtempSync(join(tmpdir(), 'delve-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const input = fileURLToPath(new URL(`../${path}`, import.meta.url));
  const bundle = await rolldown({ input, platform: 'node', tsconfig: false, external });
  await bundle.write({ dir: folder, entryFileNames: 'module.mjs', format: 'esm' });
  await bundle.close();
  return import(pathToFileURL(join(folder, 'module.mjs')).href);
}
