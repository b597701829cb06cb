/**
 * Every command as people call it: the built program, started as a process, on event files that other writers wrote
 * (test/fixtures/events) and on a run of a tracker. What the commands do in detail is tested in the files beside this one.
 */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { listRuns, readEvents, SummaryWriter } from '../../src/index.js';
import { encodeNpy } from '../../src/stores/npy.js';
import { temporaryFolder } from '../support/folders.js';
import { goldenFiles, goldenFolder } from '../support/golden.js';

const program = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const folder = temporaryFolder(afterAll);
/** A stranger's logdir: runs of torch and tensorboardX, one of them packed. */
const logdir = join(folder, 'runs');
for (const name of ['torch/scalar', 'torch/text', 'torch/image', 'tbx/scalar', 'tbx/histogram']) {
  cpSync(join(goldenFolder, name), join(logdir, name), { recursive: true });
}
const scalars = goldenFiles.find(({ path }) => path.startsWith('tbx/scalar/'))!;
const scalarFile = join(goldenFolder, scalars.path);
mkdirSync(join(logdir, 'packed'));
writeFileSync(join(logdir, 'packed/events.out.tfevents.1.x.gz'), gzipSync(readFileSync(scalarFile)));
const tracked = join(folder, 'tracked');
cpSync(fileURLToPath(new URL('../fixtures/tracker-0.1.0', import.meta.url)), tracked, { recursive: true });

interface Ending {
  code: number | null;
  out: string;
  err: string;
}

/** Starts the program in the shared folder, without colors of the caller's. */
function start(args: readonly string[], environment: Record<string, string> = {}) {
  // Where CI is set, Node tells of no colors.
  const { CI: _, FORCE_COLOR: __, NO_COLOR: ___, ...env } = process.env;
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, env: { ...env, ...environment } });
  const said: Ending = { code: null, out: '', err: '' };
  child.stdout.on('data', (text) => (said.out += text));
  child.stderr.on('data', (text) => (said.err += text));
  const ended = new Promise<Ending>((resolve) => child.on('close', (code) => resolve(Object.assign(said, { code }))));
  return { child, said, ended };
}

function run(args: readonly string[], stdin: Uint8Array | string = '', environment: Record<string, string> = {}) {
  const { child, ended } = start(args, environment);
  // A program that has what it needs may be gone.
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  return ended;
}

/** util-linux' program that gives another one a terminal. */
const hasTerminal = process.platform === 'linux' && existsSync('/usr/bin/script');

/** What the program writes to a terminal of 40 columns. */
function inTerminal(args: string, environment: Record<string, string>): string {
  // Where CI is set, Node tells of no colors.
  const { CI: _, FORCE_COLOR: __, NO_COLOR: ___, ...env } = process.env;
  const command = `stty cols 40 rows 12; '${process.execPath}' '${program}' ${args}`;
  return spawnSync('/usr/bin/script', ['-qec', command, '/dev/null'], {
    ...{ cwd: folder, encoding: 'utf8', input: '' },
    env: { ...env, SHELL: '/bin/sh', ...environment },
  }).stdout;
}

const lines = (text: string) => text.trimEnd().split('\n');

/** The keys that docs/command-line.md lists for the records of a command. */
const documented = new Map(
  [...readFileSync('docs/command-line.md', 'utf8').matchAll(/^\| `([\w -]+)` \| [^|]+?: (.*) \|$/gm)].map(
    ([, command, words]) => [command, new Set([...words.matchAll(/`(\w+)`/g)].map(([, key]) => key))],
  ),
);

