import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type TestProjectConfiguration } from 'vitest/config';
import type { BrowserCommand } from 'vitest/node';

const platform = (name: string) => fileURLToPath(new URL(`./src/platform/${name}.ts`, import.meta.url));
const inNode = { alias: { '#platform': platform('node') } };
const kinds = ['browser', 'compat', 'engines', 'native', 'screenshot'];

/** Every test that takes its TensorFlow.js backends from test/support/backends.ts. One that names its backend runs once, as a unit test. */
const onBackends = readdirSync('test', { encoding: 'utf8', recursive: true })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.test.ts') && !kinds.includes(name.split('/')[0]))
  .map((name) => `test/${name}`)
  .filter((path) =>
    /import \{[^}]*\bbackends\b[^}]*\} from '[^']*\/support\/backends\.js'/.test(readFileSync(path, 'utf8')),
  );

/** The package as it is built, in the Node that serves the page: what the page finds is compared with what Node finds. */
const built = (): Promise<typeof import('./src/index.js')> => import(new URL('./dist/index.js', import.meta.url).href);

const scalarsInNode: BrowserCommand<[number[]]> = async (_, bytes) => {
  const { readEvents } = await built();
  const found = [];
  for await (const { step, summary } of readEvents(Uint8Array.from(bytes))) {
    for (const { tag, plugin, value } of summary ?? []) if (plugin === 'scalars') found.push([tag, step, value]);
  }
  return found;
};

const eigenvaluesInNode: BrowserCommand<[number[], number]> = async (_, samples, features) => {
  const { CovarianceAccumulator, Spectrum, useKernels } = await built();
  useKernels('wasm');
  const accumulator = new CovarianceAccumulator(features);
  accumulator.update(samples);
  return [...Spectrum.of(accumulator).eigenvalues];
};

const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const projects = {
  /** Every test that needs nothing but Node. */
  unit: {
    resolve: inNode,
    test: {
      include: ['test/**/*.test.ts'],
      exclude: kinds.map((kind) => `test/${kind}/**`),
      // Long enough that no test fails for the slowness of a machine with much else to do.
      expect: { poll: { timeout: 120_000 } },
      testTimeout: 300_000,
      hookTimeout: 300_000,
      maxWorkers: 2,
      pool: 'forks',
    },
  },
  /** The tests that hook models, on the native TensorFlow backend; npm run setup:native adds it. */
  native: {
    resolve: inNode,
    test: {
      include: ['test/native/**/*.test.ts', ...onBackends],
      env: { DELVE_TEST_BACKENDS: 'tensorflow' },
      testTimeout: 300_000,
      hookTimeout: 60_000,
      maxWorkers: 2,
      pool: 'forks',
    },
  },
  /** What only a real TensorBoard can answer; npm run test:compat makes it a Python environment of its own. */
  compat: {
    resolve: inNode,
    test: {
      include: ['test/compat/**/*.test.ts'],
      globalSetup: ['test/compat/harness-setup.ts'],
      testTimeout: 120_000,
      hookTimeout: 120_000,
      maxWorkers: 2,
      pool: 'forks',
    },
  },
  /** Workers that are killed, and queues that forget, on a real Redis and a real PostgreSQL. */
  engines: {
    resolve: inNode,
    test: {
      include: ['test/engines/**/*.test.ts'],
      testTimeout: 300_000,
      hookTimeout: 120_000,
      maxWorkers: 2,
      pool: 'forks',
    },
  },
  /** The demo's run in a real TensorBoard in a real browser; the pictures stay in artifacts/. */
  screenshot: {
    resolve: inNode,
    test: {
      include: ['test/screenshot/**/*.test.ts'],
      globalSetup: ['test/compat/harness-setup.ts'],
      // A page is drawn when a busy machine comes to it.
      expect: { poll: { timeout: 30_000 } },
      testTimeout: 120_000,
      hookTimeout: 300_000,
      maxWorkers: 1,
      pool: 'forks',
    },
  },
  /** Everything of ours in a real page: Chromium (CHROMIUM names another), headless, with WebGL and WebGPU computed in software. */
  browser: {
    resolve: { alias: { '#platform': platform('browser') } },
    optimizeDeps: {
      include: [
        '@tensorflow/tfjs',
        '@tensorflow/tfjs-backend-webgpu',
        '@tensorflow/tfjs-core',
        '@tensorflow/tfjs-layers',
        'vega',
        'vega-lite',
        'crc-32/crc32.js',
        'crc-32/crc32c.js',
        'gifenc',
        'ml-matrix',
      ],
    },
    test: {
      include: ['test/browser/**/*.test.ts'],
      setupFiles: ['test/browser/setup.ts'],
      expect: { poll: { timeout: 60_000 } },
      testTimeout: 300_000,
      hookTimeout: 120_000,
      fileParallelism: false,
      browser: {
        enabled: true,
        headless: true,
        isolate: false,
        screenshotFailures: false,
        commands: { scalarsInNode, eigenvaluesInNode },
        provider: playwright({
          launchOptions: {
            executablePath: process.env.CHROMIUM ?? chromium.find((path) => existsSync(path)),
            args: [
              '--no-sandbox',
              '--disable-quic',
              '--no-first-run',
              '--disable-background-networking',
              '--disable-component-update',
              '--disable-sync',
              '--use-angle=swiftshader',
              '--enable-unsafe-swiftshader',
              '--enable-unsafe-webgpu',
              '--use-webgpu-adapter=swiftshader',
            ],
          },
        }),
        instances: [{ browser: 'chromium' }],
      },
    },
  },
} satisfies Record<string, TestProjectConfiguration>;

/** The project that the command line asks for with --project; the unit tests if it asks for none. */
const asked = (/(?:^|\0)--project[=\0](\w+)/.exec(process.argv.join('\0'))?.[1] ?? 'unit') as keyof typeof projects;
const { test, ...rest } = projects[asked];

export default defineConfig({
  test: {
    projects: [{ ...rest, test: { ...test, name: asked } }],
    // On CI a report that .ci/run counts, beside the one for people.
    reporters: process.env.CI
      ? ['default', ['json', { outputFile: `artifacts/test-reports/${asked}.json` }]]
      : ['default'],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/proto/**', 'src/**/generated/**', 'src/**/*.as.ts', 'src/**/*.d.ts'],
      reportsDirectory: 'artifacts/coverage',
    },
  },
});
