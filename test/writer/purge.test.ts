import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { encodeMessage } from '../../src/encoding/message-codec.js';
import { frameRecord } from '../../src/encoding/record.js';
import { SummaryWriter } from '../../src/index.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { PurgedRun } from '../../src/writer/purge.js';
import { decodeRecords, eventFiles, eventsIn, scalarsOf } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';

/** A run that crashed after step 9, in which one tag was written on even steps only and one from step 5 on. */
async function crashedRun(): Promise<string> {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  for (let step = 0; step < 10; step++) {
    writer.addScalar('loss', step, step, { description: 'falls' });
    if (step % 2 === 0) writer.addScalar('even', step, step);
    if (step >= 5) writer.addScalar('late', step, step);
  }
  writer.addText('note', 'at the beginning', 0);
  await writer.close();
  return logdir;
}

const eventsAfterPurge = (step: number | bigint, files: Uint8Array[][]) => {
  const purged = new PurgedRun(step);
  for (const file of files) purged.read(file);
  return purged.events();
};

const resumed = async (logdir: string, purgeStep: number | bigint) => {
  const writer = new SummaryWriter(logdir, { purgeStep });
  writer.addScalar('loss', 100, Number(purgeStep));
  await writer.close();
  return eventsIn(logdir).slice(1 + 10 + 5 + 5 + 1);
};

it('the resumed file begins with two session starts and the last kept point of each tag that has points to hide', async () => {
  const logdir = await crashedRun();
  const events = await resumed(logdir, 5);
  expect(eventFiles(logdir).length).toBe(2);
  expect(events[0].fileVersion).toBe('brain.Event:2');
  for (const start of events.slice(1, 3)) {
    expect(start.sessionLog?.status).toBe(tensorboard.SessionLog.SessionStatus.START);
    expect(Number(start.step)).toBe(5);
  }
  expect(scalarsOf(events)).toEqual([
    { tag: 'loss', step: 4, value: 4 },
    { tag: 'even', step: 4, value: 4 },
    { tag: 'loss', step: 5, value: 100 },
  ]);
  const [loss, even] = events.slice(3).map(({ summary }) => summary!.value![0]);
  expect(loss.metadata?.summaryDescription).toBe('falls');
  expect(even.metadata?.pluginData?.pluginName).toBe('scalars');
});

it('a run below that is closed and opened again is purged once', async () => {
  const logdir = temporaryFolder();
  const crashed = new SummaryWriter(logdir);
  for (let step = 0; step < 10; step++) crashed.run('val').addScalar('loss', step, step);
  await crashed.close();
  const resumed = new SummaryWriter(logdir, { purgeStep: 5 });
  resumed.run('val').addScalar('loss', 105, 5);
  await resumed.run('val').close();
  resumed.run('val').addScalar('loss', 106, 6);
  await resumed.close();
  const starts = eventsIn(join(logdir, 'val')).filter(({ sessionLog }) => sessionLog != null);
  expect(starts.length).toBe(2);
});

it('pipes and folders that are named like event files do not hold up a purge', async () => {
  const logdir = await crashedRun();
  mkdirSync(join(logdir, '1.tfevents'));
  execFileSync('mkfifo', [join(logdir, '2.tfevents')]);
  symlinkSync('/dev/zero', join(logdir, '3.tfevents'));
  const writer = new SummaryWriter(logdir, { purgeStep: 5 });
  await writer.close();
  const [file] = readdirSync(logdir)
    .filter((name) => name.startsWith('events'))
    .sort()
    .slice(-1);
  expect(scalarsOf(decodeRecords(readFileSync(join(logdir, file))))).toEqual([
    { tag: 'loss', step: 4, value: 4 },
    { tag: 'even', step: 4, value: 4 },
  ]);
});

it('what is kept stays at its wall time', async () => {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  writer.addScalar('loss', 1, 1, { wallTime: 1000 });
  writer.addScalar('loss', 2, 2, { wallTime: 2000 });
  await writer.close();
  const again = new SummaryWriter(logdir, { purgeStep: 2n });
  await again.close();
  const kept = eventsIn(logdir)
    .filter(({ summary }) => summary)
    .at(-1)!;
  expect(kept).toMatchObject({ wallTime: 1000 });
});

