import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { encodeNpy } from '../../src/stores/npy.js';
import { temporaryFolder } from '../support/folders.js';

/** A file of test/pretrained, where onnxruntime-node, transformers.js and models of others are installed. */
const pretrained = (name: string) => fileURLToPath(new URL(`../pretrained/${name}`, import.meta.url));

function isInstalled(): boolean {
  if (existsSync(pretrained('node_modules/.package-lock.json'))) return true;
  try {
    const options = { cwd: pretrained('.'), stdio: 'inherit', timeout: 480_000 } as const;
    execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--silent'], options);
    return true;
  } catch (error) {
    console.error(`SKIPPED transformers.js and models of others: ${(error as Error).message}`);
    return false;
  }
}

/** Python with onnx and onnxruntime, which no other test needs; undefined, and says why, if there is none. */
function pythonWithOnnx(): string | undefined {
  const environment = inject('tensorboard');
  if ('missing' in environment) return undefined;
  const { python } = environment;
  if (spawnSync(python, ['-c', 'import onnx, onnxruntime']).status === 0) return python;
  const env = process.env.CI ? { ...process.env, PIP_RETRIES: '0' } : process.env;
  const child = spawnSync(python, ['-m', 'pip', 'install', '-q', 'onnx', 'onnxruntime'], { encoding: 'utf8', env });
  if (child.status === 0) return python;
  console.error(`SKIPPED models of others: pip install onnx onnxruntime failed: ${child.stderr.slice(-300)}`);
  return undefined;
}

const hasPackages = isInstalled();
const python = hasPackages ? pythonWithOnnx() : undefined;

