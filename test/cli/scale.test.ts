import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { memoryPartials, readPlan, runLocal, type ShardMap } from '../../src/scale.js';
import { temporaryFolder } from '../support/folders.js';
import { S3Server } from '../support/s3-server.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = `export async function* map(shard, { args, add, signal }) {
  if (shard === args.poison) throw new Error('no digits \\u001b[2J in here');
  for (let batch = 0; batch < 4; batch++) {
    add('dense', Float64Array.from({ length: 60 }, (_, i) => Math.sin(i * i + batch + Number(shard))), 3);
    yield;
  }
}
`;

/** A folder with a map, a list of shards, and its plan. */
async function planned(args: object = {}, shards = ['1', '2', '3', '4', '5']) {
  const folder = temporaryFolder();
  const file = (name: string) => join(folder, name);
  writeFileSync(file('map.mjs'), text);
  writeFileSync(file('shards.txt'), `${shards.join('\r\n')}\n\n`);
  const more = { task: 'sines', 'fan-in': '2', args: JSON.stringify(args), out: file('plan.json') };
  const said = await cli(['scale', 'plan', file('shards.txt')], more);
  expect(said.err).toBe('');
  const options = { plan: file('plan.json'), map: file('map.mjs'), store: file('partials') };
  const { map, ...place } = options;
  return { folder, options, place, map, said, plan: readPlan(readFileSync(file('plan.json'), 'utf8')) };
}

async function cli(
  positionals: string[],
  values: CommandLine['values'] = {},
  { size, ended }: { size?: { columns: number; rows: number }; ended?: Promise<void> } = {},
) {
  const said = { out: '', err: '', code: 0 };
  const terminal = {
    write: (words: string) => void (said.out += words),
    writeError: (words: string) => void (said.err += words),
    writeFile: (path: string, content: string) => writeFileSync(path, content),
    importModule: (path: string) => import(path),
    colors: false,
    size: () => size,
    ended: () => ended ?? new Promise<void>(() => {}),
  } as Partial<Terminal> as Terminal;
  said.code = await main(terminal, { positionals, values }, '1.2.3');
  return said;
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('run-node', () => {
  it('does the nodes of array jobs, whose last is the answer of one process', async () => {
    const { options, said, plan, place, folder } = await planned();
    expect(said.out).toContain(
      `plan ${plan.id}; level 0: 5 nodes; level 1: 3 nodes; level 2: 2 nodes; level 3: 1 node`,
    );
    for (const [level, count] of [5, 3, 2, 1].entries()) {
      for (let index = 0; index < count; index++) {
        const variable = ['JOB_COMPLETION_INDEX', 'SLURM_ARRAY_TASK_ID', 'AWS_BATCH_JOB_ARRAY_INDEX'][level % 3];
        vi.stubEnv(variable, String(index));
        const node = await cli(['run-node'], { ...options, level: String(level) });
        expect(node).toMatchObject({ code: 0, err: '' });
        vi.unstubAllEnvs();
      }
    }
    const { map } = (await import(options.map)) as { map: ShardMap };
    const local = await runLocal(plan, { map, store: memoryPartials() });
    const again = await cli(['run-node'], { ...options, level: 'root', json: true });
    expect(JSON.parse(again.out)).toMatchObject([
      { node: 'merge-3-000000', isOwn: false, digest: local.digest, shards: [0, 5], layers: [{ rows: 400 }] },
    ]);
    const status = await cli(['scale', 'status'], { ...place, json: true });
    expect(JSON.parse(status.out)).toMatchObject([{ isDone: true, task: 'sines', failed: [] }]);
    const out = join(folder, 'runs');
    const published = await cli(['scale', 'publish'], { ...place, out });
    expect(published.out).toMatch(/^dense: saturation \d\.\d{3} of 3, 400 rows\nsines-.*tfevents/);
    expect((await cli(['scale', 'publish'], { ...place, out })).out).toContain('stood there');
    expect(readdirSync(join(out, readdirSync(out)[0]))).toHaveLength(1);
  });

  it('names a shard that fails; status tells it, escaped, and the root names it too', async () => {
    const { options, place } = await planned({ poison: '4' });
    const failed = await cli(['run-node'], { ...options, level: '0', index: '3' });
    expect(failed.code).toBe(1);
    expect(failed.err).toContain("shard '4': no digits \\u001b[2J in here");
    expect((await cli(['run-node'], { ...options, level: 'root' })).err).toContain("shard '4': no digits");
    const status = await cli(['scale', 'status'], place);
    expect(status.code).toBe(1);
    expect(status.out).toContain('shards   ');
    expect(status.out).toContain('4 of 5');
    expect(status.out).toMatch(/failed \d+ s ago: '4': no digits \\u001b\[2J in here/);
  });

  it('leaves nothing half done when it is told to end', async () => {
    const { options } = await planned();
    const said = await cli(['run-node'], { ...options, level: '0', index: '0' }, { ended: Promise.resolve() });
    expect(said.code).toBe(130);
    expect(said.err).toBe('map-000000: told to end; nothing of it was written\n');
    expect(readdirSync(options.store.replace(/partials$/, ''))).not.toContain('partials');
  });

  it('works on buckets', async () => {
    const server = await S3Server.start();
    try {
      for (const [name, value] of Object.entries(server.environment)) vi.stubEnv(name, value);
      const { options, plan } = await planned();
      const store = `s3://${server.bucket}/some/where`;
      expect((await cli(['run-node'], { ...options, store, level: 'root' })).code).toBe(0);
      expect(server.keys().filter((key) => key.startsWith(`some/where/${plan.id}/merge-3`))).toHaveLength(2);
      const status = await cli(['scale', 'status'], { plan: options.plan, store, json: true });
      expect(JSON.parse(status.out)).toMatchObject([{ isDone: true }]);
    } finally {
      await server.close();
    }
  });

  it.each<[string, CommandLine['values'], string]>([
    ['no plan', { plan: undefined }, '--plan: expected the file of a plan'],
    ['a plan that is missing', { plan: '/nowhere/plan.json' }, '--plan: '],
    ['no level', { level: undefined }, '--level: expected a level of the plan'],
    ['a level that is none', { level: 'x', index: '0' }, '--level: expected an integer >= 0, got "x"'],
    ['no index', {}, "--index: expected the node's number in its level, here or in JOB_COMPLETION_INDEX"],
    ['no map', { index: '0', map: undefined }, '--map: expected a module that exports map'],
    ['a map that is missing', { index: '0', map: '/nowhere.mjs' }, '--map: the module "/nowhere.mjs" cannot be loaded'],
    ['no store', { index: '0', store: undefined }, '--store: expected a folder, s3://<bucket>/<prefix> or gs://'],
  ])('says what is missing: %s', async (_, values, message) => {
    const { options } = await planned();
    const said = await cli(['run-node'], { ...options, level: '0', ...values });
    expect(said.code).toBe(2);
    expect(said.err).toContain(message);
  });

  it('says what is wrong with nodes, maps and plans', async () => {
    const { options, folder } = await planned();
    const said = await cli(['run-node'], { ...options, level: '0', index: '5' });
    expect(said.err).toContain('expected an index from 0 to 4 at level 0, got number 5');
    const empty = join(folder, 'empty.mjs');
    writeFileSync(empty, 'export const other = 1;');
    const noMap = await cli(['run-node'], { ...options, map: empty, level: '0', index: '0' });
    expect(noMap.err).toContain('to export a function map, got undefined');
    writeFileSync(options.plan, readFileSync(options.plan, 'utf8').replace('"fanIn":2', '"fanIn":3'));
    const changed = await cli(['run-node'], { ...options, level: 'root' });
    expect(changed).toMatchObject({ code: 2, err: expect.stringContaining('which fits what the plan holds') });
    expect((await cli(['scale', 'plans'])).err).toContain(
      'scale: expected plan, submit, work, status or publish, got "plans"',
    );
    expect((await cli(['scale', 'plan'])).err).toContain('expected one file with the name of a shard on each line');
    const bad = { task: 't', args: '{x}' };
    expect((await cli(['scale', 'plan', join(folder, 'shards.txt')], bad)).err).toContain(
      '--args: expected JSON, got "{x}"',
    );
  });
});

