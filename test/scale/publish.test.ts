import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CovarianceAccumulator, readEvents, Spectrum } from '../../src/index.js';
import { MemoryObjectStore } from '../../src/object-stores.js';
import { memoryPartials, objectPartials, plan, publish, runLocal, type ShardMap } from '../../src/scale.js';
import { temporaryFolder } from '../support/folders.js';
import { gaussianRows } from '../support/random.js';

const variances = [9, 4, 1, 0.01];
const map: ShardMap = async function* (shard, { add }) {
  add('dense', gaussianRows(200, variances, Number(shard)), 4);
  yield;
};
const made = plan({ shards: ['1', '2', '3'], task: 'test', fanIn: 2 });

async function done() {
  const store = memoryPartials();
  await runLocal(made, { map, store });
  return store;
}

async function eventsIn(file: string) {
  const events = [];
  for await (const event of readEvents(file)) events.push(event);
  return events;
}

describe('publish', () => {
  it('writes one file, whoever calls it and however often, of the same bytes everywhere', async () => {
    const store = await done();
    const [one, other] = [temporaryFolder(), temporaryFolder()];
    const both = await Promise.all([publish(made, store, one), publish(made, store, one)]);
    expect(both.map(({ isOwn }) => isOwn).sort()).toEqual([false, true]);
    expect((await publish(made, store, one)).isOwn).toBe(false);
    expect(readdirSync(one)).toEqual([`test-${made.id.slice(0, 8)}`]);
    const { path } = await publish(made, await done(), other);
    expect(readdirSync(`${one}/test-${made.id.slice(0, 8)}`)).toHaveLength(1);
    expect(readFileSync(`${other}/${path}`)).toEqual(readFileSync(`${one}/${path}`));
  });

  it('writes what the merged moments say, with one wall time', async () => {
    const folder = temporaryFolder();
    const { path } = await publish(made, await done(), folder, {
      run: 'all',
      step: 7,
      wallTime: 1.5e9,
      threshold: 0.9,
    });
    expect(path).toBe(`all/events.out.tfevents.1500000000.plan.${made.id}`);
    const events = await eventsIn(`${folder}/${path}`);
    expect(new Set(events.map(({ wallTime }) => wallTime))).toEqual(new Set([1.5e9]));
    const stream = new CovarianceAccumulator(4);
    for (const seed of [1, 2, 3]) stream.update(gaussianRows(200, variances, seed));
    const values = events.flatMap(({ step, summary }) =>
      (summary ?? []).map(({ tag, value }) => ({ step, tag, value })),
    );
    expect(values.find(({ tag }) => tag === 'saturation/dense')).toEqual({
      step: 7,
      tag: 'saturation/dense',
      value: Math.fround(Spectrum.of(stream).saturation(0.9)),
    });
    expect(values.map(({ tag }) => tag)).toContain('eigenvalues/dense');
    expect(values.map(({ tag }) => tag)).toContain('saturation-profile');
  });

  it('writes to a bucket, too', async () => {
    const objects = new MemoryObjectStore();
    const { path, isOwn } = await publish(made, await done(), objectPartials(objects, { prefix: 'runs' }));
    expect(isOwn).toBe(true);
    expect([...objects.objects.keys()]).toEqual([`runs/${path}`]);
  });

  it('keeps names inside the logdir', async () => {
    const { path } = await publish(made, await done(), temporaryFolder(), { run: '../../etc' });
    expect(path).not.toContain('../');
  });

  it('says what cannot be', async () => {
    await expect(publish(made, memoryPartials(), temporaryFolder())).rejects.toThrow('is not done');
    const store = await done();
    await expect(publish(made, store, temporaryFolder(), { wallTime: Number.NaN })).rejects.toThrow(
      'publish: expected wallTime to be seconds since 1970, got number NaN',
    );
    await expect(publish(made, store, temporaryFolder(), { threshold: 2 })).rejects.toThrow(RangeError);
    await expect(publish(made, store, temporaryFolder(), { runs: 'x' } as never)).rejects.toThrow(
      "did you mean 'run'?",
    );
    const empty = plan({ shards: ['1'], task: 'none' });
    const none = memoryPartials();
    await runLocal(empty, { map: async function* () {}, store: none });
    await expect(publish(empty, none, temporaryFolder())).rejects.toThrow('expected a plan with rows, got none');
  });
});