describe.skipIf(!hasPackages)('transformers.js', () => {
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
    const printed = execFileSync(
      process.execPath,
      [pretrained('transformers.mjs'), place, join(place, 'inputs.json')],
      {
        encoding: 'utf8',
      },
    );
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

describe.skipIf(!hasPackages)('images on the command line', () => {
  it('are what the same pixels in a .npy file are', () => {
    const folder = temporaryFolder();
    const photos = join(folder, 'photos');
    mkdirSync(photos);
    // 40 images of 28 x 28 in gray, in formats that lose nothing, and one of twice the size, of one shade.
    const draw = `
      import sharp from 'sharp';
      import { writeFileSync } from 'node:fs';
      const all = [];
      for (let n = 0; n < 40; n++) {
        const pixels = Uint8Array.from({ length: 784 }, (_, i) => n === 5 ? 77 : (i * (n + 3) * 7 + n * n) % 251);
        all.push(...pixels);
        const image = sharp(pixels, { raw: { width: 28, height: 28, channels: 1 } });
        if (n === 5) await image.resize(56, 56, { kernel: 'nearest' }).png().toFile(process.argv[1] + '/5.png');
        else if (n % 2) await image.webp({ lossless: true }).toFile(process.argv[1] + '/' + n + '.webp');
        else await image.png().toFile(process.argv[1] + '/' + n + '.png');
      }
      writeFileSync(process.argv[1] + '/bad.jpg', 'no image');
      writeFileSync(process.argv[1] + '/notes.txt', 'no image, and not asked for');
      console.log(JSON.stringify(all));`;
    const options = { cwd: pretrained('.'), encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', draw, photos], options);
    const pixels = JSON.parse(printed) as number[];
    const values = Float32Array.from(pixels, (pixel) => (pixel / 255 - 0.5) / 0.25);
    writeFileSync(
      join(folder, 'x.npy'),
      encodeNpy({ dtype: 'float32', shape: [40, 1, 28, 28], values: Float64Array.from(values) }),
    );
    const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
    const model = fileURLToPath(new URL('../fixtures/onnx/digits_legacy.onnx', import.meta.url));
    const measure = (data: string, ...more: string[]) =>
      spawnSync(process.execPath, [cli, 'onnx', 'saturation', model, data, '--json', ...more], options);
    const [images, array] = [measure(photos, '--mean', '0.5', '--std', '0.25'), measure(join(folder, 'x.npy'))];
    expect(images.stderr).toMatch(/left out: .*bad\.jpg: .*unsupported image format/);
    expect(images.stderr).not.toContain('notes.txt');
    const [found, expected] = [images, array].map(
      ({ stdout }) => JSON.parse(stdout) as { rows: number; dimensions: number }[],
    );
    expect(found.length).toBe(9);
    expect(found[0].rows).toBe(40 * 784);
    expect(found).toEqual(expected);
  });
});

interface Measured {
  leftOut: { name: string; why: string }[];
  unmeasured: { name: string; why: string }[];
  layers: { name: string; op: string; rows?: number; eigenvalues: number[]; singularValues: number[] }[];
}

interface Expected {
  layers: Record<string, { rows: number; eigenvalues: number[] }>;
  weights: Record<string, number[]>;
  isSame: boolean;
  offOptimized: number;
}

describe.skipIf(python === undefined)('models of others', () => {
  let found: Record<string, Measured>;
  let expected: Record<string, Expected>;
  beforeAll(() => {
    const folder = temporaryFolder(afterAll);
    const [ours, theirs] = [join(folder, 'found.json'), join(folder, 'expected.json')];
    execFileSync(process.execPath, [pretrained('models.mjs'), ours], { stdio: ['ignore', 'inherit', 'ignore'] });
    const program = fileURLToPath(new URL('spectra_of_models.py', import.meta.url));
    execFileSync(python!, [program, ours, theirs], { stdio: ['ignore', 'inherit', 'inherit'] });
    found = JSON.parse(readFileSync(ours, 'utf8')) as typeof found;
    expected = JSON.parse(readFileSync(theirs, 'utf8')) as typeof expected;
  }, 600_000);

  it('all have the layers that are expected', () => {
    const counts = Object.entries(found).map(([name, { layers }]) => [name, layers.length]);
    expect(Object.fromEntries(counts)).toEqual({
      'PP-OCRv4 detection': 64,
      'PP-OCRv4 recognition': 46,
      'PP-OCRv2 orientation': 54,
      'Silero VAD v5, 16 kHz': 16,
      'Silero VAD v5, 8 kHz': 16,
      'Silero VAD v6': 16,
      'Silero VAD legacy': 44,
      'wake words: spectrogram': 3,
      'wake words: embedding': 20,
      'wake words: alexa': 3,
      'wake words: hey jarvis': 6,
      'wake words: hey mycroft': 3,
      'wake words: hey rhasspy': 3,
      'wake words: timer': 3,
      'wake words: weather': 3,
      'digits, legacy exporter': 9,
      'digits, dynamo exporter': 9,
    });
    expect(Object.values(found).flatMap(({ leftOut }) => leftOut)).toEqual([
      { name: 'p2o.MatMul.24', why: 'it has 6625 features, more than maxFeatures = 4096' },
    ]);
  });

  it("have the spectra that numpy computes of what Python's onnxruntime puts out", () => {
    let layersSeen = 0;
    for (const [model, { layers }] of Object.entries(found)) {
      // Layers in branches that no batch takes have no rows.
      const measured = layers.filter(({ rows }) => rows !== undefined);
      expect(measured.map(({ name }) => name).sort(), model).toEqual(Object.keys(expected[model].layers).sort());
      for (const { name, rows, eigenvalues } of measured) {
        const numpy = expected[model].layers[name];
        expect(rows, `${model}: ${name}`).toBe(numpy.rows);
        const error = Math.max(...numpy.eigenvalues.map((value, i) => Math.abs(value - eigenvalues[i])));
        expect(error / numpy.eigenvalues[0], `${model}: ${name}`).toBeLessThan(1e-6);
        layersSeen++;
      }
    }
    expect(layersSeen).toBeGreaterThan(260);
  });

  it('have weights whose singular values are those of numpy', () => {
    let kernels = 0;
    for (const [model, { layers, unmeasured }] of Object.entries(found)) {
      const skipped = unmeasured.map(({ name }) => name);
      for (const { name, singularValues } of layers) {
        if (skipped.includes(name)) continue;
        const numpy = expected[model].weights[name];
        expect(singularValues.length, `${model}: ${name}`).toBe(numpy.length);
        // What is fitted are the squares.
        const error = Math.max(...numpy.map((value, i) => Math.abs(value ** 2 - singularValues[i] ** 2)));
        expect(error / numpy[0] ** 2, `${model}: ${name}`).toBeLessThan(1e-9);
        kernels++;
      }
    }
    expect(kernels).toBeGreaterThan(300);
    // The LSTMs of three exports, whose gates are put in order by nodes.
    const why = 'its weight is computed by the model, or stands in a way that is not read';
    const unmeasured = Object.values(found).flatMap((each) => each.unmeasured);
    expect([...new Set(unmeasured.map((each) => each.why))]).toEqual([why]);
    expect(unmeasured.every(({ name }) => name.includes('/decoder/rnn'))).toBe(true);
  });

  it('put out what they put out before: the same bits without optimizations, nearly the same with them', () => {
    for (const [model, { isSame, offOptimized }] of Object.entries(expected)) {
      expect([model, isSame]).toEqual([model, true]);
      expect(offOptimized, model).toBeLessThan(1e-5);
    }
  });
});