it('a folder without earlier files gets the session starts only', async () => {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir, { purgeStep: 3 });
  await writer.close();
  expect(eventsIn(logdir).map(({ sessionLog }) => sessionLog?.status)).toEqual([undefined, 1, 1]);
});

it('runs purge their own files', async () => {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  for (let step = 0; step < 5; step++) writer.run('train').addScalar('loss', step, step);
  await writer.close();
  const again = new SummaryWriter(logdir, { purgeStep: 2 });
  again.run('train');
  await again.close();
  expect(scalarsOf(eventsIn(join(logdir, 'train'))).map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 1]);
});

it('damaged and torn files are read up to the damage', async () => {
  const logdir = temporaryFolder();
  const record = (step: number) =>
    frameRecord(encodeMessage(tensorboard.Event, { step, summary: { value: [{ tag: 'torn', simpleValue: step }] } }));
  writeFileSync(join(logdir, 'events.out.tfevents.0000000001.a'), 'no event file at all, but long enough for a header');
  writeFileSync(
    join(logdir, 'events.out.tfevents.0000000002.a'),
    Buffer.concat([record(1), record(3), record(0).subarray(0, 20)]),
  );
  writeFileSync(join(logdir, 'events.out.tfevents.0000000003.a'), frameRecord(Uint8Array.of(255, 255, 255)));
  const writer = new SummaryWriter(logdir, { purgeStep: 2 });
  await writer.close();
  const events = decodeRecords(readFileSync(join(logdir, eventFiles(logdir).at(-1)!)));
  expect(events.filter(({ sessionLog }) => sessionLog).length).toBe(2);
  expect(events.at(-1)!.summary!.value![0]).toMatchObject({ tag: 'torn', simpleValue: 1 });
});

it('v1 values, several values in one event, steps beyond 2^53 and the order of files are respected', () => {
  const file = (...events: tensorboard.IEvent[]) =>
    events.map((event) => frameRecord(encodeMessage(tensorboard.Event, event)));
  const big = 2n ** 60n;
  const points = eventsAfterPurge(big + 2n, [
    file({ step: 7, summary: { value: [{ tag: 'a', simpleValue: 1 }] } }),
    file(
      {
        step: big + 1n,
        wallTime: 5,
        summary: {
          value: [
            { tag: 'b', simpleValue: 2 },
            { tag: 'a', simpleValue: 3 },
          ],
        },
      },
      { step: big + 2n, summary: { value: [{ tag: 'a', simpleValue: 4 }] } },
    ),
  ]);
  const values = points.map(({ wallTime, summary }) =>
    summary!.value!.map(({ tag, simpleValue }) => [wallTime, tag, simpleValue]),
  );
  expect(values).toEqual([[[5, 'a', 3]]]);
  expect(String(points[0].step)).toBe(String(big + 1n));
});

it('tags that would be left without a point, where that stops a page, get one at the purged step', async () => {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  writer.addImage('purged', { data: new Uint8Array(3), shape: [1, 1, 3] }, 5);
  writer.addImage('kept', { data: new Uint8Array(3), shape: [1, 1, 3] }, 4);
  writer.addImage('kept', { data: new Uint8Array(3), shape: [1, 1, 3] }, 5);
  writer.addScalar('loss', 1, 5);
  writer.addText('note', 'late', 5);
  const layout = { categories: [{ title: 'a', charts: [{ title: 'b', multiline: ['loss'] }] }] };
  writer.addCustomScalars(layout);
  writer.addGraph(Uint8Array.of(10, 3, 10, 1, 120));
  await writer.close();
  const after = (purgeStep: number) =>
    eventsAfterPurge(purgeStep, [[readFileSync(join(logdir, eventFiles(logdir)[0]))]]).map(
      ({ step, summary, graphDef }) => {
        const images = summary?.value?.[0].tensor?.stringVal?.length ?? 0;
        return [Number(step), graphDef?.length ? 'graph' : summary!.value![0].tag, Math.max(0, images - 2)];
      },
    );
  expect(after(5)).toEqual([
    [5, 'purged', 0],
    [4, 'kept', 1],
  ]);
  expect(after(0)).toEqual([
    [0, 'graph', 0],
    [0, 'purged', 0],
    [0, 'kept', 0],
    [0, 'custom_scalars__config__', 0],
  ]);
  expect(after(6)).toEqual([]);
});
