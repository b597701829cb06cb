import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { nameOf, type Plan, type PlanNode, rootOf } from '../../src/scale.js';
import { S3Server } from '../support/s3-server.js';
import { cleanUp, local, standing, syntheticPlan, temporaryFolder, until } from './harness.js';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const map = fileURLToPath(new URL('./synthetic.mjs', import.meta.url));
const run = promisify(execFile);

let array: ChildProcess | undefined;
afterEach(async () => {
  if (array?.exitCode === null && array.signalCode === null) process.kill(-array.pid!, 'SIGKILL');
  await cleanUp();
});

/** Does the rest of a plan in one process, as a task of its own, and returns what that says. */
async function root(
  of: Plan,
  args: string[],
  env: Record<string, string> = {},
): Promise<{ digest: string; node: string }> {
  const command = [cli, 'run-node', ...args, '--map', map, '--level', 'root', '--json'];
  const { stdout } = await run(process.execPath, command, { env: { ...process.env, ...env } });
  const [report] = JSON.parse(stdout);
  expect(report).toMatchObject({ plan: of.id, node: nameOf(rootOf(of)) });
  return report;
}

it('xargs, killed with all its processes, leaves what is done to the next call', async () => {
  const of = syntheticPlan(24);
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'plan.json'), JSON.stringify(of));
  const args = ['--plan', join(folder, 'plan.json'), '--store', folder];
  const command = [process.execPath, cli, 'run-node', ...args, '--map', map, '--level', '0', '--index', '{}'];
  const script = `seq 0 23 | xargs -P 3 -I{} ${command.map((word) => `'${word}'`).join(' ')}`;
  array = spawn('sh', ['-c', script], { detached: true, stdio: 'ignore' });
  await until(async () => (await standing(of, folder)).length >= 6);
  process.kill(-array.pid!, 'SIGKILL');
  const stood = await standing(of, folder);
  expect(stood.length).toBeLessThan(24);

  const { digest } = await root(of, args);
  expect(digest).toBe((await local(of)).digest);
  expect(await standing(of, folder)).toEqual(expect.arrayContaining(stood));
});

it('tasks that find their index in the environment share a bucket, in which the plan lies, too', async () => {
  const of = syntheticPlan(4, { features: 32, fanIn: 2 });
  const bucket = await S3Server.start();
  try {
    bucket.objects.set('plan.json', Buffer.from(JSON.stringify(of)));
    const place = `s3://${bucket.bucket}`;
    const args = ['--plan', `${place}/plan.json`, '--store', `${place}/partials`];
    const task = ({ level, index }: PlanNode, variable: string) =>
      run(process.execPath, [cli, 'run-node', ...args, '--map', map, '--level', String(level)], {
        env: { ...process.env, ...bucket.environment, [variable]: String(index) },
      });
    const [kubernetes, slurm, batch] = ['JOB_COMPLETION_INDEX', 'SLURM_ARRAY_TASK_ID', 'AWS_BATCH_JOB_ARRAY_INDEX'];
    await Promise.all([
      task({ level: 0, index: 0 }, kubernetes),
      task({ level: 0, index: 1 }, slurm),
      task({ level: 0, index: 3 }, batch),
      task({ level: 0, index: 3 }, kubernetes), // twice at once
    ]);
    const { stdout } = await task({ level: 1, index: 0 }, slurm);
    expect(stdout).toContain('merge-1-000000 made');
    const { digest } = await root(of, args, bucket.environment);
    expect(digest).toBe((await local(of)).digest);
  } finally {
    await bucket.close();
  }
});
