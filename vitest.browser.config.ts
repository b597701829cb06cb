import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import type { BrowserCommand } from 'vitest/node';
import { reportersFor } from './vitest.config.js';

const platform = fileURLToPath(new URL('./src/platform/browser.ts', import.meta.url));
const installed = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
/** The package as it is built, in the Node that serves the page: what the page finds is compared with what Node finds. */
const inNode = (): Promise<typeof import('./src/index.js')> => import(new URL('./dist/index.js', import.meta.url).href);

const scalarsInNode: BrowserCommand<[number[]]> = async (_, bytes) => {
  const { readEvents } = await inNode();
  const found = [];
  for await (const { step, summary } of readEvents(Uint8Array.from(bytes))) {
    for (const { tag, plugin, value } of summary ?? []) if (plugin === 'scalars') found.push([tag, step, value]);
  }
  return found;
};

const eigenvaluesInNode: BrowserCommand<[number[], number]> = async (_, samples, features) => {
  const { CovarianceAccumulator, Spectrum } = await inNode();
  const accumulator = new CovarianceAccumulator(features);
  accumulator.update(samples);
  return [...Spectrum.of(accumulator).eigenvalues];
};

/** Everything of ours in a real page: Chromium (CHROMIUM names another), headless, with WebGL and WebGPU computed in software. */
export default defineConfig({
  resolve: { alias: { '#platform': platform } },
  optimizeDeps: {
    include: [
      '@tensorflow/tfjs',
      '@tensorflow/tfjs-backend-webgpu',
      '@tensorflow/tfjs-core',
      '@tensorflow/tfjs-layers',
      'vega',
      'vega-lite',
      'crc-32/crc32c.js',
      'fast-png',
      'gifenc',
      'long',
      'ml-matrix',
      'protobufjs/minimal.js',
    ],
  },
  test: {
    include: ['test/browser/**/*.test.ts'],
    setupFiles: ['test/browser/setup.ts'],
    reporters: reportersFor('browser'),
    testTimeout: 60_000,
    fileParallelism: false,
    browser: {
      enabled: true,
      headless: true,
      isolate: false,
      screenshotFailures: false,
      commands: { scalarsInNode, eigenvaluesInNode },
      provider: playwright({
        launchOptions: {
          executablePath: process.env.CHROMIUM ?? installed.find((path) => existsSync(path)),
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
});