describe('--json is what the documentation says', () => {
  it.each<[string, string[], number, string[]]>([
    ['inspect', ['runs'], 0, ['run', 'tags']],
    ['lint', ['runs'], 1, ['run', 'tag', 'rule', 'message']],
    ['diff', ['runs/torch/scalar', 'runs/tbx/scalar'], 1, ['run', 'tag', 'both', 'different']],
    ['verify', ['runs'], 0, ['file', 'status', 'records']],
    ['repair', ['runs/torch', '--out', 'repaired-json'], 0, ['file', 'copy', 'records', 'lostBytes', 'lost']],
    ['export', ['runs'], 0, ['run', 'tag', 'step', 'wallTime', 'value']],
    ['reduce', ['runs/tbx/scalar', 'runs/packed'], 0, ['run', 'tag', 'step', 'wallTime', 'count', 'mean', 'std']],
    ['report', ['tracked', '--out', 'page-json.html'], 0, ['path']],
    ['watch', ['runs', '--once'], 0, ['run', 'step', 'scalars']],
  ])('%s', async (command, args, exitCode, keys) => {
    const ending = await run([command, ...args, '--json']);
    const { code, out, err } = ending;
    expect({ code, err: err.replace(/^(\d+|.*:) .*(left out|the last one counts).*\n/gm, '') }).toEqual({
      code: exitCode,
      err: '',
    });
    const records: object[] = command === 'watch' ? lines(out).map((line) => JSON.parse(line)) : JSON.parse(out);
    expect(records.length).toBeGreaterThan(0);
    for (const record of records) expect(Object.keys(record)).toEqual(expect.arrayContaining(keys));
    expectDocumented(command, { ...ending, out: JSON.stringify(records) });
  });
});

function expectDocumented(command: string, { out }: Ending): void {
  const records = JSON.parse(out) as object[];
  expect(records.length).toBeGreaterThan(0);
  for (const key of records.flatMap((record) => Object.keys(record))) {
    expect([...documented.get(command)!], `${command}: ${key}`).toContain(key);
  }
}

