import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { exports } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8')) as { exports: object };
const doors = Object.keys(exports)
  .filter((door) => door !== './package.json')
  .map((door) => door.slice(1));

/** What a project might write that has nothing but JavaScript's own library. */
const program = `
import { MemoryOutput, readEvents, SaturationRecorder, SummaryWriter, listRuns } from 'delve-tensorboard';
export async function first(): Promise<number> {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output, { flushSecs: 1 });
  writer.addScalar('loss', 0.5, 1);
  await writer.close();
  const recorder: SaturationRecorder = new SaturationRecorder('runs/x', { threshold: 0.9 });
  await recorder.close();
  let events = 0;
  for await (const { step } of readEvents(output.bytes)) events += Number(step) + (await listRuns(output)).length;
  return events;
}
// @ts-expect-error an option that is mistyped
new SummaryWriter('runs/x', { flushSec: 1 });
// @ts-expect-error a number is no value of a text
export const wrong = (writer: SummaryWriter) => writer.addText('note', 5 as const);
`;

/** What TypeScript says of a project of its own that imports doors of the built package. */
function complaintsOf(
  imported: readonly string[],
  options: ts.CompilerOptions,
  others: readonly string[] = [],
  extension = 'mts',
): string[] {
  const texts = [program, ...imported.map((door) => `export * as door from 'delve-tensorboard${door}';`), ...others];
  const files = new Map(texts.map((text, i) => [resolve(root, `project-${i}.${extension}`), text]));
  const all: ts.CompilerOptions = { noEmit: true, skipLibCheck: false, strict: true, types: [], ...options };
  const host = ts.createCompilerHost(all);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.getSourceFile = (path, target, ...rest) => {
    const text = files.get(path);
    return text === undefined ? getSourceFile(path, target, ...rest) : ts.createSourceFile(path, text, target);
  };
  const checked = ts.createProgram([...files.keys()], all, host);
  return ts.getPreEmitDiagnostics(checked).map(({ file, messageText }) => {
    return `${file?.fileName.slice(root.length)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

const { ES2020, ES2022, ESNext } = ts.ScriptTarget;
const node16 = { module: ts.ModuleKind.Node16 };
const nodeNext = { module: ts.ModuleKind.NodeNext };
const bundler = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
const bare = (target: ts.ScriptTarget, name: string) => ({ target, lib: [`lib.${name}.d.ts`] });

/** The examples that editors show, by the declaration that they stand before. */
function examples(): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(resolve(root, 'dist'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.d.ts')) continue;
    const text = readFileSync(resolve(root, 'dist', name), 'utf8');
    const pattern = /@example\n \* ```js\n((?: \*.*\n)*?) \* ```\n \*\/\nexport declare (?:class|function) (\w+)/g;
    for (const [, code, of] of text.matchAll(pattern)) found.set(of + found.size, code.replace(/^ \* ?/gm, ''));
  }
  return found;
}

describe('types of every door, libraries checked, in a project', () => {
  const alone = doors.filter((door) => door !== '/tfjs');

  it.each<[string, ts.CompilerOptions]>([
    ['es2020, node16', { ...bare(ES2020, 'es2020'), ...node16 }],
    ['es2022, nodenext', { ...bare(ES2022, 'es2022'), ...nodeNext }],
    ['es2022, bundler', { ...bare(ES2022, 'es2022'), ...bundler }],
  ])('without the DOM library and @types/node: %s', (_name, options) => {
    expect(complaintsOf(alone, options)).toEqual([]);
  });

  it.each<[string, ts.CompilerOptions]>([
    ['esnext and the DOM', { target: ESNext, lib: ['lib.esnext.d.ts', 'lib.dom.d.ts'], ...bundler }],
    ['@types/node', { ...bare(ES2022, 'es2022'), ...nodeNext, types: ['node'] }],
  ])('with %s', (_name, options) => {
    expect(complaintsOf(alone, options)).toEqual([]);
  });

  it.each<[string, ts.CompilerOptions]>([
    ['node16', { ...bare(ES2022, 'es2022'), ...node16 }],
    ['nodenext', { ...bare(ES2022, 'es2022'), ...nodeNext }],
  ])('in CommonJS: %s', (_name, options) => {
    const required = alone.filter((door) => door !== '/view'); // which is for pages
    expect(complaintsOf(required, options, [], 'cts')).toEqual([]);
  });

  it('the main classes and functions have examples, whose types are right', () => {
    const found = examples();
    expect([...found.keys()].map((name) => name.replace(/\d+$/, '')).sort()).toEqual([
      'CovarianceAccumulator',
      'MemoryOutput',
      'SaturationRecorder',
      'SaturationTracker',
      'ScalarWriter',
      'SummaryWriter',
      'extractSaturation',
      'listRuns',
      'readEvents',
      'tensorBoard',
    ]);
    const given = `declare const [batches, hiddenOf]: [any[], (batch: any) => Float32Array];
      declare const model: import('@tensorflow/tfjs-layers').LayersModel;
      declare const [xs, ys]: import('@tensorflow/tfjs-core').Tensor[];`;
    const options = { target: ESNext, lib: ['lib.esnext.d.ts', 'lib.dom.d.ts'], ...nodeNext, types: ['node'] };
    const complaints = complaintsOf(
      [],
      { ...options, skipLibCheck: true },
      [...found.values()].map((code) => `${given}\n${code}`),
    );
    expect(complaints).toEqual([]);
  });

  it('of the door to TensorFlow.js nothing is wrong but what TensorFlow.js brings', () => {
    const complaints = complaintsOf(['/tfjs'], { ...bare(ES2022, 'es2022'), ...nodeNext });
    expect(complaints.filter((each) => !each.startsWith('node_modules/'))).toEqual([]);
  });

  it('a name that nobody knows is told: the check looks into declarations', () => {
    const complaints = complaintsOf([], { target: ES2022, lib: ['lib.es5.d.ts'], ...nodeNext });
    expect(complaints.some((each) => each.startsWith('dist/'))).toBe(true);
  });
});
