import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/folders.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const project = temporaryFolder(afterAll);

/** A project into which the built package was installed, with what it depends on and without any of its optional peers. */
beforeAll(() => {
  const modules = join(project, 'node_modules');
  const own = join(modules, 'delve-tensorboard');
  mkdirSync(own, { recursive: true });
  cpSync(join(root, 'package.json'), join(own, 'package.json'));
  cpSync(join(root, 'dist'), join(own, 'dist'), { recursive: true, filter: (path) => !/\.(d\.ts|whl)$/.test(path) });
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object };
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction');
  }
});

function run(program: string, ...args: string[]) {
  const path = join(project, 'program.mjs');
  writeFileSync(path, program);
  return spawnSync(process.execPath, [path, ...args], { cwd: project, encoding: 'utf8' });
}

describe('in a project without the optional peers', () => {
  it('addFigure says at the call what to install, and the rest is written', () => {
    const { status, stderr, stdout } = run(`
      import { readEvents, SummaryWriter } from 'delve-tensorboard';
      const writer = new SummaryWriter('runs/figure');
      try {
        writer.addFigure('plot', '<svg xmlns="http://www.w3.org/2000/svg" width="3" height="3"/>', 1);
      } catch (error) {
        console.log(String(error), error.cause);
      }
      writer.addScalar('loss', 1, 1);
      await writer.close();
      for await (const { summary } of readEvents('runs/figure')) for (const { tag } of summary ?? []) console.log(tag);
    `);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      `MissingRendererError: addFigure "plot": Drawing needs the package '@resvg/resvg-js', which could not be loaded. Install it with: npm install @resvg/resvg-js undefined`,
      'loss',
      '',
    ]);
  });

  it('plots name the packages that they need, and no other', () => {
    const { status, stderr, stdout } = run(`
      import { profilePlot, renderPng, renderSvg } from 'delve-tensorboard/reports';
      const plot = profilePlot(new Map([['dense', 0.5]]));
      for (const draw of [renderSvg, renderPng]) await draw(plot).catch(({ message }) => console.log(message));
    `);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const named = (needed: string) =>
      `Drawing needs the package 'vega-lite', which could not be loaded. Install it with: npm install ${needed}`;
    expect(stdout).toBe(`${named('vega vega-lite')}\n${named('vega vega-lite @resvg/resvg-js')}\n`);
  });

  it('the door to TensorFlow.js is named with the package that is missing', () => {
    const { status, stderr } = run("import 'delve-tensorboard/tfjs';");
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /Cannot find package '@tensorflow\/tfjs-core' imported from \S+delve-tensorboard[/\\]dist[/\\]node[/\\]tfjs\.js/,
    );
  });

  it('every other door opens, and the report of a training is made', () => {
    const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: object };
    const doors = Object.keys(exports).filter((door) => !/tfjs$|json$/.test(door));
    const { status, stderr, stdout } = run(`
      ${doors.map((door, i) => `import * as door${i} from 'delve-tensorboard${door.slice(1)}';`).join('\n')}
      import { SaturationRecorder } from 'delve-tensorboard';
      const recorder = new SaturationRecorder('runs/tracked');
      const data = Float32Array.from({ length: 4000 }, (_, i) => ((i * 7919) % 1009) * (i % 8));
      for (const split of ['train', 'val']) recorder.observe('hidden', { data, shape: [500, 8] }, split);
      await recorder.addSaturations();
      await recorder.close();
      const opened = [${doors.map((_, i) => `door${i}`).join(', ')}];
      console.log(JSON.stringify(opened.map((door) => Object.keys(door).length > 0)));
    `);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual(doors.map((door) => door !== './tfjs-node-fix')); // which has no exports
    const command = join(project, 'node_modules/delve-tensorboard/dist/cli.js');
    const report = spawnSync(process.execPath, [command, 'report', 'runs/tracked'], { cwd: project, encoding: 'utf8' });
    expect({ status: report.status, stderr: report.stderr }).toEqual({ status: 0, stderr: '' });
    expect(readFileSync(join(project, 'runs/tracked/report.html'), 'utf8')).toContain('hidden');
  });
});
