import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/folders.js';

const folder = fileURLToPath(new URL('../transformers', import.meta.url));

/** transformers.js and onnxruntime-node, which no other test needs. */
function isInstalled(): boolean {
  if (existsSync(join(folder, 'node_modules/@huggingface/transformers'))) return true;
  try {
    execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--silent'], {
      cwd: folder,
      stdio: 'inherit',
      timeout: 240_000,
    });
    return true;
  } catch (error) {
    console.error(`SKIPPED transformers.js, which could not be installed: ${(error as Error).message}`);
    return false;
  }
}

describe.skipIf(!isInstalled())('transformers.js', () => {
  it("runs as before, and its layers' spectra are those that numpy computes", () => {
    const { model, feeds, layers } = (
      JSON.parse(readFileSync(new URL('../fixtures/onnx/models.json', import.meta.url), 'utf8')) as Record<
        string,
        {
          model: string;
          feeds: Record<string, { dims: number[]; data: string }>;
          layers: Record<string, { rows: number; eigenvalues: number[] }>;
        }
      >
    ).bert;
    const place = temporaryFolder();
    mkdirSync(join(place, 'onnx'));
    writeFileSync(join(place, 'onnx/model.onnx'), Buffer.from(model, 'base64'));
    writeFileSync(join(place, 'config.json'), JSON.stringify({ model_type: 'bert', architectures: ['BertModel'] }));
    const inputs = Object.fromEntries(
      Object.entries(feeds).map(([name, { dims, data }]) => {
        const { buffer } = Uint8Array.from(Buffer.from(data, 'base64'));
        return [name, { dims, data: Array.from(new BigInt64Array(buffer), Number) }];
      }),
    );
    writeFileSync(join(place, 'inputs.json'), JSON.stringify(inputs));
    const printed = execFileSync(process.execPath, [join(folder, 'spectra.mjs'), place, join(place, 'inputs.json')], {
      encoding: 'utf8',
    });
    const found = JSON.parse(printed.trim().split('\n').at(-1) ?? '') as {
      layers: string[];
      own: string[];
      after: string[];
      isSame: boolean;
      spectra: typeof layers;
    };
    expect(found.layers).toEqual(Object.keys(layers));
    expect([found.own, found.isSame]).toEqual([['last_hidden_state'], true]);
    expect(found.after).toContain('last_hidden_state');
    for (const [layer, { rows, eigenvalues }] of Object.entries(layers)) {
      const spectrum = found.spectra[layer];
      expect(spectrum.rows).toBe(rows);
      const error = Math.max(...eigenvalues.map((value, i) => Math.abs(value - spectrum.eigenvalues[i])));
      expect(error / eigenvalues[0], layer).toBeLessThan(1e-6);
    }
  });
});