describe('scale status', () => {
  it('follows a plan in a terminal until it is done', async () => {
    const { options, place } = await planned();
    await cli(['run-node'], { ...options, level: '0', index: '1' });
    const watching = cli(['scale', 'status'], place, { size: { columns: 60, rows: 20 } });
    await cli(['run-node'], { ...options, level: 'root' });
    const said = await watching;
    expect(said.code).toBe(0);
    expect(said.out.split('\u001b[J').at(-1)).toContain('5 of 5');
    expect(said.out).toContain('done');
    expect(said.out.endsWith('\u001b[?25h')).toBe(true);
    for (const line of said.out.split('\n')) expect(line.length).toBeLessThan(75);
  });
});

it('examples/scale/run.mjs is killed in part, and says that the answer is the same to the bit', async () => {
  const folder = temporaryFolder();
  mkdirSync(folder, { recursive: true });
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['examples/scale/run.mjs', '--workers', '2', '--logdir', join(folder, 'runs')],
    { cwd: root },
  );
  expect(stdout).toContain('is killed after 3 batches of map-');
  expect(stdout).toContain('bit-identical: ');
  expect(stdout).toMatch(/hidden1: saturation 0\.8\d\d of 256 features, 10000 rows/);
  expect(stdout).toContain('once, though it was asked for twice');
});
