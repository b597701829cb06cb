import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { SummaryWriter } from '../../src/index.js';
import { s3Output, s3Store } from '../../src/object-stores.js';
import { startNpmS3Server } from '../support/npm-s3-server.js';
import { S3Server } from '../support/s3-server.js';
import { describeWithTensorBoard, runPythonMeanwhile, startTensorBoard } from './harness.js';

let server: S3Server;
let env: Record<string, string>;
beforeEach(async () => {
  server = await S3Server.start();
  server.pageSize = 1000; // TensorBoard asks for one page where one is enough
  env = { ...server.environment, AWS_DEFAULT_REGION: server.region, S3_ENDPOINT: server.endpoint, NO_PROXY: '*' };
  return () => server.close();
});

const outputOf = (prefix: string, layout: 'rolling' | 'growing') =>
  s3Output({ ...server.options, prefix, layout, maxObjectBytes: 2000, uploadSecs: 0 });

describeWithTensorBoard('boto3, as an independent client', () => {
  it('finds what the library has written, and writes what it reads; the server believes both signatures', async () => {
    const store = s3Store(server.options);
    const names = ["runs/it's (a) b+c*", 'runs/ü€😀', 'runs/q?x=1&y#z', 'runs/%2F'];
    for (const name of names) await store.put(name, new TextEncoder().encode(`content of ${name}`));
    const printed = await runPythonMeanwhile(
      `
import boto3, json
from botocore.config import Config
s3 = boto3.client('s3', endpoint_url='${server.endpoint}', config=Config(s3={'addressing_style': 'path'}, request_checksum_calculation='when_required', response_checksum_validation='when_required'))
found = s3.list_objects_v2(Bucket='logs', Prefix='runs/', Delimiter='/')['Contents']
texts = {o['Key']: s3.get_object(Bucket='logs', Key=o['Key'])['Body'].read().decode() for o in found}
for key in texts: s3.put_object(Bucket='logs', Key='copies/' + key, Body=texts[key].encode())
print(json.dumps(texts))
`,
      env,
    );
    expect(printed).toMatch(/^{/);
    expect(JSON.parse(printed)).toEqual(Object.fromEntries(names.map((name) => [name, `content of ${name}`])));
    for (const name of names) {
      expect(new TextDecoder().decode(await store.get(`copies/${name}`))).toBe(`content of ${name}`);
    }
    expect((await store.list('copies/')).objects.map(({ key }) => key)).toEqual(
      names.map((name) => `copies/${name}`).sort(),
    );
  });
});

describeWithTensorBoard.each(['rolling', 'growing'] as const)(
  'a run in a bucket, through the Python loader: %s',
  (layout) => {
    type Points = [number, number, number][];
    const isAt = (last: number) => (points: Points) => points.at(-1)?.[1] === last;

    it('is shown, grows while TensorBoard looks, and is resumed', async () => {
      const writer = new SummaryWriter(outputOf('runs/first', layout));
      const write = async (from: number, end: number) => {
        for (let step = from; step < end; step++) {
          writer.addScalar('loss', step / 2, step);
          writer.run('val').addScalar('loss', step, step);
        }
        await writer.flush();
      };
      for (let i = 0; i < 10; i++) await write(10 * i, 10 * (i + 1));
      const board = await startTensorBoard('s3://logs/runs/first/', { fast: false, env });
      const askUntil = (run: string, last: number) =>
        board.askUntil<Points>('scalars/scalars', { run, tag: 'loss' }, isAt(last), 90);
      expect((await askUntil('.', 99)).map(([, step, value]) => [step, value])).toEqual(
        Array.from({ length: 100 }, (_, step) => [step, step / 2]),
      );
      expect(await askUntil('val', 99)).toHaveLength(100);
      for (let i = 10; i < 13; i++) {
        await write(10 * i, 10 * (i + 1));
        expect(await askUntil('.', 10 * i + 9)).toHaveLength(10 * (i + 1));
      }
      await writer.close();
      const resumed = new SummaryWriter(outputOf('runs/first', layout), { purgeStep: 50 });
      resumed.addScalar('loss', 1000, 50);
      resumed.addScalar('loss', 1000, 51);
      await resumed.close();
      const shown = await askUntil('.', 51);
      expect(shown.slice(-3).map(([, step, value]) => [step, value])).toEqual([
        [49, 24.5],
        [50, 1000],
        [51, 1000],
      ]);
    });
  },
);

describeWithTensorBoard('a run in a bucket of an S3 server by others', () => {
  it('is shown within seconds after 200 flushes', async () => {
    const other = await startNpmS3Server();
    onTestFinished(() => other.close());
    const prefix = 'runs/first';
    const writer = new SummaryWriter(s3Output({ ...other.options, prefix, maxObjectBytes: 2000, uploadSecs: 0 }));
    for (let flush = 0; flush < 200; flush++) {
      writer.addScalar('loss', flush / 2, flush);
      await writer.flush();
    }
    await writer.close();
    const { AWS_ENDPOINT_URL_S3, AWS_REGION } = other.environment;
    const theirs = { AWS_DEFAULT_REGION: AWS_REGION, S3_ENDPOINT: AWS_ENDPOINT_URL_S3, NO_PROXY: '*' };
    const board = await startTensorBoard(`s3://logs/${prefix}/`, {
      fast: false,
      env: { ...other.environment, ...theirs },
    });
    const points = await board.askUntil<[number, number, number][]>(
      'scalars/scalars',
      { run: '.', tag: 'loss' },
      (found) => found.at(-1)?.[1] === 199,
      90,
    );
    expect(points.map(([, step, value]) => [step, value])).toEqual(
      Array.from({ length: 200 }, (_, step) => [step, step / 2]),
    );
  });
});
