import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

// Everything that lives is counted before and after each call of the store, once what does not live is gone.
const program = `
import { CovarianceAccumulator } from './dist/index.js';
import { memoryPartials, plan, rootOf, workOn } from './dist/scale.js';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
const folder = mkdtempSync(join(tmpdir(), 'delve-memory-'));
let most = 0;
const count = () => {
  // The second one waits for the thread that gives the first one's buffers back.
  gc();
  gc();
  most = Math.max(most, process.memoryUsage().arrayBuffers);
};
const path = (key) => join(folder, key.replaceAll('/', '-'));
const store = {
  async get(key) {
    count();
    try {
      return new Uint8Array(readFileSync(path(key)));
    } catch {
      return undefined;
    }
  },
  async putIfAbsent(key, bytes) {
    count();
    writeFileSync(path(key), bytes);
    return true;
  },
  async setAside() {},
};
const features = 1024;
const made = plan({ shards: ['1', '2', '3', '4', '5', '6'], task: 'memory', fanIn: 6 });
const map = async function* (shard, { add }) {
  add('wide', Float32Array.from({ length: 1100 * features }, (_, i) => Math.sin(i * i + Number(shard))), features);
  yield;
};
for (let index = 0; index < 6; index++) await workOn(made, { level: 0, index }, { map, store });
gc();
gc();
const before = process.memoryUsage().arrayBuffers;
most = 0;
const { layers } = await workOn(made, rootOf(made), { map, store });
rmSync(folder, { recursive: true });
console.log((most - before) / layers[0].bytes);
`;

it('merging takes the memory of less than three partials of a layer', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', '--input-type=module', '--eval', program],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)) },
  );
  expect(Number(stdout)).toBeGreaterThan(0.5);
  expect(Number(stdout)).toBeLessThan(3);
});