describe('for people', () => {
  it('inspect lists runs of other writers, the packed one too, alike from a file, a folder and standard input', async () => {
    const [all, file, stdin, packed] = await Promise.all([
      run(['inspect', 'runs']),
      run(['inspect', scalarFile]),
      run(['inspect', '-'], readFileSync(scalarFile)),
      run(['inspect', '-'], gzipSync(readFileSync(scalarFile))),
    ]);
    expect(all).toMatchObject({ code: 0, err: '' });
    expect(
      new Set(
        lines(all.out)
          .slice(1)
          .map((line) => line.split(' ')[0]),
      ),
    ).toEqual(new Set(['packed', 'tbx/histogram', 'tbx/scalar', 'torch/image', 'torch/scalar', 'torch/text']));
    expect(file.out).toMatch(/^\. +big\/step +scalars +9 /m);
    expect([stdin.out, packed.out]).toEqual([file.out, file.out]);
  });

  it('export writes the points that the golden file has, to a pipe and to a file', async () => {
    const expected = scalars.records.flatMap(({ event }) =>
      (event.summary?.value ?? []).map((value) => [value.tag, event.step ?? '0']),
    );
    const [csv, lines_] = await Promise.all([
      run(['export', '-'], readFileSync(scalarFile)),
      run(['export', scalarFile, '--out', 'made/scalars.jsonl']),
    ]);
    expect(csv).toMatchObject({ code: 0, err: '' });
    expect(csv.out.trimEnd().split('\r\n')).toHaveLength(1 + expected.length);
    expect(lines_.code).toBe(0);
    const records = lines(readFileSync(join(folder, 'made/scalars.jsonl'), 'utf8')).map((line) => JSON.parse(line));
    expect(records.map(({ tag, step }) => `${tag} ${step}`).sort()).toEqual(
      expected.map(([tag, step]) => `${tag} ${step}`).sort(),
    );
    expect((await run(['export', 'runs', '--kind', 'images', '--out', 'pictures'])).code).toBe(0);
    const pictures = readdirSync(join(folder, 'pictures'), { recursive: true, encoding: 'utf8' });
    expect(pictures.filter((name) => name.endsWith('.png'))).toHaveLength(6);
  });

  it('from-csv writes back what export wrote, from a file and from standard input, and names what is no number', async () => {
    const table = await run(['export', 'runs/tbx/scalar', '--wide']);
    writeFileSync(join(folder, 'table.csv'), table.out);
    const copies = await Promise.all([
      run(['from-csv', 'table.csv', '--out', 'copies/file']),
      run(['from-csv', '-', '--out', 'copies/pipe'], table.out),
    ]);
    for (const [at, name] of ['file', 'pipe'].entries()) {
      const said = expect.stringMatching(new RegExp(`^\\d+ points in 1 run in copies/${name}\\n$`));
      expect(copies[at]).toMatchObject({ code: 0, err: '', out: said });
      expect((await run(['export', `copies/${name}`, '--wide'])).out).toBe(table.out);
    }
    const wrong = await run(['from-csv', '-', '--out', 'copies/wrong', '--run', 'a'], 'epoch,loss\n0,0.5\n1,none\n');
    expect(wrong).toMatchObject({ code: 1, out: '1 point in 1 run in copies/wrong\n' });
    expect(wrong.err).toContain('line 3, column "loss": expected a number, got "none"');
    expect((await run(['from-csv', 'table.csv'])).err).toContain('expected --out <logdir>');
  });

  it('verify and repair: a flipped byte is found, and the copy is whole', async () => {
    mkdirSync(join(folder, 'damaged'));
    const bytes = readFileSync(scalarFile);
    bytes[scalars.records[3].offset + 14] ^= 1;
    writeFileSync(join(folder, 'damaged/1.tfevents'), bytes);
    const [found, stdin, repaired] = await Promise.all([
      run(['verify', 'damaged']),
      run(['verify', '-'], bytes),
      run(['repair', 'damaged', '--out', 'repaired']),
    ]);
    expect(found.code).toBe(1);
    expect(found.out).toContain(`damaged at byte ${scalars.records[3].offset}`);
    expect(stdin).toMatchObject({ code: 1, out: expect.stringContaining('stdin.tfevents') });
    expect(repaired.code, repaired.err).toBe(0);
    expect(await run(['verify', 'repaired'])).toMatchObject({
      code: 0,
      out: expect.stringContaining(`${scalars.records.length - 1} records`),
    });
    expect(readFileSync(join(folder, 'damaged/1.tfevents'))).toEqual(bytes);
  });

  it('lint, diff: exit codes for scripts', async () => {
    const [bad, good, different, same] = await Promise.all([
      run(['lint', 'runs/tbx/scalar']),
      run(['lint', 'runs/torch/image']),
      run(['diff', 'runs/tbx/scalar', 'runs/torch/scalar']),
      run(['diff', 'runs/tbx/scalar', 'runs/packed']),
    ]);
    expect([bad.code, good.code, different.code, same.code]).toEqual([1, 0, 1, 0]);
    expect(bad.out).toMatch(/special\/values +not-a-number +NaN at step 5/);
    expect(good.out).toMatch('nothing found');
    expect(different.out.length).toBeGreaterThan(0);
  });

  it('filter keeps what is wanted, reduce takes runs together, merge puts logdirs into one', async () => {
    const [filtered, reduced, merged] = await Promise.all([
      run(['filter', 'runs', '--out', 'small', '--runs', 'tbx/scalar', '--tags', '^big', '--rename', 'big=huge']),
      run(['reduce', 'runs/tbx/scalar', 'runs/packed', '--out', 'reduced']),
      run(['merge', 'runs/torch', 'runs/tbx', '--out', 'merged']),
    ]);
    expect(merged.code, merged.err).toBe(0);
    const names = async (path: string) => (await listRuns(join(folder, path))).map((each) => each.run).sort();
    const both = [...(await names('runs/torch')), ...(await names('runs/tbx'))];
    expect(await names('merged')).toEqual([...new Set(both)].sort());
    expect(filtered.code, filtered.err).toBe(0);
    const tags = new Set<string>();
    for await (const { summary } of readEvents(join(folder, 'small/tbx/scalar'))) {
      for (const { tag } of summary ?? []) tags.add(tag);
    }
    expect(tags).toEqual(new Set(['huge/step']));
    expect(reduced.code, reduced.err).toBe(0);
    expect((await listRuns(join(folder, 'reduced'))).map((each) => each.run)).toEqual([
      'band',
      'max',
      'mean',
      'median',
      'min',
      'std',
    ]);
  });

  it('report writes a page, share a site', async () => {
    const [report, share] = await Promise.all([
      run(['report', 'tracked', '--out', 'page.html']),
      run(['share', 'runs', '--out', 'site']),
    ]);
    expect(report).toMatchObject({ code: 0, out: 'page.html\n', err: '' });
    expect(await run(['report', 'runs'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('serve and share show any logdir'),
    });
    expect(readFileSync(join(folder, 'page.html'), 'utf8')).toMatch(/^<!doctype html>/i);
    expect(share).toMatchObject({ code: 0, out: expect.stringMatching(/^6 runs, .* in site: /), err: '' });
    const listing = readFileSync(join(folder, 'site/runs.json'), 'utf8');
    const { runs } = JSON.parse(listing) as { runs: { files: { path: string }[] }[] };
    for (const logdir of ['./runs', 'site/../runs//']) {
      expect(await run(['share', logdir, '--out', 'again'])).toMatchObject({ code: 0, err: '' });
      expect(readFileSync(join(folder, 'again/runs.json'), 'utf8')).toBe(listing);
    }
    for (const { files } of runs) {
      for (const { path } of files) {
        expect(readFileSync(join(folder, 'site/data', path))).toEqual(readFileSync(join(logdir, path)));
      }
    }
  });

  it('watch draws what a training says, and fits a narrow terminal', async () => {
    const { code, out } = await run(['watch', 'tracked', '--once']);
    expect(code).toBe(0);
    expect(out).toMatch(/[▁▂▃▄▅▆▇█]/);
    if (!hasTerminal) return;
    const stdout = inTerminal('watch tracked --once', { NO_COLOR: '1' });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: how a terminal is told to move
    const drawn = lines(stdout.replace(/\u001b\[[?\d;]*[A-Za-z]|[\r\u0004\b]|\^D/g, ''));
    expect(drawn.join('')).toMatch(/[▁▂▃▄▅▆▇█]/);
    for (const line of drawn) expect(line.length, line).toBeLessThanOrEqual(40);
  });

  it('tail follows a file that another program writes, until ^C', async () => {
    const writer = new SummaryWriter(join(folder, 'growing'));
    writer.addScalar('loss', 0.5, 1);
    await writer.flush();
    const { child, ended, said } = start(['tail', 'growing', '--json']);
    await expect.poll(() => said.out, { timeout: 60_000 }).toContain('"step":1');
    writer.addScalar('loss', 0.25, 2);
    await writer.close();
    await expect.poll(() => said.out, { timeout: 60_000 }).toContain('"step":2');
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 0, err: '' });
    const records = lines(said.out).map((line) => JSON.parse(line));
    for (const record of records) expect(record).toMatchObject({ run: '.', tag: 'loss', plugin: 'scalars' });
    expectDocumented('tail', { ...said, out: JSON.stringify(records) });
  });

  it('serve shows the page and the files, nothing else, until ^C', async () => {
    const { child, ended, said } = start(['serve', 'runs', '--port', '0']);
    await expect.poll(() => said.out, { timeout: 60_000 }).toMatch(/http:\S+/);
    const [address] = /http:\S+/.exec(said.out)!;
    expect(await (await fetch(address)).text()).toMatch(/^<!doctype html>/i);
    const { runs } = (await (await fetch(new URL('runs.json', address))).json()) as { runs: { run: string }[] };
    expect(runs.map((each) => each.run)).toContain('torch/scalar');
    expect((await fetch(new URL('data/..%2f..%2fpage.html', address))).status).toBeGreaterThanOrEqual(400);
    child.kill('SIGINT');
    expect((await ended).code).toBe(0);
  });

  it('serve for other computers names an address that leads here from them, and asks for its token', async () => {
    const { child, ended, said } = start(['serve', 'runs', '--port', '0', '--host', '0.0.0.0']);
    await expect.poll(() => said.out, { timeout: 60_000 }).toContain('Stop');
    const [own, others] = [...said.out.matchAll(/http:[^\s,]+/g)].map(([address]) => new URL(address));
    expect(others.hostname).toBe(hostname().toLowerCase());
    expect([others.port, others.search]).toEqual([own.port, own.search]);
    expect((await fetch(own)).status).toBe(200);
    expect((await fetch(new URL('/', own))).status).toBe(401);
    child.kill('SIGINT');
    expect((await ended).code).toBe(0);
  });

  it.skipIf(process.platform === 'win32')(
    'board starts TensorBoard with its own options, and has its exit code',
    async () => {
      mkdirSync(join(folder, 'bin'));
      const fake = join(folder, 'bin/tensorboard');
      writeFileSync(fake, '#!/bin/sh\necho "$@"; echo "$PYTHONPATH"; exit 3\n');
      chmodSync(fake, 0o755);
      const path = `${join(folder, 'bin')}:${process.env.PATH}`;
      const { code, out } = await run(['board', 'runs', '--port', '6007'], '', { PATH: path });
      expect(code).toBe(3);
      expect(lines(out)[0]).toBe('--logdir runs --port 6007');
      expect(lines(out)[1]).toMatch(/\.whl/);
      const nothing = join(folder, 'no-programs');
      mkdirSync(nothing);
      const none = await run(['board', 'runs'], '', { PATH: nothing });
      expect(none).toMatchObject({ code: 1, err: expect.stringContaining("use 'delve-tensorboard serve <logdir>'") });
    },
  );

  it('onnx: layers, weights, expose, saturation', async () => {
    const models = JSON.parse(readFileSync(new URL('../fixtures/onnx/models.json', import.meta.url), 'utf8'));
    writeFileSync(join(folder, 'mlp.onnx'), Buffer.from(models.mlp.model, 'base64'));
    const values = Float64Array.from({ length: 300 * 10 }, (_, i) => Math.sin(i * i));
    writeFileSync(join(folder, 'x.npy'), encodeNpy({ dtype: 'float32', shape: [300, 10], values }));
    const [layers, weights, expose, saturation] = await Promise.all([
      run(['onnx', 'layers', 'mlp.onnx', '--json']),
      run(['onnx', 'weights', 'mlp.onnx', '--json']),
      run(['onnx', 'expose', 'mlp.onnx', '--out', 'exposed.onnx']),
      run(['onnx', 'saturation', 'mlp.onnx', 'x.npy', '--json']),
    ]);
    for (const { code, err } of [layers, weights, expose, saturation]) expect(code, err).toBe(0);
    expect((JSON.parse(layers.out) as { name: string }[]).map(({ name }) => name)).toEqual(['fc1', 'fc2']);
    expect(JSON.parse(weights.out)).toHaveLength(2);
    expectDocumented('onnx weights', weights);
    expectDocumented('onnx saturation', saturation);
    expect(existsSync(join(folder, 'exposed.onnx'))).toBe(true);
    for (const each of JSON.parse(saturation.out) as { saturation: number }[]) {
      expect(each.saturation).toBeGreaterThan(0);
      expect(each.saturation).toBeLessThanOrEqual(1);
    }
  });

  it('scale, run-node: a plan is made, done and published', async () => {
    const map = `export async function* map(shard, { add }) {
      add('dense', Float64Array.from({ length: 60 }, (_, i) => Math.sin(i * i + Number(shard))), 3);
    }\n`;
    writeFileSync(join(folder, 'map.mjs'), map);
    writeFileSync(join(folder, 'shards.txt'), '1\n2\n');
    const place = ['--plan', 'plan.json', '--store', 'partials'];
    const plan = await run(['scale', 'plan', 'shards.txt', '--task', 'sines', '--out', 'plan.json']);
    expect(plan.code, plan.err).toBe(0);
    const before = await run(['scale', 'status', ...place, '--once', '--json']);
    const root = await run(['run-node', ...place, '--map', 'map.mjs', '--level', 'root', '--json']);
    expect(root.code, root.err).toBe(0);
    expectDocumented('run-node', root);
    const after = await run(['scale', 'status', ...place, '--once', '--json']);
    expect([before.code, after.code]).toEqual([0, 0]);
    expectDocumented('scale status', after);
    expect(JSON.parse(after.out)).not.toEqual(JSON.parse(before.out));
    const published = await run(['scale', 'publish', ...place, '--out', 'published', '--json']);
    expect(published.code, published.err).toBe(0);
    expectDocumented('scale publish', published);
    expect((await listRuns(join(folder, 'published'))).length).toBeGreaterThan(0);
    const queue = await run(['scale', 'submit', '--plan', 'plan.json', '--queue', 'ftp://nowhere']);
    expect(queue).toMatchObject({ code: 2, err: expect.stringContaining('--queue') });
  });

  it('completions, help and mistakes', async () => {
    const [bash, help, unknown, none, nowhere, option, far, twice] = await Promise.all([
      run(['completions', 'bash']),
      run(['export', '--help']),
      run(['inspct', 'runs']),
      run([]),
      run(['inspect', 'nowhere']),
      run(['inspect', '--jso']),
      run(['inspect', '--quite-another']),
      run(['export', 'runs', '--kind', 'text', '--kind', 'images']),
    ]);
    const codes = [bash, help, unknown, none, nowhere, option, far, twice].map(({ code }) => code);
    expect(codes).toEqual([0, 0, 2, 2, 2, 2, 2, 2]);
    expect(twice.err).toContain('--kind: expected it once, got it twice');
    expect(option.err).toContain("Unknown option '--jso'; did you mean '--json'?");
    expect(far.err).toContain("Unknown option '--quite-another'; delve-tensorboard <command> --help lists the options");
    expect(bash.out).toContain('inspect');
    expect(help.out).toContain('Examples:\n  delve-tensorboard export');
    expect(unknown.err).toContain("; did you mean 'inspect'?");
    expect(nowhere.err).toContain('there is no file or folder "nowhere"');
  });

  it('colors: none in a pipe unless FORCE_COLOR asks for them, some in a terminal unless NO_COLOR forbids it', async () => {
    const [pipe, forced] = await Promise.all([
      run(['verify', 'runs']),
      run(['verify', 'runs'], '', { FORCE_COLOR: '1' }),
    ]);
    expect(pipe.out).not.toContain('\u001b');
    expect(forced.out).toContain('\u001b[');
    if (!hasTerminal) return;
    expect(inTerminal('verify runs', { TERM: 'xterm' })).toContain('\u001b[32mok');
    expect(inTerminal('verify runs', { TERM: 'xterm', NO_COLOR: '1' })).not.toContain('\u001b[32m');
  });

  it('every command of --help has a test in this file or is named here with the one that it has', async () => {
    const { out } = await run(['--help']);
    const names = [...out.matchAll(/^ {2}([a-z][a-z-]*)(?= [<-]| layers)/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(15);
    const text = readFileSync(fileURLToPath(import.meta.url), 'utf8');
    // By the official SDK, over standard input and output: mcp.test.ts.
    const elsewhere = ['mcp'];
    for (const name of names) {
      if (!elsewhere.includes(name))
        expect(text, name).toMatch(new RegExp(`(run|start)\\(\\['${name}'|^ {4}\\['${name}'`, 'm'));
    }
  });
});

describe('what is loaded', () => {
  /** The package's modules that a command loads, by their folders and files below dist/. */
  async function loadedBy(args: readonly string[]): Promise<string[]> {
    const coverage = temporaryFolder();
    const { code, err } = await run(args, '', { NODE_V8_COVERAGE: coverage });
    expect(code, err).toBe(0);
    const urls = readdirSync(coverage).flatMap((name) => {
      const { result } = JSON.parse(readFileSync(join(coverage, name), 'utf8')) as { result: { url: string }[] };
      return result.map(({ url }) => url);
    });
    return urls.flatMap((url) => /\/dist\/(.*)\.js$/.exec(url)?.[1] ?? []);
  }

  it('is what the command does, and nothing of other commands', async () => {
    const version = await loadedBy(['--version']);
    expect(version).toContain('cli/main');
    expect(version.filter((module) => !/^(cli|errors|platform)\b/.test(module))).toEqual([]);
    const reduced = await loadedBy([
      'reduce',
      join(logdir, 'torch/scalar'),
      join(logdir, 'tbx/scalar'),
      '--lax',
      '--format',
      'csv',
    ]);
    expect(reduced).toContain('reader/shown-points');
    expect(
      reduced.filter((module) => /^(writer|drawing|recording|reports|insight|onnx|scale|view)\b/.test(module)),
    ).toEqual([]);
  });
});
