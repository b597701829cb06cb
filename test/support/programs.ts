import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** How a program ended, and what it printed. */
export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/**
 * A folder with this package compiled as it is now, for programs that really exit, crash or are killed. A program's text
 * follows the line that imports SummaryWriter; it is started with `argv` after `process.argv[1]`.
 */
export class Programs {
  readonly folder: string;
  readonly #running = new Set<ChildProcess>();
  readonly #compiled = new Set<string>();
  #count = 0;

  constructor(entry = 'src/index.ts') {
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), 'delve-program-')));
    const imports = { '#platform': './src/platform/node.js' };
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify({ name: 'programs', type: 'module', imports }));
    symlinkSync(join(root, 'node_modules'), join(this.folder, 'node_modules'));
    this.add('src/platform/node.ts');
    this.add(entry);
  }

  /** Compiles another file of this package, and what it imports. */
  add(entry: string): void {
    compile(join(root, entry), this.folder, this.#compiled);
  }

  /** Writes a program and returns its path. */
  write(text: string): string {
    const path = join(this.folder, `program-${this.#count++}.mjs`);
    writeFileSync(path, `import { SummaryWriter } from './src/index.js';\n${text}`);
    return path;
  }

  /** Starts a program; `ended` resolves when it has ended. */
  start(text: string, argv: string[] = [], shell = ''): { child: ChildProcess; ended: Promise<Ending> } {
    const args = [this.write(text), ...argv];
    const child =
      shell === ''
        ? spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
        : spawn('/bin/sh', ['-c', `${shell}; exec "$0" "$@"`, process.execPath, ...args]);
    this.#running.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout!.on('data', (text) => (stdout += text));
    child.stderr!.on('data', (text) => (stderr += text));
    const ended = new Promise<Ending>((done) =>
      child.on('close', (code, signal) => {
        this.#running.delete(child);
        done({ code, signal, stdout, stderr });
      }),
    );
    return { child, ended };
  }

  /** Runs a program to its end. */
  run(text: string, argv: string[] = [], shell = ''): Promise<Ending> {
    return this.start(text, argv, shell).ended;
  }

  remove(): void {
    for (const child of this.#running) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Strips a source file's types, and those of every file that it imports. */
function compile(source: string, folder: string, seen: Set<string>): void {
  if (seen.has(source)) return;
  seen.add(source);
  const target = join(folder, relative(root, source).replace(/\.ts$/, '.js'));
  const text = readFileSync(source, 'utf8');
  const compilerOptions = { module: ModuleKind.ESNext, target: ScriptTarget.ES2022, verbatimModuleSyntax: true };
  const code = source.endsWith('.ts') ? transpileModule(text, { compilerOptions }).outputText : text;
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, code);
  for (const [, specifier] of code.matchAll(/(?:from|import)\s*\(?['"](\.[^'"]+)['"]/g)) {
    const path = resolve(dirname(source), specifier);
    compile(path.includes('/src/proto/') ? path : path.replace(/\.js$/, '.ts'), folder, seen);
  }
}
