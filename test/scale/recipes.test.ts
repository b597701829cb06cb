import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Job } from 'kubernetes-models/batch/v1';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const text = readFileSync(new URL('../../docs/scale-engines.md', import.meta.url), 'utf8');
const blocksOf = (language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, block]) => block);
const canRun = (program: string) => spawnSync(program, ['--version']).status === 0;

describe('the recipes of docs/scale-engines.md', () => {
  it.each(blocksOf('yaml'))('hold manifests that Kubernetes takes', (yaml) => {
    const manifest = parse(yaml);
    new Job(manifest).validate();
    // Which names there are only the types know.
    const program = `import type { IJob } from 'kubernetes-models/batch/v1';\nexport const job: IJob = ${JSON.stringify(manifest)};`;
    expect(complaintsOf(program)).toEqual([]);
    expect(complaintsOf(program.replace('"parallelism"', '"paralelism"')).join()).toMatch(
      /paralelism.* does not exist/,
    );
    const { args, command } = manifest.spec.template.spec.containers[0];
    expect([...command, ...args]).toEqual(
      'npx delve-tensorboard run-node --plan /plan/plan.json --map /app/map.mjs --store s3://bucket/partials --level 0'.split(
        ' ',
      ),
    );
  });

  it.skipIf(!canRun('bash')).each(blocksOf('sh'))('hold commands that a shell can parse', (sh) => {
    expect(spawnSync('bash', ['-n'], { input: sh, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  it.skipIf(!canRun('python3')).each(blocksOf('python'))('hold programs that Python can parse', (python) => {
    const parsed = spawnSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], {
      input: python,
      encoding: 'utf8',
    });
    expect(parsed).toMatchObject({ status: 0, stderr: '' });
  });
});

function complaintsOf(source: string): string[] {
  const options = { module: ts.ModuleKind.NodeNext, noEmit: true, skipLibCheck: true, strict: true, types: [] };
  const name = new URL('../../recipe.mts', import.meta.url).pathname;
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => path === name || fileExists(path);
  host.getSourceFile = (path, target, ...rest) =>
    path === name ? ts.createSourceFile(path, source, target) : getSourceFile(path, target, ...rest);
  const program = ts.createProgram([name], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}
