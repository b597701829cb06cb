/** No input makes a file that stops one of TensorBoard's loaders, or keeps a dashboard from showing other tags and runs. */
import { cpSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { temporaryFolder } from '../support/folders.js';
import { mutations, realEvents } from '../support/mutations.js';
import { describeWithTensorBoard, LOADERS, startTensorBoard, type TensorBoard } from './harness.js';

/** How many events that addEvent accepts are written; more by hand: DELVE_MUTATIONS=5000. */
const wanted = Number(process.env.DELVE_MUTATIONS ?? 400);
const seed = Number(process.env.DELVE_MUTATION_SEED ?? 1);
const eventsOfRun = 10;
const sentinels = 8;

/** What a page asks of all runs at once. */
async function askDashboards(board: TensorBoard): Promise<Record<string, unknown>> {
  const get = ['scalars', 'histograms', 'distributions', 'images', 'audio', 'text', 'pr_curves', 'mesh', 'timeseries'];
  const asked: Record<string, Promise<unknown>> = {
    runs: board.ask('/data/runs'),
    plugins: board.ask('/data/plugins_listing'),
    layout: board.ask('custom_scalars/layout'),
    graphs: board.ask('graphs/info'),
    projector: board.ask('projector/runs'),
    experiment: board.post('hparams/experiment', {}),
    sessions: board.post('hparams/session_groups', {
      startIndex: 0,
      sliceSize: 1000,
      allowedStatuses: ['STATUS_UNKNOWN', 'STATUS_SUCCESS', 'STATUS_FAILURE', 'STATUS_RUNNING'],
      aggregationType: 'AGGREGATION_AVG',
      colParams: [{ hparam: 'lr' }],
    }),
  };
  for (const plugin of get) asked[plugin] = board.ask(`${plugin}/tags`);
  const answers = Object.entries(asked).map(async ([name, answer]) => {
    const problem = await answer.then(
      () => 'answered',
      (error) => String(error).slice(0, 500),
    );
    return [name, problem] as const;
  });
  return Object.fromEntries(await Promise.all(answers));
}

/** How many points of a scalar each run shows, asked for all runs at once as the page does. */
async function pointsOf(board: TensorBoard, tag: string, runs: readonly string[]): Promise<Record<string, number>> {
  const form = new URLSearchParams([['tag', tag], ...runs.map((run) => ['runs', run])]);
  const answer = await board.post<Record<string, unknown[]>>('scalars/scalars_multirun', form);
  return Object.fromEntries(runs.map((run) => [run, answer[run]?.length ?? 0]));
}

async function expectNoHarm(logdir: string, runs: readonly string[], fast: boolean): Promise<void> {
  const board = await startTensorBoard(logdir, { fast });
  const all = Object.fromEntries(runs.map((run) => [run, sentinels]));
  expect(await pointsOf(board, 'sentinel', runs)).toEqual(all);
  expect(await pointsOf(board, 'untouched', runs)).toMatchObject({ other: sentinels });
  const answers = await askDashboards(board);
  expect(answers).toEqual(Object.fromEntries(Object.keys(answers).map((name) => [name, 'answered'])));
}

function addSentinels(writer: SummaryWriter, tag = 'sentinel'): void {
  for (let step = 0; step < sentinels; step++) writer.addScalar(tag, step, step);
}

/** One summary of each kind. */
const kinds: Record<string, (writer: SummaryWriter) => void> = {
  text: (w) => w.addText('t', 'x', 5),
  histogram: (w) => w.addHistogram('t', [1, 2], 5),
  image: (w) => w.addImage('t', { data: new Uint8Array(12), shape: [2, 2, 3] }, 5),
  audio: (w) => w.addAudio('t', [0, 0.5], 5),
  curve: (w) => w.addPrCurve('t', [0, 1], [0.1, 0.9], 5),
  mesh: (w) => w.addMesh('t', [[0, 0, 0]], 5),
  hparams: (w) => w.addHparams({ lr: 1 }, { t: 1 }),
  layout: (w) => w.addCustomScalars({ categories: [{ title: 'a', charts: [{ title: 'b', multiline: ['t'] }] }] }),
  graph: (w) => w.addGraph({ layers: [], toJSON: () => ({ config: { layers: [] } }) }),
};

describeWithTensorBoard.each(LOADERS)('through $loader', ({ fast }) => {
  it('what addEvent accepts of mutated events hides nothing of its run and of others', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const next = mutations(await realEvents(), seed);
    const runs: string[] = ['other'];
    addSentinels(writer.run('other'));
    addSentinels(writer.run('other'), 'untouched');
    let accepted = 0;
    let refused = 0;
    for (let run = 0; accepted < wanted; run++) {
      const name = `run${run}`;
      runs.push(name);
      const mutated = writer.run(name);
      for (const end = accepted + eventsOfRun; accepted < end; ) {
        try {
          mutated.addEvent(next());
          accepted++;
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          refused++;
        }
      }
      addSentinels(mutated);
    }
    expect(refused).toBeGreaterThan(accepted / 10);
    await writer.close();
    await expectNoHarm(logdir, runs, fast);
  }, 600_000);

  it('half a character in any text of an addX hides nothing', async () => {
    const half = 'batch 32 🙂'.slice(0, -1);
    const acts: Record<string, (writer: SummaryWriter) => void> = {
      values: (w) => w.addHparams({ note: half, lr: 1 }, { [half]: 1 }),
      keys: (w) => w.addHparams({ [half]: 1 }, {}, { domains: { [half]: { min: 0, max: 1 } } }),
      name: (w) => w.addHparams({ lr: 1 }, {}, { name: half }),
      layout: (w) =>
        w.addCustomScalars({ categories: [{ title: half, charts: [{ title: half, multiline: [half] }] }] }),
      mesh: (w) => w.addMesh(half, [[0, 0, 0]], 1, { config: { [half]: half }, displayName: half, description: half }),
      text: (w) => w.addText(half, half, 1),
      embedding: (w) => w.addEmbedding(half, [[0, 1]], 1, { metadata: [half] }),
      graph: (w) =>
        w.addGraph({
          layers: [],
          toJSON: () => ({ config: { layers: [{ class_name: half, config: { name: half } }] } }),
        }),
    };
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    for (const [name, act] of Object.entries(acts)) {
      act(writer.run(name));
      addSentinels(writer.run(name));
    }
    addSentinels(writer.run('other'));
    addSentinels(writer.run('other'), 'untouched');
    await writer.close();
    await expectNoHarm(logdir, [...Object.keys(acts), 'other'], fast);
  });

  it.each([0, 5, 6])(
    'purging from step %i, before, at and after all that a run has, hides nothing else',
    async (purgeStep) => {
      const logdir = temporaryFolder();
      for (const [name, act] of Object.entries(kinds)) {
        const writer = new SummaryWriter(join(logdir, name));
        writer.addScalar('s', 1, 5);
        act(writer);
        await writer.close();
        const again = new SummaryWriter(join(logdir, name), { purgeStep });
        addSentinels(again);
        await again.close();
      }
      // What other writers have written, in old forms too.
      const fixtures = fileURLToPath(new URL('../fixtures/events', import.meta.url));
      const files = readdirSync(fixtures, { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.includes('tfevents'),
      );
      for (const name of files) cpSync(join(fixtures, name), join(logdir, name));
      const theirs = [...new Set(files.map((name) => dirname(name)))];
      for (const run of theirs) {
        const again = new SummaryWriter(join(logdir, run), { purgeStep });
        addSentinels(again);
        await again.close();
      }
      const other = new SummaryWriter(join(logdir, 'other'));
      addSentinels(other);
      addSentinels(other, 'untouched');
      await other.close();
      await expectNoHarm(logdir, [...theirs, ...Object.keys(kinds), 'other'], fast);
      const board = await startTensorBoard(logdir, { fast });
      await expect(board.bytes('graphs/graph', { run: 'graph' })).resolves.toBeDefined();
      await expect(board.ask('images/images', { run: 'image', tag: 't', sample: 0 })).resolves.toBeDefined();
      await expect(board.ask('audio/audio', { run: 'audio', tag: 't', sample: 0 })).resolves.toBeDefined();
    },
  );
});
